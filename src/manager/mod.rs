//! The assembled thing: a scout, the operations that wait on it, transports, configuration.
//!
//! A program rarely sees a [`Manager`]. The free functions ([`mancom::connect`](crate::connect) and its
//! like) use the one of the tokio runtime they are called on:
//!
//! ```text
//!   connect("mc://..")          the runtime's id
//!          |                          |
//!          v                          v
//!   Manager::current() ----> [ table of the process ] ----> Manager
//!                              an entry a runtime             |-- Scout          networks of this host
//!                                                             |-- registry       operations that wait
//!                                                             |-- transports     by scheme
//!                                                             |-- configuration  facts, labels by name
//!                                                             '-- tracker        sessions not finished
//! ```
//!
//! The entry is what `#[mancom::main]`, `#[mancom::test]` or [`Manager::install`] put there, else a
//! manager made from default configuration on first use. It goes when its runtime ends. Outside a runtime
//! there is none: whatever was asked for fails with `NoRuntime` where it is awaited, and never panics.
//! A configuration that is wrong is told in the same place.
//!
//! Managers over the system's networks, on whatever runtime of the process, share the
//! [accounts](crate::account) of their sessions, so that what one sends in the background makes way for
//! another's interactive traffic; they share nothing else.
//!
//! A manager is a handle: clones share everything, its streams and listeners hold it too, and with the
//! last of them the scout and every task of it end.

mod builder;
pub mod config;
mod error;
mod estimate;
mod faults;
#[cfg(all(unix, feature = "inspect"))]
pub mod inspect;
mod limits;
#[cfg(feature = "config")]
mod reload;
#[doc(hidden)]
pub mod runtime;
#[cfg(feature = "test-util")]
mod sentinel;
mod table;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

pub use builder::ManagerBuilder;
pub use error::{BuildError, ShutdownError};
pub(crate) use estimate::estimate;

use crate::account::{Accounts, Limit, NetworkTraffic, Spending};
use crate::deferral::{self, MatchError, Matching, Op, Operation, Pending, Run, Stop, Which};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::matching::{Blocked, Destination, Policy};
use crate::label::{Label, LabelError};
use crate::network::{Network, Snapshot};
use crate::scout::Scout;
use crate::stream::tracker::Tracker;
use crate::stream::{self, Connect, Context, LabelDefaults, Listen};
use crate::transport;

/// Networks, waiting operations, transports and configuration of one program or test; a cheap clone.
///
/// Every free function of the crate is a method here.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use mancom::{Manager, Scout};
///
/// let manager = Manager::builder().scout(Scout::fixed([])).build().await?;
/// manager.install()?;                          // from now on the free functions use it
/// assert!(manager.install().is_err());         // one manager a runtime
/// # Ok::<_, mancom::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scout: Scout,
    registry: Arc<deferral::Registry>,
    transports: transport::Registry,
    settings: stream::Settings,
    tracker: Tracker,
    sessions: stream::Sessions,
    accounts: Arc<Accounts>,
    limits: limits::Keeper,
    config: RwLock<Arc<config::Config>>,
    #[cfg(feature = "tls")]
    tls: crate::tls::Defaults,
    #[cfg(feature = "config")]
    reload: reload::Reload,
    #[cfg(all(unix, feature = "inspect"))]
    #[expect(dead_code, reason = "it ends with the manager")]
    inspection: Option<inspect::Server>,
}

impl Manager {
    /// Starts a manager; see the builder for the defaults.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// The manager of the current runtime, made from default configuration if nobody asked before.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoRuntime`] outside a tokio runtime; [`BuildError::Config`] if the default
    /// configuration is wrong, which then stays so for this runtime.
    pub fn current() -> Result<Manager, BuildError> {
        table::current()
    }

    /// Makes this the manager of the current runtime, until that ends.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoRuntime`] outside a tokio runtime, [`BuildError::AlreadyInstalled`] if the runtime
    /// has one, be it only because a free function was used before.
    pub fn install(&self) -> Result<(), BuildError> {
        table::install(Ok(self.clone()))
    }

