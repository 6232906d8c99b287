//! What one limit allows on one network, shared by everybody who uses it.
//!
//! A session takes some before it plans, and gives back at once what it did not use, so that however
//! many plan at the same moment no more goes than is allowed. Of a rate whoever had least goes first
//! among those who lately had not enough.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::label::matching::Traffic;
use crate::proto::schedule::budget::{Budget, Period};
use crate::proto::schedule::meter::Meter;

/// Of a budget no less than so much is left: a frame's header alone moves nothing.
pub(super) const SPLINTER: u64 = 64;
/// Who had not enough counts as one who shares a rate for so long.
const CLAIM: Duration = Duration::from_millis(100);
/// One may be ahead of the others by this part of a second.
const AHEAD: u64 = 100;
/// And by so many bytes, where that is more.
const WORTH: u64 = 4 << 10;
/// Who shares a rate is remembered up to this number.
const CLAIMS: usize = 1024;
/// Whoever finds that others hold the rest looks again after this.
const AGAIN: Duration = Duration::from_millis(5);

/// What is allowed of one kind.
#[derive(Debug)]
pub(crate) struct Purse {
    state: Mutex<State>,
    /// Told when a budget is spent, and when some of it is the first time since it was saved.
    spent: Arc<Notify>,
}

#[derive(Debug)]
enum State {
    Rate {
        meter: Meter,
        /// By number of who asked for more than there was.
        claims: BTreeMap<u64, Claim>,
    },
    Budget(Kept),
}

/// What somebody had of a rate who wants more.
#[derive(Debug, Clone, Copy)]
struct Claim {
    asked: Instant,
    had: u64,
}

/// A budget as it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) budget: Budget,
    pub(super) period: Period,
    /// Taken, and neither used nor given back yet.
    held: u64,
    /// What of it is in the state file.
    pub(super) saved: u64,
    /// That there is more was told, for it to be saved soon.
    pub(super) told: bool,
}

/// What somebody got of a purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) bytes: u64,
    /// When to ask again, if that was nothing.
    pub(crate) again: Option<Instant>,
}

impl Purse {
    pub(super) fn of_rate(rate: u64, spent: Arc<Notify>) -> Self {
        // What a socket takes late must fit into the second as well.
        let meter = Meter::new((rate - rate / 20).max(1));
        Self {
            state: Mutex::new(State::Rate {
                meter,
                claims: BTreeMap::new(),
            }),
            spent,
        }
    }

    pub(super) fn of_budget(budget: Budget, period: Period, spent: Arc<Notify>) -> Self {
        Self {
            state: Mutex::new(State::Budget(Kept {
                budget,
                period,
                held: 0,
                saved: budget.used,
                told: false,
            })),
            spent,
        }
    }

    /// Gives at most so many bytes to whoever has this number, of `cap` a period.
    fn take(&self, now: Instant, who: u64, cap: u64, most: u64) -> Grant {
        let mut state = self.lock();
        match &mut *state {
            State::Rate { meter, claims } => {
                claims.retain(|_, claim| now.saturating_duration_since(claim.asked) < CLAIM);
                let least = least(claims, who);
                let had = claims.get(&who).map(|claim| claim.had).or(least);
                let ahead = (meter.rate() / AHEAD).max(WORTH);
                let (had, first) = (had.unwrap_or(0), least.unwrap_or(u64::MAX));
                let waits = had > first.saturating_add(ahead);
                let bytes = match least {
                    _ if waits => 0,
                    Some(_) => meter.take(now, most.min(ahead)),
                    None => meter.take(now, most),
                };
                let again = match bytes {
                    0 if waits => Some(now + AGAIN),
                    0 => meter.next(now),
                    _ => None,
                };
                Grant { bytes, again }
            }
            State::Budget(kept) => {
                let left = cap.saturating_sub(kept.budget.used);
                let free = left.saturating_sub(kept.held);
                if free >= SPLINTER {
                    let bytes = most.min(free);
                    kept.held += bytes;
                    return Grant { bytes, again: None };
                }
                let held = left >= SPLINTER;
                drop(state);
                if !held {
                    self.spent.notify_waiters();
                }
                Grant {
                    bytes: 0,
                    again: held.then(|| now + AGAIN),
                }
            }
        }
    }

