//! Where others dial who listens.

use super::Bind;
use super::bind::source_for;
use crate::endpoint::Endpoint;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What others dial: the host advertised, else the name or address listened at, else, for a
/// wildcard, the network's address, the one this host would leave with, or any that others may reach.
pub(super) fn contact(at: &Endpoint, local: SocketAddr, on: Option<&Bind>) -> io::Result<Endpoint> {
    let contact = at.clone().with_port(local.port());
    if let Some(host) = at.attribute("advertise") {
        let refused = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
        return contact.with_host(host).map_err(refused);
    }
    let ip = local.ip().to_canonical();
    if at.ip().is_none() {
        return Ok(contact);
    }
    let known = Some(ip).filter(|ip| !ip.is_unspecified());
    let ip = known
        .or_else(|| source_for(on?, ip))
        .or_else(|| outward(ip))
        .or_else(|| of_an_interface(ip))
        .unwrap_or(Ipv4Addr::LOCALHOST.into());
    Ok(contact.with_ip(ip))
}

/// The address this host would use towards the internet; asks the routing table, sends nothing.
/// The far ends are documentation addresses (RFC 5737, RFC 3849).
fn outward(listening: IpAddr) -> Option<IpAddr> {
    let towards = |from: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
    };
    let v4 = || {
        towards(
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        )
    };
    let v6 = || {
        let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        towards(Ipv6Addr::UNSPECIFIED.into(), far.into())
    };
    // A wildcard of the newer family takes both.
    if listening.is_ipv4() {
        v4()
    } else {
        v4().or_else(v6)
    }
}

/// An address of an interface that is up, for a host that no route leads out of: two that are wired to each
/// other, say. What is valid on one link alone is none.
#[cfg(target_os = "linux")]
fn of_an_interface(listening: IpAddr) -> Option<IpAddr> {
    use nix::net::if_::InterfaceFlags;
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    let up = interfaces.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let mut addresses: Vec<IpAddr> = up
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|at| at.ip().into());
            v4.or_else(|| address.as_sockaddr_in6().map(|at| at.ip().into()))
        })
        .collect();
    addresses.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => listening.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local(),
    });
    // A wildcard of the newer family takes both.
    addresses.into_iter().min_by_key(IpAddr::is_ipv6)
}

#[cfg(not(target_os = "linux"))]
fn of_an_interface(_: IpAddr) -> Option<IpAddr> {
    None
}
