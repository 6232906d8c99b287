//! Streams to servers that know nothing of mancom: one connection, and with a hook another after it.
//!
//! ```text
//!   user ── poll_read, poll_write ──► State { link, kept, .. } ◄── resume, drain ── tend (a task)
//!                                         │ an error: lost ─────────────────────────►┘
//! ```
//!
//! Without a hook a lost connection is an error, the same ever after: to continue a foreign protocol
//! silently would corrupt it. With one, a task of the stream's own (`tend`) puts another connection
//! beneath the stream; reads and writes are pending meanwhile. A connection is lost by an error on its
//! socket, by its network's going, and when its network no longer permits the stream's label. Without
//! a hook a network that is down and keeps the connection's address has not gone before the grace is
//! over: TCP outlasts a pulled cable.
//!
//! An orderly end by the server is an end, with or without a hook, and after it nothing is rebuilt.
//! What arrived before a loss without a hook is still read.
//!
//! # Limits
//!
//! With a rate limit writes are pending while as much went within the last second, on whichever
//! connections; what a hook itself writes is not counted. With a hook the last
//! [`send_buffer`](super::Settings::send_buffer) bytes written are kept for a replay, without one none.
//! Under a [limit](crate::account::Limit) of the process writes are pending while it lets nothing go; what
//! is read, and what a hook writes, counts towards its bytes.

mod limit;
mod look;
mod replay;
mod state;
mod terms;
mod told;
mod transfer;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::context::Context;
use super::error::SessionError;
use super::hooks::DynHook;
use super::report::ConnectReport;
use super::secure;
use super::tend::{self, Target};
use crate::deferral::{Operation, Registry};
use crate::label::Label;
use crate::network::Network;
use crate::transport::ByteLink;
use state::State;

pub(super) use look::Look;
pub(super) use replay::Fresh;

pub(super) struct Plain {
    state: Mutex<State>,
    /// Something changed that the tending task is to look at.
    news: Arc<Notify>,
    hooked: bool,
    /// What the bytes count for, and by which number this connection is known there.
    context: Arc<dyn Context>,
    number: u64,
    /// Where the stream is on a network: it has the policy, and is told what is measured.
    registry: Option<Arc<Registry>>,
    /// The task that tends the stream; it ends with the stream.
    tending: OnceLock<AbortHandle>,
    /// What it is known as while it waits for a network; made when it is asked for.
    operation: OnceLock<Operation>,
    /// How its first connection came about.
    report: OnceLock<Arc<ConnectReport>>,
    /// Who is at the far end of the first, if it proved that.
    #[cfg(feature = "tls")]
    peer: Option<crate::proto::session::handshake::Peer>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Some(task) = self.tending.get() {
            task.abort();
        }
        let (link, failed) = self.with(|state| {
            state.close_events();
            (state.link.take(), state.failed.clone())
        });
        match (link, failed) {
            (Some(link), None) => secure::finish(link, self.context.tasks().enter()),
            // A hook was just making it when the stream was aborted.
            (Some(link), Some(SessionError::Aborted)) => self.tear(link),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain")
            .field("hooked", &self.hooked)
            .finish_non_exhaustive()
    }
}

impl Plain {
    /// A stream over this connection, tended where something can happen to it.
    pub(super) fn new(
        link: Box<dyn ByteLink>,
        network: Option<Network>,
        hook: Option<Box<dyn DynHook>>,
        target: Option<Target>,
        context: &Arc<dyn Context>,
    ) -> Arc<Self> {
        let keep = match (&hook, &target) {
            (Some(_), Some(target)) => target.context.settings().send_buffer,
            _ => 0,
        };
        #[cfg(feature = "tls")]
        let peer = crate::tls::channel_of(&*link).peer;
        let label = target.as_ref().map_or(Label::ANY, |target| target.label);
        let worth_tending = hook.is_some() || network.is_some();
        let news = Arc::new(Notify::new());
        let mut state = State::new(link, network, label, keep);
        let target = target.filter(|_| worth_tending);
        let registry = target
            .as_ref()
            .map(|target| target.context.registry().clone());
        state.news = registry
            .as_ref()
            .map(|registry| (registry.snapshots(), registry.revised()));
        state.terms = Some(context.registry().revised());
        let plain = Arc::new(Self {
            context: Arc::clone(context),
            number: context.accounts().number(),
            state: Mutex::new(state),
            news: Arc::clone(&news),
            hooked: hook.is_some(),
            registry,
            tending: OnceLock::new(),
            operation: OnceLock::new(),
            report: OnceLock::new(),
            #[cfg(feature = "tls")]
            peer,
        });
        plain.with(|state| plain.set_terms(state));
        if let Some(target) = target {
            let task = tend::spawn(Arc::downgrade(&plain), news, hook, target);
            let _ = plain.tending.set(task);
        }
        plain
    }

    /// At most so many bytes a second from here on.
    pub(super) fn limit(&self, rate: Option<u64>) {
        self.with(|state| state.limit.set_rate(rate));
    }

    #[cfg(feature = "tls")]
    pub(super) fn peer(&self) -> Option<crate::proto::session::handshake::Peer> {
        self.peer.clone()
    }

    pub(super) fn set_report(&self, report: ConnectReport) {
        let _ = self.report.set(Arc::new(report));
    }

    pub(super) fn report(&self) -> Option<Arc<ConnectReport>> {
        self.report.get().cloned()
    }

    pub(super) fn operation(&self) -> Operation {
        let made = || Operation::named(Operation::RESUME);
        self.operation.get_or_init(made).clone()
    }

    /// Runs `f` under the lock; whom that concerns is woken without it.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut state);
        let wake = std::mem::take(&mut state.wake);
        let moved = std::mem::take(&mut state.moved);
        let row = state.row.clone().filter(|_| moved);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        if let Some(row) = row {
            row.publish();
        }
        result
    }

    pub(super) fn label(&self) -> Label {
        self.with(|state| state.label)
    }

    /// The label of the stream from now on; a network it no longer permits is given up.
    pub(super) fn set_label(&self, label: Label) {
        self.with(|state| {
            state.label = label;
            self.set_terms(state);
        });
        self.news.notify_one();
    }

    pub(super) fn fail(&self, error: SessionError) {
        self.with(|state| {
            state.link = None;
            state.fail(error);
        });
    }

    pub(super) fn abort(&self) {
        let link = self.with(|state| {
            state.fail(SessionError::Aborted);
            state.link.take()
        });
        if let Some(link) = link {
            self.tear(link);
        }
        self.news.notify_one();
    }

    /// The far end must not take what it has for all there is. A shutdown waits until it may know.
    fn tear(&self, mut link: Box<dyn ByteLink>) {
        link.tear();
        drop(secure::parted(link, self.context.tasks().enter()));
    }
}
