//! Binding a socket to a network: the device, and the address it leaves with, both.
//!
//! The address alone leaks out of another network when the interface goes down or no policy route
//! holds it; the device alone falls silent when the address is removed. A network says by its
//! `binding` how far down the ladder it is: device and address, address, nothing.

use super::Bind;
use super::error::{explain, fail};
use crate::network::{Binding, Network};
use socket2::{SockAddr, Socket};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Binds `socket`, which will dial `to`, to the network of `on` and to a port of its address.
pub(super) fn bind_dialler(socket: &Socket, on: &Bind, to: SocketAddr) -> io::Result<()> {
    bind_device(socket, &on.network)?;
    let Some(source) = source_for(on, to.ip()) else {
        return Ok(());
    };
    let at = scoped(SocketAddr::new(source, 0), &on.network);
    socket
        .bind(&SockAddr::from(at))
        .map_err(|e| explain(e, format_args!("{source} on {}", on.network.0.spec.name)))
}

/// Binds `socket`, which will listen at `at`, to the device of the network, and says at which address
/// to listen: where the device does not hold it, a wildcard becomes the network's own address.
pub(super) fn bind_listener(socket: &Socket, on: &Bind, at: SocketAddr) -> io::Result<SocketAddr> {
    let held = bind_device(socket, &on.network)?;
    let own = || source_for(on, at.ip());
    let ip = match at.ip() {
        any if any.is_unspecified() && !held => own().unwrap_or(any),
        given => given,
    };
    Ok(scoped(SocketAddr::new(ip, at.port()), &on.network))
}

/// The upper rung: the device. Whether it holds the socket.
fn bind_device(socket: &Socket, network: &Network) -> io::Result<bool> {
    let name = &network.0.spec.name;
    match &network.0.spec.binding {
        Binding::Device => match to_device(socket, network) {
            // Kernels before 5.7 ask for CAP_NET_RAW: one rung down, and said so.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                tracing::debug!(target: "mancom::transport", network = %name,
                    "may not bind to the device, by address alone");
                Ok(false)
            }
            held => held.map_err(|e| explain(e, format_args!("network {name}"))),
        },
        Binding::Refused(why) => Err(fail(
            io::ErrorKind::AddrNotAvailable,
            format_args!("network {name} cannot be bound to: {why}"),
        )),
        _ => Ok(false),
    }
}

#[cfg(target_os = "linux")]
fn to_device(socket: &Socket, network: &Network) -> io::Result<bool> {
    match socket.bind_device(Some(network.0.spec.name.as_bytes())) {
        // The interface went after the snapshot: the loss of a network, like any other.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
            Err(fail(io::ErrorKind::NetworkDown, e))
        }
        done => done.map(|()| true),
    }
}

#[cfg(target_vendor = "apple")]
fn to_device(socket: &Socket, network: &Network) -> io::Result<bool> {
    let index = std::num::NonZeroU32::new(network.0.id.index);
    if socket.local_addr()?.is_ipv4() {
        socket.bind_device_by_index_v4(index)?;
    } else {
        socket.bind_device_by_index_v6(index)?;
    }
    Ok(true)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn to_device(_: &Socket, _: &Network) -> io::Result<bool> {
    Ok(false)
}

/// The address to leave with towards `to`: the one given, or the network's first of that family.
pub(super) fn source_for(on: &Bind, to: IpAddr) -> Option<IpAddr> {
    let spec = &on.network.0.spec;
    if !matches!(spec.binding, Binding::Device | Binding::Address) {
        return None;
    }
    let fits = |ip: &IpAddr| ip.is_ipv4() == to.is_ipv4() && link_local(*ip) == link_local(to);
    // An address that is not known is listed as the wildcard.
    let known = |ip: &IpAddr| !ip.is_unspecified();
    let own = || spec.addresses.iter().map(|a| a.ip).filter(known);
    on.source
        .filter(fits)
        .or_else(|| own().find(fits))
        // A link-local address is better than leaving by another network's.
        .or_else(|| own().find(|ip| ip.is_ipv4() == to.is_ipv4()))
}

/// Whether this network can reach addresses of the family of `to` at all, as far as is known.
pub(super) fn family_fits(on: &Bind, to: IpAddr) -> bool {
    let spec = &on.network.0.spec;
    spec.addresses.is_empty()
        || spec
            .addresses
            .iter()
            .any(|a| a.ip.is_ipv4() == to.is_ipv4())
}

/// Link-local IPv6 addresses mean nothing without the interface.
pub(super) fn scoped(at: SocketAddr, network: &Network) -> SocketAddr {
    match at {
        SocketAddr::V6(v6) if v6.scope_id() == 0 && link_local(at.ip()) => {
            SocketAddrV6::new(*v6.ip(), v6.port(), v6.flowinfo(), network.0.id.index).into()
        }
        other => other,
    }
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => Ipv6Addr::is_unicast_link_local(&v6),
    }
}
