//! How a label is made: by builders that refuse contradictions.

use super::error::Fault;
use super::{
    BYPASS_VPN, Contradiction, IGNORE_COST, Label, LabelError, Level, MAX_INTERFACE, Prop, Props,
    REDUNDANT, Scope, Urgency,
};

/// The builders that panic at a contradiction, which in a `const` is a compile error.
impl Label {
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

    pub(super) const fn at_level(mut self, prop: Prop, level: Level) -> Result<Self, Fault> {
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

    pub(super) const fn checked_scope(mut self, scope: Scope) -> Result<Self, Fault> {
        let kinds = self.require.intersection(Props::KINDS);
        if let (Scope::Host, Some(prop)) = (scope, kinds.first()) {
            return Err(Fault::Contradiction(Contradiction::HostKind { prop }));
        }
        self.scope = scope;
        Ok(self)
    }

    pub(super) const fn on_interface(mut self, name: &str) -> Result<Self, Fault> {
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
