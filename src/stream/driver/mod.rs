//! The driver of a session: a lock around its core, not a pipe to a task.
//!
//! ```text
//!   poll_read / poll_write ──► lock ─► core ─► the path's socket, in the same poll
//!                                │
//!   one task a session ──────────┘  timers, idle paths, what no caller polls for
//! ```
//!
//! `sockets` reads the paths and `transmit` writes to them in whoever's poll it is, `books` is what the
//! sessions of a process tell each other, `fees` what bytes count for, `wakers` decides whom the sockets' news wakes, `serve` is the
//! task, `messages` the ways in of messages, and `state` what the lock guards: `news` is what its core
//! reports, `nearby` what becomes of its networks.
//!
//! Every entry goes through [`Driver::with`]: lock, look at a newer snapshot or policy, run, collect
//! what the core reports, unlock, and only then wake. No user code and no waker runs under the lock.

mod books;
mod fees;
mod line;
mod messages;
mod nearby;
mod news;
mod scratch;
mod serve;
mod sockets;
mod state;
mod transmit;
mod turn;
mod waits;
mod wakers;

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use tokio::io::ReadBuf;

use super::asked::Asks;
use super::context::Context;
use super::error::SessionError;
use super::events::{Events, PathEvent, PathInfo, StreamStats};
use super::gauge::Gauge;
use super::report::ConnectReport;
use super::secure::leave;
use crate::clock::Clock;
use crate::deferral::Operation;
use crate::label::Label;
use crate::label::matching::{Destination, PathFacts};
use crate::network::Network;
use crate::proto::schedule::estimate::Way;
use crate::proto::session::handshake::Credentials;
use crate::proto::session::{CloseReason, PathId, PathSides, Session, StreamId};
use crate::transport::ByteLink;

pub(super) use messages::{Outcome, fate};
pub(super) use serve::spawn;
pub(super) use sockets::Outgoing;
pub(super) use state::{Advertise, State, TellDetached};
pub(super) use turn::Turn;

use books::Books;
use fees::{Fees, Terms};
pub(super) use sockets::Presence;
use sockets::{Link, READS};
use state::add;
use wakers::Wakers;

/// A session with its paths; shared by its streams, its handles and its task.
pub(crate) struct Driver {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    pub(super) context: Arc<dyn Context>,
    /// The label given to `connect`; the default of streams.
    pub(super) label: Label,
    /// Where a dialler's session goes; `None` at the listener.
    destination: Option<Destination>,
    /// What a dialler's session is known as while it waits for a path; made when it is asked for.
    operation: OnceLock<Operation>,
    /// How a dialler's session came to its first path.
    report: OnceLock<Arc<ConnectReport>>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Driver {
    pub(super) fn new(
        core: Session,
        context: Arc<dyn Context>,
        label: Label,
        destination: Option<Destination>,
        asks: &Asks,
    ) -> Arc<Self> {
        let registry = context.registry();
        let wakers = Arc::new(Wakers::default());
        let member = context.accounts().join(asks.priority);
        let terms = Terms {
            accounts: Arc::clone(context.accounts()),
            limits: context.limits(),
            policy: registry.policy(),
            who: member.number(),
        };
        let books = Books::new(member);
        let anonymous = asks.anonymous;
        let mut state = State::new(
            core,
            Arc::clone(&wakers),
            registry,
            (books, terms),
            anonymous,
        );
        state.core.set_policy(Clock::recent(), registry.policy());
        Arc::new(Self {
            state: Mutex::new(state),
            wakers,
            context,
            label,
            destination,
            operation: OnceLock::new(),
            report: OnceLock::new(),
        })
    }

    /// Runs `f` under the lock, then wakes whoever the core's events concern.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> R {
        // The time asleep is looked up by the task's timers; a clock call less on the data path.
        let now = Clock::recent();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wakers.locked();
        state.follow(now, &*self.context);
        let result = f(&mut state, now);
        let rearm = state.settle(now);
        let wake = std::mem::take(&mut state.wake);
        let samples = std::mem::take(&mut state.samples);
        let counted = std::mem::take(&mut state.counted);
        let links = std::mem::take(&mut state.parted);
        let detached = state.detachment();
        let meanwhile = self.wakers.unlocked();
        drop(state);
        self.wakers.meanwhile(meanwhile);
        if rearm {
            self.wakers.nudge();
        }
        wake.into_iter().for_each(Waker::wake);
        for (network, sample) in samples {
            self.context.registry().scout().report(network, sample);
        }
        for link in links {
            leave(link, self.context.tasks().enter());
        }
        for row in counted {
            row.publish();
        }
        if let Some((tell, word, bytes)) = detached {
            tell(word, bytes);
        }
        result
    }

