//! The numbers on the wire of messages that were delivered. The peer's program may not have them yet, so
//! what comes after one of them has to name it.

use std::collections::{BTreeMap, VecDeque};

/// Messages remembered, the latest.
const REMEMBERED: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Delivered {
    seqs: BTreeMap<u64, u64>,
    /// Their ids, as they were delivered.
    order: VecDeque<u64>,
    /// The numbers of all that are forgotten are lower.
    forgotten: u64,
}

impl Delivered {
    pub(super) fn insert(&mut self, id: u64, seq: u64) {
        self.seqs.insert(id, seq);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
            && let Some(seq) = self.seqs.remove(&oldest)
        {
            self.forgotten = self.forgotten.max(seq + 1);
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.seqs.contains_key(&id)
    }

    /// The number of one that was delivered; else one above those of all that are forgotten.
    pub(super) fn seq(&self, id: u64) -> Result<u64, u64> {
        self.seqs.get(&id).copied().ok_or(self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_that_is_forgotten_a_number_above_it_is_known() {
        let mut delivered = Delivered::default();
        let last = REMEMBERED as u64 + 9;
        // Ids and numbers may stand in another order.
        (0..=last).for_each(|id| delivered.insert(id, last - id));
        assert_eq!(delivered.seqs.len(), REMEMBERED);
        assert_eq!(delivered.order.len(), REMEMBERED);
        assert_eq!(delivered.seq(last), Ok(0));
        assert!(delivered.contains(10) && !delivered.contains(9));
        assert_eq!(delivered.seq(9), Err(last + 1));
    }
}
