//! The resumable session, without I/O.
//!
//! # The problem
//!
//! Two programs want byte streams that outlive the connections that carry them: any path may be lost,
//! all of them for hours, silently or not, with bytes under way in both directions. Every byte must
//! arrive exactly once and in order, buffers must be bounded, a slow reader must stall only its own
//! stream, and nobody but the two may join a path. There may be several paths at once, and then all of
//! them are to carry, each what is best sent by it.
//!
//! # The picture
//!
//! ```text
//!  write --> replay buffer --> frames --> outbox of a path ==> decoder --> receive buffer --> read
//!            (Rope, one a      DATA at    (one a path)                     (Rope, and what
//!             stream)          an offset                                    came early)
//!                 ^                                                            |
//!                 +------------------ ACK: released     CREDIT: may send <-----+
//!
//!  a byte written:   fresh --sent--> flying --acknowledged--> released
//!                                      |  ^
//!              path lost, or suspect   v  | sent again, by any path that its label admits
//!                                      lost
//!
//!  a path:      attach --> both tell what they have, RESUME --> carries
//!                  carries --RETIRE both ways, all acknowledged--> closed (Retired)
//!                  any --link fails / newer epoch / broken protocol--> closed (Lost / Replaced / Protocol)
//!                  carries --owes without progress--> suspect --moves--> carries
//!                                                     suspect --silent, another carries--> closed (Silent)
//!
//!  our half of a stream:   open --shutdown--> FIN due --sent--> flying --ACK of it--> done
//!                          open --reset, or the peer's STOP--> RESET sent --RESET_ACK--> done
//!  the peer's half:        open --FIN and every byte before it--> complete;  --RESET--> cut off
//!
//!  the session:  open --close--> draining --all streams finished--> CLOSE said --CLOSED--> over
//!                open, draining --abort, grace out, the peer's CLOSE, rollback--> over
//! ```
//!
//! # The rules
//!
//! Each stands whole beside its code:
//!
//! | of | in short | where |
//! | --- | --- | --- |
//! | bytes and offsets | what is written is kept until the peer's library has it; each byte is taken once | `send.rs` |
//! | acknowledgements, credit | told with what goes anyway, or soon; a window for each stream | `receive.rs` |
//! | labels | a byte travels only where its label admits, when it is sent again too | `labels.rs` |
//! | streams | opened, finished, cut off and forgotten by both ends alike | `streams.rs` |
//! | paths | each begins with all that its end has, so nothing hangs on what was lost | `path.rs` |
//! | which path | all at once, the more urgent first, each what is best sent by it | `choose.rs`, `plan.rs` |
//! | trouble | a path without progress is doubted, and what it owes goes by the others | `trust.rs`, `watch.rs`, `idle.rs` |
//! | ends | everything is finished, or one reason is told to all, the same ever after | `life.rs` |
//! | messages | whole, at most once, after those they come after | [`messages`] |
//!
//! # The bytes
//!
//! The handshake stands in [`handshake`], the frames in [`frame`].
//!
//! # The limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | replay buffer | [`Config::send_buffer`] a stream | `write` takes 0 |
//! | receive buffer | [`Config::receive_window`] a stream | the path ends |
//! | changes of label | [`MAX_RUNS`] unacknowledged a stream; as many unread are acknowledged, the rest waits | `write` takes 0; the path ends |
//! | pieces out of order | [`MAX_SEGMENTS`] a stream | the path ends |
//! | streams | [`Config::max_streams`] both sides' together, opened by one side | `open` fails; the path ends |
//! | streams that are over and nobody took | [`Config::max_streams`] | the peer's STOP is answered when they are taken |
//! | payload of a frame | [`frame::MAX_PAYLOAD`] | the path ends, nothing reserved |
//! | any other frame | [`frame::MAX_CONTROL`] | the path ends, nothing reserved |
//! | labels by number | [`frame::MAX_LABELS`] a path and direction | the oldest is defined anew |
//! | control frames waiting on a path | 64 KiB of answers | the path ends |
//! | planned on a path | 1 MiB of references, no copy; two chunks of a few milliseconds beside others | |
//! | copies of redundant payload planned on a path | 64 KiB | it goes once |
//! | PINGs among payload not answered | 64 a path | it is not asked |
//! | moments at which payload went | 32 a path | the latest are taken for one |
//! | background that waits | 5 s for its next chunk | it goes before everything |
//! | paths | [`MAX_PATHS`] | the attach is refused |
//! | addresses of the listener | [`MAX_ADDRESSES`] | the first are kept |
//! | messages | see [`messages`] | |
//! | chunks to be used again | 1 MiB a thread, whatever its sessions | the system has them back |
//! | events | one a stream and kind, one a message, a few a path | |
//!
//! [`Config::worst_case_memory`] sums them up.
//!
//! # For a driver
//!
//! After any input: tell [`Session::surroundings`], and [`Session::measured`] of each path while
//! [`Session::wants_measures`], offer each path to [`Session::transmit`] until none takes more, drain
//! [`Session::poll_event`], arm [`Session::poll_timeout`]. Between `transmit` and `transmitted` call nothing else. Payload moves twice
//! at most: into the replay buffer ([`Session::write_bytes`] spares that), and out of the receive buffer
//! ([`Session::direct`] spares that).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod addresses;
mod choose;
mod chunks;
mod config;
mod control;
mod decoder;
mod error;
mod flights;
mod forecast;
pub mod frame;
#[cfg(feature = "test-util")]
pub(crate) mod fuzz;
pub mod handshake;
mod idle;
mod input;
mod labels;
mod life;
pub mod messages;
mod outbox;
mod output;
mod owing;
mod path;
mod plan;
mod ranges;
mod ready;
mod receive;
mod rope;
mod send;
mod sight;
mod sounding;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod toll;
mod trust;
mod types;
mod watch;

