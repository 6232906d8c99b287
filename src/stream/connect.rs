//! `connect`: an endpoint, a label, and a stream that lasts.
//!
//! ```text
//!   where? ──► wait for a match ──► each network, best first ──► the first that answers: a stream
//!                ▲                      │ all failed
//!                └────── pause ─────────┘ thrice: an error that tells every attempt
//! ```
//!
//! A round in which every network went before it answered is not counted: no network is no error.

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::dial::{self, Asks, DialError};
use super::driver::Driver;
use super::error::{Attempt, Attempts, ConnectError};
use super::hooks::{self, DynHook, Hook};
use super::pace::Pace;
use super::plain::Plain;
use super::report::{ConnectReport, Stopwatch};
use super::roam::Roamer;
use super::tend::Target;
use super::whereabouts::{check_place, destination, nearer};
use super::{McStream, driver};
use crate::clock::Clock;
use crate::deferral::{MatchError, Matched, Op, Operation, Want};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::matching::{Blocked, Destination};
use crate::label::{Label, LabelError};
use crate::network::Network;
use crate::proto::session::Session as Core;
use crate::proto::session::handshake::Agreed;
use crate::transport::ByteLink;
use crate::transport::check_attributes;

/// The pause after the first round over all matching networks; later ones are 1.6 times longer.
const ROUND: Duration = Duration::from_millis(320);

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
            operation: Operation::named("connect"),
        }
    }

    /// What the traffic needs. Default: [`Label::ANY`].
    pub fn label(mut self, label: Label) -> Self {
        self.label = label;
        self
    }

    /// One budget for waiting, resolving, connecting and the handshake, time asleep included.
    /// Default: what the configuration says of the label, else none.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// How long the session may live without any path; the listener's cap may shorten it. Default:
    /// what the configuration says of the label, else that of the
    /// [settings](crate::stream::Settings::grace), 10 minutes.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// After this time of waiting, another, looser label takes over. Default: what the configuration
    /// says of the label, else never.
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

    /// Who goes first, higher before lower: among operations of one label that wait for a network, and
    /// among the sessions of this process that have traffic of one urgency for the same network. It
    /// never goes before urgency, and what is in the background moves at least every 5 s. Default: 0.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// At most this many bytes a second go out, in any second: payload with its headers, and what is
    /// sent again. Default: no limit.
    ///
    /// What waits for it waits in the buffers of the streams, which then take no more.
    pub fn rate_limit(mut self, bytes_a_second: u64) -> Self {
        self.rate_limit = Some(bytes_a_second);
        self
    }

    /// Uses the network of this interface and no other, also for the paths to come: as a label with
    /// `if=NAME` does. If it is gone, this waits until it is back, for the
    /// [deadline](Self::within) at most. What stays on this host uses no network.
    ///
    /// Fails with [`MatchError::Label`](crate::MatchError::Label) if the label names another interface.
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
        let started = Clock::now();
        Op::new(operation, async move {
            let mut connect = self;
            // Apart from the plan, which is shared between tasks' threads while it waits.
            let hook = connect.hook.take();
            Plan::of(connect, started).await?.run(hook).await
        })
    }
}

/// The label with what `.on()` asks.
pub(super) fn pinned(label: Label, only: Option<&str>) -> Result<Label, LabelError> {
    only.map_or(Ok(label), |name| label.try_interface(name))
}

/// A `connect` whose arguments were found good.
struct Plan {
    context: Arc<dyn Context>,
    /// As given, for people.
    endpoint: String,
    asks: Asks,
    destination: Destination,
    label: Label,
    deadline: Option<Instant>,
    started: Instant,
    relax: Option<(Duration, Label)>,
    no_wait: bool,
    /// Only the network of this name.
    only: Option<Arc<str>>,
    operation: Operation,
    attempts: Attempts,
    report: ConnectReport,
}

/// How one attempt ended.
enum Tried {
    First(First),
    Failed(DialError),
    /// Its network went before anybody answered.
    Gone,
}

