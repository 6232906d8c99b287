//! Networks of this host as plain data: what one is, and a snapshot of all.
//!
//! A program asks for a property ("unmetered", "wifi"), the kernel knows interfaces, and both
//! change at any moment. So everything known is put into one value:
//!
//! ```text
//!  Snapshot (generation 17, complete)
//!    2.1  eth0    ethernet   up    10.0.0.2/24     0.0.0.0/0, 10.0.0.0/24
//!    3.4  wlan0   wifi       down
//!    7.1  tun0    vpn,wifi   up    10.8.0.6/32     10.8.0.0/16
//! ```
//!
//! - A [`Network`] is one interface at one epoch. Its [`NetworkId`] never comes back: a down and
//!   an up give a new epoch, also when nobody saw the down.
//! - A [`Snapshot`] is immutable and published whole, so that a decision is made over one moment
//!   and can be repeated.
//! - Facts are five-valued ([`Fact`]): what nobody knows is `unknown`, which never means "no".
//! - A [`NetworkSpec`] is a description without an id, which a scout, a test or a configuration
//!   gives.
//!
//! Nothing here watches anything; [`crate::scout`] does. The one function that acts is
//! [`Network::bind`].

mod aspect;
mod bind;
mod facts;
mod notes;
mod pattern;
mod routes;
#[cfg(feature = "serde")]
mod serial;
mod spec;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use aspect::Aspect;
pub(crate) use aspect::Since;
pub use bind::BindError;
pub use facts::{Binding, Fact, Health, Kind, Kinds, State};
pub(crate) use notes::Notes;
pub use notes::Word;
pub(crate) use pattern::name_fits;
pub use routes::{Address, PrefixError, Route, route_choice};
pub(crate) use routes::{Choice, Family, is_link_local};
pub use spec::NetworkSpec;

/// One attachment at one epoch; a down and an up give a new id.
///
/// `index` is the interface's index (or the order of naming under a fixed or scripted scout).
/// Printed as `index.epoch`: `3.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId {
    pub(crate) index: u32,
    pub(crate) epoch: u32,
}

impl NetworkId {
    /// The id of this interface at this epoch.
    #[must_use]
    pub const fn new(index: u32, epoch: u32) -> Self {
        Self { index, epoch }
    }

    /// The interface's index, or its place in a fixed or scripted list.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Rises with every network that comes up on this host; never the same twice.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        self.epoch
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.epoch)
    }
}

/// One network at one epoch; a cheap clone.
///
/// Two are equal when their ids and every fact are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(pub(crate) Arc<Attached>);

#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) id: NetworkId,
    pub(crate) spec: NetworkSpec,
    /// No part of what it is: two are equal whatever their ages.
    pub(crate) since: Option<Since>,
}

impl PartialEq for Attached {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.spec == other.spec
    }
}

impl Eq for Attached {}

/// What to describe; the description gets its id when a scout publishes it.
impl Network {
    /// An Ethernet described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn ethernet(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Ethernet)
    }

    /// A wifi described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn wifi(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Wifi)
    }

    /// A Bluetooth network described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn bluetooth(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Bluetooth)
    }

    /// A cellular network described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn cellular(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Cellular)
    }

    /// A satellite link described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn satellite(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Satellite)
    }

    /// A VPN described by hand; see [`NetworkSpec::described`], and [`NetworkSpec::over`] for the
    /// network that carries it.
    #[must_use]
    pub fn vpn(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Vpn)
    }

    /// The loopback interface: 127.0.0.1/8 and `::1`, no default route.
    #[must_use]
    pub fn loopback(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Loopback)
    }

    /// A network of no known kind, described by hand; see [`NetworkSpec::described`].
    #[must_use]
    pub fn other(name: impl Into<String>) -> NetworkSpec {
        NetworkSpec::described(name, Kind::Other)
    }
}

impl Network {
    /// The network of this description at this epoch; for scouts, and for tests of matching.
    #[must_use]
    pub fn new(id: NetworkId, spec: NetworkSpec) -> Self {
        Self(Arc::new(Attached {
            id,
            spec,
            since: None,
        }))
    }

    /// The same, with the time since when each aspect has been so.
    pub(crate) fn aged(id: NetworkId, spec: NetworkSpec, since: Since) -> Self {
        Self(Arc::new(Attached {
            id,
            spec,
            since: Some(since),
        }))
    }

    /// Its id, of this epoch alone.
    #[must_use]
    pub fn id(&self) -> NetworkId {
        self.0.id
    }

    /// The interface's name, such as `wlan0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// The description this network was published with.
    #[must_use]
    pub fn spec(&self) -> &NetworkSpec {
        &self.0.spec
    }

