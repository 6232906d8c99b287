//! Bytes through rustls: what it reads from and writes to the connection below, in whose poll.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use rustls::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::unconstrained;

use super::below::Below;
use super::explain::explained;
use super::link::TlsLink;

/// What is below as rustls wants it: `WouldBlock` where it is pending.
struct Blocking<'a, 'b>(&'a mut Below, &'a mut Context<'b>);

fn blocked<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn polled<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl Read for Blocking<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        blocked(Pin::new(&mut *self.0).poll_read(self.1, &mut buf))?;
        Ok(buf.filled().len())
    }
}

impl Write for Blocking<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_write(self.1, bytes))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        blocked(Pin::new(&mut *self.0).poll_write_vectored(self.1, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocked(Pin::new(&mut *self.0).poll_flush(self.1))
    }
}

/// The error that reading ended with, kept until what came before it was read.
#[derive(Default)]
pub(super) struct Failed(Option<io::Error>);

impl Failed {
    /// That of TLS stays, for what is below knows nothing of it and may be silent for ever; that of what is
    /// below it says again itself.
    fn tell(&mut self) -> Option<io::Error> {
        let error = self.0.take()?;
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        let again = tls.map(|tls: &rustls::Error| io::Error::new(error.kind(), tls.clone()));
        self.0 = again;
        Some(error)
    }
}

/// Reads what is there: records are 16 KiB at most, and a buffer is to be filled with one call.
fn poll_fill(
    tls: &mut Connection,
    below: &mut Below,
    failed: &mut Failed,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>> {
    let mut filled = 0;
    for buf in bufs {
        let mut at = 0;
        while at < buf.len() {
            match tls.reader().read(&mut buf[at..]) {
                Ok(0) => return Poll::Ready(Ok(filled)),
                Ok(n) => {
                    (at, filled) = (at + n, filled + n);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It says that again.
                Err(_) if filled > 0 => return Poll::Ready(Ok(filled)),
                Err(error) => return Poll::Ready(Err(error)),
            }
            if filled > 0 && (failed.0.is_some() || !below.has_more()) {
                return Poll::Ready(Ok(filled));
            }
            if let Some(error) = failed.tell() {
                return Poll::Ready(Err(error));
            }
            // What is in the buffers already must not wait for the task's next turn.
            let more = match filled {
                0 => poll_decrypt(tls, below, cx),
                _ => beyond_budget(cx, |cx| poll_decrypt(tls, below, cx)),
            };
            match more {
                Poll::Ready(Ok(())) => {}
                // Whole records may have come before it.
                Poll::Ready(Err(error)) => failed.0 = Some(error),
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(filled)),
            }
        }
    }
    Poll::Ready(Ok(filled))
}

/// Polls without regard to tokio's budget: to run out of it in the middle of a read would wake a task that
/// has returned with something.
fn beyond_budget<T>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    pin!(unconstrained(poll_fn(poll))).poll(cx)
}

/// Takes more from below; ready also if that was no whole record, or the end.
fn poll_decrypt(
    tls: &mut Connection,
    below: &mut Below,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    ready!(polled(tls.read_tls(&mut Blocking(below, cx))))?;
    Poll::Ready(match tls.process_new_packets() {
        Ok(_) => Ok(()),
        Err(error) => {
            // An alert that says why, if it goes at once.
            let _ = tls.write_tls(&mut Blocking(below, cx));
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
    })
}

/// Until nothing waits above what is below.
fn poll_push(
    tls: &mut Connection,
    below: &mut Below,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while tls.wants_write() {
        if ready!(polled(tls.write_tls(&mut Blocking(below, cx))))? == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
    }
    Poll::Ready(Ok(()))
}

impl TlsLink {
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let read = poll_fill(&mut this.tls, &mut this.below, &mut this.failed, cx, bufs);
        let waits = self.tls.wants_write();
        if waits || read.is_pending() {
            // Also for what is written later by another task, which may not come back for the rest of it.
            self.waiting.reader.register(cx.waker());
        }
        if waits {
            // What it is told of an error here it is told by reading, if there is nothing to read.
            let _ = self.poll_go(poll_push);
        }
        read.map_err(explained)
    }

    /// One of the calls that write, with the waker of both who may wait.
    fn poll_go<T>(
        &mut self,
        go: impl FnOnce(&mut Connection, &mut Below, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut cx = Context::from_waker(&self.waker);
        let went = go(&mut self.tls, &mut self.below, &mut cx);
        self.mark();
        went.map_err(explained)
    }
}

impl AsyncRead for TlsLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bufs = [IoSliceMut::new(buf.initialize_unfilled())];
        let n = ready!(self.poll_read_into(cx, &mut bufs))?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsLink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        // rustls would take it, and send nothing after a close_notify.
        if self.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.waiting.writer.register(cx.waker());
        let this = &mut *self;
        let written = &mut this.written;
        let mut cx = Context::from_waker(&this.waker);
        let (tls, below) = (&mut this.tls, &mut this.below);
        let mut go = || {
            // What was encrypted can be overtaken by nothing more: no more of it than must be.
            ready!(poll_push(tls, below, &mut cx))?;
            let n = tls.writer().write_vectored(bufs)?;
            *written += n as u64;
            // What is told of an error here is told by the next call.
            let _ = poll_push(tls, below, &mut cx);
            Poll::Ready(Ok(n))
        };
        let wrote = go().map_err(explained);
        self.mark();
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting.writer.register(cx.waker());
        self.poll_go(|tls, below, cx| {
            ready!(poll_push(tls, below, cx))?;
            Pin::new(below).poll_flush(cx)
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting.writer.register(cx.waker());
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.tls.send_close_notify();
        }
        self.poll_go(|tls, below, cx| {
            ready!(poll_push(tls, below, cx))?;
            match ready!(Pin::new(below).poll_shutdown(cx)) {
                // The far end was faster.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
                shut => Poll::Ready(shut),
            }
        })
    }
}
