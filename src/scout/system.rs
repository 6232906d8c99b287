//! The system's scout: one task, started by the first watcher, that tries the sources in order.
//!
//! ```text
//! netlink ──refused──▶ if-watch ──refused──▶ polling ──nothing to poll──▶ `default` for good
//!    ▲                    │                     │
//!    └────── every 30 s ──┴─────────────────────┘
//! ```

#[cfg(any(target_os = "linux", all(unix, feature = "daemon")))]
use super::binding;
use super::estimates::{Estimate, Estimates, Sample};
use super::hearsay::Hearsay;
use super::os;
use super::overrides::Overrides;
use super::publish::pace::Pace;
use super::publish::turns::Turns;
use super::publish::{Difference, Ledger, Seen};
use crate::clock::Clock;
use crate::network::{NetworkId, Snapshot};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// So often a source that is better than the one in use is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// So long [`System::look_again`] waits.
const LOOK: Duration = Duration::from_secs(1);
/// So long the first snapshot waits for those who were asked and have not answered.
const HEARING: Duration = Duration::from_millis(200);

/// A question for a whole look, answered when it is done.
pub(super) type Look = oneshot::Sender<()>;

/// How the system is looked at; all but the overrides is there for tests.
pub(super) struct Settings {
    pub(super) overrides: Overrides,
    #[cfg(target_os = "linux")]
    pub(super) sysfs: std::path::PathBuf,
    #[cfg(target_os = "linux")]
    pub(super) resolv_conf: std::path::PathBuf,
    /// Opens the netlink socket.
    #[cfg(target_os = "linux")]
    pub(super) open: fn() -> io::Result<super::netlink::Socket>,
    /// Opens if-watch.
    pub(super) watch: fn() -> io::Result<if_watch::tokio::IfWatcher>,
    /// How a socket can be bound to a network.
    #[cfg(any(target_os = "linux", all(unix, feature = "daemon")))]
    pub(super) bind: binding::Try,
    /// The scout of the whole system, where it is to be asked first.
    #[cfg(all(unix, feature = "daemon"))]
    pub(super) daemon: Option<super::daemon::Subscription>,
    /// The address of the system bus, if not the usual one.
    #[cfg(all(target_os = "linux", feature = "dbus"))]
    pub(super) bus: Option<String>,
}

impl Settings {
    pub(super) fn new(overrides: Overrides) -> Self {
        Settings {
            overrides,
            #[cfg(target_os = "linux")]
            sysfs: "/sys/class/net".into(),
            #[cfg(target_os = "linux")]
            resolv_conf: "/etc/resolv.conf".into(),
            #[cfg(target_os = "linux")]
            open: super::netlink::open,
            watch: if_watch::tokio::IfWatcher::new,
            #[cfg(any(target_os = "linux", all(unix, feature = "daemon")))]
            bind: binding::attempt,
            #[cfg(all(unix, feature = "daemon"))]
            daemon: None,
            #[cfg(all(target_os = "linux", feature = "dbus"))]
            bus: None,
        }
    }
}

/// The handle's side.
pub(super) struct System {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// What the handles and the task both hold; it outlives a task, so that numbers continue.
struct Shared {
    ledger: Mutex<Ledger>,
    source: watch::Sender<String>,
    /// The configuration's facts, which may change at any time.
    overrides: watch::Sender<Arc<Overrides>>,
    hearsay: Hearsay,
    estimates: Mutex<Estimates>,
    /// Told when what the estimates show has changed.
    estimated: watch::Sender<u64>,
}

struct Running {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    looks: mpsc::Sender<Look>,
    /// Dropped with the last handle: the task ends.
    _alive: oneshot::Sender<()>,
}

impl System {
    pub(super) fn new(settings: Settings) -> Self {
        let shared = Shared {
            ledger: Mutex::new(Ledger::new()),
            source: watch::Sender::new("not started".to_owned()),
            overrides: watch::Sender::new(Arc::new(settings.overrides.clone())),
            hearsay: Hearsay::new(),
            estimates: Mutex::default(),
            estimated: watch::Sender::new(0),
        };
        System {
            settings: Arc::new(settings),
            shared: Arc::new(shared),
            running: Mutex::new(None),
        }
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        let mut running = lock(&self.running);
        if let Some(task) = running.as_ref()
            && task.snapshots.has_changed().is_ok()
        {
            return task.snapshots.clone();
        }
        let (out, snapshots) = watch::channel(lock(&self.shared.ledger).published());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return snapshots;
        };
        let (asks, looks) = mpsc::channel(16);
        let (alive, gone) = oneshot::channel();
        let feed = Feed::new(self.shared.clone(), out, looks);
        runtime.spawn(run(self.settings.clone(), feed, gone));
        *running = Some(Running {
            snapshots: snapshots.clone(),
            looks: asks,
            _alive: alive,
        });
        snapshots
    }

    pub(super) fn with_ledger<R>(&self, f: impl FnOnce(&Ledger) -> R) -> R {
        f(&lock(&self.shared.ledger))
    }

