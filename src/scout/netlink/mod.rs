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
mod inherit;
mod kinds;
mod rules;
mod tables;
mod talk;
#[cfg(test)]
mod tests;
mod wire;

use super::resolv_conf::ResolvConf;
use super::system::{Call, Feed, Settings};
use derive::Derive;
use futures_util::FutureExt;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::Poll;
use talk::Talk;
use tokio::time::Instant;

/// Asked of the kernel; it gives what `net.core.rmem_max` allows.
const RECEIVE_BUFFER: i32 = 1 << 20;
/// So many datagrams are taken before anything else has its turn.
const TURN: usize = 256;

/// An open socket that hears what concerns us.
pub(super) struct Socket {
    raw: TokioSocket,
    port: u32,
}

/// Opens the socket, inside a runtime; needs no privilege.
pub(super) fn open() -> io::Result<Socket> {
    let mut raw = TokioSocket::new(NETLINK_ROUTE)?;
    let socket = raw.socket_mut();
    let port = socket.bind_auto()?.port_number();
    // With a small buffer there are overruns, and looks; nothing is lost.
    let _ = socket.set_rx_buf_sz(RECEIVE_BUFFER);
    for group in [
        libc::RTNLGRP_LINK,
        libc::RTNLGRP_IPV4_IFADDR,
        libc::RTNLGRP_IPV6_IFADDR,
        libc::RTNLGRP_IPV4_ROUTE,
        libc::RTNLGRP_IPV6_ROUTE,
        libc::RTNLGRP_IPV4_RULE,
        libc::RTNLGRP_IPV6_RULE,
    ] {
        socket.add_membership(group)?;
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
    let mut talk = Talk::new(Instant::now().into_std(), socket.port, own_uid());
    let mut derive = Derive::new(&settings.sysfs, settings.bind);
    let mut resolv_conf = ResolvConf::new(&settings.resolv_conf);
    derive.serve(resolv_conf.servers());
    let mut changed = false;
    loop {
        let now = Instant::now().into_std();
        if talk.is_deaf() {
            check_empty(socket.raw.socket_ref(), &mut talk, now)?;
        }
        if let Some(request) = talk.request(now) {
            socket
                .raw
                .socket_ref()
                .send_to(&request, &SocketAddr::new(0, 0), 0)?;
        }
        let ended = talk.take_ended();
        if ended {
            derive.refresh();
            resolv_conf.look();
            derive.serve(resolv_conf.servers());
        }
        changed |= talk.tables.take_changed() | ended;
        let held = feed.held_until().filter(|until| *until > now);
        if changed && talk.is_complete() && held.is_none() {
            let networks = derive.networks(&talk.tables, &feed.overrides(), feed.hearsay());
            feed.offer(now, networks);
            changed = false;
        }
        feed.publish(now);
        if ended {
            feed.looked(now);
        }
        let held = held.filter(|_| changed);
        let times = [Some(talk.timeout()), feed.due(), held];
        let next = times
            .into_iter()
            .flatten()
            .min()
            .expect("the talk has a timeout");
        tokio::select! {
            heard = hear(&socket.raw, &mut talk) => heard?,
            call = feed.called() => match call {
                Call::Look => talk.look(Instant::now().into_std()),
                Call::Stir => changed = true,
            },
            () = resolv_conf.touched() => {
                changed |= resolv_conf.look();
                derive.serve(resolv_conf.servers());
            }
            () = tokio::time::sleep_until(next.into()) => {
                // An answer that waits in the socket was in time, if this task was not.
                hear(&socket.raw, &mut talk).now_or_never().transpose()?;
                talk.handle_timeout(Instant::now().into_std())?;
            }
        }
    }
}

/// Waits for datagrams and takes all that have arrived, within bounds.
///
/// # Cancel safety
///
/// Cancel safe: what was taken is in `talk`.
async fn hear(raw: &TokioSocket, talk: &mut Talk) -> io::Result<()> {
    poll_fn(|cx| {
        for taken in 0..TURN {
            let now = Instant::now().into_std();
            match raw.poll_recv_from_full(cx) {
                // Only the kernel is believed.
                Poll::Ready(Ok((_, from))) if from.port_number() != 0 => {}
                Poll::Ready(Ok((datagram, _))) => talk.receive(now, &datagram)?,
                Poll::Ready(Err(error)) => match error.raw_os_error() {
                    Some(libc::ENOBUFS) => talk.overrun(now),
                    Some(libc::EINTR) => {}
                    _ => return Poll::Ready(Err(error)),
                },
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// Looks whether nothing is left in the socket; asked of the kernel, for a task whose turn is over is
/// shown nothing either.
fn check_empty(
    socket: &netlink_sys::Socket,
    talk: &mut Talk,
    now: std::time::Instant,
) -> io::Result<()> {
    let mut first = [0];
    match socket.recv(&mut &mut first[..], libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => talk.drained(),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOBUFS) => talk.overrun(now),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        },
    }
    Ok(())
}

/// The user whose packets the rules see; root's if `/proc` does not tell.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.raw.as_raw_fd()
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fd = self.raw.as_raw_fd();
        f.debug_struct("Socket")
            .field("fd", &fd)
            .field("port", &self.port)
            .finish()
    }
}
