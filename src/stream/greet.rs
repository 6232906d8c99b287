//! The listener's door: who may come in, and to which session.
//!
//! A new session is shown to `accept` when its dialler opened the first stream, which it does only
//! after it saw our acceptance: a lost answer leaves no ghost. Handshakes under way are bounded; at
//! the bound the oldest of the source prefix (/24, /56) with most is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::McStream;
use super::context::Context;
use super::dial::{self, Asks, DialError};
use super::driver::{self, Driver};
use super::error::AcceptError;
use super::plain::Plain;
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::PathFacts;
use crate::network::Network;
use crate::proto::session::handshake::{
    Agreed, AttachHello, CookieKey, Greeting, HandshakeError, NewHello,
};
use crate::proto::session::{CloseReason, Session as Core, SessionId};
use crate::transport::{ByteLink, Link};

/// How long a session waits for its first stream before it is given up.
const UNSHOWN: Duration = Duration::from_secs(30);

/// The source of a handshake, as coarse as an attacker's addresses are cheap.
type Prefix = Option<[u8; 7]>;

struct HalfOpen {
    number: u64,
    source: Prefix,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<SessionId, Arc<Driver>>,
    /// Sessions with no path, by the time they lost the last.
    detached: BTreeMap<SessionId, Instant>,
    half_open: VecDeque<HalfOpen>,
    greeted: u64,
    waker: Option<Waker>,
    streams: Option<mpsc::Sender<Result<McStream, AcceptError>>>,
}

pub(super) struct Door {
    context: Arc<dyn Context>,
    asks: Asks,
    plain: bool,
    cookie: CookieKey,
    started: Instant,
    state: Mutex<State>,
}

