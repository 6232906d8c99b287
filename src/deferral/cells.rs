//! Classes of destinations: addresses that no route tells apart.
//!
//! A verdict depends on an address through nothing but its family, the routes that cover it and
//! whether it is link-local. The prefixes of a snapshot cut each family's addresses into
//! intervals, and all addresses of one interval are covered by the same routes; so the interval
//! stands for the address, and destinations of equal intervals share one verdict.

use super::line::{Stamp, View};
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::{Network, Snapshot};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// One interval of a family: true for IPv6, and how many boundaries are below.
type Cell = (bool, usize);

/// The interval of each address of a destination.
type Class = Box<[Cell]>;

/// The verdicts of one snapshot and policy, by label and class.
#[derive(Default)]
pub(super) struct Verdicts {
    of: Option<Stamp>,
    /// What the intervals were made from.
    networks: Vec<Network>,
    cells: Cells,
    known: HashMap<(Label, Class), Verdict>,
}

/// The admitted networks, best first; `None` if nothing matches.
pub(super) type Verdict = Option<Arc<[Network]>>;

impl Verdicts {
    /// The verdict on this label and destination, evaluated once a view and class.
    pub(super) fn look(&mut self, view: &View<'_>, label: &Label, to: &Destination) -> Verdict {
        let look = || view.look(label, to).ok().map(Arc::from);
        let Destination::Addresses(all) = to else {
            // Equal destinations stand in one line, which asks once.
            return look();
        };
        if self.of != Some(view.stamp()) {
            self.of = Some(view.stamp());
            self.renew(view.snapshot);
        }
        let class = (*label, self.cells.class(all));
        self.known.entry(class).or_insert_with(look).clone()
    }

    fn renew(&mut self, snapshot: &Snapshot) {
        self.known.clear();
        let unchanged = |(old, new): (&Network, &Network)| {
            old.routes() == new.routes() && old.addresses() == new.addresses()
        };
        let networks = snapshot.networks();
        if self.networks.len() != networks.len()
            || !self.networks.iter().zip(networks).all(unchanged)
        {
            self.cells = Cells::of(snapshot);
            self.networks = networks.to_vec();
        }
    }
}

/// Where the intervals of one snapshot begin, ascending, for each family.
#[derive(Debug, Default)]
struct Cells {
    v4: Vec<u128>,
    v6: Vec<u128>,
}

impl Cells {
    fn of(snapshot: &Snapshot) -> Self {
        let mut cells = Cells::default();
        cells.cut(Ipv4Addr::new(169, 254, 0, 0).into(), 16);
        cells.cut(Ipv4Addr::LOCALHOST.into(), 8);
        cells.cut(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10);
        cells.cut(Ipv6Addr::LOCALHOST.into(), 128);
        cells.cut(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into(), 96);
        cells.cut(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), 104);
        for network in snapshot.networks() {
            for route in network.routes() {
                cells.cut(route.to, route.prefix);
            }
            for address in network.addresses() {
                cells.cut(address.ip, address.prefix);
                cells.cut(address.ip, 128);
            }
        }
        for family in [&mut cells.v4, &mut cells.v6] {
            family.sort_unstable();
            family.dedup();
        }
        cells
    }

    /// Lets an interval begin at this prefix and another one after it.
    fn cut(&mut self, ip: IpAddr, prefix: u8) {
        let (family, bits) = match ip {
            IpAddr::V4(_) => (&mut self.v4, 32),
            IpAddr::V6(_) => (&mut self.v6, 128),
        };
        let host = bits - u32::from(prefix).min(bits);
        let mask = u128::MAX.checked_shl(host).unwrap_or(0);
        let first = number(ip) & mask;
        family.push(first);
        // None after the last address there is: no interval begins there.
        family.extend((first | !mask).checked_add(1));
    }

    fn class(&self, all: &[IpAddr]) -> Class {
        let cell = |ip: &IpAddr| {
            let family = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
            let below = family.partition_point(|first| *first <= number(*ip));
            (ip.is_ipv6(), below)
        };
        all.iter().map(cell).collect()
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::matching::{Policy, candidates};
    use crate::network::{Address, NetworkId, Route};
    use proptest::prelude::*;

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0..8u8, 0..4u8).prop_map(|(a, b)| IpAddr::from([10, a, 0, b])),
            Just(IpAddr::from([169, 254, 1, 1])),
            Just(IpAddr::from([255, 255, 255, 255])),
            (0..4u16, 0..4u16).prop_map(|(a, b)| IpAddr::from([0x2001, a, 0, 0, 0, 0, 0, b])),
            Just("fe80::1".parse().unwrap()),
            Just("::ffff:10.1.0.1".parse().unwrap()),
        ]
    }

    fn network(index: u32) -> impl Strategy<Value = Network> {
        let route = (ip(), 0..=128u8, any::<bool>(), 0..3u32);
        let routes = proptest::collection::vec(route, 0..4);
        let addresses = proptest::collection::vec((ip(), 8..=32u8), 0..3);
        (routes, addresses).prop_map(move |(routes, addresses)| {
            let mut spec = Network::wifi(format!("wlan{index}"));
            spec.routes = Vec::new();
            spec.addresses = Vec::new();
            for (to, prefix, connected, metric) in routes {
                let mut route = Route::to((to, prefix.min(if to.is_ipv4() { 32 } else { 128 })));
                route.connected = connected;
                route.metric = metric;
                spec.routes.push(route);
            }
            for (ip, prefix) in addresses {
                spec.addresses.push(Address { ip, prefix });
            }
            Network::new(NetworkId { index, epoch: 1 }, spec)
        })
    }

    proptest! {
        #[test]
        fn destinations_of_one_class_share_their_verdict(
            networks in (network(1), network(2)),
            all in proptest::collection::vec(ip(), 20),
        ) {
            let snapshot = Snapshot::new(1, true, vec![networks.0, networks.1]);
            let cells = Cells::of(&snapshot);
            let labels = ["any", "scope=local", "scope=internet", "if=wlan1"];
            let mut verdicts = HashMap::new();
            // Each address alone, and with its successor.
            for to in all.windows(2).flat_map(|pair| [&pair[..1], pair]) {
                let labels = labels.map(|label| label.parse::<Label>().unwrap());
                let destination = Destination::Addresses(to.into());
                let verdict = labels.map(|label| {
                    candidates(&snapshot, &label, &destination, &Policy::default()).ok()
                });
                let known = verdicts.entry(cells.class(to)).or_insert(verdict.clone());
                prop_assert_eq!(&*known, &verdict, "{}", destination);
            }
        }
    }
}
