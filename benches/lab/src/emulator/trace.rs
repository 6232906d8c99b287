//! Recorded networks: a capacity over time, and times in and out of reach.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The bytes that may cross at each line of a trace.
pub(crate) const OPPORTUNITY: usize = 1500;

/// The capacity of a link over time: when one packet of 1500 bytes may cross. It repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Milliseconds, in order, at least one; the last is the length of the trace.
    times: Vec<u64>,
}

impl Trace {
    /// A trace of these milliseconds; as mahimahi has it, the last one is its length.
    ///
    /// # Errors
    ///
    /// If there are none, if they are out of order, or if the last is 0.
    pub(crate) fn new(times: Vec<u64>) -> io::Result<Self> {
        if times.last().is_none_or(|length| *length == 0) {
            return Err(invalid("a trace without length"));
        }
        if !times.is_sorted() {
            return Err(invalid("a trace that goes back in time"));
        }
        Ok(Self { times })
    }

    /// Reads mahimahi's format: each line is a millisecond at which 1500 bytes may cross, the
    /// last one is the length of the trace.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no such trace.
    pub(crate) fn mahimahi(path: &Path) -> io::Result<Self> {
        let text = text(path)?;
        let times: Result<Vec<u64>, _> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::parse)
            .collect();
        let times = times.map_err(|error| invalid(&error.to_string()));
        times.and_then(Self::new).map_err(|error| at(path, &error))
    }

    /// When the opportunity of this number comes, counted through all repetitions.
    pub(crate) fn time(&self, number: u64) -> Duration {
        let (cycle, within) = self.divide(number);
        Duration::from_millis(cycle * self.end() + self.times[within])
    }

    /// The number of the first opportunity at or after this time.
    pub(crate) fn first_at(&self, time: Duration) -> u64 {
        let length = self.length().as_nanos();
        // Fits: as many cycles as fit into the seconds of a `Duration` divided by milliseconds.
        let cycle = (time.as_nanos() / length) as u64;
        let rest = time.as_nanos() % length;
        let before = |ms: &u64| Duration::from_millis(*ms).as_nanos() < rest;
        let number = cycle * self.times.len() as u64 + self.times.partition_point(before) as u64;
        // The end of one repetition is the beginning of the next.
        let mut number = number;
        while number > 0 && self.time(number - 1) >= time {
            number -= 1;
        }
        number
    }

    /// The bytes that could have crossed between two times.
    pub(crate) fn capacity(&self, from: Duration, to: Duration) -> u64 {
        (self.first_at(to) - self.first_at(from)) * OPPORTUNITY as u64
    }

    /// Times within and out of reach, drawn from two distributions of lines
    /// `seconds cumulative-probability`. Equal seeds give equal times.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is no such distribution.
    pub(crate) fn on_off_from_cdf(
        encounter: &Path,
        disconnect: &Path,
        seed: u64,
    ) -> io::Result<OnOff> {
        Ok(OnOff {
            encounter: Distribution::read(encounter)?,
            disconnect: Distribution::read(disconnect)?,
            random: fastrand::Rng::with_seed(seed),
        })
    }

    /// After this long it begins anew.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_millis(self.end())
    }

    /// The same trace, beginning at its last opportunity by this time and coming round to it.
    pub(crate) fn from(&self, at: Duration) -> Self {
        let at = at.as_millis() % u128::from(self.end());
        let split = self.times.partition_point(|&time| u128::from(time) <= at);
        let begin = split.checked_sub(1).map_or(0, |last| self.times[last]);
        let (before, after) = self.times.split_at(split);
        let after = after.iter().map(|time| time - begin);
        let before = before.iter().map(|time| time + self.end() - begin);
        Self {
            times: after.chain(before).collect(),
        }
    }

    fn end(&self) -> u64 {
        *self.times.last().expect("at least one line")
    }

    fn divide(&self, number: u64) -> (u64, usize) {
        let lines = self.times.len() as u64;
        (number / lines, (number % lines) as usize)
    }
}

/// An endless iterator: how long the network is in reach, and how long it then is not.
#[derive(Clone, Debug)]
pub(crate) struct OnOff {
    encounter: Distribution,
    disconnect: Distribution,
    random: fastrand::Rng,
}

impl Iterator for OnOff {
    type Item = (Duration, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let up = self.encounter.draw(self.random.f64());
        Some((up, self.disconnect.draw(self.random.f64())))
    }
}

/// A cumulative distribution of durations.
#[derive(Clone, Debug, PartialEq)]
struct Distribution {
    /// Seconds and the probability of at most these, ordered by probability.
    steps: Vec<(f64, f64)>,
}

