//! Messages: labelled units delivered whole, at most once, after those they name (libcmm's IROBs).

use std::time::Instant;

use bytes::Bytes;

use super::Session;
use crate::label::{Label, Urgency};

/// A message of a session: a number that its sender gave it. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) u64);

/// What a message comes after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// The one of the same urgency sent before it.
    #[default]
    Sent,
    /// These and nothing else.
    After(Vec<MessageId>),
    /// Everything sent so far.
    AfterAll,
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The label it was sent with, without an interface's name.
    pub label: Label,
    /// Its sender's number.
    pub id: MessageId,
    /// All of it.
    pub bytes: Bytes,
}

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Not a byte of it was sent yet.
    Pending,
    /// Some of it was sent, and the peer's library has not said that it has all of it.
    Sent,
    /// The peer's library has it and everything it comes after.
    Delivered,
    /// Its lifetime ran out before.
    Expired,
    /// It was cancelled before.
    Cancelled,
    /// A message that it comes after was given up.
    DependencyLost(MessageId),
    /// The session ended first. It may have arrived if some of it was sent.
    Lost {
        /// Whether a byte of it was sent.
        maybe_delivered: bool,
    },
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is to come after a message that was never sent here.
    #[error("it is to come after a message that was never sent")]
    UnknownDependency(MessageId),
    /// It is to come after a message that was given up.
    #[error("it is to come after a message that was given up")]
    DependencyLost(MessageId),
    /// Longer than the peer takes.
    #[error("it is longer than the {0} bytes the peer takes")]
    TooLong(u64),
    /// No such message, or one so old that its fate is forgotten.
    #[error("no such message")]
    Unknown,
    /// Some of it was sent already.
    #[error("some of it was sent already")]
    Sent,
    /// The session is over.
    #[error("the session is over: {0:?}")]
    Closed(super::CloseReason),
}

impl Session {
    /// Takes a message whole; `None` while there is no room for one of its urgency
    /// (`MessageRoom` follows).
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn send_message(
        &mut self,
        now: Instant,
        label: Label,
        bytes: &Bytes,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        let _ = (now, label, bytes, order, expires);
        Err(Refused::Unknown)
    }

    /// Begins a message that is written piece by piece; `None` as above.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn begin_message(
        &mut self,
        now: Instant,
        label: Label,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        let _ = (now, label, order, expires);
        Err(Refused::Unknown)
    }

    /// Takes what fits of the next piece; 0 while there is no room (`MessageRoom` follows).
    ///
    /// # Errors
    /// `TooLong`, `Unknown`, `Closed`; the message's own end as the fate says.
    pub fn write_message(
        &mut self,
        now: Instant,
        id: MessageId,
        piece: &[u8],
    ) -> Result<usize, Refused> {
        let _ = (now, id, piece);
        Err(Refused::Unknown)
    }

    /// The message is complete.
    ///
    /// # Errors
    /// `Unknown`, `Closed`.
    pub fn finish_message(&mut self, now: Instant, id: MessageId) -> Result<(), Refused> {
        let _ = (now, id);
        Err(Refused::Unknown)
    }

    /// The next message in order: the most urgent whose predecessors were all handed out.
    pub fn recv_message(&mut self, now: Instant) -> Option<Received> {
        let _ = now;
        None
    }

    /// What became of it so far (`MessageSettled` tells when that is final).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn message_fate(&self, id: MessageId) -> Result<Fate, Refused> {
        let _ = id;
        Err(Refused::Unknown)
    }

    /// Gives it up. Final at once if not a byte was sent; else the peer decides (`MessageSettled`).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn cancel_message(&mut self, now: Instant, id: MessageId) -> Result<Fate, Refused> {
        let _ = (now, id);
        Err(Refused::Unknown)
    }

    /// Gives it another label.
    ///
    /// # Errors
    /// `Sent` once a byte of it was sent, `Unknown`.
    pub fn relabel_message(
        &mut self,
        now: Instant,
        id: MessageId,
        label: Label,
    ) -> Result<(), Refused> {
        let _ = (now, id, label);
        Err(Refused::Unknown)
    }

    /// Whether a message of this urgency would be taken now.
    pub fn has_message_room(&self, urgency: Urgency) -> bool {
        let _ = urgency;
        false
    }
}
