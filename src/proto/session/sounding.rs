//! How much a path carries whose link tells nothing: by PINGs among its payload.
//!
//! A link delivers in order, so the answer to a PING says that all that went before it is there: how much
//! has arrived, and how long the last of it took. That holds whenever, and by whatever path, the peer
//! acknowledges; it may keep an acknowledgement back for 20 ms, which is a whole round trip of many a
//! network. [`bandwidth`](crate::proto::schedule::bandwidth) makes of it what it makes of a kernel's word.
//!
//! Only bulk is sounded, and only while what goes where depends on it
//! ([`wants_measures`](Session::wants_measures)): no oftener than every sixteenth of a round trip, 1 to 10 ms,
//! or what the path carries in a millisecond, and not while [`MOST`] are unanswered. So PINGs
//! are some 12 bytes in a thousand or fewer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::frame::{kind, put_token};
use super::path::{Closing, Path};
use super::{PathStats, Session};
use crate::proto::schedule::bandwidth::{Estimate, Told};

/// PINGs that are not answered; beyond, what goes is counted by the next.
pub(super) const MOST: usize = 64;
/// A PING follows so much payload at least: less is no bulk, and soon acknowledged.
const BULK: u64 = 1_000;
/// So many in a round trip, as far apart as this.
const PART: u32 = 16;
const PAUSE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
/// What answers may vary by, of the least round trip and at most.
const VARIES: u32 = 10;
const MOST_VARIES: Duration = Duration::from_millis(2);
/// Or after so much, unless the path is known to carry that in a millisecond.
const MUCH: u64 = 64 << 10;

/// What the PINGs of one path told.
#[derive(Debug)]
pub(super) struct Soundings {
    /// Not answered, the oldest first.
    asked: VecDeque<Sounding>,
    /// The latest of all.
    last: Option<Sounding>,
    /// Bytes that are known to have arrived, once one was answered.
    arrived: Option<u64>,
    /// The least round trip, smoothed.
    least: Option<Duration>,
    estimate: Estimate,
}

#[derive(Debug, Clone, Copy)]
struct Sounding {
    token: u64,
    at: Instant,
    /// Bytes that the link took before it, and payload among them.
    sent: u64,
    payload: u64,
}

/// Bytes that the link took.
fn sent(stats: &PathStats) -> u64 {
    payload(stats) + stats.control_sent
}

fn payload(stats: &PathStats) -> u64 {
    stats.payload_sent + stats.payload_resent
}

impl Default for Soundings {
    fn default() -> Self {
        Self {
            asked: VecDeque::new(),
            last: None,
            arrived: None,
            least: None,
            estimate: Estimate::blind(),
        }
    }
}

impl Soundings {
    /// The round trip where nothing waits in the network. What answers is a program, woken when its turn
    /// comes: the quickest answer of all is none to measure the others by, and what they vary is no queue.
    fn calm(&self, deviation: Option<Duration>) -> Option<Duration> {
        let least = self.least?;
        let varies = deviation.unwrap_or_default().min(MOST_VARIES);
        Some(least + varies.min(least / VARIES))
    }

    /// PINGs that are not answered.
    #[cfg(test)]
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }
}

impl Path {
    /// Bytes on their way, as far as PINGs tell.
    pub(super) fn sounded(&self) -> Option<u64> {
        let arrived = self.soundings.arrived?;
        Some(sent(&self.stats).saturating_sub(arrived))
    }

    /// Sends a PING after what went, if that is worth it.
    fn sound(&mut self, now: Instant) {
        let went = payload(&self.stats);
        let (since, more) = match self.soundings.last {
            Some(last) => (
                now.saturating_duration_since(last.at),
                went.saturating_sub(last.payload),
            ),
            None => (Duration::MAX, went),
        };
        let least = self.measure.least_rtt.unwrap_or_default();
        let pause = (least / PART).clamp(PAUSE[0], PAUSE[1]);
        let much = MUCH.max(self.measure.bandwidth.unwrap_or(0) / 1_000);
        let due = more >= BULK && since >= pause || more >= much;
        if !due || self.soundings.asked.len() >= MOST || self.closing != Closing::No {
            return;
        }
        self.trust.pings += 1;
        let token = self.trust.pings;
        put_token(&mut self.outbox.control, kind::PING, token);
        let sounding = Sounding {
            token,
            at: now,
            sent: sent(&self.stats),
            payload: went,
        };
        self.soundings.last = Some(sounding);
        self.soundings.asked.push_back(sounding);
    }

    /// A round trip was measured.
    pub(super) fn took_round_trip(&mut self, rtt: Duration) {
        super::trust::smooth(&mut self.measure, rtt);
        let rtt = self.measure.rtt.unwrap_or(rtt);
        let least = self.soundings.least.map_or(rtt, |least| least.min(rtt));
        self.soundings.least = Some(least);
        let known = self.measure.least_rtt.map_or(rtt, |least| least.min(rtt));
        self.measure.least_rtt = Some(known);
    }

    /// A PING was answered; whether it is one of these.
    pub(super) fn echoed(&mut self, now: Instant, token: u64) -> bool {
        let asked = &mut self.soundings.asked;
        let Some(index) = asked.iter().position(|one| one.token == token) else {
            return false;
        };
        let Some(sounding) = asked.drain(..=index).next_back() else {
            return false;
        };
        self.soundings.arrived = self.soundings.arrived.max(Some(sounding.sent));
        if self.trust.measured {
            return true;
        }
        self.took_round_trip(now.saturating_duration_since(sounding.at));
        let told = Told {
            rtt: self.measure.rtt,
            deviation: self.measure.deviation,
            least_rtt: self.soundings.calm(self.measure.deviation),
            acknowledged: sounding.sent,
            outstanding: self.sounded().unwrap_or(0),
            ..Told::default()
        };
        let known = self.soundings.estimate.take(now, &told);
        self.measure.bandwidth = known.bandwidth;
        self.measure.least_rtt = known.least_rtt;
        true
    }
}

impl Session {
    /// Sounds a path if what goes where depends on it, and its link tells nothing.
    pub(super) fn sound(&mut self, now: Instant, slot: usize) {
        if self.wants_measures()
            && let Some(path) = self.paths[slot].as_mut().filter(|p| !p.trust.measured)
        {
            path.sound(now);
        }
    }
}
