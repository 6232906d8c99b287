//! The resumable session, without I/O.
//!
//! ESSAY
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::Bytes;

mod choose;
mod config;
mod error;
pub mod frame;
pub mod handshake;
mod input;
mod labels;
mod life;
mod output;
mod path;
mod ranges;
mod receive;
mod rope;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub use config::Config;
pub use error::{AttachError, CloseReason, PathEnd, ProtocolError, StreamError};

use crate::label::Label;
use crate::label::matching::{PathFacts, Policy};
use crate::network::Network;
use choose::Paths;
use handshake::{Agreed, Credentials};
use receive::{Found, ReceiveHalf};
use rope::CHUNK;
use send::SendHalf;
use stream::{Stream, due};

/// Paths side by side: ids 0 to 7.
pub const MAX_PATHS: usize = 8;
/// Changes of label among the bytes of a stream that are not acknowledged; a write that would make one
/// more waits.
pub const MAX_RUNS: usize = 1024;
/// Pieces of a stream kept because they arrived early.
pub const MAX_SEGMENTS: usize = 2048;
/// Streams one side may open in the life of a session: an id has 24 bits, one of them the opener's.
pub const MAX_OPENS: u32 = 1 << 23;

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
    /// Payload sent again, because another path was lost.
    pub payload_resent: u64,
    /// Everything else sent: headers, acknowledgements, credit.
    pub control_sent: u64,
    /// Payload received, duplicates included.
    pub payload_received: u64,
    /// Everything else received.
    pub control_received: u64,
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
    /// A stream of the peer's waits in `accept`.
    Incoming,
    /// This path is over: drop its link.
    PathClosed(PathId, PathEnd),
    /// No path is left; the grace began.
    Stranded,
    /// This path owes an answer in silence; told once until something arrives on it.
    PathStalled(PathId),
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
}

/// How far the session is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// `close` was called; streams are still unfinished.
    Draining,
    /// All is finished, CLOSE is said, the peer's answer comes next.
    Saying,
    Over(CloseReason),
}

/// One session, whatever its paths.
#[derive(Debug)]
pub struct Session {
    config: Config,
    policy: Policy,
    role: Role,
    credentials: Credentials,
    grace: Duration,
    peer_window: u64,
    window: u64,
    max_streams: u16,
    phase: Phase,

    streams: BTreeMap<StreamId, Box<Stream>>,
    /// How many each side has opened: the next index.
    opened: u32,
    peer_opened: u32,
    /// Streams of the peer below `peer_opened` whose OPEN is still on its way by another path.
    peer_gaps: BTreeSet<u32>,
    alive: usize,
    peer_alive: usize,
    incoming: VecDeque<StreamId>,
    /// Streams that went lately: their last acknowledgement may have been on a path that is lost.
    gone: VecDeque<StreamId>,

    paths: Paths,
    /// The highest epoch attached, and the highest given out, by slot.
    epochs: [u32; MAX_PATHS],
    issued: [u32; MAX_PATHS],
    attached: u64,

    /// Streams with something to send, in turn.
    ready: VecDeque<StreamId>,
    /// Streams with something to tell.
    telling: VecDeque<StreamId>,
    /// Streams whose acknowledgement waits for company, and until when.
    ack_waits: Vec<StreamId>,
    ack_deadline: Option<Instant>,
    stranded: Option<Instant>,
    /// Since when there was nothing left but to answer.
    finished: Option<Instant>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session as the handshake left it, without a path: [`attach`](Self::attach) the first one.
    pub fn new(agreed: Agreed, config: Config, now: Instant) -> Self {
        let mut issued = [0; MAX_PATHS];
        issued[usize::from(agreed.path.id)] = agreed.path.epoch;
        // The listener keeps a session longer, so that a dialler never resumes into nothing.
        let grace = match agreed.role {
            Role::Dialler => agreed.grace,
            Role::Listener => agreed.grace + agreed.grace / 10,
        };
        Self {
            policy: Policy::default(),
            role: agreed.role,
            credentials: agreed.credentials,
            grace,
            peer_window: u64::from(agreed.peer_receive_window),
            window: u64::from(agreed.receive_window),
            max_streams: agreed.max_streams,
            phase: Phase::Open,
            streams: BTreeMap::new(),
            opened: 0,
            peer_opened: 0,
            peer_gaps: BTreeSet::new(),
            alive: 0,
            peer_alive: 0,
            incoming: VecDeque::new(),
            gone: VecDeque::new(),
            paths: Default::default(),
            epochs: [0; MAX_PATHS],
            issued,
            attached: 0,
            ready: VecDeque::new(),
            telling: VecDeque::new(),
            ack_waits: Vec::new(),
            ack_deadline: None,
            stranded: Some(now),
            finished: None,
            events: VecDeque::new(),
            config,
        }
    }

