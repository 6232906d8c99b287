//! Networks that somebody else knows: a set given once that never changes.

use super::publish::Seen;
use super::route;
use crate::network::{Address, Binding, NetworkSpec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The set as a source sees it; the index is the place in the list, from 1.
pub(super) fn seen(networks: impl IntoIterator<Item = NetworkSpec>) -> Vec<Seen> {
    let seen = (1..).zip(networks).map(|(index, spec)| {
        let mut spec = described(spec, index);
        if spec.binding == Binding::Device {
            spec.binding = Binding::Unbound;
        }
        Seen {
            index,
            turn: 0,
            spec,
        }
    });
    seen.collect()
}

/// A description with neither addresses nor routes is of a network that reaches everything.
///
/// The addresses are of the ranges kept for documentation (RFC 5737, RFC 3849).
pub(super) fn described(mut spec: NetworkSpec, index: u32) -> NetworkSpec {
    if spec.addresses.is_empty() && spec.routes.is_empty() {
        let [.., a, b] = index.to_be_bytes();
        let four = Ipv4Addr::new(198, 51, 100, b);
        let six = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, a.into(), b.into());
        spec.addresses = vec![
            Address {
                ip: four.into(),
                prefix: 24,
            },
            Address {
                ip: six.into(),
                prefix: 64,
            },
        ];
    }
    if spec.routes.is_empty() {
        let mut routes = Vec::new();
        for address in &spec.addresses {
            let everything = match address.ip {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            };
            let link = super::masked(address.ip, address.prefix);
            routes.push(route(link, address.prefix, true));
            routes.push(route(everything, 0, false));
        }
        routes.sort_unstable();
        routes.dedup();
        spec.routes = routes;
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Kind;
    use crate::scout::{Scout, blank};

    // behaviour: C1
    #[tokio::test]
    async fn is_complete_from_the_first_look() {
        let scout = Scout::fixed([blank("wifi", Kind::Wifi), blank("cell", Kind::Cellular)]);
        let snapshot = scout.snapshots().borrow().clone();
        assert!(snapshot.complete && snapshot.generation == 1);
        let names: Vec<_> = snapshot.networks.iter().map(|n| n.0.spec.name.as_str()).collect();
        assert_eq!(names, ["wifi", "cell"]);
        assert!(scout.is_simulated());
        assert_eq!(scout.source(), "fixed");
    }

    #[test]
    fn a_bare_description_reaches_everything_unbound() {
        let seen = seen([blank("wifi", Kind::Wifi)]);
        let spec = &seen[0].spec;
        assert_eq!(spec.binding, Binding::Unbound);
        for everything in ["0.0.0.0", "::"] {
            let everything: IpAddr = everything.parse().expect("an address");
            assert!(spec.routes.iter().any(|r| r.to == everything && r.prefix == 0));
        }
        assert!(spec.addresses.iter().any(|a| a.ip.is_ipv4()));
        assert!(spec.addresses.iter().any(|a| a.ip.is_ipv6()));
    }

    // behaviour: M9
    #[test]
    fn a_description_with_an_address_reaches_that_family_only() {
        let mut spec = blank("wifi", Kind::Wifi);
        spec.addresses.push(Address {
            ip: "10.1.2.3".parse().expect("an address"),
            prefix: 16,
        });
        let spec = described(spec, 1);
        assert!(spec.routes.iter().all(|r| r.to.is_ipv4()));
        let link = route("10.1.0.0".parse().expect("an address"), 16, true);
        assert!(spec.routes.contains(&link));
        assert_eq!(spec.addresses.len(), 1);
    }
}
