//! Labels: what traffic needs of a network, said once and matched at every moment.
//!
//! A program knows what its traffic is (a key press, a photo backup) and nothing of the networks
//! it will meet; a network's facts are known only while it is there. A [`Label`] is the first
//! half: 48 bytes, `Copy`, immutable, without deadlines and waiting policy, for those describe
//! the program. The second half is a [`Snapshot`](crate::network::Snapshot); [`matching`] brings
//! them together.
//!
//! ```text
//!  urgency   interactive | default | background           in which order bytes go out
//!  size      unspecified | small | large | bytes(n)       which figure of a network counts
//!  scope     auto | host | local | internet               how far a network must reach
//!  levels    require > prefer (ordered) > neutral > avoid > prohibit, one for each property
//!  if=NAME   one interface and no other
//!  flags     cost=ignore   vpn=bypass   redundant
//! ```
//!
//! - Required kinds (`ethernet` .. `other`) are alternatives: one of them is enough. Required
//!   traits (`metered` .. `ipv6`) must all hold. Whatever is prohibited must not hold.
//! - One property has one level. Two levels, scope `host` with a required kind, and two interface
//!   names are contradictions: a compile error in a `const`, a panic in a builder elsewhere, a
//!   [`LabelError`] from `try_*`, `parse` and configuration. Never does the last one win.
//! - Urgency, size and scope are single values; a builder replaces them, a text may name each once.
//!
//! # Text
//!
//! Space-separated terms in any order; `Display` prints them in the order below, and what it
//! prints parses back to the same label.
//!
//! | term | means |
//! | --- | --- |
//! | `interactive`, `background` | urgency |
//! | `small`, `large`, `size=64M` | size; K, M, G, T are powers of 1,024 bytes |
//! | `scope=host`, `scope=local`, `scope=internet` | scope |
//! | `require=wifi,ethernet` | one of these kinds, all of these traits |
//! | `prefer=ethernet,wifi` | in this order |
//! | `avoid=cellular` | only where nothing else is |
//! | `prohibit=metered,roaming` | never |
//! | `if=wlan0` | this interface |
//! | `cost=ignore` | money and restraint do not count |
//! | `vpn=bypass` | may go past a VPN |
//! | `redundant` | may go out over several networks at once |
//! | `any` | nothing asked for; stands alone |
//!
//! Read but never printed: `ondemand` and `foreground` for `interactive`, `wifi-only` for
//! `require=wifi`, `unmetered` for `prohibit=metered`, `bypass-vpn` for `vpn=bypass`,
//! `scope=auto`. A text is at most 1,024 bytes.
//!
//! ```
//! use mancom::{Label, Prop};
//!
//! const PHOTOS: Label = Label::new().background().large().prohibit(Prop::Metered);
//! let read: Label = "unmetered large background".parse()?;
//! assert_eq!(read, PHOTOS);
//! assert_eq!(PHOTOS.to_string(), "background large prohibit=metered");
//! # Ok::<(), mancom::LabelError>(())
//! ```
//!
//! # Limits
//!
//! An interface name has 15 bytes at most, as on Linux.

mod bits;
mod error;
pub mod matching;
mod prop;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use error::nearest;
pub use error::{Contradiction, LabelError};
pub use prop::{Level, Prop, Props, Scope, Size, Urgency};

use error::Fault;

/// Bytes of an interface name.
pub(crate) const MAX_INTERFACE: usize = 15;

const REDUNDANT: u8 = 1;
const IGNORE_COST: u8 = 2;
const BYPASS_VPN: u8 = 4;

