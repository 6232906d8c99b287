//! The names of things, and what the driver is told.

use std::fmt;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The most bytes of a message.
pub const MAX_MESSAGE: usize = 255;

/// A buffer of so many bytes is never too small for a packet.
pub const MIN_BUFFER: usize = 4 + 4 + 4 + 1 + 256 + 1 + MAX_MESSAGE;

/// What may be changed at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// After so long without an answer the peer is asked for one. Default 1 s, at least 1 ms. It is
    /// fixed: there is no back-off.
    pub retransmit: Duration,
    /// Unconfirmed bytes that [`wanted`](super::Airhook::wanted) aims at: the bandwidth-delay product of
    /// the link. Default 32,768. It only advises.
    pub window: usize,
    /// Unconfirmed messages that are kept, beyond which none is taken. Default 16,384, which is 6 MiB of
    /// the longest messages.
    pub queue: usize,
    /// Every packet tells both session numbers, and once the peer is known none is taken that does not: so
    /// who guesses neither gets nothing taken. Both ends must have it, from their first packet on; with
    /// another Airhook 2 program a link falls silent once it is known. Costs 8 bytes a packet. Default
    /// false, as the wire has it.
    pub guarded: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retransmit: Duration::from_secs(1),
            window: 32_768,
            queue: 16_384,
            guarded: false,
        }
    }
}

impl Settings {
    pub(super) fn retransmit(&self) -> Duration {
        self.retransmit.max(Duration::from_millis(1))
    }
}

/// A message of one [`Airhook`](super::Airhook), in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The peer cannot have it.
    Pending,
    /// The peer may have it.
    Sent,
    /// The peer has it.
    Confirmed,
    /// Given up here; the peer may have it.
    Discarded,
}

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageStatus {
    /// How far it has come.
    pub state: State,
    /// Packets that carried it.
    pub transmit_count: u32,
    /// When its state last changed.
    pub last_change: Instant,
}

/// What the driver must pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer is another instance than before, or the first. What comes after is from it and goes to
    /// it; what was not confirmed goes to it too.
    Session(NonZeroU32),
    /// A message came, 1 to 256 bytes. After a loss a later one may come first.
    Message(Bytes),
    /// A message of ours changed its state since this was last said of it. After `Confirmed` and
    /// `Discarded` nothing more is known of it.
    Status(MessageId, MessageStatus),
}

/// What a packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// Newer than all before. The peer lives.
    New,
    /// The newest once more: a probe, or a duplicate. Its messages were not looked at.
    Repeated,
    /// Older than another: ignored.
    Old,
    /// Of a session that is not known and does not know ours. It is asked whether it is there, by the
    /// next packet, and nothing else changed.
    Stranger,
}

/// What is known of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Our session number.
    pub session: NonZeroU32,
    /// The peer's, once it is known.
    pub remote_session: Option<NonZeroU32>,
    /// Whether the peer knows us.
    pub state: State,
    /// Whether the peer knows that we know it.
    pub remote_state: State,
    /// See [`wanted`](super::Airhook::wanted).
    pub wanted: i64,
    /// When a packet was last made.
    pub last_transmit: Option<Instant>,
    /// When the newest packet of which the peer is known to have it was made.
    pub last_response: Option<Instant>,
    /// When the last packet of the peer's session came.
    pub last_received: Option<Instant>,
}
