//! Whether to leave a working network for a better one: with hysteresis, apart from ranking.

use std::time::{Duration, Instant};

use super::{Destination, Policy, RankKey, rank};
use crate::label::{Label, Prop, Urgency};
use crate::network::{Network, NetworkId};

/// How long a better network must stand before it is moved to.
const STAND: Duration = Duration::from_secs(2);
/// Doubled so often at most: 64 s.
const MAX_DOUBLINGS: u32 = 5;
/// Each so long without a loss halves it again.
const HALVING: Duration = Duration::from_secs(60);

/// What to do with a path, of one network, of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing better.
    Stay,
    /// Something better, to be asked about again then.
    At(Instant),
    /// Open a path on the better network, then close this one.
    Now,
}

/// Decides about moving from one network to a better one.
///
/// - The better one must have stood for 2 s; a better one that is another starts anew.
/// - Better is a better class (every axis of [`RankKey`] above the metric), or in the same class
///   a metric at least 1.25 times better. A better kind or id alone is not.
/// - Background never leaves an unmetered network for the metric alone.
/// - A network about to go is left for one that is not at once, and so is a lost one.
/// - After a loss the wait doubles, up to 64 s, and halves with each minute since.
///
/// It keeps no clock: every call is told the time.
#[derive(Debug, Clone, Default)]
pub struct Migration {
    doublings: u32,
    /// The last loss, or the last halving since.
    since: Option<Instant>,
    better: Option<(NetworkId, Instant)>,
}

impl Migration {
    /// No loss yet: 2 s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The network in use was lost. Where to go is then not asked here: to the best, at once.
    pub fn lost(&mut self, now: Instant) {
        self.settle(now);
        self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
        self.since = Some(now);
        self.better = None;
    }

    /// How long a better network must stand now.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        let mut settled = self.clone();
        settled.settle(now);
        STAND * 2_u32.pow(settled.doublings)
    }

    /// Whether to move from `current` to `best`, both admitted, `best` the first of the
    /// candidates. Ask on every snapshot and at the time answered.
    pub fn consider(
        &mut self,
        now: Instant,
        current: &Network,
        best: &Network,
        (label, to, policy): (&Label, &Destination, &Policy),
    ) -> Move {
        self.settle(now);
        let here = rank(current, label, to, policy);
        let there = rank(best, label, to, policy);
        let is_metered = policy.count(Prop::Metered, current.metered());
        if current.id() == best.id() || !is_worth(&here, &there, label, is_metered) {
            self.better = None;
            return Move::Stay;
        }
        if here.losing && !there.losing {
            self.better = None;
            return Move::Now;
        }
        let stood_since = match self.better {
            Some((id, since)) if id == best.id() => since,
            _ => now,
        };
        self.better = Some((best.id(), stood_since));
        let due = stood_since + STAND * 2_u32.pow(self.doublings);
        if now < due {
            return Move::At(due);
        }
        self.better = None;
        Move::Now
    }

    /// Forgets one doubling for each minute without a loss.
    fn settle(&mut self, now: Instant) {
        while let Some(since) = self.since
            && now.saturating_duration_since(since) >= HALVING
            && self.doublings > 0
        {
            self.doublings -= 1;
            self.since = Some(since + HALVING);
        }
    }
}

fn is_worth(here: &RankKey, there: &RankKey, label: &Label, is_metered: bool) -> bool {
    let (class, better) = (here.class(), there.class());
    if better != class {
        return better < class;
    }
    let stays_unmetered = label.urgency() == Urgency::Background && !is_metered;
    // 1.25 times: 5 of theirs are at most 4 of ours.
    !stays_unmetered && there.metric.saturating_mul(5) <= here.metric.saturating_mul(4)
}
