//! Why a network does not match, and what was taken for granted.

use std::fmt;
use std::sync::Arc;

use crate::calendar::Utc;
use crate::label::{Prop, Props};
use crate::network::{Aspect, Fact, Kinds};

/// Which route a network lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// One to the destination.
    Destination,
    /// A default route.
    Default,
    /// One without a gateway.
    Link,
    /// Any that leads beyond its own link, or any at all on a physical network.
    Any,
}

/// Why one network does not match. Printed as what is to be said of it: `is down`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The first scan is not complete: nothing is known for certain.
    ScoutStarting,
    /// A network matches, and the operation's time ran out before its next start was due.
    HeldBack,
    /// It is paused.
    Suspended,
    /// It waits for something outside.
    Dormant,
    /// It is not there.
    Down,
    /// No route leads where the traffic goes.
    NoRoute(Reach),
    /// It has no address that counts.
    NoAddress,
    /// It has addresses, none of the destination's family.
    NoFamily {
        /// Whether IPv6 is the one it lacks, else IPv4.
        v6: bool,
    },
    /// A captive portal stands before the internet.
    Portal,
    /// It is loopback, which the label does not name.
    Loopback,
    /// The label's scope is this host.
    BeyondHost,
    /// The kernel would send this traffic through a VPN.
    BypassesVpn {
        /// The VPN.
        vpn: Arc<str>,
    },
    /// It is what the label prohibits.
    Prohibited {
        /// The property.
        prop: Prop,
        /// What is known of it.
        fact: Fact,
    },
    /// Satellite, large or background, and not named.
    Satellite,
    /// The system's policy forbids it.
    Policy {
        /// The rule.
        rule: Arc<str>,
        /// Where it stands.
        file: Arc<str>,
        /// And in which line.
        line: u32,
        /// The properties of the networks it is about.
        on: Props,
    },
    /// What a limit of the system allows of this traffic on it is spent.
    Spent {
        /// The limit.
        limit: Arc<str>,
        /// Where it stands; empty where it was given in code.
        file: Arc<str>,
        /// And in which line.
        line: u32,
        /// When it is renewed, in seconds after the beginning of 1970.
        until: u64,
    },
    /// It is of no required kind.
    Kind {
        /// The kinds of which one is required.
        required: Kinds,
        /// The kinds it is of.
        has: Kinds,
    },
    /// It lacks a required trait.
    Missing {
        /// The trait.
        prop: Prop,
        /// What is known of it.
        fact: Fact,
    },
    /// Another interface is named.
    Interface {
        /// The one named.
        required: Arc<str>,
    },
    /// No socket can be bound to it, and the kernel would choose another.
    Unbindable {
        /// What stands in the way.
        why: Arc<str>,
    },
}

impl Reason {
    /// A stable word for programs: `no_route`, `portal`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Reason::ScoutStarting => "scout_starting",
            Reason::HeldBack => "held_back",
            Reason::Suspended => "suspended",
            Reason::Dormant => "dormant",
            Reason::Down => "down",
            Reason::NoRoute(_) => "no_route",
            Reason::NoAddress => "no_address",
            Reason::NoFamily { .. } => "no_family",
            Reason::Portal => "portal",
            Reason::Loopback => "loopback",
            Reason::BeyondHost => "beyond_host",
            Reason::BypassesVpn { .. } => "bypasses_vpn",
            Reason::Prohibited { .. } => "prohibited",
            Reason::Satellite => "satellite",
            Reason::Policy { .. } => "policy",
            Reason::Spent { .. } => "spent",
            Reason::Kind { .. } => "kind",
            Reason::Missing { .. } => "missing",
            Reason::Interface { .. } => "interface",
            Reason::Unbindable { .. } => "unbindable",
        }
    }

    /// What of a network it rests on: for [where that came from](super::Refusal::source) and [how
    /// long it has been so](super::Refusal::age). `None` where it rests on nothing of a network.
    /// What [`Reason::BypassesVpn`] rests on is the VPN's.
    #[must_use]
    pub fn aspect(&self) -> Option<Aspect> {
        match self {
            Reason::ScoutStarting | Reason::HeldBack | Reason::Spent { .. } => None,
            Reason::Suspended | Reason::Dormant | Reason::Down => Some(Aspect::State),
            Reason::NoRoute(_) | Reason::BypassesVpn { .. } => Some(Aspect::Routes),
            Reason::NoAddress | Reason::NoFamily { .. } => Some(Aspect::Addresses),
            Reason::Portal => Some(Aspect::Health),
            Reason::Prohibited { prop, .. } | Reason::Missing { prop, .. } => Some(aspect(*prop)),
            Reason::Policy { on, .. } => Some(on.first().map_or(Aspect::Name, aspect)),
            Reason::Loopback | Reason::BeyondHost | Reason::Satellite | Reason::Kind { .. } => {
                Some(Aspect::Kind)
            }
            Reason::Interface { .. } => Some(Aspect::Name),
            Reason::Unbindable { .. } => Some(Aspect::Binding),
        }
    }

    /// Whether it goes by itself when a network comes up.
    const fn follows_from_down(&self) -> bool {
        matches!(
            self,
            Reason::NoRoute(_)
                | Reason::NoAddress
                | Reason::NoFamily { .. }
                | Reason::Missing {
                    prop: Prop::Ipv4 | Prop::Ipv6,
                    ..
                }
        )
    }
}

