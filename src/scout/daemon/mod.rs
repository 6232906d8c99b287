//! One scout for all processes of a host, over a Unix socket.
//!
//! A hundred programs need not each listen to the kernel, and only one of them may be allowed to ask a
//! network manager. So one process looks, and the others subscribe:
//!
//! ```text
//!   mancom scout ── Scout::system ──▶ snapshots ── Server ──▶ /run/mancom/scout.sock
//!                                                                │        │        │
//!   process ◀── own ids, overrides, estimates, binding ◀── Subscription   …        …
//! ```
//!
//! The [`Server`] sends the newest snapshot to who comes, and each later one; a subscriber that reads
//! too slowly skips to the newest. [`wire`] has the bytes.
//!
//! A subscriber is [`Scout::daemon`](super::Scout::daemon). It takes what it hears as it would take what the kernel says:
//! into a ledger of its own. So its [`NetworkId`](crate::NetworkId)s, generations and its log are its
//! own, and outlive the daemon. What this process states in its configuration and what it measured
//! win over what the daemon says; how a socket is bound is tried here, for privileges differ. The rest
//! is the daemon's, with its words for who said it: what managers of networks say, and what one network
//! has from another (a VPN from the wifi that carries it). So what concerns all belongs in the
//! configuration of the whole system.
//!
//! # While the daemon is away
//!
//! ```text
//!            lost                      1 s                         heard again
//!  heard ───────────▶ the last picture ───▶ this process looks ───────────────▶ heard
//!    ▲                      │               for itself (Fallback::Own)
//!    └──────────────────────┘
//!     heard again; tried after 50 ms, 100 ms, .. 2 s
//! ```
//!
//! A process that has no picture yet looks for itself at the first refusal, not after a second. With
//! [`Fallback::None`] it keeps the last picture, or is not complete until it has one.
//! [`Scout::source`](super::Scout::source) says so: `daemon PATH (reconnecting: WHY)`.
//!
//! A network that was up before and is up after with an address in common keeps its id, through a
//! restart of the daemon and through the fallback and back: no operation fails and nothing is started
//! again. Any other is a new epoch.
//!
//! # Whom to believe
//!
//! A subscriber believes a daemon of root or of its own user, in its own network namespace, and no
//! other. A daemon of root lets every user subscribe, for the kernel tells all of them the same; any
//! other lets its own user alone (and root).
//!
//! # Limits
//!
//! 1,024 subscribers; one more is refused with the reason. A line has 16 MiB at most, one of a
//! subscriber 1 KiB. A subscriber that has not taken a line after 10 s is left. A daemon that says
//! nothing for 30 s, not even that it lives, is away; so is one that has no snapshot 2 s after it was
//! asked, and one that says more than 1,000 lines within a second.

mod client;
mod connection;
mod error;
mod server;
mod socket;
#[cfg(test)]
mod tests;
pub mod wire;

pub(super) use client::watch;
pub use error::DaemonError;
pub use server::Server;

use std::path::PathBuf;

/// What a process does while the daemon cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fallback {
    /// It looks for itself, as without a daemon.
    #[default]
    Own,
    /// It keeps the last picture, however old.
    None,
}

/// Which daemon is listened to, and what happens without it.
#[derive(Debug)]
pub(super) struct Subscription {
    socket: PathBuf,
    fallback: Fallback,
}

impl Subscription {
    pub(super) fn new(socket: PathBuf, fallback: Fallback) -> Self {
        Subscription { socket, fallback }
    }
}