impl Plan {
    async fn of(connect: Connect, started: Instant) -> Result<Self, ConnectError> {
        let context = connect.context?;
        let given = connect.endpoint?;
        let transport = context.transports().get(given.carrier())?;
        check_attributes(&*transport, &given)?;
        if given.is_secure() {
            return Err(ConnectError::Unsupported(
                "TLS (mcs://, tls://) comes with part 4 of mancom",
            ));
        }
        check_place(&given)?;
        let (endpoint, others) = nearer(given.clone()).await;
        if beyond(&endpoint) && !connect.plaintext {
            return Err(ConnectError::Plaintext {
                endpoint: given.to_string(),
            });
        }
        let defaults = context.defaults(&connect.label);
        let within = connect.within.or(defaults.within);
        let relax = connect.relax.or(defaults.relax);
        let only: Option<Arc<str>> = connect.only.map(|network| network.name().into());
        // Found now rather than when the wait begins or the looser label takes over.
        for label in [Some(connect.label), relax.map(|(_, label)| label)]
            .into_iter()
            .flatten()
        {
            pinned(label, only.as_deref()).map_err(MatchError::from)?;
        }
        let grace = connect.grace.or(defaults.grace);
        let grace = grace.unwrap_or(context.settings().grace);
        Ok(Self {
            endpoint: given.to_string(),
            destination: destination(&endpoint, &others, &*context),
            asks: Asks {
                endpoint,
                others: others.into(),
                grace,
                anonymous: connect.anonymous,
                priority: connect.priority,
                rate_limit: connect.rate_limit,
            },
            label: connect.label,
            deadline: within.and_then(|limit| started.checked_add(limit)),
            started,
            relax,
            no_wait: connect.no_wait,
            only,
            operation: connect.operation,
            attempts: Attempts::to(&given.to_string()),
            report: ConnectReport::to(&given.to_string()),
            context,
        })
    }

    async fn run(mut self, hook: Option<Box<dyn DynHook>>) -> Result<McStream, ConnectError> {
        let mut round = 0;
        let mut pace = Pace::default();
        loop {
            while let Some(hold) = pace.hold(Clock::now()) {
                self.pause(hold).await?;
            }
            let Matched {
                networks, label, ..
            } = self.wait().await?;
            pace.begin(Clock::now());
            let ways: Vec<Option<Network>> = match self.destination {
                Destination::Host => vec![None],
                _ => networks.into_iter().map(Some).collect(),
            };
            let (mut answered, mut hopeless) = (false, true);
            for way in ways {
                let mut watch = Stopwatch::new();
                match self.bounded(way.clone(), label, &mut watch).await? {
                    Tried::First(first) => {
                        let name = way.as_ref().map(Network::name);
                        self.report.note(self.started, name, &watch, None);
                        return Ok(self.begin(first, way, label, hook));
                    }
                    Tried::Gone => self.note(way.as_ref(), &watch, went()),
                    Tried::Failed(error) => {
                        let error = error.into_io();
                        answered = true;
                        hopeless &= is_hopeless(&error);
                        self.note(way.as_ref(), &watch, error);
                    }
                }
            }
            round += u32::from(answered);
            if answered && (hopeless || round >= self.context.settings().connect_rounds) {
                return Err(self.failed(None));
            }
            if answered {
                let exponent = i32::try_from(round - 1).unwrap_or(i32::MAX);
                self.pause(ROUND.mul_f64(1.6_f64.powi(exponent))).await?;
            }
        }
    }

