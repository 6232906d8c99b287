//! What a listener knows, each table with its bound: handshakes under way, sessions not shown yet,
//! streams that wait in `accept`, sessions by id, and those of them that have no path.
//!
//! ```text
//!   link ─► half open ─► unshown ─► queue ─► accept
//!               │           └─ a session whose dialler opened no stream yet
//!               └─ attach ─► sessions ◄─► detached
//! ```
//!
//! | table | bound | at the bound |
//! | --- | --- | --- |
//! | half open | 1,024, a quarter of the descriptor limit | the oldest of the source with most is dropped |
//! | unshown | as the queue, 30 s each | the same |
//! | queue | 1,024, and what was in the two before when it filled | new sessions wait in their handshake |
//! | detached | 10,000 | the longest detached of the source with most ends |
//! | bytes of these | 256 MiB | the longest detached of the source with most bytes ends |
//!
//! A source is a /24 or a /56. Sessions with a path cost a descriptor each, which bounds them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Context as TaskContext;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::McStream;
use super::asked::Asks;
use super::context::Context;
use super::crowd::{Crowd, Source};
use super::driver::{Advertise, Driver};
use super::error::AcceptError;
use crate::clock::Clock;
use crate::proto::session::handshake::{CookieKey, Credentials};
use crate::proto::session::{CloseReason, SessionId};
use crate::transport::refusals::Refusals;

/// A session, and what an attach to it needs.
pub(super) struct Known {
    pub(super) driver: Arc<Driver>,
    pub(super) credentials: Credentials,
    /// Where its last path came from.
    pub(super) source: Source,
    /// The last that was heard of its being detached; an older word is too late.
    told: u64,
}

#[derive(Default)]
pub(super) struct State {
    stopped: bool,
    pub(super) sessions: BTreeMap<SessionId, Known>,
    /// Sessions with no path, weighed by the bytes they keep.
    detached: Crowd<SessionId>,
    /// Sessions whose first stream was not opened yet.
    unshown: Crowd<SessionId>,
    queue: VecDeque<Result<McStream, AcceptError>>,
    half_open: Crowd<u64>,
    tasks: BTreeMap<u64, AbortHandle>,
    greeted: u64,
}

pub(super) struct Door {
    pub(super) context: Arc<dyn Context>,
    pub(super) asks: Asks,
    pub(super) plain: bool,
    /// Peers are told where else this listener can be dialled.
    pub(super) advertise: OnceLock<Advertise>,
    pub(super) cookie: CookieKey,
    pub(super) refusals: Refusals,
    pub(super) started: Instant,
    /// Handshakes open at once.
    half_open: usize,
    state: Mutex<State>,
    /// Something is in the queue, or never will be.
    arrived: Notify,
    /// Something left the queue.
    room: Notify,
    /// The listener's task.
    serve: AtomicWaker,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("endpoint", &self.asks.endpoint)
            .finish_non_exhaustive()
    }
}

