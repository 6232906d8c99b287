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
//! With a hook the last [`send_buffer`](super::Settings::send_buffer) bytes written are kept for a
//! replay, without one none.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use tokio::io::ReadBuf;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::error::SessionError;
use super::events::{Events, NetworkBytes, PathEvent, PathInfo, StreamStats, Subscriber};
use super::gauge::Gauge;
use super::hooks::{Carried, DynHook};
use super::tend::{self, Target};
use crate::clock::Clock;
use crate::deferral::{Operation, Registry};
use crate::label::Label;
use crate::label::matching::{PathFacts, Policy, permits};
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::PathStats;
use crate::scout::Sample;
use crate::transport::ByteLink;

struct State {
    link: Option<Box<dyn ByteLink>>,
    network: Option<Network>,
    label: Label,
    /// Connections so far; the events' epoch.
    connections: u32,
    /// The stream's offset at which the present connection began.
    base: u64,
    /// Bytes that a hook wrote on the present connection before the stream's.
    preamble: u64,
    /// Bytes accepted from the writer, and of those the ones the present connection took.
    written: u64,
    sent: u64,
    read: u64,
    resent: u64,
    /// The last bytes written, for a replay; empty without a hook.
    kept: VecDeque<u8>,
    keep: usize,
    /// As it was when the last connection was lost.
    carried: Carried,
    /// The server ended its direction.
    ended: bool,
    /// We ended ours; the present connection was told.
    shutdown: bool,
    shut: bool,
    /// Everything fails, once what has arrived is read.
    failed: Option<SessionError>,
    /// Writing fails, reading need not.
    broken: Option<SessionError>,
    readers: Option<Waker>,
    writers: Option<Waker>,
    subscribers: Vec<Subscriber>,
    gauge: Gauge,
    /// The networks and another policy, where the stream is on a network.
    news: Option<(watch::Receiver<Arc<Snapshot>>, watch::Receiver<()>)>,
    /// Whom to wake once the lock is free.
    wake: Vec<Waker>,
}

