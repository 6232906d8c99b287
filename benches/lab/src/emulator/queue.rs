//! The queue before a link: it holds so many bytes, drops what comes beyond them, and empties at
//! the link's rate. When a packet leaves is known as it comes in, for nothing overtakes.

use super::trace::{OPPORTUNITY, Trace};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How fast packets leave a queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rate {
    /// Bits a second, at least one; IP headers counted.
    Bits(u64),
    /// Recorded; it repeats.
    Trace(Arc<Trace>),
}

/// A byte-counted drop-tail queue.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    limit: usize,
    line: Line,
}

#[derive(Debug)]
struct Waiting {
    came: Duration,
    leaves: Duration,
    packet: Vec<u8>,
}

/// A packet that has left the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) packet: Vec<u8>,
    pub(super) at: Duration,
    /// From its arrival until its last bit was on the line.
    pub(super) waited: Duration,
}

impl Queue {
    /// A queue of so many bytes; it takes one packet at least, be it larger.
    pub(super) fn new(rate: Rate, limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            limit,
            line: Line::new(rate),
        }
    }

    /// Takes a packet that comes now, or drops it and says `false`. What has left by now must
    /// have been popped.
    pub(super) fn push(&mut self, now: Duration, packet: Vec<u8>) -> bool {
        if self.bytes + packet.len() > self.limit && !self.waiting.is_empty() {
            return false;
        }
        self.bytes += packet.len();
        self.waiting.push_back(Waiting {
            came: now,
            leaves: self.line.send(now, packet.len()),
            packet,
        });
        true
    }

    /// When the next packet leaves.
    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting.front().map(|head| head.leaves)
    }

    /// A packet that has left by now, in order.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Left> {
        if self.next()? > now {
            return None;
        }
        let head = self.waiting.pop_front()?;
        self.bytes -= head.packet.len();
        Some(Left {
            at: head.leaves,
            waited: head.leaves - head.came,
            packet: head.packet,
        })
    }

    /// Forgets everything that waits; says how many packets.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.waiting.len();
        self.waiting.clear();
        self.bytes = 0;
        self.line.idle();
        count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The sending end of a line: one packet after the other.
#[derive(Debug)]
enum Line {
    Fixed {
        bits: u64,
        /// When the last bit of all that came is on the line.
        free: Duration,
    },
    Recorded {
        trace: Arc<Trace>,
        /// The opportunity in use, counted through all repetitions.
        number: u64,
        /// The bytes of it that are taken.
        spent: usize,
    },
}

impl Line {
    fn new(rate: Rate) -> Self {
        match rate {
            Rate::Bits(bits) => Line::Fixed {
                bits: bits.max(1),
                free: Duration::ZERO,
            },
            Rate::Trace(trace) => Line::Recorded {
                trace,
                number: 0,
                spent: 0,
            },
        }
    }

    /// When a packet that comes now has wholly left.
    fn send(&mut self, now: Duration, bytes: usize) -> Duration {
        match self {
            Line::Fixed { bits, free } => {
                let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(*bits);
                let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
                *free = (*free).max(now) + Duration::from_nanos(nanos);
                *free
            }
            Line::Recorded {
                trace,
                number,
                spent,
            } => {
                if trace.time(*number) < now {
                    *number = trace.first_at(now);
                    *spent = 0;
                }
                // As mahimahi has it: a packet may use several opportunities, and several
                // packets one.
                let end = *spent + bytes.max(1);
                *number += ((end - 1) / OPPORTUNITY) as u64;
                *spent = (end - 1) % OPPORTUNITY + 1;
                trace.time(*number)
            }
        }
    }

