//! Two ends and a link that loses, repeats, delays and reorders, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::proto::pair::Seeded;

/// How the link behaves, each way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Of a hundred packets, how many are lost.
    pub(super) loss: u64,
    /// Of a hundred that are not, how many come twice.
    pub(super) duplication: u64,
    /// The least one-way delay.
    pub(super) delay: Duration,
    /// What is added to it at random, for each packet.
    pub(super) jitter: Duration,
    /// The largest packet.
    pub(super) largest: usize,
}

impl Weather {
    pub(super) const FINE: Self = Self {
        loss: 0,
        duplication: 0,
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        largest: 1_500,
    };
}

/// One end: its core and what its program knows.
#[derive(Debug)]
pub(super) struct End {
    pub(super) core: Airhook,
    /// Its messages whose ends it does not know.
    pub(super) open: BTreeMap<MessageId, Bytes>,
    pub(super) confirmed: BTreeSet<Bytes>,
    /// What came, in its order.
    pub(super) received: Vec<Bytes>,
    /// When the last of it came.
    pub(super) received_at: Instant,
    /// What ever came to this end, by this instance and those before.
    ever: BTreeSet<Bytes>,
    pub(super) sessions: Vec<NonZeroU32>,
    pub(super) rejected: usize,
    pub(super) packets: u64,
}

/// Both ends and what is under way.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    pub(super) weather: Weather,
    /// Nothing comes through.
    pub(super) dark: bool,
    chance: Seeded,
    /// Which instance sent a message.
    authors: BTreeMap<Bytes, NonZeroU32>,
    /// By arrival: to whom, and what.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
    buffer: Vec<u8>,
}

impl Link {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let now = start();
        let mut chance = Seeded::new(seed);
        let ends = [0, 1].map(|_| End::new(now, &mut chance));
        Self {
            now,
            ends,
            weather,
            dark: false,
            chance,
            authors: BTreeMap::new(),
            flying: BTreeMap::new(),
            count: 0,
            buffer: vec![0; weather.largest],
        }
    }

    pub(super) fn send(&mut self, end: usize, message: impl Into<Bytes>) -> MessageId {
        let message = message.into();
        let side = &mut self.ends[end];
        let id = side.core.send(self.now, message.clone()).expect("room");
        let author = side.core.status().session;
        self.authors.insert(message.clone(), author);
        side.open.insert(id, message);
        id
    }

    /// That end's program starts anew, and sends again whatever it likes.
    pub(super) fn restart(&mut self, end: usize) {
        let fresh = End::new(self.now, &mut self.chance);
        let old = std::mem::replace(&mut self.ends[end], fresh);
        self.ends[end].ever = old.ever;
    }

    pub(super) fn lose_what_flies(&mut self) {
        self.flying.clear();
    }

    /// Everything due goes onto the link, then time passes until the next thing happens, but not beyond
    /// `until`. Whether anything does.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        for end in 0..2 {
            self.flush(end);
        }
        let timers = self.ends.iter().filter_map(|end| end.core.poll_timeout());
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let Some(next) = timers.chain(arrival).min().filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        let arrives = self.flying.first_entry();
        if let Some(arrives) = arrives.filter(|first| first.key().0 <= self.now) {
            let (end, packet) = arrives.remove();
            self.arrive(end, &packet);
        }
        true
    }

    /// Until nothing happens any more, which must be within `limit`.
    pub(super) fn settle(&mut self, limit: Duration) {
        let until = self.now + limit;
        while self.step(until) {
            assert!(self.now < until, "not within {limit:?}: {:?}", self.ends);
        }
    }

    /// For so long.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// What is due of that end's goes.
    pub(super) fn flush(&mut self, from: usize) {
        let side = &mut self.ends[from];
        let mut room = 10_000;
        while let Some(length) = side
            .core
            .transmit(self.now, &mut self.buffer)
            .expect("it fits")
        {
            room -= 1;
            assert!(room > 0, "it never falls silent");
            side.packets += 1;
            if self.dark || self.chance.below(100) < self.weather.loss {
                continue;
            }
            let copies = 1 + u64::from(self.chance.below(100) < self.weather.duplication);
            for _ in 0..copies {
                let jitter = self.weather.jitter.as_micros();
                let jitter = self.chance.below(u64::try_from(jitter).expect("short") + 1);
                let at = self.now + self.weather.delay + Duration::from_micros(jitter);
                self.count += 1;
                let packet = self.buffer[..length].to_vec();
                self.flying.insert((at, self.count), (1 - from, packet));
            }
        }
        self.look(from);
    }

    fn arrive(&mut self, to: usize, packet: &[u8]) {
        if self.dark {
            return;
        }
        let rejected = self.ends[to].core.receive(self.now, packet).is_err();
        self.ends[to].rejected += usize::from(rejected);
        self.look(to);
    }

    /// Its program takes what is new. What it is told was confirmed has come, and what comes is of the
    /// instance it was told of.
    // behaviour: AH-13, AH-20
    fn look(&mut self, end: usize) {
        while let Some(event) = self.ends[end].core.poll_event() {
            let now = self.now;
            let [first, second] = &mut self.ends;
            let (side, other) = match end {
                0 => (first, second),
                _ => (second, first),
            };
            match event {
                Event::Session(session) => side.sessions.push(session),
                Event::Message(message) => {
                    let author = self.authors.get(&message);
                    assert_eq!(author, side.sessions.last(), "of an earlier instance");
                    side.received_at = now;
                    side.ever.insert(message.clone());
                    side.received.push(message);
                }
                Event::Status(id, status) if status.state == State::Confirmed => {
                    let message = side.open.remove(&id).expect("told once");
                    assert!(other.ever.contains(&message), "confirmed but not there");
                    side.confirmed.insert(message);
                }
                Event::Status(id, status) if status.state == State::Discarded => {
                    side.open.remove(&id);
                }
                Event::Status(..) => {}
            }
        }
    }
}

impl End {
    fn new(now: Instant, chance: &mut Seeded) -> Self {
        let number = u32::try_from(chance.below(u64::from(u32::MAX))).expect("below") + 1;
        Self {
            core: fresh(now, number),
            open: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            received: Vec::new(),
            received_at: now,
            ever: BTreeSet::new(),
            sessions: Vec::new(),
            rejected: 0,
            packets: 0,
        }
    }

    /// Whether all of it came, each once, in whatever order.
    pub(super) fn has_exactly(&self, mut expected: Vec<Bytes>) -> bool {
        let mut received = self.received.clone();
        received.sort();
        expected.sort();
        received == expected
    }
}
