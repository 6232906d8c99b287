//! The purses of all limits, by limit and network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Accounts;
use super::limit::{Limit, Period};
use super::purse::{Gate, Purse};
use crate::label::matching::{Policy, Rule};
use crate::network::Network;
use crate::proto::schedule::budget::Budget;

/// Limits of one manager; more are left out.
pub(crate) const MAX_LIMITS: usize = 64;
/// Purses that are kept. With more, one that nobody uses goes, that which is renewed first; where all are
/// used, whoever comes next has one of its own.
pub(crate) const MAX_PURSES: usize = 1024;

/// By what a limit counts, and the network's name.
type Key = (Arc<str>, Arc<str>);

/// What limits allow, and what was spent of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    purses: Mutex<BTreeMap<Key, Arc<Purse>>>,
    spent: Arc<Notify>,
}

/// What of a limit's bytes was spent on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Spending {
    /// The limit, as it prints itself.
    pub limit: String,
    /// The network's name.
    pub network: Arc<str>,
    /// Bytes that went in this period, both ways.
    pub used: u64,
    /// Bytes that may.
    pub bytes: u64,
    /// When they are renewed, in seconds after the beginning of 1970.
    pub renewed: u64,
}

/// One line of the state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) network: String,
    pub(crate) budget: Budget,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Purse>>> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn purse(&self, key: String, network: &str, make: impl FnOnce() -> Purse) -> Arc<Purse> {
        let key: Key = (key.into(), network.into());
        let mut purses = self.lock();
        if let Some(known) = purses.get(&key) {
            return known.clone();
        }
        let purse = Arc::new(make());
        if purses.len() >= MAX_PURSES {
            let unused = purses.iter().filter(|(_, p)| Arc::strong_count(p) == 1);
            let renewed = |purse: &Purse| purse.budget(|k| k.budget.renewed_at(k.period));
            match unused.min_by_key(|(_, purse)| renewed(purse)) {
                Some((key, _)) => {
                    let key = key.clone();
                    purses.remove(&key);
                }
                None => return purse,
            }
        }
        purses.insert(key, purse.clone());
        purse
    }

    /// Those of a budget, by network.
    fn of_budget(&self, key: &str) -> Vec<(Arc<str>, Arc<Purse>)> {
        let purses = self.lock();
        let from: Key = (key.into(), "".into());
        let of = purses.range(from..).take_while(|((of, _), _)| **of == *key);
        of.map(|((_, network), purse)| (network.clone(), purse.clone()))
            .collect()
    }
}

impl Accounts {
    /// What the traffic of whoever has this number has to pass on this network, one gate a purse, in the
    /// order of the limits. `now` in seconds after 1970.
    pub(crate) fn gates(
        &self,
        limits: &[Limit],
        network: &Network,
        policy: &Policy,
        (who, now): (u64, u64),
    ) -> Vec<Gate> {
        let mut gates: Vec<Gate> = Vec::new();
        for limit in limits.iter().take(MAX_LIMITS) {
            if !limit.covers(network, policy) {
                continue;
            }
            let spent = &self.ledger.spent;
            let mut gate = |purse: Arc<Purse>, cap: u64| {
                // Of limits that are the same but for the amount the smallest counts: what passes two
                // gates of one purse would be charged twice.
                let same = |gate: &&mut Gate| Arc::ptr_eq(&gate.purse, &purse);
                match gates.iter_mut().find(same) {
                    Some(gate) => gate.cap = gate.cap.min(cap),
                    None => gates.push(Gate {
                        purse,
                        traffic: limit.traffic().clone(),
                        cap,
                        who,
                    }),
                }
            };
            if let (Some(key), Some(rate)) = (limit.rate_key(), limit.bytes_a_second()) {
                let make = || Purse::of_rate(rate, spent.clone());
                gate(self.ledger.purse(key, network.name(), make), u64::MAX);
            }
            if let (Some(key), Some((bytes, period))) = (limit.budget_key(), limit.budget()) {
                let purse = self.budget(key, network.name(), period, now);
                gate(purse, bytes);
            }
        }
        gates
    }

