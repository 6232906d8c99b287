//! Why a `listen` failed, and why an `accept` gave nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::Cause;
use crate::endpoint::EndpointError;
use crate::error::tell;
use crate::stream::asked::from_unfit;
use crate::transport::{UnknownAttribute, UnknownScheme};

/// Why a `listen` failed. Its `Debug` prints what `Display` prints, then its sources.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Called outside a tokio runtime.
    #[error("called outside a tokio runtime")]
    NoRuntime,
    /// The manager could not be made: a wrong configuration, say.
    #[error("no manager to listen with")]
    Manager(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The text is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No transport has this scheme.
    #[error(transparent)]
    Scheme(#[from] UnknownScheme),
    /// The transport has no such attribute.
    #[error(transparent)]
    Attribute(#[from] UnknownAttribute),
    /// A listener in clear beyond this host, which nobody asked for; a wildcard address counts.
    #[error(
        "{endpoint} would listen in clear beyond this host: use mcs://, or ask for it with .plaintext() (--plaintext)"
    )]
    Plaintext {
        /// The endpoint, as given.
        endpoint: String,
    },
    /// A [rate limit](crate::Connect::rate_limit) of 0: nothing would ever go.
    #[error("a rate limit of 0 lets nothing go: give bytes a second, or leave it out for no limit")]
    NoRate,
    /// What was asked for is not built into this version.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A key, a certificate or a list of what is trusted cannot be used.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The system refused: the address is in use, or not this host's, or forbidden.
    #[error("cannot listen at {endpoint}: {source}")]
    Io {
        /// The endpoint, as given.
        endpoint: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

from_unfit!(ListenError);

impl fmt::Debug for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

impl ListenError {
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Endpoint(_)
            | Self::Scheme(_)
            | Self::Attribute(_)
            | Self::Plaintext { .. }
            | Self::NoRate => io::ErrorKind::InvalidInput,
            Self::Unsupported(_) => io::ErrorKind::Unsupported,
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.kind(),
            Self::Io { source, .. } => source.kind(),
            Self::NoRuntime => io::ErrorKind::Unsupported,
            Self::Manager(_) => io::ErrorKind::InvalidInput,
        }
    }
}

/// Why an `accept` gave no stream. Its `Debug` prints what `Display` prints, then its sources.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The listener was stopped; said once, and again to whoever asks again.
    #[error("the listener was stopped")]
    Stopped,
    /// The system cannot accept now (descriptors run out, say); accepting goes on.
    #[error("cannot accept just now: {0}")]
    Io(#[source] Cause),
}

impl fmt::Debug for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

impl AcceptError {
    /// Whether accepting ended well.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Stopped => io::ErrorKind::NotConnected,
            Self::Io(error) => error.kind(),
        }
    }
}
