//! `connect`: an endpoint, a label, and a stream that lasts.

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::context::Context;
use super::dial::{self, Asks, DialError};
use super::driver::Driver;
use super::error::{Attempt, ConnectError};
use super::hooks::{Carried, DynHook, Hook, Observed, Resume};
use super::plain::{Plain, Target};
use super::roam::Roamer;
use super::{McStream, driver};
use crate::clock::Clock;
use crate::deferral::{MatchError, Matched, Op, Operation, Want};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::Session as Core;
use crate::proto::session::handshake::Agreed;
use crate::transport::ByteLink;

/// Attempts an error tells of.
const TOLD: usize = 32;
/// Between two rounds over all matching networks.
const ROUND: Duration = Duration::from_millis(200);

/// Connects; a builder, see [`connect`](crate::connect). `.await` it, or call `.into_future()` to
/// spawn it or to join several.
#[must_use = "a builder does nothing until it is awaited"]
pub struct Connect {
    context: Result<Arc<dyn Context>, ConnectError>,
    endpoint: Result<Endpoint, EndpointError>,
    label: Label,
    within: Option<Duration>,
    grace: Option<Duration>,
    relax: Option<(Duration, Label)>,
    no_wait: bool,
    plaintext: bool,
    anonymous: bool,
    hook: Option<Box<dyn DynHook>>,
    priority: i8,
    rate_limit: Option<u64>,
    only: Option<Network>,
    operation: Operation,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("endpoint", &self.endpoint)
            .field("label", &self.label)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl Connect {
    pub(crate) fn new(
        context: Result<Arc<dyn Context>, ConnectError>,
        endpoint: Result<Endpoint, EndpointError>,
    ) -> Self {
        Self {
            context,
            endpoint,
            label: Label::ANY,
            within: None,
            grace: None,
            relax: None,
            no_wait: false,
            plaintext: false,
            anonymous: false,
            hook: None,
            priority: 0,
            rate_limit: None,
            only: None,
            operation: Operation::new(),
        }
    }

    /// What the traffic needs. Default: [`Label::ANY`].
    pub fn label(mut self, label: Label) -> Self {
        self.label = label;
        self
    }

    /// One budget for waiting, resolving and connecting. Default: none.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// How long the session may live without any path; the listener's cap may shorten it. Default:
    /// 10 minutes.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// After this time of waiting, another, looser label takes over.
    pub fn relax_after(mut self, after: Duration, label: Label) -> Self {
        self.relax = Some((after, label));
        self
    }

    /// Fails with `NoMatch` at once instead of waiting for a network.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Allows `mc://` in clear beyond this host. An active attacker on the path can then read, change
    /// and take over the session.
    pub fn plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Tells the peer nothing of the networks used.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// What to do on each new connection to a server that does not know mancom; see
    /// [`hooks`](crate::hooks).
    pub fn reconnect(mut self, hook: impl Hook) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Order among waiting operations of one label: higher first. Default: 0.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// At most this many payload bytes a second go out. Default: no limit.
    pub fn rate_limit(mut self, bytes_a_second: u64) -> Self {
        self.rate_limit = Some(bytes_a_second);
        self
    }

    /// Uses this network and no other.
    pub fn on(mut self, network: &Network) -> Self {
        self.only = Some(network.clone());
        self
    }

    /// The operation's handle.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl IntoFuture for Connect {
    type Output = Result<McStream, ConnectError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let operation = self.operation.clone();
        Op::new(operation, async move {
            let mut connect = self;
            // Apart from the plan, which is shared between tasks' threads while it waits.
            let hook = connect.hook.take();
            Plan::of(connect)?.run(hook).await
        })
    }
}

/// A `connect` whose arguments were found good.
struct Plan {
    context: Arc<dyn Context>,
    asks: Asks,
    destination: Destination,
    label: Label,
    deadline: Option<Instant>,
    started: Instant,
    relax: Option<(Duration, Label)>,
    no_wait: bool,
    priority: i8,
    only: Option<NetworkId>,
    operation: Operation,
    attempts: Vec<Attempt>,
}

