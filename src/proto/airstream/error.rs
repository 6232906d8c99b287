//! What can go wrong.

use super::{LINGER, SILENCE};

/// Why a stream ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// See [`SILENCE`].
    #[error("nothing was heard for {} s", SILENCE.as_secs())]
    Silent,
    /// The peer ended it before its time.
    #[error("the peer reset the stream")]
    Reset,
    /// This end ended it before its time.
    #[error("the stream was reset here")]
    Torn,
    /// The peer was started anew.
    #[error("the peer is another instance than before")]
    Restarted,
    /// The peer does not keep to the protocol.
    #[error("the peer sends what it may not send")]
    Nonsense,
    /// It was closed, and the peer took in [`LINGER`] not all that was written.
    #[error("the peer did not take all within {} s", LINGER.as_secs())]
    Lingered,
}

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Our direction was ended.
    #[error("the stream was ended here")]
    Ended,
    /// The peer reads no more.
    #[error("the peer reads no more")]
    Stopped,
    /// The stream is over.
    #[error(transparent)]
    Fault(#[from] Fault),
}
