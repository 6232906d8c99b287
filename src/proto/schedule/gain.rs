//! How much is asked of a path, so that its queue is short and never empty.
//!
//! The bandwidth alone does not say: a network that varies from one round trip to the next needs a longer
//! queue to be always busy, one that does not can do with almost none, and what a gate lets through is
//! never exactly what was meant. So where the standing queue can be seen, what is asked is turned every
//! second round trip by what the queue lacks or has too much, a little at a time where it is nearly right
//! (as FAST TCP does it). Until a queue was seen once, one byte more is asked for each that arrives, as
//! with a window that starts slowly.

use std::time::Duration;

use super::gate::TEN;
use super::standing::Queue;

/// In thousandths of the bandwidth: what is asked at most, at least, and where nothing is known.
const MOST: u64 = 4_000;
const LEAST: u64 = 850;
const EVEN: u64 = 1_000;
/// Turned by no more than this at once, in thousandths: sooner up than down, for what idles is lost.
const TURN: [i64; 2] = [-200, 500];
/// A queue longer than this part of the way is no matter of asking a little less.
const DEEP: u32 = 4;
/// A full packet.
pub(super) const SEGMENT: u64 = 1_500;
/// More than these percent of what may be on the way is all of it.
const ALL: u64 = 90;

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Gain {
    /// In thousandths; none until a queue was seen.
    of: Option<u64>,
    /// What is asked is what limits: not who sends, nor the kernel.
    limits: bool,
    /// What was acknowledged before that was so.
    before: u64,
    /// It was turned in the last round trip: what comes of it is seen in the next.
    turned: bool,
    /// What was delivered in the last one, if something stood in the queue all along.
    stood: Option<u64>,
    /// By how many percent that differs from one to the next, times 8.
    varies: u64,
}

impl Gain {
    /// What to ask of a path of this bandwidth now that so much is acknowledged.
    pub(super) fn asked(
        &self,
        known: Option<u64>,
        least: Option<Duration>,
        acknowledged: u64,
    ) -> Option<u64> {
        match (self.of, least) {
            (None, Some(least)) if self.limits => {
                let window = TEN.saturating_add(acknowledged.saturating_sub(self.before));
                Some(known.unwrap_or(0).max(fills(window, least)))
            }
            (of, _) => {
                let asked = u128::from(known?) * u128::from(of.unwrap_or(EVEN)) / u128::from(EVEN);
                Some(u64::try_from(asked).unwrap_or(u64::MAX))
            }
        }
    }

    /// The most that was on the way for some time, of what may be; whether that is all, so that it is
    /// what is asked that limits. `free` if the kernel had sent all it was given.
    pub(super) fn used(
        &mut self,
        most: u64,
        allowed: Option<u64>,
        free: bool,
        acknowledged: u64,
    ) -> bool {
        let all = u128::from(allowed.unwrap_or(TEN)) * u128::from(ALL) / 100;
        self.limits = free && u128::from(most) >= all;
        if !self.limits {
            self.before = acknowledged;
        }
        self.limits
    }

    /// So much is on the way of a path of which nothing is known, and the kernel has sent all of it.
    pub(super) fn fills(&mut self, outstanding: u64, acknowledged: u64) {
        if !self.limits {
            self.used(outstanding, None, true, acknowledged);
        }
    }

    /// No queue of ours was seen yet.
    pub(super) fn is_young(&self) -> bool {
        self.of.is_none() && self.limits
    }

    /// What the path holds is not for us to find out, or was found.
    pub(super) fn even(&mut self) {
        self.of = Some(EVEN);
    }

    /// What is asked does not limit for a while: no more is asked than the path holds. That less was
    /// enough is still so afterwards.
    pub(super) fn leave(&mut self) {
        self.of = Some(self.of.map_or(EVEN, |of| of.min(EVEN)));
    }

    /// Asks for more if too little stood in the queue, for less if too much did; not for less while more
    /// is tried.
    pub(super) fn turn(&mut self, queue: &Queue, least: Duration, trying: bool) {
        let Some(now) = self.of else {
            return;
        };
        let micros = |time: Duration| time.as_micros().min(1 << 40) as i64;
        let lacks = micros(queue.should) - micros(queue.long);
        // Twice as much for what idles as for what waits.
        let part = if lacks > 0 { 1_000 } else { 500 };
        let by = (lacks * part / micros(least).max(1)).clamp(TURN[0], TURN[1]);
        if std::mem::take(&mut self.turned) || trying && by < 0 {
            return;
        }
        self.turned = true;
        let is_deep = queue.doubtful || queue.long > least / DEEP;
        let floor = if is_deep { EVEN } else { LEAST };
        let next = now.saturating_add_signed(now as i64 * by / 1_000);
        self.of = Some(next.clamp(floor, MOST));
    }

    /// So much was delivered over a round trip; `stood` if the network was busy all along.
    pub(super) fn delivered(&mut self, rate: u64, bytes: u64, stood: bool) {
        let before = std::mem::replace(&mut self.stood, stood.then_some(rate));
        let Some(before) = before.filter(|_| stood && bytes > 0) else {
            return;
        };
        let percent = rate.abs_diff(before).saturating_mul(100) / rate.max(before).max(1);
        // A packet more or less is none of it.
        let packets = 200 * SEGMENT / bytes.max(SEGMENT);
        self.varies = self.varies - self.varies / 8 + percent.saturating_sub(packets);
    }

    /// By how many percent the network varies from one round trip to the next, at most 100.
    pub(super) fn varies(&self) -> u32 {
        (self.varies / 8).min(100) as u32
    }
}

/// The rate at which so many bytes fill a path.
fn fills(bytes: u64, least: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / least.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