    pub(super) fn sources(&self) -> watch::Receiver<String> {
        self.shared.source.subscribe()
    }

    /// What the configuration states from now on.
    pub(super) fn set_overrides(&self, overrides: Overrides) {
        self.shared.overrides.send_if_modified(|now| {
            let news = **now != overrides;
            if news {
                *now = Arc::new(overrides);
            }
            news
        });
    }

    /// What a session measured of a network.
    pub(super) fn report(&self, network: NetworkId, sample: Sample) {
        let snapshot = lock(&self.shared.ledger).published();
        let Some(network) = snapshot.by_id(network) else {
            return;
        };
        if lock(&self.shared.estimates).report(Clock::now(), network, sample) {
            self.shared.estimated.send_modify(|n| *n += 1);
        }
    }

    pub(super) fn estimates(&self) -> Vec<Estimate> {
        lock(&self.shared.estimates).list(Clock::now())
    }

    pub(super) async fn look_again(&self) {
        let looks = lock(&self.running).as_ref().map(|task| task.looks.clone());
        let Some(looks) = looks else {
            return;
        };
        let (ask, answer) = oneshot::channel();
        let look = async {
            if looks.send(ask).await.is_ok() {
                let _ = answer.await;
            }
        };
        // A look that does not end tells nothing; the caller goes on with what is published.
        let _ = tokio::time::timeout(LOOK, look).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// What a source is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// A look at everything.
    Look,
    /// The same networks once more, for what is added to them has changed.
    Stir,
}

/// The task's side: what a source reports to.
pub(super) struct Feed {
    shared: Arc<Shared>,
    out: watch::Sender<Arc<Snapshot>>,
    pace: Pace,
    turns: Turns,
    looks: mpsc::Receiver<Look>,
    answers: Vec<Look>,
    overrides: watch::Receiver<Arc<Overrides>>,
    heard: watch::Receiver<u64>,
    estimated: watch::Receiver<u64>,
    /// Until then a look is not complete while somebody is awaited; `None` once that is over.
    patience: Option<tokio::time::Instant>,
}

impl Feed {
    fn new(
        shared: Arc<Shared>,
        out: watch::Sender<Arc<Snapshot>>,
        looks: mpsc::Receiver<Look>,
    ) -> Self {
        Feed {
            out,
            pace: Pace::default(),
            turns: Turns::default(),
            looks,
            answers: Vec::new(),
            overrides: shared.overrides.subscribe(),
            heard: shared.hearsay.changes(),
            estimated: shared.estimated.subscribe(),
            patience: Some(tokio::time::Instant::now() + HEARING),
            shared,
        }
    }

    /// What is offered from now on comes from another source, or from one that was started again.
    pub(super) fn begin(&mut self) {
        self.turns.begin();
    }

    /// The whole set as it is now.
    pub(super) fn offer(&mut self, now: Instant, seen: Vec<Seen>) {
        self.take(now, seen);
        self.publish(now);
    }

    /// The same as another process `told` it, which knows for how long it has been so and has waited
    /// for company already.
    #[cfg(all(unix, feature = "daemon"))]
    pub(super) fn offer_told(&mut self, now: Instant, seen: Vec<Seen>, told: &Snapshot) {
        self.patience = None;
        self.take(now, seen);
        lock(&self.shared.ledger).backdate(told);
        self.pace.hurry(now);
        self.publish(now);
    }

    fn take(&mut self, now: Instant, mut seen: Vec<Seen>) {
        let over = self.patience.is_none_or(|until| until.into_std() <= now);
        if over || !self.shared.hearsay.is_awaiting() {
            self.patience = None;
        }
        let complete = self.patience.is_none();
        // Who looked before this process knew more than is seen without those that are awaited.
        if !complete && lock(&self.shared.ledger).published().complete {
            return;
        }
        {
            let (estimates, now) = (lock(&self.shared.estimates), Clock::now());
            for seen in &mut seen {
                estimates.apply(now, seen.index, &mut seen.spec);
            }
        }
        let difference = {
            let mut ledger = lock(&self.shared.ledger);
            self.turns.fit(&ledger, &mut seen);
            ledger.see(Clock::now(), seen, complete)
        };
        match difference {
            Difference::None => self.pace.nothing(),
            Difference::Loss => self.pace.loss(now),
            Difference::Gain | Difference::Refuge => self.pace.gain(now),
        }
    }

    /// Publishes what is due.
    pub(super) fn publish(&mut self, now: Instant) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        self.pace.spent(now);
        if let Some(snapshot) = lock(&self.shared.ledger).publish() {
            tracing::debug!(
                target: "mancom::scout",
                generation = snapshot.generation,
                networks = snapshot.networks.len(),
                "published"
            );
            self.out.send_replace(snapshot);
        }
    }

