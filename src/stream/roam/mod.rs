//! The roamer: keeps a dialler's session on every network its labels want.
//!
//! ```text
//!   labels alive ──► networks that admit them ──► wanted (`ways`), at most `Settings::networks`
//!                          │ none                    │
//!                          ▼                         ▼ not there, and not resting (`rests`)
//!                   Waiting (why) ──snapshot──►   dialling, each beside the others (`dials`)
//!                                                    │ proved          │ failed: back-off
//!        lost, or silent for long: dialled anew      ▼                 └──► rests
//!               └──────────────────────────────── open path, and its lane (`upkeep`)
//!                                                    │
//!     no label admits it any more, or nothing wanted it for 30 s ──► given up, once another carries
//! ```
//!
//! Every network that is wanted has one general path (ids 0 to 3) and, while interactive and other
//! traffic go side by side, a lane (id n + 4) for what is interactive. Which of the open paths carries
//! what is not decided here but in [`schedule`](crate::proto::schedule). Where no network is used there
//! is one path.
//!
//! **More networks than the setting allows**: those in use stay until a better one stood long enough
//! ([`Migration`]); it is dialled before the old path is given up, and takes that one's id where every
//! id is taken. With `networks = 1` that is all there is: one path at a time, handed over.
//!
//! **While nothing carries** it stands in line as any operation does (`standing`), held back in a
//! back-off: listed, explained, withdrawn when a path opens. A nudge ends a back-off. It stands there
//! too while some live label waits for a network although others go on.
//!
//! **Silence.** A path that owes an answer for longer than `Settings::stall` counts as not there: its
//! network is dialled anew, and what it leaves behind ends in the core once another path carries.

mod dials;
mod rests;
mod upkeep;
mod view;
mod ways;

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
use super::standing::{News, Standing};
use super::whereabouts::destination;
use crate::clock::Clock;
use crate::deferral::{Operation, Want as Wanting};
use crate::label::matching::{Blocked, Destination, Migration, Move, rank};
use crate::label::{Label, Urgency};
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::handshake::HandshakeError;
use crate::proto::session::{CloseReason, PathId};
use crate::transport::BoxFuture;

use dials::{Attempt, Dialled, Dials};
use rests::Rests;
use view::{LANES, Open, View};
use ways::{Chooser, Want, wanted};

/// Sessions that lost their network at once do not return at once.
const SPREAD: Duration = Duration::from_millis(200);
/// Refusals as unknown, this far apart, before a session in clear believes them.
const FORGOTTEN: (u32, Duration) = (3, Duration::from_secs(1));

