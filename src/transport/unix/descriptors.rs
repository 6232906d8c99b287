//! Passing open descriptors (SCM_RIGHTS, unix(7)).

use crate::transport::error::fail;
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Descriptors that are sent, or asked for, at once.
pub const MAX_DESCRIPTORS: usize = 64;

const SPACE: usize = cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// What was received with descriptors.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// How many bytes of the buffer were filled.
    pub bytes: usize,
    /// Not inherited by programs that this one runs (close-on-exec).
    pub descriptors: Vec<OwnedFd>,
    /// Whether more came than were asked for, or than this process may have open; they are closed.
    pub more_were_closed: bool,
}

pub(super) async fn send(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    bounded(descriptors.len())?;
    if bytes.is_empty() {
        let text = "descriptors travel with a byte";
        return Err(fail(io::ErrorKind::InvalidInput, text));
    }
    let sending = || {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits =
            descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors));
        debug_assert!(fits, "there is space for as many as are allowed");
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(sendmsg(
            stream,
            &[IoSlice::new(bytes)],
            &mut control,
            flags,
        )?)
    };
    stream.async_io(Interest::WRITABLE, sending).await
}

pub(super) async fn receive(
    stream: &UnixStream,
    buf: &mut [u8],
    most: usize,
) -> io::Result<Received> {
    bounded(most)?;
    if buf.is_empty() {
        let text = "descriptors travel with a byte, which needs room";
        return Err(fail(io::ErrorKind::InvalidInput, text));
    }
    let receiving = || {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space[..cmsg_space!(ScmRights(most))]);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let got = recvmsg(stream, &mut [IoSliceMut::new(buf)], &mut control, flags)?;
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                descriptors.extend(passed);
            }
        }
        // The space is rounded up, so there may be one more than was asked for.
        let beyond = descriptors.len() > most;
        descriptors.truncate(most);
        Ok(Received {
            bytes: got.bytes,
            descriptors,
            more_were_closed: beyond || got.flags.contains(ReturnFlags::CTRUNC),
        })
    };
    stream.async_io(Interest::READABLE, receiving).await
}

fn bounded(descriptors: usize) -> io::Result<()> {
    if descriptors <= MAX_DESCRIPTORS {
        return Ok(());
    }
    let text =
        format_args!("{descriptors} descriptors at once, where {MAX_DESCRIPTORS} is the most");
    Err(fail(io::ErrorKind::InvalidInput, text))
}
