//! The order of what is admitted: lexicographic, never an additive score.

use std::time::Duration;

use super::{Destination, Policy, admit};
use crate::label::{Label, Prop, Size, Urgency};
use crate::network::{Health, Kind, Kinds, Network, NetworkId, Route};

/// Where an admitted network stands for one label; the least is the best. An axis counts only
/// between networks equal on all axes above it. Total, for ids differ.
///
/// What nobody knows of round-trip time and bandwidth is taken from the kind, falling in the
/// order of kinds, so that of two networks of which nothing is known the preferred kind comes
/// first; a measured network does not outrank a better kind merely because it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RankKey {
    /// Other routes lead there rather: to addresses, only a default route of this network; to a
    /// name not yet resolved, no default route. First, for no other merit makes up for a gateway
    /// that does not know the way.
    pub detour: bool,
    /// 0 full or unknown, 1 limited, 2 other.
    pub health: u8,
    /// About to go.
    pub losing: bool,
    /// The place of the first property preferred that it has; one beyond the last for none.
    pub prefer_place: u8,
    /// How many preferred properties it lacks.
    pub unmet_prefers: u8,
    /// How many avoided properties it has.
    pub avoids: u8,
    /// Too slow: interactive over 1 s of round trip or 10 % of loss, else under 128 kbit/s.
    /// Never with `cost=ignore`.
    pub floor: bool,
    /// 4 roaming + 2 metered + 1 constrained; 0 with `cost=ignore`.
    pub cost: u8,
    /// Nanoseconds. Small: the round trip; large: the time of a mebibyte; counted: the round
    /// trip and the time of the bytes; size not said: background like large, else like small.
    pub metric: u64,
    /// Its own kind, in order of preference.
    pub kind: Kind,
    /// The last resort.
    pub id: NetworkId,
}

impl RankKey {
    /// The axes that make a class: all above the metric.
    pub(crate) fn class(&self) -> impl Ord + use<> {
        (
            (self.detour, self.health, self.losing),
            (self.prefer_place, self.unmet_prefers, self.avoids),
            (self.floor, self.cost),
        )
    }
}

/// The key by which [`candidates`](super::candidates) orders.
#[must_use]
pub fn rank(network: &Network, label: &Label, to: &Destination, policy: &Policy) -> RankKey {
    let holds = |prop: Prop| policy.count(prop, admit::fact(network, prop));
    let prefers = || label.prefers();
    let place = prefers().position(holds).unwrap_or(prefers().count());
    RankKey {
        detour: is_detour(network, to),
        health: match network.health() {
            Health::Full | Health::Unknown => 0,
            Health::Limited => 1,
            Health::Portal | Health::None => 2,
        },
        losing: network.is_losing(),
        prefer_place: place as u8,
        unmet_prefers: prefers().filter(|prop| !holds(*prop)).count() as u8,
        avoids: label.avoided().iter().filter(|prop| holds(*prop)).count() as u8,
        floor: !label.ignores_cost() && is_below_floor(network, label),
        cost: match label.ignores_cost() {
            true => 0,
            false => {
                4 * u8::from(holds(Prop::Roaming))
                    + 2 * u8::from(holds(Prop::Metered))
                    + u8::from(holds(Prop::Constrained))
            }
        },
        metric: metric(network, label),
        kind: network.kind(),
        id: network.id(),
    }
}

fn is_detour(network: &Network, to: &Destination) -> bool {
    let mut routes = network.routes().iter();
    match to {
        Destination::Unnamed | Destination::Host => false,
        Destination::Name => !routes.any(Route::is_default_like),
        Destination::Addresses(all) => {
            !routes.any(|route| !route.is_default_like() && all.iter().any(|ip| route.covers(*ip)))
        }
    }
}

/// Known to be too slow; what is not known is not held against it.
fn is_below_floor(network: &Network, label: &Label) -> bool {
    if label.urgency() == Urgency::Interactive {
        network
            .rtt()
            .is_some_and(|rtt| rtt > Duration::from_secs(1))
            || network.loss().is_some_and(|per_mille| per_mille > 100)
    } else {
        network.bandwidth().is_some_and(|bits| bits < 128_000)
    }
}

fn metric(network: &Network, label: &Label) -> u64 {
    let (assumed_rtt, assumed_bandwidth) = assumed(network.kinds());
    let rtt = network.rtt().unwrap_or(assumed_rtt).as_nanos();
    let bandwidth = network.bandwidth().unwrap_or(assumed_bandwidth).max(1);
    let time_of = |bytes: u64| u128::from(bytes) * 8_000_000_000 / u128::from(bandwidth);
    let (turns, bytes) = counted(label);
    u64::try_from(turns * rtt + time_of(bytes)).unwrap_or(u64::MAX)
}

/// So many round trips and bytes are the metric.
fn counted(label: &Label) -> (u128, u64) {
    match label.size() {
        Size::Small => (1, 0),
        Size::Large => (0, 1 << 20),
        Size::Bytes(n) => (1, n),
        Size::Unspecified if label.urgency() == Urgency::Background => (0, 1 << 20),
        Size::Unspecified => (1, 0),
    }
}

/// Whether the [metric](RankKey::metric) of this network for this label is that of its kind, for
/// nobody knows the round trip or bandwidth that counts.
#[must_use]
pub fn assumes_metric(network: &Network, label: &Label) -> bool {
    let (turns, bytes) = counted(label);
    turns > 0 && network.rtt().is_none() || bytes > 0 && network.bandwidth().is_none()
}

/// Round trip and bandwidth until something is known: the worst of its kinds', for a tunnel is no
/// faster than what carries it.
fn assumed(kinds: Kinds) -> (Duration, u64) {
    let of = |kind: Kind| match kind {
        Kind::Loopback => (0, 10_000_000_000),
        Kind::Ethernet => (5, 1_000_000_000),
        Kind::Wifi => (10, 100_000_000),
        Kind::Bluetooth | Kind::Cellular => (50, 20_000_000),
        Kind::Satellite => (600, 10_000_000),
        Kind::Vpn | Kind::Other => (50, 20_000_000),
    };
    let carriers = kinds.without(Kind::Vpn);
    let known = if carriers.is_empty() { kinds } else { carriers };
    let (rtt, bandwidth) = known
        .iter()
        .map(of)
        .reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
        .unwrap_or((50, 20_000_000));
    (Duration::from_millis(rtt), bandwidth)
}