pub(super) struct Plain {
    state: Mutex<State>,
    /// Something changed that the tending task is to look at.
    news: Arc<Notify>,
    hooked: bool,
    /// Where the stream is on a network: it has the policy, and is told what is measured.
    registry: Option<Arc<Registry>>,
    /// The task that tends the stream; it ends with the stream.
    tending: OnceLock<AbortHandle>,
    /// What it is known as while it waits for a network; made when it is asked for.
    operation: OnceLock<Operation>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Some(task) = self.tending.get() {
            task.abort();
        }
        self.with(State::close_events);
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
    ) -> Arc<Self> {
        let keep = match (&hook, &target) {
            (Some(_), Some(target)) => target.context.settings().send_buffer,
            _ => 0,
        };
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
        let plain = Arc::new(Self {
            state: Mutex::new(state),
            news: Arc::clone(&news),
            hooked: hook.is_some(),
            registry,
            tending: OnceLock::new(),
            operation: OnceLock::new(),
        });
        if let Some(target) = target {
            let task = tend::spawn(Arc::downgrade(&plain), news, hook, target);
            let _ = plain.tending.set(task);
        }
        plain
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
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        result
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|state| {
            if state.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            if let Some(link) = &mut state.link {
                match Pin::new(&mut **link).poll_read(cx, buf) {
                    Poll::Ready(Ok(())) => {
                        let n = buf.filled().len() - before;
                        state.read += n as u64;
                        state.ended = n == 0;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Err(error)) => self.lose(state, error),
                    Poll::Pending => {}
                }
            }
            if let Some(error) = &state.failed {
                state.link = None;
                return Poll::Ready(Err(error.clone().into()));
            }
            park(&mut state.readers, cx);
            Poll::Pending
        })
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut TaskContext<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut sampled = None;
        let written = self.with(|state| {
            self.follow(state);
            state.check_writable()?;
            if state.shutdown {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "written after shutdown",
                )));
            }
            if data.is_empty() {
                return Poll::Ready(Ok(0));
            }
            match state.poll_link(|link| link.poll_write(cx, data)) {
                Poll::Ready(Ok(n)) => {
                    state.keep(&data[..n]);
                    sampled = state.sample();
                    return Poll::Ready(Ok(n));
                }
                Poll::Ready(Err(error)) => self.break_off(state, error)?,
                Poll::Pending => {}
            }
            park(&mut state.writers, cx);
            Poll::Pending
        });
        if let (Some(registry), Some((network, sample))) = (&self.registry, sampled) {
            registry.scout().report(network, sample);
        }
        written
    }

    /// Ready while there is no connection: what was accepted goes out on the next.
    pub(super) fn poll_flush(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.with(|state| {
            state.check_writable()?;
            if state.link.is_none() || state.owes() {
                return Poll::Ready(Ok(()));
            }
            match state.poll_link(|link| link.poll_flush(cx)) {
                Poll::Ready(Err(error)) => Poll::Ready(self.break_off(state, error)),
                done => done,
            }
        })
    }

    pub(super) fn poll_shutdown(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.with(|state| {
            if state.shut {
                return Poll::Ready(Ok(()));
            }
            state.check_writable()?;
            state.shutdown = true;
            match state.poll_link(|link| link.poll_shutdown(cx)) {
                Poll::Ready(Ok(())) => {
                    state.shut = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => self.break_off(state, error)?,
                // Also where nobody waits for it.
                Poll::Pending => self.news.notify_one(),
            }
            park(&mut state.writers, cx);
            Poll::Pending
        })
    }

    /// The connection is of no more use: the end without a hook, work for the tending task with one.
    fn lose(&self, state: &mut State, error: io::Error) {
        if self.hooked && !state.ended {
            state.drop_link(&error.to_string());
            self.news.notify_one();
        } else {
            state.drop_link(&error.to_string());
            state.fail(SessionError::Lost(error.into()));
        }
    }

    /// Writing failed. What the server said before is still to be read, unless another connection
    /// is to come.
    fn break_off(&self, state: &mut State, error: io::Error) -> io::Result<()> {
        if self.hooked && !state.ended {
            self.lose(state, error);
            return Ok(());
        }
        let error = SessionError::Lost(error.into());
        state.broken = Some(error.clone());
        Err(error.into())
    }

    /// Whether the connection is lost or may no longer be used. Ends the stream where nothing
    /// follows a loss.
    pub(super) fn look(&self, snapshot: &Snapshot) -> Look {
        self.with(|state| self.look_on(state, snapshot))
    }

    fn look_on(&self, state: &mut State, snapshot: &Snapshot) -> Look {
        match state.objection(snapshot, &self.policy()) {
            None => {}
            Some(why) if self.hooked && !state.ended => state.drop_link(&why.to_string()),
            Some(Objection::Away(_)) => return Look::Away,
            Some(why) => {
                if matches!(why, Objection::Forbidden(..)) {
                    state.drop_link(&why.to_string());
                }
                let lost = io::Error::new(io::ErrorKind::NetworkDown, why.to_string());
                state.fail(SessionError::Lost(lost.into()));
            }
        }
        match &state {
            state if state.failed.is_some() || (state.ended && state.shut) => Look::Over,
            state if state.link.is_none() => Look::Lost(state.carried),
            _ => Look::Well,
        }
    }

    /// Looks at a newer snapshot and another policy, if there are such, before anything more is written.
    fn follow(&self, state: &mut State) {
        let Some((snapshots, revised)) = &mut state.news else {
            return;
        };
        let newer = snapshots.has_changed().unwrap_or(false);
        if newer | revised.has_changed().unwrap_or(false) {
            revised.mark_unchanged();
            let snapshot = snapshots.borrow_and_update().clone();
            self.look_on(state, &snapshot);
        }
    }

    fn policy(&self) -> Policy {
        let registry = self.registry.as_ref();
        registry.map_or_else(Policy::default, |registry| registry.policy())
    }

    /// Puts a new connection beneath the stream, which goes on from this offset of its own.
    pub(super) fn resume(&self, fresh: Fresh, from: Option<u64>) -> Result<(), SessionError> {
        self.with(|state| state.resume(fresh, from))
    }

    /// Writes what a replay owes the present connection, then tells it of our end; ready when
    /// writers may go on. For the tending task alone, so that nobody else waits for the same socket.
    pub(super) fn poll_settled(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.with(|state| match std::task::ready!(state.poll_settled(cx)) {
            Ok(()) => {
                state.wake.extend(state.writers.take());
                Poll::Ready(())
            }
            Err(error) => {
                self.lose(state, error);
                Poll::Pending
            }
        })
    }

    pub(super) fn fail(&self, error: SessionError) {
        self.with(|state| {
            state.link = None;
            state.fail(error);
        });
    }

    /// Whether bytes of this label may go out on the present connection.
    pub(super) fn check_label(&self, label: &Label) -> io::Result<()> {
        self.with(|state| {
            self.follow(state);
            match &state.network {
                Some(network) if !state.permits(label, network, &self.policy()) => {
                    let text = format!("network {network} does not admit `{label}`");
                    Err(io::Error::new(io::ErrorKind::NetworkUnreachable, text))
                }
                _ => Ok(()),
            }
        })
    }

    /// The label of the stream from now on; a network it no longer permits is given up.
    pub(super) fn set_label(&self, label: Label) {
        self.with(|state| state.label = label);
        self.news.notify_one();
    }

    pub(super) fn label(&self) -> Label {
        self.with(|state| state.label)
    }

    /// Ends our direction without waiting for it.
    pub(super) fn end(&self) {
        let _ = self.poll_shutdown(&mut TaskContext::from_waker(Waker::noop()));
    }

    pub(super) fn abort(&self) {
        self.fail(SessionError::Aborted);
        self.news.notify_one();
    }

    pub(super) fn events(&self) -> Events {
        self.with(|state| {
            let subscriber = Subscriber::default();
            if state.link.is_some() {
                subscriber.push(PathEvent::Up(state.info()));
            }
            let events = subscriber.events();
            match state.failed {
                Some(_) => drop(subscriber.close()),
                None => state.subscribers.push(subscriber),
            }
            events
        })
    }

    pub(super) fn paths(&self) -> Vec<PathInfo> {
        self.with(|state| state.link.iter().map(|_| state.info()).collect())
    }

    pub(super) fn stats(&self) -> StreamStats {
        self.with(|state| {
            let info = state.info();
            StreamStats {
                written: state.written,
                acknowledged: state
                    .acknowledged()
                    .or(state.carried.acknowledged)
                    .unwrap_or(0),
                read: state.read,
                networks: vec![NetworkBytes {
                    name: info.name.clone(),
                    bytes: info.stats,
                }],
            }
        })
    }
}

