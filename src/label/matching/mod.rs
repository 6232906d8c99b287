//! Which networks a label admits, and in which order.
//!
//! A pure function of (snapshot, label, destination, policy): no clock, no randomness, no hash
//! order, so that a decision can be repeated, explained and tested.
//!
//! ```text
//!  snapshot --> does anything stand against it? asked of each network, up to the first objection
//!                 | nothing, of some                  | something, of all
//!                 v                                   v
//!               rank: one lexicographic RankKey     admit, each network: every failing Reason
//!                 |   for each, the least first       |
//!                 v                                   v
//!               candidates(..) = Ok(best first)     = Err(Blocked): every reason with its source
//!                                                   and age, every assumption, the smallest change
//! ```
//!
//! # Rules
//!
//! **This host.** A destination of scope host (loopback, `unix:`, `mem:` where upper layers say
//! so) uses no network. It is admitted at once for every label: kinds, traits and interface names
//! are not applied; only `prohibit=loopback` refuses it ([`host_scope_admits`]). A loopback
//! network never serves anything else unless the label names it: `require=loopback`,
//! `prefer=loopback`, `if=lo`, or `scope=host` without a destination.
//!
//! **Reach** is decided from the snapshot's routes, never by trying a socket.
//!
//! | destination | scope | asks of a network |
//! | --- | --- | --- |
//! | addresses | auto | a unicast route to one of them, connected routes included |
//! | addresses | local | a connected route to one of them |
//! | addresses | internet | a route to one of them, and a default route |
//! | a name | auto | any route: names are admitted again with their addresses |
//! | none | auto | a default route; with `if=NAME` an address is enough |
//! | none, a name | local | a connected route |
//! | none, a name | internet | a default route |
//!
//! A bridge, veth, dummy or tun without a default route is therefore never admitted for the
//! internet. For a name a network of no physical kind (`other` alone) with nothing but connected
//! routes does not count either: a container bridge resolves nobody's names.
//! `0/1` and `128/1` count as default routes. The source lists usable addresses only: preferred,
//! not tentative, not failed. A link-local address counts for scope `local` and for link-local
//! destinations. An unspecified address is one that nobody knows: it counts, and its link too.
//!
//! **Captive portals** refuse what goes beyond their own link.
//!
//! **VPN.** Decided per destination: if the kernel's own route choice is a VPN, only that network
//! is admitted, unless the label says `vpn=bypass` or the network's description `bypass_vpn`.
//! Otherwise the rule is silent. Without a destination the default routes count.
//!
//! **Satellite** never serves `large` or `background` unless named by `require`, `prefer` or `if`.
//!
//! **Facts** are five-valued. Unknown counts as not metered, not roaming, not constrained, and
//! as validated; [`Policy::unknown_denied`] turns that round. A guess counts like what it guesses.
//! Every one of these that a verdict rests on is listed as an [`Assumption`]. Unknown health never
//! makes a network unusable; it fails `require=validated` under `unknown_denied` alone.
//!
//! **Policy.** A [`Rule`] of the system forbids traffic of some urgency and size on networks with
//! some properties, whatever its label says; the reason names the rule, its file and its line.
//! Nothing is forbidden within this host. A [limit](crate::account::Limit) whose bytes are spent on
//! a network is such a rule until they are renewed.
//!
//! **Binding.** A network that sockets cannot be bound to is admitted only where the kernel's own
//! choice is this network.
//!
//! **Order**: see [`RankKey`]. **Staying or moving**: see [`Migration`]. **Both ends of a path**:
//! see [`permits`].
//!
//! Of several addresses one is enough; where none will do, the reasons are those of the address
//! that lacks least. So the explanation is complete: with every listed reason of one network
//! mended, it matches.
//!
//! # Limits
//!
//! Work grows with networks times routes times addresses; the snapshot bounds the first two. An
//! explanation keeps the last 16 changes of the reasons.