impl Distribution {
    fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&text(path)?).map_err(|reason| at(path, &invalid(&reason)))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut fields = line.split_whitespace().map(str::parse::<f64>);
            match (fields.next(), fields.next()) {
                (Some(Ok(seconds)), Some(Ok(share))) if seconds >= 0.0 && share >= 0.0 => {
                    steps.push((seconds, share));
                }
                _ => return Err(format!("not seconds and a probability: {line}")),
            }
        }
        if steps.is_empty() {
            return Err("empty".to_owned());
        }
        // Recorded ones have equal seconds with probabilities in any order.
        steps.sort_by(|a, b| a.1.total_cmp(&b.1));
        Ok(Self { steps })
    }

    /// The value at this quantile, between the recorded ones by a straight line.
    fn draw(&self, quantile: f64) -> Duration {
        let next = self.steps.partition_point(|(_, share)| *share < quantile);
        let seconds = match (next.checked_sub(1), self.steps.get(next)) {
            (None, _) => self.steps[0].0,
            (Some(last), None) => self.steps[last].0,
            (Some(last), Some(&(to, high))) => {
                let (from, low) = self.steps[last];
                from + (to - from) * (quantile - low) / (high - low)
            }
        };
        Duration::from_secs_f64(seconds)
    }
}

fn text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_can_begin_anywhere_and_keeps_its_length() {
        let trace = Trace::new(vec![1, 4, 6, 10]).unwrap();
        let from = |ms| trace.from(Duration::from_millis(ms)).times;
        assert_eq!(from(0), [1, 4, 6, 10]);
        assert_eq!(from(5), [2, 6, 7, 10]);
        assert_eq!(from(10), [1, 4, 6, 10]);
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_trace_repeats_from_its_last_line_on() {
        let trace = Trace::new(vec![0, 5, 5, 10]).expect("in order");
        let times: Vec<u64> = (0..9).map(|n| trace.time(n).as_millis() as u64).collect();
        assert_eq!(times, [0, 5, 5, 10, 10, 15, 15, 20, 20]);
    }

    #[test]
    fn the_first_opportunity_at_a_time_is_not_before_it() {
        let trace = Trace::new(vec![0, 5, 5, 10]).expect("in order");
        for micros in 0..40_000 {
            let time = Duration::from_micros(micros);
            let number = trace.first_at(time);
            assert!(trace.time(number) >= time);
            assert!(number == 0 || trace.time(number - 1) < time, "at {time:?}");
        }
    }

    #[test]
    fn capacity_counts_every_line_once() {
        let trace = Trace::new(vec![2, 4, 6]).expect("in order");
        assert_eq!(trace.capacity(ms(0), ms(6)), 2 * 1500, "the end is outside");
        assert_eq!(trace.capacity(ms(0), ms(600)), 299 * 1500);
        assert_eq!(trace.capacity(ms(3), ms(3)), 0);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        for times in [vec![], vec![0], vec![5, 3]] {
            let refused = Trace::new(times.clone()).map_err(|error| error.kind());
            assert_eq!(refused, Err(io::ErrorKind::InvalidData), "{times:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let [absent, odd, empty] = ["absent", "odd", "empty"].map(|name| folder.path().join(name));
        fs::write(&odd, "1\nx\n").expect("written");
        fs::write(&empty, "").expect("written");
        for path in [&absent, &odd, &empty] {
            let trace = Trace::mahimahi(path).expect_err("no trace");
            let curve = Trace::on_off_from_cdf(path, path, 1).expect_err("no curve");
            for error in [trace, curve] {
                assert!(
                    error
                        .to_string()
                        .starts_with(path.to_str().expect("a name"))
                );
            }
        }
    }

    #[test]
    fn quantiles_lie_on_the_recorded_curve() {
        let curve = Distribution::parse("1 0.25\n3.0 0.75\n\n8 1.0\n").expect("a curve");
        for (quantile, ms) in [
            (0.0, 1000),
            (0.25, 1000),
            (0.5, 2000),
            (0.75, 3000),
            (1.0, 8000),
        ] {
            assert_eq!(curve.draw(quantile), Duration::from_millis(ms));
        }
    }

    #[test]
    fn what_is_no_curve_is_refused() {
        for text in ["", "1", "1 x", "-1 0.5", "nan 0.5"] {
            assert!(Distribution::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn equal_seeds_draw_equal_times() {
        let curve = Distribution::parse("1 0.1\n90 1.0").expect("a curve");
        let times = |seed| {
            let all = OnOff {
                encounter: curve.clone(),
                disconnect: curve.clone(),
                random: fastrand::Rng::with_seed(seed),
            };
            all.take(20).collect::<Vec<_>>()
        };
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }
}
