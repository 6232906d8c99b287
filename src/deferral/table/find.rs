//! Looks at what waits: by label, by number, all of it.

use super::{BATCH, Listed, Table, Unmatched};
use crate::deferral::line::Entry;
use crate::deferral::operation::{Operation, OperationId};
use crate::deferral::registry::Key;
use crate::label::Label;

impl Table {
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Key, &Entry)> {
        let entries = self.entries.iter().map(|(key, entry)| (key as Key, entry));
        entries.filter(|(_, entry)| entry.waits())
    }

    /// The waits of a label, also of those that asked for it and were relaxed since; in order. Not those
    /// of established streams: who withdraws what has not begun yet does not mean them.
    pub(in crate::deferral) fn waits_of(&self, label: &Label) -> Vec<Key> {
        let mut found = Vec::new();
        for (_, line) in self.lines.iter().filter(|(_, line)| line.label == *label) {
            for (_, queue) in &line.waits {
                let mut key = queue.head;
                while key != super::NONE {
                    let entry = &self.entries[key as usize];
                    if !entry.operation.is_established() {
                        found.push(key);
                    }
                    key = entry.next;
                }
            }
        }
        let relaxed = self.waiting().filter(|(_, entry)| {
            self.lines[entry.line as usize].label != *label
                && entry.strict() == Some(*label)
                && !entry.operation.is_established()
        });
        found.extend(relaxed.map(|(key, _)| key));
        found
    }

    /// The wait with this number.
    pub(in crate::deferral) fn wait_with(&self, id: OperationId) -> Option<(Key, &Operation)> {
        let mut waiting = self.waiting();
        let found = waiting.find(|(_, entry)| entry.operation.id() == id);
        found.map(|(key, entry)| (key, &entry.operation))
    }

    /// True if this entry is that operation's and still waits.
    pub(in crate::deferral) fn waits(&self, key: Key, operation: &Operation) -> bool {
        self.entries
            .get(key as usize)
            .is_some_and(|entry| entry.waits() && entry.operation.is(operation))
    }

    /// What there is to explain of a wait.
    pub(in crate::deferral) fn unmatched(&self, key: Key) -> Unmatched {
        let entry = &self.entries[key as usize];
        let line = &self.lines[entry.line as usize];
        Unmatched {
            label: line.label,
            to: line.to.clone(),
            strict: entry.strict(),
            since: Some(entry.since),
        }
    }

    /// Adds the waits among the next [`BATCH`] places from this one on, in no order; where to go on.
    pub(in crate::deferral) fn numbers(
        &self,
        from: usize,
        found: &mut Vec<(OperationId, Key)>,
    ) -> Option<usize> {
        let to = from.saturating_add(BATCH);
        let waits = |key: usize| {
            let entry = self.entries.get(key).filter(|entry| entry.waits())?;
            Some((entry.operation.id(), key as Key))
        };
        found.extend((from..to).filter_map(waits));
        (to < self.entries.capacity()).then_some(to)
    }

    /// What there is to list of the wait with this number, if it is still there.
    pub(in crate::deferral) fn listed(&self, (id, key): (OperationId, Key)) -> Option<Listed> {
        let entry = self.entries.get(key as usize)?;
        if !entry.waits() || entry.operation.id() != id {
            return None;
        }
        let line = &self.lines[entry.line as usize];
        let timing = entry.timing.as_deref();
        Some(Listed {
            operation: entry.operation.clone(),
            line: entry.line,
            label: line.label,
            strict: entry.strict(),
            to: line.to.clone(),
            since: entry.since,
            deadline: timing.and_then(|timing| timing.deadline),
            relax: timing.and_then(|timing| timing.looser()),
            priority: entry.priority,
        })
    }
}
