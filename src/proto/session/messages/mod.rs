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
//! | of those, messages being written | [`MAX_WRITTEN`] an urgency | beginning another waits |
//! | messages that one names | [`MAX_AFTER`] | `TooManyNamed` |
//! | bytes to be sent | [`Config::send_buffer`](super::Config::send_buffer) an urgency, and one message written piece by piece | `send` waits |
//! | bytes received | the window, an urgency | the path ends |
//! | pieces out of order | [`MAX_PIECES`] an urgency | the path ends |
//! | gaps between numbers, messages given up and not forgotten | three times [`MAX_UNSETTLED`] | the path ends |
//! | a message comes after | [`MAX_NAMED`](super::frame::MAX_NAMED) named, or all below a number | the path ends |
//! | fates of messages not delivered | 16,384, the last that were settled | `Unknown` |
//! | numbers of messages delivered | 16,384, the last that were | what names another comes after all up to the latest that is forgotten |
//! | events | one a message sent, and a few | |

use bytes::Bytes;

use crate::label::Label;

mod acknowledged;
mod assembly;
mod calls;
mod census;
mod delivered;
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
mod saying;
mod sending;
mod state;
mod telling;
#[cfg(test)]
mod tests;
mod wire;
mod withdrawn;
mod writing;

pub(super) use state::State;

/// Messages of one urgency that are sent and not settled with the peer.
pub const MAX_UNSETTLED: usize = 4096;
/// What the smallest message takes of the credit, bytes: about what it costs to keep.
pub const LEAST_CHARGE: u64 = 256;
/// Of those, messages that are being written piece by piece.
pub const MAX_WRITTEN: usize = MAX_UNSETTLED / 2;
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
