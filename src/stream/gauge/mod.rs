//! What the system measured of a connection, as the scout is told of it: at most once a second, when
//! something was written. What is idle has no timer for it.

use std::time::{Duration, Instant};

use crate::network::{Network, NetworkId};
use crate::scout::Sample;
use crate::transport::{ByteLink, Measured};

mod estimate;
#[cfg(test)]
mod tests;

pub(super) use estimate::Estimate;

const PERIOD: Duration = Duration::from_secs(1);
/// Segments without which nothing is said of loss.
const ENOUGH: u32 = 100;
/// Time on the way without which nothing is said of bandwidth: a burst fits into the buffers of the way,
/// and the kernel's own rate of such a burst is beyond all measure.
const LONG: Duration = Duration::from_millis(200);

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    due: Option<Instant>,
    /// As it was when it was last asked, and when loss was last told.
    last: Measured,
    told: Measured,
}

impl Gauge {
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
