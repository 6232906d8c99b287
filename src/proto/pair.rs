//! Two session cores and seeded links between them, in virtual time: the whole protocol, handshakes
//! included, without a socket, a task or a clock. For tests of the cores and of what is built on them.
//!
//! A link is ordered and reliable while it lives, as TCP is: it delays, cuts what it carries at any
//! byte, holds a bounded amount, and takes what is under way with it when it is cut. Two links know
//! nothing of each other, so what goes over both arrives in any order.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::session::handshake::{
    Agreed, DialAttach, DialHello, Entropy, Greeting, Offer, Replied, Security,
};
use super::session::{
    AttachError, Config, Event, PathId, PathSides, Session, StreamError, StreamId,
};
use crate::label::Label;
use crate::label::matching::PathFacts;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that dials.
    Dialler = 0,
    /// The one that listens.
    Listener = 1,
}

impl End {
    /// Both, the dialler first.
    pub const BOTH: [End; 2] = [End::Dialler, End::Listener];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            End::Dialler => End::Listener,
            End::Listener => End::Dialler,
        }
    }
}

/// How links behave.
#[derive(Debug, Clone)]
pub struct Weather {
    /// The least one-way delay. Default 5 ms.
    pub delay: Duration,
    /// What is added to it at random, for each piece. Default 5 ms.
    pub jitter: Duration,
    /// Bytes a link takes before somebody must read. Default 256 KiB.
    pub capacity: usize,
    /// The longest piece that arrives at once; pieces are cut at random below it. Default 64 KiB.
    pub piece: usize,
    /// Slices offered to `transmit`, at most 64. Default 16.
    pub slices: usize,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            capacity: 256 << 10,
            piece: 64 << 10,
            slices: 16,
        }
    }
}

/// A small generator of repeatable numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// Entropy for a handshake. Repeatable, so fit for tests and nothing else.
    pub fn entropy(&mut self) -> Entropy {
        let mut bytes = [0; 96];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes());
        }
        Entropy(bytes)
    }
}

/// One direction of a link.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    held: usize,
    /// When the far end learns that the link is gone.
    ends: Option<Instant>,
    /// It has learned it.
    over: bool,
}

#[derive(Debug, Default)]
struct Link {
    /// By the end that reads.
    pipes: [Pipe; 2],
    /// Nothing moves, and nobody is told.
    silent: bool,
}

/// One end: its core, and what its program has seen.
#[derive(Debug)]
pub struct Side {
    /// The core.
    pub session: Session,
    /// Every event so far.
    pub events: Vec<Event>,
    /// What was read of each stream so far.
    pub read: BTreeMap<StreamId, Vec<u8>>,
    /// The labels of it, as ends of runs.
    pub labels: BTreeMap<StreamId, Vec<(usize, Label)>>,
    /// Lets the driver's way around the receive buffer be used where it can be.
    pub direct: bool,
}

/// Two sessions and the links between them.
#[derive(Debug)]
pub struct Pair {
    /// The dialler, then the listener.
    pub sides: [Side; 2],
    /// How links behave from now on.
    pub weather: Weather,
    /// The numbers that decide.
    pub seeded: Seeded,
    now: Instant,
    links: BTreeMap<PathId, Link>,
}

/// An offer for tests: ten minutes of grace, everything known nothing.
pub fn offer(config: &Config) -> Offer {
    Offer {
        grace: Duration::from_secs(600),
        receive_window: u32::try_from(config.receive_window).unwrap_or(u32::MAX),
        max_streams: config.max_streams,
        facts: PathFacts::default(),
        anonymous: false,
        security: Security::Clear,
        exporter: Vec::new(),
    }
}

/// Sides of a path of which nothing is known.
pub fn anywhere() -> PathSides {
    PathSides {
        local: None,
        remote: PathFacts::default(),
    }
}

/// The body of a framed message.
fn body(message: &[u8]) -> &[u8] {
    message.get(2..).unwrap_or_default()
}

