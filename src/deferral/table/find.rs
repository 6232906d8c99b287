//! Looks at what waits: by label, by number, all of it.

use super::{Listed, Table, Unmatched};
use crate::deferral::line::{Entry, Role};
use crate::deferral::operation::{Operation, OperationId};
use crate::deferral::registry::Key;
use crate::label::Label;

impl Table {
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Key, &Entry)> {
        let waiting = |entry: &Entry| entry.role == Role::Wait && !entry.cancelled;
        let entries = self.entries.iter().map(|(key, entry)| (key as Key, entry));
        entries.filter(move |(_, entry)| waiting(entry))
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
        self.entries.get(key as usize).is_some_and(|entry| {
            entry.role == Role::Wait && !entry.cancelled && entry.operation.is(operation)
        })
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

    /// Every wait, in no order.
    pub(in crate::deferral) fn list(&self) -> Vec<Listed> {
        let list = |(_, entry): (Key, &Entry)| {
            let line = &self.lines[entry.line as usize];
            let timing = entry.timing.as_deref();
            Listed {
                operation: entry.operation.clone(),
                line: entry.line,
                label: line.label,
                strict: entry.strict(),
                to: line.to.clone(),
                since: entry.since,
                deadline: timing.and_then(|timing| timing.deadline),
                relax: timing.and_then(|timing| timing.looser()),
                priority: entry.priority,
            }
        };
        self.waiting().map(list).collect()
    }
}