    /// Its own kind, and those of the networks it runs over.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        self.0.spec.kinds
    }

    /// Its own kind: a VPN over wifi is a VPN, a bond of Ethernet and wifi an Ethernet.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kinds().own()
    }

    /// Whether it is usable now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.spec.state
    }

    /// How far it is known to reach.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.spec.health
    }

    /// Whether its bytes cost money.
    #[must_use]
    pub fn metered(&self) -> Fact {
        self.0.spec.metered
    }

    /// Whether it is a foreign operator's.
    #[must_use]
    pub fn roaming(&self) -> Fact {
        self.0.spec.roaming
    }

    /// Whether its owner asks for restraint (a data saver, a crowded link).
    #[must_use]
    pub fn constrained(&self) -> Fact {
        self.0.spec.constrained
    }

    /// Whether it is about to go.
    #[must_use]
    pub fn is_losing(&self) -> bool {
        self.0.spec.losing
    }

    /// Whether it may be used although the kernel would send the traffic through a VPN.
    #[must_use]
    pub fn bypasses_vpn(&self) -> bool {
        self.0.spec.bypass_vpn
    }

    /// The round-trip time, measured or hinted.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.0.spec.rtt
    }

    /// Upward bandwidth, bits a second.
    #[must_use]
    pub fn up(&self) -> Option<u64> {
        self.0.spec.up
    }

    /// Downward bandwidth, bits a second.
    #[must_use]
    pub fn down(&self) -> Option<u64> {
        self.0.spec.down
    }

    /// The narrower of the two directions known, bits a second: a label does not say which way
    /// its traffic goes.
    #[must_use]
    pub fn bandwidth(&self) -> Option<u64> {
        match (self.up(), self.down()) {
            (Some(up), Some(down)) => Some(up.min(down)),
            (one, other) => one.or(other),
        }
    }

    /// Loss, packets in a thousand.
    #[must_use]
    pub fn loss(&self) -> Option<u16> {
        self.0.spec.loss
    }

    /// The strength of its signal, percent.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        self.0.spec.signal
    }

    /// Whether something is at the other end of the cable, or of the air.
    #[must_use]
    pub fn carrier(&self) -> Fact {
        self.0.spec.carrier
    }

    /// The kernel's word for its operational state (RFC 2863): `up`, `lowerlayerdown`, `dormant`.
    #[must_use]
    pub fn operstate(&self) -> Option<&str> {
        self.0.spec.operstate.as_deref()
    }

    /// The largest packet, bytes.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        self.0.spec.mtu
    }

    /// Its usable addresses. An unspecified one (`0.0.0.0`, `::`) says that the network has an
    /// address of that family which nobody knows.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.0.spec.addresses
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses().iter().any(|address| address.ip == ip)
    }

    /// Its unicast routes.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.0.spec.routes
    }

    /// Its own name servers, where a source told them.
    #[must_use]
    pub fn dns(&self) -> &[IpAddr] {
        &self.0.spec.dns
    }

    /// How a socket is bound to it.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.0.spec.binding
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All networks at one generation, published by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub(crate) generation: u64,
    /// False until the first whole scan.
    pub(crate) complete: bool,
    /// In order of id.
    pub(crate) networks: Vec<Network>,
}

impl Snapshot {
    /// These networks, put in order of id; for scouts, and for tests of matching.
    #[must_use]
    pub fn new(generation: u64, complete: bool, mut networks: Vec<Network>) -> Self {
        networks.sort_by_key(Network::id);
        Self {
            generation,
            complete,
            networks,
        }
    }

    /// Strictly increasing within one scout; equal content is never published twice.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether every source has been read once. Before that nothing is matched.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Every network, usable or not, in order of id.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The network of this very epoch.
    #[must_use]
    pub fn by_id(&self, id: NetworkId) -> Option<&Network> {
        self.networks.iter().find(|n| n.id() == id)
    }

    /// The network of this interface name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|n| n.name() == name)
    }

    /// The network that a connection over `known`, from the address `local`, is on now: the same one,
    /// or a new epoch of the same interface that kept the address; `None` once it has gone.
    pub(crate) fn successor(&self, known: &Network, local: Option<IpAddr>) -> Option<&Network> {
        let now = self.interface_of(known)?;
        let told = now
            .addresses()
            .iter()
            .all(|address| !address.ip.is_unspecified());
        let gone = told && local.is_some_and(|ip| !now.has_address(ip.to_canonical()));
        (now.state() != State::Down && !gone).then_some(now)
    }

    /// Whether the interface of `known` still has this very address, be it up or down: what is bound to
    /// it goes on where it is up again.
    pub(crate) fn keeps(&self, known: &Network, local: Option<IpAddr>) -> bool {
        let (now, local) = (self.interface_of(known), local.map(|ip| ip.to_canonical()));
        now.is_some_and(|now| local.is_some_and(|ip| now.has_address(ip)))
    }

    /// This network, or the later epoch of its interface.
    fn interface_of(&self, known: &Network) -> Option<&Network> {
        let same = |network: &&Network| {
            network.id().index == known.id().index && network.name() == known.name()
        };
        self.by_id(known.id())
            .or_else(|| self.networks.iter().find(same))
    }

    /// The network that has this very address.
    #[must_use]
    pub fn by_address(&self, ip: IpAddr) -> Option<&Network> {
        self.networks.iter().find(|n| n.has_address(ip))
    }
}
