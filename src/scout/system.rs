//! The system's scout: one task, started by the first watcher, that tries the sources in order.
//!
//! ```text
//! netlink ──refused──▶ if-watch ──refused──▶ polling ──nothing to poll──▶ `default` for good
//!    ▲                    │                     │
//!    └────── every 30 s ──┴─────────────────────┘
//! ```

use super::overrides::Overrides;
use super::publish::pace::Pace;
use super::publish::{Difference, Ledger, Seen};
use super::{binding, os};
use crate::network::Snapshot;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// So often a source that is better than the one in use is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// So long [`System::look_again`] waits.
const LOOK: Duration = Duration::from_secs(1);

/// A question for a whole look, answered when it is done.
pub(super) type Look = oneshot::Sender<()>;

/// How the system is looked at; all but the overrides is there for tests.
pub(super) struct Settings {
    pub(super) overrides: Overrides,
    #[cfg(target_os = "linux")]
    pub(super) sysfs: std::path::PathBuf,
    /// Opens the netlink socket.
    #[cfg(target_os = "linux")]
    pub(super) open: fn() -> io::Result<super::netlink::Socket>,
    /// Opens if-watch.
    pub(super) watch: fn() -> io::Result<if_watch::tokio::IfWatcher>,
    /// How a socket can be bound to a network.
    pub(super) bind: binding::Try,
}

impl Settings {
    pub(super) fn new(overrides: Overrides) -> Self {
        Settings {
            overrides,
            #[cfg(target_os = "linux")]
            sysfs: "/sys/class/net".into(),
            #[cfg(target_os = "linux")]
            open: super::netlink::open,
            watch: if_watch::tokio::IfWatcher::new,
            bind: binding::attempt,
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
    source: Mutex<String>,
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
            source: Mutex::new("not started".to_owned()),
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
        let feed = Feed {
            shared: self.shared.clone(),
            out,
            pace: Pace::default(),
            looks,
            answers: Vec::new(),
        };
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

    pub(super) fn source(&self) -> String {
        lock(&self.shared.source).clone()
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

/// The task's side: what a source reports to.
pub(super) struct Feed {
    shared: Arc<Shared>,
    out: watch::Sender<Arc<Snapshot>>,
    pace: Pace,
    looks: mpsc::Receiver<Look>,
    answers: Vec<Look>,
}

impl Feed {
    /// The whole set as it is now.
    pub(super) fn offer(&mut self, now: Instant, seen: Vec<Seen>) {
        let difference = lock(&self.shared.ledger).see(seen, true);
        match difference {
            Difference::None => self.pace.nothing(),
            Difference::Loss => self.pace.loss(now),
            Difference::Gain => self.pace.gain(now),
        }
        self.publish(now);
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
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.pace.token()
    }

    /// Waits until somebody asks for a whole look; [`Feed::looked`] answers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a question is kept until it is answered.
    pub(super) async fn asked(&mut self) {
        match self.looks.recv().await {
            Some(look) => self.answers.push(look),
            None => std::future::pending().await,
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
        let mut told = lock(&self.shared.source);
        if *told != source {
            tracing::info!(target: "mancom::scout", %source);
            *told = source;
        }
    }
}

async fn run(settings: Arc<Settings>, mut feed: Feed, gone: oneshot::Receiver<()>) {
    tokio::select! {
        // The sender is dropped, never used.
        _ = gone => {}
        () = watch_all(&settings, &mut feed) => {}
    }
}

/// Tries the sources in order, for ever.
async fn watch_all(settings: &Settings, feed: &mut Feed) {
    let mut host = os::Host::default();
    loop {
        let mut refused = Vec::new();
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
        let without = host.watch(settings, feed, refused);
        let _ = tokio::time::timeout(RETRY, without).await;
    }
}
