//! What is done to a link while it is in use, and how the kernel is told and asked.

use crate::namespace::Namespace;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A way to lose a network. It is the client who loses it; the server's end stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Carrier gone; addresses and routes stay.
    CarrierOnly,
    /// Carrier, addresses and routes gone, as a network manager does it.
    Carrier,
    /// The interface is set down.
    Admin,
    /// The client's address is removed, and with it the routes that need it.
    Address,
    /// The client's default routes over this link are removed.
    Route,
    /// The interface is deleted; mending makes another of the same name.
    Deleted,
    /// Nothing crosses, and nobody is told.
    Silent(Way),
}

/// A direction, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both.
    Both,
}

impl Fault {
    /// Which directions carry nothing, up and down, whatever the hosts still try.
    pub(crate) fn silences(self) -> (bool, bool) {
        match self {
            // A socket that is bound to a device sends without a route, as if the peer were a
            // neighbour; on a network with neighbours nobody would answer for it.
            Fault::Silent(Way::Up) | Fault::Route => (true, false),
            Fault::Silent(Way::Down) => (false, true),
            Fault::Silent(Way::Both)
            | Fault::CarrierOnly
            | Fault::Carrier
            | Fault::Admin
            | Fault::Deleted => (true, true),
            Fault::Address => (false, false),
        }
    }

    /// Whether the kernel tells the client that the interface does not carry any more.
    pub(crate) fn stops_running(self) -> bool {
        self.changes_carrier() || self == Fault::Admin
    }

    /// Whether losing and mending it change a carrier.
    pub(crate) fn changes_carrier(self) -> bool {
        matches!(self, Fault::CarrierOnly | Fault::Carrier)
    }
}

/// Changes interfaces of one host. A change is in force when its function returns: `ip` would
/// need milliseconds to start, and nobody would know when in them it was.
#[derive(Debug)]
pub(crate) struct Control(Socket);

impl Control {
    pub(crate) fn new(host: &Namespace) -> io::Result<Self> {
        host.within(|| open(0)).map(Self)
    }

    /// Sets an interface up or down.
    pub(crate) fn set_up(&self, index: u32, up: bool) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags.set(LinkFlags::Up, up);
        link.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(link))
    }

    pub(crate) fn remove_address(&self, index: u32, address: Ipv4Addr) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = 24;
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(address.into())];
        self.request(RouteNetlinkMessage::DelAddress(message))
    }

    /// Removes the default route over an interface from a table.
    pub(crate) fn remove_default(&self, index: u32, table: u8) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            table,
            scope: RouteScope::NoWhere,
            ..RouteHeader::default()
        };
        message.attributes = vec![RouteAttribute::Oif(index)];
        self.request(RouteNetlinkMessage::DelRoute(message))
    }

    /// Sends a request and awaits that the kernel has done it.
    fn request(&self, request: RouteNetlinkMessage) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        let (answer, _) = self.0.recv_from_full()?;
        match parse(&answer).next() {
            Some(NetlinkPayload::Error(error)) => match error.code {
                None => Ok(()),
                Some(_) => Err(error.to_io()),
            },
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// What the kernel tells about one host's links, addresses and routes.
#[derive(Debug)]
pub(crate) struct Monitor(Socket);

impl Monitor {
    pub(crate) fn new(host: &Namespace) -> io::Result<Self> {
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV4_ROUTE;
        host.within(|| open(groups.cast_unsigned())).map(Self)
    }

    /// Waits for a message of this kind, and says when it came; `None` if not in time.
    pub(crate) fn wait(
        &self,
        timeout: Duration,
        wanted: impl Fn(&RouteNetlinkMessage) -> bool,
    ) -> io::Result<Option<Instant>> {
        let deadline = Instant::now() + timeout;
        loop {
            if !readable(&self.0, deadline.saturating_duration_since(Instant::now()))? {
                return Ok(None);
            }
            let (bytes, _) = self.0.recv_from_full()?;
            let now = Instant::now();
            let seen = parse(&bytes)
                .any(|said| matches!(said, NetlinkPayload::InnerMessage(it) if wanted(&it)));
            if seen {
                return Ok(Some(now));
            }
        }
    }
}

/// Whether this says that a link is, or is not, one that carries.
pub(crate) fn says_running(message: &RouteNetlinkMessage, index: u32, running: bool) -> bool {
    matches!(message, RouteNetlinkMessage::NewLink(link) if link.header.index == index
        && link.header.flags.contains(LinkFlags::Running) == running)
}

fn open(groups: u32) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, groups))?;
    Ok(socket)
}

fn readable(socket: &Socket, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    let mut sources = [PollFd::new(socket, PollFlags::IN)];
    Ok(rustix::event::poll(&mut sources, Some(&timeout))? > 0)
}

/// The messages of a datagram, as far as they can be read.
fn parse(bytes: &[u8]) -> impl Iterator<Item = NetlinkPayload<RouteNetlinkMessage>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = NetlinkBuffer::new_checked(rest).ok()?.length() as usize;
        let message = NetlinkMessage::deserialize(rest).ok()?;
        // Each is padded to four bytes.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message.payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(index: u32, flags: LinkFlags) -> Vec<u8> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = flags;
        let payload = NetlinkPayload::from(RouteNetlinkMessage::NewLink(link));
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    #[test]
    fn reads_every_message_of_a_datagram_and_stops_where_it_is_cut() {
        let mut datagram = bytes(7, LinkFlags::Up);
        datagram.extend(bytes(8, LinkFlags::Up | LinkFlags::Running));
        let said: Vec<_> = parse(&datagram)
            .filter_map(|payload| match payload {
                NetlinkPayload::InnerMessage(said) => Some(said),
                _ => None,
            })
            .collect();
        assert_eq!(said.len(), 2);
        assert!(says_running(&said[0], 7, false) && !says_running(&said[0], 7, true));
        assert!(says_running(&said[1], 8, true) && !says_running(&said[1], 7, true));
        assert_eq!(parse(&datagram[..datagram.len() - 1]).count(), 1);
        assert_eq!(parse(&datagram[..3]).count(), 0);
    }

    #[test]
    fn only_address_loss_leaves_silence_to_the_kernel() {
        let both = [
            Fault::CarrierOnly,
            Fault::Carrier,
            Fault::Admin,
            Fault::Deleted,
        ];
        assert!(both.iter().all(|fault| fault.silences() == (true, true)));
        assert_eq!(Fault::Silent(Way::Up).silences(), (true, false));
        assert_eq!(Fault::Silent(Way::Down).silences(), (false, true));
        assert_eq!(Fault::Silent(Way::Both).silences(), (true, true));
        assert_eq!(Fault::Route.silences(), (true, false));
        assert_eq!(Fault::Address.silences(), (false, false));
    }
}