    /// Of so many bytes taken so many are left: the rest went. More may be left than was taken, if of
    /// what went before some came back. `wanted` says that there was not enough.
    fn settle(&self, now: Instant, (taken, left): (u64, u64), wanted: bool, gate: &Gate) {
        let (who, cap) = (gate.who, gate.cap);
        let mut state = self.lock();
        match &mut *state {
            State::Rate { meter, claims } => {
                meter.give_back(now, left);
                let least = least(claims, who).unwrap_or(0);
                let known = claims.get(&who).map_or(least, |claim| claim.had);
                let had = known.saturating_add(taken.saturating_sub(left));
                if !wanted {
                    claims.remove(&who);
                } else if claims.len() < CLAIMS || claims.contains_key(&who) {
                    claims.insert(who, Claim { asked: now, had });
                }
            }
            State::Budget(kept) => {
                kept.held = kept.held.saturating_sub(taken);
                let used = kept.budget.used.saturating_add(taken);
                kept.budget.used = used.saturating_sub(left);
                let news = kept.is_spent(cap) || kept.is_news();
                drop(state);
                if news {
                    self.spent.notify_waiters();
                }
            }
        }
    }

    /// So many went unasked: of a rate only what was `sent` counts.
    fn charge(&self, now: Instant, bytes: u64, sent: bool, cap: u64) {
        match &mut *self.lock() {
            State::Rate { meter, .. } if sent => return meter.spend(now, bytes),
            State::Rate { .. } => return,
            State::Budget(kept) => {
                kept.budget.used = kept.budget.used.saturating_add(bytes);
                let news = kept.is_news();
                if !kept.is_spent(cap) && !news {
                    return;
                }
            }
        }
        self.spent.notify_waiters();
    }

    /// The budget, changed by `change`; `None` of a rate.
    pub(super) fn budget<R>(&self, change: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        match &mut *self.lock() {
            State::Rate { .. } => None,
            State::Budget(kept) => Some(change(kept)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the one of the others had who had least.
fn least(claims: &BTreeMap<u64, Claim>, who: u64) -> Option<u64> {
    let others = claims.iter().filter(|(other, _)| **other != who);
    others.map(|(_, claim)| claim.had).min()
}

impl Kept {
    pub(super) fn is_spent(&self, cap: u64) -> bool {
        cap.saturating_sub(self.budget.used) < SPLINTER
    }

    /// Whether this is the first that is spent since the state file was written.
    fn is_news(&mut self) -> bool {
        let news = !self.told && self.budget.used != self.saved;
        self.told |= news;
        news
    }
}

/// A purse as one who pays from it has it.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(super) purse: Arc<Purse>,
    /// Whose traffic it is for.
    pub(super) traffic: Traffic,
    /// Bytes a period.
    pub(super) cap: u64,
    /// By whom it is asked.
    pub(super) who: u64,
}

impl Gate {
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// At most so many bytes, to be [settled](Self::settle).
    pub(crate) fn take(&self, now: Instant, most: u64) -> Grant {
        self.purse.take(now, self.who, self.cap, most)
    }

    /// Of so many bytes taken so many are left; `wanted` says that there was not enough.
    pub(crate) fn settle(&self, now: Instant, taken: u64, left: u64, wanted: bool) {
        if taken > 0 || left > 0 || wanted {
            self.purse.settle(now, (taken, left), wanted, self);
        }
    }

    /// So many were received, or are of no label.
    pub(crate) fn charge(&self, now: Instant, bytes: u64) {
        if bytes > 0 {
            self.purse.charge(now, bytes, false, self.cap);
        }
    }

    /// So many were sent that nobody asked for.
    pub(crate) fn overcharge(&self, now: Instant, bytes: u64) {
        if bytes > 0 {
            self.purse.charge(now, bytes, true, self.cap);
        }
    }
}