    /// Whether somebody is under the lock, who then wakes the session's task after it.
    fn is_held(&self) -> bool {
        // The marks of whoever panicked under it stay.
        self.wakers.wants_lock() && matches!(self.state.try_lock(), Err(TryLockError::WouldBlock))
    }

    pub(super) fn on_detached(&self, tell: TellDetached) {
        self.with(|state, _| state.on_detached = Some(tell));
    }

    pub(super) fn advertise(&self, advertise: Advertise) {
        self.with(|state, _| state.advertise(advertise));
    }

    /// Given up at the listener's bound, unless a path came back meanwhile.
    pub(super) fn evict(&self) {
        self.with(|state, now| {
            if state.links.is_empty() {
                state.core.abort(now, CloseReason::Evicted);
            }
        });
        self.wakers.summon();
    }

    /// The session's task is over.
    fn finish(&self) {
        let links = self.with(|state, now| {
            state.count_bytes(now);
            state.books = None;
            state.on_detached = None;
            std::mem::take(&mut state.links)
        });
        for link in links {
            leave(link.io, self.context.tasks().enter());
        }
    }

    pub(super) fn operation(&self) -> Operation {
        let made = || Operation::named(Operation::STREAM);
        self.operation.get_or_init(made).clone()
    }

    pub(super) fn set_report(&self, report: ConnectReport) {
        let _ = self.report.set(Arc::new(report));
    }

    pub(super) fn report(&self) -> Option<Arc<ConnectReport>> {
        self.report.get().cloned()
    }

    pub(super) fn destination(&self) -> Option<Destination> {
        self.destination.clone()
    }

    // ---- streams

    pub(super) fn open(&self, label: Label) -> Result<StreamId, SessionError> {
        self.with(|state, now| {
            let id = state
                .core
                .open(now, label)
                .map_err(|error| state.session_error(error))?;
            state.handles += 1;
            state.note_label(&label);
            state.transmit(now);
            Ok(id)
        })
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut TaskContext<'_>,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        label: Option<Label>,
    ) -> Poll<io::Result<Option<Label>>> {
        self.with(|state, now| {
            let result = state.read(now, id, buf);
            state.transmit(now);
            match result {
                Ok(None) => {
                    if let Some(reason) = label.and_then(|label| state.impossible(&label)) {
                        return Poll::Ready(Err(reason));
                    }
                    remember(&mut state.waiters(id).read, cx.waker());
                    self.wakers.set_steward(cx.waker());
                    Poll::Pending
                }
                Ok(Some(label)) => Poll::Ready(Ok(label)),
                Err(error) => Poll::Ready(Err(state.io_error(error))),
            }
        })
    }

    /// Takes what fits of `data`; pending when the replay buffer is full.
    pub(super) fn poll_write(
        &self,
        cx: &mut TaskContext<'_>,
        id: StreamId,
        label: Label,
        data: Outgoing<'_>,
    ) -> Poll<io::Result<usize>> {
        self.with(|state, now| {
            let result = state.write(now, id, label, data);
            match result {
                Ok(0) => {
                    remember(&mut state.waiters(id).write, cx.waker());
                    if !state.has_readers() {
                        self.wakers.set_steward(cx.waker());
                    }
                    Poll::Pending
                }
                Ok(n) => {
                    // A writer may be the only task of this session that is ever polled.
                    if self.wakers.is_ready() && !state.has_readers() {
                        state.receive(now, READS);
                        state.transmit(now);
                    }
                    Poll::Ready(Ok(n))
                }
                Err(error) => Poll::Ready(Err(state.io_error(error))),
            }
        })
    }

    pub(super) fn set_label(&self, id: StreamId, label: Label) {
        self.with(|state, now| {
            state.core.set_label(now, id, label);
            state.unsettled = true;
        });
        self.wakers.nudge();
    }

    /// Pushes what waits to the sockets; never waits itself.
    pub(super) fn flush(&self) {
        self.with(|state, now| state.transmit(now));
    }

