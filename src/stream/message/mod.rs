//! Messages: labelled units that arrive whole, at most once, after those they name (libcmm's IROBs).
//!
//! ```text
//!  Session::send ────► room for its urgency? ──no──► in line, first come first served
//!  Session::message        │yes: it has an id
//!    MessageWriter         ▼
//!                     waits for a path that its label admits, and for what it comes after
//!                          │ first byte                │ lifetime over, cancelled, a predecessor gone:
//!                          ▼                           ▼ nothing of it reaches the wire
//!                        sent ──withdrawn in time──► given up: Expired, Cancelled, DependencyLost
//!                          │                           and so are those that name it
//!                          ▼
//!                      delivered: the peer's library has it ──► Session::recv at the peer
//! ```
//!
//! What happens to messages when networks go is what happens to streams: they wait, and go on by the
//! next one that their label admits. What happens when the session's last handle goes: those that were
//! taken are delivered in the background, and [`Session::close`](super::Session::close) waits for them.
//! What nobody received then is thrown away with the session.
//!
//! The order is the core's (`proto::session::messages`), who waits for what is the driver's.

mod error;
mod send;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

use bytes::Bytes;

pub use crate::proto::session::messages::MessageId;
pub use error::MessageError;
pub use send::SendMessage;
pub use writer::{MessageWriter, WriteMessage};

pub(super) use send::Parcel;

use crate::label::Label;
use crate::proto::session::messages::Received;

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}", self.0)
    }
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The label it was sent with, without an interface's name.
    pub label: Label,
    /// The number its sender knows it by. Numbers of the two directions have nothing to do with each
    /// other.
    pub id: MessageId,
    /// All of it.
    pub bytes: Bytes,
}

impl From<Received> for Message {
    fn from(received: Received) -> Self {
        let Received { label, id, bytes } = received;
        Self { label, id, bytes }
    }
}

/// What came of a [`cancel`](super::Session::cancel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It was not delivered and never will be.
    Withdrawn,
    /// The peer's library had all of it already.
    Delivered,
}
