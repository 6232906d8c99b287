//! Networks of this host as plain data: what one is, and a snapshot of all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One attachment at one epoch; a down and an up give a new id.
///
/// `index` is the interface's index (or the order of naming under a fixed or scripted scout).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId {
    pub(crate) index: u32,
    pub(crate) epoch: u32,
}

/// What an interface is; the order is the preference of last resort (key 9 of the rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    Ethernet,
    Wifi,
    Bluetooth,
    Cellular,
    Satellite,
    Vpn,
    Loopback,
    Other,
}

/// A set of kinds: a VPN has `vpn` and the kinds of its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kinds(pub(crate) u8);

/// A five-valued fact. Unknown never means no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Fact {
    No,
    LikelyNo,
    #[default]
    Unknown,
    LikelyYes,
    Yes,
}

/// How far a network is known to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Health {
    Full,
    #[default]
    Unknown,
    Limited,
    Portal,
    None,
}

/// Whether a network is usable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum State {
    #[default]
    Up,
    Suspended,
    Dormant,
    Down,
}

/// How a socket can be bound to a network: the ladder of section 5.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Binding {
    /// SO_BINDTODEVICE (or the platform's equal) and the source address.
    #[default]
    Device,
    /// The source address alone.
    Address,
    /// Not at all; admitted only where the kernel's own choice is this network.
    Unbound,
    /// Cannot be bound, with the reason.
    Refused(Arc<str>),
}

/// A usable address of a network and its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub ip: IpAddr,
    pub prefix: u8,
}

/// A unicast route through a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    pub to: IpAddr,
    pub prefix: u8,
    pub connected: bool,
    pub metric: u32,
    pub table: u32,
}

/// The description of a network, without an id: what a source, a test or a configuration says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    pub(crate) name: String,
    pub(crate) kinds: Kinds,
    pub(crate) state: State,
    pub(crate) health: Health,
    pub(crate) metered: Fact,
    pub(crate) roaming: Fact,
    pub(crate) constrained: Fact,
    /// The network is about to go (S15).
    pub(crate) losing: bool,
    pub(crate) rtt: Option<Duration>,
    /// Bits a second.
    pub(crate) up: Option<u64>,
    pub(crate) down: Option<u64>,
    /// Per mille.
    pub(crate) loss: Option<u16>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    pub(crate) binding: Binding,
    pub(crate) mtu: Option<u32>,
    pub(crate) dns: Vec<IpAddr>,
}

/// One network at one epoch; a cheap clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Network(pub(crate) Arc<Attached>);

#[derive(Debug, PartialEq)]
pub(crate) struct Attached {
    pub(crate) id: NetworkId,
    pub(crate) spec: NetworkSpec,
}

/// All networks at one generation, published by value.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub(crate) generation: u64,
    /// False until the first whole scan.
    pub(crate) complete: bool,
    /// In order of id.
    pub(crate) networks: Vec<Network>,
}

/// Stand-in accessors.
#[allow(missing_docs)]
impl Snapshot {
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}
#[allow(missing_docs)]
impl Network {
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }
    pub fn wifi(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec {
            name: name.into(),
            kinds: Kinds::default(),
            state: State::Up,
            health: Health::Full,
            metered: Fact::Unknown,
            roaming: Fact::Unknown,
            constrained: Fact::Unknown,
            losing: false,
            rtt: None,
            up: None,
            down: None,
            loss: None,
            addresses: vec![],
            routes: vec![],
            binding: Binding::Device,
            mtu: None,
            dns: vec![],
        }
    }
    pub fn cellular(name: impl Into<String>) -> NetworkSpec {
        Network::wifi(name)
    }
}
