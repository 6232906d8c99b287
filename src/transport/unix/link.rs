//! One Unix stream connection.

use super::Held;
#[cfg(target_os = "linux")]
use super::descriptors::{self, Received};
use super::place::Place;
use crate::endpoint::Endpoint;
use crate::transport::{ByteLink, Credentials, vectored};
use std::io::{self, IoSlice, IoSliceMut};
#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixStream, unix::UCred};

/// A Unix stream connection as [`Unix`](super::Unix) makes it.
#[derive(Debug)]
pub struct UnixLink {
    stream: UnixStream,
    peer: Endpoint,
    /// Where the peer listens, as far as it is known.
    pub(super) leads_to: Option<Held>,
}

impl UnixLink {
    pub(super) fn new(stream: UnixStream, peer: Endpoint, leads_to: Option<Held>) -> Self {
        Self {
            stream,
            peer,
            leads_to,
        }
    }

    /// User, group and, where the system tells it, process of the peer, as they were when it
    /// connected (or, seen by the dialler, when it began to listen).
    ///
    /// # Errors
    /// As the system reports them.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        self.stream.peer_cred()
    }

    /// Sends open descriptors with the first of these bytes; the number of bytes taken, at least one.
    /// With the first byte all descriptors are gone with it: send what is left of the bytes without them.
    ///
    /// The peer has them only if it asks for them; where it reads as ever they are closed there. Linux only.
    ///
    /// # Errors
    /// `InvalidInput` without a byte, or with more than [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS); else
    /// as the system reports them.
    ///
    /// # Cancel safety
    /// All descriptors were sent, or none and not a byte.
    #[cfg(target_os = "linux")]
    pub async fn send_descriptors(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        descriptors::send(&self.stream, bytes, descriptors).await
    }

    /// Receives bytes, and of the descriptors that came with them at most so many; what is beyond is
    /// closed. Bytes that came with different descriptors are never received together. Linux only.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS); else as the system reports them.
    ///
    /// # Cancel safety
    /// What was not returned is still there.
    #[cfg(target_os = "linux")]
    pub async fn receive_descriptors(&self, buf: &mut [u8], most: usize) -> io::Result<Received> {
        descriptors::receive(&self.stream, buf, most).await
    }
}

/// For calls of the system's own, such as options. Reading, writing or closing it is not for others.
impl std::os::fd::AsFd for UnixLink {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Whose process is at the other end of a socket.
pub(super) fn credentials(stream: &UnixStream) -> Option<Credentials> {
    let told = stream.peer_cred().ok()?;
    Some(Credentials {
        user: told.uid(),
        group: told.gid(),
        process: told.pid().and_then(|pid| u32::try_from(pid).ok()),
    })
}

/// Where a peer says that it listens, if that is a socket file of its user.
pub(super) fn vouched(stream: &UnixStream, contact: &Endpoint) -> Option<Held> {
    let place = Place::of(contact).ok()?;
    let user = credentials(stream)?.user;
    (place.owner() == Some(user)).then(|| place.held())?
}

impl AsyncRead for UnixLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for UnixLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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

impl ByteLink for UnixLink {
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
