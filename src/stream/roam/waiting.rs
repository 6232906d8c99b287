//! How a session waits: listed and explained like any operation.

use std::sync::Arc;
use std::time::Instant;

use super::super::driver::Driver;
use super::super::events::PathEvent;
use super::matches::Matches;
use super::view::View;
use super::ways::Want;
use super::{Roamer, pinned};
use crate::deferral::Want as Wanting;
use crate::label::Label;
use crate::label::matching::{Blocked, Reason};
use crate::network::NetworkId;

/// What was told last of a session that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Blocked(Refusals),
    /// Networks match, and were tried in vain.
    Tried(String),
}

/// Why no network matches, whichever snapshot said so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusals {
    label: Label,
    reasons: Vec<Reason>,
    networks: Vec<(NetworkId, Vec<Reason>)>,
}

impl Refusals {
    fn of(blocked: &Blocked) -> Self {
        let networks = blocked.networks.iter();
        let refused = networks.map(|refusal| (refusal.network.id(), refusal.reasons.clone()));
        Self {
            label: blocked.label,
            reasons: blocked.reasons.clone(),
            networks: refused.collect(),
        }
    }
}

impl Roamer {
    /// Stands in line for the most urgent label that waits for a network, or, while nothing carries, held
    /// back until the next attempt.
    pub(super) fn wait(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        matches: Matches,
        wants: &[Want],
    ) {
        let detached = view.is_detached();
        if let Some((label, blocked)) = matches.blocked {
            self.stand(driver, view, label, None);
            let why = blocked.to_string();
            let told = Told::Blocked(Refusals::of(&blocked));
            driver.with(|state, _| state.blocked = Some(Arc::from(blocked)));
            return self.tell_waiting(driver, view, told, &why);
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
            let why = tried.join("; ");
            let told = Told::Tried(why.clone());
            self.tell_waiting(driver, view, told, &why);
        }
        self.stand(driver, view, view.labels[0].0, Some(until));
    }

    /// Stands in line for what is wanted, before then held back; the grace, where it runs, is the deadline.
    pub(super) fn stand(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        label: Label,
        until: Option<Instant>,
    ) {
        let lost = view.open.is_empty();
        let left = driver.with(|state, now| lost.then(|| state.grace_left(now)));
        let want = Wanting {
            destination: self.destination.clone(),
            deadline: left.and_then(|left| view.now.checked_add(left)),
            ..Wanting::new(pinned(label, self.only.as_deref()).unwrap_or(label))
        };
        self.standing.wait(self.context.registry(), want, until);
    }

    /// Tells it once: another snapshot that refuses it alike is no news. Nor is a network that may be back at
    /// once.
    fn tell_waiting(&mut self, driver: &Arc<Driver>, view: &View, told: Told, why: &str) {
        let only_away = view.is_detached() && !view.open.is_empty();
        if only_away || self.told.as_ref() == Some(&told) {
            return;
        }
        self.told = Some(told);
        driver.with(|state, now| {
            let detached = state.open_paths().next().is_none();
            let grace = detached.then(|| state.grace_left(now));
            let why = Arc::from(why);
            tracing::info!(target: "mancom::session", %why, "waiting for a network");
            state.publish(PathEvent::Waiting { why, grace });
        });
    }
}
