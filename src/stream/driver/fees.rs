//! What a path's bytes count for: the figures of its network, and the limits it is under.
//!
//! Nothing is asked of a limit where there is none: a path without a gate is one compare with zero before
//! an offer, one after it and one a frame in the core, and no lock. Where there is, each offer of a path is preceded by
//! taking room from its purses and followed by giving the rest back: see [`account`](crate::account).

use std::sync::Arc;
use std::time::Instant;

use super::super::withheld::Held;
use super::sockets::Link;
use super::state::State;
use crate::account::{Accounts, Gate, Limit, Row};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::Policy;
use crate::proto::session::{Tally, Toll};

/// So much is taken of a purse at once; more when less than a quarter is left.
const ROOM: u64 = 256 << 10;

/// One path's.
#[derive(Debug, Default)]
pub(super) struct Fees {
    gates: Vec<Gate>,
    /// Of each gate, bytes taken and not settled.
    taken: Vec<u64>,
    row: Option<Arc<Row>>,
    /// What of the path is counted in the row.
    counted: Tally,
}

impl Fees {
    pub(super) fn are_due(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Takes room for what the path may be offered.
    pub(super) fn take(&mut self, now: Instant, tolls: &mut [Toll]) {
        let gates = self.gates.iter().zip(&mut self.taken);
        for ((gate, taken), toll) in gates.zip(tolls) {
            if toll.room >= ROOM / 4 {
                continue;
            }
            let grant = gate.take(now, ROOM - toll.room);
            *taken += grant.bytes;
            toll.room += grant.bytes;
            toll.again = grant.again;
            toll.dry = toll.room == 0;
        }
    }

    /// Gives back what is left, and pays what is owed.
    pub(super) fn settle(&mut self, now: Instant, tolls: &mut [Toll]) {
        let gates = self.gates.iter().zip(&mut self.taken);
        for ((gate, taken), toll) in gates.zip(tolls) {
            let left = std::mem::take(&mut toll.room);
            let wanted = std::mem::take(&mut toll.wanted);
            gate.settle(now, std::mem::take(taken), left, wanted);
            gate.overcharge(now, std::mem::take(&mut toll.over));
            gate.charge(now, std::mem::take(&mut toll.owed));
        }
    }

    /// Counts what went and came since the last time; where, if there was anything.
    fn count(&mut self, tally: Tally) -> Option<&Arc<Row>> {
        if tally == self.counted {
            return None;
        }
        let row = self.row.as_ref()?;
        row.add(&self.counted, &tally);
        self.counted = tally;
        Some(row)
    }
}

/// What decides what the paths of a session pay.
#[derive(Debug, Clone)]
pub(in crate::stream) struct Terms {
    pub(in crate::stream) accounts: Arc<Accounts>,
    pub(in crate::stream) limits: Arc<[Limit]>,
    pub(in crate::stream) policy: Policy,
    /// Who pays.
    pub(in crate::stream) who: u64,
}

impl State {
    /// Other limits, or another policy, are in force.
    pub(super) fn set_terms(&mut self, now: Instant, limits: Arc<[Limit]>, policy: Policy) {
        let some = !limits.is_empty() || !self.terms.limits.is_empty();
        (self.terms.limits, self.terms.policy) = (limits, policy);
        for at in 0..self.links.len() {
            if some {
                self.set_gates(now, at);
            }
        }
    }

    /// A path is on a network, or its network is known anew.
    pub(super) fn begin_fees(&mut self, now: Instant, at: usize) {
        let network = self.links[at].network.as_ref();
        let row = self.terms.accounts.row(network);
        self.count_bytes(now);
        self.links[at].fees.row = Some(row);
        if !self.terms.limits.is_empty() {
            self.set_gates(now, at);
        }
    }

    fn set_gates(&mut self, now: Instant, at: usize) {
        let Terms {
            accounts,
            limits,
            policy,
            who,
        } = &self.terms;
        let link = &mut self.links[at];
        let gates = match &link.network {
            Some(network) => accounts.gates(limits, network, policy, (*who, Clock::wall())),
            None => Vec::new(),
        };
        let traffic = gates.iter().map(|gate| gate.traffic().clone());
        let mut before = self.core.set_tolls(link.path, traffic);
        link.fees.settle(now, &mut before);
        link.fees.taken = vec![0; gates.len()];
        link.fees.gates = gates;
    }

    /// The most urgent label that no path carries, where one would if its budget were not spent. What it
    /// found of the labels is what is known of them from now on.
    pub(in crate::stream) fn held_back(&mut self) -> Option<Held> {
        if self.terms.limits.is_empty() || self.core.closed().is_some() {
            return None;
        }
        let mut labels = self.core.live_labels();
        self.roamer_knows(&labels);
        labels.sort_by_key(Label::urgency);
        let open = || self.links.iter().filter(|link| link.dead.is_none());
        labels.into_iter().find_map(|label| {
            if open().any(|link| self.core.permits(link.path, &label)) {
                return None;
            }
            let lasting = |link: &&Link| self.core.permits_but_for_budgets(link.path, &label);
            let link = open().find(lasting)?;
            Some(Held {
                label,
                on: link.network.clone()?,
                peer: link.io.peer(),
            })
        })
    }

    /// Counts what went and came over every path since the last time.
    pub(super) fn count_bytes(&mut self, now: Instant) {
        for link in &mut self.links {
            let Some(tally) = self.core.tally(link.path) else {
                continue;
            };
            let Some(row) = link.fees.count(tally) else {
                continue;
            };
            note(&mut self.counted, row);
            if link.fees.are_due() {
                link.fees.settle(now, self.core.tolls(link.path));
            }
        }
    }

    /// The same of a path that is gone.
    pub(super) fn end_fees(&mut self, now: Instant, link: &mut Link) {
        if let Some(tally) = self.core.tally(link.path)
            && let Some(row) = link.fees.count(tally)
        {
            note(&mut self.counted, row);
        }
        let mut tolls = self.core.last_tolls(link.path);
        link.fees.settle(now, &mut tolls);
    }
}

/// What changed is to be published once the lock is free, where that is of use.
fn note(counted: &mut Vec<Arc<Row>>, row: &Arc<Row>) {
    if cfg!(feature = "metrics") && !counted.iter().any(|known| Arc::ptr_eq(known, row)) {
        counted.push(Arc::clone(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_limit_neither_takes_nor_settles() {
        let mut fees = Fees::default();
        assert!(!fees.are_due());
        let before = Toll {
            room: 5,
            ..Toll::default()
        };
        let mut tolls = [before];
        fees.take(Instant::now(), &mut tolls);
        fees.settle(Instant::now(), &mut tolls);
        assert_eq!(tolls[0].room, 5, "nobody's purse is asked");
    }
}
