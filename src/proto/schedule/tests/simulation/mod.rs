//! A small simulation in virtual time: decisions over links whose queues drop, with the measurements a
//! kernel would make of them.

use std::collections::BTreeMap;

use self::net::{Delivered, Link, STEP, Way, What};
use super::super::{Choice, chunk, place};
use super::*;

mod net;

/// Time since the beginning.
type Micros = u64;

const SECOND: Micros = 1_000_000;
/// The peer's window and our send buffer.
const WINDOW: u64 = 4 << 20;
/// The peer's acknowledgements.
const ACK_BYTES: u64 = 256 << 10;
const ACK_DELAY: Micros = 20_000;

const WIFI: Way = Way {
    megabits: 20,
    rtt: 20_000,
    queue: 100_000,
};
const CELLULAR: Way = Way {
    megabits: 2,
    rtt: 120_000,
    queue: 60_000,
};

/// One session with a path, and maybe a lane, over each link, and bulk without end.
struct World {
    begin: Instant,
    now: Micros,
    links: Vec<Link>,
    urgency: Urgency,
    around: Surroundings,
    paced: Vec<Option<Instant>>,
    /// The sender's: what went, and what is acknowledged.
    next: u64,
    acked: u64,
    acks: Vec<(Micros, u64)>,
    /// The receiver's: all before, and what came early.
    contiguous: u64,
    early: BTreeMap<u64, u64>,
    told: (Micros, u64),
    requests: Vec<Micros>,
    answered: Vec<Micros>,
}

