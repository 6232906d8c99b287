//! The smallest change that would give a match.
//!
//! Each network is asked what it would take: what of the network would have to change, and, for
//! what a network never changes, which words of the label stand in the way. With those words gone
//! the network is judged again, for a label without them may meet other rules. The cheapest of
//! all is told; among equals, that of the network nearest to working.

use super::admit::{View, fact};
use super::reach::family;
use super::reason::{Alternatives, essential};
use super::{Blocked, Destination, Reach, Reason, Refusal};
use crate::label::{Label, Level, Prop, Props, Scope};
use crate::network::{Fact, Kind, Network, Snapshot, State};

/// A word of the label.
const WORD: u32 = 32;
/// The word that says which networks are meant at all.
const MEANT: u32 = 128;
/// What takes an administrator.
const ADMIN: u32 = 256;

/// What it would take for one network to match.
pub(super) struct Change<'a> {
    pub(super) refusal: &'a Refusal,
    /// The label as it would have to be.
    pub(super) label: Label,
    /// Words the label would have to lose, and those it would have to gain.
    without: Vec<String>,
    with: Vec<&'static str>,
    /// What stands against the network under that label, and would have to go.
    pub(super) reasons: Vec<Reason>,
    weight: u32,
}

/// The hint in one line.
pub(super) fn of(blocked: &Blocked) -> String {
    match blocked.reasons.first() {
        Some(Reason::Prohibited { prop, .. }) => {
            return format!("this host itself is prohibited: drop prohibit={prop}");
        }
        Some(reason) => return reason.to_string(),
        None => {}
    }
    let required = blocked.label.required().kinds();
    let interface = blocked.label.interface_name();
    let needs = match interface {
        _ if !required.is_empty() => format!("needs {}; ", Alternatives(required)),
        Some(name) => format!("needs {name}; "),
        None => String::new(),
    };
    let is_meant = |network: &Network| match required.is_empty() {
        false => network.kinds().intersects(required),
        true => interface.is_none_or(|name| name == network.name()),
    };
    let exists = blocked.networks.iter().any(|r| is_meant(&r.network));
    match smallest(blocked) {
        Some(change) if exists => format!("{needs}{}", change.told()),
        Some(change) => format!("{needs}there is none; {}", change.told()),
        None if blocked.networks.is_empty() => format!("{needs}there is no network"),
        None if exists => format!("{needs}there is no network beyond this host"),
        None => format!("{needs}there is none"),
    }
}

/// The cheapest change; `None` where none would help.
pub(super) fn smallest(blocked: &Blocked) -> Option<Change<'_>> {
    let networks = blocked.networks.iter().map(|r| r.network.clone()).collect();
    let snapshot = Snapshot::new(blocked.generation, true, networks);
    let to = &blocked.destination;
    let mut view = View::new(&snapshot, &blocked.label, to, &blocked.policy);
    let changes = blocked.networks.iter();
    changes
        .filter_map(|refusal| Change::of(refusal, blocked, &mut view))
        .min_by_key(|change| (change.weight, change.distance()))
}

impl<'a> Change<'a> {
    fn of(refusal: &'a Refusal, blocked: &Blocked, view: &mut View<'_>) -> Option<Self> {
        let mut change = Change {
            refusal,
            label: blocked.label,
            without: Vec::new(),
            with: Vec::new(),
            reasons: Vec::new(),
            weight: 0,
        };
        change.meet(&blocked.destination);
        // Ends, for each turn takes a word from the label or gives it one that it keeps.
        loop {
            view.label = change.label;
            change.reasons = view.admit(&refusal.network).reasons;
            for reason in change.against() {
                change.relabel(&reason, &blocked.destination)?;
            }
            if change.label == view.label {
                break;
            }
        }
        // What is not told of a network that is down is missing all the same.
        let weights = change.reasons.iter().map(|reason| change.weigh(reason));
        change.weight += weights.sum::<u32>();
        Some(change)
    }

    /// How much must change of the network for a reason to go: one that is down may come up by
    /// itself, and most often a route comes with the link or the address; a bridge never becomes a
    /// way to the internet.
    fn weigh(&self, reason: &Reason) -> u32 {
        let network = &self.refusal.network;
        match reason {
            Reason::Down if network.why_down().iter().any(|why| why == "no carrier") => 2,
            Reason::Dormant => 2,
            Reason::Suspended | Reason::Down => 1,
            Reason::Portal => 2,
            Reason::NoRoute(_) if leads_nowhere(network) => MEANT,
            Reason::NoRoute(_) if self.lacks_more_than_routes() => 1,
            Reason::NoRoute(_) | Reason::NoAddress | Reason::NoFamily { .. } => 3,
            Reason::Missing { .. } | Reason::Spent { .. } => 4,
            _ => ADMIN,
        }
    }

    fn lacks_more_than_routes(&self) -> bool {
        let more = |reason: &Reason| {
            matches!(
                reason,
                Reason::Down | Reason::Dormant | Reason::NoAddress | Reason::NoFamily { .. }
            )
        };
        self.reasons.iter().any(more)
    }