/// What traffic needs of a network: `Copy`, 48 bytes, built in a `const` or read from text.
///
/// ```
/// use mancom::{Label, Prop};
///
/// const CALL: Label = Label::INTERACTIVE.prefer(Prop::Ethernet).prefer(Prop::Wifi);
/// assert_eq!(CALL.to_string(), "interactive prefer=ethernet,wifi");
/// ```
///
/// A contradiction in a `const` does not compile:
///
/// ```compile_fail
/// # use mancom::{Label, Prop};
/// const NEVER: Label = Label::new().require(Prop::Wifi).prohibit(Prop::Wifi);
/// # fn main() { let _ = NEVER; }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// In order, four bits a property: its number plus one, the first lowest; 0 ends the list.
    prefer: u64,
    /// The number of `size=N`, else 0.
    bytes: u64,
    require: Props,
    avoid: Props,
    prohibit: Props,
    /// Filled with zeros; all zeros for none.
    interface: [u8; MAX_INTERFACE],
    urgency: Urgency,
    scope: Scope,
    /// 0 unspecified, 1 small, 2 large, 3 counted.
    size: u8,
    flags: u8,
}

const _: () = assert!(size_of::<Label>() <= 48, "a label is at most 48 bytes");

impl Label {
    /// Any network will do.
    pub const ANY: Label = Label {
        prefer: 0,
        bytes: 0,
        require: Props::EMPTY,
        avoid: Props::EMPTY,
        prohibit: Props::EMPTY,
        interface: [0; MAX_INTERFACE],
        urgency: Urgency::Default,
        scope: Scope::Auto,
        size: 0,
        flags: 0,
    };

    /// A person waits for it.
    pub const INTERACTIVE: Label = Label::ANY.interactive();

    /// Nobody waits for it.
    pub const BACKGROUND: Label = Label::ANY.background();

    /// The same as [`Label::ANY`].
    #[must_use]
    pub const fn new() -> Self {
        Self::ANY
    }

    /// A person waits for it: sent first.
    #[must_use]
    pub const fn interactive(mut self) -> Self {
        self.urgency = Urgency::Interactive;
        self
    }

    /// Nobody waits for it: sent last.
    #[must_use]
    pub const fn background(mut self) -> Self {
        self.urgency = Urgency::Background;
        self
    }

    /// A few packets: the round-trip time counts.
    #[must_use]
    pub const fn small(mut self) -> Self {
        (self.size, self.bytes) = (1, 0);
        self
    }

    /// Much: the bandwidth counts.
    #[must_use]
    pub const fn large(mut self) -> Self {
        (self.size, self.bytes) = (2, 0);
        self
    }

    /// So many bytes: the time they take counts, round trip and bandwidth together.
    #[must_use]
    pub const fn bytes(mut self, n: u64) -> Self {
        (self.size, self.bytes) = (3, n);
        self
    }

