//! What both ends of a session's path must allow.

use super::{Destination, Policy, Rule, admit, rank};
use crate::label::{Label, Level, Prop, Props};
use crate::network::{Fact, Kind, Kinds, Network};

/// What is known of a network at the far end of a path, and what is told of ours: no names, no
/// addresses. By default everything is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PathFacts {
    /// Its kinds; empty if not told.
    pub kinds: Kinds,
    /// Whether its bytes cost money.
    pub metered: Fact,
    /// Whether it is a foreign operator's.
    pub roaming: Fact,
    /// Whether its owner asks for restraint.
    pub constrained: Fact,
}

impl PathFacts {
    /// What is told of this network.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        Self {
            kinds: network.kinds(),
            metered: network.metered(),
            roaming: network.roaming(),
            constrained: network.constrained(),
        }
    }

    /// Whether nothing in it lies beyond this host.
    fn is_host(&self) -> bool {
        self.kinds.without(Kind::Loopback).is_empty()
    }

    fn fact(&self, prop: Prop) -> Fact {
        match prop {
            Prop::Metered => self.metered,
            Prop::Roaming => self.roaming,
            Prop::Constrained => self.constrained,
            Prop::Validated | Prop::Ipv4 | Prop::Ipv6 => Fact::Unknown,
            _ if self.kinds.is_empty() => Fact::Unknown,
            kind => kind
                .kind()
                .is_some_and(|kind| self.kinds.contains(kind))
                .into(),
        }
    }

    /// Whether the far end's facts forbid the label, as far as they are told of: kinds, metered,
    /// roaming, constrained.
    fn forbids(&self, label: &Label, policy: &Policy) -> bool {
        let holds = |prop: Prop| self.fact(prop).known() == Some(true);
        let told = |rule: &&Rule| !rule.names_interfaces() && rule.on().without(TOLD).is_empty();
        let mut rules = policy.rules.iter().filter(told);
        label.prohibited().intersection(TOLD).iter().any(holds)
            || rules.any(|rule| rule.concerns(label) && rule.on().iter().all(holds))
    }
}

/// What a path's opening carries.
const TOLD: Props = Props::KINDS
    .with(Prop::Metered)
    .with(Prop::Roaming)
    .with(Prop::Constrained);

/// Whether bytes of this label may travel on a path, by the hard restrictions alone.
///
/// - What the label prohibits must be true of neither end's network.
/// - A required kind must be among the dialler's, for it chose the network; so must required
///   traits and the interface, which only the dialler itself can tell.
/// - `local` is `None` where no network is used, or ours is not known. If the far end tells of
///   none beyond loopback either, the path does not leave this host, and only
///   `prohibit=loopback` refuses it.
/// - No [`Rule`] of the policy may forbid it, on our network or on the far end's; a rule that asks
///   what the far end never tells (an interface, a family, `validated`) is about ours alone.
/// - What nobody knows of our network counts as in [`Policy`]. What the far end does not tell is
///   allowed under every policy: `unknown_denied` is about networks that we choose, and a peer that is
///   anonymous, or does not know either, could otherwise never be spoken to.
///
/// State, routes and VPNs are not asked: a path that works, works.
#[must_use]
pub fn permits(
    label: &Label,
    local: Option<&Network>,
    remote: &PathFacts,
    local_is_dialler: bool,
    policy: &Policy,
) -> bool {
    let local = local.filter(|network| network.kind() != Kind::Loopback);
    if local.is_none() && remote.is_host() {
        return label.level(Prop::Loopback) != Level::Prohibit;
    }
    if remote.forbids(label, policy) {
        return false;
    }
    if let Some(network) = local
        && !suits(label, network, local_is_dialler, policy)
    {
        return false;
    }
    local_is_dialler || has_required_kind(label, remote)
}

/// Whether our own network allows the label; what is required is asked of it only if we dialled.
fn suits(label: &Label, network: &Network, is_dialler: bool, policy: &Policy) -> bool {
    let holds = |prop: Prop| policy.count(prop, admit::fact(network, prop));
    let forbids =
        |rule: &Rule| rule.concerns(label) && rule.covers(network) && rule.on().iter().all(holds);
    if label.prohibited().iter().any(holds) || policy.rules.iter().any(forbids) {
        return false;
    }
    if !is_dialler {
        return true;
    }
    let kinds = label.required().kinds();
    (kinds.is_empty() || network.kinds().intersects(kinds))
        && label.required().traits().all(holds)
        && label
            .interface_name()
            .is_none_or(|name| name == network.name())
}

fn has_required_kind(label: &Label, dialler: &PathFacts) -> bool {
    let required = label.required().kinds();
    required.is_empty() || dialler.kinds.is_empty() || dialler.kinds.intersects(required)
}

/// The place of an open path for a label: of two paths, the one of the lesser number carries it as long
/// as it is trusted, and equal ones carry it together.
///
/// It is made of the axes of [`RankKey`](super::RankKey) that make a class, in their order: health, about
/// to go, the place of the preferred property, how many are lacking, how many avoided ones it has, too
/// slow, cost. Routes do not count any more, for the path is there. The dialler's network decides at both
/// ends: its own facts at the dialler, what it tells at the listener (nothing of health or speed then).
/// Counts beyond 7 are 7.
#[must_use]
pub fn path_class(
    label: &Label,
    local: Option<&Network>,
    remote: &PathFacts,
    local_is_dialler: bool,
    policy: &Policy,
) -> u16 {
    let Some(network) = local.filter(|_| local_is_dialler) else {
        let told = |prop: Prop| remote.fact(prop).known() == Some(true);
        return axes((0, false), false, label, told);
    };
    let key = rank(network, label, &Destination::Unnamed, policy);
    let holds = |prop: Prop| policy.count(prop, admit::fact(network, prop));
    axes((key.health, key.losing), key.floor, label, holds)
}

fn axes(
    (health, losing): (u8, bool),
    floor: bool,
    label: &Label,
    holds: impl Fn(Prop) -> bool,
) -> u16 {
    let prefers = || label.prefers();
    let place = prefers().position(&holds).unwrap_or(prefers().count());
    let unmet = prefers().filter(|prop| !holds(*prop)).count();
    let avoids = label.avoided().iter().filter(|prop| holds(*prop)).count();
    let costs = [
        (Prop::Roaming, 4),
        (Prop::Metered, 2),
        (Prop::Constrained, 1),
    ];
    let costs = costs.into_iter().filter(|(prop, _)| holds(*prop));
    let cost: u16 = match label.ignores_cost() {
        true => 0,
        false => costs.map(|(_, weight)| weight).sum(),
    };
    let three_bits = |count: usize| count.min(7) as u16;
    let mut class = u16::from(health.min(3));
    class = class << 1 | u16::from(losing);
    class = class << 3 | three_bits(place);
    class = class << 3 | three_bits(unmet);
    class = class << 3 | three_bits(avoids);
    class = class << 1 | u16::from(floor);
    class << 3 | cost
}
