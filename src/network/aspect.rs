//! What can be known of a network, one name each: for sources, ages and listings.

use super::{Network, NetworkSpec, Route, Word};
use crate::clock::Clock;
use std::fmt;
use std::time::{Duration, Instant};

/// One thing that can be known of a network.
///
/// Everything a [`Network`] tells falls under one of these, with [where it came
/// from](Network::sources) and [how long it has been so](Network::age).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Aspect {
    /// Its name.
    Name,
    /// Its kinds.
    Kind,
    /// Whether it is usable.
    State,
    /// Whether something is at the other end of the cable, or of the air.
    Carrier,
    /// The kernel's word for its operational state (RFC 2863).
    Operstate,
    /// How far it reaches.
    Health,
    /// Whether its bytes cost money.
    Metered,
    /// Whether it is a foreign operator's.
    Roaming,
    /// Whether restraint is asked for.
    Constrained,
    /// Whether it is about to go.
    Losing,
    /// Whether it may be used beside a VPN.
    BypassVpn,
    /// Its round-trip time.
    Rtt,
    /// Its upward bandwidth.
    Up,
    /// Its downward bandwidth.
    Down,
    /// Its loss.
    Loss,
    /// The strength of its signal.
    Signal,
    /// Its addresses.
    Addresses,
    /// Its routes.
    Routes,
    /// Its name servers.
    Dns,
    /// Its largest packet.
    Mtu,
    /// How a socket is bound to it.
    Binding,
}

/// How many there are.
pub(super) const ASPECTS: usize = 21;

impl Aspect {
    /// Every aspect, in the order in which they are shown.
    pub const ALL: [Aspect; ASPECTS] = [
        Aspect::Name,
        Aspect::Kind,
        Aspect::State,
        Aspect::Carrier,
        Aspect::Operstate,
        Aspect::Health,
        Aspect::Metered,
        Aspect::Roaming,
        Aspect::Constrained,
        Aspect::Losing,
        Aspect::BypassVpn,
        Aspect::Rtt,
        Aspect::Up,
        Aspect::Down,
        Aspect::Loss,
        Aspect::Signal,
        Aspect::Addresses,
        Aspect::Routes,
        Aspect::Dns,
        Aspect::Mtu,
        Aspect::Binding,
    ];

