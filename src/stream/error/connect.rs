//! Why a `connect` failed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Attempts, why};
use crate::deferral::MatchError;
use crate::endpoint::EndpointError;
use crate::error::tell;
use crate::label::matching::Blocked;
use crate::stream::asked::from_unfit;
use crate::transport::{UnknownAttribute, UnknownScheme};

/// Why a `connect` failed. Its `Debug` prints what `Display` prints, then its sources.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Called outside a tokio runtime.
    #[error("called outside a tokio runtime")]
    NoRuntime,
    /// The manager could not be made: a wrong configuration, say.
    #[error("no manager to connect with")]
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
    /// A session in clear beyond this host, which nobody asked for.
    #[error(
        "{endpoint} would go in clear beyond this host: use mcs://, or ask for it with .plaintext() (--plaintext)"
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
    /// No network matched, or the wait for one ended.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// Networks matched, and the far end could be reached over none of them.
    #[error("no connection to {endpoint}: {attempts}{}", why(blocked))]
    Failed {
        /// The endpoint, as given.
        endpoint: String,
        /// Every try.
        #[source]
        attempts: Attempts,
        /// Why no network matched at the end, with [`no_wait`](crate::Connect::no_wait).
        blocked: Option<Box<Blocked>>,
    },
    /// The deadline passed after networks had been tried, or while one was.
    #[error("no connection to {endpoint} within {:.1} s: {attempts}{}", waited.as_secs_f64(), why(blocked))]
    TimedOut {
        /// The endpoint, as given.
        endpoint: String,
        /// How long it was tried, waiting included.
        waited: Duration,
        /// Every try, that under way included.
        #[source]
        attempts: Attempts,
        /// Why no network matched at the end, if that was what was missing.
        blocked: Option<Box<Blocked>>,
    },
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

from_unfit!(ConnectError);

impl ConnectError {
    /// The explanation, where waiting for a network is what failed.
    pub fn blocked(&self) -> Option<&Blocked> {
        match self {
            Self::Match(error) => error.blocked(),
            Self::Failed { blocked, .. } | Self::TimedOut { blocked, .. } => blocked.as_deref(),
            _ => None,
        }
    }

    /// Whether a deadline passed.
    pub fn is_timed_out(&self) -> bool {
        match self {
            Self::Match(error) => error.is_timed_out(),
            Self::TimedOut { .. } => true,
            _ => false,
        }
    }

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
            Self::NoRuntime => io::ErrorKind::Unsupported,
            Self::Manager(_) => io::ErrorKind::InvalidInput,
            Self::Match(error) => error.kind(),
            Self::Failed { attempts, .. } => attempts
                .last()
                .map_or(io::ErrorKind::NotConnected, |attempt| attempt.error.kind()),
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
        }
    }
}
