//! Something that is said of messages until the peer answers: that it is to give them up, or to forget
//! them.

use std::collections::BTreeSet;

/// Of which messages it is said, by id.
#[derive(Debug, Default)]
pub(super) struct Saying {
    /// No answer came yet.
    open: BTreeSet<u64>,
    /// To be said with the next frames.
    due: BTreeSet<u64>,
}

impl Saying {
    /// Says it until it is answered.
    pub(super) fn begin(&mut self, id: u64) {
        self.open.insert(id);
        self.due.insert(id);
    }

    /// Says it once more.
    pub(super) fn repeat(&mut self, id: u64) {
        self.due.insert(id);
    }

    /// What was said may not have arrived.
    pub(super) fn repeat_all(&mut self) {
        self.due = self.open.clone();
    }

    /// It was answered.
    pub(super) fn end(&mut self, id: u64) {
        self.open.remove(&id);
        self.due.remove(&id);
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next of which it is to be said now.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.due.pop_first()
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.due.clear();
    }
}
