//! The rules that depend on where the traffic goes: routes, addresses, portals, VPNs, binding.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::admit::{Findings, View};
use super::{Destination, Reach, Reason, names};
use crate::label::{Prop, Scope};
use crate::network::{Address, Binding, Family, Health, Kind, Network, Route, is_link_local};

impl View<'_> {
    /// Reasons that depend on the destination. Of several addresses one is enough, so the list
    /// is that of the address that lacks least; those of a family that the label prohibits do not
    /// count beside others.
    pub(super) fn reach<F: Findings>(&self, network: &Network, out: &mut F) -> ControlFlow<()> {
        if self.targets.is_empty() {
            return self.reach_unaddressed(network, out);
        }
        let prohibited = self.label.prohibited();
        let counts = |ip: IpAddr| !prohibited.contains(family(ip));
        let none_counts = !self.targets.iter().any(|(ip, _)| counts(*ip));
        let mut least: Option<F> = None;
        for (ip, choice) in &self.targets {
            if !none_counts && !counts(*ip) {
                continue;
            }
            let mut found = F::default();
            let _: ControlFlow<()> = self.reach_address(network, *ip, *choice, &mut found);
            if found.objections() == 0 {
                return ControlFlow::Continue(());
            }
            let least_yet = least.as_ref().map_or(usize::MAX, Findings::objections);
            if found.objections() < least_yet {
                least = Some(found);
            }
        }
        out.join(least.unwrap_or_default())
    }

    fn reach_address<F: Findings>(
        &self,
        network: &Network,
        ip: IpAddr,
        choice: Option<&Network>,
        out: &mut F,
    ) -> ControlFlow<()> {
        let scope = self.label.scoped();
        let covering = || network.routes().iter().filter(|route| route.covers(ip));
        let on_link = covering().any(is_link)
            || scope == Scope::Local
                && network.addresses().iter().any(is_unknown)
                && covering().next().is_some();
        match scope {
            Scope::Host => out.object(|| Reason::BeyondHost)?,
            Scope::Local if !on_link => out.object(|| Reason::NoRoute(Reach::Link))?,
            _ if covering().next().is_none() => {
                out.object(|| Reason::NoRoute(Reach::Destination))?;
            }
            _ => {}
        }
        if scope == Scope::Internet && !has_default(network) {
            out.object(|| Reason::NoRoute(Reach::Default))?;
        }
        if network.health() == Health::Portal && !on_link && scope != Scope::Local {
            out.object(|| Reason::Portal)?;
        }
        if self.is_gated(network) {
            out.object(|| Reason::Loopback)?;
        }
        let local = scope == Scope::Local || is_link_local(ip);
        let counts = |a: &IpAddr| local || !is_link_local(*a);
        let mut usable = network.addresses().iter().map(|a| a.ip).filter(counts);
        if usable.clone().next().is_none() {
            out.object(|| Reason::NoAddress)?;
        } else if !usable.any(|a| Family::of(a) == Family::of(ip)) {
            out.object(|| Reason::NoFamily { v6: ip.is_ipv6() })?;
        }
        self.vpn(network, &[choice], out)?;
        self.binding(network, &[choice], out)
    }

    fn reach_unaddressed<F: Findings>(&self, network: &Network, out: &mut F) -> ControlFlow<()> {
        let scope = self.label.scoped();
        let named = self.label.interface_name().is_some() || network.kind() == Kind::Loopback;
        match scope {
            Scope::Host if network.kind() != Kind::Loopback => {
                out.object(|| Reason::BeyondHost)?;
            }
            Scope::Local if !has_link(network) => out.object(|| Reason::NoRoute(Reach::Link))?,
            Scope::Host | Scope::Local => {}
            Scope::Auto if named => {}
            Scope::Auto if *self.to == Destination::Name => {
                if !may_know_names(network) {
                    out.object(|| Reason::NoRoute(Reach::Any))?;
                }
            }
            Scope::Auto | Scope::Internet => {
                if !has_default(network) {
                    out.object(|| Reason::NoRoute(Reach::Default))?;
                }
            }
        }
        let internet = match scope {
            Scope::Auto => !named || *self.to == Destination::Name,
            Scope::Internet => true,
            Scope::Host | Scope::Local => false,
        };
        if internet && network.health() == Health::Portal {
            out.object(|| Reason::Portal)?;
        }
        if self.is_gated(network) {
            out.object(|| Reason::Loopback)?;
        }
        let counts = |a: IpAddr| scope == Scope::Local || !is_link_local(a);
        if !network.addresses().iter().any(|a| counts(a.ip)) {
            out.object(|| Reason::NoAddress)?;
        }
        if matches!(scope, Scope::Auto | Scope::Internet) {
            self.vpn(network, &self.defaults, out)?;
            self.binding(network, &self.defaults, out)
        } else {
            self.binding(network, &[], out)
        }
    }

    /// Loopback serves nobody who does not name it.
    fn is_gated(&self, network: &Network) -> bool {
        network.kind() == Kind::Loopback
            && self.label.scoped() != Scope::Host
            && !names(&self.label, network, Prop::Loopback)
    }

    /// Where the kernel would choose a VPN, nothing but that VPN.
    fn vpn<F: Findings>(
        &self,
        network: &Network,
        choices: &[Option<&Network>],
        out: &mut F,
    ) -> ControlFlow<()> {
        if self.label.bypasses_vpn() || network.bypasses_vpn() || network.kind() == Kind::Loopback {
            return ControlFlow::Continue(());
        }
        let mut choices = choices.iter().flatten();
        if choices.clone().any(|choice| choice.id() == network.id()) {
            return ControlFlow::Continue(());
        }
        match choices.find(|choice| choice.kinds().contains(Kind::Vpn)) {
            Some(vpn) => out.object(|| Reason::BypassesVpn {
                vpn: vpn.name().into(),
            }),
            None => ControlFlow::Continue(()),
        }
    }

    /// What cannot be bound must be the kernel's own choice; no choice at all is no objection.
    fn binding<F: Findings>(
        &self,
        network: &Network,
        choices: &[Option<&Network>],
        out: &mut F,
    ) -> ControlFlow<()> {
        let why = || -> Arc<str> {
            const OTHER: &str = "the kernel would choose another network";
            match (network.binding(), network.why_unbound()) {
                (Binding::Refused(why), _) => why.clone(),
                (_, Some(why)) => format!("{why}, and {OTHER}").into(),
                (_, None) => OTHER.into(),
            }
        };
        let fits = match network.binding() {
            Binding::Device | Binding::Address | Binding::Detached => true,
            Binding::Refused(_) => false,
            Binding::Unbound => {
                let mut choices = choices.iter().flatten().peekable();
                choices.peek().is_none() || choices.any(|choice| choice.id() == network.id())
            }
        };
        match fits {
            true => ControlFlow::Continue(()),
            false => out.object(|| Reason::Unbindable { why: why() }),
        }
    }
}

/// The property of having an address of the same family.
pub(super) fn family(ip: IpAddr) -> Prop {
    match Family::of(ip) {
        Family::V4 => Prop::Ipv4,
        Family::V6 => Prop::Ipv6,
    }
}

/// A route that shows a link, rather than a point-to-point way to everywhere.
fn is_link(route: &Route) -> bool {
    route.connected && !route.is_default_like()
}

fn is_unknown(address: &Address) -> bool {
    address.ip.is_unspecified()
}

fn has_default(network: &Network) -> bool {
    network.routes().iter().any(Route::is_default_like)
}

fn has_link(network: &Network) -> bool {
    network.routes().iter().any(is_link) || network.addresses().iter().any(is_unknown)
}

/// Whether a name may resolve and lead through this network, as far as its routes can tell.
fn may_know_names(network: &Network) -> bool {
    let virtual_only = network.kinds().without(Kind::Other).is_empty();
    network.routes().iter().any(|route| {
        !is_link(route) || !virtual_only || network.dns().iter().any(|ip| route.covers(*ip))
    })
}
