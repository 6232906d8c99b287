//! What is done with open paths: lanes beside them, and giving up what is not wanted any more.
//!
//! - A lane is opened beside each general path whose network carries interactive traffic: the best class
//!   of those in use, for some interactive label. It goes when nothing wanted it for 30 s, and with its
//!   general path's network.
//! - A path whose network no live label admits any more is given up once another one carries: in order,
//!   or at once where both ends' facts forbid it to every live label, for then what waits in its socket
//!   should not go out either. A suspended network keeps its paths. Where no route leads to the listener
//!   any more, what the path owes is not waited for.
//! - One that is merely not wanted (a metered standby, say) is given up after 30 s.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::driver::Driver;
use super::Roamer;
use super::matches::{Matches, networks_of};
use super::view::{LANES, LINGER, Open, View};
use super::ways::Want;

use crate::label::matching::Destination;
use crate::label::{Label, Urgency};
use crate::network::{Network, NetworkId, State};
use crate::proto::session::PathId;

impl Roamer {
    /// Gives up the paths that nothing wants.
    pub(super) fn let_go(
        &mut self,
        driver: &Arc<Driver>,
        view: &View,
        matches: &Matches,
        wants: &[Want],
    ) {
        self.surplus
            .retain(|(path, _)| view.open.iter().any(|open| open.path == *path));
        if wants.iter().all(|want| want.way.is_none()) {
            return;
        }
        let admitted = networks_of(&matches.choosers);
        let is_wanted = |open: &Open| wants.iter().any(|want| want.id() == open.id());
        for open in view.well().filter(|open| open.network.is_some()) {
            if is_wanted(open) {
                self.surplus.retain(|(path, _)| *path != open.path);
                continue;
            }
            let mut others = view.well().filter(|other| other.path != open.path);
            if !others.any(|other| other.state.carries && is_wanted(other)) {
                continue;
            }
            let network = open.network.as_ref();
            let suspended = network.is_some_and(|network| network.state() == State::Suspended);
            let is_admitted = admitted
                .iter()
                .any(|network| Some(network.id()) == open.id());
            match (is_admitted, open.permitted) {
                (false, _) if suspended => {}
                (false, false) => {
                    let lane = view.at(open.path.id + LANES).map(|lane| lane.path);
                    for path in [Some(open.path), lane].into_iter().flatten() {
                        self.drop_path(driver, path, "no label permits it any more");
                    }
                }
                (false, true) => {
                    let leads = |network: &Network| leads(network, &self.destination);
                    if !network.is_some_and(leads) {
                        self.doubt(driver, view, open.path);
                    }
                    self.retire(driver, view, open.path);
                }
                (true, _) if self.is_over(view, open.path) => self.retire(driver, view, open.path),
                (true, _) => {}
            }
        }
    }

    /// What this path and its lane owe goes by the others too: it hardly arrives.
    fn doubt(&self, driver: &Arc<Driver>, view: &View, path: PathId) {
        let lane = view.at(path.id + LANES).map(|lane| lane.path);
        driver.with(|state, now| {
            for path in [Some(path), lane].into_iter().flatten() {
                state.core.doubt(now, path);
            }
        });
    }

    /// Whether nothing wanted this path for long enough.
    fn is_over(&mut self, view: &View, path: PathId) -> bool {
        let known = self.surplus.iter().find(|(known, _)| *known == path);
        let since = known.map_or(view.now, |(_, since)| *since);
        if known.is_none() {
            self.surplus.push((path, since));
        }
        let until = since + LINGER;
        if view.now < until {
            self.look_again(until);
        }
        view.now >= until
    }

