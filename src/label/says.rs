//! What a label says.

use super::{
    BYPASS_VPN, IGNORE_COST, Label, Level, MAX_INTERFACE, Prop, Props, REDUNDANT, Scope, Size,
    Urgency,
};

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