    /// Nothing that came is of any consequence any more.
    fn idle(&mut self) {
        match self {
            Line::Fixed { free, .. } => *free = Duration::ZERO,
            Line::Recorded { number, spent, .. } => (*number, *spent) = (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When each of these packets, all there at zero, leaves.
    fn departures(rate: Rate, sizes: &[usize]) -> Vec<Duration> {
        let mut queue = Queue::new(rate, usize::MAX);
        for &size in sizes {
            assert!(queue.push(Duration::ZERO, vec![0; size]));
        }
        let forever = Duration::from_secs(1_000_000);
        std::iter::from_fn(|| queue.pop(forever))
            .map(|left| left.at)
            .collect()
    }

    #[test]
    fn packets_leave_at_the_rate() {
        let times = departures(Rate::Bits(12_000_000), &[1500, 1500, 750]);
        assert_eq!(times, [ms(1), ms(2), Duration::from_micros(2500)]);
    }

    #[test]
    fn an_idle_line_saves_nothing_up() {
        let mut queue = Queue::new(Rate::Bits(12_000_000), 10_000);
        queue.push(ms(0), vec![0; 1500]);
        assert_eq!(queue.pop(ms(100)).map(|left| left.at), Some(ms(1)));
        queue.push(ms(100), vec![0; 1500]);
        assert_eq!(queue.next(), Some(ms(101)));
    }

    #[test]
    fn holds_its_bytes_and_drops_the_tail() {
        let mut queue = Queue::new(Rate::Bits(12_000_000), 4000);
        assert!(queue.push(ms(0), vec![1; 1500]));
        assert!(queue.push(ms(0), vec![2; 1500]));
        assert!(!queue.push(ms(0), vec![3; 1500]), "it would be 4500 bytes");
        assert!(queue.push(ms(0), vec![4; 1000]), "exactly full");
        assert!(!queue.push(ms(0), vec![5; 1]));
        assert_eq!(queue.bytes(), 4000);
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop(ms(9)))
            .map(|left| left.packet[0])
            .collect();
        assert_eq!(order, [1, 2, 4]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_full_queue_waits_its_bytes_over_the_rate() {
        let mut queue = Queue::new(Rate::Bits(20_000_000), 1_000_000);
        while queue.push(ms(0), vec![0; 1000]) {}
        let last = std::iter::from_fn(|| queue.pop(ms(1000))).last();
        assert_eq!(last.map(|left| left.waited), Some(ms(400)));
    }

    #[test]
    fn takes_one_packet_larger_than_itself() {
        let mut queue = Queue::new(Rate::Bits(8000), 100);
        assert!(queue.push(ms(0), vec![0; 1500]));
        assert!(!queue.push(ms(0), vec![0; 1]));
    }

    #[test]
    fn forgets_what_waits_and_is_free_at_once() {
        let mut queue = Queue::new(Rate::Bits(8000), 10_000);
        queue.push(ms(0), vec![0; 1000]);
        queue.push(ms(0), vec![0; 1000]);
        assert_eq!(queue.clear(), 2);
        queue.push(ms(10), vec![0; 1]);
        assert_eq!(queue.next(), Some(ms(11)));
    }

    #[test]
    fn a_trace_carries_several_small_packets_or_a_part_of_a_large_one() {
        let trace = Arc::new(Trace::new(vec![10, 20, 30, 40]).expect("in order"));
        let times = departures(Rate::Trace(trace), &[500, 500, 500, 2000, 1000, 1]);
        assert_eq!(times, [ms(10), ms(10), ms(10), ms(30), ms(30), ms(40)]);
    }

    #[test]
    fn an_opportunity_nobody_used_is_gone() {
        let trace = Arc::new(Trace::new(vec![10, 20, 30, 40]).expect("in order"));
        let mut queue = Queue::new(Rate::Trace(trace), 10_000);
        queue.push(ms(25), vec![0; 1500]);
        assert_eq!(queue.next(), Some(ms(30)));
        queue.push(ms(30), vec![0; 100]);
        let both = [queue.pop(ms(40)), queue.pop(ms(40))];
        let times = both.map(|left| left.map(|left| left.at));
        assert_eq!(times, [Some(ms(30)), Some(ms(40))]);
        queue.push(ms(41), vec![0; 1500]);
        assert_eq!(queue.next(), Some(ms(50)), "it repeats");
    }
}
