//! Messages: labelled units delivered whole, at most once, after those they come after (libcmm's IROBs).
//!
//! # The problem
//!
//! A program has units to say, not bytes: each with its own label, each to arrive whole and once, or not
//! at all and then with a word about it; in an order that the program chooses, over whatever paths there
//! are, some of which vanish. A unit that grew stale is to be taken back, with what depends on it.
//!
//! # The picture
//!
//! ```text
//!  send --> waits --what it comes after was sent whole, credit--> under way --MSG_ACK--> delivered
//!             |                                                      |
//!             +--cancel, expiry: gone, no trace                      +--cancel, expiry: WITHDRAW
//!                                                                         |
//!             MSG_ACK: it was delivered before  <-------------------------+---> WITHDRAWN, FORGET: given up
//!
//!  parts --> complete --all before it delivered--> delivered --all before it handed out--> recv
//! ```
//!
//! # The rules
//!
//! **Numbers.** A [`MessageId`] is given when the program sends, the number on the wire when the first
//! part is planned: so what was given up before leaves no number, and no gap. (What was planned and not
//! written when it was given up leaves a number, which FORGET closes.)
//!
//! **Order.** A head names the messages it comes after by number, all lower than its own; if they are
//! more than [`MAX_NAMED`](super::frame::MAX_NAMED), it names the number below which it comes after all.
//! Sent without `after`, a message comes after the one sent so before it in its urgency. One that is given
//! another urgency before it has a number leaves that order, and joins the other's as if it were sent then.
//! One that is acknowledged is named too, for it may not be handed out yet. It starts when
//! each of them was sent whole; so what holds back others never waits for room that those take. It is
//! *delivered* when it is complete and each of them is delivered or forgotten: so a message that is
//! given up never takes back an acknowledgement. It is handed out when each of them was.
//!
//! **Urgency.** A message is as urgent as the most urgent one that comes after it, on its way and when
//! it is handed out; its label decides on its paths alone. Within an urgency they go in the order sent.
//!
//! **Acknowledgements.** MSG_ACK says below which number all are closed (delivered or forgotten), and
//! ranges beyond; it adds to what was said before. MSG_HAVE says which units of a message are here that
//! is not delivered: unit 0 is its head, unit n+1 its n-th byte. On a new path, and when one is lost, all of it is told again.
//!
//! **Credit** is counted per urgency of the label, in bytes from the start of the session; a message
//! takes all of its own when it starts, at least [`LEAST_CHARGE`]. It comes back when the message is
//! handed out or given up. One that is written piece by piece is sent when it is finished.
//!
//! **Giving up.** Before a byte was written, it is final. After that WITHDRAW asks, and MSG_ACK or
//! WITHDRAWN answers. What names a message that is given up is lost with it; what merely follows it (the
//! order sent, or after everything) goes on, after that one's predecessors. The receiver holds the number
//! open, and with it what comes after it, until FORGET: that is said once nothing that needs it can be
//! delivered, and once what it came after itself is. So the receiver need not know the difference;
//! it hands out what names a forgotten message after all that has a lower number than that.
//!
//! # The limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | a message | the peer's receive window | `TooLong`; the path ends |
//! | messages not settled | [`MAX_UNSETTLED`] an urgency | `send` waits |
//! | messages that one names | [`MAX_AFTER`] | `TooManyNamed` |
//! | bytes to be sent | [`Config::send_buffer`](super::Config::send_buffer) an urgency, and one message written piece by piece | `send` waits |
//! | bytes received | the window, an urgency | the path ends |
//! | pieces out of order | [`MAX_PIECES`] an urgency | the path ends |
//! | gaps between numbers, messages given up and not forgotten | three times [`MAX_UNSETTLED`] | the path ends |
//! | a message comes after | [`MAX_NAMED`](super::frame::MAX_NAMED) named, or all below a number | the path ends |
//! | fates of messages not delivered | 16,384, the last that were settled | `Unknown` |
//! | numbers of messages delivered | 16,384, the last that were | what names another comes after all up to the latest that is forgotten |
//! | events | one a message sent, and a few | |

use std::time::Instant;

use bytes::Bytes;