    /// [`mancom::connect`](crate::connect) on this manager's networks.
    pub fn connect<E>(&self, to: E) -> Connect
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        Connect::new(Ok(self.context()), to.try_into().map_err(Into::into))
    }

    /// [`mancom::listen`](crate::listen) with this manager's transports.
    pub fn listen<E>(&self, at: E) -> Listen
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        Listen::new(Ok(self.context()), at.try_into().map_err(Into::into))
    }

    /// [`mancom::matching`](crate::matching) on this manager's networks.
    pub fn matching(&self, label: Label) -> Matching {
        let defaults = self.0.defaults(&label);
        let mut matching = Matching::new(Ok(self.registry()), label);
        if let Some(within) = defaults.within {
            matching = matching.within(within);
        }
        if let Some((patience, looser)) = defaults.relax {
            matching = matching.relax_after(patience, looser);
        }
        matching
    }

    /// [`mancom::run`](crate::run) on this manager's networks.
    pub fn run<F, Fut, T, E>(&self, label: Label, f: F) -> Run<F, Fut>
    where
        F: FnMut(Network) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<crate::Error>,
    {
        let defaults = self.0.defaults(&label);
        let mut run = Run::new(Ok(self.registry()), label, f);
        if let Some(within) = defaults.within {
            run = run.within(within);
        }
        if let Some((patience, looser)) = defaults.relax {
            run = run.relax_after(patience, looser);
        }
        if let Some(time) = defaults.stop {
            run = run.stop(Stop::Finish(time));
        }
        run
    }

    /// Withdraws pending operations by label, id or handle; returns how many. What is under way with a
    /// network is not pending. An established session that no network carries is, and ends; not by its
    /// label, which means what has not begun.
    pub fn cancel(&self, what: impl Into<Which>) -> usize {
        self.0.registry.cancel(what)
    }

    /// Everything that waits for a network now, in order of its number: builders that are awaited, and
    /// sessions that no network carries. Costs a look at each.
    pub fn pending(&self) -> Vec<Pending> {
        self.0.registry.pending()
    }

    /// The label of this name in the configuration, as it is in force now.
    ///
    /// # Errors
    ///
    /// [`LabelError::NotDefined`], with the nearest name, if there is none of this name.
    pub fn label(&self, name: &str) -> Result<Label, LabelError> {
        self.0.config().named(name)
    }

    /// The configuration's name of this label, by which diagnostics call it; of several the first.
    pub fn label_name(&self, label: &Label) -> Option<Arc<str>> {
        self.0.registry.name(label)
    }

    /// Every network that serves this label now, best first, without waiting. Empty for a
    /// destination of this host, for no network is used there.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use mancom::label::matching::Destination;
    /// use mancom::{Label, Manager, Scout};
    ///
    /// let manager = Manager::builder().scout(Scout::fixed([])).build().await?;
    /// let blocked = manager.explain(&Label::ANY, &Destination::Unnamed).unwrap_err();
    /// assert_eq!(blocked.hint(), "there is no network");
    /// # Ok::<_, mancom::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Why none does: every network with every reason, for how long each has been so, the last
    /// changes of the reasons, and the label's name in the configuration.
    pub fn explain(&self, label: &Label, to: &Destination) -> Result<Vec<Network>, Box<Blocked>> {
        let registry = &self.0.registry;
        let found = registry.candidates(label, to);
        // What matches only since then did not when it was asked.
        found.map_err(|blocked| registry.why(label, to).unwrap_or(blocked))
    }

    /// Where its networks come from.
    pub fn scout(&self) -> &Scout {
        &self.0.scout
    }

    /// How unknown facts are judged, and what the system's policy forbids.
    pub fn policy(&self) -> Policy {
        self.0.registry.policy()
    }

    /// What traffic may cost: the limits given in code, then the configuration's.
    pub fn limits(&self) -> Arc<[Limit]> {
        self.0.limits.limits.all()
    }

    /// What was spent of each budget on each network in its present period, all processes that share
    /// its state file included as of the last 10 s. A network that nothing went over is left out.
    pub fn spending(&self) -> Vec<Spending> {
        self.0.limits.limits.spending()
    }

    /// Bytes that all sessions and plain connections over these networks moved since the process
    /// began, by network, whether it is metered, urgency and direction; other managers' included. Of a
    /// scripted or fixed scout its own. In order of network.
    ///
    /// With the feature `metrics` they are the counter `mancom_bytes_total`, too.
    pub fn traffic(&self) -> Vec<NetworkTraffic> {
        self.0.accounts.traffic()
    }

    /// All networks of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.scout.snapshots().borrow().clone()
    }

    /// All networks, as they change.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.scout.snapshots()
    }

    /// Stops every listener, then waits until each session has said what it had to say: bytes
    /// acknowledged, ends exchanged, the answering afterwards included. `#[mancom::main]` does it when
    /// the program's `main` returns.
    ///
    /// The manager stays usable; a session that is opened meanwhile is waited for too.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Unfinished`] after `bound`, with the number of sessions that are left. They are
    /// not ended by it.
    ///
    /// # Cancel safety
    ///
    /// Once polled, listeners are stopped; dropping it ends the waiting only.
    pub fn shutdown(&self, bound: Duration) -> Op<Result<(), ShutdownError>> {
        let tracker = self.0.tracker.clone();
        Op::new(Operation::new(), async move {
            tracker.close();
            let drained = tokio::time::timeout(bound, tracker.wait_empty()).await;
            drained.map_err(|_| ShutdownError::Unfinished {
                sessions: tracker.alive(),
            })
        })
    }

    fn context(&self) -> Arc<dyn Context> {
        self.0.clone()
    }

    fn registry(&self) -> Arc<deferral::Registry> {
        self.0.registry.clone()
    }
}

