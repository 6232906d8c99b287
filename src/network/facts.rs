//! The small vocabularies: kinds, five-valued facts, health, state, binding.

use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;

/// What an interface is; the order is the preference of last resort (key 10 of the rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A cable, or what looks like one.
    Ethernet,
    /// IEEE 802.11.
    Wifi,
    /// A Bluetooth personal area network.
    Bluetooth,
    /// A mobile operator's.
    Cellular,
    /// Through space: slow to answer, dear.
    Satellite,
    /// A tunnel that carries this host's traffic through other networks.
    Vpn,
    /// This host alone.
    Loopback,
    /// None of these: a bridge, a dummy, a link nobody can name.
    Other,
}

impl Kind {
    /// Every kind, in order of preference.
    pub const ALL: [Kind; 8] = [
        Kind::Ethernet,
        Kind::Wifi,
        Kind::Bluetooth,
        Kind::Cellular,
        Kind::Satellite,
        Kind::Vpn,
        Kind::Loopback,
        Kind::Other,
    ];

    /// The word of labels and configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Ethernet => "ethernet",
            Kind::Wifi => "wifi",
            Kind::Bluetooth => "bluetooth",
            Kind::Cellular => "cellular",
            Kind::Satellite => "satellite",
            Kind::Vpn => "vpn",
            Kind::Loopback => "loopback",
            Kind::Other => "other",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of kinds: a VPN has `vpn` and the kinds of its carrier. Empty means unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kinds(pub(crate) u8);

impl Kinds {
    /// No kind known.
    pub const EMPTY: Kinds = Kinds(0);

    /// One kind alone.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Without this one.
    #[must_use]
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether any kind is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this kind is among them.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in order of preference.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }

    /// The kind of the network itself: `vpn` and `loopback` before those they run over, else the
    /// most preferred.
    #[must_use]
    pub fn own(self) -> Kind {
        for kind in [Kind::Vpn, Kind::Loopback] {
            if self.contains(kind) {
                return kind;
            }
        }
        self.iter().next().unwrap_or(Kind::Other)
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self::of(kind)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// Comma-separated words, as labels have them; `unknown` for none.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("unknown");
        }
        for (i, kind) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
    }
}

/// A five-valued fact. Unknown never means no.
///
/// The order is from the harmless to the harmful, for facts are things to avoid (metered,
/// roaming, constrained): the larger of two is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Fact {
    /// Told so.
    No,
    /// Guessed so.
    LikelyNo,
    /// Nobody knows.
    #[default]
    Unknown,
    /// Guessed so.
    LikelyYes,
    /// Told so.
    Yes,
}

impl Fact {
    /// The fact as yes or no, a guess included; `None` when nobody knows.
    #[must_use]
    pub const fn known(self) -> Option<bool> {
        match self {
            Fact::No | Fact::LikelyNo => Some(false),
            Fact::Unknown => None,
            Fact::LikelyYes | Fact::Yes => Some(true),
        }
    }

    /// Whether it was told rather than guessed.
    #[must_use]
    pub const fn is_certain(self) -> bool {
        matches!(self, Fact::No | Fact::Yes)
    }

    /// The worse of the two, for what runs over both.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.max(other)
    }

    /// `no`, `likely no`, `unknown`, `likely yes` or `yes`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Fact::No => "no",
            Fact::LikelyNo => "likely no",
            Fact::Unknown => "unknown",
            Fact::LikelyYes => "likely yes",
            Fact::Yes => "yes",
        }
    }
}

impl From<bool> for Fact {
    fn from(yes: bool) -> Self {
        if yes { Fact::Yes } else { Fact::No }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far a network is known to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Health {
    /// The internet was reached through it.
    Full,
    /// Nobody looked; taken to be usable.
    #[default]
    Unknown,
    /// Its own link, not the internet.
    Limited,
    /// A captive portal wants something first.
    Portal,
    /// Nothing was reached through it.
    None,
}

impl Health {
    /// `full`, `unknown`, `limited`, `portal` or `none`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Health::Full => "full",
            Health::Unknown => "unknown",
            Health::Limited => "limited",
            Health::Portal => "portal",
            Health::None => "none",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Whether a network is usable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum State {
    /// Usable.
    #[default]
    Up,
    /// Paused, not lost: its sockets stay.
    Suspended,
    /// Waiting for something outside (authentication, a modem's registration).
    Dormant,
    /// Not there.
    Down,
}

impl State {
    /// `up`, `suspended`, `dormant` or `down`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Suspended => "suspended",
            State::Dormant => "dormant",
            State::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a socket can be bound to a network: a ladder, best first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Binding {
    /// SO_BINDTODEVICE (or the platform's equal) and the source address. Where the kernel refuses
    /// the first to this process, the address alone.
    #[default]
    Device,
    /// The source address alone.
    Address,
    /// Not at all; admitted only where the kernel's own choice is this network.
    Unbound,
    /// Needs none: no interface of this host, but what a fixed or scripted scout stands for (a
    /// forwarder, a simulated link). Admitted like a bound one.
    Detached,
    /// Cannot be bound, with the reason.
    Refused(Arc<str>),
}

impl Binding {
    /// `device`, `address`, `unbound`, `detached` or `refused`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Binding::Device => "device",
            Binding::Address => "address",
            Binding::Unbound => "unbound",
            Binding::Detached => "detached",
            Binding::Refused(_) => "refused",
        }
    }
}
