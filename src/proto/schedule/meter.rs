//! A rate that holds over any second: of a session's payload, for instance.
//!
//! Two bounds make it. What went within the last second is kept, in slices of 10 ms, each counted until
//! a second after its *last* byte; so in no window of 1 s, wherever it begins, is there more than the
//! rate. And a bucket that fills at the rate and holds 50 ms of it spreads that over the second, so
//! that nothing goes in one burst a second.
//!
//! It costs at most 1 % of the rate, and keeps at most 101 slices.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(10);
/// What a full bucket holds is what fills it in this time, or a packet.
const BURST: Duration = Duration::from_millis(50);
const PACKET: u64 = 1500;
const SECOND: u128 = 1_000_000_000;

#[derive(Debug, Clone, Copy)]
struct Slice {
    first: Instant,
    last: Instant,
    bytes: u64,
}

/// Lets at most so many bytes pass in any window of one second.
#[derive(Debug, Clone)]
pub struct Meter {
    rate: u64,
    slices: VecDeque<Slice>,
    /// The bytes of all slices.
    within: u64,
    /// What may pass now, and since when that is so.
    bucket: u64,
    filled: Option<Instant>,
    /// The latest time that was told.
    latest: Option<Instant>,
}

impl Meter {
    /// Of `rate` bytes a second; at least 1.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        let rate = rate.max(1);
        Self {
            rate,
            slices: VecDeque::new(),
            within: 0,
            bucket: burst(rate),
            filled: None,
            latest: None,
        }
    }

    /// Bytes a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Another rate from now on: what went already counts.
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate.max(1);
        self.bucket = self.bucket.min(burst(self.rate));
    }

    /// How many bytes may pass now; 0 also if they are too few to be worth a packet.
    pub fn room(&mut self, now: Instant) -> u64 {
        self.settle(now);
        let room = self.bucket.min(self.rate.saturating_sub(self.within));
        if room < self.grain() { 0 } else { room }
    }

    /// Lets so many bytes pass, or as many as may; how many those are.
    pub fn take(&mut self, now: Instant, bytes: u64) -> u64 {
        let taken = bytes.min(self.room(now));
        self.spend(now, taken);
        taken
    }

    /// So many bytes pass whether or not they may; what is too much is missing later.
    pub fn spend(&mut self, now: Instant, bytes: u64) {
        self.settle(now);
        if bytes == 0 {
            return;
        }
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.bucket = self.bucket.saturating_sub(bytes);
        self.within = self.within.saturating_add(bytes);
        match self.slices.back_mut() {
            Some(slice) if now.saturating_duration_since(slice.first) < SLICE => {
                slice.last = now;
                slice.bytes = slice.bytes.saturating_add(bytes);
            }
            _ => self.slices.push_back(Slice {
                first: now,
                last: now,
                bytes,
            }),
        }
    }

    /// So many of those that were let pass did not: they may later.
    pub fn give_back(&mut self, now: Instant, bytes: u64) {
        self.settle(now);
        self.bucket = self.bucket.saturating_add(bytes).min(burst(self.rate));
        let mut left = bytes;
        while left > 0
            && let Some(slice) = self.slices.back_mut()
        {
            let gone = left.min(slice.bytes);
            slice.bytes -= gone;
            self.within = self.within.saturating_sub(gone);
            left -= gone;
            if slice.bytes == 0 {
                self.slices.pop_back();
            }
        }
    }

    /// When some may pass, if none may now: what 10 ms bring, so that nobody asks all the time.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        if self.room(now) > 0 {
            return None;
        }
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let grain = self.grain().max(self.rate / 100);
        let lacking = u128::from(grain.saturating_sub(self.bucket));
        let fills = (lacking * SECOND).div_ceil(u128::from(self.rate));
        let fills = Duration::from_nanos(u64::try_from(fills).unwrap_or(u64::MAX));
        let mut next = now.checked_add(fills);
        let mut within = self.within;
        for slice in &self.slices {
            if within.saturating_add(grain) <= self.rate {
                break;
            }
            within = within.saturating_sub(slice.bytes);
            next = next.max(slice.last.checked_add(WINDOW));
        }
        next
    }

    /// Fills the bucket and forgets what is more than a second ago.
    fn settle(&mut self, now: Instant) {
        let now = *self
            .latest
            .insert(self.latest.map_or(now, |latest| latest.max(now)));
        let since = *self.filled.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        let full = burst(self.rate);
        // Whole bytes alone, and the rest of the time stays: asking often costs nothing.
        let poured = passed.as_nanos().saturating_mul(self.rate.into()) / SECOND;
        if poured >= u128::from(full - self.bucket) {
            self.bucket = full;
            self.filled = Some(now);
        } else {
            self.bucket += poured as u64;
            let spent = (poured * SECOND).div_ceil(u128::from(self.rate));
            self.filled = since.checked_add(Duration::from_nanos(spent as u64));
        }
        while let Some(slice) = self.slices.front()
            && now.saturating_duration_since(slice.last) >= WINDOW
        {
            self.within = self.within.saturating_sub(slice.bytes);
            self.slices.pop_front();
        }
    }

    /// Fewer bytes than these do not go alone.
    fn grain(&self) -> u64 {
        PACKET.min(self.rate / 20).max(1)
    }
}

