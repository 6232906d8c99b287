//! A dialled link to a group.

use crate::endpoint::Endpoint;
use crate::transport::DatagramLink;
use crate::transport::udp::check_size;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// A link to a group as [`Multicast`](super::Multicast) makes it.
#[derive(Debug)]
pub struct GroupLink {
    socket: UdpSocket,
    group: SocketAddr,
    to: Endpoint,
    max: usize,
}

impl GroupLink {
    pub(super) fn new(socket: UdpSocket, group: SocketAddr, to: Endpoint, max: usize) -> Self {
        Self {
            socket,
            group,
            to,
            max,
        }
    }
}

impl DatagramLink for GroupLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        check_size(datagram, self.max)?;
        ready!(self.socket.poll_send_to(cx, datagram, self.group))?;
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_recv_from(cx, buf))?;
        Poll::Ready(Ok(()))
    }

    /// The group.
    fn peer(&self) -> Option<Endpoint> {
        Some(self.to.clone())
    }

    fn local(&self) -> Option<IpAddr> {
        let local = self.socket.local_addr().ok()?.ip().to_canonical();
        Some(local).filter(|ip| !ip.is_unspecified())
    }

    fn max_datagram(&self) -> usize {
        self.max
    }
}
