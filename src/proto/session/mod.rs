//! The session core. (Signatures the driver is written against; bodies to come.)
#![allow(unused_variables, missing_docs, clippy::missing_errors_doc)]

pub mod handshake;

use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::label::Label;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Dialler,
    Listener,
}

/// Settings of one session; each bounds something.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of unacknowledged and unsent data a stream may hold (the replay buffer).
    pub send_buffer: usize,
    /// Bytes a stream's peer may have in flight or unread here (credit).
    pub receive_window: usize,
    /// Streams alive at once, both sides' together.
    pub max_streams: u16,
    /// An acknowledgement goes out after this many received bytes..
    pub ack_bytes: usize,
    /// ..or this long after the first unacknowledged one, or with the next data.
    pub ack_delay: Duration,
    /// The largest payload of a data frame.
    pub max_frame: usize,
    /// How long a finished session stays to answer after its last path closed.
    pub linger: Duration,
}

/// What both ends know of a path's facts.
#[derive(Debug, Clone)]
pub struct PathSides {
    /// Our network; `None` where no network is used (loopback, Unix) or it is not known.
    pub local: Option<Network>,
    /// What the peer said of its network.
    pub remote: PathFacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathStats {
    pub payload_sent: u64,
    pub payload_resent: u64,
    pub control_sent: u64,
    pub payload_received: u64,
    pub control_received: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Data, an end or a failure waits to be read.
    Readable(StreamId),
    /// Room in the send buffer, or a failure.
    Writable(StreamId),
    /// The peer's library has the end and everything before it, or the stream failed.
    Shut(StreamId),
    /// A stream of the peer's waits in `accept`.
    Incoming,
    /// This path is over: drop its link.
    PathClosed(PathId, PathEnd),
    /// No path is left; the grace began.
    Stranded,
    /// The peer told new facts of its network on this path.
    PathFacts(PathId),
    /// The session is over; every stream that was not finished has failed with this.
    Closed(CloseReason),
}

/// Why a path ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEnd {
    Lost,
    Replaced,
    Retired,
    Protocol(ProtocolError),
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

/// What the peer broke; ends the path, never the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    #[error("placeholder")]
    Placeholder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    #[error("the path's epoch is not above the highest seen")]
    StaleEpoch,
    #[error("the session is over")]
    Over,
    #[error("the session has its limit of paths")]
    TooManyPaths,
}

/// Why a stream operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer reset the stream, with its code.
    #[error("the peer reset the stream (code {0})")]
    Reset(u32),
    /// The peer reads no more.
    #[error("the peer stopped reading")]
    Stopped,
    /// Written after shutdown.
    #[error("written after shutdown")]
    Shutdown,
    #[error("the session is over: {0:?}")]
    Closed(CloseReason),
    #[error("no such stream")]
    Unknown,
    #[error("the session has its limit of {0} streams")]
    TooMany(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    AckDelay,
    Grace,
    Linger,
    Probe,
}

/// One session, whatever its paths.
#[derive(Debug)]
pub struct Session {
    _p: (),
}

impl Session {
    pub fn new(agreed: handshake::Agreed, config: Config, now: Instant) -> Self {
        todo!()
    }
    pub fn id(&self) -> SessionId {
        todo!()
    }
    pub fn role(&self) -> Role {
        todo!()
    }
    pub fn grace(&self) -> Duration {
        todo!()
    }
    /// What an attach needs: id, keys, hash of the hellos, security level.
    pub fn credentials(&self) -> &handshake::Credentials {
        todo!()
    }