/// What a full bucket holds.
fn burst(rate: u64) -> u64 {
    let nanos = u128::from(rate) * BURST.as_nanos() / SECOND;
    u64::try_from(nanos)
        .unwrap_or(u64::MAX)
        .max(PACKET)
        .min(rate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Virtual time has to begin somewhere.
    #[allow(clippy::disallowed_methods, reason = "a test is told no time")]
    fn start() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// What passes if somebody wants everything, asking when told, for so long.
    fn greedy(meter: &mut Meter, from: Instant, span: Duration) -> Vec<(Instant, u64)> {
        let (mut now, mut taken) = (from, Vec::new());
        while now < from + span {
            taken.push((now, meter.take(now, u64::MAX)));
            now = meter.next(now).expect("all there was is taken");
        }
        taken
    }

    fn sum(taken: &[(Instant, u64)], from: Instant, span: Duration) -> u64 {
        let within = taken
            .iter()
            .filter(|(at, _)| *at >= from && *at < from + span);
        within.map(|(_, bytes)| bytes).sum()
    }

    // behaviour: P5
    #[test]
    fn no_second_has_more_than_the_rate_and_all_of_it_is_used() {
        for rate in [1, 700, 1_500, 20_000, 250_000, 125_000_000, 1 << 40] {
            let (mut meter, begin) = (Meter::new(rate), start());
            let taken = greedy(&mut meter, begin, Duration::from_secs(5));
            for (at, _) in &taken {
                assert!(sum(&taken, *at, WINDOW) <= rate, "{rate}");
            }
            let all = sum(&taken, begin, Duration::from_secs(5));
            assert!(all >= rate / 100 * 97 * 5, "{all} of {}", rate * 5);
            assert!(taken.len() < 5 * 300, "{} times at {rate}", taken.len());
            assert!(meter.slices.len() <= 101);
        }
    }

    #[test]
    fn what_passes_is_spread_over_the_second() {
        let (mut meter, begin) = (Meter::new(1_000_000), start());
        let taken = greedy(&mut meter, begin, Duration::from_secs(5));
        let tenth = Duration::from_millis(100);
        for place in 0..49 {
            let bytes = sum(&taken, begin + tenth * place, tenth);
            assert!((40_000..=160_000).contains(&bytes), "{place}: {bytes}");
        }
    }

    #[test]
    fn what_passed_unasked_is_missing_later() {
        let (mut meter, begin) = (Meter::new(100_000), start());
        meter.spend(begin, 150_000);
        let next = meter.next(begin).expect("later");
        assert!(next >= begin + WINDOW);
        assert!(meter.take(next, u64::MAX) > 0);
        meter.spend(next, u64::MAX);
        meter.spend(next, u64::MAX);
        assert_eq!(meter.room(next + WINDOW / 2), 0);
    }

    #[test]
    fn what_did_not_pass_may_pass_later_and_no_more() {
        let (mut meter, begin) = (Meter::new(100_000), start());
        let taken = meter.take(begin, u64::MAX);
        meter.give_back(begin, taken);
        assert_eq!(meter.room(begin), taken);
        meter.give_back(begin, u64::MAX);
        assert_eq!(meter.room(begin), taken, "no more than a full bucket");
        assert!(meter.slices.is_empty());
    }

    #[test]
    fn another_rate_counts_from_now_on_and_what_went_counts_too() {
        let (mut meter, begin) = (Meter::new(1_000_000), start());
        greedy(&mut meter, begin, WINDOW);
        meter.set_rate(100_000);
        assert_eq!(meter.room(begin + WINDOW), 0);
        let again = meter.next(begin + WINDOW).expect("later");
        assert!(again > begin + Duration::from_millis(1_800), "the old rate");
        assert!(meter.take(again, u64::MAX) > 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

        // behaviour: P5
        #[test]
        fn no_window_has_more_than_the_rate_whatever_comes(
            rate in prop_oneof![1_u64..10_000, 10_000_u64..10_000_000, Just(u64::MAX)],
            steps in prop::collection::vec((0_u64..60_000, 0_u64..200_000, 0_u8..20), 1..400),
        ) {
            let (mut meter, mut now) = (Meter::new(rate), start());
            meter.settle(now);
            let (mut latest, mut taken) = (now, Vec::new());
            for (micros, bytes, backwards) in steps {
                now += Duration::from_micros(micros);
                // A clock that goes back is no time passed.
                let told = if backwards == 0 { now - WINDOW } else { now };
                latest = latest.max(told);
                match meter.next(told) {
                    None => {
                        let room = meter.room(told);
                        let passed = meter.take(told, bytes);
                        prop_assert_eq!(passed, bytes.min(room));
                        taken.push((latest, passed));
                    }
                    Some(next) => {
                        prop_assert_eq!(meter.take(told, bytes), 0);
                        prop_assert!(next > latest && next <= latest + WINDOW * 2);
                    }
                }
                prop_assert!(meter.slices.len() <= 101);
            }
            for (at, _) in &taken {
                let passed: u128 = taken.iter().filter(|(t, _)| *t >= *at && *t < *at + WINDOW)
                    .map(|(_, bytes)| u128::from(*bytes)).sum();
                prop_assert!(passed <= u128::from(rate));
            }
        }
    }
}
