//! What matches now, as the labels alive see it, and what of it is wanted.

use super::view::View;
use super::ways::{Chooser, Want, wanted};
use super::{Roamer, pinned};
use crate::label::Label;
use crate::label::matching::{Blocked, Destination, rank};
use crate::network::Network;

/// What matches, as the labels alive see it.
pub(super) struct Matches {
    /// Labels with networks that admit them, the most urgent first.
    pub(super) choosers: Vec<Chooser>,
    /// The most urgent label that nothing carries and nothing admits.
    pub(super) blocked: Option<(Label, Box<Blocked>)>,
    /// No network is used.
    pub(super) host: bool,
}

impl Roamer {
    pub(super) fn matches(&self, view: &View) -> Matches {
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
    pub(super) fn wants(&mut self, view: &View, matches: &Matches) -> Vec<Want> {
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
                Some(attempt) => attempt.due(stall).is_none_or(|due| view.now < due),
                None if view.is_silent(id) => false,
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
        wants.sort_by_key(|want| view.is_silent(want.id()));
        wants
    }
}

/// Each network that some label admits, once.
pub(super) fn networks_of(choosers: &[Chooser]) -> Vec<&Network> {
    let mut all: Vec<&Network> = Vec::new();
    for (_, network) in choosers.iter().flat_map(|chooser| &chooser.networks) {
        if all.iter().all(|known| known.id() != network.id()) {
            all.push(network);
        }
    }
    all
}
