//! What a `connect` tried until its first path stood, and how long each part of it took.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Cause;
use crate::clock::Clock;

/// Tries kept, the last ones.
const KEPT: usize = 32;

/// How a session or a plain stream came to its first path: every try in order (at most the last 32),
/// the one that succeeded last.
///
/// Prints as one line a try:
///
/// ```text
/// wlan0: failed at 5.0 s: no answer within 5s (resolve 3 ms, connect 4997 ms)
/// wwan0: connected at 5.2 s (resolve 40 ms, connect 61 ms, handshake 122 ms)
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectReport {
    /// The endpoint, as given.
    pub endpoint: String,
    /// Each try.
    pub tries: Vec<Try>,
    /// From the call of `connect` to the first path, waiting for a network included.
    pub took: Duration,
}

/// One try to reach the far end over one network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Try {
    /// The network's name; `None` where no network is used.
    pub network: Option<Arc<str>>,
    /// When it began, after the call of `connect`.
    pub began: Duration,
    /// Why it failed; `None` if it succeeded.
    pub error: Option<Cause>,
    /// How long its parts took.
    pub phases: Phases,
}

/// How long the parts of a try took, as far as they were begun; the last one may not have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Phases {
    /// Resolving the name; `None` if there was none to resolve.
    pub resolve: Option<Duration>,
    /// The connection of the transport, all addresses that were tried included.
    pub connect: Option<Duration>,
    /// mancom's handshake; `None` for a plain stream.
    pub handshake: Option<Duration>,
}

impl Phases {
    /// The time of all of them.
    #[must_use]
    pub fn total(&self) -> Duration {
        let all = [self.resolve, self.connect, self.handshake];
        all.into_iter().flatten().sum()
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("handshake", self.handshake),
        ];
        let taken = |(name, took): (&str, Option<Duration>)| {
            took.map(|took| format!("{name} {} ms", took.as_millis()))
        };
        let parts: Vec<String> = parts.into_iter().filter_map(taken).collect();
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.network.as_deref().unwrap_or("no network");
        let ended = (self.began + self.phases.total()).as_secs_f64();
        match &self.error {
            Some(error) => write!(f, "{name}: failed at {ended:.1} s: {error}")?,
            None => write!(f, "{name}: connected at {ended:.1} s")?,
        }
        match self.phases {
            phases if phases == Phases::default() => Ok(()),
            phases => write!(f, " ({phases})"),
        }
    }
}

impl fmt::Display for ConnectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.tries.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "\n" })?;
            one.fmt(f)?;
        }
        Ok(())
    }
}

impl ConnectReport {
    pub(super) fn to(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            tries: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// A try ended; `started` is when `connect` was called.
    pub(super) fn note(
        &mut self,
        started: Instant,
        network: Option<&str>,
        watch: &Stopwatch,
        error: Option<&Arc<io::Error>>,
    ) {
        if self.tries.len() == KEPT {
            self.tries.remove(0);
        }
        self.took = Clock::now().saturating_duration_since(started);
        self.tries.push(Try {
            network: network.map(Into::into),
            began: watch.began.saturating_duration_since(started),
            error: error.map(|error| Cause::from(Arc::clone(error))),
            phases: watch.phases(),
        });
    }
}

/// A part of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Resolve,
    Connect,
    Handshake,
}

/// Times the phases of one try, however it ends.
#[derive(Debug)]
pub(super) struct Stopwatch {
    began: Instant,
    ended: Phases,
    running: Option<(Phase, Instant)>,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self {
            began: Clock::now(),
            ended: Phases::default(),
            running: None,
        }
    }

    /// One phase ends, this one begins.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.stop();
        self.running = Some((phase, Clock::now()));
    }

    /// Nothing more is timed.
    pub(super) fn stop(&mut self) {
        self.ended = self.phases();
        self.running = None;
    }

    fn phases(&self) -> Phases {
        let mut phases = self.ended;
        if let Some((phase, since)) = self.running {
            let took = Some(Clock::now().saturating_duration_since(since));
            match phase {
                Phase::Resolve => phases.resolve = took,
                Phase::Connect => phases.connect = took,
                Phase::Handshake => phases.handshake = took,
            }
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_bounded_and_keeps_the_last_tries() {
        let (mut report, started) = (ConnectReport::to("mc://far:1"), Clock::now());
        for _ in 0..100 {
            let error = Arc::new(io::Error::other("no"));
            report.note(started, Some("a"), &Stopwatch::new(), Some(&error));
        }
        report.note(started, Some("b"), &Stopwatch::new(), None);
        assert_eq!(report.tries.len(), KEPT);
        let text = report.to_string();
        assert!(text.starts_with("a: failed at 0.0 s: no\n"), "{text}");
        assert!(text.ends_with("\nb: connected at 0.0 s"), "{text}");
    }
}