/// Runs a first handshake from end to end.
///
/// # Panics
/// If it fails: the messages are its own.
pub fn handshake(seeded: &mut Seeded, dialler: Offer, listener: Offer) -> [Agreed; 2] {
    let (state, hello) = DialHello::new(seeded.entropy(), dialler);
    let Ok(Greeting::New(greeting)) = Greeting::parse(body(&hello)) else {
        panic!("a hello is read as a hello");
    };
    let (awaiting, reply) = greeting
        .reply(seeded.entropy(), listener)
        .expect("honest keys are not weak");
    let Ok(Replied::Confirm(state, confirm)) = state.reply(body(&reply)) else {
        panic!("a reply is answered by a confirmation");
    };
    let (theirs, accepted) = awaiting
        .confirm(body(&confirm))
        .expect("an honest confirmation verifies");
    let ours = state
        .accepted(body(&accepted))
        .expect("an honest acceptance verifies");
    [ours, theirs]
}

impl Pair {
    /// Two sessions of these settings, joined by their first path.
    ///
    /// # Panics
    /// If they cannot be joined: the messages are its own.
    pub fn new(seed: u64, now: Instant, dialler: Config, listener: Config) -> Self {
        let mut seeded = Seeded::new(seed);
        let agreed = handshake(&mut seeded, offer(&dialler), offer(&listener));
        let path = agreed[0].path;
        let [ours, theirs] = agreed;
        let side = |agreed, config| Side {
            session: Session::new(agreed, config, now),
            events: Vec::new(),
            read: BTreeMap::new(),
            labels: BTreeMap::new(),
            direct: false,
        };
        let mut pair = Self {
            sides: [side(ours, dialler), side(theirs, listener)],
            weather: Weather::default(),
            seeded,
            now,
            links: BTreeMap::new(),
        };
        pair.join(path).expect("the first path joins");
        pair
    }

    fn join(&mut self, path: PathId) -> Result<(), AttachError> {
        for end in [End::Listener, End::Dialler] {
            let now = self.now;
            self.session(end).attach(now, path, anywhere())?;
        }
        self.links.insert(path, Link::default());
        Ok(())
    }

