//! What a stream tells of its way, for those who choose between ways.

use std::time::{Duration, Instant};

use super::Airstream;

/// What was measured of a stream so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// The smoothed round trip, the waiting behind what was sent before included.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub deviation: Option<Duration>,
    /// The least round trip of the last 30 to 60 s.
    pub least_rtt: Option<Duration>,
    /// Whether what arrived last was all there was to send.
    pub app_limited: bool,
    /// Bytes of ours that arrived, also those after a gap.
    pub acknowledged: u64,
    /// For how long something was under way, in all.
    pub busy: Duration,
    /// For how long of that time the peer's credit, or the bound of what may be under way, held the rest
    /// back.
    pub held_back: Duration,
    /// Packets that carried pieces which arrived; a piece is counted with each. Wraps.
    pub segments: u32,
    /// Those of them that carried one again. Wraps.
    pub resent: u32,
    /// Bytes written that are not known to have arrived.
    pub outstanding: u64,
    /// Those of them that were not cut yet.
    pub unsent: u64,
}

/// What is counted for [`Figures`].
#[derive(Debug)]
pub(super) struct Counts {
    busy: Lasting,
    held_back: Lasting,
    segments: u32,
    resent: u32,
    /// When this message of ours was sent there was nothing after it.
    last: u64,
    app_limited: bool,
}

/// For how long something has been so, in all.
#[derive(Debug, Default)]
struct Lasting {
    before: Duration,
    since: Option<Instant>,
}

impl Lasting {
    fn set(&mut self, now: Instant, so: bool) {
        self.before = self.so_far(now);
        self.since = so.then_some(now);
    }

    fn so_far(&self, now: Instant) -> Duration {
        let since = self.since.map(|since| now.saturating_duration_since(since));
        self.before.saturating_add(since.unwrap_or_default())
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            busy: Lasting::default(),
            held_back: Lasting::default(),
            segments: 0,
            resent: 0,
            last: 0,
            app_limited: true,
        }
    }
}

impl Counts {
    /// How it stands from now on.
    pub(super) fn see(&mut self, now: Instant, busy: bool, held_back: bool) {
        self.busy.set(now, busy);
        self.held_back.set(now, held_back);
    }

    /// There is nothing after the message of this number.
    pub(super) fn ran_dry(&mut self, number: u64) {
        self.last = number;
    }

    /// A piece has arrived that so many packets carried.
    pub(super) fn arrived(&mut self, number: u64, packets: u32) {
        self.segments = self.segments.wrapping_add(packets);
        self.resent = self.resent.wrapping_add(packets.saturating_sub(1));
        self.app_limited = number <= self.last;
    }
}

impl Airstream {
    /// What was measured so far.
    pub fn figures(&self, now: Instant) -> Figures {
        let (counts, unsent) = (&self.counts, self.outgoing.uncut());
        Figures {
            rtt: self.pace.smoothed(),
            deviation: self.pace.deviation(),
            least_rtt: self.pace.least(),
            app_limited: counts.app_limited,
            acknowledged: self.outgoing.arrived(),
            busy: counts.busy.so_far(now),
            held_back: counts.held_back.so_far(now),
            segments: counts.segments,
            resent: counts.resent,
            outstanding: unsent + self.outgoing.under_way(),
            unsent,
        }
    }
}
