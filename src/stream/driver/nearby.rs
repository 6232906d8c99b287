//! The networks and the policy as they change under a session, and what the peer is told of ours.

use std::time::Instant;

use super::super::context::Context;
use super::state::{Advertise, State};
use crate::label::matching::PathFacts;
use crate::network::Network;
use crate::proto::session::{PathId, PathSides, Role};

impl State {
    /// Looks at a newer snapshot and another policy, if there are such. In whoever's poll it is, so that
    /// not one byte more goes where it may not go any more.
    pub(super) fn follow(&mut self, now: Instant, context: &dyn Context) {
        if self.revised.has_changed().unwrap_or(false) {
            self.revised.mark_unchanged();
            let policy = context.registry().policy();
            self.core.set_policy(now, policy.clone());
            self.set_terms(now, context.limits(), policy);
            self.unsettled = true;
        }
        if self.snapshots.has_changed().unwrap_or(false) {
            self.look(now);
        }
    }

    /// What the newest snapshot says of the networks the paths are on.
    pub(super) fn look(&mut self, now: Instant) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        for at in 0..self.links.len() {
            let link = &self.links[at];
            let Some(known) = link.network.as_ref().filter(|_| link.dead.is_none()) else {
                continue;
            };
            match snapshot.successor(known, link.io.local()) {
                Some(network) if network == known => {}
                Some(network) => self.set_network(now, at, network.clone()),
                None if self.core.role() == Role::Dialler => {
                    self.lose(now, at, "the network went".into());
                }
                // A listener cannot dial another one: as long as this one works, it works.
                None => {}
            }
        }
        self.tell_addresses(None);
    }

    /// The peer is to be told where else this listener can be dialled.
    pub(super) fn advertise(&mut self, advertise: Advertise) {
        self.advertise = Some((advertise, Vec::new()));
    }

    /// Tells it, on this path, or on all that are open if it changed.
    pub(super) fn tell_addresses(&mut self, fresh: Option<PathId>) {
        let Some((advertise, told)) = &mut self.advertise else {
            return;
        };
        let now = advertise(&self.snapshots.borrow());
        let changed = now != *told;
        *told = now;
        for link in self.links.iter().filter(|link| link.dead.is_none()) {
            if changed || fresh == Some(link.path) {
                self.core.tell_addresses(link.path, told);
            }
        }
    }

    /// The network of this path is known anew; the peer is told of it, unless it is to know nothing.
    fn set_network(&mut self, now: Instant, at: usize, network: Network) {
        let path = self.links[at].path;
        let remote = self.core.remote_facts(path).unwrap_or_default();
        if !self.anonymous {
            self.core.tell_facts(now, path, PathFacts::of(&network));
        }
        self.links[at].network = Some(network.clone());
        self.begin_fees(now, at);
        let local = Some(network);
        self.core
            .update_path(now, path, PathSides { local, remote });
        self.transmit(now);
    }
}
