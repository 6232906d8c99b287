//! From tables to networks: what each interface is, whether it can be used, and why not.

use super::inherit::{Family, NETLINK};
use super::rules::effective;
use super::tables::{Link, Tables, is_usable};
use crate::network::{Address, Aspect, Kind, Kinds, NetworkSpec, Route, State, Word};
use crate::scout::binding::{Bindings, Try};
use crate::scout::hearsay::Hearsay;
use crate::scout::masked;
use crate::scout::overrides::Overrides;
use crate::scout::publish::Seen;
use crate::scout::resolv_conf::{self, Server};
use crate::scout::sysfs::Sysfs;
use netlink_packet_route::link::{LinkFlags, State as Oper};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// What the tables alone tell of.
const TOLD: [Aspect; 7] = [
    Aspect::Name,
    Aspect::State,
    Aspect::Carrier,
    Aspect::Operstate,
    Aspect::Addresses,
    Aspect::Routes,
    Aspect::Mtu,
];

/// Everything the networks are derived from but the tables.
pub(super) struct Derive {
    sysfs: Sysfs,
    bindings: Bindings,
    bind: Try,
    servers: Vec<Server>,
}

impl Derive {
    pub(super) fn new(sysfs: &Path, bind: Try) -> Self {
        Derive {
            sysfs: Sysfs::new(sysfs),
            bindings: Bindings::default(),
            bind,
            servers: Vec::new(),
        }
    }

    /// The name servers of the host from now on.
    pub(super) fn serve(&mut self, servers: &[Server]) {
        self.servers = servers.to_owned();
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
        let links = tables.links.iter();
        let mut family = Family {
            tables,
            overrides,
            hearsay,
            sysfs: &mut self.sysfs,
            all: links
                .map(|(i, link)| (*i, describe(tables, *i, link)))
                .collect(),
        };
        family.settle();
        let mut all = family.all;
        resolv_conf::give(&self.servers, &mut all);
        self.bindings.keep(|index| all.contains_key(&index));
        self.sysfs.keep(|index| all.contains_key(&index));
        let mut seen = Vec::with_capacity(all.len());
        for (index, mut spec) in all {
            let name = spec.name.clone();
            overrides.apply(&name, &mut spec);
            let turn = tables.links[&index].turn;
            if spec.state == State::Up {
                self.bindings.apply(index, turn, &mut spec, self.bind);
            }
            seen.push(Seen { index, turn, spec });
        }
        seen
    }
}

/// All that the tables say of an interface, but for what it is.
fn describe(tables: &Tables, index: u32, link: &Link) -> NetworkSpec {
    let mut spec = NetworkSpec::new(link.facts.name.clone(), Kind::Other).kinds(Kinds::EMPTY);
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
    for aspect in TOLD {
        spec.notes.said(aspect, NETLINK);
    }
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
