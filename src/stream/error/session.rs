//! Why an operation of a session failed, or of one of its streams.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, why};
use crate::deferral::MatchError;
use crate::error::tell;
use crate::label::matching::Blocked;
use crate::proto::session::{CloseReason, StreamError};

/// Why an operation of a session failed. Its `Debug` prints what `Display` prints, then its sources.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session ended well.
    #[error("the session is closed")]
    Closed,
    /// No network brought the session back within its grace.
    #[error(
        "no path came back within the grace of {grace:?}{}{}",
        said(tried),
        why(blocked)
    )]
    GraceExpired {
        /// The grace agreed.
        grace: Duration,
        /// Why no network matched at the end, where that is what was missing.
        blocked: Option<Arc<Blocked>>,
        /// What the last attempt of a plain stream met.
        #[source]
        tried: Option<Cause>,
    },
    /// The connection of a plain stream was lost, and no [hook](crate::hooks) makes another.
    #[error("the connection was lost: {0}")]
    Lost(#[source] Cause),
    /// The peer closed or aborted the session.
    #[error("the peer ended the session (code {0})")]
    PeerClosed(u32),
    /// The peer knows less than it had acknowledged: it lost its memory of the session.
    #[error("the peer lost what it had acknowledged")]
    PeerRolledBack,
    /// The peer no longer knows the session.
    #[error("the peer no longer knows the session")]
    SessionForgotten,
    /// The listener gave the session up for others: too many were detached.
    #[error("given up at the listener's bound of detached sessions")]
    Evicted,
    /// The session was aborted here.
    #[error("aborted")]
    Aborted,
    /// The session has as many streams as it may.
    #[error("the session has its limit of {0} streams")]
    TooManyStreams(u16),
    /// A plain `tcp://` stream is all its session has.
    #[error("the far end is not a mancom endpoint")]
    NotMancom,
    /// A reconnection hook failed or gave up.
    #[error("the reconnection failed: {0}")]
    Hook(#[source] Cause),
    /// The wait for a network ended.
    #[error(transparent)]
    Match(Arc<MatchError>),
}

fn said(tried: &Option<Cause>) -> String {
    tried
        .as_ref()
        .map_or_else(String::new, |cause| format!("; the last attempt: {cause}"))
}

impl From<MatchError> for SessionError {
    fn from(error: MatchError) -> Self {
        Self::Match(Arc::new(error))
    }
}

impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

impl SessionError {
    /// Whether the session ended well.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// The explanation, where no network matched.
    pub fn blocked(&self) -> Option<&Blocked> {
        match self {
            Self::GraceExpired { blocked, .. } => blocked.as_deref(),
            Self::Match(error) => error.blocked(),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Closed => io::ErrorKind::NotConnected,
            Self::GraceExpired { .. } => io::ErrorKind::TimedOut,
            Self::Aborted | Self::Evicted => io::ErrorKind::ConnectionAborted,
            Self::PeerClosed(_) | Self::PeerRolledBack | Self::SessionForgotten => {
                io::ErrorKind::ConnectionReset
            }
            Self::TooManyStreams(_) => io::ErrorKind::QuotaExceeded,
            Self::NotMancom => io::ErrorKind::Unsupported,
            Self::Hook(error) | Self::Lost(error) => error.kind(),
            Self::Match(error) => error.kind(),
        }
    }

    /// What a core's reason means to a user; `blocked` where the grace ran out for want of a match.
    pub(crate) fn of(reason: CloseReason, grace: Duration, blocked: Option<Arc<Blocked>>) -> Self {
        match reason {
            CloseReason::Finished => Self::Closed,
            CloseReason::GraceExpired => Self::GraceExpired {
                grace,
                blocked,
                tried: None,
            },
            CloseReason::PeerClosed(code) => Self::PeerClosed(code),
            CloseReason::PeerRolledBack => Self::PeerRolledBack,
            CloseReason::Forgotten => Self::SessionForgotten,
            CloseReason::Aborted => Self::Aborted,
            CloseReason::Evicted => Self::Evicted,
        }
    }
}

/// What `AsyncRead` and `AsyncWrite` say of a stream's failure.
pub(crate) fn stream_error(
    error: StreamError,
    session: impl FnOnce(CloseReason) -> SessionError,
) -> io::Error {
    match error {
        StreamError::Closed(reason) => {
            let error = session(reason);
            io::Error::new(error.kind(), error)
        }
        StreamError::Reset(_) => io::Error::new(io::ErrorKind::ConnectionReset, error),
        StreamError::Stopped | StreamError::Shutdown => {
            io::Error::new(io::ErrorKind::BrokenPipe, error)
        }
        StreamError::Unknown => io::Error::new(io::ErrorKind::NotConnected, error),
        StreamError::TooMany(_) => io::Error::new(io::ErrorKind::QuotaExceeded, error),
    }
}
