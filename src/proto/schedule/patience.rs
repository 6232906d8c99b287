//! How long silence is no reason for suspicion.

use std::time::Duration;

use super::Measure;

/// Never suspect sooner, unless another path is open.
const LEAST: Duration = Duration::from_millis(40);
/// Nor then: the peer keeps an acknowledgement back for 20 ms.
const LEAST_BESIDE: Duration = Duration::from_millis(30);
/// Beyond two round trips, while another path is open.
const MARGIN: Duration = Duration::from_millis(20);
/// Without another path there is nothing to gain from an early suspicion.
const ALONE: Duration = Duration::from_secs(1);
/// The round trip of a path of which nothing is known.
const UNKNOWN: Duration = Duration::from_millis(100);
/// More doublings than these change nothing, nor does a longer round trip.
const DOUBLINGS: u32 = 6;
const LONGEST: Duration = Duration::from_secs(60);

/// How long a path may owe acknowledgements without progress before it is suspect; `alone` if no other
/// path is open. `doubled` is how often its suspicion was wrong of late.
///
/// max(40 ms, smoothed round trip + 4 deviations), but while another path is open no longer than
/// 2 round trips + 20 ms (or 30 ms, for a peer may keep an acknowledgement back for 20 ms); alone
/// max(1 s, 3 round trips). A wrong suspicion costs only a duplicate.
#[must_use]
pub fn patience(path: &Measure, alone: bool, doubled: u32) -> Duration {
    let rtt = path.rtt.or(path.least_rtt).unwrap_or(UNKNOWN).min(LONGEST);
    let calm = match alone {
        true => ALONE.max(rtt * 3),
        false => {
            // RFC 6298: of the first round trip half.
            let deviation = path.deviation.unwrap_or(rtt / 2).min(LONGEST);
            let usual = LEAST.max(rtt + deviation * 4);
            usual.min((rtt * 2 + MARGIN).max(LEAST_BESIDE))
        }
    };
    (calm * (1 << doubled.min(DOUBLINGS))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn of(rtt: u32, deviation: u32) -> Measure {
        Measure {
            rtt: Some(MILLI * rtt),
            deviation: Some(MILLI * deviation),
            ..Measure::default()
        }
    }

    #[test]
    fn silence_is_suspect_after_the_usual_time_and_at_most_two_round_trips() {
        for ((rtt, deviation), beside, alone) in [
            ((20, 1), 40, 1000),
            ((20, 8), 52, 1000),
            ((20, 100), 60, 1000),
            ((120, 10), 160, 1000),
            ((500, 200), 1020, 1500),
            ((0, 0), 30, 1000),
            ((8, 1), 36, 1000),
        ] {
            let path = of(rtt, deviation);
            let told = [false, true].map(|alone| patience(&path, alone, 0));
            assert_eq!(told, [MILLI * beside, MILLI * alone], "{rtt} {deviation}");
        }
        assert_eq!(patience(&Measure::default(), false, 0), MILLI * 220);
    }

    #[test]
    fn a_wrong_suspicion_doubles_it_up_to_a_minute() {
        let told = [0, 1, 2, 6, 7, u32::MAX].map(|times| patience(&of(20, 1), false, times));
        assert_eq!(told, [40, 80, 160, 2560, 2560, 2560].map(|ms| MILLI * ms));
        let slow = of(u32::MAX, u32::MAX);
        assert_eq!(patience(&slow, true, u32::MAX), LONGEST);
    }
}
