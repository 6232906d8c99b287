//! The kernel's links, addresses, routes and rules, as the messages so far tell them.
//!
//! Two things the kernel does not say are modelled here: IPv4 routes that go with an interface or
//! an address go without a message, and a link that went down and up between two looks shows only
//! in a counter. What the model gets wrong, the next dump puts right.

use super::wire::{AddressFacts, Heard, LinkFacts, Part, RouteFacts, RuleFacts};
use crate::network::is_link_local;
use netlink_packet_route::address::AddressFlags;
use netlink_packet_route::link::{LinkFlags, State as Oper};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

/// Routes beyond this are kept only if default-like or connected, and of those as many again.
pub(super) const ROUTES: usize = 4096;
/// More addresses of one interface, or more rules, than this are not kept.
const MOST: usize = 1024;

/// A link and what is counted of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: LinkFacts,
    /// Rises when the link stops being usable, seen or unseen.
    pub(super) turn: u64,
    usable: bool,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) addresses: BTreeMap<u32, BTreeMap<IpAddr, AddressFacts>>,
    pub(super) routes: BTreeSet<RouteFacts>,
    pub(super) rules: BTreeSet<RuleFacts>,
    /// Interfaces (and true for IPv6) of which routes were left out.
    pub(super) cut: BTreeSet<(u32, bool)>,
    turns: u64,
    sweep: Option<Sweep>,
    /// Something changed since [`Tables::take_changed`].
    changed: bool,
    /// The kernel may have dropped routes in silence.
    doubtful: bool,
}

/// What a dump has shown so far: the rest is gone when it ends.
#[derive(Debug, Default)]
struct Sweep {
    links: HashSet<u32>,
    addresses: HashSet<(u32, IpAddr)>,
    routes: HashSet<RouteFacts>,
    rules: HashSet<RuleFacts>,
    cut: BTreeSet<(u32, bool)>,
}

impl Link {
    /// Administratively up, running, and operationally up or unknown.
    pub(super) fn is_running(&self) -> bool {
        let running = LinkFlags::Up | LinkFlags::Running;
        self.facts.flags.contains(running) && matches!(self.facts.oper, Oper::Up | Oper::Unknown)
    }

    pub(super) fn has_carrier(&self) -> bool {
        self.facts.flags.contains(LinkFlags::LowerUp)
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.facts.flags.contains(LinkFlags::Loopback)
    }
}

/// Whether an address may be used: preferred, and nobody else's.
pub(super) fn is_usable(address: &AddressFacts) -> bool {
    let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed | AddressFlags::Deprecated;
    !address.flags.intersects(unusable) && !address.ip.is_unspecified()
}

/// A route that stands for everything: 0/0, its halves, or the IPv6 unicast space.
pub(super) fn is_default_like(route: &RouteFacts) -> bool {
    route.prefix <= if route.to.is_ipv4() { 1 } else { 3 }
}

