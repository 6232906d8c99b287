//! A description of a network, and how it is built.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{Address, Binding, Fact, Health, Kind, Kinds, Notes, Route, State, Word};

/// The description of a network, without an id: what a source, a test or a configuration says
/// of it.
///
/// ```
/// use mancom::Network;
/// use std::time::Duration;
///
/// let modem = Network::cellular("wwan0")
///     .metered(true)
///     .rtt(Duration::from_millis(60))
///     .down(10_000_000);
/// assert_eq!(modem.name(), "wwan0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Exempt from the rule that a VPN is not bypassed.
    pub(crate) bypass_vpn: bool,
    pub(crate) rtt: Option<Duration>,
    /// Bits a second.
    pub(crate) up: Option<u64>,
    pub(crate) down: Option<u64>,
    /// Per mille.
    pub(crate) loss: Option<u16>,
    /// Percent.
    pub(crate) signal: Option<u8>,
    pub(crate) carrier: Fact,
    pub(crate) operstate: Option<Word>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    pub(crate) binding: Binding,
    pub(crate) mtu: Option<u32>,
    pub(crate) dns: Vec<IpAddr>,
    pub(crate) notes: Notes,
}

impl NetworkSpec {
    /// A network of which nothing but its name and kind is known: up, without addresses and
    /// routes, every fact unknown. A scout fills in what it sees.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kinds: Kinds::of(kind),
            state: State::default(),
            health: Health::default(),
            metered: Fact::default(),
            roaming: Fact::default(),
            constrained: Fact::default(),
            losing: false,
            bypass_vpn: false,
            rtt: None,
            up: None,
            down: None,
            loss: None,
            signal: None,
            carrier: Fact::default(),
            operstate: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            binding: Binding::default(),
            mtu: None,
            dns: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// A network described by hand, for tests and fixed scouts: up, with an unknown address and a
    /// default route of both families, so that it reaches everything unless told otherwise. The
    /// first [`address`](Self::address) replaces the unknown ones. Loopback has its own addresses
    /// and no default route.
    #[must_use]
    pub fn described(name: impl Into<String>, kind: Kind) -> Self {
        let spec = Self::new(name, kind);
        if kind == Kind::Loopback {
            return spec
                .address((Ipv4Addr::LOCALHOST, 8))
                .address((Ipv6Addr::LOCALHOST, 128));
        }
        let any = [
            Address::unknown(Ipv4Addr::UNSPECIFIED),
            Address::unknown(Ipv6Addr::UNSPECIFIED),
        ];
        Self {
            addresses: any.to_vec(),
            routes: any.map(Route::to).to_vec(),
            ..spec
        }
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its bytes cost money. Default: unknown.
    #[must_use]
    pub fn metered(mut self, v: impl Into<Fact>) -> Self {
        self.metered = v.into();
        self
    }

    /// Whether it is a foreign operator's. Default: unknown.
    #[must_use]
    pub fn roaming(mut self, v: impl Into<Fact>) -> Self {
        self.roaming = v.into();
        self
    }

    /// Whether its owner asks for restraint. Default: unknown.
    #[must_use]
    pub fn constrained(mut self, v: impl Into<Fact>) -> Self {
        self.constrained = v.into();
        self
    }

    /// The round-trip time. Default: unknown.
    #[must_use]
    pub fn rtt(mut self, v: Duration) -> Self {
        self.rtt = Some(v);
        self
    }

    /// Upward bandwidth, bits a second. Default: unknown.
    #[must_use]
    pub fn up(mut self, bits_per_second: u64) -> Self {
        self.up = Some(bits_per_second);
        self
    }

    /// Downward bandwidth, bits a second. Default: unknown.
    #[must_use]
    pub fn down(mut self, bits_per_second: u64) -> Self {
        self.down = Some(bits_per_second);
        self
    }

    /// Loss, packets in a thousand. Default: unknown.
    #[must_use]
    pub fn loss(mut self, per_mille: u16) -> Self {
        self.loss = Some(per_mille);
        self
    }

    /// One more usable address, and the connected route of its prefix. The first one replaces the
    /// unknown addresses of a [`described`](Self::described) network, and the default route of
    /// the family it then lacks goes too.
    #[must_use]
    pub fn address(mut self, address: impl Into<Address>) -> Self {
        let address = address.into();
        if self.addresses.iter().any(|a| a.ip.is_unspecified()) {
            self.addresses.clear();
            self.routes
                .retain(|route| route.prefix != 0 || route.to.is_ipv4() == address.ip.is_ipv4());
        } else if !self.addresses.is_empty() {
            self.follow_default(address.ip);
        }
        self.addresses.push(address);
        self.routes.push(Route::to(address.masked()).connected());
        self
    }

    /// A second family of a network that reaches everything reaches everything too.
    fn follow_default(&mut self, ip: IpAddr) {
        let has = |v4: bool, routes: &[Route]| {
            routes.iter().any(|r| r.prefix == 0 && r.to.is_ipv4() == v4)
        };
        let first_of_family = !self
            .addresses
            .iter()
            .any(|a| a.ip.is_ipv4() == ip.is_ipv4());
        if first_of_family && has(!ip.is_ipv4(), &self.routes) && !has(ip.is_ipv4(), &self.routes) {
            let any: IpAddr = if ip.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            self.routes.push(Route::to((any, 0)));
        }
    }

    /// One more route.
    #[must_use]
    pub fn route(mut self, route: impl Into<Route>) -> Self {
        self.routes.push(route.into());
        self
    }

    /// Without its default routes: a link that goes nowhere by itself.
    #[must_use]
    pub fn no_default_route(mut self) -> Self {
        self.routes.retain(|route| !route.is_default_like());
        self
    }

    /// The strength of its signal, percent; above 100 counts as 100. Default: unknown.
    #[must_use]
    pub fn signal(mut self, percent: u8) -> Self {
        self.signal = Some(percent.min(100));
        self
    }

    /// The largest packet, bytes. Default: unknown.
    #[must_use]
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// One more name server of its own.
    #[must_use]
    pub fn dns(mut self, server: IpAddr) -> Self {
        self.dns.push(server);
        self
    }

    /// How far it reaches. Default: unknown.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Whether it is usable now. Default: up.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Whether it is about to go. Default: no.
    #[must_use]
    pub fn losing(mut self, v: bool) -> Self {
        self.losing = v;
        self
    }

    /// Whether it may be used although a VPN would carry the traffic. Default: no.
    #[must_use]
    pub fn bypass_vpn(mut self, v: bool) -> Self {
        self.bypass_vpn = v;
        self
    }

    /// Its own kind and those of the networks it runs over.
    #[must_use]
    pub fn kinds(mut self, kinds: impl Into<Kinds>) -> Self {
        self.kinds = kinds.into();
        self
    }

    /// Runs over `carrier`: has its kinds too, and the worse of each fact. For VPNs, bridges,
    /// bonds, VLANs; once for each lower network.
    #[must_use]
    pub fn over(mut self, carrier: &NetworkSpec) -> Self {
        self.kinds = self.kinds | carrier.kinds;
        self.metered = self.metered.worst(carrier.metered);
        self.roaming = self.roaming.worst(carrier.roaming);
        self.constrained = self.constrained.worst(carrier.constrained);
        self
    }

    /// How a socket is bound to it. Default: [`Binding::Device`].
    #[must_use]
    pub fn binding(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }

    /// Sockets get its source address and nothing else: [`Binding::Address`].
    #[must_use]
    pub fn address_only(self) -> Self {
        self.binding(Binding::Address)
    }

    /// No interface of this host: sockets are not bound, and it is admitted all the same:
    /// [`Binding::Detached`]. For forwarders on loopback and simulated links.
    #[must_use]
    pub fn detached(self) -> Self {
        self.binding(Binding::Detached)
    }
}