    /// Opens a lane beside each path that is to have one, and gives up the others.
    pub(super) fn keep_lanes(&mut self, driver: &Arc<Driver>, view: &View, matches: &Matches) {
        let carrying = match view.lanes {
            true => interactive_networks(view, matches),
            false => Vec::new(),
        };
        let general = |slot: u8| view.at(slot).filter(|open| !open.given_up);
        for lane in view.open.iter().filter(|open| open.is_lane()) {
            let beside = general(lane.path.id - LANES);
            let has_place = match beside {
                Some(open) => open.id() == lane.id(),
                // It waits for its general path, unless that came in another slot, with a lane of its own.
                None => view.well().all(|open| open.id() != lane.id()),
            };
            let wanted = lane.id().is_some_and(|id| carrying.contains(&id));
            if wanted && has_place {
                self.surplus.retain(|(path, _)| *path != lane.path);
            } else if !lane.given_up && (!has_place || self.is_over(view, lane.path)) {
                self.give_up(driver, lane.path);
            }
        }
        for open in view.well() {
            let slot = open.path.id + LANES;
            let there = view.at(slot).is_some() || self.dials.takes(slot);
            let Some(id) = open.id().filter(|id| carrying.contains(id) && !there) else {
                continue;
            };
            let way = open.network.clone();
            match self.rests.resting(view.now, way.as_ref(), true, true) {
                Some(until) => self.look_again(until),
                None => {
                    let label = label_on(matches, id);
                    let want = Want { way, label };
                    self.dial(driver, view, &want, (slot, Duration::ZERO), None);
                }
            }
        }
    }

    /// Gives a path up in order, and its lane.
    pub(super) fn retire(&mut self, driver: &Arc<Driver>, view: &View, path: PathId) {
        let lane = view.at(path.id + LANES).map(|lane| lane.path);
        for path in [Some(path), lane].into_iter().flatten() {
            self.give_up(driver, path);
        }
    }

    fn give_up(&mut self, driver: &Arc<Driver>, path: PathId) {
        self.forget(path);
        driver.with(|state, now| {
            state.core.retire(now, path);
            state.transmit(now);
        });
    }

    pub(super) fn drop_path(&mut self, driver: &Arc<Driver>, path: PathId, why: &str) {
        self.forget(path);
        driver.with(|state, now| {
            state.drop_path(now, path, why);
            state.transmit(now);
        });
    }

    /// What becomes of this path is no loss.
    fn forget(&mut self, path: PathId) {
        self.given_up.push(path);
        self.known.retain(|known| *known != path);
        self.surplus.retain(|(known, _)| *known != path);
    }
}

/// The networks in use on which interactive traffic goes: for each interactive label (or for all, where
/// none is told of now) those of its best class.
fn interactive_networks(view: &View, matches: &Matches) -> Vec<NetworkId> {
    let is_interactive = |label: &Label| label.urgency() == Urgency::Interactive;
    let told = matches.choosers.iter().any(|of| is_interactive(&of.label));
    let mut networks = Vec::new();
    for chooser in &matches.choosers {
        if told && !is_interactive(&chooser.label) {
            continue;
        }
        let open = chooser.networks.iter().filter(|(_, network)| {
            let id = Some(network.id());
            view.well().any(|open| open.id() == id)
        });
        let best = open.clone().map(|(key, _)| key.class()).min();
        let best = open.filter(|(key, _)| Some(key.class()) == best);
        networks.extend(best.map(|(_, network)| network.id()));
    }
    networks
}

/// Whether a route of this network leads to the listener, as far as its addresses are known.
fn leads(network: &Network, to: &Destination) -> bool {
    let covered = |ip: &IpAddr| network.routes().iter().any(|route| route.covers(*ip));
    match to {
        Destination::Addresses(all) => all.iter().any(covered),
        Destination::Unnamed | Destination::Host | Destination::Name => true,
    }
}

/// The most urgent label that the network admits.
fn label_on(matches: &Matches, id: NetworkId) -> Label {
    let mut choosers = matches.choosers.iter();
    let of = choosers.find(|chooser| chooser.admits(id));
    of.map_or(Label::ANY, |chooser| chooser.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Route;

    #[test]
    fn a_network_leads_to_a_listener_where_a_route_covers_one_of_its_addresses() {
        let lan = Network::wifi("wlan0").no_default_route();
        let lan = lan.route(Route::to(("10.0.0.0".parse::<IpAddr>().unwrap(), 8)));
        let lan = Network::new(NetworkId::new(1, 1), lan);
        let to = |ips: &[&str]| {
            let ips = ips.iter().map(|ip| ip.parse().unwrap());
            Destination::Addresses(ips.collect())
        };
        assert!(leads(&lan, &to(&["10.1.2.3"])));
        assert!(!leads(&lan, &to(&["192.0.2.1", "2001:db8::1"])));
        assert!(leads(&lan, &to(&["192.0.2.1", "10.1.2.3"])), "one will do");
        assert!(leads(&lan, &Destination::Name), "nobody knows better");
    }
}
