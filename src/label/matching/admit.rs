//! The hard filter; its rules are in the essay of [`super`].

use std::net::IpAddr;
use std::sync::Arc;

use super::{Assumption, Destination, Policy, Reach, Reason, Rule, Standing, names};
use crate::label::{Label, Level, Prop, Scope, Size, Urgency};
use crate::network::{
    Binding, Choice, Fact, Family, Health, Kind, Kinds, Network, NetworkId, Route, Snapshot, State,
    is_link_local,
};

/// The verdict over one network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Admission {
    /// Everything that fails; empty if the network is admitted.
    pub reasons: Vec<Reason>,
    /// What the verdict takes for granted.
    pub assumptions: Vec<Assumption>,
}

impl Admission {
    /// Whether nothing fails.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Whether one network of the snapshot serves this label and destination, with every reason.
///
/// The snapshot is asked for the kernel's own route choice. A destination of this host is
/// admitted on every network, for none is used.
#[must_use]
pub fn admit(
    snapshot: &Snapshot,
    network: &Network,
    label: &Label,
    to: &Destination,
    policy: &Policy,
) -> Admission {
    if to.is_host() {
        let reasons = match super::host_scope_admits(label) {
            Ok(()) => Vec::new(),
            Err(blocked) => blocked.reasons,
        };
        return Admission {
            reasons,
            ..Admission::default()
        };
    }
    let mut admission = View::new(snapshot, label, to, policy).admit(network);
    if !snapshot.is_complete() {
        admission.reasons.insert(0, Reason::ScoutStarting);
    }
    admission
}

/// What is the same for every network of one question.
pub(super) struct View<'a> {
    snapshot: &'a Snapshot,
    label: &'a Label,
    to: &'a Destination,
    policy: &'a Policy,
    /// The kernel's own choice among default routes, IPv4 and IPv6.
    defaults: [Option<&'a Network>; 2],
    /// Each address and the kernel's own choice for it.
    targets: Vec<(IpAddr, Option<&'a Network>)>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        label: &'a Label,
        to: &'a Destination,
        policy: &'a Policy,
    ) -> Self {
        let targets: &[IpAddr] = match to {
            Destination::Addresses(all) => all,
            _ => &[],
        };
        let choose = |ip: &IpAddr| (*ip, Choice::To(*ip).among(snapshot));
        Self {
            snapshot,
            label,
            to,
            policy,
            defaults: Family::BOTH.map(|family| Choice::Default(family).among(snapshot)),
            targets: targets.iter().map(choose).collect(),
        }
    }

    pub(super) fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The kernel's own choices: all that one network's verdict takes from the others.
    pub(super) fn choices(&self) -> impl Iterator<Item = Option<(NetworkId, bool)>> {
        let targets = self.targets.iter().map(|(_, choice)| choice);
        self.defaults
            .iter()
            .chain(targets)
            .map(|choice| choice.map(|network| (network.id(), network.kinds().contains(Kind::Vpn))))
    }

    pub(super) fn standing(&self, network: Option<&Network>) -> Standing {
        let Some(network) = network else {
            return Standing::Absent;
        };
        match self.admit(network).reasons {
            none if none.is_empty() => Standing::Admitted,
            reasons => Standing::Refused(reasons),
        }
    }

    pub(super) fn admit(&self, network: &Network) -> Admission {
        let mut out = Admission::default();
        match network.state() {
            State::Up => {}
            State::Suspended => out.reasons.push(Reason::Suspended),
            State::Dormant => out.reasons.push(Reason::Dormant),
            State::Down => out.reasons.push(Reason::Down),
        }
        out.reasons.extend(self.reach(network));
        self.properties(network, &mut out);
        out
    }

    /// Reasons that depend on the destination. Of several addresses one is enough, so the list
    /// is that of the address that lacks least.
    fn reach(&self, network: &Network) -> Vec<Reason> {
        if self.targets.is_empty() {
            return self.reach_unaddressed(network);
        }
        let mut least: Option<Vec<Reason>> = None;
        for (ip, choice) in &self.targets {
            let reasons = self.reach_address(network, *ip, *choice);
            if reasons.is_empty() {
                return reasons;
            }
            if least.as_ref().is_none_or(|l| reasons.len() < l.len()) {
                least = Some(reasons);
            }
        }
        least.unwrap_or_default()
    }

    fn reach_address(
        &self,
        network: &Network,
        ip: IpAddr,
        choice: Option<&Network>,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let scope = self.label.scoped();
        let route = |wanted: &dyn Fn(&Route) -> bool| network.routes().iter().any(wanted);
        let on_link = route(&|r| is_link(r) && r.covers(ip)) || {
            let unknown = |a: &crate::network::Address| a.ip.is_unspecified();
            scope == Scope::Local
                && network.addresses().iter().any(unknown)
                && route(&|r| r.covers(ip))
        };
        match scope {
            Scope::Host => reasons.push(Reason::BeyondHost),
            Scope::Local if !on_link => reasons.push(Reason::NoRoute(Reach::Link)),
            _ if !route(&|r| r.covers(ip)) => reasons.push(Reason::NoRoute(Reach::Destination)),
            _ => {}
        }
        if scope == Scope::Internet && !route(&Route::is_default_like) {
            reasons.push(Reason::NoRoute(Reach::Default));
        }
        if network.health() == Health::Portal && !on_link && scope != Scope::Local {
            reasons.push(Reason::Portal);
        }
        if self.is_gated(network) {
            reasons.push(Reason::Loopback);
        }
        let local = scope == Scope::Local || is_link_local(ip);
        let counts = |a: &IpAddr| local || !is_link_local(*a);
        let mut usable = network.addresses().iter().map(|a| a.ip).filter(counts);
        if usable.clone().next().is_none() {
            reasons.push(Reason::NoAddress);
        } else if !usable.any(|a| Family::of(a) == Family::of(ip)) {
            reasons.push(Reason::NoFamily { v6: ip.is_ipv6() });
        }
        self.vpn(network, &[choice], &mut reasons);
        self.binding(network, &[choice], &mut reasons);
        reasons
    }

    fn reach_unaddressed(&self, network: &Network) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let routes = network.routes();
        let scope = self.label.scoped();
        let named = self.label.interface_name().is_some() || network.kind() == Kind::Loopback;
        let has_default = routes.iter().any(Route::is_default_like);
        match scope {
            Scope::Host if network.kind() != Kind::Loopback => reasons.push(Reason::BeyondHost),
            Scope::Host => {}
            Scope::Local if !has_link(network) => reasons.push(Reason::NoRoute(Reach::Link)),
            Scope::Local => {}
            Scope::Internet if !has_default => reasons.push(Reason::NoRoute(Reach::Default)),
            Scope::Internet => {}
            Scope::Auto if named => {}
            Scope::Auto if *self.to == Destination::Name => {
                if !may_know_names(network) {
                    reasons.push(Reason::NoRoute(Reach::Any));
                }
            }
            Scope::Auto if !has_default => reasons.push(Reason::NoRoute(Reach::Default)),
            Scope::Auto => {}
        }
        let internet = match scope {
            Scope::Auto => !named || *self.to == Destination::Name,
            Scope::Internet => true,
            Scope::Host | Scope::Local => false,
        };
        if internet && network.health() == Health::Portal {
            reasons.push(Reason::Portal);
        }
        if self.is_gated(network) {
            reasons.push(Reason::Loopback);
        }
        let counts = |a: IpAddr| scope == Scope::Local || !is_link_local(a);
        if !network.addresses().iter().any(|a| counts(a.ip)) {
            reasons.push(Reason::NoAddress);
        }
        if matches!(scope, Scope::Auto | Scope::Internet) {
            self.vpn(network, &self.defaults, &mut reasons);
            self.binding(network, &self.defaults, &mut reasons);
        } else {
            self.binding(network, &[], &mut reasons);
        }
        reasons
    }

