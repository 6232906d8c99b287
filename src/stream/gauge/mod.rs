//! What the system measured of a connection.
//!
//! The scout is told of it at most once a second, when something was written; what is idle has no timer
//! for it. The session is told more closely where what it sends depends on it ([`bandwidth`](crate::proto::schedule::bandwidth)): every
//! millisecond, or 64 KiB where a millisecond carries less. One that has one path and one urgency asks for
//! neither measurements nor anything else of the kernel.

use std::time::{Duration, Instant};

use crate::network::{Network, NetworkId};
use crate::proto::schedule::Measure;
use crate::proto::schedule::bandwidth::{Estimate, Told};
use crate::scout::Sample;
use crate::transport::{ByteLink, Measured};

#[cfg(test)]
mod tests;

const PERIOD: Duration = Duration::from_secs(1);
/// Segments without which nothing is said of loss.
const ENOUGH: u32 = 100;
/// Time on the way without which nothing is said of bandwidth: a burst fits into the buffers of the way,
/// and the kernel's own rate of such a burst is beyond all measure.
const LONG: Duration = Duration::from_millis(200);

/// A session is told no more often than this, unless it writes more than [`CHUNK`] meanwhile, and more
/// than the path is known to carry.
const CLOSELY: Duration = Duration::from_millis(1);
const CHUNK: u64 = 64 << 10;
/// What may wait unsent in the kernel where nothing is known; else this part of a second's bandwidth,
/// between these bounds.
const UNSENT: u32 = 64 << 10;
const UNSENT_PART: u64 = 100;
const UNSENT_BOUNDS: [u64; 2] = [16 << 10, 1 << 20];

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    closely: Option<Box<Closely>>,
    due: Option<Instant>,
    /// As it was when it was last asked, and when loss was last told.
    last: Measured,
    told: Measured,
}

/// What is known where the session wants to know.
#[derive(Debug, Default)]
struct Closely {
    estimate: Estimate,
    looked: Option<Instant>,
    /// Bytes written since, and what the path carries in a millisecond.
    wrote: u64,
    carries: u64,
    /// What may wait unsent in the kernel; 0 is what the system lets.
    unsent: u32,
}

impl Gauge {
    /// What the path holds, if it is time to ask and the system tells. What waits in the kernel is kept
    /// short from the first time on.
    pub(super) fn measure(&mut self, now: Instant, link: &mut dyn ByteLink) -> Option<Measure> {
        let closely = self.closely.get_or_insert_default();
        let soon = |at| now.saturating_duration_since(at) < CLOSELY;
        if closely.looked.is_some_and(soon) && closely.wrote < CHUNK.max(closely.carries) {
            return None;
        }
        (closely.looked, closely.wrote) = (Some(now), 0);
        // Without what is on the way there is nothing to schedule by: then PINGs tell.
        let measured = link.measure().filter(|told| told.outstanding.is_some())?;
        let measure = closely.estimate.take(now, &figures(&measured));
        closely.carries = measure.bandwidth.unwrap_or(0) / 1_000;
        let wanted = unsent(measure.bandwidth);
        if wanted.abs_diff(closely.unsent) > closely.unsent / 4 {
            closely.unsent = wanted;
            link.limit_unsent(wanted);
        }
        Some(measure)
    }

    /// So many bytes were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        if let Some(closely) = &mut self.closely {
            closely.wrote = closely.wrote.saturating_add(bytes as u64);
        }
    }

    /// Nobody wants to know: the kernel takes what it takes.
    pub(super) fn rest(&mut self, link: &mut dyn ByteLink) {
        if let Some(closely) = &mut self.closely
            && closely.unsent > 0
        {
            closely.unsent = 0;
            link.limit_unsent(0);
        }
    }

    /// What was measured of the network since the last time, when it is time to ask.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        network: Option<&Network>,
        link: &dyn ByteLink,
    ) -> Option<(NetworkId, Sample)> {
        let network = network?.id();
        if !self.takes(now) {
            return None;
        }
        let sample = self.read(link.measure()?);
        (sample != Sample::default()).then_some((network, sample))
    }

    /// Whether it is time to ask; if so, the next time is a second from now.
    fn takes(&mut self, now: Instant) -> bool {
        let due = self.due.is_none_or(|due| now >= due);
        if due {
            self.due = now.checked_add(PERIOD);
        }
        due
    }

    /// What there is to tell.
    fn read(&mut self, measured: Measured) -> Sample {
        // Behind bulk of our own the round trip is the length of our own queue, no fault of the network.
        let rtt = match measured.app_limited {
            true => measured.rtt,
            false => measured.least_rtt.or(measured.rtt),
        };
        let sample = Sample {
            rtt,
            up: bandwidth(&self.last, &measured),
            down: None,
            loss: loss(&self.told, &measured),
        };
        if sample.loss.is_some() {
            self.told = measured;
        }
        self.last = measured;
        sample
    }
}

/// What the estimate is made from.
fn figures(measured: &Measured) -> Told {
    Told {
        rtt: measured.rtt,
        deviation: measured.deviation,
        least_rtt: measured.least_rtt,
        acknowledged: measured.acknowledged,
        outstanding: measured.outstanding.unwrap_or(0),
        unsent: measured.unsent.unwrap_or(0),
        held_back: measured.held_back,
        delivery_rate: measured.delivery_rate,
    }
}

/// Bytes that may wait unsent: 10 ms of bandwidth.
fn unsent(bandwidth: Option<u64>) -> u32 {
    let [least, most] = UNSENT_BOUNDS;
    let known = bandwidth.map(|rate| (rate / UNSENT_PART).clamp(least, most));
    known.map_or(UNSENT, |bytes| bytes as u32)
}

/// Bits a second that went out while something was on its way, if there was more to send and no buffer
/// held it back.
fn bandwidth(before: &Measured, now: &Measured) -> Option<u64> {
    let busy = now.busy.saturating_sub(before.busy);
    let held_back = now.held_back.saturating_sub(before.held_back);
    if now.app_limited || busy < LONG || held_back > busy / 4 {
        return None;
    }
    let bytes = now.acknowledged.saturating_sub(before.acknowledged);
    let bits = u128::from(bytes) * 8 * 1_000_000 / busy.as_micros();
    u64::try_from(bits).ok().filter(|bits| *bits > 0)
}

/// Of a thousand segments sent, how many were sent again.
fn loss(before: &Measured, now: &Measured) -> Option<u16> {
    let segments = now.segments.wrapping_sub(before.segments);
    let resent = now.resent.wrapping_sub(before.resent);
    if segments < ENOUGH {
        return None;
    }
    let lost = u64::from(resent) * 1000 / u64::from(segments);
    Some(u16::try_from(lost.min(1000)).expect("at most a thousand"))
}
