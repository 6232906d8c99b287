//! Binding a socket to a network for one destination or one place to listen: the device, and the
//! address it leaves with, both.
//!
//! The address alone leaks out of another network when the interface goes down or no policy route
//! holds it; the device alone falls silent when the address is removed. How far down the ladder a
//! network is, and what happens where a step is refused, is [`Network::bind`]'s.

use super::Bind;
use super::error::explain;
use crate::network::{Binding, Network, is_link_local};
use socket2::{SockAddr, SockRef, Socket};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Binds `socket`, which will dial `to`, to the network of `on` and to a port of its address.
pub(super) fn bind_dialler(socket: &Socket, on: &Bind, to: SocketAddr) -> io::Result<()> {
    on.network.hold(&SockRef::from(socket))?;
    let Some(source) = source_for(on, to.ip()) else {
        return Ok(());
    };
    let at = scoped(SocketAddr::new(source, 0), &on.network);
    socket
        .bind(&SockAddr::from(at))
        .map_err(|e| explain(e, format_args!("{source} on {}", on.network.name())))
}

/// Binds `socket`, which will listen at `at`, to the device of the network, and says at which address
/// to listen: where the device does not hold it, a wildcard becomes the network's own address.
pub(super) fn bind_listener(socket: &Socket, on: &Bind, at: SocketAddr) -> io::Result<SocketAddr> {
    let held = on.network.hold(&SockRef::from(socket))?;
    let own = || source_for(on, at.ip());
    let ip = match at.ip() {
        any if any.is_unspecified() && !held => own().unwrap_or(any),
        given => given,
    };
    Ok(scoped(SocketAddr::new(ip, at.port()), &on.network))
}

/// The address to leave with towards `to`: the one given, or the network's first of that family
/// that reaches as far. None where the network binds no address or knows none.
pub(super) fn source_for(on: &Bind, to: IpAddr) -> Option<IpAddr> {
    if !matches!(on.network.binding(), Binding::Device | Binding::Address) {
        return None;
    }
    // An address that is not known is listed as the wildcard.
    let known = |ip: &IpAddr| !ip.is_unspecified();
    let own = || on.network.addresses().iter().map(|a| a.ip).filter(known);
    let family = |ip: &IpAddr| ip.is_ipv4() == to.is_ipv4();
    let fits = |ip: &IpAddr| family(ip) && is_link_local(*ip) == is_link_local(to);
    on.source
        .filter(fits)
        .or_else(|| own().find(fits))
        // A link-local address is better than leaving by another network's.
        .or_else(|| own().find(family))
}

/// Whether this network can reach addresses of the family of `to` at all, as far as is known.
pub(super) fn family_fits(on: &Bind, to: IpAddr) -> bool {
    let own = on.network.addresses();
    own.is_empty() || own.iter().any(|a| a.ip.is_ipv4() == to.is_ipv4())
}

/// Link-local IPv6 addresses mean nothing without the interface.
pub(super) fn scoped(at: SocketAddr, network: &Network) -> SocketAddr {
    match at {
        SocketAddr::V6(v6) if v6.scope_id() == 0 && is_link_local(at.ip()) => {
            SocketAddrV6::new(*v6.ip(), v6.port(), v6.flowinfo(), network.id().index()).into()
        }
        other => other,
    }
}
