//! Since when a link that tells owes what it was given first.
//!
//! Acknowledgements of what went before a loss arrive for a while after it. Each is progress, and would
//! put off the suspicion by the whole patience, though what was lost is owed for longer than that. So
//! while little is on the way, and its age is no queue's, the age of the eldest of it counts.
//!
//! What has arrived is known from the peer's kernel (all bytes, in order), and from the peer's library
//! (payload, by whatever path it says so); either will do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More on the way than this may be a queue of our own making, bytes.
const LITTLE: u64 = 4 << 10;
/// Moments remembered; of more the latest are taken for one, as late as the last.
const MARKS: usize = 32;
/// What goes within this time is taken for one, as early as the first.
const TOGETHER: Duration = Duration::from_millis(2);

/// Payload that went at one moment.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Where it ends among all bytes that the link took, and among its payload.
    end: u64,
    payload: u64,
    at: Instant,
}

/// Payload on its way, and since when.
#[derive(Debug, Default)]
pub(super) struct Owing {
    marks: VecDeque<Mark>,
    /// Bytes that the link took since it tells.
    total: u64,
}

impl Owing {
    /// The link took `n` bytes; if some were payload, it took this much of that, ever.
    pub(super) fn took(&mut self, now: Instant, n: usize, payload: Option<u64>) {
        self.total = self.total.saturating_add(n as u64);
        let Some(payload) = payload else {
            return;
        };
        let (end, full) = (self.total, self.marks.len() >= MARKS);
        match self.marks.back_mut() {
            Some(last) if now.saturating_duration_since(last.at) < TOGETHER => {
                (last.end, last.payload) = (end, payload);
            }
            Some(last) if full => {
                *last = Mark {
                    end,
                    payload,
                    at: now,
                }
            }
            _ => self.marks.push_back(Mark {
                end,
                payload,
                at: now,
            }),
        }
    }

    /// So many bytes are on their way, as the link tells.
    pub(super) fn outstanding(&mut self, bytes: u64) {
        let arrived = self.total.saturating_sub(bytes);
        while self.marks.front().is_some_and(|mark| mark.end <= arrived) {
            self.marks.pop_front();
        }
    }

    /// So much of its payload has arrived, ever, as the peer's library says.
    pub(super) fn arrived(&mut self, payload: u64) {
        while (self.marks.front()).is_some_and(|mark| mark.payload <= payload) {
            self.marks.pop_front();
        }
    }

    /// Whether payload that it was given is waited for.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Nothing it was given is waited for.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }

    /// Since when the eldest is on its way, if so many bytes are no queue.
    pub(super) fn since(&self, outstanding: u64) -> Option<Instant> {
        let eldest = self.marks.front().filter(|_| outstanding <= LITTLE)?;
        Some(eldest.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[allow(clippy::disallowed_methods, reason = "a test is told no time")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_eldest_that_neither_the_kernel_nor_the_library_has_counts() {
        let (mut owing, start) = (Owing::default(), start());
        assert_eq!(owing.since(0), None);
        for turn in 0..4 {
            // A frame of 100 bytes, 80 of them payload, every 10 ms.
            let at = start + MS * 10 * turn;
            owing.took(at, 100, Some(80 * u64::from(turn + 1)));
        }
        owing.took(start + MS * 31, 50, None);
        assert_eq!(owing.since(450), Some(start));
        owing.outstanding(350);
        assert_eq!(owing.since(350), Some(start + MS * 10));
        owing.arrived(239);
        assert_eq!(owing.since(350), Some(start + MS * 20));
        assert_eq!(owing.since(LITTLE + 1), None, "it may be a queue");
        owing.outstanding(50);
        assert_eq!(owing.since(50), None, "what is left is no payload");
    }

    #[test]
    fn what_goes_together_is_as_old_as_its_first() {
        let (mut owing, start) = (Owing::default(), start());
        owing.took(start, 10, Some(10));
        owing.took(start + MS, 10, Some(20));
        owing.outstanding(10);
        assert_eq!(owing.since(10), Some(start));
        owing.outstanding(0);
        assert_eq!(owing.since(0), None);
    }

    #[test]
    fn however_many_pieces_go_the_memory_is_bounded_and_nobody_is_accused_early() {
        let (mut owing, start) = (Owing::default(), start());
        for turn in 0..10_000 {
            owing.took(start + MS * 10 * turn, 1, Some(u64::from(turn) + 1));
        }
        assert_eq!(owing.marks.len(), MARKS);
        owing.outstanding(1_000);
        let kept = start + MS * 10 * 9_999;
        assert_eq!(
            owing.since(1_000),
            Some(kept),
            "as late as the last of them"
        );
    }
}
