//! The hard filter; its rules are in the essay of [`super`].

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::{Assumption, Destination, Policy, Reason, Standing, names};
use crate::label::{Label, Level, Prop, Size, Urgency};
use crate::network::{
    Choice, Fact, Family, Health, Kind, Kinds, Network, NetworkId, Snapshot, State,
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

/// What a look at a network makes of an objection: the rules are one, whoever asks.
pub(super) trait Findings: Default {
    /// Breaks off where no more need be known.
    fn object(&mut self, reason: impl FnOnce() -> Reason) -> ControlFlow<()>;

    /// Something uncertain was counted.
    fn assume(&mut self, assumption: Assumption);

    /// How many objections there are.
    fn objections(&self) -> usize;

    /// Takes over the objections of another look.
    fn join(&mut self, other: Self) -> ControlFlow<()>;
}

/// Everything is collected.
impl Findings for Admission {
    fn object(&mut self, reason: impl FnOnce() -> Reason) -> ControlFlow<()> {
        self.reasons.push(reason());
        ControlFlow::Continue(())
    }

    fn assume(&mut self, assumption: Assumption) {
        if !self.assumptions.contains(&assumption) {
            self.assumptions.push(assumption);
        }
    }

    fn objections(&self) -> usize {
        self.reasons.len()
    }

    fn join(&mut self, other: Self) -> ControlFlow<()> {
        self.reasons.extend(other.reasons);
        ControlFlow::Continue(())
    }
}

/// Whether there is any objection: the first one settles it.
#[derive(Default)]
struct Any(bool);

impl Findings for Any {
    fn object(&mut self, _: impl FnOnce() -> Reason) -> ControlFlow<()> {
        self.0 = true;
        ControlFlow::Break(())
    }

    fn assume(&mut self, _: Assumption) {}

    fn objections(&self) -> usize {
        usize::from(self.0)
    }

    fn join(&mut self, other: Self) -> ControlFlow<()> {
        self.0 |= other.0;
        match self.0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// What is the same for every network of one question.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) label: Label,
    pub(super) to: &'a Destination,
    pub(super) policy: &'a Policy,
    /// The kernel's own choice among default routes, IPv4 and IPv6.
    pub(super) defaults: [Option<&'a Network>; 2],
    /// Each address and the kernel's own choice for it.
    pub(super) targets: Vec<(IpAddr, Option<&'a Network>)>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        label: &Label,
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
            label: *label,
            to,
            policy,
            defaults: Family::BOTH.map(|family| Choice::Default(family).among(snapshot)),
            targets: targets.iter().map(choose).collect(),
        }
    }

    /// The kernel's own choices: all that one network's verdict takes from the others.
    pub(super) fn choices(&self) -> impl Iterator<Item = Option<(NetworkId, bool)>> {
        let targets = self.targets.iter().map(|(_, choice)| choice);
        let vpn = |network: &Network| network.kinds().contains(Kind::Vpn);
        let choices = self.defaults.iter().chain(targets);
        choices.map(move |choice| choice.map(|network| (network.id(), vpn(network))))
    }

    /// Whether nothing fails.
    pub(super) fn admits(&self, network: &Network) -> bool {
        self.look(network, &mut Any::default()).is_continue()
    }

    /// Everything that fails.
    pub(super) fn admit(&self, network: &Network) -> Admission {
        let mut all = Admission::default();
        let _: ControlFlow<()> = self.look(network, &mut all);
        all
    }

    pub(super) fn standing(&self, network: Option<&Network>) -> Standing {
        match network.map(|network| self.admit(network).reasons) {
            None => Standing::Absent,
            Some(none) if none.is_empty() => Standing::Admitted,
            Some(reasons) => Standing::Refused(reasons),
        }
    }

    fn look<F: Findings>(&self, network: &Network, out: &mut F) -> ControlFlow<()> {
        match network.state() {
            State::Up => {}
            State::Suspended => out.object(|| Reason::Suspended)?,
            State::Dormant => out.object(|| Reason::Dormant)?,
            State::Down => out.object(|| Reason::Down)?,
        }
        self.reach(network, out)?;
        self.properties(network, out)
    }

    fn properties<F: Findings>(&self, network: &Network, out: &mut F) -> ControlFlow<()> {
        let (label, kinds) = (&self.label, network.kinds());
        for prop in label.prohibited().iter() {
            let fact = fact(network, prop);
            if self.count(prop, fact, out) {
                out.object(|| Reason::Prohibited { prop, fact })?;
            }
        }
        if refuses_satellite(label) && is_unnamed_satellite(label, network) {
            out.object(|| Reason::Satellite)?;
        }
        self.rules(network, out)?;
        let required = label.required().kinds();
        if !required.is_empty() && !kinds.intersects(required) {
            out.object(|| Reason::Kind {
                required,
                has: kinds,
            })?;
        }
        for prop in label.required().traits() {
            let fact = fact(network, prop);
            if !self.count(prop, fact, out) {
                out.object(|| Reason::Missing { prop, fact })?;
            }
        }
        match label.interface_name() {
            Some(required) if required != network.name() => out.object(|| Reason::Interface {
                required: required.into(),
            }),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Each rule of the policy that forbids this traffic here.
    fn rules<F: Findings>(&self, network: &Network, out: &mut F) -> ControlFlow<()> {
        for rule in self.policy.rules.iter() {
            if !rule.concerns(&self.label) || !rule.covers(network) {
                continue;
            }
            let facts = || rule.on().iter().map(|prop| (prop, fact(network, prop)));
            let spares =
                |(prop, fact): (Prop, Fact)| fact.is_certain() && !self.policy.count(prop, fact);
            // What is certain settles it; else it rests on everything that is not.
            if facts().any(spares) {
                continue;
            }
            let spared = facts().filter(|(prop, fact)| !self.count(*prop, *fact, out));
            if spared.count() == 0 {
                out.object(|| rule.reason())?;
            }
        }
        ControlFlow::Continue(())
    }

    fn count<F: Findings>(&self, prop: Prop, fact: Fact, out: &mut F) -> bool {
        let taken = self.policy.count(prop, fact);
        if !fact.is_certain() {
            out.assume(Assumption { prop, fact, taken });
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

fn refuses_satellite(label: &Label) -> bool {
    label.urgency() == Urgency::Background || label.size() == Size::Large
}

fn is_unnamed_satellite(label: &Label, network: &Network) -> bool {
    network.kinds().intersects(Kinds::of(Kind::Satellite))
        && !names(label, network, Prop::Satellite)
        && label.level(Prop::Satellite) != Level::Prohibit
}
