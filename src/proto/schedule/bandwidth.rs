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
//! - The bandwidth is the largest sample of the last ten least round trips, at least a second, or two
//!   where the network varies: what it could do a moment ago it soon can again. A sample that raises it
//!   counts; a lower one counts only if the path was the limit: the kernel had unsent bytes all along,
//!   or the pipe was full and something waited in it. It was full if a queue was seen to stand all along
//!   (`standing`), or if as many bytes were on the way as bandwidth times least round trip. So time
//!   without enough to do teaches nothing, and nor does a network that pauses.
//! - Where the standing queue is seen, more or less is asked than the bandwidth, so that it is
//!   just there (`gain`); at first, before any queue, as in a slow start.
//! - Where it is not, for the way is too short or nobody looks often enough, and where round trips vary so
//!   much that it may be none, a pipe that was full by our own reckoning looks like a slower path when a
//!   round trip merely varies. So a fall of less than a quarter is believed after ten seconds only; and
//!   after a fall, after ten seconds, and as long as that raises it, more is asked for three round trips.
//!   A full pipe in which nothing waits may hold more: a quarter more is asked.
//! - The least round trip is that of the way (`least`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Measure;
use super::gain::{Gain, SEGMENT};
use super::gate::TEN;
use super::least::Least;
use super::standing::{Queue, Standing};

/// A sample is taken over one round trip, between these.
const SPAN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];
/// The best sample counts for ten round trips, and no shorter than this, or than that where the network
/// varies by so many percent from one to the next.
const WINDOW: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
const VARIES: u32 = 10;
/// Without any estimate, less than this in one sample says nothing: it was all there was.
const ENOUGH: u64 = 64 << 10;
/// Samples kept: the best, the best after it, and so on.
const KEPT: usize = 16;
/// A round trip so much longer than the least has waiting in it.
const WAITING: Duration = Duration::from_micros(750);
/// After so long a small fall is believed of a pipe that was full by our own reckoning, and more is
/// asked once.
const DOUBT: Duration = Duration::from_secs(10);

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
    looked: Option<Instant>,
    /// Samples, each lower and later than the one before it: the first is the bandwidth.
    best: VecDeque<Sample>,
    least: Least,
    /// What is told comes too seldom and too late to see a queue by.
    blind: bool,
    /// More is asked until then: so many percent.
    probing: Option<(Instant, u64)>,
    standing: Standing,
    gain: Gain,
}

/// What is being counted.
#[derive(Debug)]
struct Span {
    began: Instant,
    acknowledged: u64,
    held_back: Duration,
    /// The fewest bytes on the way when somebody looked.
    fewest: u64,
    /// The most.
    most: u64,
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

impl Estimate {
    /// Of a connection that is told of seldom and late, as by answers to PINGs.
    #[must_use]
    pub fn blind() -> Self {
        let mut estimate = Self {
            blind: true,
            ..Self::default()
        };
        estimate.gain.even();
        estimate
    }

    /// What is known of the path now that this is told of its connection.
    pub fn take(&mut self, now: Instant, told: &Told) -> Measure {
        let told = &Told {
            unsent: told.unsent.min(told.outstanding),
            ..*told
        };
        let sent = told
            .acknowledged
            .saturating_add(told.outstanding - told.unsent);
        if !self.blind {
            self.standing.see(now, sent, told.acknowledged);
        }
        let known = self.bandwidth().zip(told.least_rtt);
        let pipe = known.map_or(0, |(rate, least)| holds(rate, least));
        let least = self.least.take(now, told, pipe);
        if let Some(span) = self.count(now, told) {
            self.judge(now, told, &span, least);
        }
        if self.best.is_empty() && told.unsent == 0 {
            self.gain.fills(told.outstanding, told.acknowledged);
        }
        if self.gain.is_young() && self.standing.begins(least) {
            self.gain.even();
        }
        self.looked = Some(now);
        Measure {
            rtt: told.rtt,
            deviation: told.deviation,
            least_rtt: least,
            bandwidth: self.asked(now, least, told.acknowledged),
            outstanding: told.outstanding,
            unsent: told.unsent,
            acknowledged: told.acknowledged,
        }
    }

    fn bandwidth(&self) -> Option<u64> {
        self.best.front().map(|sample| sample.rate)
    }

    /// The bandwidth, and more or less as that is to be tried.
    fn asked(&self, now: Instant, least: Option<Duration>, acknowledged: u64) -> Option<u64> {
        let rate = self.gain.asked(self.bandwidth(), least, acknowledged)?;
        match self.probing {
            Some((until, percent)) if now < until => Some(rate.saturating_add(part(rate, percent))),
            _ => Some(rate),
        }
    }

    /// Adds to the present span; what it was if this is its end.
    fn count(&mut self, now: Instant, told: &Told) -> Option<Span> {
        let long = span(told);
        let seen = self.looked.unwrap_or(now);
        let away = now.saturating_duration_since(seen) > 4 * long && told.unsent == 0;
        let begun = Span {
            began: now,
            acknowledged: told.acknowledged,
            held_back: told.held_back,
            fewest: told.outstanding,
            most: told.outstanding,
            starved: told.unsent == 0,
        };
        let Some(span) = self.span.as_mut().filter(|_| !away) else {
            self.span = Some(begun);
            return None;
        };
        span.fewest = span.fewest.min(told.outstanding);
        span.most = span.most.max(told.outstanding);
        span.starved |= told.unsent == 0;
        let over = now.saturating_duration_since(span.began) >= long;
        over.then(|| std::mem::replace(span, begun))
    }

