//! Labels as numbers: each direction of each path has a table of at most 64 definitions.
//!
//! Each byte carries the label of its write. It travels only on a path whose two ends' facts admit that
//! label, when it is sent again too. A chunk that no path admits waits, and what follows may overtake it
//! on the wire, within the window, but is not read before it. When facts change while a frame is half
//! written and its rest is forbidden, the path ends. Reads never cross a change of label. A label is
//! defined by number on each path before its first use there, without its interface's name; at most 64
//! are alive, and the sender gives the number used longest ago to the next.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::ProtocolError;
use super::frame::{MAX_LABELS, put_label};
use crate::label::Label;

/// What a label is called on the wire: its canonical text without the interface's name, which means
/// nothing to the other end.
fn text(label: &Label) -> String {
    label.without_interface().to_string()
}

fn parse(text: &str) -> Option<Label> {
    text.parse().ok()
}

/// Labels without a number of which a path remembers where it stands for them; with one more it begins
/// anew.
pub(super) const MAX_ASKED: usize = 1024;

/// The numbers this side gave out on one path.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    defined: Vec<Defined>,
    /// Where the last answer stands: most traffic has one label.
    last: usize,
    clock: u64,
    /// Where the path stands for labels without a number, by their hash: who has messages of hundreds
    /// of labels waiting asks of each of them again and again.
    asked: BTreeMap<u64, (Label, Option<u16>)>,
}

#[derive(Debug)]
struct Defined {
    label: Label,
    used: u64,
    /// Where the path stands for it, `None` within if it is forbidden; forgotten when the path's facts
    /// change.
    class: Option<Option<u16>>,
}

impl Numbers {
    fn find(&mut self, label: &Label) -> Option<usize> {
        if self.is_last(label) {
            return Some(self.last);
        }
        let found = self.defined.iter().position(|d| d.label == *label)?;
        self.last = found;
        Some(found)
    }

    /// Where the path stands for the label, from memory where it was asked before.
    pub(super) fn class(
        &mut self,
        label: &Label,
        ask: impl FnOnce() -> Option<u16>,
    ) -> Option<u16> {
        // Where all numbers are given, a label may well have none.
        if (self.defined.len() < MAX_LABELS || self.is_last(label))
            && let Some(index) = self.find(label)
        {
            return *self.defined[index].class.get_or_insert_with(ask);
        }
        let hash = hash(label);
        if let Some((known, class)) = self.asked.get(&hash)
            && known == label
        {
            return *class;
        }
        let class = ask();
        if self.asked.len() == MAX_ASKED {
            self.asked.clear();
        }
        self.asked.insert(hash, (*label, class));
        class
    }

    fn is_last(&self, label: &Label) -> bool {
        let last = self.defined.get(self.last);
        last.is_some_and(|defined| defined.label == *label)
    }

    /// The facts or the policy changed.
    pub(super) fn forget_classes(&mut self) {
        for defined in &mut self.defined {
            defined.class = None;
        }
        self.asked.clear();
    }

    /// Whether giving this label a number would take one from another label.
    pub(super) fn would_redefine(&mut self, label: &Label) -> bool {
        self.defined.len() == MAX_LABELS && self.find(label).is_none()
    }

    /// The label's number; its definition goes to `out` if it is new.
    pub(super) fn number(&mut self, label: &Label, out: &mut Vec<u8>) -> u8 {
        self.clock += 1;
        let used = self.clock;
        let index = match self.find(label) {
            Some(index) => {
                self.defined[index].used = used;
                return index as u8;
            }
            None if self.defined.len() < MAX_LABELS => {
                self.defined.push(Defined {
                    label: *label,
                    used,
                    class: None,
                });
                self.defined.len() - 1
            }
            None => {
                let (oldest, _) = (self.defined.iter().enumerate())
                    .min_by_key(|(_, defined)| defined.used)
                    .expect("the table is full");
                self.defined[oldest] = Defined {
                    label: *label,
                    used,
                    class: None,
                };
                oldest
            }
        };
        self.last = index;
        put_label(out, index as u8, &text(label));
        index as u8
    }
}

/// The same in every run, unlike what a `HashMap` makes.
fn hash(label: &Label) -> u64 {
    let mut hasher = DefaultHasher::new();
    label.hash(&mut hasher);
    hasher.finish()
}

/// The numbers the peer gave out on one path.
#[derive(Debug, Default)]
pub(super) struct Definitions(Vec<Option<Label>>);

impl Definitions {
    pub(super) fn define(&mut self, number: u8, name: &[u8]) -> Result<(), ProtocolError> {
        let label = std::str::from_utf8(name).ok().and_then(parse);
        let label = label.ok_or(ProtocolError::BadLabel)?;
        let index = usize::from(number);
        if index >= MAX_LABELS {
            return Err(ProtocolError::BadLabel);
        }
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(label);
        Ok(())
    }

    /// Whether a number is defined.
    pub(super) fn check(&self, number: u8) -> Result<(), ProtocolError> {
        match self.0.get(usize::from(number)) {
            Some(Some(_)) => Ok(()),
            _ => Err(ProtocolError::BadLabel),
        }
    }

    pub(super) fn get(&self, number: u8) -> Result<Label, ProtocolError> {
        match self.0.get(usize::from(number)) {
            Some(Some(label)) => Ok(*label),
            _ => Err(ProtocolError::BadLabel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(n: u64) -> Label {
        Label::new().bytes(n + 1)
    }

    #[test]
    fn a_path_is_asked_once_for_each_of_many_labels_until_its_facts_change() {
        let mut numbers = Numbers::default();
        let mut out = Vec::new();
        for n in 0..MAX_LABELS as u64 {
            numbers.number(&label(n), &mut out);
        }
        let class = |n: u64| (!n.is_multiple_of(3)).then_some(n as u16);
        let mut asked = 0;
        for turn in 0..10 {
            if turn == 5 {
                numbers.forget_classes();
            }
            for n in 0..1_000 {
                let answer = numbers.class(&label(n), || {
                    asked += 1;
                    class(n)
                });
                assert_eq!(answer, class(n));
            }
        }
        assert_eq!(asked, 2 * 1_000);
    }

    #[test]
    fn what_is_remembered_of_labels_is_bounded() {
        let mut numbers = Numbers::default();
        for n in 0..10 * MAX_ASKED as u64 {
            assert_eq!(numbers.class(&label(n), || Some(n as u16)), Some(n as u16));
            assert!(numbers.asked.len() <= MAX_ASKED);
        }
    }
}
