//! What a scout says beside the facts: why a network is down, and who said what.

use super::Network;

/// Notes of the source for people; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    pub(crate) down: Vec<&'static str>,
    pub(crate) sources: Vec<(&'static str, &'static str)>,
}

impl Network {
    /// Every reason for which it is not up, such as `no carrier`; empty if it is, or if nobody
    /// said.
    #[must_use]
    pub fn why_down(&self) -> &[&'static str] {
        &self.0.spec.notes.down
    }

    /// Facts and where each came from, such as `("kind", "netlink")`. Of a fact with several
    /// sources the first one won.
    #[must_use]
    pub fn sources(&self) -> &[(&'static str, &'static str)] {
        &self.0.spec.notes.sources
    }
}
