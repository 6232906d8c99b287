//! What a path can carry: from what is told of its connection every few milliseconds, by the kernel where
//! it tells (TCP_INFO), else by PINGs among the payload.
//!
//! # The problem
//!
//! The gate keeps just as many bytes on the way as the path holds, so it needs the path's bandwidth,
//! and it is itself what limits the delivery from which bandwidth is known. An estimate that believes
//! every delivery falls with each sip; one that keeps the best for ever lets a queue grow once the
//! network has slowed.
//!
//! # The rules
//!
//! - A sample is what was acknowledged over about one round trip, and no more than the kernel's own
//!   delivery rate allows, where it has one: what fills a hole is acknowledged in one gulp and was delivered before.
//! - The bandwidth is the largest sample of the last ten round trips, at least a second. A sample that
//!   raises it counts; a lower one counts only if the path was the limit: the kernel had unsent bytes all
//!   along, or the pipe was full (as many bytes on the way as bandwidth times least round trip) and
//!   something waited in it. So time without enough to do teaches nothing.
//! - Where the pipe was full by our own reckoning, a round trip that merely varies looks like a slower
//!   path. So a fall of less than a quarter is believed after ten seconds only; and after a fall, after
//!   half a minute, and as long as that raises it, more is asked for three round trips. Not oftener: who
//!   waits meanwhile waits half a round trip longer.
//! - A full pipe in which nothing waits may hold more: a quarter more is asked.
//! - The least round trip is that told, of the last minutes, unless all of the last ten seconds, with
//!   little on the way, were far from it: then the way is another one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Measure;

/// A sample is taken over one round trip, between these.
const SPAN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];
/// The best sample counts for ten round trips, and no shorter than this.
const WINDOW: Duration = Duration::from_secs(1);
/// Without any estimate, less than this in one sample says nothing: it was all there was.
const ENOUGH: u64 = 64 << 10;
/// Samples kept: the best, the best after it, and so on.
const KEPT: usize = 16;
/// A round trip so much longer than the least has waiting in it.
const WAITING: Duration = Duration::from_micros(750);
/// After so long a small fall is believed of a pipe that was full by our own reckoning,
const DOUBT: Duration = Duration::from_secs(10);
/// and after so long more is asked once.
const AGAIN: Duration = Duration::from_secs(30);
/// Over this time calm round trips are compared with the kernel's least.
const CALM: Duration = Duration::from_secs(10);
/// Bytes on the way that make no queue worth speaking of: ten segments.
const FEW: u64 = 15_000;

/// What is told of a connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The smoothed round trip, the waiting behind what was sent before included.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub deviation: Option<Duration>,
    /// The least round trip of the last minutes.
    pub least_rtt: Option<Duration>,
    /// Bytes that arrived since the connection was made.
    pub acknowledged: u64,
    /// Bytes given to it that are not known to have arrived, unsent ones included.
    pub outstanding: u64,
    /// Those of them that were not sent yet.
    pub unsent: u64,
    /// For how long a buffer of either end held it back, in all.
    pub held_back: Duration,
    /// Bytes a second, as the kernel saw the last ones delivered.
    pub delivery_rate: Option<u64>,
}

/// One connection's.
#[derive(Debug, Default)]
pub struct Estimate {
    span: Option<Span>,
    last: Option<(Instant, u64)>,
    /// Samples, each lower and later than the one before it: the first is the bandwidth.
    best: VecDeque<Sample>,
    calm: [Option<Calm>; 2],
    /// Since when little is on the way.
    little: Option<Instant>,
    /// More is asked until then: so many percent.
    probing: Option<(Instant, u64)>,
}

/// What is being counted.
#[derive(Debug)]
struct Span {
    began: Instant,
    acknowledged: u64,
    held_back: Duration,
    /// The fewest bytes on the way when somebody looked.
    fewest: u64,
    /// The kernel had nothing more to send when somebody looked.
    starved: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    rate: u64,
    /// It counts because the pipe was full by our own reckoning.
    reckoned: bool,
}

/// The least round trip of some seconds with little on the way.
#[derive(Debug, Clone, Copy)]
struct Calm {
    began: Instant,
    least: Duration,
}

impl Estimate {
    /// What is known of the path now that this is told of its connection.
    pub fn take(&mut self, now: Instant, told: &Told) -> Measure {
        let outstanding = told.outstanding;
        let unsent = told.unsent.min(outstanding);
        let least = self.least(now, told, outstanding);
        self.count(now, told, outstanding, unsent, least);
        self.last = Some((now, told.acknowledged));
        Measure {
            rtt: told.rtt,
            deviation: told.deviation,
            least_rtt: least,
            bandwidth: self.asked(now),
            outstanding,
            unsent,
            acknowledged: told.acknowledged,
        }
    }

    fn bandwidth(&self) -> Option<u64> {
        self.best.front().map(|sample| sample.rate)
    }

    /// The bandwidth, and more while that is to be tried.
    fn asked(&self, now: Instant) -> Option<u64> {
        let rate = self.bandwidth()?;
        match self.probing {
            Some((until, percent)) if now < until => Some(rate.saturating_add(part(rate, percent))),
            _ => Some(rate),
        }
    }

