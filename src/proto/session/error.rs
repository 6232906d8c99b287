//! What can go wrong, by whose fault it is.

/// Why a path ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEnd {
    /// The driver said so: the link failed or ended.
    Lost,
    /// The same path was attached again.
    Replaced,
    /// Both sides put it out of use, and everything on it arrived.
    Retired,
    /// A change of facts forbids the rest of a frame that was begun on it.
    Forbidden,
    /// It owed an answer in silence while a newer path was there.
    Silent,
    /// The peer broke the protocol on it.
    Protocol(ProtocolError),
    /// The session is over and said so.
    SessionClosed,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Every stream ended well and both sides said so.
    Finished,
    /// No path came back within the grace.
    GraceExpired,
    /// The peer closed it, with its code.
    PeerClosed(u32),
    /// The peer states less than it had acknowledged.
    PeerRolledBack,
    /// The peer no longer knows the session.
    Forgotten,
    /// Closed here.
    Aborted,
    /// Dropped at the listener's bound of detached sessions.
    Evicted,
}

impl CloseReason {
    /// What the peer is told; 0 is an end in good order.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Finished => 0,
            Self::Aborted | Self::PeerClosed(_) => 1,
            Self::GraceExpired => 2,
            Self::PeerRolledBack => 3,
            Self::Forgotten => 4,
            Self::Evicted => 5,
        }
    }
}

/// What the peer broke; ends the path, never the process, and not the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A kind of frame that is unknown and may not be skipped.
    #[error("a frame of the unknown kind {0:#04x}")]
    UnknownFrame(u8),
    /// A length over the limit.
    #[error("a frame longer than allowed")]
    FrameTooLong,
    /// A body that does not hold what its kind says.
    #[error("a malformed frame")]
    Malformed,
    /// A frame for a stream that nobody opened.
    #[error("a frame for a stream that nobody opened")]
    UnknownStream,
    /// More streams than agreed.
    #[error("more streams than agreed")]
    TooManyStreams,
    /// A label number without a definition, or a definition that is no label.
    #[error("a label number without a definition, or a definition that is no label")]
    BadLabel,
    /// More changes of label within the window than allowed.
    #[error("more changes of label than allowed")]
    TooManyLabels,
    /// More pieces out of order than allowed.
    #[error("more pieces out of order than allowed")]
    TooManyPieces,
    /// Data beyond the credit.
    #[error("data beyond the credit")]
    BeyondCredit,
    /// Data beyond a stream's end, or two different ends.
    #[error("data beyond a stream's end, or two different ends")]
    BeyondEnd,
    /// An acknowledgement of what was never sent.
    #[error("an acknowledgement of what was never sent")]
    AckOfUnsent,
    /// An acknowledgement lower than an earlier one on the same path.
    #[error("an acknowledgement lower than an earlier one on the same path")]
    AckWentBack,
    /// A message that comes after one sent later.
    #[error("a message that comes after one sent later")]
    BadOrder,
    /// More messages open at once, or with more gaps between them, than allowed.
    #[error("more messages open at once than allowed")]
    TooManyMessages,
    /// Requests for answers faster than the answers can be sent.
    #[error("too many frames that want an answer")]
    Flood,
}

/// Why a path cannot join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Something newer was attached under this id.
    #[error("the path's epoch is not above the highest seen")]
    StaleEpoch,
    /// Nothing can join any more.
    #[error("the session is over")]
    Over,
    /// Path ids are 0 to 7.
    #[error("the session has its limit of paths")]
    TooManyPaths,
}

/// Why a stream operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream was reset, here or by the peer, with its code.
    #[error("the stream was reset (code {0})")]
    Reset(u32),
    /// The peer reads no more.
    #[error("the peer stopped reading")]
    Stopped,
    /// Written after shutdown.
    #[error("written after shutdown")]
    Shutdown,
    /// The session ended before the stream did.
    #[error("the session is over: {0:?}")]
    Closed(CloseReason),
    /// No stream of this id is known here (any more).
    #[error("no such stream")]
    Unknown,
    /// No further stream can be opened now.
    #[error("the session has its limit of {0} streams")]
    TooMany(u16),
}
