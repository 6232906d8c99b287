//! How a manager is put together.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use tokio::runtime::Handle;

use super::config::Config;
#[cfg(feature = "config")]
use super::config::{changes::Changes, file::Layers};
use super::limits::Keeper;
#[cfg(feature = "config")]
use super::reload::Reload;
use super::{BuildError, Inner, Manager};
use crate::account::{Accounts, Limit, MAX_LIMITS, Saved};
use crate::deferral::{self, Op, Operation};
use crate::label::matching::Policy;
use crate::scout::Scout;
use crate::stream::{self, tracker::Tracker};
use crate::transport::{self, PullSchedule, Transport};

/// Made by [`Manager::builder`]; every setting has a default.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct ManagerBuilder {
    scout: Option<Scout>,
    own_scout: bool,
    transports: Vec<Arc<dyn Transport>>,
    pulls: Option<PullSchedule>,
    config: Source,
    policy: Option<Policy>,
    settings: stream::Settings,
    limits: Vec<Limit>,
    state: Option<PathBuf>,
    #[cfg(feature = "tls")]
    tls: crate::tls::Defaults,
    #[cfg(all(unix, feature = "inspect"))]
    inspect: super::inspect::Wish,
}

/// Where the configuration comes from.
#[derive(Debug, Default)]
enum Source {
    /// The files of this host with the system's scout, nothing with a scout of the program's own.
    #[default]
    Unsaid,
    Given(Box<Config>),
    #[cfg(feature = "config")]
    File(PathBuf),
}

impl ManagerBuilder {
    /// Where the networks come from. Default: the daemon whose socket the configuration names, else
    /// [`Scout::system_with`], with the configuration's facts, which say nothing about the networks of
    /// any other scout.
    pub fn scout(mut self, scout: Scout) -> Self {
        self.scout = Some(scout);
        self
    }

    /// This process looks at the networks itself, also where the configuration names a daemon's socket:
    /// for that daemon. Default: no.
    pub fn own_scout(mut self) -> Self {
        self.own_scout = true;
        self
    }