impl World {
    fn new(ways: &[Way], lanes: bool, urgency: Urgency) -> Self {
        let connections = if lanes { 2 } else { 1 };
        Self {
            begin: now(),
            now: 0,
            links: ways
                .iter()
                .map(|way| Link::new(*way, connections))
                .collect(),
            urgency,
            around: Surroundings::default(),
            paced: vec![None; ways.len()],
            next: 0,
            acked: 0,
            acks: Vec::new(),
            contiguous: 0,
            early: BTreeMap::new(),
            told: (0, 0),
            requests: Vec::new(),
            answered: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_micros(self.now)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut paths = Vec::new();
        for (network, link) in self.links.iter().enumerate() {
            for (lane, connection) in link.connections.iter().enumerate() {
                paths.push(Candidate {
                    slot: network + 4 * lane,
                    network: network as u8,
                    lane: lane == 1,
                    measure: connection.measure(),
                    ..Candidate::default()
                });
            }
        }
        paths
    }

    /// Bytes of bulk that could go.
    fn backlog(&self) -> u64 {
        self.acked + WINDOW - self.next
    }

    /// A driver offers a path to the core.
    fn offer(&mut self, slot: usize) {
        while self.links[slot].connections[0].is_writable() && self.backlog() > 0 {
            let unit = Unit {
                asker: Some(slot),
                ..unit(self.urgency, self.backlog().min(256 << 10), self.backlog())
            };
            let placed = place(self.instant(), &unit, &self.candidates(), &self.around);
            if let Choice::Later(when) = placed.choice {
                self.paced[slot] = when.map(|when| self.timer(when));
            }
            if !placed.choice.takes(slot) {
                return;
            }
            let connection = &mut self.links[slot].connections[0];
            let length = unit.length.min(chunk(&connection.measure()));
            connection.write(What::Bulk { offset: self.next }, length);
            self.next += length;
        }
    }

    /// Timers count whole milliseconds.
    fn timer(&self, when: Instant) -> Instant {
        let millis = (when - self.begin).as_micros().div_ceil(1000);
        self.begin + MILLI * millis as u32
    }

    fn request(&mut self) {
        self.around.interactive = Some(self.instant());
        let unit = unit(Urgency::Interactive, 1024, 1024);
        let placed = place(self.instant(), &unit, &self.candidates(), &self.around);
        let Choice::On(slot) = placed.choice else {
            panic!("{placed}");
        };
        let connection = &mut self.links[slot % 4].connections[slot / 4];
        connection.write(What::Interactive(self.requests.len()), 1024);
        self.requests.push(self.now);
    }

    fn step(&mut self) {
        self.now += STEP;
        let mut delivered: Vec<(usize, Delivered)> = Vec::new();
        for (index, link) in self.links.iter_mut().enumerate() {
            let mut here = Vec::new();
            link.step(self.now, &mut here);
            delivered.extend(here.into_iter().map(|what| (index, what)));
        }
        for (network, (what, length)) in delivered {
            match what {
                What::Bulk { offset } => {
                    self.early.insert(offset, length);
                }
                // The answer is as short, and finds the way back free.
                What::Interactive(index) => {
                    let back = self.links[network].way.rtt / 2;
                    self.answered.push(self.now + back - self.requests[index]);
                }
            }
        }
        while let Some(length) = self.early.remove(&self.contiguous) {
            self.contiguous += length;
        }
        assert!(self.early.values().sum::<u64>() <= WINDOW);
        let due = self.told.0 + ACK_DELAY <= self.now;
        if self.contiguous - self.told.1 >= ACK_BYTES || due {
            self.told = (self.now, self.contiguous);
            self.acks.push((self.now + WIFI.rtt / 2, self.contiguous));
        }
        let now = self.now;
        self.acked = (self.acks.iter().filter(|(at, _)| *at <= now))
            .map(|(_, acked)| *acked)
            .fold(self.acked, u64::max);
        self.acks.retain(|(at, _)| *at > now);
        for slot in 0..self.links.len() {
            if self.paced[slot].is_none_or(|when| when <= self.instant()) {
                self.offer(slot);
            }
        }
    }

    fn run_until(&mut self, end: Micros) {
        while self.now < end {
            self.step();
        }
    }

    /// Bytes of bulk a second, in order, between two moments.
    fn rate(&mut self, from: Micros, to: Micros) -> u64 {
        self.run_until(from);
        let before = self.contiguous;
        self.run_until(to);
        (self.contiguous - before) * SECOND / (to - from)
    }
}

fn alone(way: Way) -> u64 {
    World::new(&[way], false, Urgency::Default).rate(2 * SECOND, 12 * SECOND)
}

/// Parts of a thousand of what the ways carry one by one.
fn striped(ways: &[Way]) -> u64 {
    let sum: u64 = ways.iter().map(|way| alone(*way)).sum();
    let all = World::new(ways, false, Urgency::Default).rate(2 * SECOND, 12 * SECOND);
    all * 1000 / sum
}

#[test]
fn bulk_uses_a_fast_and_a_slow_network_whole() {
    let parts = striped(&[WIFI, CELLULAR]);
    assert!(parts >= 950, "{parts}");
}

#[test]
fn bulk_uses_two_quick_networks_whole() {
    let quick = |megabits, rtt| Way {
        megabits,
        rtt,
        queue: megabits * 125_000 / 20,
    };
    for (one, other) in [
        (quick(100, 20_000), quick(20, 20_000)),
        (quick(100, 20_000), quick(20, 80_000)),
        (quick(100, 20_000), quick(100, 20_000)),
        (quick(100, 2_000), quick(100, 50_000)),
    ] {
        let parts = striped(&[one, other]);
        assert!(parts >= 950, "{parts} of {one:?} and {other:?}");
    }
}

/// A request every half second beside background over the same network, from second 2 on: the median
/// and the longest time of those of the last `counted`, in microseconds, and bulk in parts of a thousand
/// of the network.
fn beside_background(world: &mut World, way: Way, counted: usize) -> (Micros, Micros, u64) {
    let (start, before) = (world.now, world.contiguous);
    world.answered.clear();
    for _ in 0..counted {
        world.request();
        world.run_until(world.now + SECOND / 2 + 1_300);
    }
    let rate = (world.contiguous - before) * SECOND / (world.now - start);
    let mut took = std::mem::take(&mut world.answered);
    took.sort_unstable();
    // With headers.
    let whole = way.megabits * 125_000 * 1448 / 1500;
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    (median, worst, rate * 1000 / whole)
}

// behaviour: P2
#[test]
fn a_request_beside_background_takes_little_longer_than_alone() {
    for (way, worst) in [
        (
            Way {
                queue: 50_000,
                ..WIFI
            },
            23_500,
        ),
        (WIFI, 23_500),
        (
            Way {
                queue: 1_000_000,
                ..WIFI
            },
            23_500,
        ),
        (CELLULAR, 144_000),
        (
            Way {
                megabits: 100,
                rtt: 10_000,
                queue: 500_000,
            },
            14_000,
        ),
        (
            Way {
                megabits: 50,
                rtt: 50_000,
                queue: 500_000,
            },
            60_000,
        ),
    ] {
        let mut world = World::new(&[way], true, Urgency::Background);
        // From the first moment on, so that everything known was measured behind the gate.
        beside_background(&mut world, way, 10);
        let (_, took, parts) = beside_background(&mut world, way, 40);
        assert!(took <= worst, "{took} us of {} alone", way.rtt);
        assert!(parts >= 930, "{parts} of a thousand");
    }
}

/// As a modem has it: half a second of the network.
const DEEP: Way = Way {
    queue: 1_000_000,
    ..WIFI
};

// behaviour: P2
#[test]
fn the_first_request_after_a_pause_finds_a_short_queue() {
    let mut world = World::new(&[DEEP], true, Urgency::Background);
    for _ in 0..4 {
        beside_background(&mut world, DEEP, 4);
        let parts = world.rate(world.now, world.now + 8 * SECOND) * 1000 / 2_413_000;
        let (_, took, _) = beside_background(&mut world, DEEP, 1);
        // Half a round trip of bulk.
        assert!(took <= DEEP.rtt + 14_000, "{took} us");
        assert!(parts >= 970, "{parts} of a thousand");
    }
}

// behaviour: P2
#[test]
fn default_bulk_keeps_its_queue_short_beside_a_conversation_and_only_then() {
    let mut world = World::new(&[DEEP], true, Urgency::Default);
    world.run_until(4 * SECOND);
    let (_, before, _) = beside_background(&mut world, DEEP, 1);
    assert!(
        before > DEEP.rtt + 100_000,
        "{before} us: as the link has it"
    );
    beside_background(&mut world, DEEP, 4);
    let (_, took, parts) = beside_background(&mut world, DEEP, 40);
    assert!(took <= DEEP.rtt + 16_000, "{took} us");
    assert!(parts >= 970, "{parts} of a thousand");
}

#[test]
fn the_gate_follows_a_network_that_changes() {
    let slow = Way {
        megabits: 5,
        queue: 1_000_000,
        ..WIFI
    };
    let fast = Way {
        megabits: 40,
        ..slow
    };
    let mut world = World::new(&[fast], true, Urgency::Background);
    beside_background(&mut world, fast, 10);
    for way in [slow, fast, slow, fast] {
        world.links[0].set(way);
        beside_background(&mut world, way, 20);
        let (_, took, parts) = beside_background(&mut world, way, 20);
        assert!(took <= 26_000, "{took} us");
        assert!(parts >= 930, "{parts} of a thousand");
    }
}
