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
        if taken == 0 {
            return 0;
        }
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.bucket -= taken;
        self.within += taken;
        match self.slices.back_mut() {
            Some(slice) if now.saturating_duration_since(slice.first) < SLICE => {
                slice.last = now;
                slice.bytes += taken;
            }
            _ => self.slices.push_back(Slice {
                first: now,
                last: now,
                bytes: taken,
            }),
        }
        taken
    }

    /// When some may pass, if none may now.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        if self.room(now) > 0 {
            return None;
        }
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let grain = self.grain();
        let lacking = u128::from(grain.saturating_sub(self.bucket));
        let fills = (lacking * SECOND).div_ceil(u128::from(self.rate));
        let fills = Duration::from_nanos(u64::try_from(fills).unwrap_or(u64::MAX));
        let mut next = now.checked_add(fills);
        let mut within = self.within;
        for slice in &self.slices {
            if within.saturating_add(grain) <= self.rate {
                break;
            }
            within -= slice.bytes;
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
            self.within -= slice.bytes;
            self.slices.pop_front();
        }
    }

    /// Fewer bytes than these do not go alone.
    fn grain(&self) -> u64 {
        PACKET.min(self.rate).min(burst(self.rate))
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