    /// Its name on the wire.
    pub fn id(&self) -> SessionId {
        self.credentials.id()
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How long it lives without a path: as agreed, at the listener 10 % longer.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// What an attach needs: id, keys, hash of the hellos, security level.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the system adds to every label; frames not yet begun are decided again.
    pub fn set_policy(&mut self, now: Instant, policy: Policy) {
        self.policy = policy;
        for slot in 0..MAX_PATHS {
            self.facts_changed(now, slot);
        }
    }

    // ---- streams

    /// Opens a stream; the peer learns of it with its first bytes or at the next `transmit`.
    ///
    /// # Errors
    /// `TooMany` at the limit of streams, `Closed` once the session is closing.
    pub fn open(&mut self, _now: Instant, label: Label) -> Result<StreamId, StreamError> {
        match self.phase {
            Phase::Open => {}
            Phase::Over(reason) => return Err(StreamError::Closed(reason)),
            Phase::Draining | Phase::Saying => {
                return Err(StreamError::Closed(CloseReason::Finished));
            }
        }
        let full = self.alive + self.peer_alive >= usize::from(self.max_streams);
        if full || self.opened == MAX_OPENS {
            return Err(StreamError::TooMany(self.max_streams));
        }
        let id = StreamId(self.opened << 1 | u32::from(self.role == Role::Listener));
        self.opened += 1;
        self.alive += 1;
        self.insert(id, label, true);
        self.mark(id, due::OPEN);
        Ok(id)
    }

    fn insert(&mut self, id: StreamId, label: Label, ours: bool) {
        let send = SendHalf::new(self.config.send_buffer, self.peer_window);
        let receive = ReceiveHalf::new(self.window);
        let stream = Stream::new(id, label, ours, send, receive);
        self.streams.insert(id, Box::new(stream));
    }

    /// The next stream the peer opened, and its label.
    pub fn accept(&mut self) -> Option<(StreamId, Label)> {
        loop {
            let id = self.incoming.pop_front()?;
            if let Some(stream) = self.streams.get(&id) {
                return Some((id, stream.label));
            }
        }
    }

    /// Takes what fits; 0 when the send buffer is full (`Writable` follows).
    ///
    /// # Errors
    /// The stream was reset, stopped or shut down, or the session is over.
    pub fn write(
        &mut self,
        _now: Instant,
        stream: StreamId,
        label: Label,
        data: &[u8],
    ) -> Result<usize, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let taken = state.send.write(&label, data)?;
        state.write_wanted = taken < data.len();
        self.make_ready(stream);
        Ok(taken)
    }

