//! Which networks a session wants a path on, and in which order: decisions only.
//!
//! Every label that is alive names the networks that admit it, best first. Of these it wants
//!
//! - all that cost no more than the cheapest one there is hope for;
//! - a dearer one (metered, roaming, or such as the label avoids) only if somebody waits: as a standby
//!   for interactive traffic. Background and default traffic alone wake no metered radio while a free
//!   network carries, or is about to; but once the free one is silent, about to go or in vain, they do.
//!
//! The labels then choose in turn, the most urgent one first: whatever the bound, each has its best.

use crate::label::matching::RankKey;
use crate::label::{Label, Urgency};
use crate::network::{Network, NetworkId};

/// A network to dial; `None` where no network is used.
pub(super) type Way = Option<Network>;

/// A path that is wanted, and the label that wants it most.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) way: Way,
    pub(super) label: Label,
}

impl Want {
    pub(super) fn id(&self) -> Option<NetworkId> {
        self.way.as_ref().map(Network::id)
    }
}

/// A live label and the networks that admit it, best first.
#[derive(Debug, Clone)]
pub(super) struct Chooser {
    pub(super) label: Label,
    pub(super) networks: Vec<(RankKey, Network)>,
}

impl Chooser {
    pub(super) fn admits(&self, id: NetworkId) -> bool {
        self.networks.iter().any(|(_, network)| network.id() == id)
    }

    /// Those it wants paths on.
    fn chosen(
        &self,
        standby: bool,
        is_hopeful: &impl Fn(&Network) -> bool,
    ) -> impl Iterator<Item = &Network> {
        let hopeful = self.networks.iter().filter(|(_, way)| is_hopeful(way));
        let bound = hopeful.map(|(key, _)| price(key)).min();
        let wanted = move |key: &RankKey| {
            standby || price(key) == FREE || bound.is_none_or(|bound| price(key) <= bound)
        };
        let networks = self.networks.iter();
        networks.filter_map(move |(key, way)| wanted(key).then_some(way))
    }
}

type Price = (u8, u8);
const FREE: Price = (0, 0);

/// What makes a network one not to be woken without need: avoided, then metered or roaming.
fn price(key: &RankKey) -> Price {
    (key.avoids, key.cost >> 1)
}

/// Every network that is wanted, best first. `interactive`: interactive traffic came or went of late,
/// though no live label may tell of it.
pub(super) fn wanted(
    choosers: &[Chooser],
    interactive: bool,
    is_hopeful: impl Fn(&Network) -> bool,
) -> Vec<Want> {
    let of_label = |chooser: &Chooser| chooser.label.urgency() == Urgency::Interactive;
    let told = choosers.iter().any(of_label);
    let mut columns: Vec<_> = choosers
        .iter()
        .map(|chooser| {
            let standby = of_label(chooser) || interactive && !told;
            (chooser.label, chooser.chosen(standby, &is_hopeful))
        })
        .collect();
    let mut wants: Vec<Want> = Vec::new();
    loop {
        let mut ended = true;
        for (label, column) in &mut columns {
            let known = |network: &&Network| wants.iter().all(|w| w.id() != Some(network.id()));
            if let Some(network) = column.find(known) {
                ended = false;
                wants.push(Want {
                    way: Some(network.clone()),
                    label: *label,
                });
            }
        }
        if ended {
            return wants;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Prop;
    use crate::label::matching::{Destination, Policy, rank};
    use crate::network::NetworkSpec;

    fn network(index: u32, spec: NetworkSpec) -> Network {
        Network::new(NetworkId { index, epoch: 1 }, spec)
    }

    fn wifi() -> Network {
        network(1, Network::wifi("wlan0"))
    }

    fn metered() -> Network {
        network(2, Network::cellular("wwan0").metered(true))
    }

    fn ethernet() -> Network {
        network(3, Network::ethernet("eth0"))
    }

    fn chooser(label: Label, networks: &[Network]) -> Chooser {
        let (to, policy) = (Destination::Unnamed, Policy::default());
        let ranked = |n: &Network| (rank(n, &label, &to, &policy), n.clone());
        let mut networks: Vec<_> = networks.iter().map(ranked).collect();
        networks.sort_unstable_by_key(|(key, _)| *key);
        Chooser { label, networks }
    }

    fn names(wants: &[Want]) -> Vec<String> {
        let ways = wants.iter().flat_map(|want| &want.way);
        ways.map(|network| network.name().to_owned()).collect()
    }

    #[test]
    fn every_free_network_is_wanted_best_first() {
        let all = [chooser(Label::BACKGROUND, &[wifi(), ethernet()])];
        assert_eq!(names(&wanted(&all, false, |_| true)), ["eth0", "wlan0"]);
    }

    #[test]
    fn a_metered_network_is_a_standby_for_interactive_traffic_alone() {
        let networks = [wifi(), metered()];
        for (label, both) in [
            (Label::ANY, false),
            (Label::BACKGROUND, false),
            (Label::INTERACTIVE, true),
        ] {
            let of_it = [chooser(label, &networks)];
            assert_eq!(wanted(&of_it, false, |_| true).len(), 1 + usize::from(both));
        }
        let background = [chooser(Label::BACKGROUND, &networks)];
        let wants = wanted(&background, true, |_| true);
        assert_eq!(
            wants.len(),
            2,
            "interactive traffic came of late: {wants:?}"
        );
    }

    #[test]
    fn without_hope_for_the_free_one_the_metered_one_is_wanted() {
        let of_it = [chooser(Label::BACKGROUND, &[wifi(), metered()])];
        let silent = |network: &Network| network.name() != "wlan0";
        assert_eq!(names(&wanted(&of_it, false, silent)), ["wlan0", "wwan0"]);
        let alone = [chooser(Label::BACKGROUND, &[metered()])];
        assert_eq!(names(&wanted(&alone, false, |_| true)), ["wwan0"]);
    }

    #[test]
    fn who_ignores_cost_wakes_what_it_likes_and_who_avoids_does_not() {
        let careless = [chooser(Label::ANY.ignore_cost(), &[wifi(), metered()])];
        assert_eq!(wanted(&careless, false, |_| true).len(), 2);
        let avoids = Label::ANY.avoid(Prop::Wifi);
        let avoids = [chooser(avoids, &[wifi(), ethernet()])];
        assert_eq!(names(&wanted(&avoids, false, |_| true)), ["eth0"]);
    }

    #[test]
    fn each_label_has_its_best_before_another_has_its_second() {
        let all = [
            chooser(Label::INTERACTIVE, &[ethernet(), wifi()]),
            chooser(Label::new().require(Prop::Cellular), &[metered()]),
        ];
        let wants = wanted(&all, false, |_| true);
        assert_eq!(names(&wants), ["eth0", "wwan0", "wlan0"]);
        assert_eq!(wants[1].label, all[1].label);
    }
}
