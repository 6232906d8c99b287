//! One direction of a link: its queue, what it loses, and how long the rest takes to cross.
//!
//! ```text
//! push -> [queue, at a rate] -> lost? -> [in flight: delay + jitter] -> pop
//! ```
//!
//! It knows no clock and no device: times are since the emulator began, and it is told them.

use super::queue::{Queue, Rate};
use std::collections::VecDeque;
use std::time::Duration;

/// What one direction of a link is like.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) rate: Rate,
    /// Bytes.
    pub(super) queue: usize,
    pub(super) delay: Duration,
    /// Each packet takes up to this longer; none overtakes another.
    pub(super) jitter: Duration,
    /// The share of packets lost, after the queue: they have used the rate.
    pub(super) loss: f64,
    pub(super) seed: u64,
}

/// What crossed one direction of a link and what did not; bytes are of IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WayCounters {
    pub(crate) delivered_bytes: u64,
    pub(crate) delivered_packets: u64,
    /// Packets the full queue refused.
    pub(crate) dropped_queue: u64,
    /// Packets lost by `loss`.
    pub(crate) dropped_loss: u64,
    /// Packets that met a fault: silence, or an end that would not take them.
    pub(crate) dropped_fault: u64,
    /// Bytes that wait now.
    pub(crate) queued_bytes: u64,
    /// The longest a packet waited, from its arrival until its last bit was on the line.
    pub(crate) queueing_max: Duration,
    /// The mean of it.
    pub(crate) queueing_mean: Duration,
}

/// One direction of a link.
#[derive(Debug)]
pub(super) struct Way {
    queue: Queue,
    /// In order of arrival. At most what the rate brings in during the delay.
    flight: VecDeque<(Duration, Vec<u8>)>,
    /// The latest arrival of all that left the queue.
    latest: Duration,
    delay: Duration,
    jitter: Duration,
    loss: f64,
    random: fastrand::Rng,
    silent: bool,
    counters: WayCounters,
    /// For the mean.
    waited: Duration,
    left: u32,
}

