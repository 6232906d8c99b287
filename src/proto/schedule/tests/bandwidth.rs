//! The estimate over a line in virtual time: a rate, a round trip, a queue without end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::now;
use crate::proto::schedule::Measure;
use crate::proto::schedule::bandwidth::{Estimate, Told};

const SEGMENT: u64 = 1_500;
const MBIT: u64 = 125_000;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What wants to go.
#[derive(Clone, Copy)]
enum Wants {
    /// As much as the gate lets through, looked at every 1 to 2 ms.
    Gated,
    /// More than the kernel sends: it keeps so many bytes on the way, and has more.
    Bulk(u64),
    /// So many bytes every so many milliseconds.
    Some(u64, u64),
    /// So many bytes whenever all before were acknowledged.
    Bursts(u64),
}

struct Line {
    began: Instant,
    at: Duration,
    /// Bytes a second, least round trip, and how much longer it may be.
    rate: u64,
    rtt: Duration,
    jitter: Duration,
    /// When the line is free, and what is on it: when it is acknowledged, how long it took, bytes.
    free: Duration,
    flying: VecDeque<(Duration, Duration, u64)>,
    outstanding: u64,
    measured: Told,
    chance: u64,
    estimate: Estimate,
    told: Measure,
    /// Milliseconds at which a segment may cross, instead of a rate, and which is next.
    moments: Vec<u64>,
    next: usize,
    /// How long what comes would have waited, whenever somebody looked.
    waits: Vec<Duration>,
}

impl Line {
    fn new(mbit: u64, rtt: u64) -> Self {
        Self {
            began: now(),
            at: Duration::ZERO,
            rate: mbit * MBIT,
            rtt: millis(rtt),
            jitter: Duration::ZERO,
            free: Duration::ZERO,
            flying: VecDeque::new(),
            outstanding: 0,
            measured: Told::default(),
            chance: 1,
            estimate: Estimate::default(),
            told: Measure::default(),
            moments: Vec::new(),
            next: 0,
            waits: Vec::new(),
        }
    }

    /// A network that varies as one to a car does: its rate with every half second, and what it lets
    /// cross comes in bursts. Of some half seconds there is nothing at all.
    fn varying(halves: impl Iterator<Item = u64>, rtt: u64) -> Self {
        let mut line = Self::new(1, rtt);
        for (half, kbit) in halves.enumerate() {
            let mut credit = 0;
            for burst in (0..500).step_by(20) {
                credit += kbit * 20 / 8;
                let moment = half as u64 * 500 + burst + line.chance(15);
                let crossing = usize::try_from(credit / SEGMENT).expect("few");
                line.moments.extend(std::iter::repeat_n(moment, crossing));
                credit %= SEGMENT;
            }
        }
        line
    }

    /// Bytes that could have crossed in so long.
    fn could(&self, time: Duration) -> f64 {
        let ends = (self.at + time).as_millis() as u64;
        let begins = self.at.as_millis() as u64;
        let within = (self.moments.iter()).filter(|moment| (begins..ends).contains(moment));
        within.count() as f64 * SEGMENT as f64 / time.as_secs_f64()
    }

