//! One UDP link: a connected socket, or one source's part of a listener's.

use super::check_size;
use super::hub::Share;
use crate::endpoint::Endpoint;
use crate::transport::DatagramLink;
use crate::transport::remote::Remote;
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
    remote: Remote,
    local: Option<IpAddr>,
    max: usize,
}

enum Way {
    Own(UdpSocket),
    Shared(Share),
}

impl UdpLink {
    pub(super) fn new(socket: UdpSocket, remote: SocketAddr, to: &Endpoint, max: usize) -> Self {
        let remote = Remote::dialled(remote, to);
        Self {
            local: socket.local_addr().ok().map(|at| at.ip().to_canonical()),
            peer: remote.endpoint(to),
            way: Way::Own(socket),
            remote,
            max,
        }
    }

    pub(super) fn accepted(
        share: Share,
        (from, local): (SocketAddr, IpAddr),
        at: &Endpoint,
        max: usize,
    ) -> Self {
        let remote = Remote::accepted(from);
        Self {
            way: Way::Shared(share),
            peer: remote.endpoint(at),
            remote,
            local: Some(local.to_canonical()).filter(|ip| !ip.is_unspecified()),
            max,
        }
    }

    pub(super) fn leads_to(&self, contact: &Endpoint) -> bool {
        self.remote.leads_to(contact)
    }

    /// The address of the other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote.at()
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

    fn named(&mut self, contact: &Endpoint) -> bool {
        self.remote.name(contact)
    }
}