impl Way {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            queue: Queue::new(shape.rate, shape.queue),
            flight: VecDeque::new(),
            latest: Duration::ZERO,
            delay: shape.delay,
            jitter: shape.jitter,
            loss: shape.loss,
            random: fastrand::Rng::with_seed(shape.seed),
            silent: false,
            counters: WayCounters::default(),
            waited: Duration::ZERO,
            left: 0,
        }
    }

    /// A packet comes in at the near end.
    pub(super) fn push(&mut self, now: Duration, packet: Vec<u8>) {
        if self.silent {
            self.counters.dropped_fault += 1;
            return;
        }
        self.advance(now);
        if !self.queue.push(now, packet) {
            self.counters.dropped_queue += 1;
        }
    }

    /// When to ask again for a packet: not later than the next one arrives.
    pub(super) fn next(&self) -> Option<Duration> {
        let in_flight = self.flight.front().map(|(arrives, _)| *arrives);
        in_flight.or_else(|| self.queue.next().map(|leaves| leaves + self.delay))
    }

    /// A packet that has arrived at the far end by now.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.advance(now);
        if self.flight.front()?.0 > now {
            return None;
        }
        self.flight.pop_front().map(|(_, packet)| packet)
    }

    /// The far end took the packet that was popped, or could not.
    pub(super) fn delivered(&mut self, bytes: usize, taken: bool) {
        if taken {
            self.counters.delivered_packets += 1;
            self.counters.delivered_bytes += bytes as u64;
        } else {
            self.counters.dropped_fault += 1;
        }
    }

    /// Falls silent, and everything under way is lost; or carries again.
    pub(super) fn silence(&mut self, silent: bool) {
        self.silent = silent;
        if silent {
            let lost = self.queue.clear() + self.flight.len();
            self.flight.clear();
            self.latest = Duration::ZERO;
            self.counters.dropped_fault += lost as u64;
        }
    }

    pub(super) fn counters(&mut self, now: Duration) -> WayCounters {
        self.advance(now);
        WayCounters {
            queued_bytes: self.queue.bytes() as u64,
            queueing_mean: self.waited.checked_div(self.left).unwrap_or_default(),
            ..self.counters
        }
    }

    pub(super) fn reset_counters(&mut self) {
        self.counters = WayCounters::default();
        (self.waited, self.left) = (Duration::ZERO, 0);
    }

    /// Moves what has left the queue into flight.
    fn advance(&mut self, now: Duration) {
        while let Some(left) = self.queue.pop(now) {
            self.counters.queueing_max = self.counters.queueing_max.max(left.waited);
            self.waited += left.waited;
            self.left += 1;
            if self.random.f64() < self.loss {
                self.counters.dropped_loss += 1;
                continue;
            }
            let jitter = self.jitter.mul_f64(self.random.f64());
            self.latest = self.latest.max(left.at + self.delay + jitter);
            self.flight.push_back((self.latest, left.packet));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// 12 Mbit/s: a millisecond a packet of 1500 bytes.
    fn shape() -> Shape {
        Shape {
            rate: Rate::Bits(12_000_000),
            queue: 150_000,
            delay: ms(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            seed: 1,
        }
    }

    fn packet(number: u32) -> Vec<u8> {
        let mut packet = vec![0; 1500];
        packet[..4].copy_from_slice(&number.to_be_bytes());
        packet
    }

    fn number(packet: &[u8]) -> u32 {
        u32::from_be_bytes(packet[..4].try_into().expect("four bytes"))
    }

    /// Follows `next` as the driver does until nothing is under way.
    fn drain(way: &mut Way) -> Vec<(Duration, u32)> {
        let mut arrived = Vec::new();
        while let Some(now) = way.next() {
            while let Some(packet) = way.pop(now) {
                way.delivered(packet.len(), true);
                arrived.push((now, number(&packet)));
            }
        }
        arrived
    }

    #[test]
    fn a_packet_takes_its_transmission_and_the_delay() {
        let mut way = Way::new(shape());
        way.push(ms(5), packet(0));
        way.push(ms(5), packet(1));
        assert_eq!(way.pop(Duration::from_micros(15_999)), None);
        assert_eq!(drain(&mut way), [(ms(16), 0), (ms(17), 1)]);
    }

    #[test]
    fn more_packets_may_be_in_flight_than_may_wait() {
        let mut way = Way::new(Shape {
            queue: 1500,
            ..shape()
        });
        for n in 0..10 {
            way.push(ms(n.into()), packet(n));
        }
        assert_eq!(drain(&mut way).len(), 10);
        assert_eq!(way.counters(ms(100)).dropped_queue, 0);
    }

    #[test]
    fn counts_what_the_full_queue_drops() {
        let mut way = Way::new(shape());
        for n in 0..150 {
            way.push(ms(0), packet(n));
        }
        assert_eq!(drain(&mut way).len(), 100);
        let counters = way.counters(ms(1000));
        assert_eq!(counters.dropped_queue, 50);
        assert_eq!(counters.delivered_bytes, 150_000);
        assert_eq!(counters.queueing_max, ms(100));
        assert_eq!(counters.queueing_mean, Duration::from_micros(50_500));
        assert_eq!(counters.queued_bytes, 0);
    }

    #[test]
    fn jitter_spreads_arrivals_and_keeps_their_order() {
        let mut way = Way::new(Shape {
            jitter: ms(20),
            ..shape()
        });
        for n in 0..100 {
            way.push(ms(0), packet(n));
        }
        let arrived = drain(&mut way);
        assert!(arrived.iter().map(|(_, n)| *n).eq(0..100));
        assert!(arrived.is_sorted());
        let extra = |(at, n): &(Duration, u32)| *at - ms(11 + u64::from(*n));
        let most = arrived.iter().map(extra).max();
        assert!(most > Some(ms(15)) && most < Some(ms(20)), "{most:?}");
    }

    #[test]
    fn loses_the_share_it_is_told_to_and_the_same_with_the_same_seed() {
        let lost = |seed| {
            let mut way = Way::new(Shape {
                loss: 0.1,
                queue: usize::MAX,
                seed,
                ..shape()
            });
            for n in 0..10_000 {
                way.push(ms(0), packet(n));
            }
            let arrived = drain(&mut way);
            let lost = way.counters(ms(0)).dropped_loss;
            assert_eq!(arrived.len() as u64 + lost, 10_000);
            (lost, arrived)
        };
        let first = lost(1);
        assert!((900..1100).contains(&first.0), "{}", first.0);
        assert_eq!(first, lost(1));
        assert_ne!(first.1, lost(2).1);
    }

    #[test]
    fn silence_loses_what_waits_and_what_flies_and_then_all_that_comes() {
        let mut way = Way::new(shape());
        for n in 0..5 {
            way.push(ms(0), packet(n));
        }
        assert_eq!(way.pop(ms(3)), None, "three are in flight now");
        way.silence(true);
        assert_eq!(way.next(), None);
        way.push(ms(4), packet(5));
        assert_eq!(way.counters(ms(4)).dropped_fault, 6);
        way.silence(false);
        way.push(ms(5), packet(6));
        assert_eq!(drain(&mut way), [(ms(16), 6)], "no trace of what was");
    }

    #[test]
    fn counters_begin_anew() {
        let mut way = Way::new(shape());
        way.push(ms(0), packet(0));
        drain(&mut way);
        way.delivered(1500, false);
        assert_ne!(way.counters(ms(50)), WayCounters::default());
        way.reset_counters();
        assert_eq!(way.counters(ms(50)), WayCounters::default());
    }
}
