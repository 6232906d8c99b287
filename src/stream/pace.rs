//! How often a connection is tried: a back-off that grows, and a bound that no event resets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Attempts that may begin in [`WINDOW`].
const ATTEMPTS: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(30);

/// At most ten attempts begin in any ten seconds, however often the networks change.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<Instant>);

impl Pace {
    /// How long the next attempt has to wait, if it has to.
    pub(super) fn hold(&mut self, now: Instant) -> Option<Duration> {
        while self
            .0
            .front()
            .is_some_and(|start| now.duration_since(*start) >= WINDOW)
        {
            self.0.pop_front();
        }
        let full = self.0.len() >= ATTEMPTS;
        full.then(|| (self.0[0] + WINDOW).saturating_duration_since(now))
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.0.push_back(now);
    }
}

/// The rest after so many failures in a row: from 100 ms, growing by 1.6 to 30 s, a quarter more or
/// less.
pub(super) fn backoff(failures: i32) -> Duration {
    let rest = FIRST_BACKOFF
        .mul_f64(1.6_f64.powi(failures.min(20)))
        .min(LAST_BACKOFF);
    rest.mul_f64(0.75 + 0.5 * super::roam::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour: S13
    #[test]
    fn an_eleventh_attempt_waits_until_the_first_is_ten_seconds_old() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for i in 0..10 {
            let now = start + Duration::from_millis(100 * i);
            assert_eq!(pace.hold(now), None);
            pace.begin(now);
        }
        assert_eq!(
            pace.hold(start + Duration::from_secs(1)),
            Some(Duration::from_secs(9))
        );
        assert_eq!(pace.hold(start + WINDOW), None);
    }

    // behaviour: S11
    #[test]
    fn the_backoff_grows_with_jitter_and_is_bounded() {
        for failures in 0..40 {
            let rest = backoff(failures);
            assert!(rest >= FIRST_BACKOFF.mul_f64(0.75) && rest <= LAST_BACKOFF.mul_f64(1.25));
        }
        assert!(backoff(30) > backoff(0) * 10);
    }
}
