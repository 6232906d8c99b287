//! The names of things, and what the driver is told.

use std::ops::AddAssign;

use super::error::{CloseReason, PathEnd};
use super::messages::{Fate, MessageId};
use crate::label::Urgency;
use crate::label::matching::PathFacts;
use crate::network::Network;

/// 128 bits drawn by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) [u8; 16]);

/// A stream of a session; the low bit tells who opened it (0: the dialler). 24 bits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

/// A path and its epoch; the dialler numbers its paths (at most 8), an attach raises the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId {
    pub(crate) id: u8,
    pub(crate) epoch: u32,
}

/// Which end of a session this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It dialled, and dials again when paths are lost.
    Dialler,
    /// It was dialled.
    Listener,
}

/// What both ends know of a path's facts.
#[derive(Debug, Clone)]
pub struct PathSides {
    /// Our network; `None` where no network is used (loopback, Unix) or it is not known.
    pub local: Option<Network>,
    /// What the peer said of its network.
    pub remote: PathFacts,
}

/// Bytes that went over one path. What is resent is counted there, and not as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathStats {
    /// Payload sent for the first time.
    pub payload_sent: u64,
    /// Payload sent again, because another path was lost or suspect, and copies of redundant payload.
    pub payload_resent: u64,
    /// Everything else sent: headers, acknowledgements, credit.
    pub control_sent: u64,
    /// Payload received, duplicates included.
    pub payload_received: u64,
    /// Everything else received.
    pub control_received: u64,
}

impl AddAssign for PathStats {
    fn add_assign(&mut self, other: Self) {
        self.payload_sent += other.payload_sent;
        self.payload_resent += other.payload_resent;
        self.control_sent += other.control_sent;
        self.payload_received += other.payload_received;
        self.control_received += other.control_received;
    }
}

/// What the driver must pass on.
///
/// `Readable`, `Writable` and `Shut` are told once after a call that found nothing to do (a new stream
/// counts as one): so there are never more events than streams, paths and a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Data, an end or a failure waits to be read.
    Readable(StreamId),
    /// Room in the send buffer, or a failure.
    Writable(StreamId),
    /// The peer's library has the end and everything before it, or the stream failed.
    Shut(StreamId),
    /// At least one stream of the peer's waits in `accept`.
    Incoming,
    /// This path is over: drop its link.
    PathClosed(PathId, PathEnd),
    /// No path is left; the grace began.
    Stranded,
    /// This path owes an answer in silence; told once until something arrives on it.
    PathStalled(PathId),
    /// This path owes acknowledgements and shows no progress: what it owes goes out on others.
    PathSuspect(PathId),
    /// It moved again.
    PathTrusted(PathId),
    /// A message waits to be received.
    MessageReady,
    /// There is room for messages of this urgency again.
    MessageRoom(Urgency),
    /// What became of this message is final.
    MessageSettled(MessageId, Fate),
    /// The peer said on this path what it has: it carries from now on.
    PathCarries(PathId),
    /// The listener told where else it can be dialled.
    PeerAddresses,
    /// The peer told new facts of its network on this path.
    PathFacts(PathId),
    /// The session is over; every stream that was not finished has failed with this.
    Closed(CloseReason),
}

/// What a timeout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// An acknowledgement waited long enough for company.
    AckDelay,
    /// The grace of a session without a path runs out.
    Grace,
    /// A session that is finished stops answering.
    Linger,
    /// A path that owes an answer was silent long enough.
    Stall,
    /// What waits for the gate, a rate or a bound on starvation may go.
    Pace,
    /// A message's lifetime runs out.
    Lifetime,
    /// A path on which nothing goes is asked for a word.
    Probe,
}