impl Door {
    pub(super) fn new(context: Arc<dyn Context>, asks: Asks) -> std::io::Result<Arc<Self>> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Arc::new(Self {
            plain: !asks.endpoint.is_session(),
            asks,
            advertise: OnceLock::new(),
            cookie: CookieKey(key),
            refusals: Refusals::default(),
            started: Clock::now(),
            half_open: context.settings().half_open.min(descriptors() / 4).max(1),
            state: Mutex::default(),
            arrived: Notify::new(),
            room: Notify::new(),
            serve: AtomicWaker::new(),
            context,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the end

    /// No new sessions from here on; what was not handed out is reset.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let queue = std::mem::take(&mut state.queue);
        let mut unshown = Vec::new();
        while let Some(id) = state.unshown.most() {
            state.unshown.leave(id);
            unshown.extend(state.driver(id));
        }
        drop(state);
        queue.into_iter().flatten().for_each(McStream::abort);
        for driver in unshown {
            driver.abort(CloseReason::Aborted);
        }
        self.arrived.notify_waiters();
        self.room.notify_waiters();
        self.serve.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Stopped, and no session is left that may want another path. Wakes the task of `cx` when that,
    /// or the queue, may have changed.
    pub(super) fn is_done(&self, cx: &TaskContext<'_>) -> bool {
        self.serve.register(cx.waker());
        let state = self.lock();
        state.stopped && state.sessions.is_empty()
    }

    /// The sockets are closed: nobody who is half in will get in.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.half_open = Crowd::default();
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        tasks.into_values().for_each(|task| task.abort());
    }

    // ---- accept

    /// The next stream; cancel safe.
    pub(super) async fn next(&self) -> Result<McStream, AcceptError> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = self.lock();
                if state.stopped {
                    return Err(AcceptError::Stopped);
                }
                if let Some(next) = state.queue.pop_front() {
                    drop(state);
                    self.room.notify_one();
                    self.serve.wake();
                    return next;
                }
            }
            arrived.await;
        }
    }

    /// Into the queue, unless the listener was stopped: then the stream is reset.
    pub(super) fn show(&self, next: Result<McStream, AcceptError>) {
        let mut state = self.lock();
        if !state.stopped {
            state.queue.push_back(next);
            drop(state);
            self.arrived.notify_one();
        } else {
            drop(state);
            if let Ok(stream) = next {
                stream.abort();
            }
        }
    }

    /// Whether another stream may wait in `accept`.
    pub(super) fn has_room(&self) -> bool {
        self.lock().queue.len() < self.context.settings().backlog()
    }

    /// Waits until another session may begin; `false` once the listener was stopped.
    pub(super) async fn wait_for_room(&self) -> bool {
        loop {
            let room = self.room.notified();
            if self.is_stopped() {
                return false;
            }
            if self.has_room() {
                return true;
            }
            room.await;
        }
    }

    /// Tells `accept` that the system cannot accept now.
    pub(super) fn report(&self, error: AcceptError) {
        if self.has_room() {
            self.show(Err(error));
        }
    }

    // ---- handshakes under way

    /// Handshakes open now.
    pub(super) fn half_open(&self) -> usize {
        self.lock().half_open.len()
    }

    /// Counts a handshake that `begin` starts under the number it is given, and drops another if there
    /// are too many.
    pub(super) fn count_handshake(&self, source: Source, begin: impl FnOnce(u64) -> AbortHandle) {
        let mut state = self.lock();
        while state.half_open.len() >= self.half_open {
            let Some(number) = state.half_open.most() else {
                break;
            };
            state.drop_handshake(number);
        }
        state.greeted += 1;
        let number = state.greeted;
        state.half_open.enter(number, source, 0);
        // It ends with a call that waits for this lock, so it is counted before it is over.
        let task = begin(number);
        state.tasks.insert(number, task);
    }

    pub(super) fn handshake_over(&self, number: u64) {
        let mut state = self.lock();
        state.half_open.leave(number);
        state.tasks.remove(&number);
    }

    /// Frees a descriptor.
    pub(super) fn drop_oldest(&self) {
        let mut state = self.lock();
        if let Some(number) = state.tasks.keys().next().copied() {
            state.drop_handshake(number);
        }
    }

    // ---- sessions

    /// A session that was proved. `false`: the listener was stopped, or has one of this id.
    pub(super) fn enter(
        &self,
        id: SessionId,
        driver: &Arc<Driver>,
        credentials: Credentials,
        source: Source,
    ) -> bool {
        let mut state = self.lock();
        if state.stopped || state.sessions.contains_key(&id) {
            return false;
        }
        let driver = Arc::clone(driver);
        state.sessions.insert(
            id,
            Known {
                driver,
                credentials,
                source,
                told: 0,
            },
        );
        state.unshown.enter(id, source, 0);
        let mut crowded = Vec::new();
        while state.unshown.len() > self.context.settings().backlog() {
            let Some(id) = state.unshown.most() else {
                break;
            };
            state.unshown.leave(id);
            crowded.extend(state.driver(id));
        }
        drop(state);
        for driver in crowded {
            driver.abort(CloseReason::Aborted);
        }
        true
    }

    /// The session's first stream is there.
    pub(super) fn shown(&self, id: SessionId) {
        self.lock().unshown.leave(id);
    }

    /// Another path of a session came from here.
    pub(super) fn moved(&self, id: SessionId, source: Source) {
        if let Some(known) = self.lock().sessions.get_mut(&id) {
            known.source = source;
        }
    }

    /// A session has no path and keeps so many bytes, or (`None`) has one; words are numbered.
    pub(super) fn set_detached(&self, id: SessionId, word: u64, bytes: Option<usize>) {
        let mut state = self.lock();
        let Some(known) = state
            .sessions
            .get_mut(&id)
            .filter(|known| known.told < word)
        else {
            return;
        };
        known.told = word;
        let source = known.source;
        match bytes {
            Some(bytes) => state.detached.enter(id, source, bytes),
            None => drop(state.detached.leave(id)),
        }
        let gone = state.evict(
            self.context.settings().detached,
            self.context.settings().detached_bytes,
        );
        drop(state);
        for driver in gone {
            driver.evict();
        }
    }

    pub(super) fn forget(&self, id: SessionId) {
        let mut state = self.lock();
        state.detached.leave(id);
        state.unshown.leave(id);
        let known = state.sessions.remove(&id);
        drop(state);
        drop(known);
        self.serve.wake();
    }
}

impl State {
    pub(super) fn driver(&self, id: SessionId) -> Option<Arc<Driver>> {
        let known = self.sessions.get(&id)?;
        Some(Arc::clone(&known.driver))
    }

    fn drop_handshake(&mut self, number: u64) {
        self.half_open.leave(number);
        if let Some(task) = self.tasks.remove(&number) {
            task.abort();
        }
    }

    /// Those that have to go for the bounds to hold.
    fn evict(&mut self, sessions: usize, bytes: usize) -> Vec<Arc<Driver>> {
        let mut gone = Vec::new();
        loop {
            let next = if self.detached.len() > sessions {
                self.detached.most()
            } else if self.detached.weight() > bytes {
                self.detached.heaviest()
            } else {
                None
            };
            let Some(id) = next else { return gone };
            self.detached.leave(id);
            gone.extend(self.driver(id));
        }
    }
}

/// How many descriptors this process may have open.
fn descriptors() -> usize {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit};
        let limit = getrlimit(Resource::Nofile).current;
        limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
    }
    #[cfg(not(target_os = "linux"))]
    usize::MAX
}
