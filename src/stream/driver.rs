//! The driver of a session: a lock around its core, not a pipe to a task.
//!
//! ```text
//!   poll_read / poll_write ──► lock ─► core ─► the path's socket, in the same poll
//!                                │
//!   one task a session ──────────┘  timers, idle paths, what no caller polls for
//! ```
//!
//! Every entry goes through [`Driver::with`]: lock, run, collect what the core reports, unlock, and
//! only then wake. No user code and no waker runs under the lock.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::context::Context;
use super::error::{SessionError, stream_error};
use super::events::{Events, NetworkBytes, PathEvent, PathInfo, StreamStats, Subscriber};
use super::roam::Roamer;
use super::scratch::with_scratch;
use super::tracker::Guard;
use super::wakers::{WATCH, Wakers};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::{Blocked, Destination, PathFacts};
use crate::network::Network;
use crate::proto::session::handshake::Credentials;
use crate::proto::session::{
    CloseReason, Event, PathEnd, PathId, PathSides, PathStats, Session, StreamError, StreamId,
};
use crate::transport::ByteLink;

/// Slices of one vectored write.
const SLICES: usize = 32;
/// Reads of one path in one poll of the driver before it yields.
const READS: usize = 32;
/// A reader's buffer is filled without a copy from this many bytes on; below, one read into the
/// scratch buffer takes header and payload in one system call.
const DIRECT: usize = 4096;
/// Exactly a data frame's header: read behind a payload, so that the next payload is direct again.
const HEADER: usize = 16;

/// One path's connection.
struct Link {
    path: PathId,
    io: Box<dyn ByteLink>,
    network: Option<Network>,
    /// The last read filled its buffer: more is likely to wait.
    bulk: bool,
    dead: Option<Arc<str>>,
}

/// Who waits for one stream.
#[derive(Default)]
struct Waiters {
    read: Option<Waker>,
    write: Option<Waker>,
    shut: Option<Waker>,
}

pub(super) struct State {
    pub(super) core: Session,
    links: Vec<Link>,
    waiters: Vec<(StreamId, Waiters)>,
    accepting: VecDeque<Waker>,
    closing: Vec<Waker>,
    /// Streams and session handles that users hold.
    handles: usize,
    /// What the driver's timer is set to.
    armed: Option<Instant>,
    /// The paths or what they must carry changed: the roamer is to look.
    pub(super) unsettled: bool,
    subscribers: Vec<Subscriber>,
    totals: Vec<NetworkBytes>,
    waker: Waker,
    wake: Vec<Waker>,
    /// Why no network matches, as last seen.
    pub(super) blocked: Option<Arc<Blocked>>,
    closed_told: bool,
    /// For the listener's bound of detached sessions; told outside the lock.
    on_detached: Option<Arc<dyn Fn(bool) + Send + Sync>>,
    detached: Option<bool>,
}

