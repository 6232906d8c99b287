//! From outside a process: what it waits for, and a way to make it retry.
//!
//! ```text
//!   a process                            another of the same user
//!   manager ── registry                  mancom ops, mancom nudge, or any program
//!      |           ^                             |
//!      '-- server -'◄── FOLDER/PID-N.sock ◄── client: ops(folder), processes(folder)
//! ```
//!
//! A manager of `#[mancom::main]` opens a socket, unless `[monitor] enabled = false` in the
//! [configuration](super::config) says otherwise; `true` opens one for every manager that is built from
//! that configuration, and [`ManagerBuilder::inspect`](super::ManagerBuilder::inspect) says it in code. It
//! goes when the manager does. That it cannot be opened is a warning in the log and nothing else.
//!
//! # Who may
//!
//! The folder ([`folder`]) belongs to the user, mode 0700; one that another user owns, that others may
//! write to or that is a link is refused at both ends. The sockets are of mode 0600, and who connects must
//! be of the same user, or root. The file of a process that died goes when somebody lists the folder; where
//! a process listens, nobody takes its place: the next number is free.
//!
//! # Limits
//!
//! A question is at most 64 KiB; 16 connections are served at once, each ends after 5 s without a question
//! or when an answer is not taken for so long. An answer lists 10,000 operations in 16 MiB at most, and says
//! if there are more; so the answers of a process take 256 MiB at the very worst. A client gives a process
//! 2 s, its greeting included, and looks at 1,024 processes, 512 at a time. What is on the wire is in `wire.rs`, and no byte of it panics.

mod client;
mod error;
mod folder;
mod server;
mod told;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{Answered, Process, nudge_all, ops, processes, statuses};
pub use error::InspectError;
pub use folder::folder;
pub(super) use server::Server;
pub use told::{Operations, Status, Waiting};

use std::sync::{Arc, Weak};

use super::config::Monitor;
use super::limits::Limits;
use crate::deferral::Registry;
use crate::stream::tracker::Tracker;

/// Whether a manager is to have a socket, as far as its builder knows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    /// In code, above all else.
    pub(super) said: Option<bool>,
    /// Where nobody says anything, `#[mancom::main]` has one.
    pub(super) of_main: bool,
}

impl Wish {
    /// The socket, where it is wanted.
    pub(super) fn grant(
        self,
        monitor: &Monitor,
        registry: &Arc<Registry>,
        sessions: &Tracker,
        limits: Weak<Limits>,
    ) -> Option<Server> {
        let wanted = self.said.or(monitor.enabled).unwrap_or(self.of_main);
        let seen = server::Seen {
            registry: Arc::downgrade(registry),
            sessions: sessions.clone(),
            limits,
        };
        wanted.then(|| Server::start(folder(monitor), seen))
    }
}
