//! From tables to networks: what each interface is, whether it can be used, and why not.

use super::rules::effective;
use super::tables::{Link, Tables, is_usable};
use crate::network::{Address, Aspect, Fact, Kind, Kinds, NetworkSpec, Route, State, Word};
use crate::scout::binding::{Bindings, Try};
use crate::scout::hearsay::Hearsay;
use crate::scout::masked;
use crate::scout::overrides::{Facts, Overrides};
use crate::scout::publish::Seen;
use crate::scout::sysfs::Sysfs;
use netlink_packet_route::link::{InfoKind, LinkFlags, LinkLayerType, State as Oper};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Bonds of bridges of VLANs are followed so deep.
const DEPTH: u32 = 8;
const NETLINK: &str = "netlink";
const SYSFS: &str = "sysfs";
const LOWER: &str = "lower device";
const CARRIER: &str = "carrier";

/// Everything the networks are derived from but the tables.
pub(super) struct Derive {
    sysfs: Sysfs,
    bindings: Bindings,
    bind: Try,
}

/// What an interface is by itself.
enum Own {
    Kind(Kind, &'static str),
    /// What the devices below it are; this kind if none is known.
    Below(Vec<u32>, Kind),
}

type Resolved = BTreeMap<u32, (Kinds, &'static str)>;

impl Derive {
    pub(super) fn new(sysfs: &Path, bind: Try) -> Self {
        Derive {
            sysfs: Sysfs::new(sysfs),
            bindings: Bindings::default(),
            bind,
        }
    }

    /// What was remembered of sysfs is read again.
    pub(super) fn refresh(&mut self) {
        self.sysfs.forget();
    }

    /// All interfaces as networks.
    pub(super) fn networks(
        &mut self,
        tables: &Tables,
        overrides: &Overrides,
        hearsay: &Hearsay,
    ) -> Vec<Seen> {
        let mut resolved = Resolved::new();
        for index in tables.links.keys() {
            self.resolve(tables, overrides, *index, DEPTH, &mut resolved);
        }
        let mut all: BTreeMap<u32, NetworkSpec> = BTreeMap::new();
        for (index, link) in &tables.links {
            let mut spec = describe(tables, *index, link);
            let (kinds, source) = resolved[index];
            spec.kinds = kinds;
            spec.notes.said(Aspect::Kind, source);
            hearsay.apply(*index, &link.facts.hardware, &mut spec);
            all.insert(*index, spec);
        }
        inherit(tables, overrides, &mut all);
        carry(overrides, &mut all);
        self.bindings.keep(|index| all.contains_key(&index));
        let mut seen = Vec::with_capacity(all.len());
        for (index, mut spec) in all {
            let name = spec.name.clone();
            overrides.apply(&name, &mut spec);
            let turn = tables.links[&index].turn;
            if spec.state == State::Up {
                spec.binding = self.bindings.of(index, turn, &spec, self.bind);
            }
            seen.push(Seen { index, turn, spec });
        }
        seen
    }

    fn resolve(
        &mut self,
        tables: &Tables,
        overrides: &Overrides,
        index: u32,
        depth: u32,
        done: &mut Resolved,
    ) -> Kinds {
        if let Some((kinds, _)) = done.get(&index) {
            return *kinds;
        }
        let (Some(link), Some(depth)) = (tables.links.get(&index), depth.checked_sub(1)) else {
            return Kinds::default();
        };
        let stated = overrides
            .facts(&link.facts.name)
            .and_then(|facts| facts.kind);
        let found = match stated {
            // The override itself is noted when it is applied.
            Some(kind) => (Kinds::of(kind), NETLINK),
            None => match self.own(tables, link) {
                Own::Kind(kind, source) => (Kinds::of(kind), source),
                Own::Below(lowers, unknown) => {
                    let below = |all, lower: &u32| {
                        all | self.resolve(tables, overrides, *lower, depth, done)
                    };
                    match lowers.iter().fold(Kinds::default(), below) {
                        none if none.is_empty() => (Kinds::of(unknown), NETLINK),
                        known => (known, LOWER),
                    }
                }
            },
        };
        done.insert(index, found);
        found.0
    }

    fn own(&mut self, tables: &Tables, link: &Link) -> Own {
        let facts = &link.facts;
        let below = |unknown| Own::Below(lowers(tables, link), unknown);
        let known = |kind| Own::Kind(kind, NETLINK);
        if link.is_loopback() {
            return known(Kind::Loopback);
        }
        let ether = facts.layer == LinkLayerType::Ether;
        let other = match &facts.info {
            Some(InfoKind::Bridge | InfoKind::Bond) => return below(Kind::Other),
            Some(
                InfoKind::Vlan
                | InfoKind::MacVlan
                | InfoKind::MacVtap
                | InfoKind::IpVlan
                | InfoKind::IpVtap
                | InfoKind::MacSec,
            ) => return below(Kind::Ethernet),
            Some(InfoKind::Veth | InfoKind::Netkit | InfoKind::Hsr) => Kind::Ethernet,
            Some(InfoKind::Wireguard | InfoKind::Xfrm | InfoKind::Vti) => Kind::Vpn,
            // A TAP is a cable to a program; a TUN with routes is somebody's tunnel.
            Some(InfoKind::Tun) if ether => Kind::Ethernet,
            Some(InfoKind::Tun) if tables.routes_of(facts.index).next().is_some() => Kind::Vpn,
            Some(InfoKind::Other(name)) => match name.as_str() {
                "team" => return below(Kind::Other),
                "dsa" => Kind::Ethernet,
                "ovpn" => Kind::Vpn,
                "rmnet" | "wwan" => Kind::Cellular,
                "virt_wifi" => Kind::Wifi,
                _ => Kind::Other,
            },
            None if ether => Kind::Ethernet,
            None if facts.layer == LinkLayerType::Rawip => Kind::Cellular,
            _ => Kind::Other,
        };
        // Only what netlink knows by its hardware type alone can be a radio.
        let radio = match &facts.info {
            None | Some(InfoKind::Other(_)) => {
                self.sysfs.kind(facts.index, &facts.name, &facts.hardware)
            }
            _ => None,
        };
        match radio {
            Some(kind) => Own::Kind(kind, SYSFS),
            None => known(other),
        }
    }
}

/// Bridges and their like cost what the worst of the devices below costs.
fn inherit(tables: &Tables, overrides: &Overrides, all: &mut BTreeMap<u32, NetworkSpec>) {
    for (index, link) in &tables.links {
        let mut below = BTreeSet::new();
        collect(tables, link, DEPTH, &mut below);
        let traits = below.iter().filter_map(|lower| tables.links.get(lower));
        let traits = traits.map(|lower| Traits::stated(overrides, &lower.facts.name));
        if let (Some(worst), Some(spec)) = (traits.reduce(Traits::worse), all.get_mut(index)) {
            worst.give(spec, LOWER);
        }
    }
}

/// A VPN has the kinds and the costs of the network that carries it: the one that the kernel
/// would use if there were no VPN.
fn carry(overrides: &Overrides, all: &mut BTreeMap<u32, NetworkSpec>) {
    let preference = |spec: &NetworkSpec| {
        let chosen = |r: &&Route| r.is_default_like() && r.rank != Route::UNRANKED;
        let defaults = spec.routes.iter().filter(chosen);
        defaults.map(|r| (r.rank, r.metric)).min()
    };
    let physical = |spec: &&NetworkSpec| {
        spec.state == State::Up
            && !spec.kinds.contains(Kind::Vpn)
            && !spec.kinds.contains(Kind::Loopback)
    };
    let mut choices: Vec<_> = all
        .values()
        .filter(physical)
        .filter_map(|spec| preference(spec).map(|p| (p, spec)))
        .collect();
    choices.sort_by_key(|(preference, _)| *preference);
    let carrier = match choices.as_slice() {
        [] => return,
        // Two that the kernel would not tell apart: it is not known.
        [(one, _), (two, _), ..] if one == two => return,
        [(_, carrier), ..] => *carrier,
    };
    let mut traits = Traits::of(carrier);
    traits = traits.over(overrides.facts(&carrier.name));
    let kinds = carrier.kinds.without(Kind::Other);
    for spec in all.values_mut() {
        if spec.kinds.contains(Kind::Vpn) {
            spec.kinds = spec.kinds | kinds;
            spec.notes.said(Aspect::Kind, CARRIER);
            traits.give(spec, CARRIER);
        }
    }
}

/// The facts that a network has from another one.
#[derive(Debug, Clone, Copy)]
struct Traits([Fact; 3]);

impl Traits {
    fn of(spec: &NetworkSpec) -> Self {
        Traits([spec.metered, spec.roaming, spec.constrained])
    }

    fn stated(overrides: &Overrides, name: &str) -> Self {
        Traits([Fact::Unknown; 3]).over(overrides.facts(name))
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

    fn give(self, spec: &mut NetworkSpec, source: &'static str) {
        let [metered, roaming, constrained] = self.0;
        let facts = [
            (Aspect::Metered, metered, &mut spec.metered),
            (Aspect::Roaming, roaming, &mut spec.roaming),
            (Aspect::Constrained, constrained, &mut spec.constrained),
        ];
        for (aspect, value, fact) in facts {
            if value != Fact::Unknown {
                *fact = value;
                spec.notes.said(aspect, source);
            }
        }
    }
}

/// The devices directly below a link.
fn lowers(tables: &Tables, link: &Link) -> Vec<u32> {
    match &link.facts.info {
        Some(InfoKind::Bridge | InfoKind::Bond) => ports(tables, link),
        Some(InfoKind::Other(name)) if name == "team" => ports(tables, link),
        Some(
            InfoKind::Vlan
            | InfoKind::MacVlan
            | InfoKind::MacVtap
            | InfoKind::IpVlan
            | InfoKind::IpVtap
            | InfoKind::MacSec,
        ) => link.facts.lower.into_iter().collect(),
        // A veth's "lower" is its other end.
        _ => Vec::new(),
    }
}

fn ports(tables: &Tables, link: &Link) -> Vec<u32> {
    let index = Some(link.facts.index);
    let all = tables.links.values();
    all.filter(|port| port.facts.master == index)
        .map(|port| port.facts.index)
        .collect()
}

fn collect(tables: &Tables, link: &Link, depth: u32, into: &mut BTreeSet<u32>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for lower in lowers(tables, link) {
        if into.insert(lower)
            && let Some(link) = tables.links.get(&lower)
        {
            collect(tables, link, depth, into);
        }
    }
}

/// All that the tables say of an interface, but for what it is.
fn describe(tables: &Tables, index: u32, link: &Link) -> NetworkSpec {
    let mut spec = NetworkSpec::new(link.facts.name.clone(), Kind::Other);
    spec.mtu = link.facts.mtu;
    spec.carrier = link.has_carrier().into();
    spec.operstate = Some(Word::Borrowed(operstate(link.facts.oper)));
    let held = tables.addresses.get(&index);
    let usable = held
        .into_iter()
        .flat_map(|held| held.values())
        .filter(|a| is_usable(a));
    spec.addresses = usable
        .map(|a| Address {
            ip: a.ip,
            prefix: a.prefix,
        })
        .collect();
    for route in tables.routes_of(index) {
        effective(route, &tables.rules, &mut spec.routes);
    }
    if link.is_loopback() {
        for address in &spec.addresses {
            let to = masked(address.ip, address.prefix);
            spec.routes
                .push(Route::to((to, address.prefix)).connected());
        }
    }
    for six in [false, true] {
        if tables.cut.contains(&(index, six)) {
            spec.routes.push(last_resort(six));
        }
    }
    spec.routes.sort_unstable();
    spec.routes.dedup();
    spec.notes.down = why_down(link, held.is_some_and(|held| !held.is_empty()), &spec);
    spec.state = match link.facts.oper {
        _ if spec.notes.down.is_empty() => State::Up,
        Oper::Dormant if link.facts.flags.contains(LinkFlags::Up) => State::Dormant,
        _ => State::Down,
    };
    spec
}

/// Stands for the routes that were left out: the scout cannot see, so it does not say no.
fn last_resort(six: bool) -> Route {
    let to: IpAddr = match six {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    Route::to((to, 0))
        .metric(u32::MAX)
        .rank(Route::UNRANKED - 1)
}

/// As the kernel prints it (`Documentation/networking/operstates.rst`).
fn operstate(state: Oper) -> &'static str {
    match state {
        Oper::NotPresent => "notpresent",
        Oper::Down => "down",
        Oper::LowerLayerDown => "lowerlayerdown",
        Oper::Testing => "testing",
        Oper::Dormant => "dormant",
        Oper::Up => "up",
        _ => "unknown",
    }
}

fn why_down(link: &Link, has_any: bool, spec: &NetworkSpec) -> Vec<Word> {
    let mut why = Vec::new();
    if !link.facts.flags.contains(LinkFlags::Up) {
        why.push("administratively down");
    } else if link.facts.oper == Oper::Dormant {
        why.push("waiting to be let in");
    } else if !link.is_running() {
        why.push("no carrier");
    }
    if spec.addresses.is_empty() {
        why.push(match has_any {
            true => "no usable address yet",
            false => "no address",
        });
    }
    if spec.routes.is_empty() {
        why.push("no route");
    }
    why.into_iter().map(Word::Borrowed).collect()
}
