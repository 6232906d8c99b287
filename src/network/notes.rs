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
    /// Who said what, in order of aspects; of one aspect, the first one won.
    pub(crate) sources: Vec<(Aspect, Word)>,
    /// Why the ladder of binding was descended.
    pub(crate) unbound: Option<Word>,
}

impl Notes {
    /// `source` says this too, after those that said it before.
    pub(crate) fn said(&mut self, aspect: Aspect, source: impl Into<Word>) {
        let after = self.sources.partition_point(|(of, _)| *of <= aspect);
        self.sources.insert(after, (aspect, source.into()));
    }

    /// `source` says this and wins.
    pub(crate) fn won(&mut self, aspect: Aspect, source: impl Into<Word>) {
        let before = self.sources.partition_point(|(of, _)| *of < aspect);
        self.sources.insert(before, (aspect, source.into()));
    }
}