impl Plan {
    fn of(connect: Connect) -> Result<Self, ConnectError> {
        let context = connect.context?;
        let endpoint = connect.endpoint?;
        context.transports().get(endpoint.carrier())?;
        check(&endpoint, connect.plaintext)?;
        if connect.rate_limit.is_some() {
            return Err(ConnectError::Unsupported(
                "rate_limit comes with part 3 of mancom",
            ));
        }
        let started = Clock::now();
        let grace = connect.grace.unwrap_or(context.settings().grace);
        Ok(Self {
            destination: destination(&endpoint, &*context),
            asks: Asks {
                endpoint,
                grace,
                anonymous: connect.anonymous,
            },
            label: connect.label,
            deadline: connect.within.map(|limit| started + limit),
            started,
            relax: connect.relax,
            no_wait: connect.no_wait,
            priority: connect.priority,
            only: connect.only.map(|network| network.id()),
            operation: connect.operation,
            attempts: Vec::new(),
            context,
        })
    }

    async fn run(mut self, hook: Option<Box<dyn DynHook>>) -> Result<McStream, ConnectError> {
        let mut round = 0;
        loop {
            let matched = self.wait().await?;
            let mut snapshots = self.context.registry().snapshots();
            snapshots.mark_unchanged();
            let ways: Vec<Option<Network>> = match self.destination {
                Destination::Host => vec![None],
                _ => matched.networks.into_iter().map(Some).collect(),
            };
            let only = self.only;
            let named = |way: &Option<Network>| {
                only.is_none_or(|only| way.as_ref().is_none_or(|network| network.id() == only))
            };
            for way in ways.into_iter().filter(named) {
                match self.bounded(way.clone()).await? {
                    Ok(first) => return Ok(self.begin(first, way, matched.label, hook)),
                    Err(error) => self.note(way.as_ref(), error),
                }
            }
            round += 1;
            if round >= self.context.settings().connect_rounds {
                return Err(self.failed());
            }
            self.pause(round, &mut snapshots).await?;
        }
    }

    async fn wait(&self) -> Result<Matched, MatchError> {
        let want = Want {
            label: self.label,
            destination: self.destination.clone(),
            deadline: self.deadline,
            relax: self.relax,
            no_wait: self.no_wait,
            priority: self.priority,
        };
        self.context.registry().wait(want, &self.operation).await
    }

    /// One attempt within the deadline.
    async fn bounded(
        &self,
        way: Option<Network>,
    ) -> Result<Result<First, DialError>, ConnectError> {
        let attempt = self.attempt(way);
        match self.left() {
            None => Ok(attempt.await),
            Some(left) => tokio::time::timeout(left, attempt)
                .await
                .map_err(|_| self.late()),
        }
    }

    async fn attempt(&self, way: Option<Network>) -> Result<First, DialError> {
        if self.asks.endpoint.is_session() {
            let (link, agreed) = dial::hello(&self.context, &self.asks, way.as_ref()).await?;
            Ok(First::Session(link, Box::new(agreed)))
        } else {
            Ok(First::Plain(
                dial::reach(&self.context, &self.asks.endpoint, way.as_ref()).await?,
            ))
        }
    }