    /// Loopback serves nobody who does not name it.
    fn is_gated(&self, network: &Network) -> bool {
        network.kind() == Kind::Loopback
            && self.label.scoped() != Scope::Host
            && !names(self.label, network, Prop::Loopback)
    }

    /// Where the kernel would choose a VPN, nothing but that VPN.
    fn vpn(&self, network: &Network, choices: &[Option<&Network>], reasons: &mut Vec<Reason>) {
        if self.label.bypasses_vpn() || network.bypasses_vpn() || network.kind() == Kind::Loopback {
            return;
        }
        let mut choices = choices.iter().flatten();
        if choices.clone().any(|choice| choice.id() == network.id()) {
            return;
        }
        if let Some(vpn) = choices.find(|choice| choice.kinds().contains(Kind::Vpn)) {
            reasons.push(Reason::BypassesVpn {
                vpn: vpn.name().into(),
            });
        }
    }

    /// What cannot be bound must be the kernel's own choice; no choice at all is no objection.
    fn binding(&self, network: &Network, choices: &[Option<&Network>], reasons: &mut Vec<Reason>) {
        let why: Arc<str> = match network.binding() {
            Binding::Device | Binding::Address | Binding::Detached => return,
            Binding::Refused(why) => why.clone(),
            Binding::Unbound => {
                let mut choices = choices.iter().flatten().peekable();
                if choices.peek().is_none() || choices.any(|choice| choice.id() == network.id()) {
                    return;
                }
                "the kernel would choose another network".into()
            }
        };
        reasons.push(Reason::Unbindable { why });
    }