/// What of a network a property is.
fn aspect(prop: Prop) -> Aspect {
    match prop {
        Prop::Metered => Aspect::Metered,
        Prop::Roaming => Aspect::Roaming,
        Prop::Constrained => Aspect::Constrained,
        Prop::Validated => Aspect::Health,
        Prop::Ipv4 | Prop::Ipv6 => Aspect::Addresses,
        _ => Aspect::Kind,
    }
}

/// Without those that follow from the network being down, or not up yet.
pub(super) fn essential(reasons: &[Reason]) -> impl Iterator<Item = &Reason> {
    let down = |reason: &Reason| matches!(reason, Reason::Down | Reason::Dormant);
    let down = reasons.iter().any(down);
    let kept = move |reason: &&Reason| !(down && reason.follows_from_down());
    reasons.iter().filter(kept)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ScoutStarting => f.write_str("the scout has not finished its first scan"),
            Reason::HeldBack => f.write_str("time ran out before the next start was due"),
            Reason::Suspended => f.write_str("is suspended"),
            Reason::Dormant => f.write_str("is dormant"),
            Reason::Down => f.write_str("is down"),
            Reason::NoRoute(Reach::Destination) => f.write_str("has no route to the destination"),
            Reason::NoRoute(Reach::Default) => f.write_str("has no default route"),
            Reason::NoRoute(Reach::Link) => f.write_str("has no connected route"),
            Reason::NoRoute(Reach::Any) => f.write_str("has no route beyond its own link"),
            Reason::NoAddress => f.write_str("has no usable address"),
            Reason::NoFamily { v6 } => {
                write!(f, "has no {} address", if *v6 { "IPv6" } else { "IPv4" })
            }
            Reason::Portal => f.write_str("is behind a captive portal"),
            Reason::Loopback => f.write_str("is loopback, which must be named"),
            Reason::BeyondHost => f.write_str("leads beyond this host (scope=host)"),
            Reason::BypassesVpn { vpn } => write!(f, "would bypass the VPN {vpn}"),
            Reason::Prohibited { prop, fact } => match fact {
                Fact::Unknown => {
                    write!(f, "may be {prop} (unknown is denied), which is prohibited")
                }
                Fact::LikelyYes => write!(f, "is likely {prop}, which is prohibited"),
                _ => write!(f, "{} {prop}, which is prohibited", verb(*prop)),
            },
            Reason::Satellite => {
                f.write_str("is satellite, which large and background traffic must name")
            }
            Reason::Policy {
                rule, file, line, ..
            } => {
                write!(f, "is forbidden by `{rule}` ({file}:{line})")
            }
            Reason::Spent {
                limit,
                file,
                line,
                until,
            } => {
                write!(f, "has spent `{limit}`")?;
                if !file.is_empty() {
                    write!(f, " ({file}:{line})")?;
                }
                write!(f, ", renewed {}", Utc(*until))
            }
            Reason::Kind { required, has } => {
                write!(f, "is {has}, not {}", Alternatives(*required))
            }
            Reason::Missing { prop, fact } => match fact {
                Fact::Unknown => write!(f, "is not known to be {prop}"),
                Fact::LikelyNo => write!(f, "is likely not {prop}"),
                _ if verb(*prop) == "has" => write!(f, "has no {prop} address"),
                _ => write!(f, "is not {prop}"),
            },
            Reason::Interface { required } => write!(f, "is not {required}"),
            Reason::Unbindable { why } => write!(f, "cannot be bound: {why}"),
        }
    }
}

fn verb(prop: Prop) -> &'static str {
    match prop {
        Prop::Ipv4 | Prop::Ipv6 => "has",
        _ => "is",
    }
}

/// Kinds of which one is enough: `wifi or ethernet`.
pub(super) struct Alternatives(pub(super) Kinds);

impl fmt::Display for Alternatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, kind) in self.0.iter().enumerate() {
            let or = if i == 0 { "" } else { " or " };
            write!(f, "{or}{kind}")?;
        }
        Ok(())
    }
}

/// A fact that nobody told and on which a verdict rests all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assumption {
    /// The property.
    pub prop: Prop,
    /// What is known of it: a guess, or nothing.
    pub fact: Fact,
    /// What it was taken for.
    pub taken: bool,
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.taken { "" } else { "not " };
        write!(f, "taken to be {not}{} ({})", self.prop, self.fact)
    }
}