    pub(super) fn poll_shutdown(
        &self,
        cx: &mut TaskContext<'_>,
        id: StreamId,
    ) -> Poll<io::Result<()>> {
        self.with(|state, now| {
            state.core.shutdown(now, id);
            state.transmit(now);
            state.receive(now, READS);
            state.transmit(now);
            match state.core.is_shut(id) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    state.waiters(id).shut = Some(cx.waker().clone());
                    if !state.has_readers() {
                        self.wakers.set_steward(cx.waker());
                    }
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(state.io_error(error))),
            }
        })
    }

    /// Ends our direction in the background.
    pub(super) fn end(&self, id: StreamId) {
        self.with(|state, now| {
            state.core.shutdown(now, id);
            state.transmit(now);
        });
    }

    /// A stream's last handle went: shutdown in the background, no more reads.
    pub(super) fn release(&self, id: StreamId) {
        self.with(|state, now| {
            state.core.release(now, id);
            state.waiters.retain(|(known, _)| *known != id);
            state.leave(now);
        });
        self.wakers.summon();
    }

    pub(super) fn reset(&self, id: StreamId) {
        self.with(|state, now| {
            state.core.reset(now, id, 0);
            state.transmit(now);
        });
    }

    // ---- handles of the session

    pub(super) fn enter(&self) {
        self.with(|state, _| state.handles += 1);
    }

    pub(super) fn leave(&self) {
        self.with(|state, now| state.leave(now));
        self.wakers.summon();
    }

    pub(super) fn close(&self) {
        self.with(|state, now| {
            state.core.close(now);
            state.stop_sending();
            state.transmit(now);
        });
        self.wakers.summon();
    }

    pub(super) fn abort(&self, reason: CloseReason) {
        self.with(|state, now| {
            state.core.abort(now, reason);
            state.transmit(now);
        });
        self.wakers.summon();
    }

    pub(super) fn events(&self) -> Events {
        self.with(|state, _| {
            let open = state.links.iter().map(|link| state.info(link));
            let open: Vec<PathEvent> = open.map(PathEvent::Up).collect();
            state.subscribers.subscribe(open)
        })
    }

    pub(super) fn paths(&self) -> Vec<PathInfo> {
        self.with(|state, _| state.links.iter().map(|link| state.info(link)).collect())
    }

    /// Whether an open path may carry this label and does not owe an answer in silence.
    pub(super) fn is_carried(&self, label: &Label) -> bool {
        self.with(|state, _| {
            let is_well = |path: PathId| {
                let state = state.core.path_state(path);
                state.is_some_and(|state| state.silent.is_none())
            };
            let here = |presence| !matches!(presence, Presence::Away { .. });
            let mut open = state.present_paths();
            open.any(|(path, _, presence)| {
                here(presence) && is_well(path) && state.core.permits(path, label)
            })
        })
    }

    pub(super) fn ways(&self, label: &Label) -> Vec<Way> {
        self.with(|state, now| state.core.ways(now, label))
    }

    pub(super) fn stats(&self, id: StreamId) -> StreamStats {
        self.with(|state, _| {
            let offsets = state.core.offsets(id).unwrap_or_default();
            let mut networks = state.totals.clone();
            for link in &state.links {
                add(
                    &mut networks,
                    link,
                    state.core.path_stats(link.path).unwrap_or_default(),
                );
            }
            StreamStats {
                written: offsets.written,
                acknowledged: offsets.acknowledged,
                read: offsets.read,
                networks,
            }
        })
    }

    // ---- paths

    pub(super) fn credentials(&self) -> Credentials {
        self.with(|state, _| state.core.credentials().clone())
    }

    /// Whether a path joined under this id with this epoch or a later one.
    pub(super) fn has_seen(&self, path: PathId) -> bool {
        self.with(|state, _| state.core.has_seen(path))
    }

    /// A proved path joins. `Err` gives why it may not.
    pub(super) fn attach(
        &self,
        path: PathId,
        io: Box<dyn ByteLink>,
        network: Option<Network>,
        remote: PathFacts,
    ) -> Result<(), crate::proto::session::AttachError> {
        self.with(|state, now| {
            let sides = PathSides {
                local: network.clone(),
                remote,
            };
            state.core.attach(now, path, sides)?;
            // Most sessions have one path, ever: room for four, as a push would make it, is three too many.
            state.links.reserve_exact(1);
            state.links.push(Link {
                path,
                io,
                network,
                bulk: false,
                direct: false,
                unflushed: false,
                gauge: Gauge::default(),
                fees: Fees::default(),
                presence: Presence::Here,
                dead: None,
            });
            state.begin_fees(now, state.links.len() - 1);
            let info = state.info(state.links.last().expect("just pushed"));
            tracing::debug!(target: "mancom::session", path = %info, "path up");
            state.publish(PathEvent::Up(info));
            // Its network is known as it was when it was dialled.
            state.look(now);
            state.tell_addresses(Some(path));
            state.transmit(now);
            state.unsettled = true;
            Ok(())
        })?;
        self.wakers.summon();
        Ok(())
    }
}

/// Keeps the waker of whoever waits; the same task's again costs nothing.
fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        none => *none = Some(waker.clone()),
    }
}
