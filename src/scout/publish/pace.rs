//! When a snapshot goes out: what lets somebody go on at once, other losses together, never more than
//! 20 a second.
//!
//! ```text
//! gain, or a loss
//! with a refuge ────────▶ now                       ┐
//! loss  ── 20 ms quiet ─▶ at most 50 ms after the   ├─▶ a token ─▶ publish
//!                         first of them             ┘
//! ```
//!
//! Where nothing else is up there is nothing to be gained by haste, and what returns within 20 ms was
//! never gone. Where something is, those 20 ms would be a third of what a handover may take.
//!
//! Tokens: ten at rest, one more every 100 ms, so that any second has at most twenty snapshots and
//! a state that has settled is out within 100 ms however much it flapped before. A debounce that
//! only trails would never publish under endless flapping; this one has a bound.

use std::time::{Duration, Instant};

/// So long a loss waits for company.
pub(crate) const QUIET: Duration = Duration::from_millis(20);
/// And never longer than this, company or not.
pub(crate) const MAX_DELAY: Duration = Duration::from_millis(50);
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_millis(100);

/// The timer of a publisher; it has no clock of its own.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The first change that is not out yet, and when to publish but for the tokens.
    waiting: Option<(Instant, Instant)>,
    /// When the bucket of tokens will be full again.
    full: Option<Instant>,
}

impl Pace {
    /// Something became usable that was not, or can take the place of what went.
    pub(crate) fn gain(&mut self, now: Instant) {
        let first = self.waiting.map_or(now, |(first, _)| first);
        self.waiting = Some((first, now));
    }

    /// Something went, or changed.
    pub(crate) fn loss(&mut self, now: Instant) {
        let (first, at) = self.waiting.unwrap_or((now, now + QUIET));
        let at = if at <= now {
            at
        } else {
            (now + QUIET).min(first + MAX_DELAY)
        };
        self.waiting = Some((first, at));
    }

    /// Somebody wants to know now: what waits for company waits no longer.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some((_, at)) = &mut self.waiting {
            *at = now.min(*at);
        }
    }

    /// What is published is right again.
    pub(crate) fn nothing(&mut self) {
        self.waiting = None;
    }

    /// When to publish, if anything waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (_, at) = self.waiting?;
        Some(match self.token() {
            Some(token) => at.max(token),
            None => at,
        })
    }

    /// When the next token is there; `None` if one is now or always was.
    pub(crate) fn token(&self) -> Option<Instant> {
        self.full.map(|full| full - REFILL * (BURST - 1))
    }

    /// A snapshot went out.
    pub(crate) fn spent(&mut self, now: Instant) {
        self.waiting = None;
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + REFILL);
    }
}
