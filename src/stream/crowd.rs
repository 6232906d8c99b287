//! Who is to go when a table is full: the oldest entry of the source with most.
//!
//! One attacker has few prefixes and many entries, so it crowds out itself and nobody else. Entering,
//! leaving and choosing cost the logarithm of the table's size.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where something came from, as coarse as an attacker's addresses are cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Source {
    /// This host, or a transport without addresses.
    #[default]
    Unaddressed,
    /// A /24 of IPv4.
    V4([u8; 3]),
    /// A /56 of IPv6.
    V6([u8; 7]),
}

impl Source {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unaddressed,
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }

    /// The bytes a cookie is made over; different for different sources.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Unaddressed => Vec::new(),
            Self::V4(prefix) => prefix.to_vec(),
            Self::V6(prefix) => prefix.to_vec(),
        }
    }
}

/// What a source has, its oldest first.
#[derive(Debug, Default)]
struct Group<K> {
    order: BTreeMap<u64, K>,
    weight: usize,
}

impl<K> Group<K> {
    /// Higher goes first: by size, and of equals the one that has waited longest.
    fn rank(&self, size: usize) -> (usize, Reverse<u64>) {
        let oldest = self.order.keys().next().copied().unwrap_or(u64::MAX);
        (size, Reverse(oldest))
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    source: Source,
    number: u64,
    weight: usize,
}

type Ranks = BTreeSet<((usize, Reverse<u64>), Source)>;

/// Entries of many sources; the table itself has no bound, its owner asks `most` or `heaviest` until
/// its own is kept.
#[derive(Debug)]
pub(super) struct Crowd<K> {
    places: BTreeMap<K, Place>,
    groups: BTreeMap<Source, Group<K>>,
    by_count: Ranks,
    by_weight: Ranks,
    entered: u64,
    weight: usize,
}

impl<K> Default for Crowd<K> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_count: Ranks::new(),
            by_weight: Ranks::new(),
            entered: 0,
            weight: 0,
        }
    }
}

