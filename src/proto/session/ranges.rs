//! Sets of byte offsets as sorted, disjoint, non-adjacent ranges.

use std::collections::VecDeque;

/// A set of offsets. Almost always none or one range, so a sorted deque beats a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(VecDeque<(u64, u64)>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges it takes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.0.front().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    /// The first range that ends after `offset`, as an index.
    fn at(&self, offset: u64) -> usize {
        self.0.partition_point(|&(_, end)| end <= offset)
    }

    /// The range that ends after `offset` and comes first.
    pub(super) fn next_after(&self, offset: u64) -> Option<(u64, u64)> {
        self.0.get(self.at(offset)).copied()
    }

    pub(super) fn intersects(&self, start: u64, end: u64) -> bool {
        start < end && self.next_after(start).is_some_and(|(s, _)| s < end)
    }

    pub(super) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        match self.0.back_mut() {
            None => return self.0.push_back((start, end)),
            Some(last) if last.1 == start => return last.1 = end,
            Some(last) if last.1 < start => return self.0.push_back((start, end)),
            Some(_) => {}
        }
        let first = self.0.partition_point(|&(_, e)| e < start);
        let mut merged = (start, end);
        let mut past = first;
        while let Some(&(s, e)) = self.0.get(past) {
            if s > end {
                break;
            }
            merged = (merged.0.min(s), merged.1.max(e));
            past += 1;
        }
        if past == first {
            self.0.insert(first, merged);
        } else {
            self.0[first] = merged;
            self.0.drain(first + 1..past);
        }
    }

    pub(super) fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let mut index = self.at(start);
        while let Some(&(s, e)) = self.0.get(index) {
            if s >= end {
                break;
            }
            match (s < start, e > end) {
                (true, true) => {
                    self.0[index].1 = start;
                    self.0.insert(index + 1, (end, e));
                    return;
                }
                (true, false) => {
                    self.0[index].1 = start;
                    index += 1;
                }
                (false, true) => {
                    self.0[index].0 = end;
                    return;
                }
                (false, false) => {
                    self.0.remove(index);
                }
            }
        }
    }

    /// Drops everything below `offset`.
    pub(super) fn remove_below(&mut self, offset: u64) {
        self.remove(0, offset);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(ranges: &Ranges, model: &BTreeSet<u64>) {
        let flat: BTreeSet<u64> = ranges.iter().flat_map(|(s, e)| s..e).collect();
        assert_eq!(&flat, model);
        let list: Vec<_> = ranges.iter().collect();
        assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].0));
        assert!(list.iter().all(|(s, e)| s < e));
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(
            steps in prop::collection::vec((any::<bool>(), 0..40u64, 0..12u64), 0..60),
        ) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (insert, start, length) in steps {
                let end = start + length;
                prop_assert_eq!(
                    ranges.intersects(start, end),
                    (start..end).any(|offset| model.contains(&offset))
                );
                if insert {
                    ranges.insert(start, end);
                    model.extend(start..end);
                } else {
                    ranges.remove(start, end);
                    model.retain(|offset| !(start..end).contains(offset));
                }
                check(&ranges, &model);
            }
        }
    }
}
