//! The labels of messages that are to be sent, each with how many have it.

use crate::label::Label;

/// A few labels: a program has no more at once than it has kinds of traffic.
#[derive(Debug, Default)]
pub(super) struct Census(Vec<(Label, usize)>);

impl Census {
    pub(super) fn enter(&mut self, label: &Label) {
        match self.0.iter_mut().find(|(known, _)| known == label) {
            Some((_, count)) => *count += 1,
            None => self.0.push((*label, 1)),
        }
    }

    pub(super) fn leave(&mut self, label: &Label) {
        let known = self.0.iter().position(|(known, _)| known == label);
        if let Some(index) = known {
            self.0[index].1 -= 1;
            if self.0[index].1 == 0 {
                self.0.swap_remove(index);
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