    /// The core of an end.
    pub fn session(&mut self, end: End) -> &mut Session {
        &mut self.sides[end as usize].session
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Dials one more path in this slot, proof and all, which takes no time.
    ///
    /// # Errors
    /// What `attach` answers: the session may be over at either end.
    ///
    /// # Panics
    /// If the handshake fails: the messages are its own.
    pub fn dial(&mut self, slot: u8) -> Result<PathId, AttachError> {
        let entropy = [self.seeded.entropy(), self.seeded.entropy()];
        let path = self.session(End::Dialler).next_path(slot);
        let [dialler, listener] = &self.sides;
        let [ours, theirs] = entropy;
        let (state, attach) = DialAttach::new(
            ours,
            dialler.session.credentials(),
            path,
            &offer(dialler.session.config()),
        );
        let Ok(Greeting::Attach(greeting)) = Greeting::parse(body(&attach)) else {
            panic!("an attach is read as an attach");
        };
        let known = listener.session.credentials();
        let (awaiting, challenge) =
            greeting.challenge(theirs, Some(known), offer(listener.session.config()));
        let (state, proof) = state
            .challenge(body(&challenge))
            .expect("an honest challenge is answered");
        let (_, accepted) = awaiting
            .proof(body(&proof))
            .expect("an honest proof verifies");
        state
            .accepted(body(&accepted))
            .expect("an honest acceptance verifies");
        self.join(path)?;
        Ok(path)
    }

    /// The paths with a link.
    pub fn paths(&self) -> Vec<PathId> {
        self.links.keys().copied().collect()
    }

    /// Whether a link is neither cut nor silent.
    pub fn is_up(&self, path: PathId) -> bool {
        let link = self.links.get(&path);
        link.is_some_and(|link| !link.silent && link.pipes.iter().all(|pipe| pipe.ends.is_none()))
    }

    /// Cuts a link: some of what is under way still arrives, the rest never does; each end learns of it
    /// within the jitter.
    pub fn cut(&mut self, path: PathId) {
        let Some(link) = self.links.get_mut(&path) else {
            return;
        };
        for pipe in &mut link.pipes {
            let keep = self.seeded.below(pipe.pieces.len() as u64 + 1) as usize;
            pipe.pieces.truncate(keep);
            let jitter = self.weather.jitter.as_nanos() as u64;
            let last = pipe.pieces.back().map_or(self.now, |(at, _)| *at);
            let learns = last + Duration::from_nanos(self.seeded.below(jitter + 1));
            pipe.ends.get_or_insert(learns);
        }
    }

    /// A link carries nothing more, and nobody is told; `cut` it to end that.
    pub fn silence(&mut self, path: PathId) {
        if let Some(link) = self.links.get_mut(&path) {
            link.silent = true;
        }
    }

    /// Lets both ends write what they want to.
    fn flush(&mut self) {
        for end in End::BOTH {
            self.drain_events(end);
            let mut some = true;
            while some {
                some = false;
                for path in self.session(end).paths() {
                    while self.write_some(end, path) > 0 {
                        some = true;
                    }
                }
            }
            self.drain_events(end);
        }
    }

    /// Moves what one `transmit` gives, as far as the link takes it.
    fn write_some(&mut self, end: End, path: PathId) -> usize {
        let now = self.now;
        let Some(link) = self.links.get_mut(&path) else {
            return 0;
        };
        let pipe = &mut link.pipes[end.other() as usize];
        let room = self.weather.capacity.saturating_sub(pipe.held);
        if room == 0 || pipe.ends.is_some() {
            return 0;
        }
        let session = &mut self.sides[end as usize].session;
        let mut slices = [IoSlice::new(&[]); 64];
        let offered = self.weather.slices.clamp(1, slices.len());
        let count = session.transmit(now, path, &mut slices[..offered]);
        let mut bytes: Vec<u8> = Vec::new();
        for slice in &slices[..count] {
            bytes.extend_from_slice(slice);
        }
        bytes.truncate(room);
        let written = bytes.len();
        while !bytes.is_empty() {
            let length = 1 + self.seeded.below(self.weather.piece as u64) as usize;
            let rest = bytes.split_off(length.min(bytes.len()));
            let jitter = self.weather.jitter.as_nanos() as u64;
            let delay = self.weather.delay + Duration::from_nanos(self.seeded.below(jitter + 1));
            let arrives = pipe
                .pieces
                .back()
                .map_or(now, |(at, _)| *at)
                .max(now + delay);
            pipe.held += bytes.len();
            pipe.pieces.push_back((arrives, bytes));
            bytes = rest;
        }
        self.session(end).transmitted(now, path, written);
        written
    }

    fn drain_events(&mut self, end: End) {
        while let Some(event) = self.session(end).poll_event() {
            if let Event::PathClosed(path, _) = event {
                self.hang_up(end, path);
            }
            self.sides[end as usize].events.push(event);
        }
    }

    /// One end closed a link: the other reads what is under way, then the end.
    fn hang_up(&mut self, end: End, path: PathId) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&path) {
            let ours = &mut link.pipes[end as usize];
            ours.pieces.clear();
            ours.ends = Some(now);
            ours.over = true;
            let theirs = &mut link.pipes[end.other() as usize];
            let last = theirs.pieces.back().map_or(now, |(at, _)| *at);
            theirs.ends.get_or_insert(last);
        }
    }

    /// When something happens next, and whether anything will.
    fn next_time(&self) -> Option<Instant> {
        let arrivals = self.links.values().filter(|link| !link.silent);
        let arrivals = arrivals.flat_map(|link| &link.pipes).filter_map(|pipe| {
            let first = pipe.pieces.front().map(|(at, _)| *at);
            first.or(pipe.ends.filter(|_| !pipe.over))
        });
        let cuts = self.links.values().filter(|link| link.silent);
        let cuts = cuts.flat_map(|link| &link.pipes);
        let cuts = cuts.filter_map(|pipe| pipe.ends.filter(|_| !pipe.over));
        let timeouts = (self.sides.iter()).filter_map(|side| side.session.poll_timeout());
        arrivals.chain(cuts).chain(timeouts.map(|(at, _)| at)).min()
    }

    /// Goes on to the next thing that happens, but not past `until`; `false` when nothing will.
    pub fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let Some(next) = self.next_time().filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        for end in End::BOTH {
            for path in self.paths() {
                self.deliver(end, path);
            }
            if matches!(self.session(end).poll_timeout(), Some((at, _)) if at <= now) {
                self.session(end).handle_timeout(now);
            }
        }
        self.links
            .retain(|_, link| link.pipes.iter().any(|pipe| !pipe.over));
        self.flush();
        true
    }

    fn deliver(&mut self, end: End, path: PathId) {
        let now = self.now;
        loop {
            let Some(link) = self.links.get_mut(&path) else {
                return;
            };
            let silent = link.silent;
            let pipe = &mut link.pipes[end as usize];
            match pipe.pieces.front() {
                Some((at, _)) if *at <= now && !silent => {
                    let (_, bytes) = pipe.pieces.pop_front().expect("it is there");
                    pipe.held -= bytes.len();
                    self.hand_over(end, path, &bytes);
                }
                Some(_) if !silent => return,
                _ => {
                    if pipe.ends.is_some_and(|at| at <= now) && !pipe.over {
                        pipe.over = true;
                        self.session(end).lose(now, path);
                    }
                    return;
                }
            }
        }
    }

    /// Gives bytes to a core, past its receive buffer where that is allowed.
    fn hand_over(&mut self, end: End, path: PathId, mut bytes: &[u8]) {
        let now = self.now;
        while !bytes.is_empty() {
            let side = &mut self.sides[end as usize];
            let open: Vec<StreamId> = if side.direct {
                side.read.keys().copied().collect()
            } else {
                Vec::new()
            };
            let direct = open
                .into_iter()
                .map(|id| (id, side.session.direct(path, id)))
                .find(|(_, n)| *n > 0);
            if let Some((id, n)) = direct {
                let (taken, rest) = bytes.split_at(n.min(bytes.len()));
                let label = side.session.received_direct(now, path, id, taken.len());
                side.keep(id, taken, label);
                bytes = rest;
            } else {
                // One header at a time where the way past the buffer should get its chance.
                let length = if side.direct { 16 } else { bytes.len() };
                let (now_bytes, rest) = bytes.split_at(length.min(bytes.len()));
                // An error ends the path, which its event tells.
                let _ = side.session.receive(now, path, now_bytes);
                bytes = rest;
            }
        }
    }

    /// Steps until nothing happens any more or `limit` of virtual time has passed.
    pub fn run(&mut self, limit: Duration) {
        let until = self.now + limit;
        while self.step(until) {}
    }

    /// Reads at most `max` bytes of a stream; how many, or `None` at its end.
    ///
    /// # Errors
    /// What the stream answers.
    pub fn read(
        &mut self,
        end: End,
        stream: StreamId,
        max: usize,
    ) -> Result<Option<usize>, StreamError> {
        let now = self.now;
        let mut buf = vec![0; max];
        let side = &mut self.sides[end as usize];
        side.read.entry(stream).or_default();
        match side.session.read(now, stream, &mut buf)? {
            None => Ok(Some(0)),
            Some((0, _)) => Ok(None),
            Some((n, label)) => {
                side.keep(stream, &buf[..n], label);
                Ok(Some(n))
            }
        }
    }

    /// Reads all there is; whether the end was read.
    ///
    /// # Errors
    /// What the stream answers.
    pub fn read_all(&mut self, end: End, stream: StreamId) -> Result<bool, StreamError> {
        loop {
            match self.read(end, stream, 64 << 10)? {
                None => return Ok(true),
                Some(0) => return Ok(false),
                Some(_) => {}
            }
        }
    }
}

impl Side {
    fn keep(&mut self, id: StreamId, bytes: &[u8], label: Label) {
        let read = self.read.entry(id).or_default();
        read.extend_from_slice(bytes);
        let labels = self.labels.entry(id).or_default();
        match labels.last_mut() {
            Some((end, last)) if *last == label => *end = read.len(),
            _ => labels.push((read.len(), label)),
        }
    }

    /// Whether an event was seen.
    pub fn saw(&self, event: Event) -> bool {
        self.events.contains(&event)
    }
}