pub use crate::proto::schedule::{Measure, Surroundings};
pub use addresses::MAX_ADDRESSES;
pub use config::Config;
pub use error::{AttachError, CloseReason, PathEnd, ProtocolError, StreamError};
pub use sight::{Offsets, PathState};
pub use toll::{Tally, Toll};
pub use types::{Event, PathId, PathSides, PathStats, Role, SessionId, StreamId, Wake};

use crate::label::matching::Policy;
use crate::proto::schedule::meter::Meter;
use choose::Paths;
use handshake::{Agreed, Credentials};
use outbox::Source;
use path::Ended;
use ready::Ready;
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
    /// It without the budgets that are spent, while some are.
    lasting: Option<Policy>,
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
    /// Slots that have a path, a bit each.
    open: u8,
    /// The highest epoch attached, and the highest given out, by slot.
    epochs: [u32; MAX_PATHS],
    /// What went over the last path of each slot that is gone.
    ended: Vec<Ended>,
    issued: [u32; MAX_PATHS],
    /// By slot, how many had attached when the last one was given out, if there was no path then.
    dialled_alone: [Option<u64>; MAX_PATHS],
    attached: u64,

    messages: Box<messages::State>,
    /// Streams with something to send, in turn.
    ready: Ready,
    /// By urgency, whether streams are to go before messages next.
    streams_first: [bool; 3],
    /// Streams with something to tell.
    telling: VecDeque<StreamId>,
    /// Streams whose acknowledgement waits for company, and until when.
    ack_waits: Vec<StreamId>,
    ack_deadline: Option<Instant>,
    /// What the process does around this session.
    around: Surroundings,
    /// When interactive payload last went or came.
    interactive: Option<Instant>,
    /// When anything less urgent last went or came.
    bulk: Option<Instant>,
    /// Some payload was background, ever.
    had_background: bool,
    /// By urgency: when background moved last, or began to wait; since when what is more urgent is held
    /// back for other sessions.
    held_since: [Option<Instant>; 3],
    /// What holds the rate.
    meter: Option<Meter>,
    /// When to look again at what waits for the gate and the like.
    pace: Option<Instant>,
    /// When data was last planned.
    planned: Option<Instant>,
    stranded: Option<Instant>,
    /// Since when there was nothing left but to answer.
    finished: Option<Instant>,
    events: VecDeque<Event>,
    /// Where else the listener can be dialled, as it says.
    peer_addresses: Vec<SocketAddr>,
}

