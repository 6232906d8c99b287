//! A link with a rate, a delay and a queue that drops at its end, and kernels' connections over it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Micros;
use crate::proto::schedule::Measure;

pub(super) const STEP: Micros = 100;
const PACKET: u64 = 1448;
/// A sample of the bandwidth counts so long.
const REMEMBERED: Micros = 1_000_000;
/// A round trip so much longer than the least has waiting in it.
const WAITING: Micros = 750;

/// What was written: a piece of the session's bulk, or an interactive unit by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Bulk { offset: u64 },
    Interactive(usize),
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    connection: usize,
    sequence: u64,
    length: u64,
    what: What,
    sent: Micros,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) megabits: u64,
    pub(super) rtt: Micros,
    pub(super) queue: u64,
}

/// One network with its connections.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) way: Way,
    queue: VecDeque<Packet>,
    queued: u64,
    /// Bytes that may leave, in millionths.
    credit: u64,
    going: VecDeque<(Micros, Packet)>,
    returning: VecDeque<(Micros, Packet)>,
    pub(super) connections: Vec<Connection>,
}

/// What a read at the far end gives.
pub(super) type Delivered = (What, u64);

impl Link {
    pub(super) fn new(way: Way, connections: usize) -> Self {
        Self {
            way,
            queue: VecDeque::new(),
            queued: 0,
            credit: 0,
            going: VecDeque::new(),
            returning: VecDeque::new(),
            connections: (0..connections).map(|_| Connection::new(way.rtt)).collect(),
        }
    }

    pub(super) fn set(&mut self, way: Way) {
        self.way = way;
    }

    pub(super) fn step(&mut self, now: Micros, delivered: &mut Vec<Delivered>) {
        for index in 0..self.connections.len() {
            while let Some(packet) = self.connections[index].packet(now, index) {
                if self.queued + packet.length > self.way.queue {
                    self.connections[index].lost(now, packet);
                    continue;
                }
                self.queued += packet.length;
                self.queue.push_back(packet);
            }
        }
        let bytes_a_second = self.way.megabits * 125_000;
        self.credit += bytes_a_second * STEP;
        while let Some(packet) = self.queue.front() {
            // With headers.
            let cost = (packet.length + 52) * 1_000_000;
            if cost > self.credit {
                break;
            }
            self.credit -= cost;
            self.queued -= packet.length;
            let arrives = now + self.way.rtt / 2;
            self.going
                .extend(self.queue.pop_front().map(|p| (arrives, p)));
        }
        if self.queue.is_empty() {
            self.credit = 0;
        }
        while let Some((at, packet)) = self.going.front().copied()
            && at <= now
        {
            self.going.pop_front();
            self.returning.push_back((now + self.way.rtt / 2, packet));
            self.connections[packet.connection].arrived(packet, delivered);
        }
        while let Some((at, packet)) = self.returning.front().copied()
            && at <= now
        {
            self.returning.pop_front();
            self.connections[packet.connection].acknowledged(now, packet);
        }
    }
}

/// A TCP connection: slow start, then a packet a round trip, seven tenths after a loss.
#[derive(Debug)]
pub(super) struct Connection {
    unsent: VecDeque<(What, u64)>,
    again: VecDeque<(Micros, Packet)>,
    sequence: u64,
    flying: u64,
    window: u64,
    threshold: u64,
    recovering: Micros,
    expected: u64,
    early: BTreeMap<u64, Packet>,
    measure: Measure,
    rates: VecDeque<(Micros, u64)>,
    span: (Micros, u64),
    /// The fewest bytes on the way in this span, and until when more is asked.
    fewest: u64,
    probing: Micros,
}

impl Connection {
    fn new(rtt: Micros) -> Self {
        // The handshake took one.
        let rtt = Some(Duration::from_micros(rtt));
        Self {
            unsent: VecDeque::new(),
            again: VecDeque::new(),
            sequence: 0,
            flying: 0,
            window: 10 * PACKET,
            threshold: u64::MAX,
            recovering: 0,
            expected: 0,
            early: BTreeMap::new(),
            measure: Measure {
                rtt,
                least_rtt: rtt,
                deviation: rtt.map(|rtt| rtt / 4),
                ..Measure::default()
            },
            rates: VecDeque::new(),
            span: (0, 0),
            fewest: u64::MAX,
            probing: 0,
        }
    }

