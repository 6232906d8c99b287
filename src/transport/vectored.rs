//! Reading from a socket into several buffers with one system call.

use std::io::{self, IoSliceMut, Read};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;

/// The two calls of tokio's sockets that this needs.
pub(super) trait Readable {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Runs `f` if the socket is ready; `WouldBlock` from it clears the readiness it started with.
    fn attempt(&self, f: impl FnOnce(&socket2::Socket) -> io::Result<usize>) -> io::Result<usize>;
}

macro_rules! readable {
    ($socket:ty) => {
        impl Readable for $socket {
            fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }
            fn attempt(
                &self,
                f: impl FnOnce(&socket2::Socket) -> io::Result<usize>,
            ) -> io::Result<usize> {
                self.try_io(Interest::READABLE, || f(&socket2::SockRef::from(self)))
            }
        }
    };
}

readable!(tokio::net::TcpStream);
#[cfg(unix)]
readable!(tokio::net::UnixStream);

/// One vectored read.
///
/// Where readiness comes from epoll or kqueue, a read that did not fill the buffers drained the
/// socket, and the readiness seen *before* the read is given back: the next poll then waits
/// instead of asking the kernel for an EAGAIN. An event that came during the read is a newer
/// readiness and stays, so no wake-up is lost. `poll_read` of tokio does the same.
pub(super) fn poll_read_vectored(
    socket: &impl Readable,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>> {
    const EDGE: bool = cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_vendor = "apple"
    ));
    let room: usize = bufs.iter().map(|buf| buf.len()).sum();
    if room == 0 {
        return Poll::Ready(Ok(0));
    }
    loop {
        ready!(socket.poll_ready(cx))?;
        let mut drained = None;
        let outcome = socket.attempt(|mut inner| match inner.read_vectored(bufs) {
            Ok(n) if EDGE && 0 < n && n < room => {
                drained = Some(n);
                Err(io::ErrorKind::WouldBlock.into())
            }
            other => other,
        });
        match (outcome, drained) {
            (_, Some(n)) => return Poll::Ready(Ok(n)),
            (Err(e), None) if e.kind() == io::ErrorKind::WouldBlock => {}
            (Err(e), None) if e.kind() == io::ErrorKind::Interrupted => {}
            (outcome, None) => return Poll::Ready(outcome),
        }
    }
}