    /// How far the network is from working, among those for which as much must change: how little
    /// it is what is preferred, then without carrier, then without address.
    fn distance(&self) -> impl Ord + use<> {
        let network = &self.refusal.network;
        let holds = |prop| fact(network, prop).known() == Some(true);
        let wanted = self.label.prefers().position(holds);
        let carrier = match network.carrier() {
            _ if network.state() == State::Up => 0,
            Fact::Yes | Fact::LikelyYes => 0,
            Fact::Unknown => 1,
            Fact::LikelyNo | Fact::No => 2,
        };
        let no_address = network.addresses().is_empty();
        (wanted.unwrap_or(usize::MAX), carrier, no_address)
    }

    /// What would have to go, without what goes when the network comes up. A bridge that comes up
    /// leads nowhere still.
    fn against(&self) -> Vec<Reason> {
        match leads_nowhere(&self.refusal.network) {
            true => self.reasons.clone(),
            false => essential(&self.reasons).cloned().collect(),
        }
    }

    /// Lifts what would leave no address family to reach the destination by.
    fn meet(&mut self, to: &Destination) {
        let needed: Props = match to {
            Destination::Addresses(all) => all.iter().copied().map(family).collect(),
            _ => [Prop::Ipv4, Prop::Ipv6].into_iter().collect(),
        };
        if needed.without(self.label.prohibited()).is_empty() {
            needed.iter().for_each(|family| self.permit(family));
        }
    }

    fn permit(&mut self, prop: Prop) {
        self.label.prohibit = self.label.prohibit.without(Props::of(prop));
        self.lose(format!("prohibit={prop}"), WORD);
    }

    /// Changes the label where it, and not the network, is what a reason is about; `None` where
    /// neither can help.
    fn relabel(&mut self, reason: &Reason, to: &Destination) -> Option<()> {
        let label = &mut self.label;
        match reason {
            Reason::Loopback => return None,
            Reason::Prohibited { prop, .. } => self.permit(*prop),
            Reason::Missing { prop, .. } if !may_come(*prop) => {
                label.require = label.require.without(Props::of(*prop));
                self.lose(format!("require={prop}"), WORD);
            }
            Reason::Kind { required, .. } => {
                label.require = label.require.without(Props::KINDS);
                self.lose(format!("require={required}"), MEANT);
            }
            Reason::Interface { required } => {
                *label = label.without_interface();
                self.lose(format!("if={required}"), MEANT);
            }
            Reason::BeyondHost => {
                label.scope = Scope::Auto;
                self.lose("scope=host".into(), WORD);
            }
            // What is elsewhere does not come to this link.
            Reason::NoRoute(Reach::Link) if matches!(to, Destination::Addresses(_)) => {
                label.scope = Scope::Auto;
                self.lose("scope=local".into(), WORD);
            }
            Reason::BypassesVpn { .. } => {
                *label = label.bypass_vpn();
                self.with.push("vpn=bypass");
                self.weight += WORD;
            }
            Reason::Satellite => {
                label.avoid = label.avoid.without(Props::of(Prop::Satellite));
                *label = label.at_level(Prop::Satellite, Level::Prefer).ok()?;
                self.with.push("prefer=satellite");
                self.weight += WORD;
            }
            _ => {}
        }
        Some(())
    }

    fn lose(&mut self, word: String, weight: u32) {
        self.without.push(word);
        self.weight += weight;
    }

    /// `wlan0 exists but is down`, `wwan0 would do without prohibit=metered`.
    fn told(&self) -> String {
        let name = self.refusal.network.name();
        let (mut without, mut reasons) = (self.without.clone(), Vec::new());
        for reason in self.against() {
            match reason {
                Reason::Policy {
                    rule, file, line, ..
                } => without.push(format!("the rule `{rule}` ({file}:{line})")),
                Reason::Down => {
                    let why = self.refusal.network.why_down().first();
                    let why = why.map_or_else(String::new, |why| format!(": {why}"));
                    reasons.push(format!("{reason}{why}"));
                }
                reason => reasons.push(reason.to_string()),
            }
        }
        let reasons = reasons.join(" and ");
        let terms = [
            ("without", without.join(" and ")),
            ("with", self.with.join(" ")),
        ];
        let terms = terms.iter().filter(|(_, words)| !words.is_empty());
        let terms: Vec<String> = terms.map(|(how, words)| format!("{how} {words}")).collect();
        match (terms.is_empty(), reasons.is_empty()) {
            (true, _) => format!("{name} exists but {reasons}"),
            (false, true) => format!("{name} would do {}", terms.join(" and ")),
            (false, false) => format!("{name} would do {}, but {reasons}", terms.join(" and ")),
        }
    }
}

/// Whether a network may come to have it.
fn may_come(prop: Prop) -> bool {
    matches!(prop, Prop::Validated | Prop::Ipv4 | Prop::Ipv6)
}

/// A bridge, or another link of no physical kind.
fn leads_nowhere(network: &Network) -> bool {
    network.kinds().without(Kind::Other).is_empty()
}
