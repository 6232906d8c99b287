//! SIOCOUTQ: bytes of a TCP socket that the peer's kernel has not acknowledged.
//!
//! No crate wraps this request (rustix has its neighbours FIONREAD and FIONBIO only).
#![allow(unsafe_code)]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::io;
use std::os::fd::AsFd;

/// Bytes written to the socket and not yet acknowledged, sent or not. An end of the stream that was
/// sent and not acknowledged counts as one. See tcp(7), SIOCOUTQ.
pub(super) fn unacknowledged(socket: &impl AsFd) -> io::Result<u64> {
    const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;
    // SAFETY: the request writes one int to the address given and nothing else (tcp(7)); `Getter`
    // gives it the address of an int.
    let bytes = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}
