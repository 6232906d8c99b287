//! The roamer: keeps a dialler's session on the network its labels want.
//!
//! ```text
//!            no path ──► a match? ──no──► Waiting (why) ──snapshot──┐
//!               ▲            │yes                                   │
//!          lost │            ▼            failed: back-off          │
//!               └──────── dialling ◄────────────────────────────────┘
//!                            │ proved
//!                            ▼
//!                       path in use ── better match stood long enough, or the path owes
//!                                      answers in silence ──► dialling beside it
//! ```
//!
//! While nothing carries, it stands in line as any operation does (`standing`), held back in a back-off:
//! listed, explained, withdrawn when a path opens. A nudge ends a back-off.
//!
//! One attempt at a time. A failed network rests for a back-off that grows by 1.6 with jitter to
//! 30 s and is forgotten when a snapshot changes what matches; at most ten attempts over networks of
//! one name begin in any ten seconds. A better network is dialled before the old path is given up.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::connect::pinned;
use super::context::Context;
use super::dial::{self, Asks, DialError};
use super::driver::Driver;
use super::events::PathEvent;
use super::pace::backoff;
use super::standing::{News, Standing};
use super::whereabouts::destination;
use crate::clock::Clock;
use crate::deferral::{Operation, Want};
use crate::label::matching::{Blocked, Destination, Migration, Move, PathFacts};
use crate::label::{Label, Urgency};
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::handshake::HandshakeError;
use crate::proto::session::{CloseReason, PathId};
use crate::transport::{BoxFuture, ByteLink};

/// Attempts over networks of one name, however often it came up anew, that may begin in [`WINDOW`].
const ATTEMPTS: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// Sessions that lost their network at once do not return at once.
const SPREAD: Duration = Duration::from_millis(200);
/// Refusals as unknown, this far apart, before a session in clear believes them.
const FORGOTTEN: (u32, Duration) = (3, Duration::from_secs(1));

/// An attempt may be silent for so many round trips of its network, if it has told any, before another
/// network is tried instead: connecting, and two questions with their answers.
const PATIENCE: u32 = 5;

/// A network to dial; `None` where no network is used.
type Way = Option<Network>;

/// A path that was proved.
struct Dialled {
    path: PathId,
    link: Box<dyn ByteLink>,
    facts: PathFacts,
}

/// How the last attempts over one network went.
#[derive(Debug, Clone)]
struct Rest {
    way: Option<NetworkId>,
    failures: i32,
    until: Instant,
    why: String,
}

pub(super) struct Roamer {
    context: Arc<dyn Context>,
    asks: Asks,
    destination: Destination,
    /// Only the network of this name, where the user named one.
    only: Option<Arc<str>>,
    snapshots: BoxFuture<'static, watch::Receiver<Arc<Snapshot>>>,
    dial: Option<(Way, BoxFuture<'static, Result<Dialled, DialError>>)>,
    dial_began: Instant,
    rests: Vec<Rest>,
    starts: VecDeque<(Option<String>, Instant)>,
    retry: Option<Pin<Box<Sleep>>>,
    standing: Standing,
    /// A nudge came: the next attempt begins at once.
    nudged: bool,
    migration: Migration,
    /// There was a path at the last look.
    attached: bool,
    /// What matched at the last look: a change of it forgives every failure.
    matched: Vec<NetworkId>,
    told: Option<Arc<str>>,
    forgotten: (u32, Option<Instant>),
    /// Where the session last worked: nobody else is believed that it is forgotten.
    last_network: Option<NetworkId>,
}

impl std::fmt::Debug for Roamer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roamer")
            .field("asks", &self.asks)
            .finish_non_exhaustive()
    }
}

/// What the roamer sees of the session under its lock.
struct View {
    now: Instant,
    label: Label,
    /// Open paths, the one in use last.
    open: Vec<(PathId, Option<Network>)>,
    stalled: Option<PathId>,
    hurry: bool,
    /// Whether some open path may carry the label.
    carried: bool,
}

