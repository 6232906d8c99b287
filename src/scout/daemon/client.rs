//! The subscriber's side: the daemon as a source of this process's own scout.

use super::connection::{Connection, Heard};
use super::error::Away;
use super::{Fallback, Subscription};
use crate::network::{Aspect, Binding, Network, Snapshot, State};
use crate::scout::binding::Bindings;
use crate::scout::os::until;
use crate::scout::publish::Seen;
use crate::scout::system::{Call, Feed, Settings, watch_all};
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Away for so long, it is worth a warning, and a look of our own.
const AWAY: Duration = Duration::from_secs(1);
/// So long a daemon may take to its first snapshot.
const FIRST: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Keeps the networks published as the daemon tells them, and without it as the fallback says.
pub(in crate::scout) async fn watch(
    daemon: &Subscription,
    settings: &Settings,
    feed: &mut Feed,
) -> Infallible {
    let name = format!("daemon {}", daemon.socket.display());
    let mut picture = None;
    let mut why = Away::NotAsked;
    let mut tries = Tries::default();
    loop {
        let absence = Absence {
            daemon,
            name: &name,
            why,
        };
        let reached = absence.end(&mut tries, settings, feed, &mut picture).await;
        let since = Instant::now();
        let mut connection = reached.connection;
        feed.tell(&name, &[]);
        let picture = match &mut picture {
            // The same instance, and nobody else spoke meanwhile: its ids still count.
            Some(old) if !reached.other_spoke && old.instance == connection.instance => {
                old.snapshot = reached.first;
                old
            }
            old => {
                feed.begin();
                old.insert(Picture {
                    instance: connection.instance.clone(),
                    snapshot: reached.first,
                    bindings: Bindings::default(),
                })
            }
        };
        picture.offer(settings, feed);
        why = listen(&mut connection, settings, feed, picture).await;
        tries.lost_after(since.elapsed());
    }
}

/// Listens until the daemon is away.
async fn listen(
    connection: &mut Connection,
    settings: &Settings,
    feed: &mut Feed,
    picture: &mut Picture,
) -> Away {
    let mut asked = 0;
    loop {
        let due = feed.due();
        tokio::select! {
            heard = connection.next() => match heard {
                Ok(Heard::Snapshot(snapshot)) => {
                    picture.snapshot = snapshot;
                    picture.offer(settings, feed);
                }
                Ok(Heard::Looked(number)) if number == asked => feed.looked(now()),
                Ok(_) => {}
                Err(away) => return away,
            },
            call = feed.called() => match call {
                Call::Stir => picture.offer(settings, feed),
                Call::Look => {
                    asked += 1;
                    if connection.ask(asked).is_err() {
                        feed.looked(now());
                    }
                }
            },
            () = until(due) => feed.publish(now()),
        }
    }
}

/// A daemon that is there again.
struct Reached {
    connection: Connection,
    first: Arc<Snapshot>,
    /// Whether this process looked for itself meanwhile.
    other_spoke: bool,
}

/// The time without a daemon.
struct Absence<'a> {
    daemon: &'a Subscription,
    name: &'a str,
    why: Away,
}

impl Absence<'_> {
    /// Until the daemon can be heard; meanwhile the last picture stays, or this process looks for
    /// itself.
    async fn end(
        self,
        tries: &mut Tries,
        settings: &Settings,
        feed: &mut Feed,
        picture: &mut Option<Picture>,
    ) -> Reached {
        let own = self.daemon.fallback == Fallback::Own;
        let (say, mut reasons) = watch::channel(self.why.to_string());
        let mut reaching = pin!(tries.reach(&self.daemon.socket, &say));
        let mut patience = pin!(sleep(AWAY));
        let mut patient = true;
        // Nobody else answers those who asked.
        feed.looked(now());
        loop {
            let why = reasons.borrow_and_update().clone();
            feed.tell(self.name, &[format!("reconnecting: {why}")]);
            let due = feed.due();
            tokio::select! {
                (connection, first) = &mut reaching => {
                    return Reached { connection, first, other_spoke: false };
                }
                Ok(()) = reasons.changed() => if own && picture.is_none() {
                    break;
                },
                () = &mut patience, if patient => {
                    patient = false;
                    self.warn(&why);
                    if own {
                        break;
                    }
                }
                call = feed.called() => {
                    if let Some(picture) = picture {
                        picture.offer(settings, feed);
                    }
                    if call == Call::Look {
                        feed.looked(now());
                    }
                }
                () = until(due) => feed.publish(now()),
            }
        }
        let refused = format!("{}: {}", self.name, *reasons.borrow());
        tokio::select! {
            (connection, first) = &mut reaching => Reached { connection, first, other_spoke: true },
            never = watch_all(settings, feed, Some(refused)) => match never {},
        }
    }

    fn warn(&self, why: &str) {
        let then = match self.daemon.fallback {
            Fallback::Own => "this process looks for itself",
            Fallback::None => "the last picture is kept",
        };
        tracing::warn!(target: "mancom::scout", why, "{} is away: {then}", self.name);
    }
}

/// How soon the daemon is tried again.
#[derive(Debug, Default)]
struct Tries {
    pause: Duration,
}

impl Tries {
    /// Tries until it succeeds, and says why it did not yet.
    async fn reach(
        &mut self,
        socket: &Path,
        say: &watch::Sender<String>,
    ) -> (Connection, Arc<Snapshot>) {
        loop {
            sleep(self.pause).await;
            let away = match timeout(FIRST, Connection::open(socket)).await {
                Ok(Ok(reached)) => return reached,
                Ok(Err(away)) => away,
                Err(_) => Away::Silent,
            };
            say.send_replace(away.to_string());
            self.wait_longer();
        }
    }

    /// A daemon that lived for this long is gone: one that ends at once each time is not tried without
    /// a pause.
    fn lost_after(&mut self, lived: Duration) {
        if lived >= PAUSES.1 {
            self.pause = Duration::ZERO;
        }
        self.wait_longer();
    }

    fn wait_longer(&mut self) {
        self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
    }
}

/// The daemon's networks as they were heard last.
struct Picture {
    instance: String,
    snapshot: Arc<Snapshot>,
    /// Tried once an epoch of the daemon.
    bindings: Bindings,
}

impl Picture {
    /// Offers them with what this process knows better.
    fn offer(&mut self, settings: &Settings, feed: &mut Feed) {
        let overrides = feed.overrides();
        let mut all = Vec::with_capacity(self.snapshot.networks().len());
        for network in self.snapshot.networks() {
            let (index, turn) = (network.id().index(), network.id().epoch().into());
            let mut spec = network.spec().clone();
            overrides.apply(network.name(), &mut spec);
            if spec.state == State::Up && is_interface(network) {
                // The daemon's own tries are no matter here.
                spec.binding = Binding::default();
                spec.notes.unbound = None;
                spec.notes.sources.retain(|(of, _)| *of != Aspect::Binding);
                self.bindings.apply(index, turn, &mut spec, settings.bind);
            }
            all.push(Seen { index, turn, spec });
        }
        let there = |index| all.iter().any(|seen| seen.index == index);
        self.bindings.keep(there);
        feed.offer_told(now(), all, &self.snapshot);
    }
}

/// Whether it can be bound to at all: a daemon that cannot see has a stand-in of index 0.
fn is_interface(network: &Network) -> bool {
    let named = !matches!(network.binding(), Binding::Detached | Binding::Refused(_));
    named && network.id().index() != 0
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