    fn budget(&self, key: String, network: &str, period: Period, now: u64) -> Arc<Purse> {
        let spent = self.ledger.spent.clone();
        let make = || Purse::of_budget(Budget::new(period, now), period, spent);
        self.ledger.purse(key, network, make)
    }

    /// What was spent of the budgets of these limits, periods that are over renewed.
    pub(crate) fn spending(&self, limits: &[Limit], now: u64) -> Vec<(Spending, Option<Rule>)> {
        let mut all = Vec::new();
        for limit in limits.iter().take(MAX_LIMITS) {
            let (Some(key), Some((bytes, period))) = (limit.budget_key(), limit.budget()) else {
                continue;
            };
            for (network, purse) in self.ledger.of_budget(&key) {
                let looked = purse.budget(|kept| {
                    if kept.budget.renew(period, now) {
                        kept.saved = 0;
                    }
                    (kept.budget, kept.is_spent(bytes))
                });
                let Some((budget, spent)) = looked else {
                    continue;
                };
                let renewed = budget.renewed_at(period);
                let rule = spent.then(|| {
                    let place = (limit.file().clone(), limit.line());
                    let (traffic, text) = (limit.traffic().clone(), limit.to_string());
                    Rule::spent(traffic, &network, text, place, renewed)
                });
                let spending = Spending {
                    limit: limit.to_string(),
                    network,
                    used: budget.used,
                    bytes,
                    renewed,
                };
                all.push((spending, rule));
            }
        }
        all
    }

    /// Resolves when a budget is spent, or something of one that is not saved, counted from this call on.
    pub(crate) fn spent(&self) -> tokio::sync::futures::Notified<'_> {
        self.ledger.spent.notified()
    }

    /// Joins what is kept here of these limits with what the state file has: what was spent here since
    /// the last time is added to what others spent. Returns what the file is to have.
    pub(crate) fn reconcile(&self, limits: &[Limit], file: Vec<Entry>, now: u64) -> Vec<Entry> {
        let mut entries: BTreeMap<(String, String), Budget> = BTreeMap::new();
        for Entry {
            key,
            network,
            budget,
        } in file
        {
            entries.insert((key, network), budget);
        }
        let budgets = limits.iter().take(MAX_LIMITS);
        for limit in budgets {
            let (Some(key), Some((_, period))) = (limit.budget_key(), limit.budget()) else {
                continue;
            };
            // What is in the file alone is known from here on.
            let from = (key.clone(), String::new());
            let named = entries.range(from..).take_while(|((of, _), _)| *of == key);
            for ((_, network), _) in named {
                self.budget(key.clone(), network, period, now);
            }
            for (network, purse) in self.ledger.of_budget(&key) {
                let place = (key.clone(), network.to_string());
                let mut there = entries.get(&place).copied();
                if let Some(there) = &mut there {
                    there.renew(period, now);
                }
                let joined = purse.budget(|kept| {
                    if kept.budget.renew(period, now) {
                        kept.saved = 0;
                    }
                    let fresh = kept.budget.used.saturating_sub(kept.saved);
                    if let Some(there) = there
                        && there.began == kept.budget.began
                    {
                        kept.budget.used = there.used.saturating_add(fresh);
                    }
                    (kept.saved, kept.told) = (kept.budget.used, false);
                    kept.budget
                });
                if let Some(budget) = joined.filter(|budget| budget.used > 0) {
                    entries.insert(place, budget);
                } else {
                    entries.remove(&place);
                }
            }
        }
        let entry = |((key, network), budget)| Entry {
            key,
            network,
            budget,
        };
        entries.into_iter().map(entry).collect()
    }

    /// Whether something of these limits was spent that the state file does not have.
    pub(crate) fn is_unsaved(&self, limits: &[Limit]) -> bool {
        let unsaved = |purse: &Purse| purse.budget(|kept| kept.budget.used != kept.saved);
        let keys = limits.iter().filter_map(Limit::budget_key);
        let mut purses = keys.flat_map(|key| self.ledger.of_budget(&key));
        purses.any(|(_, purse)| unsaved(&purse) == Some(true))
    }
}
