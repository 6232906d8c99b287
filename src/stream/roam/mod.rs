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
//! network is dialled anew, and what it leaves behind ends in the core once another path carries. If it
//! moves again before the new one is there, it stays, and the attempt is given up.

mod dials;
mod join;
mod matches;
mod rests;
mod start;
mod upkeep;
mod view;
mod waiting;
mod ways;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::Sleep;

use super::asked::Asks;
use super::connect::pinned;
use super::context::Context;
use super::driver::Driver;
use super::standing::{News, Standing};
use super::whereabouts::{believable, destination};
use crate::clock::Clock;
use crate::deferral::Operation;
use crate::label::matching::{Destination, Migration};
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::{CloseReason, PathId};
use crate::transport::BoxFuture;

use dials::Dials;
use matches::networks_of;
use rests::Rests;
use view::{LANES, Open, View};

pub(super) struct Roamer {
    context: Arc<dyn Context>,
    asks: Asks,
    /// What was known from the start beside the endpoint's own address.
    listed: Arc<[SocketAddr]>,
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
    told: Option<waiting::Told>,
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

impl Roamer {
    pub(super) fn new(
        context: Arc<dyn Context>,
        asks: Asks,
        destination: Destination,
        only: Option<Arc<str>>,
        first: Option<Network>,
        operation: Operation,
    ) -> Self {
        let snapshots = changed(context.registry().snapshots());
        let mut rests = Rests::default();
        rests.begin(Clock::now(), first.as_ref());
        Self {
            context,
            listed: Arc::clone(&asks.others),
            asks,
            destination,
            only,
            snapshots,
            dials: Dials::default(),
            rests,
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
            last_network: first.as_ref().map(Network::id),
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
        (self.again, self.retry) = (None, None);
        let Some(view) = View::of(driver, &mut self.given_up) else {
            self.dials.stop_all();
            self.standing.leave();
            return;
        };
        self.locate(&view);
        self.note_losses(&view);
        let matches = self.matches(&view);
        let matching = networks_of(&matches.choosers);
        let snapshot = self.context.registry().snapshot();
        self.rests.follow(view.now, &matching, &snapshot);
        self.dials.keep(&matching);
        self.dials
            .spare(|id| view.well().any(|open| open.id() == id));
        let wants = self.wants(&view, &matches);
        self.abandon_the_vain(&view, &wants);
        self.dial_what_is_wanted(driver, &view, &wants);
        self.watch_attempts(&view);
        self.let_go(driver, &view, &matches, &wants);
        self.keep_lanes(driver, &view, &matches);
        self.wait(driver, &view, matches, &wants);
        if let Some(again) = self.again {
            let after = again.saturating_duration_since(view.now);
            self.retry = Some(Box::pin(tokio::time::sleep(after)));
        }
    }

    /// Where the listener is: at the endpoint's addresses, and at those it told of.
    fn locate(&mut self, view: &View) {
        let snapshot = self.context.registry().snapshot();
        let told = believable(&view.told, &self.asks.endpoint, &snapshot);
        let mut others = self.listed.to_vec();
        others.extend(told.into_iter().filter(|at| !self.listed.contains(at)));
        if *others != *self.asks.others {
            self.asks.others = others.into();
        }
        // An address may become this host's own, or stop being so.
        let (endpoint, others) = self.asks.place();
        self.destination = destination(endpoint, others, &*self.context);
    }

    fn look_again(&mut self, at: Instant) {
        self.again = Some(self.again.map_or(at, |known| known.min(at)));
    }

    fn note_losses(&mut self, view: &View) {
        let is_lost = |path: &PathId| view.open.iter().all(|open| open.path != *path);
        if self.known.iter().any(is_lost) {
            self.migration.lost(view.now);
        }
        let general = |open: &&Open| !open.is_lane();
        let in_use = view.open.iter().filter(general);
        let in_use = in_use.filter(|open| !open.given_up);
        self.known = in_use.map(|open| open.path).collect();
        if let Some(open) = view.open.iter().rfind(general) {
            self.last_network = open.id();
        }
    }

    /// How many networks are used at once.
    fn limit(&self) -> usize {
        self.context
            .settings()
            .networks
            .clamp(1, usize::from(LANES))
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

/// Between 0 and 1, from the system's entropy; 0.5 where it has none.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
