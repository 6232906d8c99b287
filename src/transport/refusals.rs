//! What a listener says of those it refuses: enough for who runs it, and no flood by who knocks.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::endpoint::Endpoint;

/// So many are told of at once,
const BURST: u32 = 8;
/// and one more after each of these.
const EACH: Duration = Duration::from_secs(10);

/// How many were told of lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    /// When all that was told is forgotten.
    until: Option<Instant>,
    untold: u64,
}

impl Refusals {
    /// Tells of one who is not let in at this endpoint, as a warning of the target `mancom::refused`.
    pub(crate) fn tell(&self, at: &Endpoint, from: &Endpoint, why: impl Display) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = count.one_more(Clock::now());
        drop(count);
        match told {
            Some(0) => tracing::warn!(target: "mancom::refused", "{at} refused {from}: {why}"),
            Some(untold) => tracing::warn!(
                target: "mancom::refused",
                "{at} refused {from}, and before it {untold} of whom nothing was said: {why}"
            ),
            None => tracing::debug!(target: "mancom::refused", "{at} refused {from}: {why}"),
        }
    }
}

impl Count {
    /// How many before this one were not told of; `None` if this one is not to be either.
    fn one_more(&mut self, now: Instant) -> Option<u64> {
        let until = self.until.map_or(now, |until| until.max(now));
        if until.duration_since(now) > EACH * (BURST - 1) {
            self.untold += 1;
            return None;
        }
        self.until = Some(until + EACH);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_told_of_at_once_and_then_one_each_ten_seconds() {
        let (mut count, now) = (Count::default(), Instant::now());
        let told = (0..1_000).filter_map(|_| count.one_more(now));
        assert_eq!(told.collect::<Vec<_>>(), [0; 8]);
        // An hour of a flood.
        let mut told = Vec::new();
        for second in 1..=3_600 {
            let at = now + Duration::from_secs(second);
            told.extend((0..100).filter_map(|_| count.one_more(at)));
        }
        assert_eq!(told.len(), 360);
        assert_eq!(told[0], 992 + 900);
        assert_eq!(told[1], 999);
        // None is forgotten.
        let later = now + Duration::from_secs(7_200);
        let all = told.iter().sum::<u64>() + told.len() as u64 + 8;
        assert_eq!(
            all + count.one_more(later).expect("calm") + 1,
            1_000 + 360_000 + 1
        );
    }
}
