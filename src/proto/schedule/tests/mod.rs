//! Tests of the decisions: examples, properties over any values, and a simulation.

use std::time::{Duration, Instant};

use super::{Candidate, Measure, Surroundings, Unit};
use crate::label::Urgency;

mod bandwidth;
mod budget;
mod estimate;
mod place;
mod properties;
mod simulation;

const MILLI: Duration = Duration::from_millis(1);

/// The only look at a clock: virtual time has to begin somewhere, and not at the first moment there is.
#[allow(clippy::disallowed_methods, reason = "a test is told no time")]
fn now() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A measured path: megabits a second, and its least round trip.
fn path(slot: usize, megabits: u64, rtt: u32) -> Candidate {
    Candidate {
        slot,
        network: slot as u8,
        measure: Measure {
            rtt: Some(MILLI * rtt),
            deviation: Some(MILLI),
            least_rtt: Some(MILLI * rtt),
            bandwidth: Some(megabits * 125_000),
            ..Measure::default()
        },
        ..Candidate::default()
    }
}

fn with(mut path: Candidate, outstanding: u64) -> Candidate {
    path.measure.outstanding = outstanding;
    path
}

fn lane_of(general: Candidate, slot: usize) -> Candidate {
    Candidate {
        slot,
        lane: true,
        ..general
    }
}

fn unit(urgency: Urgency, length: u64, backlog: u64) -> Unit {
    Unit {
        urgency,
        length,
        backlog,
        ..Unit::default()
    }
}

/// With interactive traffic so long ago.
fn active(now: Instant, ago: Duration) -> Surroundings {
    Surroundings {
        interactive: now.checked_sub(ago),
        ..Surroundings::default()
    }
}
