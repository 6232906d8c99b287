//! Paths on which nothing goes are asked for a word now and then, where the settings say so.
//!
//! A path that owes nothing is never suspected, so its loss is found when something is to be sent. A
//! PING makes it owe its answer; from there on it is as with payload: suspect after its patience, over
//! after [`Config::stall`](super::Config::stall).

use std::time::{Duration, Instant};

use super::Session;
use super::path::Path;

/// No path is asked more often.
const LEAST: Duration = Duration::from_millis(100);

impl Session {
    /// When the next idle path is to be asked.
    pub(super) fn idle_deadline(&self) -> Option<Instant> {
        let every = self.config.probe_idle?.max(LEAST);
        let idle = self.paths.iter().flatten().filter(|path| is_idle(path));
        idle.filter_map(|path| path.heard_at?.checked_add(every))
            .min()
    }

    /// Asks those that were silent for so long.
    pub(super) fn ask_idle(&mut self, now: Instant) {
        let Some(every) = self.config.probe_idle else {
            return;
        };
        let every = every.max(LEAST);
        for path in self.paths.iter_mut().flatten() {
            let silent = |at: Instant| now.saturating_duration_since(at) >= every;
            if is_idle(path) && path.heard_at.is_some_and(silent) {
                path.ask(now);
            }
        }
    }
}

/// It could carry, and owes nothing.
fn is_idle(path: &Path) -> bool {
    path.carries() && path.owes_since.is_none()
}