impl Session {
    /// A session as the handshake left it, without a path: [`attach`](Self::attach) the first one.
    pub fn new(agreed: Agreed, config: Config, now: Instant) -> Self {
        let mut issued = [0; MAX_PATHS];
        issued[usize::from(agreed.path.id)] = agreed.path.epoch;
        // The listener keeps a session longer, so that a dialler never resumes into nothing.
        let grace = match agreed.role {
            Role::Dialler => agreed.grace,
            Role::Listener => agreed.grace.saturating_add(agreed.grace / 10),
        };
        Self {
            policy: Policy::default(),
            lasting: None,
            role: agreed.role,
            credentials: agreed.credentials,
            grace,
            peer_window: u64::from(agreed.peer_receive_window),
            window: u64::from(agreed.receive_window),
            max_streams: agreed.max_streams,
            messages: Box::new(messages::State::new(
                config.send_buffer,
                u64::from(agreed.peer_receive_window),
                u64::from(agreed.receive_window),
            )),
            phase: Phase::Open,
            streams: BTreeMap::new(),
            opened: 0,
            peer_opened: 0,
            peer_gaps: BTreeSet::new(),
            alive: 0,
            peer_alive: 0,
            incoming: VecDeque::new(),
            around: Surroundings::default(),
            interactive: None,
            gone: VecDeque::new(),
            paths: Default::default(),
            open: 0,
            epochs: [0; MAX_PATHS],
            ended: Vec::new(),
            issued,
            dialled_alone: [None; MAX_PATHS],
            attached: 0,
            ready: Ready::default(),
            streams_first: [false; 3],
            telling: VecDeque::new(),
            ack_waits: Vec::new(),
            ack_deadline: None,
            bulk: None,
            had_background: false,
            held_since: [None; 3],
            meter: config.rate_limit.map(plan::meter),
            pace: None,
            planned: None,
            stranded: Some(now),
            finished: None,
            events: VecDeque::new(),
            peer_addresses: Vec::new(),
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
        self.lasting = policy.without_spent();
        self.policy = policy;
        for slot in 0..MAX_PATHS {
            self.facts_changed(now, slot);
        }
        self.credit_again();
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

    /// Notes that a stream may have something to send, and how urgent that is now.
    fn make_ready(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.send.wants_to_send() {
            return;
        }
        let urgency = stream.send.urgency();
        if stream.ready.is_some_and(|stands| stands <= urgency) {
            return;
        }
        if let Some(stands) = stream.ready.replace(urgency) {
            self.ready.remove(stands, id);
        }
        self.ready.push(urgency, id);
        // What is planned of it stands before these bytes, so it is as urgent.
        for path in self.paths.iter_mut().flatten() {
            if path.outbox.queued() > path.outbox.before(urgency) {
                path.outbox.raise(Source::Stream(id), urgency);
            }
        }
    }

    /// Paths changed: whatever waited for one may go now.
    fn all_ready(&mut self) {
        for stream in self.streams.values_mut() {
            if stream.ready.is_none() && stream.send.wants_to_send() {
                let urgency = stream.send.urgency();
                stream.ready = Some(urgency);
                self.ready.push(urgency, stream.id);
            }
        }
    }

    /// What the driver must pass on, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // ---- wire out

    /// Fills `out` with what to write next on this path, in order; returns how many slices. Called again
    /// without anything between, it gives the same; what the link took of it goes to
    /// [`transmitted`](Self::transmitted) before any other call.
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

    /// Whether there is more than one path.
    fn several_open(&self) -> bool {
        self.open & self.open.wrapping_sub(1) != 0
    }

    /// The slots that have a path: most sessions have one, and look for it often.
    fn open_slots(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.open;
        std::iter::from_fn(move || {
            let slot = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (slot < MAX_PATHS).then_some(slot)
        })
    }

    /// The slot of a path that is current.
    fn slot(&self, path: PathId) -> Option<usize> {
        let slot = usize::from(path.id);
        let current = self.paths.get(slot)?.as_ref()?;
        (current.id == path).then_some(slot)
    }
}
