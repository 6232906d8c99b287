//! What became of messages that are settled. That one was delivered takes no memory: of those that were
//! not, the latest are remembered.

use std::collections::BTreeMap;

use super::Fate;

/// Messages that were not delivered, remembered to be asked for.
const REMEMBERED: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Fates {
    failed: BTreeMap<u64, Fate>,
    /// Nothing is known of those below.
    forgotten: u64,
}

impl Fates {
    pub(super) fn failed(&mut self, id: u64, fate: Fate) {
        self.failed.insert(id, fate);
        if self.failed.len() > REMEMBERED
            && let Some((oldest, _)) = self.failed.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest + 1);
        }
    }

    /// Of a message that was issued and is neither waiting nor under way; `None` if it is forgotten.
    pub(super) fn of(&self, id: u64) -> Option<Fate> {
        match self.failed.get(&id) {
            Some(fate) => Some(*fate),
            None if id < self.forgotten => None,
            None => Some(Fate::Delivered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_failures_are_remembered() {
        let mut fates = Fates::default();
        let last = 3 * REMEMBERED as u64;
        (0..last)
            .step_by(2)
            .for_each(|id| fates.failed(id, Fate::Expired));
        assert_eq!(fates.failed.len(), REMEMBERED);
        assert_eq!(fates.of(last - 2), Some(Fate::Expired));
        assert_eq!(fates.of(last - 1), Some(Fate::Delivered));
        assert_eq!(fates.of(1), None);
    }
}
