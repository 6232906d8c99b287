//! What networks have from each other: a bridge, a bond or a VLAN from the devices below it, a VPN
//! from the network that carries it.
//!
//! ```text
//! own kind ─▶ hearsay ─▶ the worst of below, or of the carrier ─▶ (overrides, by the caller)
//!                             ▲ each with its own override in it
//! ```
//!
//! Of what a device is told itself and what it inherits the worse holds, and both are noted, the one
//! that holds first. What nobody said of one says nothing against the other.

use super::kinds::{Lowers, Own, own};
use super::tables::Tables;
use crate::network::{Aspect, Fact, Kind, Kinds, NetworkSpec, Route, State};
use crate::scout::hearsay::Hearsay;
use crate::scout::overrides::{Facts, Overrides};
use crate::scout::sysfs::Sysfs;
use std::collections::{BTreeMap, BTreeSet};

/// Bonds of bridges of VLANs are followed so deep.
const DEPTH: u32 = 8;
pub(super) const NETLINK: &str = "netlink";
const SYSFS: &str = "sysfs";
const LOWER: &str = "lower device";
const CARRIER: &str = "carrier";

/// All networks, by index, and who knows more of them.
pub(super) struct Family<'a> {
    pub(super) tables: &'a Tables,
    pub(super) overrides: &'a Overrides,
    pub(super) hearsay: &'a Hearsay,
    pub(super) sysfs: &'a mut Sysfs,
    pub(super) all: BTreeMap<u32, NetworkSpec>,
}

impl Family<'_> {
    /// Gives every network its kinds, what is said of it, and what it inherits.
    pub(super) fn settle(&mut self) {
        let lowers = Lowers::new(self.tables);
        let mut settled = BTreeSet::new();
        for index in self.tables.links.keys() {
            self.settle_one(*index, DEPTH, &lowers, &mut settled);
        }
        self.carry();
    }

    /// One network, after those below it; a ring ends where it began.
    fn settle_one(
        &mut self,
        index: u32,
        depth: u32,
        lowers: &Lowers<'_>,
        settled: &mut BTreeSet<u32>,
    ) {
        let (Some(link), Some(depth)) = (self.tables.links.get(&index), depth.checked_sub(1))
        else {
            return;
        };
        if !settled.insert(index) {
            return;
        }
        let below = lowers.of(index);
        for lower in &below {
            self.settle_one(*lower, depth, lowers, settled);
        }
        let kinds = below.iter().filter_map(|lower| self.all.get(lower));
        let kinds = kinds.fold(Kinds::EMPTY, |all, spec| all | spec.kinds);
        let traits = below.iter().filter_map(|lower| self.traits(*lower));
        let worst = traits.reduce(Traits::worse);
        let own = own(self.sysfs, self.tables, link);
        let Some(spec) = self.all.get_mut(&index) else {
            return;
        };
        be(own, kinds, spec);
        self.hearsay.apply(index, &link.facts.hardware, spec);
        // What lies above sees what is stated; it is noted when the overrides are applied.
        let stated = self.overrides.facts(&spec.name);
        if let Some(kind) = stated.and_then(|facts| facts.kind) {
            spec.kinds = Kinds::of(kind);
        }
        if let Some(worst) = worst {
            worst.lend(spec, LOWER);
        }
    }

    /// What others have from this network.
    fn traits(&self, index: u32) -> Option<Traits> {
        let spec = self.all.get(&index)?;
        Some(Traits::of(spec).over(self.overrides.facts(&spec.name)))
    }

    /// A VPN has the kinds and the costs of the network that carries it: the one that the kernel
    /// would use if there were no VPN.
    fn carry(&mut self) {
        let mut choices: Vec<_> = self
            .all
            .iter()
            .filter(|(_, spec)| is_physical(spec))
            .filter_map(|(index, spec)| preference(spec).map(|p| (p, *index)))
            .collect();
        choices.sort_unstable();
        let carrier = match choices.as_slice() {
            [] => return,
            // Two that the kernel would not tell apart: it is not known.
            [(one, _), (two, _), ..] if one == two => return,
            [(_, carrier), ..] => *carrier,
        };
        let Some(traits) = self.traits(carrier) else {
            return;
        };
        let kinds = self.all[&carrier].kinds.without(Kind::Other);
        for spec in self.all.values_mut() {
            if spec.kinds.contains(Kind::Vpn) {
                spec.kinds = spec.kinds | kinds;
                spec.notes.said(Aspect::Kind, CARRIER);
                traits.lend(spec, CARRIER);
            }
        }
    }
}

fn be(own: Own, below: Kinds, spec: &mut NetworkSpec) {
    let (kinds, sources): (_, &[&'static str]) = match own {
        Own::Told(kind) => (kind.into(), &[NETLINK]),
        Own::Radio(kind) => (kind.into(), &[SYSFS, NETLINK]),
        Own::Below(unknown) if below.is_empty() => (unknown.into(), &[NETLINK]),
        Own::Below(_) => (below, &[LOWER]),
    };
    spec.kinds = kinds;
    for source in sources {
        spec.notes.said(Aspect::Kind, *source);
    }
}

fn is_physical(spec: &NetworkSpec) -> bool {
    let reached = spec.kinds.contains(Kind::Vpn) || spec.kinds.contains(Kind::Loopback);
    spec.state == State::Up && !reached
}

/// The place of its best default route in the kernel's order.
fn preference(spec: &NetworkSpec) -> Option<(u32, u32)> {
    let chosen = |r: &&Route| r.is_default_like() && r.rank != Route::UNRANKED;
    let defaults = spec.routes.iter().filter(chosen);
    defaults.map(|r| (r.rank, r.metric)).min()
}

/// The facts that a network has from another one.
#[derive(Debug, Clone, Copy)]
struct Traits([Fact; 3]);

impl Traits {
    fn of(spec: &NetworkSpec) -> Self {
        Traits([spec.metered, spec.roaming, spec.constrained])
    }

    fn over(self, facts: Option<&Facts>) -> Self {
        let Some(facts) = facts else {
            return self;
        };
        let stated = [facts.metered, facts.roaming, facts.constrained];
        let mut traits = self;
        for (fact, stated) in traits.0.iter_mut().zip(stated) {
            *fact = stated.map_or(*fact, Fact::from);
        }
        traits
    }

    fn worse(self, other: Self) -> Self {
        let mut worse = self;
        for (fact, other) in worse.0.iter_mut().zip(other.0) {
            *fact = fact.worst(other);
        }
        worse
    }

    /// Lets `spec` have these where nobody said worse of it.
    fn lend(self, spec: &mut NetworkSpec, source: &'static str) {
        let [metered, roaming, constrained] = self.0;
        let facts = [
            (Aspect::Metered, metered, &mut spec.metered),
            (Aspect::Roaming, roaming, &mut spec.roaming),
            (Aspect::Constrained, constrained, &mut spec.constrained),
        ];
        for (aspect, value, fact) in facts {
            if value == Fact::Unknown {
                continue;
            }
            if *fact == Fact::Unknown || value > *fact {
                *fact = value;
                spec.notes.won(aspect, source);
            } else {
                spec.notes.said(aspect, source);
            }
        }
    }
}
