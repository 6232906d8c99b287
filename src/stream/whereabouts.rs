//! Where an endpoint is, as far as it can be told before a network is chosen.
//!
//! | endpoint | destination |
//! | --- | --- |
//! | `unix:`, `localhost`, a loopback address, an unspecified one | this host |
//! | a name of the hosts file | its addresses; this host if they are loopback |
//! | an address of this host itself | this host: packets to it never leave, whatever they are bound to |
//! | another address | that address |
//! | any other name | a name: resolved on each network that is tried, and admitted there with its addresses |
//! | `mem:` | a name on simulated networks, else this host |

use std::net::IpAddr;
use std::sync::Arc;

use super::context::Context;
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::matching::Destination;
use crate::network::{Snapshot, State};
use crate::transport;

/// What matching is to know of this endpoint before its name is resolved.
pub(super) fn destination(endpoint: &Endpoint, context: &dyn Context) -> Destination {
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
        Some(ip) => Destination::Addresses(Arc::from([ip])),
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

/// The same with a name of the hosts file replaced by its addresses: every path of a session goes
/// where the first one went.
pub(super) async fn near(endpoint: Endpoint) -> Endpoint {
    let Some(host) = endpoint.host().filter(|_| is_name_of_tcp(&endpoint)) else {
        return endpoint;
    };
    let listed = transport::in_hosts_file(host).await;
    let loopback = |ip: &IpAddr| ip.to_canonical().is_loopback();
    match listed.as_slice() {
        [] => endpoint,
        // Both families, in the resolver's order.
        [_, _, ..] if listed.iter().all(loopback) => {
            endpoint.clone().with_host("localhost").unwrap_or(endpoint)
        }
        [first, ..] => {
            let first = *first;
            endpoint.with_ip(first)
        }
    }
}

/// Whether its host is a name to be resolved on the network that is tried.
pub(super) fn is_name_of_tcp(endpoint: &Endpoint) -> bool {
    endpoint.carrier() == "tcp" && endpoint.ip().is_none() && !endpoint.is_host_scope()
}

/// Whether the endpoint says where to connect: to listen a port may be left out, here not.
pub(super) fn check_place(endpoint: &Endpoint) -> Result<(), EndpointError> {
    match endpoint.carrier() {
        "tcp" => endpoint.dialable(),
        _ => Ok(()),
    }
}