    fn left(&self) -> Option<Duration> {
        let now = Clock::now();
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Between two rounds; a new snapshot or a nudge ends it early.
    async fn pause(
        &self,
        round: u32,
        snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    ) -> Result<(), ConnectError> {
        let pause = ROUND.mul_f64(1.6_f64.powi(i32::try_from(round).unwrap_or(i32::MAX)));
        let late = self.left().is_some_and(|left| left < pause);
        let pause = self.left().map_or(pause, |left| left.min(pause));
        tokio::select! {
            () = tokio::time::sleep(pause) => if late { return Err(self.late()) },
            Ok(()) = snapshots.changed() => {}
            () = self.operation.nudged() => {}
        }
        Ok(())
    }

    fn note(&mut self, way: Option<&Network>, error: DialError) {
        let error = error.into_io();
        tracing::debug!(target: "mancom::session", network = way.map(Network::name), %error, "attempt failed");
        if self.attempts.len() == TOLD {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt {
            network: way.map(|network| network.name().into()),
            error: Arc::new(error),
        });
    }

    fn endpoint(&self) -> String {
        self.asks.endpoint.to_string()
    }

    fn late(&self) -> ConnectError {
        let waited = Clock::now().saturating_duration_since(self.started);
        ConnectError::TimedOut {
            endpoint: self.endpoint(),
            waited,
            attempts: self.attempts.clone(),
        }
    }

    fn failed(&mut self) -> ConnectError {
        ConnectError::Failed {
            endpoint: self.endpoint(),
            attempts: std::mem::take(&mut self.attempts),
        }
    }

    /// The first path stands: the session, its task, and its first stream.
    fn begin(
        self,
        first: First,
        way: Option<Network>,
        label: Label,
        hook: Option<Box<dyn DynHook>>,
    ) -> McStream {
        match first {
            First::Plain(link) => self.begin_plain(link, way, label, hook),
            First::Session(link, agreed) => {
                let stream = self.begin_session(link, *agreed, way, label);
                if let Some(hook) = hook {
                    tokio::spawn(observe(stream.events(), hook));
                }
                stream
            }
        }
    }

    fn begin_plain(
        self,
        link: Box<dyn ByteLink>,
        way: Option<Network>,
        label: Label,
        hook: Option<Box<dyn DynHook>>,
    ) -> McStream {
        let target = Target {
            context: self.context,
            endpoint: self.asks.endpoint,
            destination: self.destination,
            only: self.only,
            label,
            grace: self.asks.grace,
        };
        let plain = Plain::new(link, way, hook.map(|hook| (hook, target)));
        McStream::plain_stream(plain, label)
    }

    fn begin_session(
        self,
        link: Box<dyn ByteLink>,
        agreed: Agreed,
        way: Option<Network>,
        label: Label,
    ) -> McStream {
        let (path, remote) = (agreed.path, agreed.remote);
        let first = way.as_ref().map(Network::id);
        let now = Clock::now();
        let core = Core::new(agreed, self.context.settings().core(), now);
        let alive = self.context.tasks().enter();
        let driver = Driver::new(
            core,
            Arc::clone(&self.context),
            label,
            Some(self.destination.clone()),
        );
        driver
            .attach(path, link, way, remote)
            .expect("the first path of a new session");
        let id = driver
            .open(label)
            .expect("the first stream of a new session");
        let roamer = Roamer::new(self.context, self.asks, self.destination, self.only, first);
        driver::spawn(Arc::clone(&driver), Some(roamer), alive, || {});
        McStream::session_stream(driver, id, label)
    }
}

enum First {
    Session(Box<dyn ByteLink>, Box<Agreed>),
    Plain(Box<dyn ByteLink>),
}

/// A hook on a mancom session sees each change of path, and has nothing to do.
async fn observe(mut events: super::Events, mut hook: Box<dyn DynHook>) {
    let carried = Carried {
        written: 0,
        acknowledged: None,
        read: 0,
    };
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            super::PathEvent::Up(_) if std::mem::take(&mut first) => {}
            super::PathEvent::Up(_) => {
                let answer: io::Result<Resume> = hook.setup(&mut Observed, carried).await;
                tracing::trace!(target: "mancom::session", ?answer, "a hook saw the new path");
            }
            super::PathEvent::Down { .. } => hook.teardown(carried).await,
            _ => {}
        }
    }
}

/// What matching is to know of this endpoint before its name is resolved.
pub(super) fn destination(endpoint: &Endpoint, context: &dyn Context) -> Destination {
    if endpoint.carrier() == "mem" {
        return match context.registry().scout().is_simulated() {
            true => Destination::Name,
            false => Destination::Host,
        };
    }
    if endpoint.is_host_scope() {
        return Destination::Host;
    }
    match endpoint.ip() {
        Some(ip) => Destination::Addresses(Arc::from([ip])),
        None => Destination::Name,
    }
}

/// `mc://` in clear goes no further than this host unless asked for.
fn check(endpoint: &Endpoint, plaintext: bool) -> Result<(), ConnectError> {
    if endpoint.is_secure() {
        return Err(ConnectError::Unsupported(
            "TLS (mcs://, tls://) comes with part 4 of mancom",
        ));
    }
    let near = endpoint.is_host_scope() || endpoint.carrier() == "mem";
    if endpoint.is_session() && !near && !plaintext {
        return Err(ConnectError::Plaintext {
            endpoint: endpoint.to_string(),
        });
    }
    Ok(())
}