/// A session with its paths; shared by its streams, its handles and its task.
pub(crate) struct Driver {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    pub(super) context: Arc<dyn Context>,
    /// The label given to `connect`; the default of streams.
    pub(super) label: Label,
    /// Where a dialler's session goes; `None` at the listener.
    destination: Option<Destination>,
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
    ) -> Arc<Self> {
        let wakers = Arc::new(Wakers::default());
        let waker = Waker::from(Arc::clone(&wakers));
        let state = State {
            core,
            links: Vec::new(),
            waiters: Vec::new(),
            accepting: VecDeque::new(),
            closing: Vec::new(),
            handles: 0,
            armed: None,
            unsettled: true,
            subscribers: Vec::new(),
            totals: Vec::new(),
            waker,
            wake: Vec::new(),
            blocked: None,
            closed_told: false,
            on_detached: None,
            detached: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            wakers,
            context,
            label,
            destination,
        })
    }

    /// Runs `f` under the lock, then wakes whoever the core's events concern.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = Clock::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wakers.locked();
        let result = f(&mut state, now);
        let rearm = state.settle(now);
        let wake = std::mem::take(&mut state.wake);
        let detached = state
            .detached
            .take()
            .and_then(|now| Some((state.on_detached.clone()?, now)));
        let deferred = self.wakers.unlocked();
        drop(state);
        if deferred {
            self.wakers.wake_now();
        }
        if rearm {
            self.wakers.nudge();
        }
        wake.into_iter().for_each(Waker::wake);
        if let Some((tell, detached)) = detached {
            tell(detached);
        }
        result
    }

    /// Whom to tell that the session lost its last path (`true`) or has one again.
    pub(super) fn on_detached(&self, tell: Arc<dyn Fn(bool) + Send + Sync>) {
        self.with(|state, _| state.on_detached = Some(tell));
    }

    /// The session's task is over.
    fn finish(&self) {
        self.with(|state, _| {
            state.links.clear();
            state.on_detached = None;
        });
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
            state.unsettled = true;
            state.transmit(now);
            Ok(id)
        })
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(StreamId, Label), SessionError>> {
        self.with(|state, _| {
            if let Some(accepted) = state.core.accept() {
                state.handles += 1;
                return Poll::Ready(Ok(accepted));
            }
            if let Some(reason) = state.core.closed() {
                return Poll::Ready(Err(state.closed_error(reason)));
            }
            state.accepting.retain(|known| !known.will_wake(cx.waker()));
            state.accepting.push_back(cx.waker().clone());
            Poll::Pending
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
            self.wakers.looked();
            let result = state.read(now, id, buf);
            state.transmit(now);
            match result {
                Ok(None) => {
                    if let Some(reason) = label.and_then(|label| state.impossible(&label)) {
                        return Poll::Ready(Err(reason));
                    }
                    state.waiters(id).read = Some(cx.waker().clone());
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
            self.wakers.looked();
            let result = state.write(now, id, label, data);
            match result {
                Ok(0) => {
                    state.waiters(id).write = Some(cx.waker().clone());
                    self.wakers.set_steward(cx.waker());
                    Poll::Pending
                }
                Ok(n) => Poll::Ready(Ok(n)),
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
            self.wakers.looked();
            state.core.shutdown(now, id);
            state.transmit(now);
            state.receive(now, READS);
            match state.core.is_shut(id) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    state.waiters(id).shut = Some(cx.waker().clone());
                    self.wakers.set_steward(cx.waker());
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

    /// Resolves when the session is over.
    pub(super) fn poll_closed(&self, cx: &mut TaskContext<'_>) -> Poll<SessionError> {
        self.with(|state, _| match state.core.closed() {
            Some(reason) => Poll::Ready(state.closed_error(reason)),
            None => {
                state.closing.retain(|known| !known.will_wake(cx.waker()));
                state.closing.push(cx.waker().clone());
                Poll::Pending
            }
        })
    }

    pub(super) fn events(&self) -> Events {
        self.with(|state, _| {
            let subscriber = Subscriber::default();
            for link in &state.links {
                subscriber.push(PathEvent::Up(state.info(link)));
            }
            if state.closed_told {
                subscriber.close();
            }
            let events = subscriber.events();
            state.subscribers.push(subscriber);
            events
        })
    }

    pub(super) fn paths(&self) -> Vec<PathInfo> {
        self.with(|state, _| state.links.iter().map(|link| state.info(link)).collect())
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
            state.links.push(Link {
                path,
                io,
                network,
                bulk: false,
                dead: None,
            });
            let info = state.info(state.links.last().expect("just pushed"));
            tracing::debug!(target: "mancom::session", path = %info, "path up");
            state.publish(PathEvent::Up(info));
            state.detached = Some(false);
            state.transmit(now);
            state.unsettled = true;
            Ok(())
        })?;
        self.wakers.summon();
        Ok(())
    }

    /// Serves timers and what no caller polls for; ready once the session is over.
    pub(super) fn poll_serve(
        &self,
        cx: &mut TaskContext<'_>,
        mut sleep: Pin<&mut tokio::time::Sleep>,
    ) -> Poll<()> {
        self.wakers.register_driver(cx.waker());
        loop {
            let watching = self.wakers.is_watching();
            let summoned = self.wakers.take_summons();
            let (over, due, more) = self.with(|state, now| {
                let due = state.core.poll_timeout().is_some_and(|(at, _)| at <= now);
                let mut look = summoned;
                if watching && state.armed.is_some_and(|at| at <= now) {
                    look |= self.wakers.end_watch();
                }
                let mut more = false;
                if look {
                    self.wakers.looked();
                    more = state.receive(now, READS);
                }
                if due {
                    state.core.handle_timeout(now);
                }
                if look || due {
                    state.transmit(now);
                }
                let watch = self.wakers.is_watching().then(|| now + WATCH);
                let timer = state.core.poll_timeout().map(|(at, _)| at);
                state.armed = [watch, timer].into_iter().flatten().min();
                let wait = state.armed.map(|at| at.saturating_duration_since(now));
                (state.is_over(), wait, more)
            });
            if over {
                return Poll::Ready(());
            }
            if more {
                self.wakers.summon();
                return Poll::Pending;
            }
            let Some(wait) = due else {
                return Poll::Pending;
            };
            sleep.as_mut().reset(tokio::time::Instant::now() + wait);
            if sleep.as_mut().poll_elapsed(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Polls a sleep without the import of `Future` at each place.
trait PollElapsed {
    fn poll_elapsed(self, cx: &mut TaskContext<'_>) -> Poll<()>;
}

impl PollElapsed for Pin<&mut tokio::time::Sleep> {
    fn poll_elapsed(self, cx: &mut TaskContext<'_>) -> Poll<()> {
        std::future::Future::poll(self, cx)
    }
}

/// What a writer brings.
pub(super) enum Outgoing<'a> {
    /// Copied once, into the replay buffer.
    Copied(&'a [u8]),
    /// Copied once, all of it at once, or what an empty buffer takes.
    Whole(&'a [u8]),
    /// Kept as it is.
    Owned(&'a mut Bytes),
}

impl State {
    fn waiters(&mut self, id: StreamId) -> &mut Waiters {
        let at = match self.waiters.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                self.waiters.push((id, Waiters::default()));
                self.waiters.len() - 1
            }
        };
        &mut self.waiters[at].1
    }

    /// `None`: nothing yet; `Some(label)`: bytes were put into `buf`, or the end was reached.
    fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
    ) -> Result<Option<Option<Label>>, StreamError> {
        let mut label = None;
        loop {
            if label.is_none() {
                match self.core.read(now, id, buf.initialize_unfilled())? {
                    Some((0, _)) => return Ok(Some(None)),
                    Some((n, of)) => {
                        buf.advance(n);
                        label = Some(of);
                    }
                    None => {}
                }
            }
            let bulk = self.links.iter().any(|link| link.bulk);
            if label.is_some() && !(bulk && buf.remaining() >= DIRECT) {
                return Ok(Some(label));
            }
            match self.read_once(now, id, buf, label) {
                Once::Direct(of) => label = Some(of),
                Once::Received => {}
                Once::Nothing => return Ok(label.map(Some)),
            }
        }
    }

    /// One read of the first path that has something: straight into `buf` where it is this stream's
    /// payload, else into the core. With bytes in `buf` already, only payload of their label counts.
    fn read_once(
        &mut self,
        now: Instant,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        only: Option<Label>,
    ) -> Once {
        for at in 0..self.links.len() {
            if self.links[at].dead.is_some() {
                continue;
            }
            let path = self.links[at].path;
            let fits = only.is_none() || self.core.direct_label(path) == only;
            let direct = if fits {
                self.core.direct(path, id).min(buf.remaining())
            } else {
                0
            };
            if direct >= DIRECT || (direct > 0 && self.links[at].bulk) {
                match self.read_direct(now, at, id, buf, direct) {
                    Some(label) => return Once::Direct(label),
                    None => continue,
                }
            }
            if only.is_none() && self.read_scratch(now, at) {
                return Once::Received;
            }
        }
        Once::Nothing
    }

    fn read_direct(
        &mut self,
        now: Instant,
        at: usize,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        direct: usize,
    ) -> Option<Label> {
        let Self {
            core, links, waker, ..
        } = self;
        let link = &mut links[at];
        let whole = core.direct(link.path, id) == direct;
        let mut header = [0; HEADER];
        let mut cx = TaskContext::from_waker(waker);
        let read = {
            let user = &mut buf.initialize_unfilled()[..direct];
            let mut bufs = [IoSliceMut::new(user), IoSliceMut::new(&mut header)];
            let bufs = if whole { &mut bufs[..] } else { &mut bufs[..1] };
            Pin::new(&mut *link.io).poll_read_vectored(&mut cx, bufs)
        };
        match read {
            Poll::Pending => None,
            Poll::Ready(Ok(0)) => {
                self.lose(now, at, "closed by the far end".into());
                None
            }
            Poll::Ready(Ok(n)) => {
                let user = n.min(direct);
                buf.advance(user);
                link.bulk = n >= direct;
                let path = link.path;
                let label = core.received_direct(now, path, id, user);
                if n > direct {
                    self.feed(now, at, &header[..n - direct]);
                }
                Some(label)
            }
            Poll::Ready(Err(error)) => {
                self.lose(now, at, error.to_string().into());
                None
            }
        }
    }

    /// One read into the core; whether anything came.
    fn read_scratch(&mut self, now: Instant, at: usize) -> bool {
        with_scratch(|scratch| {
            let link = &mut self.links[at];
            let mut cx = TaskContext::from_waker(&self.waker);
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut *link.io).poll_read(&mut cx, &mut buf) {
                Poll::Pending => {
                    link.bulk = false;
                    false
                }
                Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                    self.lose(now, at, "closed by the far end".into());
                    false
                }
                Poll::Ready(Ok(())) => {
                    link.bulk = buf.remaining() == 0;
                    self.feed(now, at, buf.filled());
                    true
                }
                Poll::Ready(Err(error)) => {
                    self.lose(now, at, error.to_string().into());
                    false
                }
            }
        })
    }

    fn feed(&mut self, now: Instant, at: usize, input: &[u8]) {
        let path = self.links[at].path;
        if let Err(error) = self.core.receive(now, path, input) {
            tracing::warn!(target: "mancom::session", %error, "path ended by what came on it");
            self.links[at].dead = Some(error.to_string().into());
        }
    }

    fn lose(&mut self, now: Instant, at: usize, why: Arc<str>) {
        let link = &mut self.links[at];
        link.dead = Some(why);
        self.core.lose(now, link.path);
    }

    /// The link of this path is to go, for a reason from outside (its network went, say).
    pub(super) fn drop_path(&mut self, now: Instant, path: PathId, why: &str) {
        if let Some(at) = self.links.iter().position(|link| link.path == path) {
            self.lose(now, at, why.into());
        }
    }

    /// Reads every path; whether some path may have more.
    fn receive(&mut self, now: Instant, reads: usize) -> bool {
        let mut more = false;
        for at in 0..self.links.len() {
            let mut left = reads;
            while self.links[at].dead.is_none() && left > 0 && self.read_scratch(now, at) {
                left -= 1;
            }
            more |= left == 0;
        }
        more
    }

    fn write(
        &mut self,
        now: Instant,
        id: StreamId,
        label: Label,
        mut data: Outgoing<'_>,
    ) -> Result<usize, StreamError> {
        for last in [false, true] {
            let taken = match &mut data {
                Outgoing::Copied(bytes) => self.core.write(now, id, label, bytes)?,
                Outgoing::Whole(bytes) => self.core.write_whole(now, id, label, bytes)?,
                Outgoing::Owned(bytes) => self.core.write_bytes(now, id, label, bytes)?,
            };
            self.transmit(now);
            if taken > 0 || last {
                return Ok(taken);
            }
            // Full: what frees the buffer is an acknowledgement, so look for one.
            self.receive(now, READS);
        }
        Ok(0)
    }

    /// Writes to every path what the core has for it and its socket takes.
    pub(super) fn transmit(&mut self, now: Instant) {
        let Self {
            core, links, waker, ..
        } = self;
        let mut cx = TaskContext::from_waker(waker);
        for link in links.iter_mut().filter(|link| link.dead.is_none()) {
            let mut wrote = false;
            let failed = loop {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = core.transmit(now, link.path, &mut slices);
                if count == 0 {
                    break None;
                }
                match Pin::new(&mut *link.io).poll_write_vectored(&mut cx, &slices[..count]) {
                    Poll::Pending => break None,
                    Poll::Ready(Ok(0)) => break Some("closed by the far end".into()),
                    Poll::Ready(Ok(n)) => {
                        core.transmitted(now, link.path, n);
                        wrote = true;
                    }
                    Poll::Ready(Err(error)) => break Some(Arc::<str>::from(error.to_string())),
                }
            };
            if wrote && failed.is_none() {
                let _ = Pin::new(&mut *link.io).poll_flush(&mut cx);
            }
            if let Some(why) = failed {
                link.dead = Some(why);
                core.lose(now, link.path);
            }
        }
    }

    fn leave(&mut self, now: Instant) {
        self.handles -= 1;
        if self.handles == 0 {
            self.core.close(now);
        }
        self.transmit(now);
    }

    /// Takes the core's events; whether the driver's timer is too late.
    fn settle(&mut self, now: Instant) -> bool {
        let mut rearm = false;
        while let Some(event) = self.core.poll_event() {
            rearm |= self.take_event(now, event);
        }
        let due = self.core.poll_timeout().map(|(at, _)| at);
        rearm || due.is_some_and(|due| self.armed.is_none_or(|armed| due < armed))
    }

    fn take_event(&mut self, now: Instant, event: Event) -> bool {
        match event {
            Event::Readable(id) => self.wake_one(id, |waiters| &mut waiters.read),
            Event::Writable(id) => self.wake_one(id, |waiters| &mut waiters.write),
            Event::Shut(id) => self.wake_one(id, |waiters| &mut waiters.shut),
            Event::Incoming => self.wake.extend(self.accepting.pop_front()),
            Event::PathClosed(path, end) => self.path_closed(path, end),
            Event::Stranded => {
                self.detached = Some(true);
                self.unsettled = true;
            }
            Event::PathFacts(_) | Event::PathStalled(_) => self.unsettled = true,
            Event::Closed(reason) => {
                self.transmit(now);
                self.session_closed(reason);
            }
        }
        matches!(
            event,
            Event::PathClosed(..)
                | Event::Stranded
                | Event::PathFacts(_)
                | Event::PathStalled(_)
                | Event::Closed(_)
        )
    }

    fn wake_one(&mut self, id: StreamId, which: impl FnOnce(&mut Waiters) -> &mut Option<Waker>) {
        if let Some((_, waiters)) = self.waiters.iter_mut().find(|(known, _)| *known == id) {
            self.wake.extend(which(waiters).take());
        }
    }

    fn path_closed(&mut self, path: PathId, end: PathEnd) {
        let Some(at) = self.links.iter().position(|link| link.path == path) else {
            return;
        };
        let stats = self.core.path_stats(path).unwrap_or_default();
        let mut info = self.info(&self.links[at]);
        let link = self.links.swap_remove(at);
        add(&mut self.totals, &link, stats);
        info.stats = stats;
        let why = link.dead.clone().unwrap_or_else(|| path_end(end).into());
        tracing::debug!(target: "mancom::session", path = %info, %why, "path down");
        self.publish(PathEvent::Down { path: info, why });
        self.unsettled = true;
    }

    fn session_closed(&mut self, reason: CloseReason) {
        for (_, waiters) in &mut self.waiters {
            let Waiters { read, write, shut } = waiters;
            self.wake.extend(
                [read.take(), write.take(), shut.take()]
                    .into_iter()
                    .flatten(),
            );
        }
        self.wake.extend(self.accepting.drain(..));
        self.wake.append(&mut self.closing);
        if !std::mem::replace(&mut self.closed_told, true) {
            let why = self.closed_error(reason).to_string().into();
            self.publish(PathEvent::Closed { why });
            for subscriber in self.subscribers.drain(..) {
                self.wake.extend(subscriber.close());
            }
        }
    }

    /// Over, and what was to be said has been said.
    fn is_over(&self) -> bool {
        self.core.closed().is_some()
    }

    pub(super) fn publish(&mut self, event: PathEvent) {
        self.subscribers.retain(Subscriber::is_read);
        for subscriber in &self.subscribers {
            self.wake.extend(subscriber.push(event.clone()));
        }
    }

    fn info(&self, link: &Link) -> PathInfo {
        PathInfo {
            path: (link.path.id, link.path.epoch),
            network: link.network.as_ref().map(Network::id),
            name: link.network.as_ref().map(|network| network.name().into()),
            kind: link.network.as_ref().map(Network::kind),
            stats: self.core.path_stats(link.path).unwrap_or_default(),
        }
    }

    /// The open paths and their networks.
    pub(super) fn open_paths(&self) -> impl Iterator<Item = (PathId, Option<&Network>)> {
        self.links
            .iter()
            .filter(|link| link.dead.is_none())
            .map(|link| (link.path, link.network.as_ref()))
    }

    /// The open paths that are bound to a network, with their local addresses.
    pub(super) fn bound_paths(&self) -> Vec<(PathId, Network, Option<IpAddr>)> {
        let open = self.links.iter().filter(|link| link.dead.is_none());
        open.filter_map(|link| Some((link.path, link.network.clone()?, link.io.local())))
            .collect()
    }

    /// The network of this path is known anew.
    pub(super) fn set_network(&mut self, now: Instant, path: PathId, network: Network) {
        let remote = self.core.remote_facts(path).unwrap_or_default();
        if let Some(link) = self.links.iter_mut().find(|link| link.path == path) {
            link.network = Some(network.clone());
        }
        self.core.update_path(
            now,
            path,
            PathSides {
                local: Some(network),
                remote,
            },
        );
        self.transmit(now);
    }

    pub(super) fn grace_left(&self, now: Instant) -> Duration {
        self.core
            .poll_timeout()
            .map_or(self.core.grace(), |(at, _)| {
                at.saturating_duration_since(now)
            })
            .min(self.core.grace())
    }

    fn impossible(&self, label: &Label) -> Option<io::Error> {
        let none = !self.links.is_empty()
            && self
                .links
                .iter()
                .all(|link| !self.core.permits(link.path, label));
        none.then(|| io::Error::new(io::ErrorKind::NetworkUnreachable, NoPath(*label)))
    }

    pub(super) fn closed_error(&self, reason: CloseReason) -> SessionError {
        SessionError::of(reason, self.core.grace(), self.blocked.clone())
    }

    fn session_error(&self, error: StreamError) -> SessionError {
        match error {
            StreamError::Closed(reason) => self.closed_error(reason),
            StreamError::TooMany(limit) => SessionError::TooManyStreams(limit),
            _ => SessionError::Closed,
        }
    }

    fn io_error(&self, error: StreamError) -> io::Error {
        stream_error(error, |reason| self.closed_error(reason))
    }
}

enum Once {
    Direct(Label),
    Received,
    Nothing,
}

/// `read_labelled` was given a label that no path of the session could carry.
#[derive(Debug, thiserror::Error)]
#[error("no path of the session could carry `{0}`")]
struct NoPath(Label);

fn add(networks: &mut Vec<NetworkBytes>, link: &Link, stats: PathStats) {
    let name = link
        .network
        .as_ref()
        .map(|network| Arc::<str>::from(network.name()));
    match networks.iter_mut().find(|known| known.name == name) {
        Some(known) => known.bytes += stats,
        None => networks.push(NetworkBytes { name, bytes: stats }),
    }
}

/// Starts the session's one task. It ends with the session.
pub(super) fn spawn(
    driver: Arc<Driver>,
    mut roamer: Option<Roamer>,
    alive: Guard,
    after: impl FnOnce() + Send + 'static,
) {
    tokio::spawn(async move {
        let _alive = alive;
        let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        std::future::poll_fn(|cx| {
            let served = driver.poll_serve(cx, sleep.as_mut());
            if served.is_pending()
                && let Some(roamer) = &mut roamer
            {
                roamer.poll(cx, &driver);
            }
            served
        })
        .await;
        driver.finish();
        after();
    });
}

fn path_end(end: PathEnd) -> String {
    match end {
        PathEnd::Lost => "lost".into(),
        PathEnd::Replaced => "replaced by a new connection".into(),
        PathEnd::Retired => "given up for a better one".into(),
        PathEnd::Forbidden => "no longer allowed by the label".into(),
        PathEnd::Protocol(error) => error.to_string(),
        PathEnd::SessionClosed => "the session is over".into(),
    }
}
