//! One UDP link: a connected socket, or one source's part of a listener's.

use super::check_size;
use super::hub::Share;
use crate::endpoint::Endpoint;
use crate::transport::DatagramLink;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// A UDP link as [`Udp`](super::Udp) makes it.
pub struct UdpLink {
    way: Way,
    peer: Endpoint,
    remote: SocketAddr,
    local: Option<IpAddr>,
    /// The host as it was dialled; `None` for an accepted link.
    dialled: Option<String>,
    /// Where an accepted link's peer said that it listens.
    named: Option<SocketAddr>,
    max: usize,
}

enum Way {
    Own(UdpSocket),
    Shared(Share),
}

impl UdpLink {
    pub(super) fn new(socket: UdpSocket, remote: SocketAddr, to: &Endpoint, max: usize) -> Self {
        Self {
            local: socket.local_addr().ok().map(|at| at.ip().to_canonical()),
            dialled: Some(to.host().unwrap_or_default().to_owned()),
            peer: to.clone().with_ip(remote.ip()).with_port(remote.port()),
            way: Way::Own(socket),
            remote,
            named: None,
            max,
        }
    }

    pub(super) fn accepted(
        share: Share,
        (from, local): (SocketAddr, IpAddr),
        at: &Endpoint,
        max: usize,
    ) -> Self {
        let remote = SocketAddr::new(from.ip().to_canonical(), from.port());
        Self {
            way: Way::Shared(share),
            peer: at.clone().with_ip(remote.ip()).with_port(remote.port()),
            remote,
            local: Some(local.to_canonical()).filter(|ip| !ip.is_unspecified()),
            dialled: None,
            named: None,
            max,
        }
    }

    /// Whether this link was dialled to where `contact` leads, or its peer said that it listens there.
    pub(super) fn leads_to(&self, contact: &Endpoint) -> bool {
        if self.named.is_some() && self.named == contact.socket_addr() {
            return true;
        }
        let Some(host) = &self.dialled else {
            return false;
        };
        contact.port() == Some(self.remote.port())
            && (contact.ip() == Some(self.remote.ip()) || contact.host() == Some(host))
    }

    /// The address of the other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
}

impl fmt::Debug for UdpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpLink")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl DatagramLink for UdpLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Own(socket) => {
                check_size(datagram, self.max)?;
                ready!(socket.poll_send(cx, datagram))?;
                Poll::Ready(Ok(()))
            }
            Way::Shared(share) => share.poll_send(cx, datagram, self.max),
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Own(socket) => socket.poll_recv(cx, buf),
            Way::Shared(share) => share.poll_recv(cx, buf),
        }
    }

    fn peer(&self) -> Option<Endpoint> {
        Some(self.peer.clone())
    }

    fn local(&self) -> Option<IpAddr> {
        self.local
    }

    fn max_datagram(&self) -> usize {
        self.max
    }

    /// Taken note of if it is an address, and the one that the link comes from.
    fn named(&mut self, contact: &Endpoint) -> bool {
        let at = contact.socket_addr().filter(|at| at.port() > 0);
        let known = at.filter(|at| at.ip().to_canonical() == self.remote.ip());
        self.named = known.or(self.named);
        known.is_some()
    }
}
