//! Which networks a label admits, and in which order.
use super::Label;
use crate::network::{Fact, Kinds, Network, Snapshot};
use std::net::IpAddr;
use std::sync::Arc;

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

/// What is known of a network at the far end of a path, and what is told of ours: no names, no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathFacts {
    pub kinds: Kinds,
    pub metered: Fact,
    pub roaming: Fact,
    pub constrained: Fact,
}

/// The system's policy for matching (unknown facts, rules).
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub unknown_denied: bool,
}

/// Why one network does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    Down,
}

/// The explanation of no match.
#[derive(Debug, Clone, Default)]
pub struct Blocked {
    placeholder: (),
}

/// Every admitted network, best first, or the whole explanation.
pub fn candidates(
    _snapshot: &Snapshot,
    _label: &Label,
    _to: &Destination,
    _policy: &Policy,
) -> Result<Vec<Network>, Blocked> {
    Err(Blocked { placeholder: () })
}