    /// When [`Feed::publish`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pace.due()
    }

    /// When the next snapshot may go out, if not now: until then nobody needs to know the set.
    #[cfg(target_os = "linux")]
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.pace.token()
    }

    /// What the configuration states now.
    pub(super) fn overrides(&self) -> Arc<Overrides> {
        self.overrides.borrow().clone()
    }

    /// What others than the kernel say.
    #[cfg(target_os = "linux")]
    pub(super) fn hearsay(&self) -> &Hearsay {
        &self.shared.hearsay
    }

    /// Waits until somebody asks for a whole look, which [`Feed::looked`] answers, or until something
    /// other than the source makes the networks differ: the configuration, what others say, an
    /// estimate that moved or grew old, or the end of waiting for them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a question is kept until it is answered. A change is told once, so that the
    /// caller must look at once.
    pub(super) async fn called(&mut self) -> Call {
        loop {
            let stale = lock(&self.shared.estimates).stale_at();
            let patience = async {
                match self.patience {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            // The other ends of all live as long as the feed, but for the questions'.
            tokio::select! {
                Some(look) = self.looks.recv() => {
                    self.answers.push(look);
                    return Call::Look;
                }
                Ok(()) = self.overrides.changed() => {}
                Ok(()) = self.heard.changed() => {}
                Ok(()) = self.estimated.changed() => {}
                // Once: a source that has nothing to offer yet would be called again and again.
                () = patience => self.patience = None,
                // Samples that came meanwhile put it off.
                () = Clock::reached(stale) => {
                    if !lock(&self.shared.estimates).forget(Clock::now()) {
                        continue;
                    }
                }
            }
            return Call::Stir;
        }
    }

    /// Everything was looked at: who asked is told, after what was found.
    pub(super) fn looked(&mut self, now: Instant) {
        if self.answers.is_empty() {
            return;
        }
        self.pace.hurry(now);
        self.publish(now);
        for answer in self.answers.drain(..) {
            // Whoever asked may have gone since.
            let _ = answer.send(());
        }
    }

    /// Says which source is in use, and why no better one.
    pub(super) fn tell(&self, source: &str, refused: &[String]) {
        let source = if refused.is_empty() {
            source.to_owned()
        } else {
            format!("{source} ({})", refused.join(", "))
        };
        if *self.shared.source.borrow() != source {
            tracing::info!(target: "mancom::scout", %source);
            self.shared.source.send_replace(source);
        }
    }
}

async fn run(settings: Arc<Settings>, mut feed: Feed, gone: oneshot::Receiver<()>) {
    tokio::select! {
        // The sender is dropped, never used.
        _ = gone => {}
        never = watch(&settings, &mut feed) => match never {},
    }
}

async fn watch(settings: &Settings, feed: &mut Feed) -> Infallible {
    #[cfg(all(unix, feature = "daemon"))]
    if let Some(daemon) = &settings.daemon {
        return super::daemon::watch(daemon, settings, feed).await;
    }
    watch_all(settings, feed, None).await
}

/// Hears those beside the kernel that this build knows.
#[cfg(all(target_os = "linux", feature = "dbus"))]
fn hear_all(settings: &Settings, hearsay: &Hearsay) -> impl Future<Output = Infallible> {
    super::dbus::listen(settings.bus.as_deref(), hearsay)
}

/// This build knows nobody beside the kernel.
#[cfg(not(all(target_os = "linux", feature = "dbus")))]
fn hear_all(_: &Settings, _: &Hearsay) -> impl Future<Output = Infallible> {
    std::future::pending()
}

/// Looks and listens in this process, for ever; `refused` is why no better source is in use.
pub(super) async fn watch_all(
    settings: &Settings,
    feed: &mut Feed,
    refused: Option<String>,
) -> Infallible {
    let shared = feed.shared.clone();
    // Before the first look, which waits for those that are there.
    let tellers = hear_all(settings, &shared.hearsay);
    feed.patience = Some(tokio::time::Instant::now() + HEARING);
    tokio::select! {
        never = look_all(settings, feed, refused) => never,
        never = tellers => never,
    }
}

/// Tries the sources in order, for ever.
async fn look_all(settings: &Settings, feed: &mut Feed, refused: Option<String>) -> Infallible {
    let before: Vec<String> = refused.into_iter().collect();
    let mut host = os::Host::default();
    loop {
        #[cfg_attr(
            not(target_os = "linux"),
            expect(unused_mut, reason = "netlink alone may refuse here")
        )]
        let mut refused = before.clone();
        feed.begin();
        #[cfg(target_os = "linux")]
        match (settings.open)() {
            Ok(socket) => {
                feed.tell("netlink", &refused);
                let error = super::netlink::run(socket, settings, feed).await;
                tracing::warn!(target: "mancom::scout", %error, "netlink ended");
                refused.push(format!("netlink: {error}"));
            }
            Err(error) => refused.push(format!("netlink: {error}")),
        }
        // The better source is tried again; meanwhile this goes on, also if if-watch fails.
        feed.begin();
        let without = host.watch(settings, feed, refused);
        let _ = tokio::time::timeout(RETRY, without).await;
    }
}

#[cfg(test)]
mod tests;
