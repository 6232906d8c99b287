//! TCP, bound to the network it is told.

use super::bind::bind_listener;
use super::contact::contact;
use super::error::{advise, explain};
use super::resolve::{connect_by_name, is_localhost, own_addresses_of};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

mod acceptor;
mod link;
mod race;

pub use link::TcpLink;
pub use race::connect_any;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// TCP: `tcp://host:port`, `tcp://host:7000-7010` to listen on the first free port.
///
/// Dialling on a [`Bind`] binds the socket to the device and to the source address; every address of
/// the name is tried, a quarter of a second apart, and the first to answer is kept (RFC 8305).
/// Without a port `listen` takes a free one; at `[::]` it takes both families.
///
/// Small writes leave at once (TCP_NODELAY), for sessions write whole frames; `nodelay=no` leaves that
/// to the system (Nagle's algorithm). Keepalive is off and TCP_USER_TIMEOUT is the system's: whether a silent network
/// is dead is decided above, where it is known what is owed.
///
/// Attributes: `nodelay`, on unless said otherwise; `advertise=HOST`, the host that a listener's contact names.
#[derive(Debug, Default)]
pub struct Tcp {
    live: Arc<Live>,
}

impl Tcp {
    /// A transport that listens nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Transport for Tcp {
    fn scheme(&self) -> &'static str {
        "tcp"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["nodelay", "advertise"])
    }

    fn check(&self, attributes: &Attributes) -> Result<(), AttributeError> {
        attributes.switch("nodelay").map(drop)
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::stream()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(connect_by_name(self, to, on))
    }

    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let name = |e| explain(e, to);
            let stream = connect_any(addresses, on).await.map_err(name)?;
            Ok(Link::Bytes(Box::new(
                TcpLink::dialled(stream, to).map_err(name)?,
            )))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let addresses = own_addresses_of(at, on).await?;
            let ports = at.ports().unwrap_or(0..=0);
            let listener = first_free(&addresses, &ports, |at| listen_at(at, on))
                .map_err(|e| refused(e, at, &ports))?;
            let local = listener.local_addr()?;
            let contact = contact(at, local, on)?;
            let place = self.live.add(Place {
                local,
                host: contact.host().map(str::to_owned),
            });
            let acceptor = acceptor::TcpAcceptor::new(listener, at.clone(), contact, place);
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    /// True of a live acceptor's own contact, of its address literally, and, where it listens on
    /// every address, of any address of this host with its port.
    fn is_self(&self, contact: &Endpoint) -> bool {
        self.live.leads_here(contact)
    }

    /// Known of links that were dialled: address (or name) and port are those of the contact. A
    /// link that was accepted comes from a port that says nothing of where its dialler listens, until
    /// its peer named itself, at the address that the link comes from.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        link.downcast_ref::<TcpLink>()
            .is_some_and(|link| link.leads_to(contact))
    }
}

/// The places where this transport listens.
#[derive(Debug, Default)]
pub(super) struct Live {
    places: Mutex<(u64, BTreeMap<u64, Place>)>,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) local: SocketAddr,
    /// The host of the contact.
    pub(super) host: Option<String>,
}

impl Place {
    fn is(&self, contact: &Endpoint, port: u16) -> bool {
        if self.local.port() != port {
            return false;
        }
        let own = self.local.ip().to_canonical();
        match (contact.ip(), contact.host()) {
            (Some(ip), _) => {
                ip == own
                    || self.host.as_deref() == contact.host()
                    || own.is_unspecified() && is_local(ip)
            }
            (None, Some(host)) => {
                self.host.as_deref() == Some(host)
                    || is_localhost(host) && (own.is_loopback() || own.is_unspecified())
            }
            (None, None) => false,
        }
    }
}

impl Live {
    fn lock(&self) -> LiveGuard<'_> {
        LiveGuard(self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a contact is of one of these places.
    pub(super) fn leads_here(&self, contact: &Endpoint) -> bool {
        let Some(port) = contact.port() else {
            return false;
        };
        self.lock().values().any(|place| place.is(contact, port))
    }

    pub(super) fn add(self: &Arc<Self>, place: Place) -> Listed {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.0 += 1;
        let number = places.0;
        places.1.insert(number, place);
        drop(places);
        Listed {
            live: Arc::clone(self),
            number,
        }
    }
}

struct LiveGuard<'a>(MutexGuard<'a, (u64, BTreeMap<u64, Place>)>);

impl LiveGuard<'_> {
    fn values(&self) -> impl Iterator<Item = &Place> {
        self.0.1.values()
    }
}

/// Keeps a place listed while its acceptor lives.
#[derive(Debug)]
pub(super) struct Listed {
    live: Arc<Live>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut places = self
            .live
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        places.1.remove(&self.number);
    }
}

/// Opens at the first of the addresses that this host has, on the first port that is free there.
pub(super) fn first_free<T>(
    addresses: &[SocketAddr],
    ports: &RangeInclusive<u16>,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        for port in ports.clone() {
            match open(SocketAddr::new(address.ip(), port)) {
                Ok(opened) => return Ok(opened),
                Err(e) => last = e,
            }
            if last.kind() != io::ErrorKind::AddrInUse {
                break;
            }
        }
        // The next address is for hosts without this family, not a way round a refusal.
        if matches!(
            last.kind(),
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
        ) {
            break;
        }
    }
    Err(last)
}

fn listen_at(at: SocketAddr, on: Option<&Bind>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Elsewhere this would let two programs share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if at.is_ipv6() && at.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    let at = match on {
        Some(on) => bind_listener(&socket, on, at)?,
        None => at,
    };
    socket.bind(&SockAddr::from(at))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

pub(super) fn refused(error: io::Error, at: &Endpoint, ports: &RangeInclusive<u16>) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse if ports.start() < ports.end() => {
            "every port of the range is taken: stop one of the programs there, or name a wider range"
        }
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or name another port, or a range such as 7000-7010"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not listen on that port: name one of 1024 or more"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address: name one of its own, or 0.0.0.0 for all"
        }
        _ => return explain(error, format_args!("listening at {at}")),
    };
    advise(error, format_args!("listening at {at}"), advice)
}

/// Whether an address is one of this host's: only such can be bound.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback()
        || !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind((ip, 0)).is_ok()
}