    /// The wait that so many percent of the time was not exceeded.
    fn waited(&mut self, percent: usize) -> Duration {
        self.waits.sort();
        self.waits[self.waits.len() * percent / 100]
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.chance >> 33) % below.max(1)
    }

    fn send(&mut self, bytes: u64) {
        let jitter = self.jitter.as_micros() as u64;
        let jitter = Duration::from_micros(self.chance(jitter + 1));
        if self.moments.is_empty() {
            let takes = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            self.free = self.free.max(self.at) + takes;
        } else {
            let missed = |moment: &u64| millis(*moment) < self.at;
            let passed = self.moments[self.next..].iter().take_while(|m| missed(m));
            self.next += passed.count() + 1;
            self.free = millis(self.moments[self.next - 1]);
        }
        let last = self
            .flying
            .back()
            .map_or(Duration::ZERO, |(back, ..)| *back);
        let back = (self.free + self.rtt + jitter).max(last);
        self.flying.push_back((back, back - self.at, bytes));
        self.outstanding += bytes;
    }

    fn acknowledge(&mut self) {
        while let Some((_, took, bytes)) = self.flying.pop_front_if(|(back, ..)| *back <= self.at) {
            self.outstanding -= bytes;
            self.measured.acknowledged += bytes;
            let smooth = self.measured.rtt.unwrap_or(took);
            self.measured.rtt = Some((smooth * 7 + took) / 8);
            self.measured.least_rtt = Some(self.measured.least_rtt.unwrap_or(took).min(took));
        }
    }

    /// Goes on for so long; bytes a second that were delivered.
    fn run(&mut self, wants: Wants, time: Duration) -> f64 {
        let (end, before) = (self.at + time, self.measured.acknowledged);
        while self.at < end {
            let step = 1_000 + self.chance(1_000);
            self.at += Duration::from_micros(step);
            self.acknowledge();
            self.waits.push(self.free.saturating_sub(self.at));
            self.measured.outstanding = self.outstanding;
            self.measured.unsent = 0;
            let more = match wants {
                Wants::Gated => {
                    self.look();
                    self.allowed().saturating_sub(self.outstanding)
                }
                Wants::Bulk(window) => {
                    self.measured.unsent = 100_000;
                    self.measured.outstanding = self.outstanding + 100_000;
                    self.look();
                    window.saturating_sub(self.outstanding)
                }
                Wants::Some(bytes, every) => {
                    self.look();
                    let pieces = |at: Duration| at.as_millis() as u64 / every;
                    let due = pieces(self.at) - pieces(self.at - millis(1).min(self.at));
                    due.min(1) * bytes
                }
                Wants::Bursts(bytes) => {
                    self.look();
                    if self.outstanding == 0 { bytes } else { 0 }
                }
            };
            for _ in 0..more / SEGMENT {
                self.send(SEGMENT);
            }
        }
        (self.measured.acknowledged - before) as f64 / time.as_secs_f64()
    }

    fn look(&mut self) {
        self.told = self.estimate.take(self.began + self.at, &self.measured);
    }

    /// The tight gate: what the path holds, and 2 ms.
    fn allowed(&self) -> u64 {
        match (self.told.bandwidth, self.told.least_rtt) {
            (Some(rate), Some(least)) => {
                let holds = (rate as f64 * least.as_secs_f64()) as u64;
                holds + (rate / 500).max(SEGMENT)
            }
            _ => 10 * SEGMENT,
        }
    }

    fn mbit(&self) -> f64 {
        self.told
            .bandwidth
            .map_or(0.0, |rate| rate as f64 / MBIT as f64)
    }
}

#[test]
fn bulk_tells_the_bandwidth() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Bulk(200_000), millis(1_000));
    assert!((19.0..21.5).contains(&line.mbit()), "{}", line.mbit());
    assert_eq!(line.told.least_rtt.map(|rtt| rtt.as_millis()), Some(20));
}

// behaviour: I8
#[test]
fn the_gate_finds_the_bandwidth_and_does_not_lose_it() {
    for (mbit, rtt) in [(20, 20), (2, 120), (100, 20), (10, 5), (1, 300)] {
        let mut line = Line::new(mbit, rtt);
        line.run(Wants::Gated, millis(10_000));
        let delivered = line.run(Wants::Gated, millis(60_000)) / MBIT as f64;
        let least = 0.93 * mbit as f64;
        assert!(delivered >= least, "{mbit} Mbit/s, {rtt} ms: {delivered}");
        let queue = line
            .measured
            .rtt
            .unwrap_or_default()
            .saturating_sub(line.rtt);
        let most = millis(4).max(Duration::from_secs_f64(
            4.0 * SEGMENT as f64 / line.rate as f64,
        ));
        assert!(
            queue <= most,
            "{mbit} Mbit/s, {rtt} ms: a queue of {queue:?}"
        );
    }
}