    /// How far the traffic goes. Default: as far as its destination.
    ///
    /// # Panics
    ///
    /// If a kind is required and `s` is [`Scope::Host`]: no network is used there.
    #[must_use]
    #[track_caller]
    pub const fn scope(self, s: Scope) -> Self {
        match self.checked_scope(s) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// One of the required kinds, or a trait that must hold.
    ///
    /// # Panics
    ///
    /// If the property has another level already, or is a kind and the scope is `host`.
    #[must_use]
    #[track_caller]
    pub const fn require(self, p: Prop) -> Self {
        match self.at_level(p, Level::Require) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// Rather this, after those preferred before.
    ///
    /// # Panics
    ///
    /// If the property has another level already.
    #[must_use]
    #[track_caller]
    pub const fn prefer(self, p: Prop) -> Self {
        match self.at_level(p, Level::Prefer) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// Only where nothing else is.
    ///
    /// # Panics
    ///
    /// If the property has another level already.
    #[must_use]
    #[track_caller]
    pub const fn avoid(self, p: Prop) -> Self {
        match self.at_level(p, Level::Avoid) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// Never.
    ///
    /// # Panics
    ///
    /// If the property has another level already.
    #[must_use]
    #[track_caller]
    pub const fn prohibit(self, p: Prop) -> Self {
        match self.at_level(p, Level::Prohibit) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// This interface and no other; 1 to 15 bytes without blanks and control characters.
    ///
    /// # Panics
    ///
    /// If another interface is named already, or the name is none.
    #[must_use]
    #[track_caller]
    pub const fn interface(self, name: &str) -> Self {
        match self.on_interface(name) {
            Ok(label) => label,
            Err(fault) => fault.panic(),
        }
    }

    /// A small interactive message may go out over several networks at once.
    #[must_use]
    pub const fn redundant(mut self) -> Self {
        self.flags |= REDUNDANT;
        self
    }

    /// Metered, roaming, constrained and slow networks rank like any other. What is prohibited
    /// stays so.
    #[must_use]
    pub const fn ignore_cost(mut self) -> Self {
        self.flags |= IGNORE_COST;
        self
    }

    /// May use another network where the kernel's own choice would be a VPN.
    #[must_use]
    pub const fn bypass_vpn(mut self) -> Self {
        self.flags |= BYPASS_VPN;
        self
    }
}

/// The builders that answer a contradiction with an error.
impl Label {
    /// As [`Label::scope`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] where that panics.
    pub const fn try_scope(self, s: Scope) -> Result<Self, LabelError> {
        Fault::told(self.checked_scope(s))
    }

    /// As [`Label::require`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] where that panics.
    pub const fn try_require(self, p: Prop) -> Result<Self, LabelError> {
        Fault::told(self.at_level(p, Level::Require))
    }

    /// As [`Label::prefer`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] where that panics.
    pub const fn try_prefer(self, p: Prop) -> Result<Self, LabelError> {
        Fault::told(self.at_level(p, Level::Prefer))
    }

    /// As [`Label::avoid`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] where that panics.
    pub const fn try_avoid(self, p: Prop) -> Result<Self, LabelError> {
        Fault::told(self.at_level(p, Level::Avoid))
    }

    /// As [`Label::prohibit`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] where that panics.
    pub const fn try_prohibit(self, p: Prop) -> Result<Self, LabelError> {
        Fault::told(self.at_level(p, Level::Prohibit))
    }

    /// As [`Label::interface`].
    ///
    /// # Errors
    ///
    /// [`LabelError::Contradiction`] or [`LabelError::InterfaceName`] where that panics.
    pub const fn try_interface(self, name: &str) -> Result<Self, LabelError> {
        Fault::told(self.on_interface(name))
    }

    const fn at_level(mut self, prop: Prop, level: Level) -> Result<Self, Fault> {
        let before = self.level(prop);
        if before as u8 == level as u8 {
            return Ok(self);
        }
        if !matches!(before, Level::Neutral) {
            return Err(Fault::Contradiction(Contradiction::TwoLevels {
                prop,
                first: before,
                second: level,
            }));
        }
        match level {
            Level::Require if prop.is_kind() && matches!(self.scope, Scope::Host) => {
                return Err(Fault::Contradiction(Contradiction::HostKind { prop }));
            }
            Level::Require => self.require = self.require.with(prop),
            Level::Prefer => {
                let places = 64 - self.prefer.leading_zeros();
                self.prefer |= (prop as u64 + 1) << (places.div_ceil(4) * 4);
            }
            Level::Neutral => {}
            Level::Avoid => self.avoid = self.avoid.with(prop),
            Level::Prohibit => self.prohibit = self.prohibit.with(prop),
        }
        Ok(self)
    }

    const fn checked_scope(mut self, scope: Scope) -> Result<Self, Fault> {
        let kinds = self.require.intersection(Props::KINDS);
        if let (Scope::Host, Some(prop)) = (scope, kinds.first()) {
            return Err(Fault::Contradiction(Contradiction::HostKind { prop }));
        }
        self.scope = scope;
        Ok(self)
    }

    const fn on_interface(mut self, name: &str) -> Result<Self, Fault> {
        let name = name.as_bytes();
        if name.is_empty() || name.len() > MAX_INTERFACE {
            return Err(Fault::InterfaceName);
        }
        let mut padded = [0; MAX_INTERFACE];
        let mut i = 0;
        while i < name.len() {
            if name[i] <= b' ' || name[i] == 0x7f {
                return Err(Fault::InterfaceName);
            }
            padded[i] = name[i];
            i += 1;
        }
        let mut i = 0;
        while i < MAX_INTERFACE {
            if self.interface[0] != 0 && self.interface[i] != padded[i] {
                return Err(Fault::Contradiction(Contradiction::TwoInterfaces));
            }
            i += 1;
        }
        self.interface = padded;
        Ok(self)
    }
}

/// What it says.
impl Label {
    /// In which order its bytes go out.
    #[must_use]
    pub const fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// How much there is of it.
    #[must_use]
    pub const fn size(&self) -> Size {
        match self.size {
            0 => Size::Unspecified,
            1 => Size::Small,
            2 => Size::Large,
            _ => Size::Bytes(self.bytes),
        }
    }

    /// How far it goes ([`Label::scope`] is the builder).
    #[must_use]
    pub const fn scoped(&self) -> Scope {
        self.scope
    }

    /// What it asks of one property.
    #[must_use]
    pub const fn level(&self, prop: Prop) -> Level {
        if self.require.contains(prop) {
            Level::Require
        } else if self.preferred().contains(prop) {
            Level::Prefer
        } else if self.avoid.contains(prop) {
            Level::Avoid
        } else if self.prohibit.contains(prop) {
            Level::Prohibit
        } else {
            Level::Neutral
        }
    }

    /// The properties required, kinds and traits.
    #[must_use]
    pub const fn required(&self) -> Props {
        self.require
    }

    /// The properties avoided.
    #[must_use]
    pub const fn avoided(&self) -> Props {
        self.avoid
    }

    /// The properties prohibited.
    #[must_use]
    pub const fn prohibited(&self) -> Props {
        self.prohibit
    }

    /// The properties preferred, most wanted first.
    pub fn prefers(&self) -> impl Iterator<Item = Prop> + use<> {
        let mut rest = self.prefer;
        std::iter::from_fn(move || {
            let next = Prop::ALL.get((rest as usize & 15).checked_sub(1)?)?;
            rest >>= 4;
            Some(*next)
        })
    }

    /// The one interface it may use ([`Label::interface`] is the builder).
    #[must_use]
    pub const fn interface_name(&self) -> Option<&str> {
        let mut end = 0;
        while end < MAX_INTERFACE && self.interface[end] != 0 {
            end += 1;
        }
        if end == 0 {
            return None;
        }
        match str::from_utf8(self.interface.split_at(end).0) {
            Ok(name) => Some(name),
            Err(_) => None,
        }
    }

    /// Whether it may go out over several networks at once.
    #[must_use]
    pub const fn is_redundant(&self) -> bool {
        self.flags & REDUNDANT != 0
    }

    /// Whether cost and slowness do not count in its rank.
    #[must_use]
    pub const fn ignores_cost(&self) -> bool {
        self.flags & IGNORE_COST != 0
    }

    /// Whether it may go past a VPN.
    #[must_use]
    pub const fn bypasses_vpn(&self) -> bool {
        self.flags & BYPASS_VPN != 0
    }

    /// The same without its interface name, as a label travels to the far end.
    #[must_use]
    pub const fn without_interface(mut self) -> Self {
        self.interface = [0; MAX_INTERFACE];
        self
    }

    const fn preferred(&self) -> Props {
        let mut rest = self.prefer;
        let mut set = Props::EMPTY;
        while rest != 0 {
            set = set.with(Prop::ALL[(rest & 15) as usize - 1]);
            rest >>= 4;
        }
        set
    }
}

/// [`Label::ANY`].
impl Default for Label {
    fn default() -> Self {
        Self::ANY
    }
}
