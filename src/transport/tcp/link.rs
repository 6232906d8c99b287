//! One TCP connection.

use crate::endpoint::Endpoint;
#[cfg(target_os = "linux")]
use crate::transport::Measured;
use crate::transport::remote::Remote;
use crate::transport::{ByteLink, vectored};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection as [`Tcp`](super::Tcp) makes it.
#[derive(Debug)]
pub struct TcpLink {
    stream: TcpStream,
    peer: Endpoint,
    remote: Remote,
    local: Option<IpAddr>,
    written: u64,
}

/// Whether small writes leave at once: unless told otherwise. What is neither was refused before.
fn nodelay(given: &Endpoint) -> bool {
    !matches!(given.typed().switch("nodelay"), Ok(Some(false)))
}

impl TcpLink {
    pub(super) fn dialled(stream: TcpStream, to: &Endpoint) -> io::Result<Self> {
        let remote = Remote::dialled(stream.peer_addr()?, to);
        Ok(Self::new(stream, remote, to))
    }

    pub(super) fn accepted(stream: TcpStream, from: SocketAddr, at: &Endpoint) -> Self {
        Self::new(stream, Remote::accepted(from), at)
    }

    fn new(stream: TcpStream, remote: Remote, given: &Endpoint) -> Self {
        // Fails only if the peer is gone already, which the first read will tell.
        if let Err(e) = stream.set_nodelay(nodelay(given)) {
            tracing::debug!(target: "mancom::transport", error = %e, "TCP_NODELAY");
        }
        Self {
            local: stream.local_addr().ok().map(|at| at.ip().to_canonical()),
            peer: remote.endpoint(given),
            remote,
            stream,
            written: 0,
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

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let n = ready!(written)?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }
}

impl AsyncRead for TcpLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteLink for TcpLink {
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        vectored::poll_read_vectored(&self.stream, cx, bufs)
    }

    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }

    fn local(&self) -> Option<IpAddr> {
        self.local
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        self.remote.name(contact)
    }

    #[cfg(target_os = "linux")]
    fn acknowledged(&self) -> Option<u64> {
        let outstanding = crate::transport::outq::unacknowledged(&self.stream).ok()?;
        Some(self.written.saturating_sub(outstanding))
    }

    #[cfg(target_os = "linux")]
    fn measure(&self) -> Option<Measured> {
        let measured = crate::transport::tcp_info::measure(&self.stream).ok()?;
        let outstanding = crate::transport::outq::unacknowledged(&self.stream).ok();
        Some(Measured {
            outstanding,
            ..measured
        })
    }

    /// The system resets what is closed without time to linger.
    fn tear(&mut self) {
        let at_once = Some(std::time::Duration::ZERO);
        if let Err(e) = socket2::SockRef::from(&self.stream).set_linger(at_once) {
            tracing::debug!(target: "mancom::transport", error = %e, "SO_LINGER");
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn limit_unsent(&mut self, bytes: u32) {
        // Where it is refused the queue is longer, and nothing else is wrong.
        if let Err(e) = socket2::SockRef::from(&self.stream).set_tcp_notsent_lowat(bytes) {
            tracing::debug!(target: "mancom::transport", error = %e, "TCP_NOTSENT_LOWAT");
        }
    }
}