#[test]
fn round_trips_that_vary_do_not_starve_it() {
    let mut line = Line::new(20, 20);
    line.jitter = millis(8);
    line.run(Wants::Gated, millis(10_000));
    let delivered = line.run(Wants::Gated, millis(120_000)) / MBIT as f64;
    assert!(delivered >= 16.0, "{delivered}");
}

#[test]
fn a_slower_network_is_known_within_seconds() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Gated, millis(10_000));
    line.rate = 5 * MBIT;
    line.run(Wants::Gated, millis(4_000));
    assert!((4.5..6.5).contains(&line.mbit()), "{}", line.mbit());
    line.run(Wants::Gated, millis(2_000));
    let queue = line
        .measured
        .rtt
        .unwrap_or_default()
        .saturating_sub(line.rtt);
    assert!(queue <= millis(15), "a queue of {queue:?}");
}

#[test]
fn a_faster_network_is_known_within_seconds() {
    let mut line = Line::new(5, 20);
    line.run(Wants::Gated, millis(10_000));
    line.rate = 40 * MBIT;
    line.run(Wants::Gated, millis(4_000));
    assert!(line.mbit() >= 36.0, "{}", line.mbit());
}

#[test]
fn too_little_to_do_teaches_nothing() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Some(SEGMENT, 20), millis(10_000));
    assert_eq!(line.told.bandwidth, None, "nothing was known");
    line.run(Wants::Bulk(200_000), millis(2_000));
    let known = line.mbit();
    line.run(Wants::Some(10 * SEGMENT, 20), millis(60_000));
    assert!(line.mbit() >= 0.99 * known, "{} after {known}", line.mbit());
}

#[test]
fn a_pause_forgets_nothing_at_once() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Bulk(200_000), millis(2_000));
    line.at += millis(3_600_000);
    // As the kernel begins again: slowly.
    line.run(Wants::Bulk(10 * SEGMENT), millis(400));
    assert!(line.mbit() >= 19.0, "{}", line.mbit());
    line.run(Wants::Bulk(10 * SEGMENT), millis(3_000));
    assert!(line.mbit() <= 7.0, "what stays so is so: {}", line.mbit());
}

#[test]
fn what_filled_a_hole_was_not_delivered_at_once() {
    let (mut estimate, began) = (Estimate::default(), now());
    let mut told = None;
    for (at, acknowledged) in [(0, 0), (40, 100_000), (80, 200_000), (120, 2_000_000)] {
        let measured = Told {
            rtt: Some(millis(20)),
            least_rtt: Some(millis(20)),
            acknowledged,
            outstanding: 200_000,
            unsent: 100_000,
            delivery_rate: Some(2_500_000),
            ..Told::default()
        };
        told = estimate.take(began + millis(at), &measured).bandwidth;
    }
    assert_eq!(told, Some(3_125_000), "a quarter above the kernel's word");
}

#[test]
fn a_longer_way_is_known_though_the_kernel_remembers_the_short_one() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Some(2 * SEGMENT, 40), millis(5_000));
    line.rtt = millis(90);
    line.run(Wants::Some(2 * SEGMENT, 40), millis(25_000));
    let least = line.told.least_rtt.unwrap_or_default();
    assert_eq!(
        line.measured.least_rtt.map(|rtt| rtt < millis(22)),
        Some(true)
    );
    assert!((millis(88)..millis(95)).contains(&least), "{least:?}");
    // A queue of our own is no longer way.
    let mut line = Line::new(20, 20);
    line.run(Wants::Bulk(500_000), millis(30_000));
    let least = line.told.least_rtt.unwrap_or_default();
    assert!(least < millis(22), "{least:?}");
}

#[test]
fn a_queue_that_has_just_drained_is_no_longer_way() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Bulk(500_000), millis(3_000));
    let delivered = line.run(Wants::Bursts(1_000_000), millis(20_000));
    assert!(delivered > 0.9 * line.rate as f64, "{delivered}");
    let least = line.told.least_rtt.unwrap_or_default();
    assert!(least < millis(22), "{least:?}");
}

