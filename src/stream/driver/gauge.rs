//! What the system measured of a path's connection, as the scout is told of it: at most once a second,
//! when something was written. An idle session has no timer for it.

use std::time::{Duration, Instant};

use crate::scout::Sample;
use crate::transport::Measured;

const PERIOD: Duration = Duration::from_secs(1);
/// Segments without which nothing is said of loss.
const ENOUGH: u32 = 100;

/// One path's.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    due: Option<Instant>,
    /// The counts as they were when loss was last told.
    segments: u32,
    resent: u32,
}

impl Gauge {
    /// Whether it is time to ask; if so, the next time is a second from now.
    pub(super) fn takes(&mut self, now: Instant) -> bool {
        let due = self.due.is_none_or(|due| now >= due);
        if due {
            self.due = now.checked_add(PERIOD);
        }
        due
    }

    /// What there is to tell.
    pub(super) fn read(&mut self, measured: Measured) -> Sample {
        let mut sample = Sample::default();
        // Behind bulk of our own the round trip is the length of our own queue, no fault of the network.
        sample.rtt = match measured.app_limited {
            true => measured.rtt,
            false => measured.least_rtt.or(measured.rtt),
        };
        sample.up = measured.rate.filter(|_| !measured.app_limited);
        let segments = measured.segments.wrapping_sub(self.segments);
        let resent = measured.resent.wrapping_sub(self.resent);
        if segments >= ENOUGH {
            let lost = u64::from(resent) * 1000 / u64::from(segments);
            sample.loss = Some(u16::try_from(lost.min(1000)).expect("at most a thousand"));
            (self.segments, self.resent) = (measured.segments, measured.resent);
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(app_limited: bool, segments: u32, resent: u32) -> Measured {
        Measured {
            rtt: Some(Duration::from_millis(90)),
            least_rtt: Some(Duration::from_millis(20)),
            rate: Some(8_000_000),
            app_limited,
            segments,
            resent,
        }
    }

    #[test]
    fn asks_once_a_second() {
        let (mut gauge, begin) = (Gauge::default(), Instant::now());
        let taken = |millis| gauge.takes(begin + Duration::from_millis(millis));
        let asked: Vec<bool> = [0, 1, 999, 1_000, 1_500, 5_000, 5_001].map(taken).to_vec();
        assert_eq!(asked, [true, false, false, true, false, true, false]);
    }

    #[test]
    fn a_rate_counts_where_there_was_more_to_send() {
        let mut gauge = Gauge::default();
        let idle = gauge.read(measured(true, 0, 0));
        assert_eq!((idle.rtt, idle.up), (Some(Duration::from_millis(90)), None));
        let busy = gauge.read(measured(false, 0, 0));
        let queue_left_out = Some(Duration::from_millis(20));
        assert_eq!((busy.rtt, busy.up), (queue_left_out, Some(8_000_000)));
    }

    #[test]
    fn loss_is_told_of_enough_segments_since_the_last_time() {
        let mut gauge = Gauge::default();
        let mut loss = |segments, resent| gauge.read(measured(true, segments, resent)).loss;
        assert_eq!(loss(60, 3), None);
        assert_eq!(loss(120, 6), Some(50));
        assert_eq!(loss(219, 6), None);
        assert_eq!(loss(320, 6), Some(0));
        assert_eq!(
            loss(450, 1_000),
            Some(1000),
            "sent again more often than once"
        );
    }
}
