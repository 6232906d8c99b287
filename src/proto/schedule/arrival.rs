//! When bytes arrive: a path as a pipe of a delay and a rate, with what waits before it.

use std::time::Duration;

use super::{Candidate, Measure};

/// What a path without an estimate is taken for, in bytes a second: quick, so that it is tried.
const OPTIMISTIC: u64 = 125_000_000;
/// Nothing is counted beyond these, so that no product overflows: 2^40 bytes a second, 2^50 bytes,
/// 2^50 ns (13 days).
const MOST_RATE: u64 = 1 << 40;
pub(super) const MOST_BYTES: u64 = 1 << 50;
pub(super) const MOST_NANOS: u128 = 1 << 50;

const SECOND: u128 = 1_000_000_000;

/// A path as a pipe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pipe {
    /// When a byte of no length arrives, in nanoseconds from now: half the least round trip, and
    /// the waiting behind what is on its way beyond what the pipe holds.
    start: u128,
    /// Bytes a second, at least 1.
    rate: u64,
    /// The rate is an estimate, not a hope.
    known: bool,
    /// The path's own measure, with what the other path of its network knows better.
    pub(super) measure: Measure,
}

impl Pipe {
    /// The pipe that a path is, among all of the session: paths of one network share its bottleneck,
    /// so what flies on one delays the other, and what one knows of it the other knows.
    pub(super) fn of(path: &Candidate, all: &[Candidate]) -> Self {
        let mut measure = path.measure;
        let mut ahead = (measure.outstanding)
            .saturating_add(path.planned)
            .saturating_add(path.foreign);
        let mates = all
            .iter()
            .filter(|mate| mate.network == path.network && mate.slot != path.slot);
        for Candidate { measure: mate, .. } in mates {
            // What the mate has not sent yet waits in a queue of its own.
            ahead = ahead.saturating_add(mate.outstanding.saturating_sub(mate.unsent));
            measure.bandwidth = measure.bandwidth.max(mate.bandwidth);
            measure.least_rtt = [least(&measure), least(mate)].into_iter().flatten().min();
        }
        let known = rate(&measure);
        let pace = known.unwrap_or(OPTIMISTIC);
        let least = least(&measure).unwrap_or_default();
        let queue = ahead.saturating_sub(product(&measure).unwrap_or(0));
        let start = (least.as_nanos() / 2).min(MOST_NANOS) + nanos(queue, pace);
        Self {
            start: start.min(MOST_NANOS),
            rate: pace,
            known: known.is_some(),
            measure,
        }
    }

    /// When the last of so many bytes arrives, in nanoseconds from now.
    pub(super) fn completes(&self, bytes: u64) -> u128 {
        (self.start + nanos(bytes, self.rate)).min(MOST_NANOS)
    }

    /// Whether its rate is an estimate.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// How many bytes have arrived at this time, in nanoseconds from now.
    pub(super) fn carries(&self, done: u128) -> u64 {
        let nanos = done.min(MOST_NANOS).saturating_sub(self.start);
        u64::try_from(nanos * u128::from(self.rate) / SECOND).unwrap_or(u64::MAX)
    }

    /// How long it takes to deliver so many bytes, if its rate is known.
    pub(super) fn drains(&self, bytes: u64) -> Option<Duration> {
        self.known.then(|| duration(nanos(bytes, self.rate)))
    }
}

/// When the last of so many bytes arrives if the pipes of known rates share them so that all are done
/// at once, in nanoseconds from now. `None` if no rate is known.
pub(super) fn shared(pipes: impl Iterator<Item = Pipe>, bytes: u64) -> Option<u128> {
    let mut starts = [(0, 0); super::PATHS];
    let mut count = 0;
    for (place, pipe) in starts.iter_mut().zip(pipes.filter(|pipe| pipe.known)) {
        *place = (pipe.start, u128::from(pipe.rate));
        count += 1;
    }
    let starts = &mut starts[..count];
    starts.sort_unstable();
    // With the first k of them: sum of rate * (done - start) = bytes.
    let work = u128::from(bytes.min(MOST_BYTES)) * SECOND;
    let (mut rates, mut weighted, mut done) = (0, 0, None);
    for (start, rate) in starts {
        if done.is_some_and(|done| done <= *start) {
            break;
        }
        rates += *rate;
        weighted += *rate * *start;
        done = Some((work + weighted).div_ceil(rates).min(MOST_NANOS));
    }
    done
}

/// Time in nanoseconds as a duration.
pub(super) fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What is known of the rate; none of these arguments makes a sum or product here overflow.
pub(super) fn rate(measure: &Measure) -> Option<u64> {
    let known = measure.bandwidth.filter(|rate| *rate > 0);
    known.map(|rate| rate.min(MOST_RATE))
}

/// The least round trip that is known.
pub(super) fn least(measure: &Measure) -> Option<Duration> {
    measure.least_rtt.or(measure.rtt)
}

/// Bandwidth times least round trip: what fills the pipe and no queue.
pub(super) fn product(measure: &Measure) -> Option<u64> {
    Some(bytes(rate(measure)?, least(measure)?))
}

/// What this rate delivers in this time.
pub(super) fn bytes(rate: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().min(MOST_NANOS);
    u64::try_from(u128::from(rate.min(MOST_RATE)) * nanos / SECOND).unwrap_or(u64::MAX)
}

fn nanos(bytes: u64, rate: u64) -> u128 {
    let nanos = u128::from(bytes.min(MOST_BYTES)) * SECOND / u128::from(rate.max(1));
    nanos.min(MOST_NANOS)
}