    /// Takes the front of `data` without copying it (pieces below 4 KiB are copied: a reference costs
    /// more).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_bytes(
        &mut self,
        _now: Instant,
        stream: StreamId,
        label: Label,
        data: &mut Bytes,
    ) -> Result<usize, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let taken = state.send.write_bytes(&label, data)?;
        state.write_wanted = !data.is_empty();
        self.make_ready(stream);
        Ok(taken)
    }

    /// Room in the send buffer, bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn writable(&self, stream: StreamId) -> Result<usize, StreamError> {
        let state = self.streams.get(&stream).ok_or(StreamError::Unknown)?;
        match state.send.failure {
            Some(failure) => Err(failure),
            None if !state.send.is_open() => Err(StreamError::Shutdown),
            None => Ok(state.send.room()),
        }
    }

    /// `None`: nothing yet; `Some((0, _))`: the end (or an empty `buf`). Never crosses a label boundary.
    ///
    /// # Errors
    /// The stream was reset, or the session is over; what had arrived in order is read first.
    pub fn read(
        &mut self,
        _now: Instant,
        stream: StreamId,
        buf: &mut [u8],
    ) -> Result<Option<(usize, Label)>, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let held = state.receive.ack_held();
        match state.receive.read(buf)? {
            Found::Nothing => Ok(None),
            Found::End => Ok(Some((0, state.label))),
            Found::Bytes(n, label) => {
                let mut bits = 0;
                if state.receive.credit_due() {
                    bits |= due::CREDIT;
                }
                if held {
                    bits |= due::ACK;
                }
                self.mark(stream, bits);
                Ok(Some((n, label)))
            }
        }
    }

    /// Ends our direction after what was written.
    pub fn shutdown(&mut self, _now: Instant, stream: StreamId) {
        if let Some(state) = self.streams.get_mut(&stream)
            && state.send.finish()
        {
            self.make_ready(stream);
        }
    }

    /// Whether the peer acknowledged our end.
    ///
    /// # Errors
    /// The stream failed before that.
    pub fn is_shut(&self, stream: StreamId) -> Result<bool, StreamError> {
        let state = self.streams.get(&stream).ok_or(StreamError::Unknown)?;
        match state.send.failure {
            _ if state.send.is_acknowledged() => Ok(true),
            Some(failure) => Err(failure),
            None => Ok(false),
        }
    }

    /// No more handles: shutdown in the background plus "no more reads".
    pub fn release(&mut self, now: Instant, stream: StreamId) {
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        state.released = true;
        let mut bits = 0;
        if !state.receive.done() {
            state.stopping = true;
            bits |= due::STOP;
        }
        state.receive.stop();
        if state.receive.credit_due() {
            bits |= due::CREDIT;
        }
        self.mark(stream, bits);
        self.shutdown(now, stream);
        self.settle(now, stream);
    }

    /// Abort: both directions, unsent data thrown away.
    pub fn reset(&mut self, now: Instant, stream: StreamId, code: u32) {
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        if state.finished() {
            return;
        }
        let error = StreamError::Reset(code);
        for path in self.paths.iter_mut().flatten() {
            path.outbox.abandon(stream, &state.send);
        }
        let bits = if state.send.done {
            // An end that was acknowledged stands; what the peer still sends is refused.
            state.code = code;
            state.stopping = true;
            state.receive.refuse(error);
            due::STOP
        } else {
            state.reset_both = true;
            state.send.abandon(error, Some(code));
            state.receive.fail(error, false);
            due::RESET
        };
        self.mark(stream, bits);
        self.wake(stream);
        self.settle(now, stream);
    }

    /// Labels that some unacknowledged byte, or the stream itself, carries now: each once.
    pub fn live_labels(&self) -> Vec<Label> {
        let mut labels = Vec::new();
        for stream in self.streams.values() {
            let own = (!stream.finished()).then_some(stream.label);
            for label in own.into_iter().chain(stream.send.rope.labels()) {
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        labels
    }

    /// The label of a stream's traffic from now on (for `live_labels`); each write names its own.
    pub fn set_label(&mut self, _now: Instant, stream: StreamId, label: Label) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.label = label;
        }
    }

    /// Something changed for whoever reads, writes or shuts this stream.
    fn wake(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.receive.wanted && stream.receive.readable() {
            stream.receive.wanted = false;
            self.events.push_back(Event::Readable(id));
        }
        let failed = stream.send.failure.is_some();
        if stream.write_wanted && (failed || stream.send.roomy()) {
            stream.write_wanted = false;
            self.events.push_back(Event::Writable(id));
        }
        if !stream.shut_told && (failed || stream.send.done) {
            stream.shut_told = true;
            self.events.push_back(Event::Shut(id));
        }
    }

    /// Notes that something of a stream is to be told.
    fn mark(&mut self, id: StreamId, bits: u8) {
        if bits == 0 {
            return;
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.due |= bits;
            if !stream.listed {
                stream.listed = true;
                self.telling.push_back(id);
            }
        }
    }

    /// Notes that a stream may have something to send.
    fn make_ready(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.ready
            && stream.send.wants_to_send()
        {
            stream.ready = true;
            self.ready.push_back(id);
        }
    }

    /// Paths changed: whatever waited for one may go now.
    fn all_ready(&mut self) {
        for stream in self.streams.values_mut() {
            if !stream.ready && stream.send.wants_to_send() {
                stream.ready = true;
                self.ready.push_back(stream.id);
            }
        }
    }

    /// What the driver must pass on, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // ---- wire out

    /// Fills `out` with what to write next on this path, in order; returns how many slices. Until
    /// [`transmitted`](Self::transmitted) they begin the same, whatever is called between.
    pub fn transmit<'a>(
        &'a mut self,
        now: Instant,
        path: PathId,
        out: &mut [IoSlice<'a>],
    ) -> usize {
        let Some(slot) = self.slot(path) else {
            return 0;
        };
        self.plan(now, slot);
        let this: &'a Self = self;
        match &this.paths[slot] {
            Some(path) => path.outbox.slices(&this.streams, out),
            None => 0,
        }
    }

    /// The slot of a path that is current.
    fn slot(&self, path: PathId) -> Option<usize> {
        let slot = usize::from(path.id);
        let current = self.paths.get(slot)?.as_ref()?;
        (current.id == path).then_some(slot)
    }
}