use super::{CloseReason, Phase, Session};
use crate::label::Label;

mod acknowledged;
mod assembly;
mod delivery;
mod entry;
mod fates;
mod giving_up;
mod handing_out;
mod incoming;
mod leaving;
mod order;
mod outgoing;
mod parts;
mod plan;
mod queue;
mod record;
mod room;
mod sending;
mod state;
mod telling;
#[cfg(test)]
mod tests;
mod wire;
mod withdrawn;
mod writing;

use record::{Record, State as Stage};
pub(super) use state::State;

/// Messages of one urgency that are sent and not settled with the peer.
pub const MAX_UNSETTLED: usize = 4096;
/// What the smallest message takes of the credit, bytes: about what it costs to keep.
pub const LEAST_CHARGE: u64 = 256;
/// Messages that one message may name to come after.
pub const MAX_AFTER: usize = 4096;
/// Pieces of messages of one urgency kept because they arrived early.
pub const MAX_PIECES: usize = 8192;

/// What a message of so many bytes takes of a window.
fn charge_of(length: u64, window: u64) -> u64 {
    length.max(LEAST_CHARGE.min(window))
}

/// The most bytes that messages take, both ways, with buffers of these sizes an urgency.
///
/// To be sent: the buffer, one message written piece by piece, and 1 KiB for each that is not settled. Received:
/// the window twice, for what comes in parts grows in buffers that double, 1 KiB for each message that it
/// may hold of the smallest, and 128 bytes for each piece out of order. Beside that what is remembered of
/// those that are settled.
pub(super) fn worst_case_memory(buffer: usize, window: usize) -> usize {
    let unsettled = MAX_UNSETTLED.min(buffer / LEAST_CHARGE as usize + 1);
    let sending = buffer + window + unsettled * 1024;
    let smallest = window / LEAST_CHARGE as usize + 1;
    let receiving = 2 * window + smallest * 1024 + MAX_PIECES.min(window) * 128;
    3 * (sending + receiving) + REMEMBERED
}

