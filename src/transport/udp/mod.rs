//! UDP: datagrams that may be lost, doubled or reordered.
//!
//! ```text
//!   dialler   one connected socket a link
//!   listener  one socket; its datagrams are split by where they come from
//!             socket ── task ──> [source: queue] ──> accept, then poll_recv of that link
//! ```
//!
//! # Limits
//!
//! | what | bound | at the bound |
//! | --- | --- | --- |
//! | a datagram | 65,507 bytes, or `max=` if less | an error, nothing is sent |
//! | sources of one listener | 4,096 | the one silent for longest goes; one not accepted yet first |
//! | datagrams that wait in one link | 256 and 128 KiB (8 before it is accepted) | the newest is dropped |
//! | bytes that wait in one listener | 16 MiB | the newest is dropped |

use super::bind::{bind_dialler, bind_listener};
use super::contact::contact;
use super::error::{explain, fail, misread};
use super::resolve::{connect_by_name, own_addresses_of};
use super::tcp::{Live, Place, first_free, refused};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use crate::network::NetworkId;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::net::UdpSocket;

mod acceptor;
mod hub;
mod link;
mod own;
mod table;
#[cfg(test)]
pub(super) mod tests;

pub(super) use acceptor::UdpAcceptor;
pub(super) use hub::Hub;
pub use link::UdpLink;

/// The largest payload of a UDP datagram over IPv4; over IPv6 it is a little more.
pub(super) const MAX_DATAGRAM: usize = 65_507;

/// UDP: `udp://host:port`, `udp://host:7000-7010` to listen on the first free port.
///
/// A dialled link is a connected socket: it hears its far end alone, and dialling exchanges nothing, so
/// it succeeds where nobody listens. A listener has one socket, and gives a link for each source
/// address that it hears of; an accepted link begins with the datagram that made it known. The links
/// outlive their acceptor, and what comes from a source without a link is then dropped; who listens
/// there again, with the same transport, takes the socket over.
///
/// There is no close: a link that is dropped is forgotten, and its source is a new one when it is heard
/// again. A listener at a wildcard address answers from the address that it was asked at, on Linux;
/// elsewhere from the one that the routes choose, so name one there if the host has several.
///
/// Attributes: `advertise=HOST`, the host that a listener's contact names; `max=BYTES`, the largest
/// datagram that is sent, if less than 65,507.
#[derive(Debug, Default)]
pub struct Udp {
    live: Arc<Live>,
    /// Sockets that listen or did, for as long as links of theirs are left.
    hubs: Mutex<BTreeMap<At, Weak<Hub>>>,
}

/// Where a socket listens: an address, and the network that it is bound to.
type At = (SocketAddr, Option<NetworkId>);

impl Udp {
    /// A transport that listens nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A socket of its own, or one whose acceptor went and whose links live on.
    fn open(&self, at: SocketAddr, on: Option<&Bind>) -> io::Result<Arc<Hub>> {
        let network = on.map(|on| on.network.id());
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        match listening(at, on) {
            Ok(socket) => {
                let hub = Hub::open(UdpSocket::from_std(socket.into())?)?;
                hubs.insert((hub.local(), network), Arc::downgrade(&hub));
                Ok(hub)
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                let known = hubs.iter().find(|((local, bound), _)| {
                    local.port() == at.port()
                        && *bound == network
                        && (local.ip() == at.ip() || on.is_some() && at.ip().is_unspecified())
                });
                match known.and_then(|(_, hub)| hub.upgrade()) {
                    Some(hub) if hub.adopt() => Ok(hub),
                    _ => Err(e),
                }
            }
            Err(e) => Err(e),
        }
    }
}

impl Transport for Udp {
    fn scheme(&self) -> &'static str {
        "udp"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["advertise", "max"])
    }

    fn check(&self, attributes: &Attributes) -> Result<(), AttributeError> {
        largest(attributes).map(drop)
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::datagrams(MAX_DATAGRAM)
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(connect_by_name(self, to, on))
    }

    /// The first address that a socket can be connected to: nothing is sent, so none of them answers.
    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let max = largest(to.typed()).map_err(misread(to))?;
            let mut last = io::ErrorKind::InvalidInput.into();
            for address in addresses {
                match dial(*address, on) {
                    Ok(socket) => {
                        let link = UdpLink::new(socket, *address, to, max);
                        return Ok(Link::Datagrams(Box::new(link)));
                    }
                    Err(e) => last = e,
                }
            }
            Err(explain(last, to))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let max = largest(at.typed()).map_err(misread(at))?;
            let addresses = own_addresses_of(at, on).await?;
            let ports = at.ports().unwrap_or(0..=0);
            let hub = first_free(&addresses, &ports, |at| self.open(at, on))
                .map_err(|e| refused(e, at, &ports))?;
            let local = hub.local();
            let contact = contact(at, local, on)?;
            let host = contact.host().map(str::to_owned);
            let listed = self.live.add(Place { local, host });
            let acceptor = UdpAcceptor::new(hub, at.clone(), contact, max, listed);
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    /// As of TCP: of a live acceptor's own contact, its address, and any of this host's at a wildcard.
    fn is_self(&self, contact: &Endpoint) -> bool {
        self.live.leads_here(contact)
    }

    /// Known of links that were dialled. One that was accepted comes from a port that says nothing of
    /// where its dialler listens.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        link.downcast_ref::<UdpLink>()
            .is_some_and(|link| link.leads_to(contact))
    }
}

/// The largest datagram that a link of this endpoint sends.
pub(super) fn largest(attributes: &Attributes) -> Result<usize, AttributeError> {
    let read = |text: &str| {
        let max = text.parse().ok()?;
        (1..=MAX_DATAGRAM).contains(&max).then_some(max)
    };
    let max = attributes.read("max", "a number of bytes, 1 to 65507", read)?;
    Ok(max.unwrap_or(MAX_DATAGRAM))
}

/// A socket that listens at this address, on this network.
pub(super) fn listening(at: SocketAddr, on: Option<&Bind>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if at.is_ipv6() && at.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    let at = match on {
        Some(on) => bind_listener(&socket, on, at)?,
        None => at,
    };
    socket.bind(&SockAddr::from(at))?;
    Ok(socket)
}

/// A socket that will send to this address, over this network.
pub(super) fn dialling(to: SocketAddr, on: Option<&Bind>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if let Some(on) = on {
        bind_dialler(&socket, on, to)?;
    }
    Ok(socket)
}

fn dial(to: SocketAddr, on: Option<&Bind>) -> io::Result<UdpSocket> {
    let socket = dialling(to, on)?;
    socket.connect(&SockAddr::from(to))?;
    UdpSocket::from_std(socket.into())
}

/// Refuses what is too large before anything of it is sent.
pub(super) fn check_size(datagram: &[u8], max: usize) -> io::Result<()> {
    if datagram.len() <= max {
        return Ok(());
    }
    let text = format_args!("a datagram of {} bytes, of at most {max}", datagram.len());
    Err(fail(io::ErrorKind::InvalidInput, text))
}