impl Inner {
    /// The configuration in force.
    fn config(&self) -> Arc<config::Config> {
        let config = self.config.read();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Context for Inner {
    fn registry(&self) -> &Arc<deferral::Registry> {
        &self.registry
    }

    fn transports(&self) -> &transport::Registry {
        &self.transports
    }

    fn settings(&self) -> &stream::Settings {
        &self.settings
    }

    fn defaults(&self, label: &Label) -> LabelDefaults {
        let config = self.config.read();
        config
            .unwrap_or_else(PoisonError::into_inner)
            .defaults(label)
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> crate::tls::Defaults {
        self.config().tls(&self.tls)
    }

    fn tasks(&self) -> &Tracker {
        &self.tracker
    }

    fn sessions(&self) -> &stream::Sessions {
        &self.sessions
    }

    fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    fn limits(&self) -> Arc<[Limit]> {
        self.limits.limits.all()
    }
}

/// [`mancom::connect`](crate::connect).
pub(crate) fn connect<E>(to: E) -> Connect
where
    E: TryInto<Endpoint>,
    E::Error: Into<EndpointError>,
{
    match Manager::current() {
        Ok(manager) => manager.connect(to),
        Err(error) => Connect::new(Err(error.into()), to.try_into().map_err(Into::into)),
    }
}

/// [`mancom::listen`](crate::listen).
pub(crate) fn listen<E>(at: E) -> Listen
where
    E: TryInto<Endpoint>,
    E::Error: Into<EndpointError>,
{
    match Manager::current() {
        Ok(manager) => manager.listen(at),
        Err(error) => Listen::new(Err(error.into()), at.try_into().map_err(Into::into)),
    }
}

/// [`mancom::matching`](crate::matching).
pub(crate) fn matching(label: Label) -> Matching {
    match Manager::current() {
        Ok(manager) => manager.matching(label),
        Err(error) => Matching::new(Err(MatchError::from(error)), label),
    }
}

/// [`mancom::run`](crate::run).
pub(crate) fn run<F, Fut, T, E>(label: Label, f: F) -> Run<F, Fut>
where
    F: FnMut(Network) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<crate::Error>,
{
    match Manager::current() {
        Ok(manager) => manager.run(label, f),
        Err(error) => Run::new(Err(MatchError::from(error)), label, f),
    }
}

/// [`mancom::label`](crate::label). Without a manager no name is known.
pub(crate) fn label(name: &str) -> Result<Label, LabelError> {
    match Manager::current() {
        Ok(manager) => manager.label(name),
        Err(_) => Err(LabelError::NotDefined {
            name: name.to_owned(),
            nearest: None,
        }),
    }
}
