//! The truth on Linux: one rtnetlink socket of our own, and what it tells.
//!
//! ```text
//! socket ──datagrams──▶ talk ──wire──▶ tables ──derive (rules, sysfs, overrides)──▶ networks
//!    ◀────dump requests──┘
//! ```
//!
//! The socket hears the groups for links, addresses, routes and rules, and asks for dumps: of all
//! at the start, after an overrun, a message that does not decode, and every 30 s; of the routes
//! where the kernel drops some in silence. [`talk`], [`tables`], [`rules`] and [`derive`] have
//! neither socket nor clock. References: rtnetlink(7), and Linux' `fib_frontend.c` for what goes
//! without a message.
//!
//! Limits: 2 × 4,096 routes, 1,024 rules, 1,024 addresses an interface; as many links as there are.

mod derive;
mod rules;
mod tables;
mod talk;
#[cfg(test)]
mod tests;
mod wire;

use super::system::{Feed, Settings};
use derive::Derive;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket as Raw, SocketAddr};
use std::io;
use std::os::fd::AsRawFd;
use talk::Talk;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Asked of the kernel; it gives what `net.core.rmem_max` allows.
const RECEIVE_BUFFER: i32 = 1 << 20;
/// A datagram of the kernel's is at most 32 KiB, but for a link with very many virtual functions.
const DATAGRAM: usize = 64 << 10;
/// So many datagrams are taken before anything else has its turn.
const TURN: usize = 256;

/// An open socket that hears what concerns us.
pub(super) struct Socket {
    raw: Raw,
    port: u32,
}

/// Opens the socket; needs no privilege.
pub(super) fn open() -> io::Result<Socket> {
    let mut raw = Raw::new(NETLINK_ROUTE)?;
    let port = raw.bind_auto()?.port_number();
    raw.set_non_blocking(true)?;
    // With a small buffer there are overruns, and looks; nothing is lost.
    let _ = raw.set_rx_buf_sz(RECEIVE_BUFFER);
    for group in [
        libc::RTNLGRP_LINK,
        libc::RTNLGRP_IPV4_IFADDR,
        libc::RTNLGRP_IPV6_IFADDR,
        libc::RTNLGRP_IPV4_ROUTE,
        libc::RTNLGRP_IPV6_ROUTE,
        libc::RTNLGRP_IPV4_RULE,
        libc::RTNLGRP_IPV6_RULE,
    ] {
        raw.add_membership(group)?;
    }
    Ok(Socket { raw, port })
}

/// Keeps the networks published as the kernel tells them; returns when the socket is of no use.
pub(super) async fn run(socket: Socket, settings: &Settings, feed: &mut Feed) -> io::Error {
    match watch(socket, settings, feed).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn watch(
    socket: Socket,
    settings: &Settings,
    feed: &mut Feed,
) -> io::Result<std::convert::Infallible> {
    let fd = AsyncFd::with_interest(socket.raw, Interest::READABLE)?;
    let mut talk = Talk::new(Instant::now().into_std(), socket.port, own_uid());
    let mut derive = Derive::new(&settings.overrides, &settings.sysfs, settings.bind);
    let mut buffer = Vec::with_capacity(DATAGRAM);
    let mut changed = false;
    loop {
        let now = Instant::now().into_std();
        if let Some(request) = talk.request(now) {
            fd.get_ref().send_to(&request, &SocketAddr::new(0, 0), 0)?;
        }
        let ended = talk.take_ended();
        if ended {
            derive.refresh();
        }
        changed |= talk.tables.take_changed() | ended;
        let held = feed.held_until().filter(|until| *until > now);
        if changed && talk.is_complete() && held.is_none() {
            feed.offer(now, derive.networks(&talk.tables));
            changed = false;
        }
        feed.publish(now);
        if ended {
            feed.looked();
        }
        let held = held.filter(|_| changed);
        let times = [Some(talk.timeout()), feed.due(), held];
        let next = times.into_iter().flatten().min().expect("the talk has a timeout");
        tokio::select! {
            ready = fd.readable() => {
                let mut ready = ready?;
                if !drain(ready.get_inner(), &mut buffer, &mut talk)? {
                    ready.clear_ready();
                }
            }
            () = feed.asked() => talk.look(Instant::now().into_std()),
            () = tokio::time::sleep_until(next.into()) => {
                talk.handle_timeout(Instant::now().into_std())?;
            }
        }
    }
}

/// Takes what has arrived; true if there may be more.
fn drain(raw: &Raw, buffer: &mut Vec<u8>, talk: &mut Talk) -> io::Result<bool> {
    for _ in 0..TURN {
        buffer.clear();
        let now = Instant::now().into_std();
        match raw.recv_from(buffer, libc::MSG_TRUNC) {
            // Only the kernel is believed.
            Ok((_, from)) if from.port_number() != 0 => {}
            Ok((length, _)) if length > buffer.len() => {
                buffer.reserve(length);
                talk.overrun(now);
            }
            Ok(_) => talk.receive(now, buffer)?,
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => talk.overrun(now),
                Some(libc::EAGAIN) => return Ok(false),
                Some(libc::EINTR) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(true)
}

/// The user whose packets the rules see; root's if `/proc` does not tell.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fd = self.raw.as_raw_fd();
        f.debug_struct("Socket").field("fd", &fd).field("port", &self.port).finish()
    }
}