    pub(super) fn write(&mut self, what: What, length: u64) {
        self.unsent.push_back((what, length));
    }

    pub(super) fn measure(&self) -> Measure {
        let unsent = self.unsent.iter().map(|(_, length)| length).sum();
        Measure {
            outstanding: self.flying + unsent,
            unsent,
            ..self.measure
        }
    }

    /// TCP_NOTSENT_LOWAT: 10 ms of bandwidth.
    pub(super) fn is_writable(&self) -> bool {
        let bandwidth = self.measure.bandwidth.unwrap_or(0);
        self.measure().unsent < (bandwidth / 100).clamp(16 << 10, 1 << 20)
    }

    fn packet(&mut self, now: Micros, connection: usize) -> Option<Packet> {
        if self.again.front().is_some_and(|(due, _)| *due <= now) {
            return self.again.pop_front().map(|(_, packet)| packet);
        }
        let (what, waiting) = self.unsent.front_mut()?;
        let length = PACKET.min(*waiting);
        if self.flying + length > self.window {
            return None;
        }
        let packet = Packet {
            connection,
            sequence: self.sequence,
            length,
            what: *what,
            sent: now,
        };
        *waiting -= length;
        if let What::Bulk { offset } = what {
            *offset += length;
        }
        if *waiting == 0 {
            self.unsent.pop_front();
        }
        self.sequence += length;
        self.flying += length;
        Some(packet)
    }

    fn rtt(&self) -> Micros {
        self.measure.rtt.unwrap_or_default().as_micros() as u64
    }

    fn lost(&mut self, now: Micros, packet: Packet) {
        let again = now + self.rtt();
        self.again.push_back((again, packet));
        if now >= self.recovering {
            self.recovering = again;
            self.window = (self.window * 7 / 10).max(2 * PACKET);
            self.threshold = self.window;
        }
    }

    fn arrived(&mut self, packet: Packet, delivered: &mut Vec<Delivered>) {
        self.early.insert(packet.sequence, packet);
        while let Some(packet) = self.early.remove(&self.expected) {
            self.expected += packet.length;
            delivered.push((packet.what, packet.length));
        }
    }

    fn acknowledged(&mut self, now: Micros, packet: Packet) {
        self.flying -= packet.length;
        self.measure.acknowledged += packet.length;
        if now >= self.recovering {
            self.window += match self.window < self.threshold {
                true => packet.length,
                false => (PACKET * packet.length / self.window).max(1),
            };
        }
        let took = Duration::from_micros(now - packet.sent);
        let smoothed = self.measure.rtt.unwrap_or(took);
        self.measure.rtt = Some((smoothed * 7 + took) / 8);
        self.measure.least_rtt = self.measure.least_rtt.min(Some(took));
        self.sample(now);
    }

    /// The best of the last second of what was acknowledged over a round trip. A full pipe in which
    /// nothing waits may hold more: a quarter more is told for three round trips.
    fn sample(&mut self, now: Micros) {
        self.fewest = self.fewest.min(self.measure().outstanding);
        let (began, acknowledged) = self.span;
        let took = now - began;
        if took < self.rtt().max(5_000) {
            return;
        }
        self.span = (now, self.measure.acknowledged);
        let rate = (self.measure.acknowledged - acknowledged) * 1_000_000 / took;
        self.rates.push_back((now, rate));
        let kept = now.saturating_sub(REMEMBERED.max(10 * self.rtt()));
        self.rates.retain(|(at, _)| *at >= kept);
        let best = self.rates.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
        let least = self.measure.least_rtt.unwrap_or_default().as_micros() as u64;
        let full = std::mem::replace(&mut self.fewest, u64::MAX) >= best * least / 1_100_000;
        if full && self.rtt() <= least + WAITING {
            self.probing = now + 3 * self.rtt();
        }
        let more = if now < self.probing { best / 4 } else { 0 };
        self.measure.bandwidth = Some(best + more);
    }
}