/// Why the present connection may no longer be used.
#[derive(Debug, thiserror::Error)]
enum Objection {
    #[error("network {0} is down")]
    Away(Network),
    #[error("network {0} went")]
    Gone(Network),
    #[error("network {0} no longer admits `{1}`")]
    Forbidden(Network, Label),
}

/// What the tending task finds.
pub(super) enum Look {
    Well,
    /// Its network is down and keeps the address: as long as that lasts nothing is lost.
    Away,
    Lost(Carried),
    /// Nothing can happen to the stream any more.
    Over,
}

/// A new connection, set up.
pub(super) struct Fresh {
    pub(super) link: Box<dyn ByteLink>,
    pub(super) network: Option<Network>,
    /// Bytes the hook wrote on it.
    pub(super) preamble: u64,
}

fn park(slot: &mut Option<Waker>, cx: &TaskContext<'_>) {
    match slot {
        Some(known) => known.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl State {
    fn new(link: Box<dyn ByteLink>, network: Option<Network>, label: Label, keep: usize) -> Self {
        Self {
            link: Some(link),
            network,
            label,
            connections: 1,
            base: 0,
            preamble: 0,
            written: 0,
            sent: 0,
            read: 0,
            resent: 0,
            kept: VecDeque::new(),
            keep,
            carried: Carried {
                written: 0,
                acknowledged: None,
                read: 0,
            },
            ended: false,
            shutdown: false,
            shut: false,
            failed: None,
            broken: None,
            readers: None,
            writers: None,
            subscribers: Vec::new(),
            gauge: Gauge::default(),
            news: None,
            wake: Vec::new(),
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.failed.as_ref().or(self.broken.as_ref()) {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }

    /// Whether a replay goes before what the writer has to say.
    fn owes(&self) -> bool {
        self.sent < self.written
    }

    /// Asks the present connection, unless there is none or the tending task is writing to it.
    fn poll_link<T>(&mut self, ask: impl FnOnce(Pin<&mut dyn ByteLink>) -> Poll<T>) -> Poll<T> {
        match &mut self.link {
            Some(link) if self.sent == self.written => ask(Pin::new(&mut **link)),
            _ => Poll::Pending,
        }
    }

    fn permits(&self, label: &Label, network: &Network, policy: &Policy) -> bool {
        permits(label, Some(network), &PathFacts::default(), true, policy)
    }

    /// What speaks against the present connection.
    fn objection(&mut self, snapshot: &Snapshot, policy: &Policy) -> Option<Objection> {
        let local = self.link.as_ref()?.local();
        let known = self.network.as_ref()?;
        let Some(now) = snapshot.successor(known, local) else {
            let same = snapshot.by_name(known.name());
            let own = same.into_iter().flat_map(Network::addresses);
            let keeps = own.into_iter().any(|address| Some(address.ip) == local);
            let objection = if keeps {
                Objection::Away
            } else {
                Objection::Gone
            };
            return Some(objection(known.clone()));
        };
        if !self.permits(&self.label, now, policy) {
            return Some(Objection::Forbidden(now.clone(), self.label));
        }
        self.network = Some(now.clone());
        None
    }

    /// What there is to tell of the present connection, when it is time to.
    fn sample(&mut self) -> Option<(NetworkId, Sample)> {
        let link = self.link.as_deref()?;
        self.gauge
            .sample(Clock::recent(), self.network.as_ref(), link)
    }

    fn acknowledged(&self) -> Option<u64> {
        let of_link = self.link.as_ref()?.acknowledged()?;
        Some((self.base + of_link.saturating_sub(self.preamble)).min(self.written))
    }

    fn keep(&mut self, data: &[u8]) {
        self.written += data.len() as u64;
        self.sent = self.written;
        if self.keep > 0 {
            self.kept.extend(data);
            let excess = self.kept.len().saturating_sub(self.keep);
            self.kept.drain(..excess);
        }
    }

    fn poll_settled(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        while self.owes() {
            let Some(link) = &mut self.link else {
                return Poll::Pending;
            };
            let owed = usize::try_from(self.written - self.sent).unwrap_or(usize::MAX);
            let from = self.kept.len() - owed;
            let (front, back) = self.kept.as_slices();
            let next = if from < front.len() {
                &front[from..]
            } else {
                &back[from - front.len()..]
            };
            match Pin::new(&mut **link).poll_write(cx, next) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n as u64;
                    self.resent += n as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(link) = &mut self.link else {
            return Poll::Pending;
        };
        if self.shutdown && !self.shut {
            std::task::ready!(Pin::new(&mut **link).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn drop_link(&mut self, why: &str) {
        if self.link.is_some() {
            let path = self.info();
            let acknowledged = self.acknowledged();
            self.carried = Carried {
                written: self.written,
                acknowledged,
                read: self.read,
            };
            self.link = None;
            self.publish(PathEvent::Down {
                path,
                why: why.into(),
            });
        }
    }

    /// The end of the stream. A connection that is still there is read to what has arrived on it.
    fn fail(&mut self, error: SessionError) {
        if self.failed.is_none() {
            self.publish(PathEvent::Closed {
                why: error.to_string().into(),
            });
            self.close_events();
            self.failed = Some(error);
            self.wake.extend(
                [self.readers.take(), self.writers.take()]
                    .into_iter()
                    .flatten(),
            );
        }
    }

    fn close_events(&mut self) {
        for subscriber in self.subscribers.drain(..) {
            self.wake.extend(subscriber.close());
        }
    }

    fn info(&self) -> PathInfo {
        PathInfo {
            path: (0, self.connections),
            network: self.network.as_ref().map(Network::id),
            name: self.network.as_ref().map(|network| network.name().into()),
            kind: self.network.as_ref().map(Network::kind),
            stats: PathStats {
                payload_sent: self.written + self.resent,
                payload_resent: self.resent,
                payload_received: self.read,
                ..PathStats::default()
            },
        }
    }

    fn publish(&mut self, event: PathEvent) {
        self.subscribers.retain(Subscriber::is_read);
        for subscriber in &self.subscribers {
            self.wake.extend(subscriber.push(event.clone()));
        }
    }

    fn resume(&mut self, fresh: Fresh, from: Option<u64>) -> Result<(), SessionError> {
        let from = from.unwrap_or(self.written);
        let oldest = self.written - self.kept.len() as u64;
        if from < oldest || from > self.written {
            let (written, kept) = (self.written, self.kept.len());
            let text = format!(
                "the hook asked to replay from byte {from}; of {written} written, the last {kept} are kept"
            );
            return Err(SessionError::Hook(
                io::Error::new(io::ErrorKind::InvalidInput, text).into(),
            ));
        }
        self.link = Some(fresh.link);
        self.gauge = Gauge::default();
        self.network = fresh.network;
        self.connections += 1;
        self.preamble = fresh.preamble;
        self.shut = false;
        (self.base, self.sent) = (from, from);
        let info = self.info();
        self.publish(PathEvent::Up(info));
        self.wake.extend(self.readers.take());
        Ok(())
    }
}