/// Fates, numbers of what was delivered, and gaps.
const REMEMBERED: usize = 4 << 20;

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
    /// It names more than [`MAX_AFTER`] messages.
    #[error("it is to come after more than {MAX_AFTER} messages by name")]
    TooManyNamed,
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
    fn takes_messages(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Over(reason) => Err(Refused::Closed(reason)),
            Phase::Draining | Phase::Saying => Err(Refused::Closed(CloseReason::Finished)),
        }
    }

    fn lives(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Over(reason) => Err(Refused::Closed(reason)),
            _ => Ok(()),
        }
    }

    /// Takes a message whole; `None` while there is no room for one of its urgency
    /// (`MessageRoom` follows).
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn send_message(
        &mut self,
        _now: Instant,
        label: Label,
        bytes: &Bytes,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        let longest = self.messages.out.longest;
        if bytes.len() as u64 > longest {
            return Err(Refused::TooLong(longest));
        }
        self.takes_messages()?;
        let out = &mut self.messages.out;
        if let Order::After(ids) = order {
            out.named(ids)?;
        }
        if !out.has_room(label.urgency(), bytes.len()) {
            return Ok(None);
        }
        let id = out.next_id;
        out.next_id += 1;
        let placed = out.place(id, label.urgency(), order)?;
        let lane = label.urgency() as usize;
        out.insert(id, (label, lane), bytes.clone(), placed, expires);
        self.raise_planned();
        Ok(Some(MessageId(id)))
    }

    /// Begins a message that is written piece by piece; `None` as above.
    ///
    /// It takes its place in the order when it is finished, and is sent from then on.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn begin_message(
        &mut self,
        _now: Instant,
        label: Label,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        self.takes_messages()?;
        let out = &mut self.messages.out;
        if let Order::After(ids) = order {
            out.named(ids)?;
        }
        if !out.has_room(label.urgency(), 0) {
            return Ok(None);
        }
        let id = out.begin_writing(label, order.clone(), expires);
        Ok(Some(MessageId(id)))
    }

    /// Takes what fits of the next piece; 0 while there is no room (`MessageRoom` follows).
    ///
    /// # Errors
    /// `TooLong`, `Unknown`, `Closed`; the message's own end as the fate says.
    pub fn write_message(
        &mut self,
        _now: Instant,
        id: MessageId,
        piece: &[u8],
    ) -> Result<usize, Refused> {
        self.lives()?;
        self.messages.out.write(id.0, piece)
    }

    /// The message is complete.
    ///
    /// # Errors
    /// `Unknown`, `Closed`; `DependencyLost` where what it comes after was given up meanwhile, and it
    /// with that.
    pub fn finish_message(&mut self, now: Instant, id: MessageId) -> Result<(), Refused> {
        self.lives()?;
        let finished = self.messages.out.finish_writing(id.0);
        self.raise_planned();
        self.settle_messages(now);
        finished
    }

    /// The next message in order: the most urgent whose predecessors were all handed out.
    pub fn recv_message(&mut self, now: Instant) -> Option<Received> {
        let received = self.messages.inn.take();
        match &received {
            Some(_) if self.lives().is_ok() => self.return_credit(now),
            Some(_) => {}
            None => self.messages.wanted = true,
        }
        received
    }

    /// What became of it so far (`MessageSettled` tells when that is final).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn message_fate(&self, id: MessageId) -> Result<Fate, Refused> {
        let out = &self.messages.out;
        match out.records.get(&id.0) {
            Some(record) if record.settled() => out.settled_fate(id.0).ok_or(Refused::Unknown),
            Some(record) if record.written => Ok(Fate::Sent),
            Some(_) => Ok(Fate::Pending),
            None if out.writing.contains_key(&id.0) => Ok(Fate::Pending),
            None if id.0 >= out.next_id => Err(Refused::Unknown),
            None => out.settled_fate(id.0).ok_or(Refused::Unknown),
        }
    }

    /// Gives it up. Final at once if not a byte was sent; else the peer decides (`MessageSettled`).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn cancel_message(&mut self, now: Instant, id: MessageId) -> Result<Fate, Refused> {
        self.give_up(id.0, Fate::Cancelled);
        self.settle_messages(now);
        self.message_fate(id)
    }

    /// Gives a message up, for this reason.
    fn give_up(&mut self, id: u64, cause: Fate) {
        self.take_back(id);
        let out = &mut self.messages.out;
        if out.stop_writing(id, cause) {
            return;
        }
        let Some(record) = out.records.get(&id) else {
            return;
        };
        let lost = matches!(cause, Fate::DependencyLost(_));
        match record.state {
            Stage::Live if !record.written => out.discard(id, cause),
            _ => out.withdraw(id, cause, lost),
        }
    }

    /// Takes the frames of a message of which nothing was written out of every outbox.
    fn take_back(&mut self, id: u64) {
        let (paths, messages) = (&mut self.paths, &mut self.messages);
        let planned = |record: &Record| record.seq.is_some();
        if !messages
            .out
            .records
            .get(&id)
            .is_some_and(|record| planned(record))
        {
            return;
        }
        for (slot, path) in paths.iter_mut().enumerate() {
            if let Some(path) = path {
                path.outbox.unplan_message(id, |start, end, back| {
                    if back != super::outbox::Back::Copy {
                        messages.untake(id, start, end, back, slot);
                    }
                });
            }
        }
    }

    /// Gives it another label. Of another urgency, one sent without `after` joins the end of that one's
    /// order, unless it has a number on the wire already.
    ///
    /// # Errors
    /// `Sent` once a byte of it was sent, `Unknown`.
    pub fn relabel_message(
        &mut self,
        _now: Instant,
        id: MessageId,
        label: Label,
    ) -> Result<(), Refused> {
        let out = &mut self.messages.out;
        if out.relabel_writing(id.0, label) {
            return Ok(());
        }
        match out.records.get(&id.0).ok_or(Refused::Unknown)? {
            record if record.settled() => return Err(Refused::Unknown),
            record if record.written || !record.is_live() => return Err(Refused::Sent),
            _ => {}
        }
        self.take_back(id.0);
        self.messages.out.relabel(id.0, label);
        self.raise_planned();
        Ok(())
    }
}