impl Tables {
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Link(facts) => self.link(facts),
            Heard::LinkGone(index) => self.link_gone(index),
            Heard::Address(facts) => self.address(facts),
            Heard::AddressGone(facts) => self.address_gone(facts),
            Heard::Routes { hops, replaces } => self.add_routes(hops, replaces),
            Heard::RoutesGone(hops) => self.routes_gone(&hops),
            Heard::Rule(rule) => {
                if let Some(sweep) = &mut self.sweep {
                    sweep.rules.insert(rule.clone());
                }
                if self.rules.len() < MOST {
                    self.changed |= self.rules.insert(rule);
                }
            }
            Heard::RuleGone(rule) => {
                if let Some(sweep) = &mut self.sweep {
                    sweep.rules.remove(&rule);
                }
                self.changed |= self.rules.remove(&rule);
            }
        }
    }

    /// A dump begins: what it does not show by its end is gone.
    pub(super) fn begin(&mut self) {
        self.sweep = Some(Sweep::default());
    }

    /// The dump of a part was whole.
    pub(super) fn end(&mut self, part: Part) {
        let Some(sweep) = self.sweep.take() else {
            return;
        };
        match part {
            Part::Links => {
                let known: Vec<u32> = self.links.keys().copied().collect();
                for index in known {
                    if !sweep.links.contains(&index) {
                        self.link_gone(index);
                    }
                }
            }
            Part::Addresses => {
                let all = self.addresses.values().flat_map(BTreeMap::values);
                let gone = all.filter(|a| !sweep.addresses.contains(&(a.index, a.ip)));
                for address in gone.copied().collect::<Vec<_>>() {
                    self.address_gone(address);
                }
            }
            Part::Rules => {
                let before = self.rules.len();
                self.rules.retain(|rule| sweep.rules.contains(rule));
                self.changed |= before != self.rules.len();
            }
            Part::Routes => {
                let all = self.routes.iter();
                let gone: Vec<_> = all.filter(|r| !sweep.routes.contains(r)).copied().collect();
                self.routes_gone(&gone);
                self.changed |= self.cut != sweep.cut;
                self.cut = sweep.cut;
                self.doubtful = false;
            }
        }
    }

    /// The dump was interrupted or lost.
    pub(super) fn abandon(&mut self) {
        self.sweep = None;
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the routes should be dumped again soon.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    fn link(&mut self, facts: LinkFacts) {
        let index = facts.index;
        if let Some(sweep) = &mut self.sweep {
            sweep.links.insert(index);
        }
        let admin = facts.flags.contains(LinkFlags::Up);
        match self.links.get_mut(&index) {
            Some(link) => {
                if link.facts == facts {
                    return;
                }
                // A down that came and went between two messages.
                let unseen = match (link.facts.carrier_downs, facts.carrier_downs) {
                    (Some(old), Some(new)) => old != new && link.usable,
                    _ => false,
                };
                let downed = link.facts.flags.contains(LinkFlags::Up) && !admin;
                link.facts = facts;
                if unseen && link.is_running() {
                    self.turns += 1;
                    link.turn = self.turns;
                }
                if downed {
                    // Silent for IPv4; IPv6 messages follow and find nothing left to do.
                    self.forget_routes(|route| route.index == index);
                }
            }
            None => {
                self.turns += 1;
                let turn = self.turns;
                let link = Link {
                    facts,
                    turn,
                    usable: false,
                };
                self.links.insert(index, link);
            }
        }
        self.changed = true;
        self.judge(index);
    }

    fn link_gone(&mut self, index: u32) {
        if let Some(sweep) = &mut self.sweep {
            sweep.links.remove(&index);
        }
        self.changed |= self.links.remove(&index).is_some();
        self.addresses.remove(&index);
        self.forget_routes(|route| route.index == index);
    }

    fn address(&mut self, facts: AddressFacts) {
        if let Some(sweep) = &mut self.sweep {
            sweep.addresses.insert((facts.index, facts.ip));
        }
        let held = self.addresses.entry(facts.index).or_default();
        if held.len() < MOST || held.contains_key(&facts.ip) {
            self.changed |= held.insert(facts.ip, facts) != Some(facts);
            self.judge(facts.index);
        }
    }

    fn address_gone(&mut self, gone: AddressFacts) {
        let AddressFacts { index, ip, .. } = gone;
        if let Some(sweep) = &mut self.sweep {
            sweep.addresses.remove(&(index, ip));
        }
        let Some(held) = self.addresses.get_mut(&index) else {
            return;
        };
        if held.remove(&ip).is_none() {
            return;
        }
        self.changed = true;
        let last = !held.keys().any(|held| held.is_ipv4() == ip.is_ipv4());
        if ip.is_ipv4() {
            // With the last address go all IPv4 routes of the interface, with any address the
            // routes that name it as their source; neither is told.
            self.forget_routes(|route| {
                let through = route.index == index && route.to.is_ipv4();
                route.source == Some(ip) || (through && last)
            });
            self.doubtful = true;
        }
        self.judge(index);
    }

    fn add_routes(&mut self, hops: Vec<RouteFacts>, replaces: bool) {
        if replaces && let Some(new) = hops.first() {
            let place = |r: &RouteFacts| (r.to, r.prefix, r.table, r.metric, r.tos);
            let gone = self.routes.iter().filter(|old| place(old) == place(new));
            let gone: Vec<_> = gone.filter(|old| !hops.contains(old)).copied().collect();
            self.routes_gone(&gone);
        }
        for route in hops {
            let keep = self.routes.len() < ROUTES
                || (self.routes.len() < 2 * ROUTES && (is_default_like(&route) || !route.indirect));
            if !keep && !self.routes.contains(&route) {
                let cut = (route.index, route.to.is_ipv6());
                self.changed |= self.cut.insert(cut);
                if let Some(sweep) = &mut self.sweep {
                    sweep.cut.insert(cut);
                }
                continue;
            }
            if let Some(sweep) = &mut self.sweep {
                sweep.routes.insert(route);
            }
            self.changed |= self.routes.insert(route);
            self.judge(route.index);
        }
    }

    fn routes_gone(&mut self, hops: &[RouteFacts]) {
        for gone in hops {
            // A deletion may leave out what is no part of a route's identity.
            let same = |r: &RouteFacts| {
                (r.to, r.prefix, r.table, r.metric, r.tos)
                    == (gone.to, gone.prefix, gone.table, gone.metric, gone.tos)
            };
            let exact = Some(*gone).filter(|gone| self.routes.contains(gone));
            let Some(route) =
                exact.or_else(|| self.routes_of(gone.index).find(|r| same(r)).copied())
            else {
                continue;
            };
            if let Some(sweep) = &mut self.sweep {
                sweep.routes.remove(&route);
            }
            self.routes.remove(&route);
            self.changed = true;
            self.judge(route.index);
        }
    }

    fn forget_routes(&mut self, gone: impl Fn(&RouteFacts) -> bool) {
        let before = self.routes.len();
        self.routes.retain(|route| !gone(route));
        if let Some(sweep) = &mut self.sweep {
            sweep.routes.retain(|route| !gone(route));
        }
        if before != self.routes.len() {
            self.changed = true;
            self.doubtful = true;
        }
    }

    /// Counts the end of an attachment in the moment it is heard of: by the next look it may be
    /// back.
    fn judge(&mut self, index: u32) {
        let Some(link) = self.links.get(&index) else {
            return;
        };
        let addressed = self
            .addresses
            .get(&index)
            .is_some_and(|held| held.values().any(|a| is_usable(a) && !is_link_local(a.ip)));
        let routed = link.is_loopback() || self.has_routes(index);
        let usable = link.is_running() && addressed && routed;
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        if link.usable && !usable {
            self.turns += 1;
            link.turn = self.turns;
        }
        link.usable = usable;
    }

    fn has_routes(&self, index: u32) -> bool {
        self.routes_of(index).next().is_some()
            || self
                .cut
                .range((index, false)..=(index, true))
                .next()
                .is_some()
    }

    /// The routes through an interface.
    pub(super) fn routes_of(&self, index: u32) -> impl Iterator<Item = &RouteFacts> {
        let first = RouteFacts {
            index,
            to: std::net::Ipv4Addr::UNSPECIFIED.into(),
            prefix: 0,
            table: 0,
            metric: 0,
            tos: 0,
            gateway: None,
            indirect: false,
            source: None,
        };
        self.routes
            .range(first..)
            .take_while(move |route| route.index == index)
    }
}
