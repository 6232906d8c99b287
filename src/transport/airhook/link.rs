//! One link: a stream that its driver shares.

use super::shared::Shared;
use crate::endpoint::Endpoint;
use crate::transport::{ByteLink, Measured};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A byte stream over Airhook, as [`Airhook`](super::Airhook) makes it.
pub struct AirhookLink {
    shared: Arc<Shared>,
    peer: Endpoint,
    /// Where it was dialled; `None` for an accepted link.
    dialled: Option<Endpoint>,
    local: Option<IpAddr>,
    /// Where the peer said that it listens.
    named: Option<SocketAddr>,
}

impl AirhookLink {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Endpoint,
        dialled: Option<Endpoint>,
        local: Option<IpAddr>,
    ) -> Self {
        Self {
            shared,
            peer,
            dialled,
            local,
            named: None,
        }
    }

    /// Drops it; whoever waits for `guard` to be dropped waits until what was written has arrived and the last
    /// word was answered for, or until it is given up.
    pub(crate) fn part(self, guard: impl Send + 'static) {
        self.shared.keep(Box::new(guard));
    }

    /// Whether this link was dialled to where `contact` leads, or its peer said that it listens there.
    pub(super) fn leads_to(&self, contact: &Endpoint) -> bool {
        if self.named.is_some() && self.named == contact.socket_addr() {
            return true;
        }
        let Some(dialled) = &self.dialled else {
            return false;
        };
        [dialled, &self.peer].into_iter().any(|at| {
            let there = (at.host(), at.path(), at.name());
            at.port() == contact.port() && there == (contact.host(), contact.path(), contact.name())
        })
    }
}

impl fmt::Debug for AirhookLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AirhookLink")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Drop for AirhookLink {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl AsyncRead for AirhookLink {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared.poll_read(cx, buf)
    }
}

impl AsyncWrite for AirhookLink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared.poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared.poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.shutdown();
        Poll::Ready(Ok(()))
    }
}

impl ByteLink for AirhookLink {
    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }

    fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// Taken note of if it is an address, and the one that the link comes from.
    fn named(&mut self, contact: &Endpoint) -> bool {
        let from = self.peer.ip().map(|ip| ip.to_canonical());
        let at = contact.socket_addr().filter(|at| at.port() > 0);
        let known = at.filter(|at| Some(at.ip().to_canonical()) == from);
        self.named = known.or(self.named);
        known.is_some()
    }

    fn acknowledged(&self) -> Option<u64> {
        Some(self.shared.confirmed())
    }

    fn measure(&self) -> Option<Measured> {
        Some(self.shared.measure())
    }

    fn tear(&mut self) {
        self.shared.tear();
    }

    fn limit_unsent(&mut self, bytes: u32) {
        self.shared.limit_unsent(bytes as usize);
    }
}
