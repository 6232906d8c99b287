//! Streams to servers that know nothing of mancom: one connection, and with a hook another after it.
//!
//! Without a hook a lost connection is an error: to continue a foreign protocol silently would
//! corrupt it. With one, a task of the stream's own tends it: it sees the loss (an error on the
//! socket, or the network gone from the snapshot), runs `teardown`, waits for a match, connects, runs
//! `setup` and puts the new connection beneath the stream. Reads and writes are pending meanwhile,
//! for the grace at most. An orderly end by the server is an end, with or without a hook.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::context::Context;
use super::dial;
use super::error::SessionError;
use super::events::{Events, NetworkBytes, PathEvent, PathInfo, StreamStats, Subscriber};
use super::hooks::{Carried, DynHook, Resume};
use super::roam::changed;
use crate::deferral::{Operation, Want};
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::PathStats;
use crate::transport::ByteLink;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(30);

/// Where a plain stream goes and what it may use.
pub(super) struct Target {
    pub(super) context: Arc<dyn Context>,
    pub(super) endpoint: Endpoint,
    pub(super) destination: Destination,
    pub(super) only: Option<NetworkId>,
    pub(super) label: Label,
    pub(super) grace: Duration,
}

struct State {
    link: Option<Box<dyn ByteLink>>,
    network: Option<Network>,
    /// Paths so far; the events' epoch.
    connections: u32,
    /// The stream's offset at which the present connection began.
    base: u64,
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
    ended: bool,
    shutdown: bool,
    failed: Option<SessionError>,
    readers: Option<Waker>,
    writers: Option<Waker>,
    subscribers: Vec<Subscriber>,
}

