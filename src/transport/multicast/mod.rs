//! Multicast: datagrams to everybody who listens to a group.
//!
//! ```text
//!   dialler ── group:port ──> every listener of the group: a link for each source, as of UDP
//!   dialler <── its address ── what they send on those links
//! ```
//!
//! # Limits
//!
//! As of [`Udp`](super::Udp). A datagram that is larger than the links of the network carry is cut into
//! fragments on its way, and one lost fragment is the loss of all.

use super::bind::source_for;
use super::error::{explain, fail, misread};
use super::tcp::{Live, Place};
use super::udp::{Hub, MAX_DATAGRAM, UdpAcceptor, largest};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use tokio::net::UdpSocket;

mod link;
#[cfg(test)]
mod tests;

pub use link::GroupLink;

/// The index of the loopback interface, which is the first that a system has.
const LOOPBACK: u32 = 1;

/// Multicast: `multicast://239.1.2.3:7000`, `multicast://[ff15::7]:7000`.
///
/// A dialled link sends to the group, over the network of the [`Bind`], and without one on this host
/// alone; it hears whatever is sent to its own address, which is what listeners answer. A listener joins
/// the group on the network of the bind; without one, on that which the system would choose and on the
/// loopback interface. It gives a link for each source that it hears of, which answers that source alone.
/// Several listeners of a host may share a group and a port; each hears everything.
///
/// Attributes: `ttl=N`, how many networks a datagram may cross, 0 to 255, default 1, the nearest alone;
/// `loop=no`, so that listeners of this host do not hear it; `max=BYTES`, the largest datagram that is
/// sent, if less than 65,507.
#[derive(Debug, Default)]
pub struct Multicast {
    live: Arc<Live>,
}

impl Multicast {
    /// A transport that listens nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Transport for Multicast {
    fn scheme(&self) -> &'static str {
        "multicast"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["loop", "max", "ttl"])
    }

    fn check(&self, attributes: &Attributes) -> Result<(), AttributeError> {
        Wishes::of(attributes).map(drop)
    }

    fn characteristics(&self) -> Characteristics {
        let mut all = Characteristics::datagrams(MAX_DATAGRAM);
        all.multicast = true;
        all
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let (group, port) = place(to)?;
            let wishes = Wishes::of(to.typed()).map_err(misread(to))?;
            let socket = sender(group, on, &wishes).map_err(|e| explain(e, to))?;
            let link = GroupLink::new(socket, at(group, port, on), to.clone(), wishes.max);
            Ok(Link::Datagrams(Box::new(link)))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let (group, port) = place(at)?;
            let wishes = Wishes::of(at.typed()).map_err(misread(at))?;
            let told = |e| explain(e, format_args!("listening at {at}"));
            let socket = member(group, port, on).map_err(told)?;
            set_ttl(&SockRef::from(&socket), group, wishes.ttl).map_err(told)?;
            let hub = Hub::open(socket)?;
            let place = Place {
                local: SocketAddr::new(group, port),
                host: at.host().map(str::to_owned),
            };
            let listed = self.live.add(place);
            let acceptor = UdpAcceptor::new(hub, at.clone(), at.clone(), wishes.max, listed);
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.live.leads_here(contact)
    }

    /// Never: a group is nobody's own.
    fn same_peer(&self, _contact: &Endpoint, _link: &Link) -> bool {
        false
    }
}

/// The group and the port of an endpoint.
fn place(endpoint: &Endpoint) -> io::Result<(IpAddr, u16)> {
    let group = endpoint.ip().filter(IpAddr::is_multicast);
    let port = endpoint.port().filter(|port| *port > 0);
    group.zip(port).ok_or_else(|| {
        let text = format_args!(
            "{endpoint}: name the address of a group (224.0.0.0/4 or ff00::/8) and a port"
        );
        fail(io::ErrorKind::InvalidInput, text)
    })
}

/// What an endpoint's attributes ask for.
struct Wishes {
    max: usize,
    ttl: u8,
    looped: bool,
}

impl Wishes {
    fn of(attributes: &Attributes) -> Result<Self, AttributeError> {
        let ttl = |text: &str| text.parse().ok();
        Ok(Self {
            max: largest(attributes)?,
            ttl: attributes
                .read("ttl", "a number of networks, 0 to 255", ttl)?
                .unwrap_or(1),
            looped: attributes.switch("loop")?.unwrap_or(true),
        })
    }
}