    /// The word of listings and configuration: `metered`, `bypass_vpn`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Aspect::Name => "name",
            Aspect::Kind => "kind",
            Aspect::State => "state",
            Aspect::Carrier => "carrier",
            Aspect::Operstate => "operstate",
            Aspect::Health => "health",
            Aspect::Metered => "metered",
            Aspect::Roaming => "roaming",
            Aspect::Constrained => "constrained",
            Aspect::Losing => "losing",
            Aspect::BypassVpn => "bypass_vpn",
            Aspect::Rtt => "rtt",
            Aspect::Up => "up",
            Aspect::Down => "down",
            Aspect::Loss => "loss",
            Aspect::Signal => "signal",
            Aspect::Addresses => "addresses",
            Aspect::Routes => "routes",
            Aspect::Dns => "dns",
            Aspect::Mtu => "mtu",
            Aspect::Binding => "binding",
        }
    }

    /// The aspect of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aspect| aspect.word() == word)
    }

    /// Whether the two agree in it.
    pub(crate) fn same(self, a: &NetworkSpec, b: &NetworkSpec) -> bool {
        match self {
            Aspect::Name => a.name == b.name,
            Aspect::Kind => a.kinds == b.kinds,
            Aspect::State => a.state == b.state && a.notes.down == b.notes.down,
            Aspect::Carrier => a.carrier == b.carrier,
            Aspect::Operstate => a.operstate == b.operstate,
            Aspect::Health => a.health == b.health,
            Aspect::Metered => a.metered == b.metered,
            Aspect::Roaming => a.roaming == b.roaming,
            Aspect::Constrained => a.constrained == b.constrained,
            Aspect::Losing => a.losing == b.losing,
            Aspect::BypassVpn => a.bypass_vpn == b.bypass_vpn,
            Aspect::Rtt => a.rtt == b.rtt,
            Aspect::Up => a.up == b.up,
            Aspect::Down => a.down == b.down,
            Aspect::Loss => a.loss == b.loss,
            Aspect::Signal => a.signal == b.signal,
            Aspect::Addresses => a.addresses == b.addresses,
            Aspect::Routes => a.routes == b.routes,
            Aspect::Dns => a.dns == b.dns,
            Aspect::Mtu => a.mtu == b.mtu,
            Aspect::Binding => a.binding == b.binding,
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Since when each aspect has been as it is, by the clock that counts time asleep. No part of
/// what a network is: two networks are equal whatever their ages.
#[derive(Debug, Clone)]
pub(crate) struct Since([Instant; ASPECTS]);

impl Since {
    /// Everything since now.
    pub(crate) fn new(now: Instant) -> Self {
        Since([now; ASPECTS])
    }

    /// Since now where `new` differs from `old`, as before elsewhere.
    pub(crate) fn changed(mut self, old: &NetworkSpec, new: &NetworkSpec, now: Instant) -> Self {
        for aspect in Aspect::ALL {
            if !aspect.same(old, new) {
                self.set(aspect, now);
            }
        }
        self
    }

    pub(crate) fn of(&self, aspect: Aspect) -> Instant {
        self.0[aspect as usize]
    }

    pub(crate) fn set(&mut self, aspect: Aspect, at: Instant) {
        self.0[aspect as usize] = at;
    }
}

impl Network {
    /// How long this has been so, time asleep counted; `None` for a network that no scout
    /// published.
    #[must_use]
    pub fn age(&self, aspect: Aspect) -> Option<Duration> {
        let since = self.since(aspect)?;
        Some(Clock::now().saturating_duration_since(since))
    }

    pub(crate) fn since(&self, aspect: Aspect) -> Option<Instant> {
        self.0.since.as_ref().map(|since| since.of(aspect))
    }

    /// Where what is known of this came from, the source that won first; empty where nobody said.
    ///
    /// Sources are `override`, `measured`, `ModemManager`, `NetworkManager`, `systemd-resolved`,
    /// `resolv.conf`, `netlink`, `sysfs`, `lower device`, `carrier` (of the network that carries a
    /// VPN), `tried` (by a socket), `if-watch` and `polling` (without netlink), and those of a scout in another process as it tells them.
    pub fn sources(&self, aspect: Aspect) -> impl Iterator<Item = &str> {
        let all = self.0.spec.notes.sources.iter();
        all.filter(move |(of, _)| *of == aspect)
            .map(|(_, source)| &**source)
    }

    /// Every reason for which it is not up, such as `no carrier`; empty if it is, or if nobody
    /// said.
    #[must_use]
    pub fn why_down(&self) -> &[Word] {
        &self.0.spec.notes.down
    }

    /// Why a socket cannot be bound to it as well as might be, where that was tried and refused.
    #[must_use]
    pub fn why_unbound(&self) -> Option<&str> {
        self.0.spec.notes.unbound.as_deref()
    }

    /// What is known of this, in words; `None` where nothing is.
    ///
    /// ```
    /// use mancom::network::{Aspect, Network, NetworkId};
    ///
    /// let spec = Network::wifi("wlan0").metered(true).rtt(std::time::Duration::from_millis(20));
    /// let wlan0 = Network::new(NetworkId::new(3, 1), spec);
    /// assert_eq!(wlan0.value(Aspect::Metered).as_deref(), Some("yes"));
    /// assert_eq!(wlan0.value(Aspect::Rtt).as_deref(), Some("20 ms"));
    /// assert_eq!(wlan0.value(Aspect::Loss), None);
    /// ```
    #[must_use]
    pub fn value(&self, aspect: Aspect) -> Option<String> {
        let spec = &self.0.spec;
        let fact = |fact: super::Fact| (fact != super::Fact::Unknown).then(|| fact.to_string());
        let flag = |flag: bool| Some(if flag { "yes" } else { "no" }.to_owned());
        match aspect {
            Aspect::Name => Some(spec.name.clone()),
            Aspect::Kind => (!spec.kinds.is_empty()).then(|| spec.kinds.to_string()),
            Aspect::State => Some(match spec.notes.down.is_empty() {
                true => spec.state.to_string(),
                false => format!("{}: {}", spec.state, spec.notes.down.join(", ")),
            }),
            Aspect::Carrier => fact(spec.carrier),
            Aspect::Operstate => spec.operstate.as_deref().map(str::to_owned),
            Aspect::Health => {
                (spec.health != super::Health::Unknown).then(|| spec.health.to_string())
            }
            Aspect::Metered => fact(spec.metered),
            Aspect::Roaming => fact(spec.roaming),
            Aspect::Constrained => fact(spec.constrained),
            Aspect::Losing => flag(spec.losing),
            Aspect::BypassVpn => flag(spec.bypass_vpn),
            Aspect::Rtt => spec.rtt.map(|rtt| format!("{} ms", milliseconds(rtt))),
            Aspect::Up => spec.up.map(rate),
            Aspect::Down => spec.down.map(rate),
            Aspect::Loss => spec
                .loss
                .map(|loss| format!("{} %", f64::from(loss) / 10.0)),
            Aspect::Signal => spec.signal.map(|signal| format!("{signal} %")),
            Aspect::Addresses => list(&spec.addresses),
            Aspect::Routes => list(&spec.routes.iter().map(whole).collect::<Vec<_>>()),
            Aspect::Dns => list(&spec.dns),
            Aspect::Mtu => spec.mtu.map(|mtu| format!("{mtu} bytes")),
            Aspect::Binding => Some(match &spec.notes.unbound {
                Some(why) => format!("{}: {why}", spec.binding.word()),
                None => spec.binding.word().to_owned(),
            }),
        }
    }
}

/// To a tenth: nobody measures a network better.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn rate(bits: u64) -> String {
    let mbit = bits as f64 / 1e6;
    format!("{} Mbit/s", (mbit * 100.0).round() / 100.0)
}

/// A route with what tells it from others of its destination.
fn whole(route: &Route) -> String {
    let mut text = route.to_string();
    if route.metric != 0 {
        text += &format!(" metric {}", route.metric);
    }
    // 254 is the main table, 0 that of a source without tables.
    if !matches!(route.table, 0 | 254) {
        text += &format!(" table {}", route.table);
    }
    text
}

fn list<T: fmt::Display>(all: &[T]) -> Option<String> {
    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Kind, NetworkId};

    #[test]
    fn every_aspect_stands_at_its_own_place_and_has_its_own_word() {
        for (place, aspect) in Aspect::ALL.into_iter().enumerate() {
            assert_eq!(aspect as usize, place);
            assert_eq!(Aspect::from_word(aspect.word()), Some(aspect));
        }
    }

    #[test]
    fn only_what_changed_is_young() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let old = NetworkSpec::described("wlan0", Kind::Wifi);
        let new = old.clone().metered(true);
        let since = Since::new(now).changed(&old, &new, later);
        assert_eq!(since.of(Aspect::Metered), later);
        assert_eq!(since.of(Aspect::State), now);
    }

    #[test]
    fn a_network_that_no_scout_published_has_no_age() {
        let network = Network::new(
            NetworkId::new(1, 1),
            NetworkSpec::described("eth0", Kind::Ethernet),
        );
        assert_eq!(network.age(Aspect::State), None);
        assert_eq!(network.sources(Aspect::State).count(), 0);
    }
}