#[test]
fn a_way_that_was_long_once_is_not_believed_for_ever() {
    let mut line = Line::new(20, 20);
    line.run(Wants::Some(2 * SEGMENT, 40), millis(5_000));
    line.rtt = millis(90);
    line.run(Wants::Some(2 * SEGMENT, 40), millis(25_000));
    assert!(line.told.least_rtt > Some(millis(80)));
    // Bulk says nothing of the way while it fills it.
    line.rtt = millis(20);
    line.run(Wants::Bulk(500_000), millis(15_000));
    let least = line.told.least_rtt.unwrap_or_default();
    assert!(least < millis(22), "{least:?}");
}

#[test]
fn any_figures_are_borne() {
    let (mut estimate, began) = (Estimate::default(), now());
    let figures = [0, 1, u64::MAX / 2, u64::MAX];
    let mut at = 0;
    for acknowledged in figures {
        for outstanding in figures {
            for rate in figures {
                at += 300;
                let measured = Told {
                    rtt: Some(Duration::from_micros(rate.min(u64::from(u32::MAX)))),
                    least_rtt: Some(Duration::from_secs(4_294)),
                    acknowledged,
                    outstanding,
                    unsent: rate,
                    delivery_rate: Some(rate),
                    ..Told::default()
                };
                let told = estimate.take(began + millis(at), &measured);
                assert!(told.unsent <= told.outstanding);
            }
        }
    }
}

// behaviour: I8
#[test]
fn a_network_that_varies_is_kept_busy_by_a_queue_of_less_than_some_round_trips() {
    let rates = [1_500, 3_000, 2_000, 600, 1_800, 4_000, 900, 2_500];
    let halves = (0..200).map(|half| rates[half * 5 % 8]);
    let mut line = Line::varying(halves, 80);
    line.run(Wants::Gated, millis(5_000));
    line.waits.clear();
    let could = line.could(millis(60_000));
    let delivered = line.run(Wants::Gated, millis(60_000));
    assert!(delivered >= 0.95 * could, "{delivered} of {could}");
    let half = line.waited(50);
    assert!(half <= millis(300), "a queue of {half:?}");
}

#[test]
fn a_network_that_pauses_is_used_again_at_once() {
    // A second of nothing in every five.
    let halves = (0..140).map(|half| if half % 10 < 8 { 2_000 } else { 0 });
    let mut line = Line::varying(halves, 80);
    line.run(Wants::Gated, millis(10_000));
    let could = line.could(millis(50_000));
    let delivered = line.run(Wants::Gated, millis(50_000));
    assert!(delivered >= 0.93 * could, "{delivered} of {could}");
}

// behaviour: I8
#[test]
fn what_is_not_known_is_found_within_some_round_trips_and_not_by_a_long_queue() {
    for (mbit, rtt, least, longest) in [
        (2, 120, 0.7, 70),
        (20, 20, 0.85, 10),
        (5, 40, 0.85, 30),
        (20, 100, 0.35, 40),
    ] {
        let mut line = Line::new(mbit, rtt);
        let delivered = line.run(Wants::Gated, millis(1_000)) / (mbit * MBIT) as f64;
        assert!(delivered >= least, "{mbit} Mbit/s, {rtt} ms: {delivered}");
        let queue = line.waited(99);
        assert!(
            queue <= millis(longest),
            "{mbit} Mbit/s, {rtt} ms: {queue:?}"
        );
    }
}

// behaviour: I8
#[test]
fn a_queue_that_is_seen_is_never_longer_than_two_packets_and_what_looking_costs() {
    for (mbit, rtt) in [(2, 120), (20, 20), (20, 100), (5, 40)] {
        let mut line = Line::new(mbit, rtt);
        line.run(Wants::Gated, millis(10_000));
        line.waits.clear();
        let delivered = line.run(Wants::Gated, millis(60_000)) / MBIT as f64;
        assert!(
            delivered >= 0.97 * mbit as f64,
            "{mbit} Mbit/s: {delivered}"
        );
        let packet = Duration::from_secs_f64(SEGMENT as f64 / line.rate as f64);
        let queue = line.waited(99);
        let most = packet * 3 + millis(3);
        assert!(queue <= most, "{mbit} Mbit/s, {rtt} ms: {queue:?}");
    }
}
