//! What became of messages that are settled. That one was delivered takes no memory here: of those that
//! were not, the latest are remembered, in the order in which they were settled.

use std::collections::{BTreeMap, VecDeque};

use super::Fate;

/// Messages that were not delivered, remembered to be asked for: more than may be unsettled at once, so
/// nothing that settles together is forgotten together.
pub(super) const REMEMBERED: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Fates {
    failed: BTreeMap<u64, Fate>,
    /// Their ids, as they were settled.
    order: VecDeque<u64>,
    /// One that is settled and below may be forgotten.
    forgotten: u64,
}

impl Fates {
    pub(super) fn failed(&mut self, id: u64, fate: Fate) {
        if self.failed.insert(id, fate).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.failed.remove(&oldest);
            self.forgotten = self.forgotten.max(oldest + 1);
        }
    }

    /// Of a message that is settled and not among those last delivered; `None` if it is forgotten.
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
        assert_eq!(fates.order.len(), REMEMBERED);
        assert_eq!(fates.of(last - 2), Some(Fate::Expired));
        assert_eq!(fates.of(last - 1), Some(Fate::Delivered));
        assert_eq!(fates.of(1), None);
    }

    #[test]
    fn an_old_message_that_fails_late_is_remembered_longest() {
        let mut fates = Fates::default();
        let many = REMEMBERED as u64;
        (1..=many).for_each(|id| fates.failed(id, Fate::Expired));
        fates.failed(0, Fate::Cancelled);
        assert_eq!(fates.of(0), Some(Fate::Cancelled));
        assert_eq!(fates.of(1), None);
        (many + 1..2 * many).for_each(|id| fates.failed(id, Fate::Expired));
        assert_eq!(fates.of(0), Some(Fate::Cancelled));
        fates.failed(2 * many, Fate::Expired);
        assert_eq!(fates.of(0), None);
    }
}