impl Door {
    pub(super) fn new(
        context: Arc<dyn Context>,
        endpoint: Endpoint,
        cap: Duration,
        anonymous: bool,
        streams: mpsc::Sender<Result<McStream, AcceptError>>,
    ) -> Arc<Self> {
        let mut key = [0; 32];
        // Without entropy every handshake fails later, with its own error.
        let _ = getrandom::fill(&mut key);
        let started = Clock::now();
        Arc::new(Self {
            plain: !endpoint.is_session(),
            asks: Asks {
                endpoint,
                grace: cap,
                anonymous,
            },
            cookie: CookieKey(key),
            started,
            state: Mutex::new(State {
                streams: Some(streams),
                ..State::default()
            }),
            context,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No new sessions from here on.
    pub(super) fn stop(&self) {
        self.lock().streams = None;
    }

    /// Stopped, and no session is left that may want another path.
    pub(super) fn is_idle(&self, cx: &TaskContext<'_>, stopping: bool) -> bool {
        let mut state = self.lock();
        state.waker = Some(cx.waker().clone());
        stopping && state.sessions.is_empty()
    }

    pub(super) fn report(&self, error: AcceptError) {
        if let Some(streams) = &self.lock().streams {
            let _ = streams.try_send(Err(error));
        }
    }

    /// Handshakes open now.
    pub(super) fn half_open(&self) -> usize {
        self.lock().half_open.len()
    }

    pub(super) fn drop_oldest(&self) {
        if let Some(oldest) = self.lock().half_open.pop_front() {
            oldest.task.abort();
        }
    }

    /// Greets a fresh link in a task of its own.
    pub(super) fn greet(self: &Arc<Self>, link: Link) {
        let Link::Bytes(link) = link else { return };
        if self.plain {
            let network = self.network_of(&*link);
            self.show(McStream::plain_stream(
                Plain::new(link, network, None, None),
                Label::ANY,
            ));
            return;
        }
        let source = prefix(link.peer().ip());
        let mut state = self.lock();
        if state.half_open.len() >= self.context.settings().half_open {
            crowd_out(&mut state.half_open);
        }
        state.greeted += 1;
        let number = state.greeted;
        let door = Arc::clone(self);
        let limit = self.context.settings().handshake;
        let task = tokio::spawn(async move {
            match tokio::time::timeout(limit, door.handshake(link, source)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(target: "mancom::session", %error, "handshake refused");
                }
                Err(_) => tracing::debug!(target: "mancom::session", "handshake too slow"),
            }
            door.lock().half_open.retain(|known| known.number != number);
        });
        state.half_open.push_back(HalfOpen {
            number,
            source,
            task: task.abort_handle(),
        });
    }

    async fn handshake(
        self: &Arc<Self>,
        mut link: Box<dyn ByteLink>,
        source: Prefix,
    ) -> Result<(), DialError> {
        match Greeting::parse(&dial::receive(&mut *link).await?)? {
            Greeting::Attach(hello) => self.attach(link, hello).await,
            Greeting::New(hello) => {
                let hello = self.with_cookie(&mut link, hello, source).await?;
                self.begin(link, hello).await
            }
        }
    }

    /// Under load a new session must first show that it receives what is sent to it.
    async fn with_cookie(
        &self,
        link: &mut Box<dyn ByteLink>,
        hello: NewHello,
        source: Prefix,
    ) -> Result<NewHello, DialError> {
        let now = Clock::now();
        let minute = now.saturating_duration_since(self.started).as_secs() / 60;
        let source = source.unwrap_or_default();
        let calm = self.half_open() <= self.context.settings().cookies_after;
        if calm || hello.has_cookie(&self.cookie, &source, minute) {
            return Ok(hello);
        }
        dial::send(
            &mut **link,
            &hello.ask_cookie(&self.cookie, &source, minute),
        )
        .await?;
        match Greeting::parse(&dial::receive(&mut **link).await?)? {
            Greeting::New(hello) if hello.has_cookie(&self.cookie, &source, minute) => Ok(hello),
            _ => Err(HandshakeError::BadProof.into()),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        mut link: Box<dyn ByteLink>,
        hello: NewHello,
    ) -> Result<(), DialError> {
        if self.lock().streams.is_none() {
            return Err(HandshakeError::Refused(0).into());
        }
        let network = self.network_of(&*link);
        let offer = dial::offer(&self.context, &self.asks, network.as_ref());
        let (state, reply) = hello.reply(dial::entropy()?, offer)?;
        dial::send(&mut *link, &reply).await?;
        let (agreed, accepted) = state.confirm(&dial::receive(&mut *link).await?)?;
        let driver = self.enter(link, agreed, network, &accepted).await?;
        self.evict();
        let door = Arc::clone(self);
        tokio::spawn(async move { door.show_first(driver).await });
        Ok(())
    }

    async fn enter(
        self: &Arc<Self>,
        mut link: Box<dyn ByteLink>,
        agreed: Agreed,
        network: Option<Network>,
        accepted: &[u8],
    ) -> Result<Arc<Driver>, DialError> {
        dial::send(&mut *link, accepted).await?;
        let (id, path, remote) = (agreed.id, agreed.path, agreed.remote);
        let now = Clock::now();
        let core = Core::new(agreed, self.context.settings().core(), now);
        let driver = Driver::new(core, Arc::clone(&self.context), Label::ANY, None);
        let alive = self.context.tasks().enter();
        driver
            .attach(path, link, network, remote)
            .expect("the first path of a new session");
        self.lock().sessions.insert(id, Arc::clone(&driver));
        let door = Arc::downgrade(self);
        driver.on_detached(Arc::new({
            let door = Weak::clone(&door);
            move |detached| {
                if let Some(door) = door.upgrade() {
                    door.set_detached(id, detached);
                }
            }
        }));
        driver::spawn(Arc::clone(&driver), None, alive, move || {
            if let Some(door) = door.upgrade() {
                door.forget(id);
            }
        });
        Ok(driver)
    }

    /// Shows the session's first stream to `accept`.
    async fn show_first(&self, driver: Arc<Driver>) {
        let first = poll_fn(|cx| driver.poll_accept(cx));
        match tokio::time::timeout(UNSHOWN, first).await {
            Ok(Ok((id, label))) => {
                let stream = McStream::session_stream(driver, id, label);
                let streams = self.lock().streams.clone();
                match streams {
                    Some(streams) => {
                        if let Err(refused) = streams.send(Ok(stream)).await {
                            abort(refused.0);
                        }
                    }
                    None => stream.abort(),
                }
            }
            Ok(Err(_)) => {}
            Err(_) => driver.abort(CloseReason::Aborted),
        }
    }

    fn show(&self, stream: McStream) {
        if let Some(streams) = &self.lock().streams
            && let Err(error) = streams.try_send(Ok(stream))
        {
            tracing::warn!(target: "mancom::session", %error, "accept is not called: connection dropped");
        }
    }

    async fn attach(
        &self,
        mut link: Box<dyn ByteLink>,
        hello: AttachHello,
    ) -> Result<(), DialError> {
        let driver = self.lock().sessions.get(&hello.session()).cloned();
        let path = hello.path();
        let network = self.network_of(&*link);
        let offer = dial::offer(&self.context, &self.asks, network.as_ref());
        let credentials = driver.as_ref().map(|driver| driver.credentials());
        let (state, challenge) = hello.challenge(dial::entropy()?, credentials.as_ref(), offer);
        dial::send(&mut *link, &challenge).await?;
        match (state.proof(&dial::receive(&mut *link).await?), driver) {
            (Ok((facts, accepted)), Some(driver)) => {
                dial::send(&mut *link, &accepted).await?;
                self.join(&driver, path, link, network, facts)
            }
            (Ok(_), None) => Err(HandshakeError::UnknownSession.into()),
            (Err((error, refusal)), _) => {
                dial::send(&mut *link, &refusal).await?;
                Err(error.into())
            }
        }
    }

    fn join(
        &self,
        driver: &Arc<Driver>,
        path: crate::proto::session::PathId,
        link: Box<dyn ByteLink>,
        network: Option<Network>,
        facts: PathFacts,
    ) -> Result<(), DialError> {
        driver.attach(path, link, network, facts).map_err(|error| {
            DialError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    }

    fn network_of(&self, link: &dyn ByteLink) -> Option<Network> {
        let local = link.local()?;
        if local.is_loopback() {
            return None;
        }
        self.context
            .registry()
            .snapshot()
            .by_address(local)
            .cloned()
    }

    fn set_detached(&self, id: SessionId, detached: bool) {
        let now = Clock::now();
        let mut state = self.lock();
        match detached {
            true => drop(state.detached.entry(id).or_insert(now)),
            false => drop(state.detached.remove(&id)),
        }
        drop(state);
        if detached {
            self.evict();
        }
    }

    /// At the bound of detached sessions the longest detached ends.
    fn evict(&self) {
        let limit = self.context.settings().detached;
        let mut state = self.lock();
        let mut gone = Vec::new();
        while state.detached.len() > limit {
            let oldest = state
                .detached
                .iter()
                .min_by_key(|(_, since)| **since)
                .map(|(id, _)| *id);
            let Some(id) = oldest else { break };
            state.detached.remove(&id);
            gone.extend(state.sessions.get(&id).cloned());
        }
        drop(state);
        for driver in gone {
            driver.abort(CloseReason::Evicted);
        }
    }

    fn forget(&self, id: SessionId) {
        let mut state = self.lock();
        state.detached.remove(&id);
        let driver = state.sessions.remove(&id);
        let waker = state.waker.take();
        drop(state);
        drop(driver);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn abort(refused: Result<McStream, AcceptError>) {
    if let Ok(stream) = refused {
        stream.abort();
    }
}

/// Drops the oldest handshake of the source with most.
fn crowd_out(half_open: &mut VecDeque<HalfOpen>) {
    let mut counts: BTreeMap<Prefix, usize> = BTreeMap::new();
    for known in half_open.iter() {
        *counts.entry(known.source).or_default() += 1;
    }
    let most = counts
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(source, _)| *source);
    if let Some(at) = half_open
        .iter()
        .position(|known| Some(known.source) == most)
        && let Some(oldest) = half_open.remove(at)
    {
        oldest.task.abort();
    }
}

/// /24 of IPv4, /56 of IPv6; `None` for what has no address.
fn prefix(source: Option<IpAddr>) -> Prefix {
    let mut prefix = [0; 7];
    match source?.to_canonical() {
        IpAddr::V4(ip) => prefix[..3].copy_from_slice(&ip.octets()[..3]),
        IpAddr::V6(ip) => prefix.copy_from_slice(&ip.octets()[..7]),
    }
    Some(prefix)
}
