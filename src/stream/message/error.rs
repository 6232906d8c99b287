//! Why a message was not taken, or did not arrive.

use std::fmt;
use std::io;

use super::MessageId;
use crate::error::tell;
use crate::label::matching::Blocked;
use crate::stream::SessionError;

/// Why an operation on a message failed. Its `Debug` prints what `Display` prints, then its sources.
///
/// Unless [`Lost`](Self::Lost) says otherwise, a message that failed was not delivered and never will be.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Its lifetime ran out before the peer had it.
    #[error("the message's lifetime ran out")]
    Expired,
    /// It was cancelled.
    #[error("the message was cancelled")]
    Cancelled,
    /// A message that it comes after was given up, and it with that one.
    #[error("it was to come after {0}, which was given up")]
    DependencyLost(MessageId),
    /// The session ended before the peer said that it has it.
    #[error("the session ended first{}: {session}", perhaps(*maybe_delivered))]
    Lost {
        /// Whether some of it was sent: then it may have arrived.
        maybe_delivered: bool,
        /// How the session ended.
        #[source]
        session: SessionError,
    },
    /// It is longer than the peer takes.
    #[error("the message is longer than the {limit} bytes that the peer takes")]
    TooLong {
        /// The peer's receive window, bytes.
        limit: u64,
    },
    /// It is to come after a message that was never sent here.
    #[error("it is to come after {0}, which was never sent here")]
    UnknownDependency(MessageId),
    /// It is to come after more messages than one may name; see `after_all`.
    #[error("the message is to come after more than {limit} messages by name")]
    TooManyDependencies {
        /// Messages that one may name.
        limit: usize,
    },
    /// No message of this number was sent here, or its fate was told and forgotten.
    #[error("no such message")]
    Unknown,
    /// Some of it was sent already: its label stays as it is.
    #[error("some of the message was sent already")]
    AlreadySent,
    /// The session is over, or is being closed: it takes no more messages.
    #[error(transparent)]
    Closed(SessionError),
    /// A plain stream carries no messages.
    #[error("the far end is not a mancom endpoint")]
    NotMancom,
}

fn perhaps(maybe_delivered: bool) -> &'static str {
    match maybe_delivered {
        true => ", it may have arrived",
        false => ", nothing of it was sent",
    }
}

impl fmt::Debug for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

impl MessageError {
    /// Whether the session ended well, or was being closed, before the message was taken.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(session) if session.is_closed())
    }

    /// Whether its lifetime or the session's grace ran out.
    pub fn is_timed_out(&self) -> bool {
        self.kind() == io::ErrorKind::TimedOut
    }

    /// Why no network matched, where the session ended for want of one.
    pub fn blocked(&self) -> Option<&Blocked> {
        self.session().and_then(SessionError::blocked)
    }

    fn session(&self) -> Option<&SessionError> {
        match self {
            Self::Lost { session, .. } | Self::Closed(session) => Some(session),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Expired => io::ErrorKind::TimedOut,
            Self::Cancelled | Self::DependencyLost(_) => io::ErrorKind::ConnectionAborted,
            Self::TooLong { .. }
            | Self::UnknownDependency(_)
            | Self::TooManyDependencies { .. } => io::ErrorKind::InvalidInput,
            Self::Unknown => io::ErrorKind::NotFound,
            Self::AlreadySent => io::ErrorKind::ResourceBusy,
            Self::NotMancom => io::ErrorKind::Unsupported,
            Self::Lost { session, .. } | Self::Closed(session) => session.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn grace_expired() -> SessionError {
        SessionError::GraceExpired {
            grace: Duration::from_secs(600),
            blocked: None,
            tried: None,
        }
    }

    // behaviour: D9
    #[test]
    fn each_has_the_standard_librarys_nearest_word() {
        use io::ErrorKind as Kind;
        let id = MessageId(7);
        let lost = MessageError::Lost {
            maybe_delivered: true,
            session: grace_expired(),
        };
        let all = [
            (MessageError::Expired, Kind::TimedOut),
            (MessageError::Cancelled, Kind::ConnectionAborted),
            (MessageError::DependencyLost(id), Kind::ConnectionAborted),
            (lost, Kind::TimedOut),
            (MessageError::TooLong { limit: 9 }, Kind::InvalidInput),
            (MessageError::UnknownDependency(id), Kind::InvalidInput),
            (
                MessageError::TooManyDependencies { limit: 9 },
                Kind::InvalidInput,
            ),
            (MessageError::Unknown, Kind::NotFound),
            (MessageError::AlreadySent, Kind::ResourceBusy),
            (
                MessageError::Closed(SessionError::Closed),
                Kind::NotConnected,
            ),
            (MessageError::NotMancom, Kind::Unsupported),
        ];
        for (error, kind) in all {
            assert_eq!(error.kind(), kind, "{error}");
            let io = io::Error::from(error.clone());
            assert_eq!(io.kind(), kind, "{error}");
            let back = crate::Error::from(io);
            assert_eq!(back.to_string(), error.to_string());
            assert_eq!(back.is_timed_out(), error.is_timed_out(), "{error}");
            assert_eq!(back.is_closed(), error.is_closed(), "{error}");
        }
    }

    #[test]
    fn says_whether_it_may_have_arrived() {
        let lost = |maybe_delivered| MessageError::Lost {
            maybe_delivered,
            session: grace_expired(),
        };
        assert!(lost(true).to_string().contains("it may have arrived"));
        assert!(lost(false).to_string().contains("nothing of it was sent"));
        let named = MessageError::DependencyLost(MessageId(7)).to_string();
        assert!(named.contains("message 7"), "{named}");
    }
}
