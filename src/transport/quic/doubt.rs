//! What a dialler makes of it when a system says that nobody listens at a port of its (ICMP).
//!
//! Anybody may say so who knows, or guesses, the two addresses and ports: 16 bits, for all but the dialler's
//! port is known. One such message must not end what lives (RFC 9000, section 21; RFC 5927 tells how it was
//! for TCP). So it has to be said again and again while nothing else comes, each time after something was
//! sent: where the far end lives, its answers are here within a round trip, and what was said is forgotten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So often it has to be said,
const REFUSALS: u32 = 3;
/// and so long: no less than a round trip of a path that is of any use.
const OVER: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether there is anything to forget: asked with each datagram.
    is: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    first: Option<Instant>,
    refusals: u32,
    /// Since the last of them.
    sent: bool,
}

impl Doubt {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A datagram went.
    pub(super) fn sent(&self) {
        if self.is.load(Ordering::Relaxed) {
            self.said().sent = true;
        }
    }

    /// A datagram came.
    pub(super) fn heard(&self) {
        if self.is.swap(false, Ordering::Relaxed) {
            *self.said() = Said::default();
        }
    }

    /// It was said now; whether it is to be believed.
    pub(super) fn refused(&self, now: Instant) -> bool {
        let mut said = self.said();
        self.is.store(true, Ordering::Relaxed);
        let first = *said.first.get_or_insert(now);
        if said.refusals == 0 || said.sent {
            said.refusals += 1;
            said.sent = false;
        }
        said.refusals >= REFUSALS && now.saturating_duration_since(first) >= OVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is believed at the end; it is said every tenth of a second, for four seconds.
    fn believed(mut each: impl FnMut(u32, &Doubt)) -> bool {
        let (doubt, began) = (Doubt::default(), Instant::now());
        let mut believed = false;
        for n in 0..=40 {
            each(n, &doubt);
            believed |= doubt.refused(began + n * Duration::from_millis(100));
        }
        believed
    }

    #[test]
    fn who_is_refused_for_long_and_hears_nothing_believes_it() {
        assert!(believed(|_, doubt| doubt.sent()));
        let (doubt, began) = (Doubt::default(), Instant::now());
        let refused = |seconds| {
            doubt.sent();
            doubt.refused(began + Duration::from_millis(seconds))
        };
        assert_eq!([0, 2_999, 3_000].map(refused), [false, false, true]);
    }

    #[test]
    fn what_comes_in_between_ends_the_doubt() {
        for every in [2, 5, 29] {
            let live = |n: u32, doubt: &Doubt| {
                doubt.sent();
                if n.is_multiple_of(every) {
                    doubt.heard();
                }
            };
            assert!(!believed(live), "each {every}");
        }
    }

    #[test]
    fn a_flood_at_one_who_sends_little_is_not_believed() {
        assert!(!believed(|_, _| ()));
        assert!(!believed(|n, doubt| {
            if n == 1 {
                doubt.sent();
            }
        }));
    }
}