pub(super) struct Plain {
    state: Mutex<State>,
    /// The connection was lost; for the tending task.
    lost: Arc<Notify>,
    hooked: bool,
    /// The task that tends a hooked stream; it ends with the stream.
    tending: OnceLock<AbortHandle>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Some(task) = self.tending.get() {
            task.abort();
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
    pub(super) fn new(
        link: Box<dyn ByteLink>,
        network: Option<Network>,
        hook: Option<(Box<dyn DynHook>, Target)>,
    ) -> Arc<Self> {
        let keep = hook
            .as_ref()
            .map_or(0, |(_, target)| target.context.settings().send_buffer);
        let state = State {
            link: Some(link),
            network,
            connections: 1,
            base: 0,
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
            failed: None,
            readers: None,
            writers: None,
            subscribers: Vec::new(),
        };
        let lost = Arc::new(Notify::new());
        let plain = Arc::new(Self {
            state: Mutex::new(state),
            lost: Arc::clone(&lost),
            hooked: hook.is_some(),
            tending: OnceLock::new(),
        });
        if let Some((hook, target)) = hook {
            let tended = Arc::downgrade(&plain);
            let task = tokio::spawn(async move {
                let guarded = AssertUnwindSafe(tend(&tended, &lost, hook, target))
                    .catch_unwind()
                    .await;
                let error = match guarded {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error,
                    Err(_) => SessionError::Hook(Arc::new(io::Error::other("the hook panicked"))),
                };
                if let Some(plain) = tended.upgrade() {
                    plain.fail(error);
                }
            });
            let _ = plain.tending.set(task.abort_handle());
        }
        plain
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone().into()));
        }
        let before = buf.filled().len();
        if let Some(link) = &mut state.link {
            match Pin::new(&mut **link).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {
                    let n = buf.filled().len() - before;
                    state.read += n as u64;
                    state.ended |= n == 0 && buf.remaining() > 0;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => self.lose(&mut state, error)?,
                Poll::Pending => {}
            }
        }
        state.readers = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut TaskContext<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone().into()));
        }
        let written = match state.poll_drain(cx) {
            Poll::Ready(Ok(())) => match &mut state.link {
                Some(link) => Pin::new(&mut **link).poll_write(cx, data),
                None => Poll::Pending,
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match written {
            Poll::Ready(Ok(n)) => {
                state.keep(&data[..n]);
                return Poll::Ready(Ok(n));
            }
            Poll::Ready(Err(error)) => self.lose(&mut state, error)?,
            Poll::Pending => {}
        }
        state.writers = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_flush(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx, |link, cx| link.poll_flush(cx))
    }

    pub(super) fn poll_shutdown(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.lock().shutdown = true;
        self.poll_ended(cx, |link, cx| link.poll_shutdown(cx))
    }

    fn poll_ended(
        &self,
        cx: &mut TaskContext<'_>,
        end: impl Fn(Pin<&mut dyn ByteLink>, &mut TaskContext<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone().into()));
        }
        let done = match state.poll_drain(cx) {
            Poll::Ready(Ok(())) => match &mut state.link {
                Some(link) => end(Pin::new(&mut **link), cx),
                None => Poll::Pending,
            },
            other => other,
        };
        match done {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => self.lose(&mut state, error)?,
            Poll::Pending => {}
        }
        state.writers = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The connection failed: an error without a hook, work for the tending task with one.
    fn lose(&self, state: &mut State, error: io::Error) -> io::Result<()> {
        if !self.hooked || state.ended {
            return Err(error);
        }
        state.drop_link(&error.to_string());
        self.lost.notify_one();
        Ok(())
    }

    /// How far the stream had come, if its connection is lost or its network has gone.
    fn look(&self, snapshot: &Snapshot) -> Option<Carried> {
        let mut state = self.lock();
        let local = state.link.as_ref().and_then(|link| link.local());
        if state
            .network
            .as_ref()
            .is_some_and(|known| snapshot.successor(known, local).is_none())
        {
            state.drop_link("the network went");
        }
        state.link.is_none().then_some(state.carried)
    }

    fn fail(&self, error: SessionError) {
        let mut state = self.lock();
        state.link = None;
        state.publish(PathEvent::Closed {
            why: error.to_string().into(),
        });
        state.failed = Some(error);
        let wake = [state.readers.take(), state.writers.take()];
        drop(state);
        wake.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ends our direction without waiting for it.
    pub(super) fn end(&self) {
        let _ = self.poll_shutdown(&mut TaskContext::from_waker(Waker::noop()));
    }

    pub(super) fn abort(&self) {
        self.fail(SessionError::Aborted);
    }

    pub(super) fn events(&self) -> Events {
        let mut state = self.lock();
        let subscriber = Subscriber::default();
        if state.link.is_some() {
            subscriber.push(PathEvent::Up(state.info()));
        }
        let events = subscriber.events();
        state.subscribers.push(subscriber);
        events
    }

    pub(super) fn paths(&self) -> Vec<PathInfo> {
        let state = self.lock();
        state.link.iter().map(|_| state.info()).collect()
    }

    pub(super) fn stats(&self) -> StreamStats {
        let state = self.lock();
        let info = state.info();
        StreamStats {
            written: state.written,
            acknowledged: state.acknowledged().unwrap_or(0),
            read: state.read,
            networks: vec![NetworkBytes {
                name: info.name.clone(),
                bytes: info.stats,
            }],
        }
    }
}