    /// One more way to carry bytes. It replaces another of the same scheme, the library's own included.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports.push(Arc::new(transport));
        self
    }

    /// When those transports that fetch what has arrived, rather than be told of it, may do so. Default: at
    /// any time.
    pub fn pull_schedule(mut self, schedule: PullSchedule) -> Self {
        self.pulls = Some(schedule);
        self
    }

    /// The configuration, once and for all. Default: what [`Config::load`] finds, read again when it
    /// changes, or nothing where a [scout](ManagerBuilder::scout) is given, so that a test does not
    /// depend on its host.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Source::Given(Box::new(config));
        self
    }

    /// The configuration of this host and, above it, this file, which must exist. All are read again
    /// when one changes.
    #[cfg(feature = "config")]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config = Source::File(path.into());
        self
    }

    /// How facts that nobody knows are judged, and what is forbidden, whatever the configuration says
    /// of either. Default: what it says, else that an unknown network is not metered, not roaming, and
    /// usable.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// What streams start from: buffers, grace, bounds.
    pub fn settings(mut self, settings: stream::Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What some traffic may cost on some networks, beside what the configuration says of it. Sessions
    /// and plain connections of all managers with the same limit over these networks share it. At most
    /// 64 with the configuration's: more are an error of [`build`](Self::build). Default: none.
    ///
    /// ```
    /// use mancom::Manager;
    /// use mancom::account::{Limit, Period};
    ///
    /// let thrifty = Limit::new("any", "metered")?.bytes(500_000_000, Period::Month);
    /// let polite = Limit::new("background", "if=wlan*")?.rate(1_000_000);
    /// let builder = Manager::builder().limit(thrifty).limit(polite);
    /// # Ok::<(), mancom::label::matching::RuleError>(())
    /// ```
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// The folder of the file that keeps what was spent of budgets, so that it outlives the process and
    /// is shared by processes. Default: what the configuration says, else `mancom` in
    /// `$XDG_STATE_HOME` or `~/.local/state`; where a [scout](ManagerBuilder::scout) of the program's
    /// own is given, what is spent is not kept.
    pub fn state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }

    /// Proves itself with this wherever a builder of TLS says nothing else. Default: what the configuration
    /// says, else nothing.
    #[cfg(feature = "tls")]
    pub fn identity(mut self, identity: &crate::tls::Identity) -> Self {
        self.tls.identity = Some(crate::tls::Kept::Given(identity.clone()));
        self
    }

    /// Believes listeners that prove this key, wherever a builder says nothing of whom to believe; may be
    /// called again for more. Default: what the configuration says, else whom the host trusts.
    #[cfg(feature = "tls")]
    pub fn pin(mut self, key: crate::tls::PublicKey) -> Self {
        self.tls.listeners.pins.push(key);
        self
    }

    /// Believes listeners whose certificate is of an authority in this file (PEM), in the same way.
    #[cfg(feature = "tls")]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.listeners.authorities.push(file.into());
        self
    }

    /// Lets in diallers that prove this key and nobody else, wherever a builder says nothing of whom to
    /// let in; may be called again for more. Default: what the configuration says, else everybody.
    #[cfg(feature = "tls")]
    pub fn client(mut self, key: crate::tls::PublicKey) -> Self {
        self.tls.diallers.pins.push(key);
        self
    }

    /// Lets in diallers whose certificate is of an authority in this file (PEM), in the same way.
    #[cfg(feature = "tls")]
    pub fn client_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.diallers.authorities.push(file.into());
        self
    }

    /// Whether others of this user may see what waits here, and make it retry: an
    /// [inspection socket](super::inspect). Default: what the configuration says, else only under
    /// `#[mancom::main]`. Without Unix sockets there is none.
    #[cfg(feature = "inspect")]
    #[cfg_attr(not(unix), allow(unused_mut, unused_variables))]
    pub fn inspect(mut self, wanted: bool) -> Self {
        #[cfg(unix)]
        {
            self.inspect.said = Some(wanted);
        }
        self
    }

    /// It is the one of `#[mancom::main]`.
    #[cfg(all(unix, feature = "inspect"))]
    pub(super) fn of_main(mut self) -> Self {
        self.inspect.of_main = true;
        self
    }

    /// Makes the manager, on the runtime that awaits it.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoRuntime`] outside a tokio runtime, [`BuildError::Config`] for a configuration
    /// that is missing, unreadable or wrong, [`BuildError::TooManyLimits`] for more limits than 64.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, nothing was made.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let manager = mancom::Manager::builder()
    ///     .scout(mancom::Scout::fixed([]))
    ///     .build()
    ///     .await?;
    /// manager.install()?;
    /// # Ok::<_, mancom::Error>(()) }).unwrap();
    /// ```
    pub fn build(self) -> Op<Result<Manager, BuildError>> {
        Op::new(Operation::new(), async move { self.assemble() })
    }

    /// The same at once: a free function gives its builder without waiting. The files it may read are
    /// few and of bounded size, and read once.
    pub(super) fn assemble(self) -> Result<Manager, BuildError> {
        if Handle::try_current().is_err() {
            return Err(BuildError::NoRuntime);
        }
        #[cfg(feature = "config")]
        let layers = match (&self.config, &self.scout) {
            (Source::File(path), _) => Some(Layers::of_process(Some(path))),
            (Source::Unsaid, None) => Some(Layers::of_process(None)),
            _ => None,
        };
        // Before the files are read, so that no change is missed.
        #[cfg(feature = "config")]
        let changes = layers.as_ref().map(|layers| Changes::of(layers.paths()));
        let config = match self.config {
            Source::Given(config) => *config,
            #[cfg(feature = "config")]
            _ => layers
                .as_ref()
                .map(Layers::load)
                .transpose()?
                .unwrap_or_default(),
            #[cfg(not(feature = "config"))]
            _ => Config::default(),
        };
        let limits = self.limits.len() + config.limits().count();
        if limits > MAX_LIMITS {
            let most = MAX_LIMITS;
            return Err(BuildError::TooManyLimits { limits, most });
        }
        #[cfg(feature = "config")]
        let reload = Reload::new(layers, self.scout.is_none(), self.policy.is_none());
        let policy = self.policy.unwrap_or_else(|| config.policy());
        let own = self.scout.is_some();
        let scout = match self.scout {
            Some(scout) => scout,
            None if self.own_scout => Scout::system_with(config.overrides()),
            None => of_host(&config),
        };
        let mut transports = built_in(&scout);
        transports.install_pull_schedule(self.pulls);
        for transport in self.transports {
            transports.register(transport);
        }
        let registry = deferral::Registry::new(scout.clone(), policy.clone());
        registry.set_names(config.names());
        let tracker = Tracker::new();
        // Networks that are named, not observed, are this scout's own.
        let accounts = match scout.is_simulated() {
            true => scout.shared::<Accounts>(),
            false => Accounts::of_process(),
        };
        let folder = self.state.or_else(|| config.state_folder().cloned());
        let saved = match folder {
            Some(folder) => Some(Saved::within(folder)),
            None if own => None,
            None => Saved::of_user(),
        };
        let limits = Keeper::start(
            accounts.clone(),
            registry.clone(),
            self.limits,
            (&config, policy),
            saved,
        );
        let manager = Manager(Arc::new(Inner {
            #[cfg(all(unix, feature = "inspect"))]
            inspection: self.inspect.grant(
                config.monitor(),
                &registry,
                &tracker,
                Arc::downgrade(&limits.limits),
            ),
            limits,
            registry,
            accounts,
            scout,
            transports,
            settings: self.settings,
            #[cfg(feature = "tls")]
            tls: self.tls,
            tracker,
            sessions: stream::Sessions::default(),
            config: RwLock::new(Arc::new(config)),
            #[cfg(feature = "config")]
            reload,
        }));
        #[cfg(feature = "config")]
        if let Some(changes) = changes {
            manager.reload_on(changes);
        }
        Ok(manager)
    }
}

/// The scout that the configuration asks for.
fn of_host(config: &Config) -> Scout {
    let Some(socket) = &config.scout().socket else {
        return Scout::system_with(config.overrides());
    };
    #[cfg(all(unix, feature = "daemon"))]
    {
        use crate::scout::daemon::Fallback;
        let fallback = match config.scout().fallback {
            Some(false) => Fallback::None,
            _ => Fallback::Own,
        };
        Scout::daemon_with(socket, config.overrides(), fallback)
    }
    #[cfg(not(all(unix, feature = "daemon")))]
    {
        tracing::warn!(
            target: "mancom::manager",
            socket = %socket.display(),
            "built without the feature `daemon`: this process looks for itself"
        );
        Scout::system_with(config.overrides())
    }
}

/// The library's own transports. Under `#[mancom::test]` those with real sockets panic.
fn built_in(scout: &Scout) -> transport::Registry {
    #[allow(unused_mut, reason = "only tests replace one")]
    let mut transports = transport::Registry::built_in(scout);
    #[cfg(feature = "test-util")]
    if let Some(sentinel) = super::table::sentinel() {
        for scheme in ["tcp", "unix", "udp", "multicast", "airhook", "quic"] {
            if let Ok(real) = transports.get(scheme) {
                transports.register(sentinel.guard(real));
            }
        }
    }
    transports
}
