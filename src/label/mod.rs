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
mod build;
mod error;
#[cfg(feature = "test-util")]
pub(crate) mod fuzz;
pub mod matching;
mod prop;
mod says;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use error::nearest;
pub use error::{Contradiction, LabelError};
pub use prop::{Level, Prop, Props, Scope, Size, Urgency};

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
    /// An order that means nothing, for tables.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        let props = [self.require, self.avoid, self.prohibit].map(|props| props.0);
        let rest = [self.urgency as u8, self.scope as u8, self.size, self.flags];
        (self.prefer, self.bytes, props, self.interface, rest)
    }

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
}

/// [`Label::ANY`].
impl Default for Label {
    fn default() -> Self {
        Self::ANY
    }
}