pub(super) struct Roamer {
    context: Arc<dyn Context>,
    asks: Asks,
    destination: Destination,
    /// Only the network of this name, where the user named one.
    only: Option<Arc<str>>,
    snapshots: BoxFuture<'static, watch::Receiver<Arc<Snapshot>>>,
    dials: Dials,
    rests: Rests,
    /// When to look again, as far as time alone changes something.
    again: Option<Instant>,
    retry: Option<Pin<Box<Sleep>>>,
    standing: Standing,
    /// A nudge came: the next attempts begin at once.
    nudged: bool,
    migration: Migration,
    /// General paths in use at the last look.
    known: Vec<PathId>,
    /// Paths that were given up and are still open.
    given_up: Vec<PathId>,
    /// Open paths that nothing wants, and since when.
    surplus: Vec<(PathId, Instant)>,
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

/// What matches, as the labels alive see it.
struct Matches {
    /// Labels with networks that admit them, the most urgent first.
    choosers: Vec<Chooser>,
    /// The most urgent label that nothing carries and nothing admits.
    blocked: Option<(Label, Box<Blocked>)>,
    /// No network is used.
    host: bool,
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
            dials: Dials::default(),
            rests: Rests::default(),
            again: None,
            retry: None,
            standing: Standing::new(operation),
            nudged: false,
            migration: Migration::new(),
            known: Vec::new(),
            given_up: Vec::new(),
            surplus: Vec::new(),
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
                // What the driver follows at its every entry: more may go out now.
                driver.flush();
                self.dials.follow(&self.context.registry().snapshot());
                look = true;
            }
            while let Poll::Ready((attempt, result)) = self.dials.poll(cx) {
                self.dialled(driver, attempt, result);
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
                self.rests.nudge(Clock::now());
            }
            News::Cancelled => driver.abort(CloseReason::Aborted),
        }
    }

    fn plan(&mut self, driver: &Arc<Driver>) {
        // An address may become this host's own, or stop being so.
        self.destination = destination(&self.asks.endpoint, &*self.context);
        (self.again, self.retry) = (None, None);
        let Some(view) = View::of(driver, &mut self.given_up) else {
            self.dials.stop_all();
            self.standing.leave();
            return;
        };
        self.note_losses(&view);
        let matches = self.matches(&view);
        self.rests.follow(
            view.now,
            &networks_of(&matches.choosers),
            &self.context.registry().snapshot(),
        );
        let wants = self.wants(&view, &matches);
        self.abandon_the_vain(&view, &wants);
        self.dial_what_is_wanted(driver, &view, &wants);
        self.let_go(driver, &view, &matches, &wants);
        self.keep_lanes(driver, &view, &matches);
        self.wait(driver, &view, matches, &wants);
        if let Some(again) = self.again {
            let after = again.saturating_duration_since(view.now);
            self.retry = Some(Box::pin(tokio::time::sleep(after)));
        }
    }

    fn look_again(&mut self, at: Instant) {
        self.again = Some(self.again.map_or(at, |known| known.min(at)));
    }

    /// How many networks are used at once.
    fn limit(&self) -> usize {
        self.context
            .settings()
            .networks
            .clamp(1, usize::from(LANES))
    }

    fn note_losses(&mut self, view: &View) {
        let is_lost = |path: &PathId| view.open.iter().all(|open| open.path != *path);
        if self.known.iter().any(is_lost) {
            self.migration.lost(view.now);
        }
        let general = view.open.iter().filter(|open| !open.is_lane());
        self.known = general
            .clone()
            .filter(|open| !open.given_up)
            .map(|open| open.path)
            .collect();
        if let Some(open) = general.last() {
            self.last_network = open.id();
        }
    }

    fn matches(&self, view: &View) -> Matches {
        let registry = self.context.registry();
        let policy = registry.policy();
        let mut matches = Matches {
            choosers: Vec::new(),
            blocked: None,
            host: self.destination == Destination::Host,
        };
        for (label, carried) in &view.labels {
            // A label that names another interface than `.on()` matches nothing that is asked for.
            let pinned = pinned(*label, self.only.as_deref()).unwrap_or(*label);
            match registry.candidates(&pinned, &self.destination) {
                Ok(networks) => {
                    let only = |network: &Network| {
                        let name = self.only.as_deref();
                        name.is_none_or(|only| only == network.name())
                    };
                    let ranked = networks.into_iter().filter(only).map(|network| {
                        (rank(&network, label, &self.destination, &policy), network)
                    });
                    matches.choosers.push(Chooser {
                        label: *label,
                        networks: ranked.collect(),
                    });
                }
                Err(blocked) if !carried && matches.blocked.is_none() => {
                    matches.blocked = Some((*label, blocked));
                }
                Err(_) => {}
            }
        }
        matches
    }

    /// Every path that is to be there, best first.
    fn wants(&mut self, view: &View, matches: &Matches) -> Vec<Want> {
        let way_of_host = |chooser: &Chooser| Want {
            way: None,
            label: chooser.label,
        };
        if matches.host {
            return matches
                .choosers
                .first()
                .map(way_of_host)
                .into_iter()
                .collect();
        }
        if let Some(until) = view.interactive_until {
            self.look_again(until);
        }
        let stall = self.context.settings().stall;
        let hopeful = |network: &Network| {
            let id = Some(network.id());
            if let Some(open) = view.well().find(|open| open.id() == id) {
                return open.is_trusted();
            }
            match self.dials.general().find(|attempt| attempt.id() == id) {
                Some(attempt) => view.now < attempt.began + attempt.patience(stall),
                None => {
                    let resting =
                        self.rests
                            .resting(view.now, Some(network), false, view.carried());
                    resting.is_none()
                }
            }
        };
        let mut wants = wanted(&matches.choosers, view.interactive, hopeful);
        // Of what is silent a fresh path is wanted last.
        let silent = |want: &Want| {
            let mut open = view.open.iter().filter(|open| !open.is_lane());
            open.any(|open| open.state.silent.is_some() && open.id() == want.id())
        };
        wants.sort_by_key(silent);
        wants
    }

    /// Gives up an attempt that was silent for too long, while nothing carries and another network may.
    fn abandon_the_vain(&mut self, view: &View, wants: &[Want]) {
        if view.carried() {
            return;
        }
        let stall = self.context.settings().stall;
        let due = |attempt: &Attempt| attempt.began + attempt.patience(stall);
        let Some(eldest) = self
            .dials
            .general()
            .min_by_key(|attempt| due(attempt))
            .cloned()
        else {
            return;
        };
        let due = due(&eldest);
        if view.now < due {
            return self.look_again(due);
        }
        let untried = |want: &&Want| {
            self.dials
                .general()
                .all(|attempt| attempt.id() != want.id())
        };
        let resting = |want: &&Want| {
            let way = want.way.as_ref();
            self.rests.resting(view.now, way, false, false).is_some()
        };
        let another = wants.iter().filter(untried).any(|want| !resting(&want));
        if another && self.dials.general().count() >= self.limit() {
            self.dials.stop(eldest.slot);
            let text = format!("no answer within {:?}", eldest.patience(stall));
            self.rest(
                &eldest,
                &io::Error::new(io::ErrorKind::TimedOut, text).into(),
            );
        }
    }

    /// Dials the best ways that are not there, as many as may be in use.
    fn dial_what_is_wanted(&mut self, driver: &Arc<Driver>, view: &View, wants: &[Want]) {
        // What goes over no network goes on so, and the other way round.
        let fixed = |open: &Open| {
            wants
                .iter()
                .any(|want| want.way.is_none() != open.network.is_none())
        };
        if view.well().any(fixed) {
            return;
        }
        let mut in_use: Vec<Option<NetworkId>> = view.well().map(Open::id).collect();
        in_use.extend(self.dials.general().map(Attempt::id));
        for want in wants {
            if in_use.contains(&want.id()) {
                continue;
            }
            let way = want.way.as_ref();
            if let Some(until) = self.rests.resting(view.now, way, false, view.carried()) {
                self.look_again(until);
            } else if in_use.len() < self.limit() {
                self.start(driver, view, want, None);
                in_use.push(want.id());
            } else {
                return self.consider(driver, view, want, wants);
            }
        }
    }

    /// Whether a network beyond the bound is worth more than the worst in use, and from when on.
    fn consider(&mut self, driver: &Arc<Driver>, view: &View, want: &Want, wants: &[Want]) {
        let place = |id| wants.iter().position(|other| other.id() == id);
        let worst = view
            .well()
            .max_by_key(|open| place(open.id()).unwrap_or(usize::MAX));
        let (Some(worst), None) = (worst, self.dials.general().next()) else {
            return;
        };
        if place(worst.id()).is_some_and(|at| Some(at) < place(want.id())) {
            return;
        }
        let (Some(current), Some(better)) = (&worst.network, &want.way) else {
            return;
        };
        // Not wanted any more, or of no use to who wants the other.
        let registry = Arc::clone(self.context.registry());
        let pinned = pinned(want.label, self.only.as_deref()).unwrap_or(want.label);
        let admitted = registry.candidates(&pinned, &self.destination);
        let admitted = admitted.is_ok_and(|all| all.iter().any(|n| n.id() == current.id()));
        if !admitted {
            return self.start(driver, view, want, Some(worst.path));
        }
        let policy = registry.policy();
        let wanted = (&want.label, &self.destination, &policy);
        match self.migration.consider(view.now, current, better, wanted) {
            Move::Now => self.start(driver, view, want, Some(worst.path)),
            Move::At(at) => self.look_again(at),
            Move::Stay => {}
        }
    }

    /// The slot of a new path on this network: that beside its lane, a free one, at last that of the path
    /// it is to replace, or of one that is silent.
    fn slot(&self, view: &View, id: Option<NetworkId>, instead_of: Option<PathId>) -> Option<u8> {
        let free = |slot: &u8| view.at(*slot).is_none() && !self.dials.takes(*slot);
        let beside = |slot: &u8| view.at(slot + LANES).is_some_and(|lane| lane.id() == id);
        let alone = |slot: &u8| view.at(slot + LANES).is_none() && !self.dials.takes(slot + LANES);
        let silent = |slot: &u8| {
            let unwell = view.at(*slot).is_some_and(|open| !open.is_well());
            unwell && !self.dials.takes(*slot)
        };
        let find = |fits: &dyn Fn(&u8) -> bool| (0..LANES).find(fits);
        find(&|slot| beside(slot) && (free(slot) || silent(slot)))
            .or_else(|| find(&|slot| free(slot) && alone(slot)))
            .or_else(|| find(&free))
            .or_else(|| instead_of.map(|path| path.id))
            .or_else(|| find(&silent))
    }

    fn start(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        want: &Want,
        instead_of: Option<PathId>,
    ) {
        let Some(slot) = self.slot(view, want.id(), instead_of) else {
            return;
        };
        let hurry = view.labels[0].0.urgency() == Urgency::Interactive;
        let delay = match self.nudged || hurry || !view.open.is_empty() {
            true => Duration::ZERO,
            false => SPREAD.mul_f64(random()),
        };
        self.dial(driver, view, want, (slot, delay), instead_of);
    }

    fn dial(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        want: &Want,
        (slot, delay): (u8, Duration),
        instead_of: Option<PathId>,
    ) {
        self.rests.begin(view.now, want.way.as_ref());
        let path = driver.with(|state, _| state.core.next_path(slot));
        let (context, asks) = (Arc::clone(&self.context), self.asks.clone());
        let (credentials, Want { way, label }) = (driver.credentials(), want.clone());
        let dialling = async move {
            tokio::time::sleep(delay).await;
            let (link, facts) =
                dial::attach(&context, &asks, (way.as_ref(), &label), &credentials, path).await?;
            Ok(Dialled { path, link, facts })
        };
        let attempt = Attempt {
            slot,
            way: want.way.clone(),
            instead_of,
            began: view.now + delay,
        };
        self.dials.begin(attempt, Box::pin(dialling));
    }

    fn dialled(
        &mut self,
        driver: &Arc<Driver>,
        attempt: Attempt,
        result: Result<Dialled, DialError>,
    ) {
        let id = attempt.id();
        match result {
            Ok(dialled) => {
                self.rests.succeeded(attempt.of());
                self.told = None;
                self.forgotten = (0, None);
                self.last_network = id;
                self.join(driver, attempt, dialled);
            }
            Err(error) => {
                tracing::debug!(target: "mancom::session", network = ?id, %error, "attempt failed");
                self.count_forgotten(driver, id, &error);
                self.rest(&attempt, &error);
            }
        }
    }

    /// The new path is in use; what it replaces is given up, in order where that still moves.
    fn join(&mut self, driver: &Arc<Driver>, attempt: Attempt, dialled: Dialled) {
        let Dialled { path, link, facts } = dialled;
        let Some(view) = View::of(driver, &mut self.given_up) else {
            return;
        };
        let id = attempt.id();
        if !attempt.is_lane()
            && let Some(lane) = view.at(attempt.slot + LANES)
            && lane.id() != id
        {
            self.drop_path(driver, lane.path, "its network is another now");
        }
        if driver.attach(path, link, attempt.way, facts).is_err() || path.id >= LANES {
            return;
        }
        let others = view.open.iter().filter(|open| open.path.id != path.id);
        let others = others.filter(|open| !open.is_lane() && !open.given_up);
        for silent in others.clone().filter(|open| !open.is_well()) {
            if self.limit() == 1 || silent.id() == id {
                self.drop_path(driver, silent.path, "silent: nothing was acknowledged");
            }
        }
        let well: Vec<PathId> = others
            .filter(|open| open.is_well())
            .map(|o| o.path)
            .collect();
        if let Some(replaced) = attempt.instead_of.filter(|path| well.contains(path)) {
            self.retire(driver, &view, replaced);
        }
        let left = well
            .iter()
            .filter(|path| Some(**path) != attempt.instead_of);
        let beyond = (left.clone().count() + 1).saturating_sub(self.limit());
        for path in left.take(beyond) {
            self.retire(driver, &view, *path);
        }
    }

    fn rest(&mut self, attempt: &Attempt, error: &DialError) {
        let name = attempt.way.as_ref().map(Network::name);
        let name = name.map_or_else(String::new, |name| format!("{name}: "));
        let why = format!("{name}{error}");
        self.rests.failed(Clock::now(), attempt.of(), why);
    }

    /// "Unknown session" ends one attempt; said three times where the session last worked, while it
    /// works nowhere else, it is believed.
    fn count_forgotten(&mut self, driver: &Arc<Driver>, id: Option<NetworkId>, error: &DialError) {
        let DialError::Handshake(HandshakeError::UnknownSession) = error else {
            return;
        };
        let now = Clock::now();
        let works = driver.with(|state, _| {
            let mut open = state
                .open_paths()
                .filter_map(|(path, _)| state.core.path_state(path));
            open.any(|open| open.silent.is_none())
        });
        let apart = self
            .forgotten
            .1
            .is_none_or(|last| now.duration_since(last) >= FORGOTTEN.1);
        if works || !apart || (self.last_network.is_some() && self.last_network != id) {
            return;
        }
        self.forgotten = (self.forgotten.0 + 1, Some(now));
        if self.forgotten.0 >= FORGOTTEN.0 {
            driver.abort(CloseReason::Forgotten);
        }
    }

    /// Stands in line for the most urgent label that waits for a network, or, while nothing carries, held
    /// back until the next attempt.
    fn wait(&mut self, driver: &Arc<Driver>, view: &View, matches: Matches, wants: &[Want]) {
        let detached = view.open.is_empty();
        if let Some((label, blocked)) = matches.blocked {
            self.stand(driver, view, label, None);
            let why = blocked.to_string().into();
            driver.with(|state, _| state.blocked = Some(Arc::from(blocked)));
            return self.tell_waiting(driver, why);
        }
        driver.with(|state, _| state.blocked = None);
        let held_back = match detached && self.dials.general().next().is_none() {
            true => self.again,
            false => None,
        };
        let Some(until) = held_back else {
            if !detached {
                self.told = None;
            }
            return self.standing.leave();
        };
        let tried: Vec<&str> = wants
            .iter()
            .filter_map(|want| self.rests.why(want.id()))
            .collect();
        if !tried.is_empty() {
            let why = tried.join("; ").into();
            self.tell_waiting(driver, why);
        }
        self.stand(driver, view, view.labels[0].0, Some(until));
    }

    /// Stands in line for what is wanted, before then held back; the grace, where it runs, is the deadline.
    fn stand(&mut self, driver: &Arc<Driver>, view: &View, label: Label, until: Option<Instant>) {
        let detached = view.open.is_empty();
        let left = driver.with(|state, now| detached.then(|| state.grace_left(now)));
        let want = Wanting {
            destination: self.destination.clone(),
            deadline: left.and_then(|left| view.now.checked_add(left)),
            ..Wanting::new(pinned(label, self.only.as_deref()).unwrap_or(label))
        };
        self.standing.wait(self.context.registry(), want, until);
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
}

/// Each network that some label admits, once.
fn networks_of(choosers: &[Chooser]) -> Vec<&Network> {
    let mut all: Vec<&Network> = Vec::new();
    for (_, network) in choosers.iter().flat_map(|chooser| &chooser.networks) {
        if all.iter().all(|known| known.id() != network.id()) {
            all.push(network);
        }
    }
    all
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

/// Between 0 and 1, from the system's entropy; 0.5 where it has none.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