    fn properties(&self, network: &Network, out: &mut Admission) {
        let (label, kinds) = (self.label, network.kinds());
        for prop in label.prohibited().iter() {
            let fact = fact(network, prop);
            if self.count(prop, fact, out) {
                out.reasons.push(Reason::Prohibited { prop, fact });
            }
        }
        if refuses_satellite(label) && is_unnamed_satellite(label, network) {
            out.reasons.push(Reason::Satellite);
        }
        self.rules(network, out);
        let required = label.required().kinds();
        if !required.is_empty() && !kinds.intersects(required) {
            out.reasons.push(Reason::Kind {
                required,
                has: kinds,
            });
        }
        for prop in label.required().traits() {
            let fact = fact(network, prop);
            if !self.count(prop, fact, out) {
                out.reasons.push(Reason::Missing { prop, fact });
            }
        }
        if let Some(required) = label.interface_name()
            && required != network.name()
        {
            let required = required.into();
            out.reasons.push(Reason::Interface { required });
        }
    }

    /// Each rule of the policy that forbids this traffic here.
    fn rules(&self, network: &Network, out: &mut Admission) {
        let concerns = |rule: &&Rule| rule.concerns(self.label) && rule.covers(network);
        for rule in self.policy.rules.iter().filter(concerns) {
            let facts = || rule.on().iter().map(|prop| (prop, fact(network, prop)));
            let spared =
                |(prop, fact): (Prop, Fact)| fact.is_certain() && !self.policy.count(prop, fact);
            if facts().any(spared) {
                continue;
            }
            let unmet = facts().filter(|(prop, fact)| !self.count(*prop, *fact, out));
            if unmet.count() == 0 {
                out.reasons.push(rule.reason());
            }
        }
    }

    /// A fact as yes or no, listed once if it is taken for granted.
    fn count(&self, prop: Prop, fact: Fact, out: &mut Admission) -> bool {
        let taken = self.policy.count(prop, fact);
        if !fact.is_certain() && !out.assumptions.iter().any(|known| known.prop == prop) {
            out.assumptions.push(Assumption { prop, fact, taken });
        }
        taken
    }
}

/// What is known of one property of a network.
pub(super) fn fact(network: &Network, prop: Prop) -> Fact {
    let has = |family| {
        let mut addresses = network.addresses().iter();
        addresses.any(|a| Family::of(a.ip) == family).into()
    };
    match prop {
        Prop::Metered => network.metered(),
        Prop::Roaming => network.roaming(),
        Prop::Constrained => network.constrained(),
        Prop::Validated => match network.health() {
            Health::Full => Fact::Yes,
            Health::Unknown => Fact::Unknown,
            Health::Limited | Health::Portal | Health::None => Fact::No,
        },
        Prop::Ipv4 => has(Family::V4),
        Prop::Ipv6 => has(Family::V6),
        kind => kind
            .kind()
            .is_some_and(|kind| network.kinds().contains(kind))
            .into(),
    }
}

/// A route that shows a link, rather than a point-to-point way to everywhere.
fn is_link(route: &Route) -> bool {
    route.connected && !route.is_default_like()
}

fn has_link(network: &Network) -> bool {
    network.routes().iter().any(is_link)
        || network.addresses().iter().any(|a| a.ip.is_unspecified())
}

/// Whether a name may resolve and lead through this network, as far as its routes can tell.
fn may_know_names(network: &Network) -> bool {
    let virtual_only = network.kinds().without(Kind::Other).is_empty();
    network.routes().iter().any(|route| {
        !is_link(route) || !virtual_only || network.dns().iter().any(|ip| route.covers(*ip))
    })
}

fn refuses_satellite(label: &Label) -> bool {
    label.urgency() == Urgency::Background || label.size() == Size::Large
}

fn is_unnamed_satellite(label: &Label, network: &Network) -> bool {
    network.kinds().intersects(Kinds::of(Kind::Satellite))
        && !names(label, network, Prop::Satellite)
        && label.level(Prop::Satellite) != Level::Prohibit
}
