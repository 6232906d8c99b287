//! Messages of one urgency that have something to send, by label: all of one label may go by the same
//! paths, so a label that no path admits is passed over at once, however many messages carry it.

use std::collections::BTreeSet;

use crate::label::Label;

#[derive(Debug)]
struct Group {
    label: Label,
    /// They have taken their credit: parts of them may go.
    begun: BTreeSet<u64>,
    /// They have not.
    new: BTreeSet<u64>,
}

/// In the order of their numbers, those that are begun first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    groups: Vec<Group>,
}

/// The next of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: u64,
    pub(super) label: Label,
    pub(super) begun: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn insert(&mut self, label: &Label, id: u64, begun: bool) {
        let known = self.groups.iter().position(|group| group.label == *label);
        let index = known.unwrap_or_else(|| {
            self.groups.push(Group {
                label: *label,
                begun: BTreeSet::new(),
                new: BTreeSet::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        if begun {
            group.new.remove(&id);
            group.begun.insert(id);
        } else {
            group.begun.remove(&id);
            group.new.insert(id);
        }
    }

    pub(super) fn remove(&mut self, label: &Label, id: u64) {
        let known = self.groups.iter().position(|group| group.label == *label);
        if let Some(index) = known {
            let group = &mut self.groups[index];
            let _ = group.begun.remove(&id) || group.new.remove(&id);
            if group.begun.is_empty() && group.new.is_empty() {
                self.groups.swap_remove(index);
            }
        }
    }

    /// The first that `admits` its label and, if it is not begun, for which there `is_room`. Nobody of
    /// its label goes before one for which there is none, or it might wait for ever.
    pub(super) fn next(
        &self,
        mut admits: impl FnMut(&Label, u64) -> bool,
        is_room: impl Fn(u64) -> bool,
    ) -> Option<Head> {
        let mut best: Option<Head> = None;
        for group in &self.groups {
            let begun = group.begun.first().map(|id| (*id, true));
            let new = group.new.first().filter(|id| is_room(**id));
            let Some((id, begun)) = begun.or(new.map(|id| (*id, false))) else {
                continue;
            };
            let label = group.label;
            let earlier = |best: &Head| (!best.begun, best.id) < (!begun, id);
            if !best.as_ref().is_some_and(earlier) && admits(&label, id) {
                best = Some(Head { id, label, begun });
            }
        }
        best
    }

    pub(super) fn clear(&mut self) {
        self.groups = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_path_is_passed_over() {
        let mut queue = Queue::default();
        queue.insert(&Label::BACKGROUND, 1, false);
        queue.insert(&Label::ANY, 2, false);
        queue.insert(&Label::ANY, 3, true);
        let next = |queue: &Queue, admitted: Label| {
            let head = queue.next(|label, _| *label == admitted, |_| true);
            head.map(|head| head.id)
        };
        assert_eq!(next(&queue, Label::BACKGROUND), Some(1));
        assert_eq!(next(&queue, Label::ANY), Some(3), "what was begun first");
        assert_eq!(next(&queue, Label::INTERACTIVE), None);
        queue.remove(&Label::ANY, 3);
        assert_eq!(next(&queue, Label::ANY), Some(2));
        queue.insert(&Label::ANY, 4, false);
        let roomless = queue.next(|label, _| *label == Label::ANY, |id| id != 2);
        assert_eq!(roomless, None, "in turn");
    }
}