    /// What a span that is over says.
    fn judge(&mut self, now: Instant, told: &Told, span: &Span, least: Option<Duration>) {
        if self.standing.passes(told.acknowledged) {
            return;
        }
        let took = now.saturating_duration_since(span.began);
        let bytes = told.acknowledged.saturating_sub(span.acknowledged);
        let rate = delivered(told, bytes, took);
        let held = told.held_back.saturating_sub(span.held_back) > took / 4;
        let queue = self.queue(now, least);
        let stands = queue.is_some_and(|queue| queue.stands());
        let rtt = told.rtt.unwrap_or_default();
        let waits = least.is_some_and(|least| rtt > least + WAITING) && (queue.is_none() || stands);
        let limits = self.turn(now, told, span, queue.zip(least), waits);
        self.gain.delivered(rate, bytes, span.starved && stands);
        let full = self.is_full(span.fewest, least) || limits && stands;
        let reckoned = span.starved && full && waits;
        let limited = held || span.starved && !reckoned;
        let known = self.bandwidth();
        let counts = match known {
            Some(known) => rate > known || rate > 0 && !limited,
            None => rate > 0 && (!limited || bytes >= ENOUGH || limits || self.is_much(span)),
        };
        let mut fell = false;
        if counts {
            let shortest = WINDOW[usize::from(self.gain.varies() >= VARIES)];
            let window = shortest.max(10 * least.unwrap_or(rtt));
            let sample = Sample {
                at: now,
                rate,
                reckoned,
            };
            self.admit(sample, window);
            fell = self.settle(now, window);
        }
        let time = 3 * self::span(told);
        let full = span.starved && full;
        let raised = known.is_some_and(|known| rate > part(known, 103));
        if queue.is_none() && full && !waits {
            self.probe(now, time, 25);
        } else if queue.is_some_and(|queue| !queue.doubtful) {
            self.probing = None;
        } else if fell || (full && self.is_due(now)) || (raised && self.is_probing(now)) {
            // What varies in the round trip has to be filled too.
            let longer = least.map_or(0, |least| excess(rtt, least));
            self.probe(now, time, longer.saturating_add(25).min(75));
        }
    }

    /// Turns what is asked by what stood in the queue; whether it was what is asked that limited.
    fn turn(
        &mut self,
        now: Instant,
        told: &Told,
        span: &Span,
        queue: Option<(Queue, Duration)>,
        waits: bool,
    ) -> bool {
        let least = queue.map(|(_, least)| least).or(told.least_rtt);
        let asked = self.asked(now, least, told.acknowledged).zip(least);
        let allowed = asked.map(|(rate, least)| holds(rate, least));
        let limits = (self.gain).used(span.most, allowed, span.starved, told.acknowledged);
        match queue {
            // The kernel finds out by itself.
            _ if !span.starved => self.gain.leave(),
            Some((queue, least)) if limits => self.gain.turn(&queue, least, self.is_probing(now)),
            None if limits && waits => self.gain.even(),
            _ => {}
        }
        limits
    }

    /// What stood in the queue all along, where that can be seen.
    fn queue(&mut self, now: Instant, least: Option<Duration>) -> Option<Queue> {
        if self.blind {
            return None;
        }
        let known = self.bandwidth();
        let packet = known.map_or(0, |rate| SEGMENT * 1_000_000 / rate.max(1));
        let packet = Duration::from_micros(packet);
        self.standing.over(now, least, packet, self.gain.varies())
    }

    /// Whether what was on the way may have been all that a path of which nothing is known gets. Who is
    /// told by answers looks only when something has just arrived, and so sees about half of it.
    fn is_much(&self, span: &Span) -> bool {
        self.blind && span.most >= TEN / 2
    }

    fn is_probing(&self, now: Instant) -> bool {
        self.probing.is_some_and(|(until, _)| now < until)
    }

    /// Whether it is long since more was asked.
    fn is_due(&self, now: Instant) -> bool {
        let since = |(until, _)| now.saturating_duration_since(until);
        self.probing.is_none_or(|asked| since(asked) >= DOUBT)
    }

    fn probe(&mut self, now: Instant, time: Duration, percent: u64) {
        self.probing = now.checked_add(time).map(|until| (until, percent));
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
}

/// How long a sample takes.
fn span(told: &Told) -> Duration {
    told.rtt.unwrap_or_default().clamp(SPAN[0], SPAN[1])
}

/// Bytes a second, no more than the kernel can have seen.
fn delivered(told: &Told, bytes: u64, took: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / took.as_micros().max(1);
    let rate = u64::try_from(rate).unwrap_or(u64::MAX);
    let kernel = told.delivery_rate;
    kernel.map_or(rate, |kernel| rate.min(kernel.saturating_add(kernel / 4)))
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
