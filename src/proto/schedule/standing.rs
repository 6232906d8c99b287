//! The queue that stands: the least round trip of some time, beside that of an empty path.
//!
//! The kernel's round trip is smoothed over many, so where the network varies it never shows an empty
//! queue, and where the queue is ours it shows it late. So it is noted when how much was sent, and how
//! long that took to be acknowledged. The least such time is free of what varies: if it is longer than the
//! way, the queue did not empty meanwhile, and what was delivered is what the network can; if it is not,
//! the network could have done more.
//!
//! Both are seen only when somebody looks, a millisecond or two late, so ways shorter than 10 ms are
//! not measured so. At most 64 moments are kept.
//!
//! Who looks every millisecond or two and then not for a while stood still, and with it maybe the whole host.
//! What was on its way then took longer, or the pipe ran empty, and neither is the network's doing: such
//! times are passed over, though no more than two in a row.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Moments of which it is known how much was sent.
const MARKS: usize = 64;
/// Who looked longer ago than this does not know when what was sent since was sent.
const AWAY: Duration = Duration::from_millis(5);
/// Who looked so often is not just idle when he looks no more.
const OFTEN: Duration = Duration::from_micros(2_500);
/// Times in a row that are passed over.
const PASSED: u8 = 2;
/// On a shorter way the lateness of looking is no small part.
const SHORT: Duration = Duration::from_millis(10);
/// What should stand beyond a packet's own time: as much as the lateness of looking seems to be, and no
/// less than this part of the way.
const PART: u32 = 64;
/// Round trips of one time may differ by this part of the way and a network still be steady.
const OWN: u32 = 4;

/// Several round trips, all longer by this part or this time, are no chance.
const BEGINS: (u32, Duration) = (8, Duration::from_millis(4));

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// What was sent until when, not all of it acknowledged.
    marks: VecDeque<(Instant, u64)>,
    sent: u64,
    looked: Option<Instant>,
    /// From one look to the next, smoothed.
    pause: Duration,
    /// Nobody looked for a while: what came back since says nothing, until so much is acknowledged.
    disturbed: Option<u64>,
    passed: u8,
    /// Of the time that is being looked at.
    least: Option<Duration>,
    most: Duration,
    /// The last ones.
    recent: [Duration; 4],
    /// By how much round trips of one time differ, smoothed.
    spread: Duration,
}

/// What stood all along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    /// How long it was.
    pub(super) long: Duration,
    /// How long it should be, so that it never empties.
    pub(super) should: Duration,
    /// Round trips differ so much that there may be none.
    pub(super) doubtful: bool,
}

impl Queue {
    /// Whether the network had something to send all along.
    pub(super) fn stands(&self) -> bool {
        self.long >= self.should
    }
}

impl Standing {
    /// So many bytes were sent since the connection was made, so many of them are acknowledged.
    pub(super) fn see(&mut self, now: Instant, sent: u64, acknowledged: u64) {
        let since = self.looked.replace(now);
        if let Some(since) = since {
            let pause = now.saturating_duration_since(since);
            if pause > AWAY && self.pause <= OFTEN && !self.marks.is_empty() {
                self.disturbed = Some(self.sent);
            }
            self.pause = (self.pause * 7 + pause.min(AWAY)) / 8;
        }
        while let Some((at, _)) = (self.marks.front()).filter(|(_, upto)| *upto <= acknowledged) {
            let took = now.saturating_duration_since(*at);
            self.most = self.most.max(took);
            self.least = Some(self.least.map_or(took, |least| least.min(took)));
            self.recent.rotate_left(1);
            self.recent[3] = took;
            self.marks.pop_front();
        }
        if sent <= self.sent {
            return;
        }
        self.sent = sent;
        let known = since.filter(|at| now.saturating_duration_since(*at) <= AWAY);
        if let Some(at) = known.filter(|_| self.marks.len() < MARKS) {
            self.marks.push_back((at, sent));
        }
    }

    /// Whether a queue begins to stand, before the time is over (as HyStart has it).
    pub(super) fn begins(&mut self, least: Option<Duration>) -> bool {
        let begins = least.is_some_and(|least| {
            let begins = least + (least / BEGINS.0).max(BEGINS.1);
            self.recent.iter().all(|took| *took > begins)
        });
        if begins {
            // Round trips differed by what was begun.
            self.spread = Duration::ZERO;
        }
        begins
    }

    /// A time is over: whether it says nothing, for nobody looked for a while.
    pub(super) fn passes(&mut self, acknowledged: u64) -> bool {
        let disturbed = self.disturbed;
        self.disturbed = disturbed.filter(|sent| acknowledged < *sent);
        if disturbed.is_none() || self.passed == PASSED {
            self.passed = 0;
            return false;
        }
        self.passed += 1;
        (self.least, self.most) = (None, Duration::ZERO);
        true
    }