fn at(group: IpAddr, port: u16, on: Option<&Bind>) -> SocketAddr {
    match group {
        IpAddr::V4(_) => SocketAddr::new(group, port),
        // Groups of a link mean nothing without the interface.
        IpAddr::V6(group) => SocketAddrV6::new(group, port, 0, index(on)).into(),
    }
}

fn index(on: Option<&Bind>) -> u32 {
    on.map_or(LOOPBACK, |on| on.network.id().index())
}

fn open(group: IpAddr) -> io::Result<Socket> {
    let domain = match group {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket whose datagrams to the group leave by the network, or stay here.
fn sender(group: IpAddr, on: Option<&Bind>, wishes: &Wishes) -> io::Result<UdpSocket> {
    let socket = open(group)?;
    let source = match on {
        Some(on) => {
            on.network.hold(&SockRef::from(&socket))?;
            source_for(on, group)
        }
        None => None,
    };
    match group {
        IpAddr::V4(_) => {
            leave_by(&socket, on, source)?;
            socket.set_multicast_loop_v4(wishes.looped)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(index(on))?;
            socket.set_multicast_loop_v6(wishes.looped)?;
        }
    }
    set_ttl(&SockRef::from(&socket), group, wishes.ttl)?;
    let any = match (group, source) {
        // The kernel knows which of several addresses of an interface suits a group.
        (IpAddr::V6(_), _) => Ipv6Addr::UNSPECIFIED.into(),
        (IpAddr::V4(_), Some(source)) => source,
        (IpAddr::V4(_), None) if on.is_none() => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V4(_), None) => Ipv4Addr::UNSPECIFIED.into(),
    };
    socket.bind(&SockAddr::from(SocketAddr::new(any, 0)))?;
    UdpSocket::from_std(socket.into())
}

#[cfg(target_os = "linux")]
fn leave_by(socket: &Socket, on: Option<&Bind>, _source: Option<IpAddr>) -> io::Result<()> {
    let any = Ipv4Addr::UNSPECIFIED;
    rustix::net::sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, index(on))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn leave_by(socket: &Socket, on: Option<&Bind>, source: Option<IpAddr>) -> io::Result<()> {
    match (on, source) {
        (None, _) => socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST),
        (_, Some(IpAddr::V4(source))) => socket.set_multicast_if_v4(&source),
        // What holds the socket to the device decides.
        _ => Ok(()),
    }
}

fn set_ttl(socket: &SockRef<'_>, group: IpAddr, ttl: u8) -> io::Result<()> {
    match group {
        IpAddr::V4(_) => socket.set_multicast_ttl_v4(ttl.into()),
        IpAddr::V6(_) => socket.set_multicast_hops_v6(ttl.into()),
    }
}

/// A socket that hears the group.
fn member(group: IpAddr, port: u16, on: Option<&Bind>) -> io::Result<UdpSocket> {
    let socket = open(group)?;
    // Listeners of a group share its port, and each hears everything.
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    socket.set_reuse_port(true)?;
    if let Some(on) = on {
        on.network.hold(&SockRef::from(&socket))?;
    }
    // Bound to the group it hears nothing that was sent elsewhere; where that cannot be, to any.
    let bound = match (group, cfg!(windows)) {
        (IpAddr::V4(_), true) => Ipv4Addr::UNSPECIFIED.into(),
        (IpAddr::V6(_), true) => Ipv6Addr::UNSPECIFIED.into(),
        (group, false) => group,
    };
    socket.bind(&SockAddr::from(SocketAddr::new(bound, port)))?;
    #[cfg(target_os = "linux")]
    match group {
        // Not what another program of this host joined by another network.
        IpAddr::V4(_) => socket.set_multicast_all_v4(false)?,
        IpAddr::V6(_) => socket.set_multicast_all_v6(false)?,
    }
    let join = |index: u32| match group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
        }
        IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
    };
    match on {
        Some(on) => join(on.network.id().index())?,
        None => {
            // A host without a route for groups still has itself.
            let (chosen, own) = (join(0), join(LOOPBACK));
            own.or(chosen)?;
        }
    }
    UdpSocket::from_std(socket.into())
}
