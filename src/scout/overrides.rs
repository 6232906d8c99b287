//! Facts that the configuration states of networks by name; they win over every guess and source.
//!
//! Nothing on a machine says that a link is metered, and a laboratory has no wireless card: both
//! are written down, by interface name, with `*` for any number of characters. The first pattern
//! that matches, in the order of [`Overrides::push`], is the only one that counts.
//!
//! ```
//! use mancom::network::Kind;
//! use mancom::scout::{Facts, Overrides};
//!
//! let mut overrides = Overrides::new();
//! overrides.push("wwan*", Facts { kind: Some(Kind::Cellular), metered: Some(true), ..Facts::default() });
//! assert_eq!(overrides.facts("wwan0").and_then(|f| f.metered), Some(true));
//! assert!(overrides.facts("eth0").is_none());
//! ```

use crate::network::{Aspect, Kind, Kinds, NetworkSpec, name_fits};
use std::time::Duration;

/// The name under which an override appears among a fact's sources.
pub(super) const SOURCE: &str = "override";

/// What a configuration may say of a network; `None` leaves the fact as the sources have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// What the interface is. A VPN keeps the kinds of its carrier beside it.
    pub kind: Option<Kind>,
    /// Whether its bytes cost money.
    pub metered: Option<bool>,
    /// Whether it is a foreign operator's.
    pub roaming: Option<bool>,
    /// Whether it asks for restraint (a data saver, a small allowance).
    pub constrained: Option<bool>,
    /// Whether traffic may use it beside a VPN that the kernel would choose.
    pub bypass_vpn: Option<bool>,
    /// Round-trip time, a hint until it is measured.
    pub rtt: Option<Duration>,
    /// Bits a second towards the network, a hint until measured.
    pub up: Option<u64>,
    /// Bits a second from the network, a hint until measured.
    pub down: Option<u64>,
    /// Packets lost of a thousand, a hint until measured.
    pub loss: Option<u16>,
}

/// An ordered list of name patterns and what they state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides(Vec<(String, Facts)>);

impl Overrides {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern behind those already there: an interface name in which `*` stands for any
    /// number of characters.
    pub fn push(&mut self, pattern: &str, facts: Facts) {
        self.0.push((pattern.to_owned(), facts));
    }

    /// True if nothing is stated of any network.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is stated of the network `name`: the first pattern that matches.
    pub fn facts(&self, name: &str) -> Option<&Facts> {
        let first = self.0.iter().find(|(pattern, _)| name_fits(pattern, name));
        first.map(|(_, facts)| facts)
    }

    /// Lets what is stated of `name` win in `spec`.
    pub fn apply(&self, name: &str, spec: &mut NetworkSpec) {
        if let Some(facts) = self.facts(name) {
            facts.apply(spec);
        }
    }
}

impl Facts {
    /// Takes from `weaker` what is not stated here.
    #[cfg(feature = "config")]
    pub(crate) fn complete(&mut self, weaker: Facts) {
        self.kind = self.kind.or(weaker.kind);
        self.metered = self.metered.or(weaker.metered);
        self.roaming = self.roaming.or(weaker.roaming);
        self.constrained = self.constrained.or(weaker.constrained);
        self.bypass_vpn = self.bypass_vpn.or(weaker.bypass_vpn);
        self.rtt = self.rtt.or(weaker.rtt);
        self.up = self.up.or(weaker.up);
        self.down = self.down.or(weaker.down);
        self.loss = self.loss.or(weaker.loss);
    }

    fn apply(&self, spec: &mut NetworkSpec) {
        let notes = &mut spec.notes;
        let mut stated = |aspect| notes.won(aspect, SOURCE);
        if let Some(kind) = self.kind {
            let carrier = spec.kinds;
            spec.kinds = Kinds::of(kind);
            if kind == Kind::Vpn {
                spec.kinds = spec.kinds | carrier.without(Kind::Other);
            }
            stated(Aspect::Kind);
        }
        let traits = [
            (Aspect::Metered, self.metered, &mut spec.metered),
            (Aspect::Roaming, self.roaming, &mut spec.roaming),
            (Aspect::Constrained, self.constrained, &mut spec.constrained),
        ];
        for (aspect, value, fact) in traits {
            if let Some(value) = value {
                *fact = value.into();
                stated(aspect);
            }
        }
        if let Some(bypass) = self.bypass_vpn {
            spec.bypass_vpn = bypass;
            stated(Aspect::BypassVpn);
        }
        if self.rtt.is_some() {
            spec.rtt = self.rtt;
            stated(Aspect::Rtt);
        }
        if self.up.is_some() {
            spec.up = self.up;
            stated(Aspect::Up);
        }
        if self.down.is_some() {
            spec.down = self.down;
            stated(Aspect::Down);
        }
        if self.loss.is_some() {
            spec.loss = self.loss;
            stated(Aspect::Loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Fact;

    #[test]
    fn only_the_first_pattern_that_matches_counts() {
        let mut overrides = Overrides::new();
        let kind = |kind| Facts {
            kind: Some(kind),
            ..Facts::default()
        };
        overrides.push("wlan*", kind(Kind::Wifi));
        overrides.push(
            "*",
            Facts {
                metered: Some(true),
                ..kind(Kind::Other)
            },
        );
        let mut spec = NetworkSpec::new("wlan0", Kind::Ethernet);
        overrides.apply("wlan0", &mut spec);
        assert_eq!(spec.kinds, Kinds::of(Kind::Wifi));
        assert_eq!(spec.metered, Fact::Unknown);
    }

    // behaviour: C7
    #[test]
    fn an_override_wins_and_the_loser_stays_visible() {
        let mut overrides = Overrides::new();
        overrides.push(
            "veth*",
            Facts {
                kind: Some(Kind::Wifi),
                metered: Some(false),
                roaming: Some(true),
                constrained: Some(true),
                bypass_vpn: Some(true),
                rtt: Some(Duration::from_millis(60)),
                up: Some(1_000_000),
                down: Some(10_000_000),
                loss: Some(20),
            },
        );
        let mut spec = NetworkSpec::new("veth1", Kind::Ethernet);
        spec.notes.said(Aspect::Kind, "netlink");
        overrides.apply("veth1", &mut spec);
        assert_eq!(spec.kinds, Kinds::of(Kind::Wifi));
        assert_eq!(spec.metered, Fact::No);
        assert_eq!(spec.roaming, Fact::Yes);
        assert_eq!(spec.constrained, Fact::Yes);
        assert!(spec.bypass_vpn);
        assert_eq!(spec.rtt, Some(Duration::from_millis(60)));
        assert_eq!((spec.up, spec.down), (Some(1_000_000), Some(10_000_000)));
        assert_eq!(spec.loss, Some(20));
        let kind: Vec<_> = spec
            .notes
            .sources
            .iter()
            .filter(|(aspect, _)| *aspect == Aspect::Kind)
            .map(|(_, source)| &**source)
            .collect();
        assert_eq!(kind, ["override", "netlink"]);
    }

    #[test]
    fn a_stated_vpn_keeps_its_carriers_kinds() {
        let mut overrides = Overrides::new();
        overrides.push(
            "tap0",
            Facts {
                kind: Some(Kind::Vpn),
                ..Facts::default()
            },
        );
        let mut spec = NetworkSpec::new("tap0", Kind::Wifi);
        overrides.apply("tap0", &mut spec);
        assert!(spec.kinds.contains(Kind::Vpn) && spec.kinds.contains(Kind::Wifi));
    }
}