    /// Adds to the present span; at its end its sample is judged.
    fn count(
        &mut self,
        now: Instant,
        told: &Told,
        outstanding: u64,
        unsent: u64,
        least: Option<Duration>,
    ) {
        let rtt = told.rtt.unwrap_or_default();
        let long = rtt.clamp(SPAN[0], SPAN[1]);
        let seen = self.last.map_or(now, |(at, _)| at);
        let away = now.saturating_duration_since(seen) > 4 * long && unsent == 0;
        let Some(span) = self.span.as_mut().filter(|_| !away) else {
            self.begin(now, told, outstanding, unsent);
            return;
        };
        span.fewest = span.fewest.min(outstanding);
        span.starved |= unsent == 0;
        let took = now.saturating_duration_since(span.began);
        if took < long {
            return;
        }
        let bytes = told.acknowledged.saturating_sub(span.acknowledged);
        let held = told.held_back.saturating_sub(span.held_back) > took / 4;
        let (fewest, starved) = (span.fewest, span.starved);
        self.begin(now, told, outstanding, unsent);
        let rate = u128::from(bytes) * 1_000_000 / took.as_micros().max(1);
        let mut rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if let Some(kernel) = told.delivery_rate {
            rate = rate.min(kernel.saturating_add(kernel / 4));
        }
        let full = self.is_full(fewest, least);
        let waits = least.is_some_and(|least| rtt > least + WAITING);
        let reckoned = starved && full && waits;
        let limited = held || starved && !reckoned;
        let known = self.bandwidth();
        let counts = match known {
            Some(known) => rate > known || !limited,
            None => rate > 0 && (!limited || bytes >= ENOUGH || fewest >= FEW / 2),
        };
        let mut fell = false;
        if counts {
            let window = WINDOW.max(10 * rtt);
            let sample = Sample {
                at: now,
                rate,
                reckoned,
            };
            self.admit(sample, window);
            fell = self.settle(now, window);
        }
        let raised = known.is_some_and(|known| rate > part(known, 103));
        if starved && full && !waits {
            self.probe(now, 3 * long, 25);
        } else if fell || (starved && full && self.is_due(now)) || (raised && self.is_probing(now))
        {
            // What varies in the round trip has to be filled too.
            let longer = least.map_or(0, |least| excess(rtt, least));
            self.probe(now, 3 * long, longer.saturating_add(25).min(75));
        }
    }

    fn is_probing(&self, now: Instant) -> bool {
        self.probing.is_some_and(|(until, _)| now < until)
    }

    /// Whether it is long since more was asked.
    fn is_due(&self, now: Instant) -> bool {
        let since = |(until, _)| now.saturating_duration_since(until);
        self.probing.is_none_or(|asked| since(asked) >= AGAIN)
    }

    fn probe(&mut self, now: Instant, time: Duration, percent: u64) {
        self.probing = now.checked_add(time).map(|until| (until, percent));
    }

    fn begin(&mut self, now: Instant, told: &Told, outstanding: u64, unsent: u64) {
        self.span = Some(Span {
            began: now,
            acknowledged: told.acknowledged,
            held_back: told.held_back,
            fewest: outstanding,
            starved: unsent == 0,
        });
    }

    /// Whether as much was on the way as the pipe holds.
    fn is_full(&self, fewest: u64, least: Option<Duration>) -> bool {
        let known = self.bandwidth().zip(least);
        known.is_some_and(|(rate, least)| fewest >= part(holds(rate, least), 90))
    }

    fn admit(&mut self, sample: Sample, window: Duration) {
        let last = self.best.back().map(|last| last.at);
        let idle = last.is_some_and(|at| sample.at.saturating_duration_since(at) > window);
        self.best.retain(|known| known.rate > sample.rate);
        if let Some(best) = self.best.front_mut().filter(|_| idle) {
            // Begun anew after a pause: the best has half a window more to be reached again.
            best.at = sample.at.checked_sub(window / 2).unwrap_or(sample.at);
        }
        if self.best.len() == KEPT {
            self.best.pop_back();
        }
        self.best.push_back(sample);
    }

    /// Forgets what is too old; whether the bandwidth fell, and only by our own reckoning.
    fn settle(&mut self, now: Instant, window: Duration) -> bool {
        let before = self.best[0];
        let age = |known: &Sample| now.saturating_duration_since(known.at);
        let recent = self.best.iter().find(|known| age(known) <= window);
        let Some(recent) = recent.copied() else {
            return false;
        };
        let doubted = recent.reckoned && recent.rate >= part(before.rate, 75);
        let long = if doubted { window.max(DOUBT) } else { window };
        self.best.retain(|known| age(known) <= long);
        recent.reckoned && self.best[0].rate < before.rate
    }

    /// The least round trip, where our own queue is not in it.
    fn least(&mut self, now: Instant, told: &Told, outstanding: u64) -> Option<Duration> {
        let kernel = told.least_rtt;
        let Some(rtt) = told.rtt else {
            return kernel;
        };
        let pipe = self
            .bandwidth()
            .zip(kernel)
            .map_or(0, |(rate, least)| holds(rate, least));
        let moved = self
            .last
            .is_some_and(|(_, acknowledged)| told.acknowledged > acknowledged);
        if outstanding <= FEW.max(pipe.saturating_add(pipe / 4)) {
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
            (Some(kernel), Some(calm)) if calm > kernel + kernel / 2 + SPAN[0] => Some(calm),
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

/// So many percent of it, without overflow.
fn part(of: u64, percent: u64) -> u64 {
    of / 100 * percent + of % 100 * percent / 100
}

/// By how many percent this is longer.
fn excess(longer: Duration, than: Duration) -> u64 {
    let more = longer.saturating_sub(than).as_micros() * 100 / than.as_micros().max(1);
    u64::try_from(more).unwrap_or(u64::MAX)
}

/// Bytes on the way that fill a path.
fn holds(rate: u64, least: Duration) -> u64 {
    let bytes = u128::from(rate) * least.as_micros() / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
