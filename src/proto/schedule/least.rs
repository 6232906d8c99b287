//! The least round trip of a path: that of its way, without what waits.

use std::time::{Duration, Instant};

use super::bandwidth::Told;

/// Over this time calm round trips are compared with the kernel's least.
const CALM: Duration = Duration::from_secs(10);
/// Bytes on the way that make no queue worth speaking of: ten segments.
const FEW: u64 = 15_000;
/// Less than this is no other way.
const FAR: Duration = Duration::from_millis(5);

/// One connection's: what the kernel tells, of the last minutes, unless all of the last ten seconds, with
/// little on the way, were far from it. Then the way is another one.
#[derive(Debug, Default)]
pub(super) struct Least {
    calm: [Option<Calm>; 2],
    /// Since when little is on the way.
    little: Option<Instant>,
    acknowledged: Option<u64>,
}

/// The least round trip of some seconds with little on the way.
#[derive(Debug, Clone, Copy)]
struct Calm {
    began: Instant,
    least: Duration,
}

impl Least {
    /// The least round trip now; `pipe` bytes on the way fill the path.
    pub(super) fn take(&mut self, now: Instant, told: &Told, pipe: u64) -> Option<Duration> {
        let kernel = told.least_rtt;
        let Some(rtt) = told.rtt else {
            return kernel;
        };
        let before = self.acknowledged.replace(told.acknowledged);
        let moved = before.is_some_and(|before| told.acknowledged > before);
        if told.outstanding <= FEW.max(pipe.saturating_add(pipe / 4)) {
            let since = *self.little.get_or_insert(now);
            // Before that the smoothed round trip still tells of the queue that was.
            if moved && now.saturating_duration_since(since) >= rtt * 2 {
                self.calmed(now, rtt);
            }
        } else {
            self.little = None;
        }
        let calm = match self.calm {
            // A path that was never calm since may have become what it was.
            [Some(older), Some(newer)] if now.saturating_duration_since(newer.began) < CALM => {
                Some(older.least.min(newer.least))
            }
            _ => None,
        };
        match (kernel, calm) {
            (Some(kernel), Some(calm)) if calm > kernel + kernel / 2 + FAR => Some(calm),
            (Some(kernel), _) => Some(kernel),
            (None, calm) => calm.or(self.calm[1].map(|calm| calm.least)),
        }
    }

    /// Two halves of the time, of which the older one is forgotten when the newer one is over.
    fn calmed(&mut self, now: Instant, rtt: Duration) {
        match &mut self.calm[1] {
            Some(newer) if now.saturating_duration_since(newer.began) < CALM / 2 => {
                newer.least = newer.least.min(rtt);
            }
            newer => {
                let over = newer.replace(Calm {
                    began: now,
                    least: rtt,
                });
                // What is older than both halves says nothing of these seconds.
                let recent = |calm: &Calm| now.saturating_duration_since(calm.began) < CALM;
                self.calm[0] = over.filter(recent);
            }
        }
    }
}