impl<K: Copy + Ord> Crowd<K> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The sum of all weights.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Enters as the youngest, or only changes its weight where it is in already.
    pub(super) fn enter(&mut self, key: K, source: Source, weight: usize) {
        let number = self.entered;
        self.entered += 1;
        let place = self.places.get(&key).copied().unwrap_or(Place {
            source,
            number,
            weight: 0,
        });
        self.weight = self.weight - place.weight + weight;
        self.places.insert(key, Place { weight, ..place });
        self.change(place.source, |group| {
            group.order.insert(place.number, key);
            group.weight = group.weight - place.weight + weight;
        });
    }

    /// Whether it was in.
    pub(super) fn leave(&mut self, key: K) -> bool {
        let Some(place) = self.places.remove(&key) else {
            return false;
        };
        self.weight -= place.weight;
        self.change(place.source, |group| {
            group.order.remove(&place.number);
            group.weight -= place.weight;
        });
        true
    }

    /// The oldest of the source with most entries.
    pub(super) fn most(&self) -> Option<K> {
        let (_, source) = self.by_count.last()?;
        self.groups.get(source)?.order.values().next().copied()
    }

    /// The oldest that weighs anything, of the source with most weight.
    pub(super) fn heaviest(&self) -> Option<K> {
        let (_, source) = self.by_weight.last()?;
        let mut order = self.groups.get(source)?.order.values();
        order
            .find(|key| self.places.get(key).is_some_and(|place| place.weight > 0))
            .copied()
    }

    fn change(&mut self, source: Source, change: impl FnOnce(&mut Group<K>)) {
        let group = self.groups.entry(source).or_insert_with(|| Group {
            order: BTreeMap::new(),
            weight: 0,
        });
        self.by_count
            .remove(&(group.rank(group.order.len()), source));
        self.by_weight.remove(&(group.rank(group.weight), source));
        change(group);
        if group.order.is_empty() {
            self.groups.remove(&source);
        } else {
            self.by_count
                .insert((group.rank(group.order.len()), source));
            self.by_weight.insert((group.rank(group.weight), source));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const A: Source = Source::V4([10, 0, 0]);
    const B: Source = Source::V4([10, 0, 1]);

    #[test]
    fn a_source_is_a_24_or_a_56() {
        let v4 = |text: &str| Source::of(Some(text.parse::<Ipv4Addr>().unwrap().into()));
        let v6 = |text: &str| Source::of(Some(text.parse::<Ipv6Addr>().unwrap().into()));
        assert_eq!(v4("10.0.0.1"), v4("10.0.0.254"));
        assert_ne!(v4("10.0.0.1"), v4("10.0.1.1"));
        assert_eq!(v6("2001:db8:0:1::1"), v6("2001:db8:0:ff:ffff::"));
        assert_ne!(v6("2001:db8:0:1::1"), v6("2001:db8:0:101::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), v4("10.0.0.1"));
        assert_eq!(Source::of(None), Source::Unaddressed);
    }

    // behaviour: K3
    #[test]
    fn the_oldest_of_the_source_with_most_goes_first() {
        let mut crowd = Crowd::default();
        crowd.enter(1, B, 0);
        for key in 2..6 {
            crowd.enter(key, A, 0);
        }
        let mut gone = Vec::new();
        while let Some(key) = crowd.most() {
            assert!(crowd.leave(key));
            gone.push(key);
        }
        assert_eq!(
            gone,
            [2, 3, 4, 1, 5],
            "A alone while it has more, then the oldest of both"
        );
        assert_eq!((crowd.len(), crowd.weight()), (0, 0));
        assert!(crowd.groups.is_empty() && crowd.by_count.is_empty() && crowd.by_weight.is_empty());
    }

    #[test]
    fn the_heaviest_source_gives_up_its_oldest_that_weighs() {
        let mut crowd = Crowd::default();
        crowd.enter(1, A, 0);
        crowd.enter(2, A, 5);
        crowd.enter(3, B, 1);
        crowd.enter(3, B, 4);
        assert_eq!((crowd.weight(), crowd.heaviest()), (9, Some(2)));
        crowd.enter(3, B, 9);
        assert_eq!(
            (crowd.weight(), crowd.len(), crowd.heaviest()),
            (14, 3, Some(3))
        );
        assert!(crowd.leave(3) && !crowd.leave(3));
        assert_eq!(crowd.heaviest(), Some(2));
    }

    proptest::proptest! {
        #[test]
        fn chooses_as_a_plain_search_would(
            moves in proptest::collection::vec((0_u8..20, 0_u8..4, 0_usize..5, proptest::bool::ANY), 0..200),
        ) {
            let mut crowd = Crowd::default();
            let mut model: Vec<(u8, Source, usize)> = Vec::new();
            for (key, source, weight, enter) in moves {
                let source = Source::V4([source, 0, 0]);
                let known = model.iter().position(|(known, ..)| *known == key);
                match (enter, known) {
                    (true, Some(at)) => model[at].2 = weight,
                    (true, None) => model.push((key, source, weight)),
                    (false, Some(at)) => drop(model.remove(at)),
                    (false, None) => {}
                }
                match enter {
                    true => crowd.enter(key, source, weight),
                    false => assert_eq!(crowd.leave(key), known.is_some()),
                }
                let count = |of: Source| model.iter().filter(|(_, source, _)| *source == of).count();
                let most = model.iter().map(|(_, source, _)| count(*source)).max();
                let expected = model.iter().find(|(_, source, _)| Some(count(*source)) == most);
                proptest::prop_assert_eq!(crowd.most(), expected.map(|(key, ..)| *key));
                proptest::prop_assert_eq!(crowd.len(), model.len());
                let total: usize = model.iter().map(|(.., weight)| weight).sum();
                proptest::prop_assert_eq!(crowd.weight(), total);
                proptest::prop_assert_eq!(crowd.heaviest().is_some(), total > 0);
            }
        }
    }
}
