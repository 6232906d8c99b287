//! Where an endpoint is, as far as it can be told before a network is chosen.
//!
//! | endpoint | destination |
//! | --- | --- |
//! | `unix:`, `localhost`, a loopback address, an unspecified one | this host |
//! | a name of the hosts file | its addresses, read again for each path; this host if they are loopback |
//! | an address of this host itself | this host: packets to it never leave, whatever they are bound to |
//! | another address | that address |
//! | any other name | a name: resolved on each network that is tried, and admitted there with its addresses |
//! | `mem:` | a name on simulated networks, else this host |

use std::net::{IpAddr, SocketAddr};

use super::context::Context;
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::matching::Destination;
use crate::network::{Snapshot, State};
use crate::transport;

/// What matching is to know of this endpoint before its name is resolved; `others` are addresses at
/// which the same listener is.
pub(super) fn destination(
    endpoint: &Endpoint,
    others: &[SocketAddr],
    context: &dyn Context,
) -> Destination {
    if endpoint.carrier() == "mem" {
        return match context.registry().scout().is_simulated() {
            true => Destination::Name,
            false => Destination::Host,
        };
    }
    if endpoint.is_host_scope() {
        return Destination::Host;
    }
    match endpoint.ip() {
        Some(ip) if is_own(&context.registry().snapshot(), ip) => Destination::Host,
        Some(ip) => {
            let others = others.iter().map(SocketAddr::ip);
            Destination::Addresses(std::iter::once(ip).chain(others).collect())
        }
        None => Destination::Name,
    }
}

/// Whether packets to this address stay here. A socket bound to a device would send them out.
pub(super) fn is_own(snapshot: &Snapshot, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let up = snapshot
        .networks()
        .iter()
        .filter(|network| network.state() != State::Down);
    let mut addresses = up.flat_map(|network| network.addresses());
    ip.is_unspecified() || addresses.any(|own| own.ip == ip)
}

/// Whether this address means one host to more than that host and its link.
pub(super) fn is_far(ip: IpAddr) -> bool {
    let on_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(on_link || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

/// Of what a listener says of its addresses, those that may be dialled when that of the endpoint fails:
/// far ones that are not ours, and private ones only if the endpoint's own is private. Otherwise any
/// server could have its dialler knock at doors of the dialler's own network.
pub(super) fn believable(
    told: &[SocketAddr],
    endpoint: &Endpoint,
    snapshot: &Snapshot,
) -> Vec<SocketAddr> {
    let near = endpoint.ip().is_some_and(is_private);
    let dialled = |at: &SocketAddr| endpoint.ip() == Some(at.ip());
    let may = |at: &&SocketAddr| {
        let ip = at.ip();
        is_far(ip) && !is_own(snapshot, ip) && (near || !is_private(ip)) && !dialled(at)
    };
    told.iter().filter(may).copied().collect()
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // Beside RFC 1918: what providers share (RFC 6598), and what is for tests and the future.
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || (a == 100 && b & 0xc0 == 64) || (a == 198 && b & 0xfe == 18)
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// The same with a name of the hosts file replaced by its first address.
pub(super) async fn near(endpoint: Endpoint) -> Endpoint {
    nearer(endpoint).await.0
}

/// The same, and the other addresses that the hosts file has for it.
pub(super) async fn nearer(endpoint: Endpoint) -> (Endpoint, Vec<SocketAddr>) {
    let Some(host) = endpoint.host().filter(|_| is_name_of_tcp(&endpoint)) else {
        return (endpoint, Vec::new());
    };
    let listed = transport::in_hosts_file(host).await;
    let loopback = |ip: &IpAddr| ip.to_canonical().is_loopback();
    match listed.as_slice() {
        [] => (endpoint, Vec::new()),
        // Both families, in the resolver's order.
        [_, _, ..] if listed.iter().all(loopback) => {
            let localhost = endpoint.clone().with_host("localhost");
            (localhost.unwrap_or(endpoint), Vec::new())
        }
        [first, others @ ..] => {
            let port = endpoint.port().unwrap_or_default();
            let others = others.iter().filter(|ip| is_far(**ip));
            let others = others.map(|ip| SocketAddr::new(*ip, port)).collect();
            (endpoint.with_ip(*first), others)
        }
    }
}

/// Whether its host is a name to be resolved on the network that is tried.
pub(super) fn is_name_of_tcp(endpoint: &Endpoint) -> bool {
    matches!(endpoint.carrier(), "tcp" | "airhook" | "quic")
        && endpoint.ip().is_none()
        && !endpoint.is_host_scope()
}

/// Whether the endpoint says where to connect: to listen a port may be left out, here not.
pub(super) fn check_place(endpoint: &Endpoint) -> Result<(), EndpointError> {
    match endpoint.carrier() {
        "tcp" | "airhook" | "quic" => endpoint.dialable(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(told: &[&str], endpoint: &str) -> Vec<String> {
        let told: Vec<SocketAddr> = told.iter().map(|at| at.parse().unwrap()).collect();
        let own = crate::network::Network::ethernet("eth0")
            .address("10.9.9.9/24".parse::<crate::network::Address>().unwrap());
        let own = crate::network::Network::new(crate::network::NetworkId::new(1, 1), own);
        let snapshot = Snapshot::new(1, true, vec![own]);
        let endpoint = endpoint.parse().unwrap();
        let believed = believable(&told, &endpoint, &snapshot);
        believed.iter().map(ToString::to_string).collect()
    }

    // behaviour: L4
    #[test]
    fn a_listener_is_believed_no_address_of_the_dialler_s_own_network() {
        let told = [
            "192.168.1.1:80",
            "10.9.9.9:7",
            "127.0.0.1:22",
            "169.254.1.1:7",
            "[fe80::1]:7",
            "[fd00::1]:7",
            "100.64.1.1:7",
            "[::ffff:10.0.0.1]:7",
            "93.184.216.34:7",
            "[2001:db8::1]:7",
        ];
        let far = ["93.184.216.34:7", "[2001:db8::1]:7"];
        assert_eq!(believed(&told, "mc://8.8.8.8:7"), far);
        assert_eq!(believed(&told, "mc://example.org:7"), far);
        // Within one private network its addresses are what there is; ours and this link's never.
        let near = believed(&told, "mc://10.0.0.2:7");
        assert_eq!(near.len(), 6, "{near:?}");
        assert!(
            !near
                .iter()
                .any(|at| at.starts_with("10.9.9.9") || at.starts_with("127."))
        );
        assert_eq!(
            believed(&["10.0.0.2:7"], "mc://10.0.0.2:7"),
            [""; 0],
            "it is known"
        );
    }
}
