//! What a scout says beside the facts: why a network is down, and who said what.

use super::Aspect;
use std::borrow::Cow;

/// A word of a source: one of its own, or one it was told.
pub type Word = Cow<'static, str>;

/// Notes of the source for people; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    /// Every reason for which the network is not up.
    pub(crate) down: Vec<Word>,
    /// Who said what; of one aspect, the first one won.
    pub(crate) sources: Vec<(Aspect, Word)>,
    /// Why the ladder of binding was descended.
    pub(crate) unbound: Option<Word>,
}

impl Notes {
    /// `source` says this too, after those that said it before.
    pub(crate) fn said(&mut self, aspect: Aspect, source: impl Into<Word>) {
        self.sources.push((aspect, source.into()));
    }

    /// `source` says this and wins.
    pub(crate) fn won(&mut self, aspect: Aspect, source: impl Into<Word>) {
        self.sources.insert(0, (aspect, source.into()));
    }
}
