//! The resumable session, without I/O.
//!
//! ESSAY
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

mod choose;
mod config;
mod control;
mod decoder;
mod error;
pub mod frame;
pub mod handshake;
mod input;
mod labels;
mod life;
mod outbox;
mod output;
mod path;
mod ranges;
mod receive;
mod rope;
mod send;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use config::Config;
pub use error::{AttachError, CloseReason, PathEnd, ProtocolError, StreamError};
pub use types::{Event, PathId, PathSides, PathStats, Role, SessionId, StreamId, Wake};
pub use watch::Offsets;

use crate::label::matching::Policy;
use choose::Paths;
use handshake::{Agreed, Credentials};
use stream::Stream;

/// Paths side by side: ids 0 to 7.
pub const MAX_PATHS: usize = 8;
/// Changes of label among the bytes of a stream that are not acknowledged; a write that would make one
/// more waits.
pub const MAX_RUNS: usize = 1024;
/// Pieces of a stream kept because they arrived early.
pub const MAX_SEGMENTS: usize = 2048;
/// Streams one side may open in the life of a session: an id has 24 bits, one of them the opener's.
pub const MAX_OPENS: u32 = 1 << 23;

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
    /// What went over the last path of each slot that is gone.
    ended: Vec<(PathId, PathStats)>,
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
            ended: Vec::new(),
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
