//! The networks and the policy as they change under a session, and what the peer is told of ours.
//!
//! A dialler's path whose network went is lost, at once if another carries. If none does and its address
//! stayed, as it does while a station moves from one access point to the next, its connection is kept for
//! [`AWAY`]: nothing better could be had meanwhile, and a network that is back by then finds it as it was.
//! The kernel sends again when its timer tells it to, not when the carrier is back: after an absence of
//! so long, at most as long again later. So much of it as [`BACK`] is waited for. Meanwhile nothing is
//! written to it, for what its socket has taken cannot go by another path without going twice.

use std::time::{Duration, Instant};

use super::super::context::Context;
use super::super::events::PathEvent;
use super::sockets::{Link, Presence};
use super::state::{Advertise, State};
use crate::label::matching::PathFacts;
use crate::network::{self, Network};
use crate::proto::session::{PathId, PathSides, Role};

/// How long the only network may be away before what was built over it is given up.
const AWAY: Duration = Duration::from_secs(1);
/// How long a connection may be silent after its network came back.
const BACK: Duration = Duration::from_millis(500);

const WENT: &str = "the network went";

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
            let away = matches!(link.presence, Presence::Away { .. });
            match snapshot.successor(known, link.io.local()) {
                // It waits to be let in: no more than down.
                Some(network) if away && network.state() == network::State::Dormant => {}
                Some(network) => {
                    if network != known {
                        self.set_network(now, at, network.clone());
                    }
                    self.welcome(now, at);
                }
                // A listener cannot dial another one: as long as this one works, it works.
                None if self.core.role() == Role::Listener => {}
                None if snapshot.keeps(known, link.io.local()) => self.leave_be(now, at),
                None => self.lose(now, at, WENT.into()),
            }
        }
        self.end_absences(now);
        self.tell_addresses(None);
    }

    /// Its network went, and may be back at once.
    fn leave_be(&mut self, now: Instant, at: usize) {
        let link = &self.links[at];
        if matches!(link.presence, Presence::Away { .. }) {
            return;
        }
        let state = self.core.path_state(link.path);
        let info = self.info(link);
        tracing::debug!(target: "mancom::session", path = %info, "its network is away");
        self.links[at].presence = Presence::Away {
            until: now + AWAY,
            silent: state.is_none_or(|state| state.silent.is_some()),
        };
        if !info.suspect {
            let info = self.info(&self.links[at]);
            self.publish(PathEvent::Suspect(info));
        }
        self.unsettled = true;
    }

    /// Its network is back, in time or not.
    fn welcome(&mut self, now: Instant, at: usize) {
        let link = &mut self.links[at];
        let Presence::Away { until, silent } = link.presence else {
            return;
        };
        if until <= now {
            return self.lose(now, at, WENT.into());
        }
        // Patience with one silence is not had twice.
        link.presence = match silent {
            true => Presence::Here,
            false => Presence::Back { until: now + BACK },
        };
        let info = self.info(&self.links[at]);
        tracing::debug!(target: "mancom::session", path = %info, "its network is back");
        if !info.suspect {
            self.publish(PathEvent::Trusted(info));
        }
        self.unsettled = true;
        self.transmit(now);
    }

    /// Loses what waits for its network in vain: for too long, or although another path carries.
    pub(super) fn end_absences(&mut self, now: Instant) {
        if self.absent_until().is_none() {
            return;
        }
        let here = |link: &&Link| link.dead.is_none() && !link.is_away();
        let carries = |link: &Link| {
            let state = self.core.path_state(link.path);
            state.is_some_and(|state| state.carries && state.silent.is_none())
        };
        let carried = self.links.iter().filter(here).any(carries);
        for at in 0..self.links.len() {
            let link = &self.links[at];
            if let Presence::Away { until, .. } = link.presence
                && link.dead.is_none()
                && (carried || until <= now)
            {
                self.lose(now, at, WENT.into());
            }
        }
    }

    /// When the first absence is too long.
    pub(super) fn absent_until(&self) -> Option<Instant> {
        let live = self.links.iter().filter(|link| link.dead.is_none());
        live.filter_map(|link| match link.presence {
            Presence::Away { until, .. } => Some(until),
            Presence::Here | Presence::Back { .. } => None,
        })
        .min()
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

    /// The network of this path is known anew; the peer is told of it, unless it is to know nothing. At
    /// another epoch the path is to answer: the address is the same, what is behind it may not be.
    fn set_network(&mut self, now: Instant, at: usize, network: Network) {
        let path = self.links[at].path;
        let known = self.links[at].network.as_ref().map(Network::id);
        if known != Some(network.id()) {
            self.core.ask(now, path);
        }
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
