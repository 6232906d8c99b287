//! What the scout is told of a connection.

use std::time::{Duration, Instant};

use super::super::Gauge;
use crate::transport::Measured;

const MILLI: Duration = Duration::from_millis(1);

fn measured(app_limited: bool) -> Measured {
    Measured {
        rtt: Some(90 * MILLI),
        least_rtt: Some(20 * MILLI),
        app_limited,
        ..Measured::default()
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
fn a_queue_of_our_own_is_no_round_trip_of_the_network() {
    let mut gauge = Gauge::default();
    assert_eq!(gauge.read(measured(true)).rtt, Some(90 * MILLI));
    assert_eq!(gauge.read(measured(false)).rtt, Some(20 * MILLI));
}

#[test]
fn bandwidth_is_told_of_a_long_time_in_which_there_was_more_to_send() {
    let mut gauge = Gauge::default();
    let mut up = |app_limited, busy, held_back, acknowledged| {
        let measured = Measured {
            busy: busy * MILLI,
            held_back: held_back * MILLI,
            acknowledged,
            ..measured(app_limited)
        };
        gauge.read(measured).up
    };
    assert_eq!(up(false, 1, 0, 1_000_000), None, "a burst");
    assert_eq!(up(false, 801, 0, 2_000_000), Some(10_000_000));
    assert_eq!(
        up(true, 1_801, 0, 3_000_000),
        None,
        "that was all there was"
    );
    assert_eq!(up(false, 2_301, 400, 4_000_000), None, "a full buffer");
    assert_eq!(up(false, 2_801, 410, 4_500_000), Some(8_000_000));
    assert_eq!(up(false, 3_801, 410, 4_500_000), None, "nothing arrived");
}

#[test]
fn loss_is_told_of_enough_segments_since_the_last_time() {
    let mut gauge = Gauge::default();
    let mut loss = |segments, resent| {
        let measured = Measured {
            segments,
            resent,
            ..measured(true)
        };
        gauge.read(measured).loss
    };
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
