//! What is beneath TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::ByteLink;

/// The connection below: it counts what is written.
pub(super) struct Below {
    link: Box<dyn ByteLink>,
    written: u64,
    /// The last read filled what it was given: more is likely to be there.
    bulk: bool,
}

impl Below {
    pub(super) fn new(link: Box<dyn ByteLink>) -> Self {
        Self {
            link,
            written: 0,
            bulk: false,
        }
    }

    pub(super) fn link(&self) -> &dyn ByteLink {
        &*self.link
    }

    pub(super) fn link_mut(&mut self) -> &mut dyn ByteLink {
        &mut *self.link
    }

    pub(super) fn into_link(self) -> Box<dyn ByteLink> {
        self.link
    }

    /// Bytes that it took.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn has_more(&self) -> bool {
        self.bulk
    }

    pub(super) fn limit_unsent(&mut self, bytes: u32) {
        self.link.limit_unsent(bytes);
    }

    fn wrote(&mut self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let n = ready!(wrote)?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }
}

impl AsyncRead for Below {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.link).poll_read(cx, buf);
        this.bulk = read.is_ready() && buf.remaining() == 0;
        read
    }
}

impl AsyncWrite for Below {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.link).poll_write(cx, bytes);
        self.wrote(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.link).poll_write_vectored(cx, bufs);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}