    /// The networks to try, and the label as the user said it that admits them.
    async fn wait(&mut self) -> Result<Matched, ConnectError> {
        loop {
            let waited = Clock::now().saturating_duration_since(self.started);
            let snapshot = self.context.registry().snapshot();
            let (endpoint, others) = self.asks.place();
            self.destination = destination(endpoint, others, &*self.context);
            let loosely = |(after, label): (Duration, Label)| {
                Ok::<_, LabelError>((after.saturating_sub(waited), self.pinned(label)?))
            };
            let want = Want {
                label: self.pinned(self.label).map_err(MatchError::from)?,
                destination: self.destination.clone(),
                deadline: self.deadline,
                relax: self
                    .relax
                    .map(loosely)
                    .transpose()
                    .map_err(MatchError::from)?,
                no_wait: self.no_wait,
                priority: self.asks.priority,
            };
            let waiting = self.context.registry().wait(want, &self.operation);
            let mut snapshots = self.context.registry().snapshots();
            let matched = tokio::select! {
                biased;
                matched = waiting => matched,
                // Which addresses are this host's own is known with the first whole scan.
                Ok(_) = snapshots.wait_for(|now| now.is_complete()), if !snapshot.is_complete() => continue,
            };
            return match matched {
                Ok(matched) => Ok(self.unpinned(matched)),
                Err(error) => Err(self.unmatched(error)),
            };
        }
    }

    fn pinned(&self, label: Label) -> Result<Label, LabelError> {
        pinned(label, self.only.as_deref())
    }

    /// The interface is this host's business: the stream's label is the user's.
    fn unpinned(&self, matched: Matched) -> Matched {
        let is_first = self
            .pinned(self.label)
            .is_ok_and(|first| first == matched.label);
        let label = match self.relax {
            Some((_, looser)) if !is_first => looser,
            _ => self.label,
        };
        Matched { label, ..matched }
    }

    /// The wait ended without a match; what was tried before is part of the story.
    fn unmatched(&mut self, error: MatchError) -> ConnectError {
        let waited = Clock::now().saturating_duration_since(self.started);
        match error {
            MatchError::TimedOut(mut blocked) => {
                blocked.waited = Some(waited);
                match self.attempts.is_empty() {
                    true => MatchError::TimedOut(blocked).into(),
                    false => self.late(Some(blocked)),
                }
            }
            MatchError::NoMatch(blocked) if !self.attempts.is_empty() => self.failed(Some(blocked)),
            error => error.into(),
        }
    }

    /// One attempt within the deadline, given up when its network goes.
    async fn bounded(
        &mut self,
        way: Option<Network>,
        label: Label,
        watch: &mut Stopwatch,
    ) -> Result<Tried, ConnectError> {
        let attempt = async {
            match self.attempt(way.clone(), &label, watch).await {
                Ok(first) => Tried::First(first),
                Err(error) => Tried::Failed(error),
            }
        };
        let tried = tokio::select! {
            biased;
            tried = attempt => Some(tried),
            () = self.leaves(way.as_ref(), label) => Some(Tried::Gone),
            () = Clock::reached(self.deadline) => None,
        };
        watch.stop();
        match tried {
            // The socket may tell of the loss before the snapshot does.
            Some(Tried::Failed(_)) if !self.admits(way.as_ref(), label) => Ok(Tried::Gone),
            Some(tried) => Ok(tried),
            None => {
                let text = "no answer before the deadline";
                let error = io::Error::new(io::ErrorKind::TimedOut, text);
                self.note(way.as_ref(), watch, error);
                Err(self.late(None))
            }
        }
    }

    async fn attempt(
        &self,
        way: Option<Network>,
        label: &Label,
        watch: &mut Stopwatch,
    ) -> Result<First, DialError> {
        let (context, on) = (&self.context, way.as_ref());
        if self.asks.endpoint.is_session() {
            let (link, agreed) = dial::hello(context, &self.asks, on, label, watch).await?;
            Ok(First::Session(link, Box::new(agreed)))
        } else {
            let link = dial::reach(context, self.asks.place(), on, label, watch).await?;
            Ok(First::Plain(link))
        }
    }

    /// Whether this network still is one to try.
    fn admits(&self, way: Option<&Network>, label: Label) -> bool {
        let Some(network) = way else { return true };
        let label = self.pinned(label).unwrap_or(label);
        let matching = self
            .context
            .registry()
            .candidates(&label, &self.destination);
        matching.is_ok_and(|networks| networks.iter().any(|other| other.id() == network.id()))
    }