impl State {
    fn acknowledged(&self) -> Option<u64> {
        let link = self.link.as_ref()?;
        Some((self.base + link.acknowledged()?).min(self.written))
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

    /// Writes what a replay still owes the present connection.
    fn poll_drain(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.written {
            let Some(link) = &mut self.link else {
                return Poll::Pending;
            };
            let from =
                self.kept.len() - usize::try_from(self.written - self.sent).unwrap_or(usize::MAX);
            let (front, back) = self.kept.as_slices();
            let owed = if from < front.len() {
                &front[from..]
            } else {
                &back[from - front.len()..]
            };
            match Pin::new(&mut **link).poll_write(cx, owed) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n as u64;
                    self.resent += n as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn drop_link(&mut self, why: &str) {
        if self.link.is_some() {
            let path = self.info();
            self.carried = Carried {
                written: self.written,
                acknowledged: self.acknowledged(),
                read: self.read,
            };
            self.link = None;
            self.publish(PathEvent::Down {
                path,
                why: why.into(),
            });
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
            if let Some(waker) = subscriber.push(event.clone()) {
                waker.wake();
            }
        }
    }

    /// Puts a new connection beneath the stream.
    fn resume(
        &mut self,
        link: Box<dyn ByteLink>,
        network: Option<Network>,
        from: u64,
    ) -> Result<(), SessionError> {
        let oldest = self.written - self.kept.len() as u64;
        if from < oldest || from > self.written {
            let text = format!(
                "asked to replay from byte {from}, only {oldest} to {} are kept",
                self.written
            );
            return Err(SessionError::Hook(Arc::new(io::Error::new(
                io::ErrorKind::InvalidInput,
                text,
            ))));
        }
        self.link = Some(link);
        self.network = network;
        self.connections += 1;
        (self.base, self.sent) = (from, from);
        let info = self.info();
        self.publish(PathEvent::Up(info));
        Ok(())
    }
}

/// Rebuilds the connection whenever it is lost, until the stream is dropped.
async fn tend(
    plain: &Weak<Plain>,
    lost: &Notify,
    mut hook: Box<dyn DynHook>,
    target: Target,
) -> Result<(), SessionError> {
    loop {
        let Some(carried) = until_lost(plain, lost, &target).await else {
            return Ok(());
        };
        hook.teardown(carried).await;
        let rebuilt =
            tokio::time::timeout(target.grace, rebuild(&mut *hook, &target, carried)).await;
        let (link, network, resume) = rebuilt.unwrap_or_else(|_| {
            let blocked = target
                .context
                .registry()
                .candidates(&target.label, &target.destination)
                .err();
            Err(SessionError::GraceExpired {
                grace: target.grace,
                blocked: blocked.map(Arc::from),
            })
        })?;
        let Some(stream) = plain.upgrade() else {
            return Ok(());
        };
        let mut state = stream.lock();
        let from = match resume {
            Resume::Continue => state.written,
            Resume::ReplayFrom(offset) => offset,
            Resume::Fail => {
                return Err(SessionError::Hook(Arc::new(io::Error::other(
                    "the hook gave up",
                ))));
            }
        };
        state.resume(link, network, from)?;
        let wake = [state.readers.take(), state.writers.take()];
        drop(state);
        wake.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Resolves when the connection is lost, also by its network's going; `None` once nobody holds the
/// stream.
async fn until_lost(plain: &Weak<Plain>, lost: &Notify, target: &Target) -> Option<Carried> {
    let mut snapshots = changed(target.context.registry().snapshots());
    loop {
        if let Some(carried) = plain.upgrade()?.look(&target.context.registry().snapshot()) {
            return Some(carried);
        }
        tokio::select! {
            () = lost.notified() => {}
            receiver = &mut snapshots => snapshots = changed(receiver),
        }
    }
}

type Rebuilt = (Box<dyn ByteLink>, Option<Network>, Resume);

/// Tries network after network until a connection is set up.
async fn rebuild(
    hook: &mut dyn DynHook,
    target: &Target,
    carried: Carried,
) -> Result<Rebuilt, SessionError> {
    let mut failures = 0;
    let operation = Operation::new();
    loop {
        let want = Want {
            destination: target.destination.clone(),
            ..Want::new(target.label)
        };
        let matched = target.context.registry().wait(want, &operation).await?;
        let best = matched
            .networks
            .into_iter()
            .find(|network| target.only.is_none_or(|only| only == network.id()));
        let attempt = async {
            let mut link = dial::reach(&target.context, &target.endpoint, best.as_ref()).await?;
            let resume = hook.setup(&mut link, carried).await?;
            Ok::<_, io::Error>((link, resume))
        };
        let better = outranked(target, best.as_ref());
        let outcome = tokio::select! {
            biased;
            outcome = attempt => outcome,
            () = better => continue,
        };
        match outcome {
            Ok((link, resume)) => return Ok((link, best, resume)),
            Err(error) => {
                tracing::debug!(target: "mancom::session", %error, "reconnection failed");
                let backoff = FIRST_BACKOFF
                    .mul_f64(1.6_f64.powi(failures))
                    .min(LAST_BACKOFF);
                failures = (failures + 1).min(20);
                tokio::select! {
                    () = tokio::time::sleep(backoff.mul_f64(0.75 + 0.5 * super::roam::random())) => {}
                    () = outranked(target, best.as_ref()) => {}
                }
            }
        }
    }
}

/// Resolves when another network than this one matches best, or this one no more.
async fn outranked(target: &Target, than: Option<&Network>) {
    let registry = target.context.registry();
    let mut snapshots = registry.snapshots();
    loop {
        if snapshots.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let best = registry.candidates(&target.label, &target.destination).ok();
        let best = best.as_ref().and_then(|networks| networks.first());
        if best.map(Network::id) != than.map(Network::id) {
            return;
        }
    }
}
