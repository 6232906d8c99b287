//! Silence on a path.
//!
//! A path owes an answer from the moment payload went out on it until nothing of it is unacknowledged;
//! whatever arrives on it meanwhile starts the time anew. Silent for [`Config::stall`], it is told as
//! stalled, once: it costs nothing but another path.
//!
//! Once a newer path carries, a silent one ends, and what flew on it goes again: the end that is asked
//! to use another path may never hear why. So an older path is asked for an answer when a newer one
//! joins, and one that is retired owes the peer's word. What it carried is acknowledged on the newer
//! path: while that advances, it is slow and not silent.
//!
//! Who only receives is owed nothing. It asks for a word a quarter of [`Config::stall`] after payload
//! ceased, and again each time the quiet has doubled, until it lasted for 30 times that setting: so a
//! silence is noticed within about twice the time for which nothing came, and an idle session costs
//! nothing. From then on it is `probe_idle` that asks. Both ends may be receivers; while the dialler's
//! questions come, the listener has none.
//!
//! [`Config::stall`]: super::Config::stall

use std::time::{Duration, Instant};

use super::error::PathEnd;
use super::path::{Closing, Path};
use super::{Event, MAX_PATHS, PathId, Role, Session};

/// A receiver asks after this part of [`Config::stall`](super::Config::stall) without payload.
const PROBE: u32 = 4;
/// And no more once the path said nothing but words for so many times as long as that setting.
const QUIET: u32 = 30;
/// So many times as long a path may hear something, and yet deliver nothing.
const STUCK: u32 = 10;

impl Session {
    /// Something arrived on a path.
    pub(super) fn heard(&mut self, now: Instant, slot: usize) {
        self.drained(now);
        match &mut self.paths[slot] {
            Some(path) => {
                path.heard_at = Some(now);
                if path.owes_since.is_none() {
                    return;
                }
            }
            None => return,
        }
        let flying = self.flies_on(slot);
        if let Some(path) = &mut self.paths[slot] {
            let asked = path.trust.suspect || path.trust.pinged();
            path.owes_since = (flying || path.retiring || asked).then_some(now);
            path.stalled = false;
        }
    }

    /// What flew on a retired path may be acknowledged on any.
    fn drained(&mut self, now: Instant) {
        for slot in self.open_slots() {
            if !self.paths[slot].as_ref().is_some_and(|path| path.retiring) {
                continue;
            }
            let flying = self.flying_on(slot);
            if let Some(path) = &mut self.paths[slot]
                && flying < path.owed
            {
                (path.owed, path.owes_since) = (flying, Some(now));
            }
        }
    }

    /// How long this path may be silent: three of its round trips at least.
    fn stall(&self, path: &Path) -> Duration {
        let slow = path
            .measure
            .rtt
            .map_or(Duration::ZERO, |rtt| rtt.saturating_mul(3));
        self.config.stall.max(slow)
    }

    /// Since when a path may be called silent: it owes an answer in silence, or, where another carries,
    /// it makes no progress although something comes on it.
    fn silent_at(&self, slot: usize, path: &Path) -> Option<Instant> {
        let stall = self.stall(path);
        let silent = path.owes_since.and_then(|since| since.checked_add(stall));
        let stuck = path
            .trust
            .since
            .filter(|_| path.trust.suspect && self.has_other(slot));
        let stuck = stuck.and_then(|since| since.checked_add(stall.saturating_mul(STUCK)));
        silent.into_iter().chain(stuck).min()
    }

    pub(super) fn stall_deadline(&self) -> Option<Instant> {
        let mut first = self.trust_deadline();
        for slot in self.open_slots() {
            let Some(path) = self.paths[slot].as_deref().filter(|path| !path.stalled) else {
                continue;
            };
            let at = self.silent_at(slot, path);
            let at = at.or_else(|| self.asks_at(path));
            first = first.into_iter().chain(at).min();
        }
        first
    }

    /// When a path that owes nothing is asked whether more payload may come on it.
    fn asks_at(&self, path: &Path) -> Option<Instant> {
        let fed = path.fed.filter(|_| path.closing == Closing::No)?;
        let heard = path.heard_at.map_or(fed, |heard| heard.max(fed));
        let quiet = heard.saturating_duration_since(fed);
        let first = self.config.stall / PROBE;
        // One end's questions do for both: the listener has its turn when the dialler's stay away.
        let pause = match self.role {
            Role::Dialler => quiet.max(first),
            Role::Listener => quiet.max(first).saturating_mul(2),
        };
        let over = quiet >= self.config.stall.saturating_mul(QUIET);
        heard.checked_add(pause).filter(|_| !over)
    }

    /// Who only receives is owed nothing, and yet is to notice a silence.
    fn ask_after_payload(&mut self, now: Instant) {
        for slot in self.open_slots() {
            let Some(path) = self.paths[slot].as_deref() else {
                continue;
            };
            if path.owes_since.is_none() && self.asks_at(path).is_some_and(|at| at <= now) {
                self.probe(now, slot);
                // It was silent before, and had that time to say something.
                if let Some(path) = &mut self.paths[slot] {
                    path.owes_since = now.checked_sub(self.config.stall / PROBE);
                }
            }
        }
    }

    /// The network of this path may be another now, though its address is the same: it is to answer.
    pub fn ask(&mut self, now: Instant, path: PathId) {
        if let Some(slot) = self.slot(path) {
            self.probe(now, slot);
        }
    }

    /// A newer path joins: what is left of this one is to answer.
    pub(super) fn probe(&mut self, now: Instant, slot: usize) {
        if let Some(path) = &mut self.paths[slot]
            && path.closing == Closing::No
        {
            path.ask(now);
        }
    }

    /// Whether something sent on a path is not acknowledged.
    pub(super) fn flies_on(&self, slot: usize) -> bool {
        let mut streams = self.streams.values();
        self.messages.flying_on(slot) > 0 || streams.any(|stream| stream.send.flies_on(slot as u8))
    }

    pub(super) fn flying_on(&self, slot: usize) -> u64 {
        self.streams
            .values()
            .map(|stream| stream.send.flying_on(slot as u8))
            .sum::<u64>()
            + self.messages.flying_on(slot)
    }

    pub(super) fn check_stalls(&mut self, now: Instant) {
        self.ask_after_payload(now);
        self.check_trust(now);
        for slot in 0..MAX_PATHS {
            let Some(path) = self.paths[slot].as_deref() else {
                continue;
            };
            if self.silent_at(slot, path).is_none_or(|at| at > now) {
                continue;
            }
            if self.has_other(slot) {
                self.end_path(now, slot, PathEnd::Silent);
            } else if let Some(path) = &mut self.paths[slot]
                && !path.stalled
            {
                path.stalled = true;
                let id = path.id;
                self.events.push_back(Event::PathStalled(id));
                self.suspect(now, slot);
            }
        }
    }

    /// The path in use, if it owes an answer in silence.
    pub fn stalled(&self) -> Option<PathId> {
        let slot = self.telling_slot()?;
        self.paths[slot]
            .as_ref()
            .filter(|path| path.stalled)
            .map(|path| path.id)
    }
}