mod admit;
mod explain;
mod hint;
mod history;
mod migration;
mod paths;
mod policy;
mod rank;
mod reach;
mod reason;
#[cfg(feature = "serde")]
mod serial;
mod traffic;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use admit::{Admission, admit};
pub use explain::{Blocked, Refusal};
pub(crate) use history::history;
pub use history::{Shift, Standing};
pub use migration::{Migration, Move};
pub use paths::{PathFacts, path_class, permits};
pub use policy::{Policy, Rule, RuleError};
pub(crate) use policy::{networks as networks_of, words};
pub use rank::{RankKey, assumes_metric, rank};
pub use reason::{Assumption, Reach, Reason};
pub use traffic::Traffic;

use super::{Label, Level, Prop};
use crate::network::{Fact, Network, Snapshot};
use admit::View;

/// Where an operation goes, as far as matching is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Destination {
    /// None named: `matching(label)`.
    #[default]
    Unnamed,
    /// Loopback, a Unix socket, in-process memory: no network is used.
    Host,
    /// A name not yet resolved: families and route unknown.
    Name,
    /// These addresses, any of which will do.
    Addresses(Arc<[IpAddr]>),
}

impl Destination {
    /// The destination with these addresses: this host if all are loopback, a name not resolved
    /// if there are none.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses: Arc<[IpAddr]> = addresses.into_iter().collect();
        if addresses.is_empty() {
            Destination::Name
        } else if addresses.iter().all(|ip| ip.to_canonical().is_loopback()) {
            Destination::Host
        } else {
            Destination::Addresses(addresses)
        }
    }

    /// Whether no network is used.
    #[must_use]
    pub fn is_host(&self) -> bool {
        match self {
            Destination::Host => true,
            Destination::Addresses(all) => {
                !all.is_empty() && all.iter().all(|ip| ip.to_canonical().is_loopback())
            }
            Destination::Unnamed | Destination::Name => false,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Unnamed => f.write_str("anywhere"),
            Destination::Host => f.write_str("this host"),
            Destination::Name => f.write_str("a name not yet resolved"),
            Destination::Addresses(all) => {
                for (i, ip) in all.iter().enumerate() {
                    let or = if i == 0 { "" } else { " or " };
                    write!(f, "{or}{ip}")?;
                }
                Ok(())
            }
        }
    }
}

/// Whether a label speaks well of this property, so that what is otherwise kept from it is meant.
fn names(label: &Label, network: &Network, prop: Prop) -> bool {
    matches!(label.level(prop), Level::Require | Level::Prefer)
        || label.interface_name() == Some(network.name())
}

/// Every admitted network, best first, or the whole explanation.
///
/// Empty for a destination of this host, for no network is used there.
///
/// # Errors
///
/// [`Blocked`] if no network is admitted, if the first scan is not complete, or if the
/// destination is this host and the label prohibits loopback.
pub fn candidates(
    snapshot: &Snapshot,
    label: &Label,
    to: &Destination,
    policy: &Policy,
) -> Result<Vec<Network>, Box<Blocked>> {
    if to.is_host() {
        return host_scope_admits(label).map(|()| Vec::new());
    }
    let view = View::new(snapshot, label, to, policy);
    if !snapshot.is_complete() {
        return Err(Box::new(view.explain()));
    }
    let networks = snapshot.networks().iter();
    let mut admitted: Vec<_> = networks
        .filter(|network| view.admits(network))
        .map(|network| (rank(network, label, to, policy), network))
        .collect();
    if admitted.is_empty() {
        return Err(Box::new(view.explain()));
    }
    admitted.sort_unstable_by_key(|(key, _)| *key);
    Ok(admitted
        .into_iter()
        .map(|(_, network)| network.clone())
        .collect())
}

/// Whether a destination of this host is admitted, where no network is used: always, unless the
/// label prohibits loopback.
///
/// # Errors
///
/// [`Blocked`] with [`Reason::Prohibited`] for loopback and no network.
pub fn host_scope_admits(label: &Label) -> Result<(), Box<Blocked>> {
    if label.level(Prop::Loopback) != Level::Prohibit {
        return Ok(());
    }
    Err(Box::new(Blocked {
        label: *label,
        destination: Destination::Host,
        complete: true,
        reasons: vec![Reason::Prohibited {
            prop: Prop::Loopback,
            fact: Fact::Yes,
        }],
        ..Blocked::default()
    }))
}
