//! The vocabulary: properties, levels, urgency, size, scope.

use std::fmt;

use crate::network::{Kind, Kinds};

/// A property of a network that a label may ask for: eight kinds, then six traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Prop {
    /// A cable.
    Ethernet,
    /// IEEE 802.11.
    Wifi,
    /// A Bluetooth personal area network.
    Bluetooth,
    /// A mobile operator's.
    Cellular,
    /// Through space. Never serves large or background traffic unless named.
    Satellite,
    /// A tunnel through other networks.
    Vpn,
    /// This host alone.
    Loopback,
    /// None of these.
    Other,
    /// Bytes cost money.
    Metered,
    /// A foreign operator's.
    Roaming,
    /// Its owner asks for restraint.
    Constrained,
    /// The internet was reached through it.
    Validated,
    /// Has an IPv4 address.
    Ipv4,
    /// Has an IPv6 address.
    Ipv6,
}

impl Prop {
    /// Every property, kinds first.
    pub const ALL: [Prop; 14] = [
        Prop::Ethernet,
        Prop::Wifi,
        Prop::Bluetooth,
        Prop::Cellular,
        Prop::Satellite,
        Prop::Vpn,
        Prop::Loopback,
        Prop::Other,
        Prop::Metered,
        Prop::Roaming,
        Prop::Constrained,
        Prop::Validated,
        Prop::Ipv4,
        Prop::Ipv6,
    ];

    /// Its word in texts and configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Prop::Ethernet => Kind::Ethernet.word(),
            Prop::Wifi => Kind::Wifi.word(),
            Prop::Bluetooth => Kind::Bluetooth.word(),
            Prop::Cellular => Kind::Cellular.word(),
            Prop::Satellite => Kind::Satellite.word(),
            Prop::Vpn => Kind::Vpn.word(),
            Prop::Loopback => Kind::Loopback.word(),
            Prop::Other => Kind::Other.word(),
            Prop::Metered => "metered",
            Prop::Roaming => "roaming",
            Prop::Constrained => "constrained",
            Prop::Validated => "validated",
            Prop::Ipv4 => "ipv4",
            Prop::Ipv6 => "ipv6",
        }
    }

    /// The property of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prop| prop.word() == word)
    }

    /// Whether it is a kind of network rather than a trait.
    #[must_use]
    pub const fn is_kind(self) -> bool {
        Props::KINDS.contains(self)
    }

    /// As a kind of network.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        Kind::ALL.get(self as usize).copied()
    }
}

impl From<Kind> for Prop {
    fn from(kind: Kind) -> Self {
        Prop::ALL[kind as usize]
    }
}

impl fmt::Display for Prop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Props(pub(super) u16);

impl Props {
    /// None.
    pub const EMPTY: Props = Props(0);

    /// The eight kinds.
    pub const KINDS: Props = Props(0xff);

    /// One alone.
    #[must_use]
    pub const fn of(prop: Prop) -> Self {
        Self(1 << prop as u16)
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, prop: Prop) -> Self {
        Self(self.0 | 1 << prop as u16)
    }

    /// Whether this property is among them.
    #[must_use]
    pub const fn contains(self, prop: Prop) -> bool {
        self.0 & (1 << prop as u16) != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of this set alone.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first in order.
    #[must_use]
    pub const fn first(self) -> Option<Prop> {
        if self.0 == 0 {
            return None;
        }
        Some(Prop::ALL[self.0.trailing_zeros() as usize])
    }

    /// The properties in order.
    pub fn iter(self) -> impl Iterator<Item = Prop> {
        Prop::ALL
            .into_iter()
            .filter(move |prop| self.contains(*prop))
    }

    /// The kinds among them.
    #[must_use]
    pub const fn kinds(self) -> Kinds {
        Kinds(self.0 as u8)
    }

    /// The traits among them.
    pub fn traits(self) -> impl Iterator<Item = Prop> {
        self.iter().filter(|prop| !prop.is_kind())
    }
}

impl FromIterator<Prop> for Props {
    fn from_iter<I: IntoIterator<Item = Prop>>(props: I) -> Self {
        props.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// What a label asks of one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Level {
    /// Nothing else will do.
    Require,
    /// Rather this.
    Prefer,
    /// Nothing.
    #[default]
    Neutral,
    /// Only where nothing else is.
    Avoid,
    /// Never.
    Prohibit,
}

impl Level {
    /// `required`, `preferred`, `neutral`, `avoided` or `prohibited`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Level::Require => "required",
            Level::Prefer => "preferred",
            Level::Neutral => "neutral",
            Level::Avoid => "avoided",
            Level::Prohibit => "prohibited",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far the traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Scope {
    /// As far as its destination; without one, the internet.
    #[default]
    Auto,
    /// Not beyond this host: no network is used.
    Host,
    /// Not beyond a link this host is on.
    Local,
    /// Through a default route.
    Internet,
}

impl Scope {
    pub(crate) const ALL: [Scope; 4] = [Scope::Auto, Scope::Host, Scope::Local, Scope::Internet];

    /// Its word in texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Auto => "auto",
            Scope::Host => "host",
            Scope::Local => "local",
            Scope::Internet => "internet",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Urgency; the order is that of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Urgency {
    /// A person waits for it.
    Interactive,
    /// Neither.
    #[default]
    Default,
    /// Nobody waits for it.
    Background,
}

impl Urgency {
    /// `interactive`, `default` or `background`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Urgency::Interactive => "interactive",
            Urgency::Default => "default",
            Urgency::Background => "background",
        }
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How much there is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Size {
    /// Not said: urgency decides which figure of a network counts.
    #[default]
    Unspecified,
    /// A few packets.
    Small,
    /// Much.
    Large,
    /// So many bytes.
    Bytes(u64),
}
