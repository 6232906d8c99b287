//! One Unix connection that keeps the boundaries of messages.

use super::Held;
#[cfg(target_os = "linux")]
use super::descriptors::{self, Received};
use super::link::{credentials, vouched};
use crate::endpoint::Endpoint;
use crate::transport::error::fail;
use crate::transport::{Credentials, DatagramLink};
use socket2::SockRef;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UnixStream;

/// Bytes of the largest message. The system's own bound is the socket's send buffer, asked for below.
pub(super) const MAX: usize = 128 << 10;

/// So that a peer that is gone is an error, and no signal (SIGPIPE) to a program that does not ignore it:
/// Linux sends none for such sockets, BSD does, and Apple's systems have no such sockets.
#[cfg(not(target_vendor = "apple"))]
const UNSIGNALLED: i32 = rustix::net::SendFlags::NOSIGNAL.bits().cast_signed();
#[cfg(target_vendor = "apple")]
const UNSIGNALLED: i32 = 0;

/// A connection of `unix:/path?type=seqpacket` as [`Unix`](super::Unix) makes it: messages of 1 byte to
/// 128 KiB, none lost, in order.
#[derive(Debug)]
pub struct SeqpacketLink {
    /// For tokio's type any connected Unix socket is the same.
    stream: UnixStream,
    peer: Endpoint,
    /// Where the peer listens, as far as it is known.
    pub(super) leads_to: Option<Held>,
    ended: AtomicBool,
}

impl SeqpacketLink {
    pub(super) fn new(stream: UnixStream, peer: Endpoint, leads_to: Option<Held>) -> Self {
        // Where it is refused, large messages are.
        if let Err(e) = SockRef::from(&stream).set_send_buffer_size(2 * MAX) {
            tracing::debug!(target: "mancom::transport", error = %e, "SO_SNDBUF");
        }
        Self {
            stream,
            peer,
            leads_to,
            ended: AtomicBool::new(false),
        }
    }

    /// Sends one message, and open descriptors with it. The peer has them only if it asks for them; where
    /// it receives as ever they are closed there. Linux only.
    ///
    /// # Errors
    /// `InvalidInput` for an empty message, one above the limit, or more than
    /// [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS); else as the system reports them.
    ///
    /// # Cancel safety
    /// The message was sent, with its descriptors, or nothing.
    #[cfg(target_os = "linux")]
    pub async fn send_descriptors(
        &self,
        message: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        fits(message)?;
        descriptors::send(&self.stream, message, descriptors)
            .await
            .map_err(too_large)?;
        Ok(())
    }

    /// Receives one message, and of the descriptors that came with it at most so many; what is beyond is
    /// closed, and what of the message does not fit into `buf` is lost. Linux only.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS) or an empty `buf`;
    /// `UnexpectedEof` at the end; else as the system reports them.
    ///
    /// # Cancel safety
    /// What was not returned is still there.
    #[cfg(target_os = "linux")]
    pub async fn receive_descriptors(&self, buf: &mut [u8], most: usize) -> io::Result<Received> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(end());
        }
        let received = descriptors::receive(&self.stream, buf, most).await?;
        self.arrived(received.bytes)?;
        Ok(received)
    }

    /// Nothing is the end, now and ever after.
    fn arrived(&self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            self.ended.store(true, Ordering::Relaxed);
            return Err(end());
        }
        Ok(())
    }
}

/// For calls of the system's own, such as options. Reading, writing or closing it is not for others.
impl std::os::fd::AsFd for SeqpacketLink {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn end() -> io::Error {
    fail(
        io::ErrorKind::UnexpectedEof,
        "the peer closed the connection",
    )
}

fn fits(message: &[u8]) -> io::Result<()> {
    let text = match message.len() {
        0 => "an empty message cannot be told from the end".to_owned(),
        1..=MAX => return Ok(()),
        len => format!("a message of {len} bytes, where {MAX} is the most"),
    };
    Err(fail(io::ErrorKind::InvalidInput, text))
}

/// A system that has no larger buffers says so in its own way.
fn too_large(error: io::Error) -> io::Error {
    let message_size = rustix::io::Errno::MSGSIZE.raw_os_error();
    match error.raw_os_error() {
        Some(number) if number == message_size => {
            io::Error::new(io::ErrorKind::InvalidInput, error)
        }
        _ => error,
    }
}

impl DatagramLink for SeqpacketLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        fits(datagram)?;
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let sending = || SockRef::from(&self.stream).send_with_flags(datagram, UNSIGNALLED);
            match self.stream.try_io(Interest::WRITABLE, sending) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent.map(drop).map_err(too_large)),
            }
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            let text = "a message needs room";
            return Poll::Ready(Err(fail(io::ErrorKind::InvalidInput, text)));
        }
        if self.ended.load(Ordering::Relaxed) {
            return Poll::Ready(Err(end()));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match self.stream.try_io(Interest::READABLE, || {
                std::io::Read::read(&mut &*SockRef::from(&self.stream), room)
            }) {
                Ok(n) => {
                    self.arrived(n)?;
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn max_datagram(&self) -> usize {
        MAX
    }

    fn peer(&self) -> Option<Endpoint> {
        Some(self.peer.clone())
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        let vouched = vouched(&self.stream, contact);
        let known = vouched.is_some();
        self.leads_to = vouched.or_else(|| self.leads_to.take());
        known
    }

    fn credentials(&self) -> Option<Credentials> {
        credentials(&self.stream)
    }
}
