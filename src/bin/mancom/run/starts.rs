//! A command that is started too often waits: a word about that.

use super::running::Running;
use crate::output::say;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// As `mancom::run` has it: at most this many starts ...
const STARTS: usize = 10;
/// ... in this time.
const SPAN: Duration = Duration::from_secs(10);
/// A wait as short as this needs no explanation, and by then a failure is believed.
const SHORT: Duration = Duration::from_secs(1);

/// When the last starts were.
#[derive(Debug, Default)]
struct Starts(VecDeque<Instant>);

impl Starts {
    fn push(&mut self, now: Instant) {
        self.0.truncate(STARTS - 1);
        self.0.push_front(now);
    }

    /// How long the next one must wait.
    fn held(&self, now: Instant) -> Option<Duration> {
        let first = self.0.get(STARTS - 1)?;
        let held = (*first + SPAN).saturating_duration_since(now);
        (!held.is_zero()).then_some(held)
    }
}

/// Says, once a wait, that the next start is held back; never ends.
pub(super) async fn tell_if_held(running: &Running) -> Infallible {
    let mut starts = Starts::default();
    loop {
        running.started().await;
        starts.push(Instant::now());
        running.stopped().await;
        let again = tokio::time::timeout(SHORT, running.started()).await;
        if let (Err(_), Some(held)) = (again, starts.held(Instant::now())) {
            let (span, held) = (SPAN.as_secs(), held.as_secs_f64().ceil());
            say(format_args!(
                "started {STARTS} times in {span} s: waiting {held} s"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_start_in_ten_seconds_is_held_until_they_are_over() {
        let begin = Instant::now();
        let after = |tenths: u64| begin + Duration::from_millis(100 * tenths);
        let mut starts = Starts::default();
        for start in 0..9 {
            starts.push(after(start));
        }
        assert_eq!(starts.held(after(9)), None, "one more is allowed");
        starts.push(after(9));
        assert_eq!(starts.held(after(20)), Some(Duration::from_secs(8)));
        assert_eq!(starts.held(after(100)), None);
        starts.push(after(100));
        let second = Duration::from_millis(100);
        assert_eq!(starts.held(after(100)), Some(second), "the second of them");
    }
}
