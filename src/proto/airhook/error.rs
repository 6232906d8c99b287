//! What can go wrong, by whose fault it is.

/// A message that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A message has at least one byte.
    #[error("a message of no bytes")]
    Empty,
    /// A message has at most [`MAX_MESSAGE`](super::MAX_MESSAGE) bytes.
    #[error("a message of {0} bytes, of which 255 are the most")]
    TooLong(usize),
    /// As many messages as [`Settings::queue`](super::Settings::queue) are unconfirmed, or their ends
    /// were not looked at.
    #[error("the queue is full")]
    QueueFull,
}

/// A buffer in which the next packet has no room. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next packet takes {needed} bytes at least")]
pub struct BufferTooSmall {
    /// Bytes that suffice; at most [`MIN_BUFFER`](super::MIN_BUFFER).
    pub needed: usize,
}

/// A packet that was rejected whole: it delivered nothing and changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It ends too early.
    #[error("the packet is cut short")]
    Truncated,
    /// It is for another session than ours.
    #[error("the packet is for another session")]
    OtherSession,
    /// It does not say whose it is, and the peer does not know us yet; or, where both ends are
    /// [guarded](super::Settings#structfield.guarded), it does not tell both sessions.
    #[error("the packet does not tell the sessions that it has to tell")]
    NoSession,
    /// Its session is our own, or was replaced by a later one.
    #[error("the packet is of a session that is over")]
    PastSession,
    /// It is far from all that is expected.
    #[error("the packet is out of sequence")]
    OutOfSequence,
    /// It acknowledges what was never sent.
    #[error("the packet acknowledges what was never sent")]
    NeverSent,
    /// It speaks of more messages than there can be.
    #[error("the packet speaks of more messages than there can be")]
    TooMany,
    /// The messages received before were not taken: [`poll_event`](super::Airhook::poll_event).
    #[error("too many messages wait to be taken")]
    Full,
}
