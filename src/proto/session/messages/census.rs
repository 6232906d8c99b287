//! The labels of messages that are to be sent, each with how many have it.

use crate::label::Label;

/// In an order of their own, so that many of them, as where each message says its size, are found as
/// quickly as a few.
#[derive(Debug, Default)]
pub(super) struct Census(Vec<(Label, usize)>);

impl Census {
    fn find(&self, label: &Label) -> Result<usize, usize> {
        let sought = label.order();
        self.0
            .binary_search_by(|(known, _)| known.order().cmp(&sought))
    }

    pub(super) fn enter(&mut self, label: &Label) {
        match self.find(label) {
            Ok(index) => self.0[index].1 += 1,
            Err(index) => self.0.insert(index, (*label, 1)),
        }
    }

    pub(super) fn leave(&mut self, label: &Label) {
        if let Ok(index) = self.find(label) {
            self.0[index].1 -= 1;
            if self.0[index].1 == 0 {
                self.0.remove(index);
            }
        }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.0.iter().map(|(label, _)| *label)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_is_known_for_as_long_as_somebody_has_it() {
        let labels = |from: u64| (from..1_000).map(|n| Label::ANY.bytes(n * 7_919 % 1_000));
        let mut census = Census::default();
        for label in labels(0).chain(labels(500)) {
            census.enter(&label);
        }
        assert_eq!(census.labels().count(), 1_000);
        for label in labels(0) {
            census.leave(&label);
        }
        let mut left: Vec<_> = census.labels().map(|label| label.to_string()).collect();
        let mut expected: Vec<_> = labels(500).map(|label| label.to_string()).collect();
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
        // Of a stranger nothing is taken away.
        census.leave(&Label::INTERACTIVE);
        assert_eq!(census.labels().count(), 500);
        labels(500).for_each(|label| census.leave(&label));
        assert_eq!(census.labels().count(), 0);
    }
}