impl Roamer {
    pub(super) fn new(
        context: Arc<dyn Context>,
        asks: Asks,
        destination: Destination,
        only: Option<Arc<str>>,
        first: Option<NetworkId>,
        operation: Operation,
    ) -> Self {
        let snapshots = changed(context.registry().snapshots());
        Self {
            context,
            asks,
            destination,
            only,
            snapshots,
            dial: None,
            dial_began: Clock::now(),
            rests: Vec::new(),
            starts: VecDeque::new(),
            retry: None,
            standing: Standing::new(operation),
            nudged: false,
            migration: Migration::new(),
            attached: true,
            matched: Vec::new(),
            told: None,
            forgotten: (0, None),
            last_network: first,
        }
    }

    /// Looks at everything that may have changed and acts; always leaves wake-ups behind.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>, driver: &Arc<Driver>) {
        loop {
            let mut look = driver.with(|state, _| std::mem::take(&mut state.unsettled));
            if let Poll::Ready(receiver) = self.snapshots.as_mut().poll(cx) {
                self.snapshots = changed(receiver);
                self.follow(driver);
                look = true;
            }
            if let Some((_, dial)) = &mut self.dial
                && let Poll::Ready(result) = dial.as_mut().poll(cx)
            {
                let way = self.dial.take().and_then(|(way, _)| way);
                self.dialled(driver, way, result);
                look = true;
            }
            if let Some(retry) = &mut self.retry
                && retry.as_mut().poll(cx).is_ready()
            {
                self.retry = None;
                look = true;
            }
            if let Poll::Ready(news) = self.standing.poll(cx) {
                self.hear(driver, news);
                look = true;
            }
            if !look {
                return;
            }
            self.plan(driver);
            self.nudged = false;
        }
    }

    fn hear(&mut self, driver: &Arc<Driver>, news: News) {
        match news {
            News::Match => {}
            News::Nudge => {
                self.nudged = true;
                let now = Clock::now();
                for rest in &mut self.rests {
                    rest.until = rest.until.min(now);
                }
            }
            News::Cancelled => driver.abort(CloseReason::Aborted),
        }
    }

    /// A new snapshot, which the driver follows at its every entry: more may go out now, and the network
    /// that is dialled may be gone.
    fn follow(&mut self, driver: &Driver) {
        driver.flush();
        let snapshot = self.context.registry().snapshot();
        if let Some((Some(network), _)) = &self.dial
            && snapshot.successor(network, None).is_none()
        {
            self.dial = None;
        }
    }

    fn view(&self, driver: &Arc<Driver>) -> Option<View> {
        driver.with(|state, now| {
            if state.core.closed().is_some() {
                return None;
            }
            let labels = state.core.live_labels();
            let label = labels.iter().min_by_key(|label| label.urgency()).copied();
            let label = label.unwrap_or(driver.label);
            let open: Vec<_> = state
                .open_paths()
                .map(|(path, network)| (path, network.cloned()))
                .collect();
            Some(View {
                now,
                label,
                carried: open
                    .iter()
                    .any(|(path, _)| state.core.permits(*path, &label)),
                open,
                stalled: state.core.stalled(),
                hurry: labels
                    .iter()
                    .any(|label| label.urgency() == Urgency::Interactive),
            })
        })
    }

    /// Which ways match now, best first; `Err` explains that none does.
    fn ways(&self, label: &Label) -> Result<Vec<Way>, Box<Blocked>> {
        // A label that names another interface than `.on()` matches nothing that is asked for.
        let pinned = pinned(*label, self.only.as_deref()).unwrap_or(*label);
        let registry = self.context.registry();
        let networks = registry.candidates(&pinned, &self.destination)?;
        if self.destination == Destination::Host {
            return Ok(vec![None]);
        }
        let only = |network: &Network| {
            self.only
                .as_deref()
                .is_none_or(|only| only == network.name())
        };
        Ok(networks.into_iter().filter(only).map(Some).collect())
    }

    fn plan(&mut self, driver: &Arc<Driver>) {
        // An address may become this host's own, or stop being so.
        self.destination = destination(&self.asks.endpoint, &*self.context);
        let Some(view) = self.view(driver) else {
            self.dial = None;
            self.retry = None;
            self.standing.leave();
            return;
        };
        if std::mem::replace(&mut self.attached, !view.open.is_empty()) && !self.attached {
            self.migration.lost(view.now);
        }
        if view.carried {
            self.told = None;
        }
        if let Some((_, network)) = view.open.last() {
            self.last_network = network.as_ref().map(Network::id);
        }
        let ways = match self.ways(&view.label) {
            Ok(ways) => ways,
            Err(blocked) => {
                self.matched.clear();
                if view.carried {
                    self.standing.leave();
                } else {
                    self.stand(driver, &view, None);
                    let why = blocked.to_string().into();
                    driver.with(|state, _| state.blocked = Some(Arc::from(blocked)));
                    self.tell_waiting(driver, why);
                }
                return;
            }
        };
        driver.with(|state, _| state.blocked = None);
        if !view.open.is_empty() {
            self.standing.leave();
        }
        self.forgive(&ways);
        if self.dial.is_some() && !self.gives_up(&view, &ways) {
            return;
        }
        let current = view.open.last().map(|(_, network)| network.clone());
        match current {
            None => self.dial_first(driver, &view, &ways, |_| true),
            Some(current) if view.stalled.is_some() => {
                let id = current.as_ref().map(Network::id);
                // Another network first; the same once more only where there is no other.
                let others = ways.iter().any(|way| way.as_ref().map(Network::id) != id);
                self.dial_first(driver, &view, &ways, |way| {
                    !others || way.as_ref().map(Network::id) != id
                });
            }
            Some(Some(current)) => self.consider(driver, &view, &current, &ways),
            Some(None) => {}
        }
    }

    /// Stands in line for what is wanted, before then held back; the grace, where it runs, is the deadline.
    fn stand(&mut self, driver: &Arc<Driver>, view: &View, until: Option<Instant>) {
        let detached = view.open.is_empty();
        let left = driver.with(|state, now| detached.then(|| state.grace_left(now)));
        let want = Want {
            destination: self.destination.clone(),
            deadline: left.and_then(|left| view.now.checked_add(left)),
            ..Want::new(pinned(view.label, self.only.as_deref()).unwrap_or(view.label))
        };
        self.standing.wait(self.context.registry(), want, until);
    }

    /// Whether the attempt under way was silent for too long, while nothing carries and another network
    /// may.
    fn gives_up(&mut self, view: &View, ways: &[Way]) -> bool {
        let Some((way, _)) = &self.dial else {
            return false;
        };
        let id = way.as_ref().map(Network::id);
        let resting = |id| (self.rests.iter()).any(|rest| rest.way == id && rest.until > view.now);
        let mut ids = ways.iter().map(|way| way.as_ref().map(Network::id));
        let carried = !view.open.is_empty() && view.stalled.is_none();
        if carried || !ids.any(|other| other != id && !resting(other)) {
            return false;
        }
        let rtt = way.as_ref().and_then(Network::rtt).unwrap_or_default();
        let patience = self.context.settings().stall.max(rtt * PATIENCE);
        let due = self.dial_began + patience;
        if view.now < due {
            self.look_again(due.saturating_duration_since(view.now));
            return false;
        }
        let way = self.dial.take().and_then(|(way, _)| way);
        let text = format!("no answer within {patience:?}");
        let error = io::Error::new(io::ErrorKind::TimedOut, text);
        self.rest(way.as_ref(), &error.into());
        true
    }

    /// Whether a better network is worth a move, and when.
    fn consider(&mut self, driver: &Arc<Driver>, view: &View, current: &Network, ways: &[Way]) {
        let Some(Some(best)) = ways.first() else {
            return;
        };
        let admitted = ways.iter().flatten().any(|way| way.id() == current.id());
        if best.id() == current.id() {
            return;
        }
        if !admitted {
            self.dial_first(driver, view, ways, |_| true);
            return;
        }
        let policy = self.context.registry().policy();
        let wanted = (&view.label, &self.destination, &policy);
        match self.migration.consider(view.now, current, best, wanted) {
            Move::Now => {
                let best = best.id();
                self.dial_first(driver, view, ways, |way| {
                    way.as_ref().is_some_and(|network| network.id() == best)
                });
            }
            Move::At(at) => self.look_again(at.saturating_duration_since(view.now)),
            Move::Stay => {}
        }
    }

    /// Dials the best way that is not resting, or says when to look again.
    fn dial_first(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        ways: &[Way],
        fits: impl Fn(&Way) -> bool,
    ) {
        let now = view.now;
        while self
            .starts
            .front()
            .is_some_and(|(_, start)| now.duration_since(*start) >= WINDOW)
        {
            self.starts.pop_front();
        }
        let mut soonest: Option<Instant> = None;
        for way in ways.iter().filter(|way| fits(way)) {
            match self.resting(way.as_ref(), now) {
                Some(until) => soonest = Some(soonest.map_or(until, |at| at.min(until))),
                None => return self.start(driver, view, way.clone()),
            }
        }
        if view.open.is_empty() && !self.rests.is_empty() {
            let tried = ways.iter().filter_map(|way| self.rest_of(way.as_ref()));
            let tried: Vec<&str> = tried.map(|rest| rest.why.as_str()).collect();
            self.tell_waiting(driver, tried.join("; ").into());
        }
        if let Some(at) = soonest {
            if view.open.is_empty() {
                self.stand(driver, view, Some(at));
            }
            self.look_again(at.saturating_duration_since(now));
        }
    }

    fn rest_of(&self, way: Option<&Network>) -> Option<&Rest> {
        let id = way.map(Network::id);
        self.rests.iter().find(|rest| rest.way == id)
    }

    /// Until when this way is not to be dialled, if it is not.
    fn resting(&self, way: Option<&Network>, now: Instant) -> Option<Instant> {
        let name = way.map(Network::name);
        let starts = self.starts.iter().filter(|(of, _)| of.as_deref() == name);
        // One more is allowed once this one lies beyond the window.
        let crowded = starts
            .rev()
            .nth(ATTEMPTS - 1)
            .map(|(_, start)| *start + WINDOW);
        let failed = self
            .rest_of(way)
            .map(|rest| rest.until)
            .filter(|until| *until > now);
        crowded.max(failed)
    }

    fn start(&mut self, driver: &Arc<Driver>, view: &View, way: Way) {
        self.standing.leave();
        let name = way.as_ref().map(|network| network.name().to_owned());
        self.starts.push_back((name, view.now));
        let taken = |slot: &u8| view.open.iter().any(|(path, _)| path.id == *slot);
        let slot = (0..8).find(|slot| !taken(slot)).unwrap_or(0);
        let path = driver.with(|state, _| state.core.next_path(slot));
        let delay = if self.nudged || view.hurry || !view.open.is_empty() {
            Duration::ZERO
        } else {
            spread()
        };
        let (context, asks) = (Arc::clone(&self.context), self.asks.clone());
        let (credentials, on, label) = (driver.credentials(), way.clone(), view.label);
        let dial = async move {
            tokio::time::sleep(delay).await;
            let (link, facts) =
                dial::attach(&context, &asks, (on.as_ref(), &label), &credentials, path).await?;
            Ok(Dialled { path, link, facts })
        };
        self.dial = Some((way, Box::pin(dial)));
        self.dial_began = view.now + delay;
    }

    fn dialled(&mut self, driver: &Arc<Driver>, way: Way, result: Result<Dialled, DialError>) {
        let id = way.as_ref().map(Network::id);
        match result {
            Ok(dialled) => {
                self.rests.retain(|rest| rest.way != id);
                self.told = None;
                self.forgotten = (0, None);
                self.last_network = id;
                self.join(driver, way, dialled);
            }
            Err(error) => {
                tracing::debug!(target: "mancom::session", network = ?id, %error, "attempt failed");
                self.count_forgotten(driver, id, &error);
                self.rest(way.as_ref(), &error);
            }
        }
    }

    /// The new path is in use; the old ones are given up, in order where they still move.
    fn join(&mut self, driver: &Arc<Driver>, way: Way, dialled: Dialled) {
        let Dialled { path, link, facts } = dialled;
        let old: Vec<PathId> =
            driver.with(|state, _| state.open_paths().map(|(path, _)| path).collect());
        let stalled = driver.with(|state, _| state.core.stalled());
        if driver.attach(path, link, way, facts).is_err() {
            return;
        }
        driver.with(|state, now| {
            for old in old.into_iter().filter(|old| *old != path) {
                if stalled == Some(old) {
                    state.drop_path(now, old, "silent: nothing was acknowledged");
                } else {
                    state.core.retire(now, old);
                }
            }
            state.transmit(now);
        });
    }

    fn rest(&mut self, way: Option<&Network>, error: &DialError) {
        let id = way.map(Network::id);
        let now = Clock::now();
        let failures = self
            .rests
            .iter()
            .find(|rest| rest.way == id)
            .map_or(0, |rest| rest.failures);
        self.rests.retain(|rest| rest.way != id);
        let name = way.map_or_else(String::new, |network| format!("{}: ", network.name()));
        self.rests.push(Rest {
            way: id,
            failures: (failures + 1).min(20),
            until: now + backoff(failures),
            why: format!("{name}{error}"),
        });
    }

    /// "Unknown session" ends one attempt; said three times where the session last worked, it is
    /// believed.
    fn count_forgotten(&mut self, driver: &Arc<Driver>, id: Option<NetworkId>, error: &DialError) {
        let DialError::Handshake(HandshakeError::UnknownSession) = error else {
            return;
        };
        let now = Clock::now();
        let apart = self
            .forgotten
            .1
            .is_none_or(|last| now.duration_since(last) >= FORGOTTEN.1);
        if !apart || (self.last_network.is_some() && self.last_network != id) {
            return;
        }
        self.forgotten = (self.forgotten.0 + 1, Some(now));
        if self.forgotten.0 >= FORGOTTEN.0 {
            driver.abort(CloseReason::Forgotten);
        }
    }

    /// A change of what matches forgives every failure.
    fn forgive(&mut self, ways: &[Way]) {
        let mut matched: Vec<NetworkId> = ways.iter().flatten().map(Network::id).collect();
        matched.sort_unstable();
        if matched != self.matched {
            self.matched = matched;
            self.rests.clear();
        }
    }

    fn tell_waiting(&mut self, driver: &Arc<Driver>, why: Arc<str>) {
        if self.told.as_ref() == Some(&why) {
            return;
        }
        self.told = Some(Arc::clone(&why));
        driver.with(|state, now| {
            let grace = state.grace_left(now);
            tracing::info!(target: "mancom::session", %why, "waiting for a network");
            state.publish(PathEvent::Waiting { why, grace });
        });
    }

    fn look_again(&mut self, after: Duration) {
        self.retry = Some(Box::pin(tokio::time::sleep(after)));
    }
}

/// Resolves with the receiver once something newer is there; never once the sender is gone.
pub(super) fn changed<T: Send + Sync + 'static>(
    mut receiver: watch::Receiver<T>,
) -> BoxFuture<'static, watch::Receiver<T>> {
    Box::pin(async move {
        if receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        receiver
    })
}

fn spread() -> Duration {
    SPREAD.mul_f64(random())
}

/// Between 0 and 1, from the system's entropy; 0.5 where it has none.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
