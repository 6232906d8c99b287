//! Two session cores and seeded links between them, in virtual time: the whole protocol, handshakes
//! included, without a socket, a task or a clock. For tests of the cores and of what is built on them.
//!
//! A link is ordered and reliable while it lives, as TCP is: it delays, carries so many bytes a second,
//! cuts what it carries at any byte, holds a bounded amount, and takes what is under way with it when it
//! is cut. It can go dark for a while, one way or both, and nobody is told. Two links know nothing of each
//! other, so what goes over both arrives in any order.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::session::handshake::{
    Agreed, DialAttach, DialHello, Greeting, Offer, Replied, Security,
};
use super::session::{
    AttachError, Config, Event, Measure, PathId, PathSides, Session, StreamError, StreamId,
};
use crate::label::Label;
use crate::label::matching::PathFacts;

mod link;
mod seeded;

pub use link::{Line, Weather};
use link::{Link, time};
pub use seeded::Seeded;

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
    /// Links tell the cores what they do, as TCP_INFO would.
    pub measures: bool,
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
        peer: None,
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
        Self::of(agreed, seeded, now, [dialler, listener])
    }

    /// What a handshake left, of these settings, joined by their first path.
    ///
    /// # Panics
    /// If they cannot be joined: they agreed on nothing.
    pub fn of(agreed: [Agreed; 2], seeded: Seeded, now: Instant, configs: [Config; 2]) -> Self {
        let path = agreed[0].path;
        let [ours, theirs] = agreed;
        let [dialler, listener] = configs;
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
            measures: false,
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
        link.is_some_and(|link| (link.pipes.iter()).all(|pipe| !pipe.dark && pipe.ends.is_none()))
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
        for end in End::BOTH {
            self.darken(path, end, true);
        }
    }

    /// Nothing reaches this end by a link any more, and nobody is told; or it does again, what was under
    /// way first.
    pub fn darken(&mut self, path: PathId, reader: End, dark: bool) {
        if let Some(link) = self.links.get_mut(&path) {
            link.pipes[reader as usize].dark = dark;
        }
    }

    /// A link behaves in its own way from now on.
    pub fn shape(&mut self, path: PathId, line: Line) {
        if let Some(link) = self.links.get_mut(&path) {
            link.line = Some(line);
        }
    }

    fn line(&self, path: PathId) -> Line {
        let line = self.links.get(&path).and_then(|link| link.line);
        line.unwrap_or(Line {
            delay: self.weather.delay,
            jitter: self.weather.jitter,
            rate: None,
            queue: self.weather.capacity,
        })
    }

    /// What TCP_INFO would tell, if links tell.
    fn measure(&mut self, end: End) {
        if !self.measures || !self.session(end).wants_measures() {
            return;
        }
        for path in self.session(end).paths() {
            let line = self.line(path);
            let now = self.now;
            let Some(link) = self.links.get_mut(&path) else {
                continue;
            };
            let pipe = &mut link.pipes[end.other() as usize];
            let queueing = pipe
                .busy
                .map_or(Duration::ZERO, |busy| busy.saturating_duration_since(now));
            let (outstanding, acknowledged) = pipe.told(now);
            self.session(end).measured(
                now,
                path,
                Measure {
                    rtt: Some(line.delay * 2 + queueing),
                    deviation: Some(line.jitter),
                    least_rtt: Some(line.delay * 2),
                    bandwidth: line.rate,
                    outstanding,
                    unsent: 0,
                    acknowledged,
                },
            );
        }
    }

    /// Lets both ends write what they want to.
    fn flush(&mut self) {
        for end in End::BOTH {
            self.drain_events(end);
            self.measure(end);
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
        let line = self.line(path);
        let Some(link) = self.links.get_mut(&path) else {
            return 0;
        };
        let pipe = &mut link.pipes[end.other() as usize];
        let room = line.queue.saturating_sub(pipe.held);
        if room == 0 || pipe.ends.is_some() {
            return 0;
        }
        let session = &mut self.sides[end as usize].session;
        let mut slices = [IoSlice::new(&[]); 64];
        let offered = self.weather.slices.clamp(1, slices.len());
        let count = session.transmit(now, path, &mut slices[..offered]);
        let mut bytes: Vec<u8> = Vec::new();
        for slice in &slices[..count] {
            let taken = slice.len().min(room - bytes.len());
            bytes.extend_from_slice(&slice[..taken]);
        }
        let written = bytes.len();
        // A slow line is cut finely, so that its bytes come one after the other.
        let fine = line.rate.map_or(u64::MAX, |rate| (rate / 500).max(1500));
        let piece = fine.min(self.weather.piece as u64);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = 1 + self.seeded.below(piece) as usize;
            let (bytes, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            let jitter = line.jitter.as_nanos() as u64;
            let delay = line.delay + Duration::from_nanos(self.seeded.below(jitter + 1));
            let begins = pipe.busy.map_or(now, |busy| busy.max(now));
            let spent = line
                .rate
                .map_or(Duration::ZERO, |rate| time(bytes.len() as u64, rate));
            pipe.busy = Some(begins + spent);
            let arrives = begins + spent + delay;
            let arrives = pipe
                .pieces
                .back()
                .map_or(arrives, |(at, _)| arrives.max(*at));
            pipe.held += bytes.len();
            pipe.pieces.push_back((arrives, bytes.to_vec()));
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
        let pipes = self.links.values().flat_map(|link| &link.pipes);
        let arrivals = pipes.filter_map(|pipe| {
            let first = pipe.pieces.front().filter(|_| !pipe.dark);
            first
                .map(|(at, _)| *at)
                .or(pipe.ends.filter(|_| !pipe.over))
        });
        let timeouts = (self.sides.iter()).filter_map(|side| side.session.poll_timeout());
        arrivals.chain(timeouts.map(|(at, _)| at)).min()
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
        let delay = self.line(path).delay;
        loop {
            let Some(link) = self.links.get_mut(&path) else {
                return;
            };
            let pipe = &mut link.pipes[end as usize];
            match pipe.pieces.front() {
                Some((at, _)) if *at <= now && !pipe.dark => {
                    let (_, bytes) = pipe.pieces.pop_front().expect("it is there");
                    pipe.held -= bytes.len();
                    let echo = (now + delay, bytes.len() as u64);
                    pipe.echoes.push_back(echo);
                    self.hand_over(end, path, &bytes);
                }
                Some(_) if !pipe.dark => return,
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
