//! Addresses, routes, and the route the kernel itself would take.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Network, Snapshot, State};

/// A usable address of a network and its prefix length; also a prefix, as in a route.
///
/// From an `IpAddr` (a host of its own), a pair `(address, prefix length)`, or text such as
/// `10.0.0.2/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// Leading bits shared by its link; at most 32 or 128.
    pub prefix: u8,
}

impl Address {
    /// Some address of this family, which nobody knows: an unspecified one.
    pub(crate) fn unknown(any: impl Into<IpAddr>) -> Self {
        Self {
            ip: any.into(),
            prefix: 0,
        }
    }

    /// The prefix itself: the bits beyond it cleared.
    #[must_use]
    pub fn masked(self) -> Self {
        let ip = match self.ip {
            IpAddr::V4(ip) => {
                let rest = 32 - u32::from(self.prefix.min(32));
                let bits = u64::from(ip.to_bits()) >> rest << rest;
                Ipv4Addr::from_bits(bits as u32).into()
            }
            IpAddr::V6(ip) => {
                let rest = 128 - u32::from(self.prefix.min(128));
                let bits = ip.to_bits().checked_shr(rest).unwrap_or(0);
                Ipv6Addr::from_bits(bits.checked_shl(rest).unwrap_or(0)).into()
            }
        };
        Self { ip, ..self }
    }

    /// Whether `ip` shares its leading bits.
    #[must_use]
    pub fn covers(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same_bits(
                a.to_bits().into(),
                b.to_bits().into(),
                self.prefix.min(32),
                32,
            ),
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                same_bits(a.to_bits(), b.to_bits(), self.prefix.min(128), 128)
            }
            _ => false,
        }
    }
}

fn same_bits(a: u128, b: u128, prefix: u8, width: u8) -> bool {
    prefix == 0 || (a ^ b) >> (width - prefix) == 0
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        let prefix = if ip.is_ipv4() { 32 } else { 128 };
        Self { ip, prefix }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

/// A prefix longer than the family allows is cut to it.
impl<I: Into<IpAddr>> From<(I, u8)> for Address {
    fn from((ip, prefix): (I, u8)) -> Self {
        let whole = Self::from(ip.into());
        Self {
            prefix: prefix.min(whole.prefix),
            ..whole
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// A text that is neither an address nor an address with a prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address such as 10.0.0.2/24 or fd00::2")]
pub struct PrefixError {
    text: String,
}

impl FromStr for Address {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let fault = || PrefixError {
            text: text.chars().take(64).collect(),
        };
        let Some((ip, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| fault());
        };
        let whole = Self::from(ip.parse::<IpAddr>().map_err(|_| fault())?);
        match prefix.parse::<u8>() {
            Ok(prefix) if prefix <= whole.prefix => Ok(Self { prefix, ..whole }),
            _ => Err(fault()),
        }
    }
}

/// A unicast route through a network.
///
/// A smaller [`rank`](Route::rank) wins, then a longer prefix, then a smaller metric, as with
/// Linux's rules and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The destination; bits beyond the prefix are ignored.
    pub to: IpAddr,
    /// Leading bits that must agree; 0 for a default route.
    pub prefix: u8,
    /// Without a gateway: the destination is on this very link.
    pub connected: bool,
    /// The kernel's cost; the smaller wins among equals. Default: 0.
    pub metric: u32,
    /// The routing table it stands in; for people, nothing is decided by it. Default: 0.
    pub table: u32,
    /// The place of its table in the order of the kernel's rules, the first consulted smallest.
    /// Default: 0. A source with one table needs no other; with several it ranks main and default
    /// behind the tables of custom rules, and with [`Route::UNRANKED`] what only a bound socket
    /// gets to.
    pub rank: u32,
}

impl Route {
    /// The rank of a route that only a socket bound to its network can use: it is never the
    /// kernel's own choice.
    pub const UNRANKED: u32 = u32::MAX;

    /// A route through a gateway.
    #[must_use]
    pub fn to(prefix: impl Into<Address>) -> Self {
        let Address { ip, prefix } = prefix.into();
        Self {
            to: ip,
            prefix,
            connected: false,
            metric: 0,
            table: 0,
            rank: 0,
        }
    }

    /// The same without a gateway.
    #[must_use]
    pub fn connected(mut self) -> Self {
        self.connected = true;
        self
    }

    /// The same at this cost.
    #[must_use]
    pub fn metric(mut self, metric: u32) -> Self {
        self.metric = metric;
        self
    }

    /// The same, of a table consulted at this place.
    #[must_use]
    pub fn rank(mut self, rank: u32) -> Self {
        self.rank = rank;
        self
    }

    /// Whether it leads to `ip`.
    #[must_use]
    pub fn covers(&self, ip: IpAddr) -> bool {
        Address {
            ip: self.to,
            prefix: self.prefix,
        }
        .covers(ip)
    }

    /// A default route, or one of the halves (`0/1` and `128/1`) with which VPNs overrule one.
    #[must_use]
    pub fn is_default_like(&self) -> bool {
        self.prefix <= 1
    }

    /// Best first, as the kernel chooses.
    fn order(&self) -> (u32, u8, u32) {
        (self.rank, u8::MAX - self.prefix, self.metric)
    }
}

impl From<Address> for Route {
    fn from(prefix: Address) -> Self {
        Self::to(prefix)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.to, self.prefix)
    }
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// Whether `ip` says nothing beyond its own link (RFC 3927, RFC 4291 section 2.5.6).
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Which route a question is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// To this address.
    To(IpAddr),
    /// To wherever the default routes of this family lead.
    Default(Family),
}

impl Choice {
    fn concerns(self, route: &Route) -> bool {
        match self {
            _ if route.rank == Route::UNRANKED => false,
            Choice::To(ip) => route.covers(ip),
            Choice::Default(family) => route.is_default_like() && Family::of(route.to) == family,
        }
    }

    /// The place of the best of these in the kernel's order, the smaller the sooner.
    pub(crate) fn best(self, routes: &[Route]) -> Option<(u32, u8, u32)> {
        let concerned = routes.iter().filter(|route| self.concerns(route));
        concerned.map(Route::order).min()
    }

    /// The network the kernel itself would choose. A network that is down has no routes.
    pub(crate) fn among(self, snapshot: &Snapshot) -> Option<&Network> {
        snapshot
            .networks()
            .iter()
            .filter(|network| network.state() != State::Down)
            .filter_map(|network| {
                let best = self.best(network.routes())?;
                Some((best, network.id(), network))
            })
            .min_by_key(|(order, id, _)| (*order, *id))
            .map(|(_, _, network)| network)
    }
}

/// The network through which the kernel itself would reach `to`: the table first consulted, then
/// the longest prefix, then the lowest metric, over all networks' routes; among equals the
/// smaller id. `None` where no route leads there.
#[must_use]
pub fn route_choice(snapshot: &Snapshot, to: IpAddr) -> Option<&Network> {
    Choice::To(to).among(snapshot)
}
