//! The paths that are open now, as an estimate of what bytes would take wants to see them.

use std::time::Instant;

use super::Session;
use super::choose::{Judge, candidate, networks};
use crate::label::Label;
use crate::network::{Fact, Kind, Network};
use crate::proto::schedule::estimate::Way;

impl Session {
    /// The open paths that admit a label. Their bandwidth is as measured, else as their network's facts
    /// say.
    pub fn ways(&mut self, now: Instant, label: &Label) -> Vec<Way> {
        let round = self.round(now);
        let judge = Judge::of(&self.policy, self.role);
        let networks = networks(&self.paths, judge.dialler);
        let mut ways = Vec::new();
        for (slot, path) in self.paths.iter_mut().enumerate() {
            let Some(path) = path.as_mut().filter(|path| path.carries()) else {
                continue;
            };
            let Some(class) = judge.class(path, label) else {
                continue;
            };
            let network = path.sides.local.clone();
            let mut way = candidate(path, (slot, networks[slot]), class, label.urgency(), &round);
            let said = network.as_ref().and_then(Network::up);
            let known = way.measure.bandwidth.filter(|known| *known > 0);
            way.measure.bandwidth = known.or(said.map(|bits| bits / 8));
            let rtt = network.as_ref().and_then(Network::rtt);
            way.measure.rtt = way.measure.rtt.or(rtt);
            ways.push(Way {
                path: way,
                kind: network.as_ref().map_or(Kind::Loopback, Network::kind),
                metered: costs(path.sides.remote.metered)
                    || network.is_some_and(|network| costs(network.metered())),
            });
        }
        ways
    }
}

fn costs(metered: Fact) -> bool {
    metered.known() == Some(true)
}