    /// Resolves when this network is none to try any more.
    async fn leaves(&self, way: Option<&Network>, label: Label) {
        let mut snapshots = self.context.registry().snapshots();
        while self.admits(way, label) {
            if snapshots.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Between two rounds; a change of what matches or a nudge ends it early.
    async fn pause(&mut self, pause: Duration) -> Result<(), ConnectError> {
        let registry = self.context.registry();
        let mut snapshots = registry.snapshots();
        let label = self.pinned(self.label).unwrap_or(self.label);
        let ids = || {
            let matching = registry
                .candidates(&label, &self.destination)
                .unwrap_or_default();
            matching.iter().map(Network::id).collect::<Vec<_>>()
        };
        let before = ids();
        let changed = async {
            while ids() == before {
                if snapshots.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let late = tokio::select! {
            biased;
            () = Clock::reached(self.deadline) => true,
            () = tokio::time::sleep(pause) => false,
            () = changed => false,
            () = self.operation.nudged() => false,
        };
        if late { Err(self.late(None)) } else { Ok(()) }
    }

    fn note(&mut self, way: Option<&Network>, watch: &Stopwatch, error: io::Error) {
        tracing::debug!(
            target: "mancom::session",
            op = %self.operation.id(), network = way.map(Network::name), %error,
            "attempt failed"
        );
        let (name, error) = (way.map(Network::name), Arc::new(error));
        self.report.note(self.started, name, watch, Some(&error));
        self.attempts.push(Attempt {
            network: name.map(Into::into),
            error,
        });
    }

    fn late(&mut self, blocked: Option<Box<Blocked>>) -> ConnectError {
        ConnectError::TimedOut {
            endpoint: self.endpoint.clone(),
            waited: Clock::now().saturating_duration_since(self.started),
            attempts: std::mem::take(&mut self.attempts),
            blocked,
        }
    }

    fn failed(&mut self, blocked: Option<Box<Blocked>>) -> ConnectError {
        let attempts = std::mem::take(&mut self.attempts);
        ConnectError::Failed {
            endpoint: self.endpoint.clone(),
            attempts,
            blocked,
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
                    let carrier = Arc::downgrade(&stream.carrier);
                    tokio::spawn(hooks::observe(stream.events(), carrier, hook));
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
            endpoint: self.asks.endpoint.clone(),
            destination: self.destination,
            only: self.only,
            label,
            grace: self.asks.grace,
        };
        let plain = Plain::new(link, way, hook, Some(target));
        plain.limit(self.asks.rate_limit);
        plain.set_report(self.report);
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
        let (now, first) = (Clock::now(), way.clone());
        let config = self.context.settings().core(self.asks.rate_limit);
        let core = Core::new(agreed, config, now);
        let alive = self.context.tasks().enter();
        let driver = Driver::new(
            core,
            Arc::clone(&self.context),
            label,
            Some(self.destination.clone()),
            &self.asks,
        );
        driver.set_report(self.report);
        driver
            .attach(path, link, way, remote)
            .expect("the first path of a new session");
        let id = driver
            .open(label)
            .expect("the first stream of a new session");
        let roamer = Roamer::new(
            self.context,
            self.asks,
            self.destination,
            self.only,
            first,
            driver.operation(),
        );
        driver::spawn(Arc::clone(&driver), Some(roamer), alive, || {});
        McStream::session_stream(driver, id, label)
    }
}

enum First {
    Session(Box<dyn ByteLink>, Box<Agreed>),
    Plain(Box<dyn ByteLink>),
}

/// A session in clear that would leave this host.
pub(super) fn beyond(endpoint: &Endpoint) -> bool {
    endpoint.is_session() && !endpoint.is_host_scope() && endpoint.carrier() != "mem"
}

fn went() -> io::Error {
    io::Error::new(
        io::ErrorKind::NetworkDown,
        "it went before the far end answered",
    )
}

/// What another try in a second will not change.
fn is_hopeless(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, PermissionDenied, Unsupported};

    matches!(
        error.kind(),
        InvalidInput | InvalidData | Unsupported | PermissionDenied
    )
}