    /// A time is over: what stood in the queue, of a network on which a packet takes so long and that
    /// varies by so many percent from one round trip to the next.
    pub(super) fn over(
        &mut self,
        now: Instant,
        least: Option<Duration>,
        packet: Duration,
        varies: u32,
    ) -> Option<Queue> {
        let most = std::mem::take(&mut self.most);
        let took = match self.least.take() {
            Some(took) => {
                self.spread = (self.spread * 7 + (most - took)) / 8;
                took
            }
            // What waits for its acknowledgement has taken so long already.
            None => now.saturating_duration_since(self.marks.front()?.0),
        };
        let least = least.filter(|least| *least >= SHORT)?;
        let late = self.pause.max(least / PART);
        // What varies within a round trip has to be filled too, except for what our own packets and a
        // host that is busy make of it.
        let varied = self.spread.saturating_sub(least / OWN + packet * 2);
        Some(Queue {
            long: took.saturating_sub(least),
            should: packet + late + least / 100 * varies + (varied * 2).min(least),
            doubtful: !varied.is_zero(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Virtual time has to begin somewhere.
    #[allow(clippy::disallowed_methods, reason = "a test is told no time")]
    fn start() -> Instant {
        Instant::now()
    }

    /// What stood if what goes every 2 ms takes so many of them each, on a way of 20 ms.
    fn stood(takes: impl Fn(u64) -> u64) -> Queue {
        let (mut standing, began) = (Standing::default(), start());
        let mut queue = None;
        for look in 1..1_000 {
            let now = began + MILLI * 2 * look as u32;
            let arrived = (1..look).take_while(|sent| sent + takes(*sent) <= look);
            standing.see(now, look * 1_000, arrived.count() as u64 * 1_000);
            if look % 15 == 0 {
                queue = standing.over(now, Some(MILLI * 20), MILLI / 2, 0);
            }
        }
        queue.expect("looked at often enough")
    }

    #[test]
    fn a_queue_that_never_empties_stands_and_one_that_does_not() {
        let short = stood(|_| 10);
        assert!(!short.stands() && !short.doubtful, "{short:?}");
        let long = stood(|_| 15);
        assert!(long.stands() && !long.doubtful, "{long:?}");
        // As acknowledgements come: none before those of what went before.
        let empties = stood(|sent| if sent % 15 < 5 { 10 } else { 20 - sent % 15 });
        assert!(!empties.stands(), "{empties:?}");
    }

    #[test]
    fn where_round_trips_differ_much_more_should_stand() {
        let calm = stood(|_| 15);
        let varies = stood(|sent| 14 + sent / 7 % 2 * 6);
        assert!(varies.doubtful, "{varies:?}");
        assert!(varies.should > calm.should + MILLI * 4, "{varies:?}");
        assert!(
            varies.should < MILLI * 30,
            "no more than the way: {varies:?}"
        );
    }

    #[test]
    fn what_waits_for_its_end_stands_already() {
        let (mut standing, began) = (Standing::default(), start());
        for look in 0..100 {
            standing.see(began + MILLI * look, u64::from(look), 0);
        }
        let queue = standing.over(began + MILLI * 100, Some(MILLI * 20), MILLI, 0);
        assert!(
            queue.is_some_and(|queue| queue.long > MILLI * 70),
            "{queue:?}"
        );
    }

    #[test]
    fn short_ways_and_rare_looks_say_nothing() {
        let (mut standing, began) = (Standing::default(), start());
        for look in 0..100 {
            standing.see(began + MILLI * 10 * look, u64::from(look), 0);
        }
        let now = began + MILLI * 1_000;
        assert_eq!(standing.over(now, Some(MILLI * 20), MILLI, 0), None);
        for look in 0..100 {
            standing.see(now + MILLI * look, u64::from(100 + look), 0);
        }
        assert_eq!(standing.over(now, Some(MILLI * 5), MILLI, 0), None);
    }

    /// Looked at every 2 ms for half a second, 20 ms on the way, and 20 ms later again.
    fn late() -> (Standing, Instant) {
        let (mut standing, began) = (Standing::default(), start());
        for look in 1..=250_u32 {
            let acknowledged = u64::from(look.saturating_sub(10)) * 1_000;
            standing.see(
                began + MILLI * 2 * look,
                u64::from(look) * 1_000,
                acknowledged,
            );
        }
        assert!(!standing.passes(240_000), "nobody was late");
        let late = began + MILLI * 520;
        standing.see(late, 250_000, 240_000);
        (standing, late)
    }

    #[test]
    fn what_was_on_its_way_while_nobody_looked_says_nothing() {
        let (mut standing, late) = late();
        assert!(standing.passes(240_000));
        standing.see(late + MILLI * 2, 252_000, 251_000);
        assert!(standing.passes(251_000), "the end of it");
        standing.see(late + MILLI * 4, 254_000, 252_000);
        assert!(!standing.passes(252_000));
        let queue = standing.over(late + MILLI * 4, Some(MILLI * 20), MILLI / 2, 0);
        assert!(queue.is_none_or(|queue| !queue.doubtful), "{queue:?}");
    }

    #[test]
    fn no_more_than_two_times_in_a_row_are_passed_over() {
        let (mut standing, _) = late();
        let passed: Vec<_> = (0..6).map(|_| standing.passes(240_000)).collect();
        assert_eq!(passed, [true, true, false, true, true, false]);
    }

    #[test]
    fn who_looks_seldom_or_has_nothing_on_the_way_was_not_late() {
        let (mut standing, began) = (Standing::default(), start());
        for look in 1..100_u32 {
            let sent = u64::from(look) * 1_000;
            standing.see(began + MILLI * 10 * look, sent, sent - 1_000);
            assert!(!standing.passes(sent - 1_000));
        }
        let (mut standing, late) = late();
        standing.see(late + MILLI * 2, 250_000, 250_000);
        assert!(standing.passes(250_000));
        standing.see(late + MILLI * 900, 250_000, 250_000);
        assert!(!standing.passes(250_000));
    }

    #[test]
    fn no_more_than_64_moments_are_kept() {
        let (mut standing, began) = (Standing::default(), start());
        for look in 0..10_000 {
            standing.see(began + MILLI * look, u64::from(look), 0);
        }
        assert_eq!(standing.marks.len(), MARKS);
    }
}
