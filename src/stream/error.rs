//! The errors of connecting, listening, accepting and of sessions, one type an operation.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::deferral::MatchError;
use crate::endpoint::EndpointError;
use crate::error::tell;
use crate::label::matching::Blocked;
use crate::proto::session::{CloseReason, StreamError};
use crate::transport::{UnknownAttribute, UnknownScheme};

/// One try to reach the far end over one network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The network's name; `None` where no network is used (loopback, Unix sockets).
    pub network: Option<Arc<str>>,
    /// What came of it.
    pub error: Arc<io::Error>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            Some(name) => write!(f, "{name}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

/// Every try of an operation, in order; at most the last 32. Its source is what the last one met.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// The endpoint, as given.
    to: String,
    all: Vec<Attempt>,
}

/// Attempts kept.
const TOLD: usize = 32;

impl Attempts {
    pub(super) fn to(endpoint: &str) -> Self {
        Self {
            to: format!("{endpoint}: "),
            all: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, attempt: Attempt) {
        if self.all.len() == TOLD {
            self.all.remove(0);
        }
        self.all.push(attempt);
    }
}

/// Each outcome once and how often it was met, without the endpoint.
impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<(String, usize)> = Vec::new();
        for attempt in &self.all {
            let text = attempt.to_string().replacen(&self.to, "", 1);
            match told.iter_mut().find(|(known, _)| *known == text) {
                Some((_, times)) => *times += 1,
                None => told.push((text, 1)),
            }
        }
        for (i, (text, times)) in told.into_iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            f.write_str(&text)?;
            if times > 1 {
                write!(f, " ({times} times)")?;
            }
        }
        Ok(())
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        &self.all
    }
}

impl Error for Attempts {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.all.last().map(|attempt| &*attempt.error as _)
    }
}

/// An error of the system that several may have met; its source is the `io::Error` itself.
#[derive(Debug, Clone)]
pub struct Cause(Arc<io::Error>);

impl Deref for Cause {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl From<Arc<io::Error>> for Cause {
    fn from(error: Arc<io::Error>) -> Self {
        Self(error)
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

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

/// Why a `listen` failed.
#[derive(Debug, thiserror::Error)]
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

impl ListenError {
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Endpoint(_)
            | Self::Scheme(_)
            | Self::Attribute(_)
            | Self::Plaintext { .. }
            | Self::NoRate => io::ErrorKind::InvalidInput,
            Self::Unsupported(_) => io::ErrorKind::Unsupported,
            Self::Io { source, .. } => source.kind(),
            Self::NoRuntime => io::ErrorKind::Unsupported,
            Self::Manager(_) => io::ErrorKind::InvalidInput,
        }
    }
}

/// Why an `accept` gave no stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The listener was stopped; said once, and again to whoever asks again.
    #[error("the listener was stopped")]
    Stopped,
    /// The system cannot accept now (descriptors run out, say); accepting goes on.
    #[error("cannot accept just now: {0}")]
    Io(#[source] Cause),
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

fn why(blocked: &Option<impl fmt::Display>) -> String {
    blocked
        .as_ref()
        .map_or_else(String::new, |blocked| format!(": {blocked}"))
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