    // ---- streams
    pub fn open(&mut self, now: Instant, label: Label) -> Result<StreamId, StreamError> {
        todo!()
    }
    pub fn accept(&mut self) -> Option<(StreamId, Label)> {
        todo!()
    }
    /// Takes what fits; 0 when the send buffer is full (`Writable` follows).
    pub fn write(
        &mut self,
        now: Instant,
        stream: StreamId,
        label: Label,
        data: &[u8],
    ) -> Result<usize, StreamError> {
        todo!()
    }
    /// Takes the front of `data` without copying it.
    pub fn write_bytes(
        &mut self,
        now: Instant,
        stream: StreamId,
        label: Label,
        data: &mut Bytes,
    ) -> Result<usize, StreamError> {
        todo!()
    }
    /// Room in the send buffer, bytes.
    pub fn writable(&self, stream: StreamId) -> Result<usize, StreamError> {
        todo!()
    }
    /// `None`: nothing yet; `Some((0, _))`: the end (or an empty `buf`). Never crosses a label boundary.
    pub fn read(
        &mut self,
        now: Instant,
        stream: StreamId,
        buf: &mut [u8],
    ) -> Result<Option<(usize, Label)>, StreamError> {
        todo!()
    }
    /// Ends our direction after what was written.
    pub fn shutdown(&mut self, now: Instant, stream: StreamId) {
        todo!()
    }
    /// Whether the peer acknowledged our end.
    pub fn is_shut(&self, stream: StreamId) -> Result<bool, StreamError> {
        todo!()
    }
    /// No more handles: shutdown in the background plus "no more reads".
    pub fn release(&mut self, now: Instant, stream: StreamId) {
        todo!()
    }
    /// Abort: both directions, unsent data thrown away.
    pub fn reset(&mut self, now: Instant, stream: StreamId, code: u32) {
        todo!()
    }
    /// Labels that some unsent byte, or the stream itself, carries now.
    pub fn live_labels(&self) -> Vec<Label> {
        todo!()
    }
    /// The label of a stream's traffic from now on (for `live_labels`).
    pub fn set_label(&mut self, now: Instant, stream: StreamId, label: Label) {
        todo!()
    }

    // ---- the session's end
    /// No more opens; closes once every stream is finished.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    /// Ends at once, telling the peer on any path.
    pub fn abort(&mut self, now: Instant, reason: CloseReason) {
        todo!()
    }
    pub fn closed(&self) -> Option<CloseReason> {
        todo!()
    }

    // ---- paths
    /// Dialler: the id and epoch for the next attach in this slot (0 to 7).
    pub fn next_path(&mut self, slot: u8) -> PathId {
        todo!()
    }
    /// A proved path joins; an older epoch of the same id ends (`PathClosed(.., Replaced)`).
    pub fn attach(
        &mut self,
        now: Instant,
        path: PathId,
        sides: PathSides,
    ) -> Result<(), AttachError> {
        todo!()
    }
    pub fn update_path(&mut self, now: Instant, path: PathId, sides: PathSides) {
        todo!()
    }
    /// The link failed or ended.
    pub fn lose(&mut self, now: Instant, path: PathId) {
        todo!()
    }
    /// Stop using a path in favour of the others, then close it in order (make before break).
    pub fn retire(&mut self, now: Instant, path: PathId) {
        todo!()
    }
    pub fn paths(&self) -> Vec<PathId> {
        todo!()
    }
    pub fn path_stats(&self, path: PathId) -> Option<PathStats> {
        todo!()
    }
    pub fn remote_facts(&self, path: PathId) -> Option<PathFacts> {
        todo!()
    }

    // ---- wire in
    pub fn receive(
        &mut self,
        now: Instant,
        path: PathId,
        input: &[u8],
    ) -> Result<(), ProtocolError> {
        todo!()
    }
    /// Payload bytes that come next on this path and may go straight into a reader's buffer, for
    /// this stream: it has nothing buffered, and the path stands inside a data frame at its offset.
    pub fn direct(&self, path: PathId, stream: StreamId) -> usize {
        todo!()
    }
    /// `n <= direct(..)` such bytes were put into the reader's buffer.
    pub fn received_direct(
        &mut self,
        now: Instant,
        path: PathId,
        stream: StreamId,
        n: usize,
    ) -> Label {
        todo!()
    }

    // ---- wire out
    /// Fills `out` with what to write next on this path, in order; returns how many slices.
    pub fn transmit<'a>(
        &'a mut self,
        now: Instant,
        path: PathId,
        out: &mut [IoSlice<'a>],
    ) -> usize {
        todo!()
    }
    /// The link took `n` bytes of it.
    pub fn transmitted(&mut self, now: Instant, path: PathId, n: usize) {
        todo!()
    }

    // ---- time and events
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
}
