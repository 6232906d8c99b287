//! The handshakes at a listener's door: who may come in, and to which session.
//!
//! A new session is shown to `accept` when its dialler opened the first stream, which it does only
//! after it saw our acceptance: a lost answer leaves no ghost. An attach costs one HMAC and no key
//! agreement, and a session that is not known is answered in the same form after the same work; the
//! session that an attach names notices nothing before the proof.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::McStream;
use super::crowd::Source;
use super::dial::{self, DialError};
use super::door::Door;
use super::driver::{self, Driver, Turn};
use super::plain::Plain;
use super::reuse::Who;
use super::secure;
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::PathFacts;
use crate::network::{Network, NetworkId};
use crate::proto::session::handshake::{
    Agreed, AttachHello, Credentials, Greeting, HandshakeError, NewHello, ProvedHello, refuse_new,
};
use crate::proto::session::{CloseReason, PathId, Session as Core, SessionId};
use crate::transport::{ByteLink, Link};

/// How long a session waits for its first stream before it is given up.
const UNSHOWN: Duration = Duration::from_secs(30);

/// A link, and where it came from.
struct Arrival {
    link: Box<dyn ByteLink>,
    source: Source,
    network: Option<Network>,
}

impl Door {
    /// Greets a fresh link in a task of its own; `via` is the network it was accepted on, where the
    /// listener is bound to one.
    pub(super) fn greet(self: &Arc<Self>, link: Link, via: Option<NetworkId>) {
        let Link::Bytes(link) = link else { return };
        let network = self.network_of(&*link, via);
        if self.plain && self.asks.secure.is_clear() {
            return self.show_plain(link, network);
        }
        let source = Source::of(link.peer().ip());
        let arrival = Arrival {
            link,
            source,
            network,
        };
        let door = Arc::clone(self);
        let limit = self.context.settings().handshake;
        self.count_handshake(source, move |number| {
            let greeting = async move {
                match tokio::time::timeout(limit, door.handshake(arrival)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(target: "mancom::session", %error, "handshake refused");
                    }
                    Err(_) => tracing::debug!(target: "mancom::session", "handshake too slow"),
                }
                door.handshake_over(number);
            };
            tokio::spawn(greeting).abort_handle()
        });
    }

    fn show_plain(&self, link: Box<dyn ByteLink>, network: Option<Network>) {
        let plain = Plain::new(link, network, None, None, &self.context);
        plain.limit(self.asks.rate_limit);
        self.show(Ok(McStream::plain_stream(plain, Label::ANY)));
    }

    async fn handshake(self: &Arc<Self>, mut arrival: Arrival) -> Result<(), DialError> {
        let from = arrival.link.peer();
        let secured = self.asks.secure.accepted(arrival.link).await;
        arrival.link = secured.inspect_err(|error| {
            // Who goes without a word looked whether somebody is here, as monitors do.
            if error.kind() != ErrorKind::ConnectionReset {
                self.refusals.tell(&self.asks.endpoint, &from, error);
            }
        })?;
        if self.plain {
            if self.wait_for_room().await {
                self.show_plain(arrival.link, arrival.network);
            }
            return Ok(());
        }
        match Greeting::parse(&dial::receive(&mut *arrival.link).await?)? {
            Greeting::Attach(hello) => self.attach(arrival, hello).await,
            Greeting::Proved(hello) => self.attach_at_once(arrival, hello).await,
            Greeting::New(hello) => {
                let hello = self.with_cookie(&mut arrival, hello).await?;
                self.begin(arrival, hello).await
            }
        }
    }

    /// Under load a new session must first show that it receives what is sent to it.
    async fn with_cookie(
        &self,
        arrival: &mut Arrival,
        hello: NewHello,
    ) -> Result<NewHello, DialError> {
        let minute = || {
            Clock::now()
                .saturating_duration_since(self.started)
                .as_secs()
                / 60
        };
        let source = arrival.source.bytes();
        let calm = self.half_open() <= self.context.settings().cookies_after;
        if calm || hello.has_cookie(&self.cookie, &source, minute()) {
            return Ok(hello);
        }
        dial::send(
            &mut *arrival.link,
            &hello.ask_cookie(&self.cookie, &source, minute()),
        )
        .await?;
        match Greeting::parse(&dial::receive(&mut *arrival.link).await?)? {
            Greeting::New(hello) if hello.has_cookie(&self.cookie, &source, minute()) => Ok(hello),
            _ => Err(HandshakeError::BadProof.into()),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        mut arrival: Arrival,
        hello: NewHello,
    ) -> Result<(), DialError> {
        if self.is_stopped() {
            dial::send(&mut *arrival.link, &refuse_new()).await?;
            return Err(HandshakeError::Closed.into());
        }
        let (network, link) = (arrival.network.as_ref(), &*arrival.link);
        let offer = dial::offer(&self.context, &self.asks, network, link);
        let (state, reply) = hello.reply(dial::entropy()?, offer)?;
        dial::send(&mut *arrival.link, &reply).await?;
        let confirmed = state.confirm(&dial::receive(&mut *arrival.link).await?);
        let (agreed, accepted) = match confirmed {
            Ok(confirmed) => confirmed,
            Err((error, refusal)) => {
                if let Some(refusal) = refusal {
                    dial::send(&mut *arrival.link, &refusal).await?;
                    secure::finish(arrival.link, self.context.tasks().enter());
                }
                return Err(error.into());
            }
        };
        if !self.wait_for_room().await {
            dial::send(&mut *arrival.link, &refuse_new()).await?;
            return Err(HandshakeError::Closed.into());
        }
        dial::send(&mut *arrival.link, &accepted).await?;
        self.start(arrival, agreed);
        Ok(())
    }

    /// The dialler proved the session, and has our acceptance or will ask for it.
    fn start(self: &Arc<Self>, arrival: Arrival, agreed: Agreed) {
        let Arrival {
            link,
            source,
            network,
        } = arrival;
        let (id, path, remote) = (agreed.id, agreed.path, agreed.remote);
        let credentials = agreed.credentials.clone();
        let config = self.context.settings().core(self.asks.rate_limit);
        let core = Core::new(agreed, config, Clock::now());
        let context = Arc::clone(&self.context);
        let driver = Driver::new(core, context, Label::ANY, None, &self.asks);
        if let Some(advertise) = self.advertise.get() {
            driver.advertise(Arc::clone(advertise));
        }
        let alive = self.context.tasks().enter();
        driver
            .attach(path, link, network, remote)
            .expect("the first path of a new session");
        let entered = self.enter(id, &driver, credentials, source);
        let door = Arc::downgrade(self);
        if entered {
            let door = door.clone();
            driver.on_detached(Arc::new(move |word, bytes| {
                if let Some(door) = door.upgrade() {
                    door.set_detached(id, word, bytes);
                }
            }));
        }
        driver::spawn(Arc::clone(&driver), None, alive, move || {
            if entered && let Some(door) = door.upgrade() {
                door.forget(id);
            }
        });
        if entered {
            let door = Arc::clone(self);
            tokio::spawn(async move { door.show_first(id, driver).await });
        } else {
            driver.abort(CloseReason::Aborted);
        }
    }

    /// Shows the session's first stream to `accept`.
    async fn show_first(&self, id: SessionId, driver: Arc<Driver>) {
        let mut turn = Turn::to_accept(&driver);
        let first = poll_fn(|cx| turn.poll_accept(cx));
        let first = tokio::time::timeout(UNSHOWN, first).await;
        self.shown(id);
        match first {
            Ok(Ok((stream, label))) => {
                let who = Who::of(&driver, None, (&self.asks, None));
                self.context.sessions().enter(who, &driver);
                self.show(Ok(McStream::session_stream(driver, stream, label)))
            }
            Ok(Err(_)) => {}
            Err(_) => driver.abort(CloseReason::Aborted),
        }
    }

    async fn attach(&self, arrival: Arrival, hello: AttachHello) -> Result<(), DialError> {
        let Arrival {
            mut link,
            source,
            network,
        } = arrival;
        let (id, path) = (hello.session(), hello.path());
        let offer = dial::offer(&self.context, &self.asks, network.as_ref(), &*link);
        let credentials = self.credentials(id);
        let (state, challenge) = hello.challenge(dial::entropy()?, credentials.as_ref(), offer);
        dial::send(&mut *link, &challenge).await?;
        let proved = state.proof(&dial::receive(&mut *link).await?);
        let arrival = Arrival {
            link,
            source,
            network,
        };
        self.join(arrival, (id, path), proved).await
    }

    async fn attach_at_once(&self, arrival: Arrival, hello: ProvedHello) -> Result<(), DialError> {
        let (id, path) = (hello.session(), hello.path());
        let (network, link) = (arrival.network.as_ref(), &*arrival.link);
        let offer = dial::offer(&self.context, &self.asks, network, link);
        let credentials = self.credentials(id);
        let proved = hello.answer(dial::entropy()?, credentials.as_ref(), &offer);
        self.join(arrival, (id, path), proved).await
    }

    /// What came of a proof: a path of the session, or a refusal.
    async fn join(
        &self,
        arrival: Arrival,
        (id, path): (SessionId, PathId),
        proved: Result<(PathFacts, Vec<u8>), (HandshakeError, Vec<u8>)>,
    ) -> Result<(), DialError> {
        let Arrival {
            mut link,
            source,
            network,
        } = arrival;
        let (facts, accepted) = match proved {
            Ok(proved) => proved,
            Err((error, refusal)) => {
                dial::send(&mut *link, &refusal).await?;
                secure::finish(link, self.context.tasks().enter());
                return Err(self.told(id, path, error));
            }
        };
        // It was known when it was asked for, but may have ended meanwhile.
        let known = self.lock().driver(id);
        let driver = known.ok_or(HandshakeError::UnknownSession)?;
        dial::send(&mut *link, &accepted).await?;
        self.moved(id, source);
        driver.attach(path, link, network, facts).map_err(|error| {
            DialError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    }

    /// A refused attach in words for this end's log alone: the dialler is told one thing of all.
    fn told(&self, id: SessionId, path: PathId, error: HandshakeError) -> DialError {
        let driver = self.lock().driver(id);
        let text = match (&error, driver) {
            (HandshakeError::BadProof, None) => "an attach to a session that is not known here",
            (HandshakeError::BadProof, Some(driver)) if driver.has_seen(path) => {
                "an attach that was made before, proved on another connection: a recording"
            }
            (HandshakeError::BadProof, Some(_)) => {
                "an attach that names a session and does not prove it: a stolen id"
            }
            _ => return error.into(),
        };
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, text).into()
    }

    fn credentials(&self, id: SessionId) -> Option<Credentials> {
        self.lock()
            .sessions
            .get(&id)
            .map(|known| known.credentials.clone())
    }

    fn network_of(&self, link: &dyn ByteLink, via: Option<NetworkId>) -> Option<Network> {
        let snapshot = self.context.registry().snapshot();
        if let Some(via) = via {
            return snapshot.by_id(via).cloned();
        }
        let local = link.local()?.to_canonical();
        if local.is_loopback() {
            return None;
        }
        snapshot.by_address(local).cloned()
    }
}
