//! What is dialled, when, and in which slot.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::dial;
use super::super::driver::Driver;
use super::dials::{Attempt, Dialled};
use super::view::{LANES, Open, View};
use super::ways::Want;
use super::{Roamer, pinned, random};
use crate::label::Urgency;
use crate::label::matching::Move;
use crate::network::NetworkId;
use crate::proto::session::PathId;

/// Sessions that lost their network at once do not return at once.
const SPREAD: Duration = Duration::from_millis(200);

impl Roamer {
    /// Dials the best ways that are not there, as many as may be in use.
    pub(super) fn dial_what_is_wanted(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        wants: &[Want],
    ) {
        // What goes over no network goes on so, and the other way round.
        let fixed = |open: &Open| {
            wants
                .iter()
                .any(|want| want.way.is_none() != open.network.is_none())
        };
        if view.well().any(fixed) {
            return;
        }
        let hurry = view.labels[0].0.urgency() == Urgency::Interactive;
        let under_way = !view.is_detached() || self.dials.general().next().is_some();
        let delay = match self.nudged || hurry || under_way {
            true => Duration::ZERO,
            false => SPREAD.mul_f64(random()),
        };
        let mut in_use: Vec<Option<NetworkId>> = view.well().map(Open::id).collect();
        in_use.extend(self.dials.general().map(Attempt::id));
        for want in wants {
            if in_use.contains(&want.id()) {
                continue;
            }
            let way = want.way.as_ref();
            let rests = self.rests.resting(view.now, way, false, view.carried());
            let patient = view.patient_until(want.id()).filter(|_| !self.nudged);
            if let Some(until) = rests.max(patient) {
                self.look_again(until);
            } else if in_use.len() < self.limit() {
                self.start(driver, view, want, delay, None);
                in_use.push(want.id());
            } else {
                return self.consider(driver, view, want, wants);
            }
        }
    }

    /// Whether a network beyond the bound is worth more than the worst in use, and from when on.
    pub(super) fn consider(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        want: &Want,
        wants: &[Want],
    ) {
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
            return self.start(driver, view, want, Duration::ZERO, Some(worst.path));
        }
        let policy = registry.policy();
        let wanted = (&want.label, &self.destination, &policy);
        match self.migration.consider(view.now, current, better, wanted) {
            Move::Now => self.start(driver, view, want, Duration::ZERO, Some(worst.path)),
            Move::At(at) => self.look_again(at),
            Move::Stay => {}
        }
    }

    /// Gives up an attempt that was silent for too long, while nothing carries and another network may.
    pub(super) fn abandon_the_vain(&mut self, view: &View, wants: &[Want]) {
        if view.carried() {
            return;
        }
        let stall = self.context.settings().stall;
        let due = |attempt: &Attempt| Some((attempt.due(stall)?, attempt.clone()));
        let eldest = self
            .dials
            .general()
            .filter_map(due)
            .min_by_key(|(at, _)| *at);
        let Some((_, eldest)) = eldest.filter(|(at, _)| *at <= view.now) else {
            return;
        };
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

    /// While nothing carries, an attempt that was silent for too long is given up, or does not hold back
    /// dearer networks any more.
    pub(super) fn watch_attempts(&mut self, view: &View) {
        let stall = self.context.settings().stall;
        let due = self
            .dials
            .general()
            .filter_map(|attempt| attempt.due(stall));
        let due = due.filter(|due| *due > view.now);
        if let Some(soonest) = due.min().filter(|_| !view.carried()) {
            self.look_again(soonest);
        }
    }

    /// The slot of a new path on this network: that beside its lane, there or under way, a free one, at
    /// last that of the path it is to replace, or of one that is silent.
    pub(super) fn slot(
        &self,
        view: &View,
        id: Option<NetworkId>,
        instead_of: Option<PathId>,
    ) -> Option<u8> {
        let free = |slot: &u8| view.at(*slot).is_none() && !self.dials.takes(*slot);
        let beside = |slot: &u8| {
            let is_ours = |attempt: &Attempt| attempt.slot == slot + LANES && attempt.id() == id;
            let is_up = view.at(slot + LANES).is_some_and(|lane| lane.id() == id);
            is_up || self.dials.all().any(is_ours)
        };
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

    pub(super) fn start(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        want: &Want,
        delay: Duration,
        instead_of: Option<PathId>,
    ) {
        let Some(slot) = self.slot(view, want.id(), instead_of) else {
            return;
        };
        self.dial(driver, view, want, (slot, delay), instead_of);
    }

    pub(super) fn dial(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        want: &Want,
        (slot, delay): (u8, Duration),
        instead_of: Option<PathId>,
    ) {
        self.rests.begin(view.now + delay, want.way.as_ref());
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
}
