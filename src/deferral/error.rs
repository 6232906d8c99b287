//! How waiting for a match ends without one.

use crate::label::LabelError;
use crate::label::matching::Blocked;
use crate::network::Network;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why an operation got no network.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The time given with `within` ran out; the explanation tells how long it waited, at which
    /// generation, and every network with its reasons.
    #[error("timed out: {0}")]
    TimedOut(Box<Blocked>),
    /// The time given with `within` ran out while the work of a `run` was going on.
    #[error("the work on {} was not done within {within:?}", network.name())]
    Overran {
        /// Where it ran last.
        network: Network,
        /// The time given.
        within: Duration,
    },
    /// It was told not to wait, and no network matches now.
    #[error("told not to wait: {0}")]
    NoMatch(Box<Blocked>),
    /// The label is met without any network (its scope is this host), so there is none to give.
    #[error("the label concerns this host alone: no network is used")]
    HostScope,
    /// `cancel` withdrew it.
    #[error("the operation was cancelled while it waited for a network")]
    Cancelled,
    /// The scout ended: what networks there are is no longer known.
    #[error("the scout ended, no network will be seen any more")]
    ScoutGone,
    /// Asked for outside a tokio runtime.
    #[error("outside a tokio runtime")]
    NoRuntime,
    /// The manager of this runtime could not be made.
    #[error("the manager of this runtime could not be made")]
    Manager(#[source] Arc<dyn Error + Send + Sync>),
    /// The label contradicts itself or is not known.
    #[error(transparent)]
    Label(#[from] LabelError),
}

impl MatchError {
    /// True if the time given with `within` was over.
    pub fn is_timed_out(&self) -> bool {
        matches!(self, MatchError::TimedOut(_) | MatchError::Overran { .. })
    }

    /// Why no network fits, if that was the cause.
    pub fn blocked(&self) -> Option<&Blocked> {
        match self {
            MatchError::TimedOut(blocked) | MatchError::NoMatch(blocked) => Some(blocked),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            MatchError::TimedOut(_) | MatchError::Overran { .. } => io::ErrorKind::TimedOut,
            MatchError::NoMatch(_) => io::ErrorKind::NetworkUnreachable,
            MatchError::HostScope | MatchError::Label(_) => io::ErrorKind::InvalidInput,
            // Not `Interrupted`: the standard library's loops would try again.
            MatchError::Cancelled => io::ErrorKind::ConnectionAborted,
            MatchError::ScoutGone => io::ErrorKind::NetworkDown,
            MatchError::NoRuntime | MatchError::Manager(_) => io::ErrorKind::Other,
        }
    }
}

impl From<MatchError> for io::Error {
    fn from(error: MatchError) -> Self {
        io::Error::new(error.kind(), error)
    }
}
