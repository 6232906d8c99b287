//! How often Airhook asks, and how much is under way: both by the round trip.

use std::time::{Duration, Instant};

/// Before a round trip is known.
const FIRST: Duration = Duration::from_millis(250);
const LEAST: Duration = Duration::from_millis(20);
const MOST: Duration = Duration::from_secs(1);
/// The same before a round trip is known: opening has little time.
const MOST_AT_FIRST: Duration = Duration::from_millis(500);
/// Pieces under way.
pub(super) const MOST_PIECES: usize = 256;
const LEAST_PIECES: usize = 16;
const FIRST_PIECES: usize = 64;
/// A round trip over twice the least and this is a queue.
const QUEUE: Duration = Duration::from_millis(50);
/// How long a least round trip is believed.
const AGE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Pace {
    smoothed: Option<Duration>,
    /// Its mean deviation (RFC 6298).
    deviation: Duration,
    /// The least round trip of this [`AGE`] and of the one before.
    least: [Option<Duration>; 2],
    began: Option<Instant>,
    pieces: usize,
    /// When the pieces last became fewer.
    eased: Option<Instant>,
    /// The sequence of the last packet, and when it was last repeated.
    last: Option<[u8; 2]>,
    repeated: Option<Instant>,
    /// When the last packet was made of which the peer was known to have it.
    response: Option<Instant>,
    /// Questions since anything was heard.
    unanswered: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            smoothed: None,
            deviation: Duration::ZERO,
            least: [None, None],
            began: None,
            pieces: FIRST_PIECES,
            eased: None,
            last: None,
            repeated: None,
            response: None,
            unanswered: 0,
        }
    }

    /// Airhook's interval.
    pub(super) fn interval(&self) -> Duration {
        let (usual, most) = match self.smoothed {
            Some(rtt) => (rtt + rtt / 2 + LEAST, MOST),
            None => (FIRST, MOST_AT_FIRST),
        };
        let factor = 1u32 << self.unanswered.min(10);
        usual.clamp(LEAST, most).saturating_mul(factor).min(most)
    }

    /// Pieces that may be under way.
    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    pub(super) fn deviation(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.deviation)
    }

    pub(super) fn least(&self) -> Option<Duration> {
        self.least.into_iter().flatten().min()
    }

    /// A packet goes; whether the interval is another now.
    pub(super) fn sent(&mut self, now: Instant, packet: &[u8]) -> bool {
        let sequence = packet.get(2..4).and_then(|bytes| bytes.try_into().ok());
        if sequence == self.last {
            self.repeated = Some(now);
            self.unanswered = self.unanswered.saturating_add(1);
            return true;
        }
        self.last = sequence;
        false
    }

    /// The peer was heard; `response` is when the last packet was made that it is known to have.
    pub(super) fn heard(&mut self, now: Instant, response: Option<Instant>) {
        self.unanswered = 0;
        let Some(made) = response.filter(|_| response != self.response) else {
            return;
        };
        self.response = response;
        // One that was repeated may have come late.
        if self.repeated.is_some_and(|repeated| repeated >= made) {
            return;
        }
        let rtt = now.saturating_duration_since(made);
        (self.smoothed, self.deviation) = match self.smoothed {
            Some(smoothed) => {
                let off = (self.deviation * 3 + smoothed.abs_diff(rtt)) / 4;
                (Some((smoothed * 7 + rtt) / 8), off)
            }
            None => (Some(rtt), rtt / 2),
        };
        if self.began.is_none_or(|began| now >= began + AGE) {
            self.began = Some(now);
            self.least = [None, self.least[0]];
        }
        self.least[0] = Some(self.least[0].map_or(rtt, |least| least.min(rtt)));
        self.adjust(now, rtt);
    }

    fn adjust(&mut self, now: Instant, rtt: Duration) {
        let least = self.least().unwrap_or(rtt);
        if rtt <= least * 2 + QUEUE {
            self.pieces = (self.pieces + 4).min(MOST_PIECES);
        } else if self.eased.is_none_or(|eased| now >= eased + rtt) {
            self.eased = Some(now);
            self.pieces = (self.pieces - self.pieces / 8).max(LEAST_PIECES);
        }
    }
}
