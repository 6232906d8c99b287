//! What is beneath TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::endpoint::Endpoint;
use crate::transport::ByteLink;

/// So much of what came is taken at once while bulk comes: TLS alone would ask for 4 KiB a time.
const AHEAD: usize = 64 << 10;

/// The connection below: it counts what is written, and takes more than it is asked for while bulk comes.
pub(super) struct Below {
    link: Box<dyn ByteLink>,
    written: u64,
    /// What came and was not asked for yet.
    ahead: Vec<u8>,
    taken: usize,
    came: usize,
    /// The last read filled what it was given.
    bulk: bool,
}

impl Below {
    pub(super) fn new(link: Box<dyn ByteLink>) -> Self {
        Self {
            link,
            written: 0,
            ahead: Vec::new(),
            taken: 0,
            came: 0,
            bulk: false,
        }
    }

    pub(super) fn link(&self) -> &dyn ByteLink {
        &*self.link
    }

    /// Bytes that it took.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn limit_unsent(&mut self, bytes: u32) {
        self.link.limit_unsent(bytes);
    }

    pub(super) fn named(&mut self, contact: &Endpoint) -> bool {
        self.link.named(contact)
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
        if this.taken == this.came {
            if !this.bulk || buf.remaining() >= AHEAD {
                this.ahead = Vec::new();
                let read = Pin::new(&mut this.link).poll_read(cx, buf);
                this.bulk = read.is_ready() && buf.remaining() == 0;
                return read;
            }
            this.ahead.resize(AHEAD, 0);
            let mut into = ReadBuf::new(&mut this.ahead);
            let read = Pin::new(&mut this.link).poll_read(cx, &mut into);
            (this.taken, this.came) = (0, into.filled().len());
            this.bulk = read.is_ready() && this.came >= buf.remaining();
            ready!(read)?;
        }
        let rest = &this.ahead[this.taken..this.came];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        this.taken += n;
        Poll::Ready(Ok(()))
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
