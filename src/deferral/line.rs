//! What stands in the table: entries, the lines they form, and how a line is judged.

use super::cells::{Verdict, Verdicts};
use super::operation::Operation;
use super::registry::Key;
use super::settings::Settings;
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::{Blocked, Destination, Policy};
use crate::network::{Network, NetworkId, Snapshot};
use std::cell::OnceCell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// No entry.
pub(super) const NONE: Key = Key::MAX;

/// The pure function that decides, or a test's stand-in for it.
pub(super) type Judge =
    fn(&Snapshot, &Label, &Destination, &Policy) -> Result<Vec<Network>, Box<Blocked>>;

/// What a verdict was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    /// Of the snapshot.
    pub(super) generation: u64,
    /// Of the policy.
    pub(super) revision: u64,
}

/// What is looked at, with which eyes, and when.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) settings: Arc<Settings>,
    pub(super) judge: Judge,
    /// Read at the first question: most entries have no times.
    pub(super) now: OnceCell<Instant>,
}

impl View<'_> {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            generation: self.snapshot.generation(),
            revision: self.settings.revision,
        }
    }

    pub(super) fn look(
        &self,
        label: &Label,
        to: &Destination,
    ) -> Result<Vec<Network>, Box<Blocked>> {
        (self.judge)(self.snapshot, label, to, &self.settings.policy)
    }

    pub(super) fn now(&self) -> Instant {
        *self.now.get_or_init(Clock::now)
    }
}

/// What an entry waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A match.
    Wait,
    /// The end of this network's match.
    Hold(NetworkId),
    /// That this network matches again.
    Regain(NetworkId),
}

impl Role {
    /// Whether that is there, by this line's verdict.
    pub(super) fn is_met(self, line: &Line) -> bool {
        match self {
            Role::Wait => line.verdict.is_some(),
            Role::Hold(id) => !line.admits(id),
            Role::Regain(id) => line.admits(id),
        }
    }
}

/// The times that concern an entry; most have none and pay a pointer.
#[derive(Debug, Default)]
pub(super) struct Timing {
    pub(super) deadline: Option<Instant>,
    /// Not to be woken by a match before then.
    pub(super) not_before: Option<Instant>,
    pub(super) relax: Option<Box<Relax>>,
    /// Ends with `NoMatch` instead of waiting, once `not_before` is over.
    pub(super) no_wait: bool,
    /// Which of them stands in `alarms`.
    pub(super) alarm: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Relax {
    /// When the other label takes over; `None` after it did.
    pub(super) at: Option<Instant>,
    /// The other label: before, the looser one; afterwards, the one first asked for.
    pub(super) other: Label,
}

impl Timing {
    /// Nothing but a deadline.
    pub(super) fn until(deadline: Instant) -> Self {
        Timing {
            deadline: Some(deadline),
            ..Timing::default()
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let relax = self.relax.as_ref().and_then(|relax| relax.at);
        [self.deadline, self.not_before, relax]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the looser label takes over, before it did.
    pub(super) fn looser(&self) -> Option<(Instant, Label)> {
        let relax = self.relax.as_ref()?;
        Some((relax.at?, relax.other))
    }
}

pub(super) struct Entry {
    pub(super) waker: Option<Waker>,
    pub(super) operation: Operation,
    pub(super) timing: Option<Box<Timing>>,
    pub(super) since: Instant,
    pub(super) role: Role,
    pub(super) line: Key,
    pub(super) previous: Key,
    pub(super) next: Key,
    pub(super) priority: i8,
    pub(super) cancelled: bool,
}

impl Entry {
    /// The waker to call, once.
    pub(super) fn told(&mut self) -> Option<Waker> {
        if self.role != Role::Wait {
            self.operation.signal();
        }
        self.waker.take()
    }

    /// Whether it waits, and was not withdrawn.
    pub(super) fn waits(&self) -> bool {
        self.role == Role::Wait && !self.cancelled
    }

    /// The label first asked for, if a looser one took over.
    pub(super) fn strict(&self) -> Option<Label> {
        let relax = self.timing.as_ref()?.relax.as_ref()?;
        relax.at.is_none().then_some(relax.other)
    }

    pub(super) fn held_back(&self) -> bool {
        self.timing
            .as_ref()
            .is_some_and(|timing| timing.not_before.is_some())
    }
}

/// The ends of a list through the slab.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    pub(super) head: Key,
    pub(super) tail: Key,
}

pub(super) const EMPTY: Queue = Queue {
    head: NONE,
    tail: NONE,
};

pub(super) struct Line {
    pub(super) label: Label,
    pub(super) to: Destination,
    /// What `verdict` was made from.
    pub(super) judged: Stamp,
    pub(super) verdict: Verdict,
    /// Of every role but `Wait`.
    pub(super) holds: Queue,
    /// How many of them are for a match that comes back.
    pub(super) regains: u32,
    /// Highest priority first, none empty.
    pub(super) waits: Vec<(i8, Queue)>,
    pub(super) cursor: Key,
}

impl Line {
    pub(super) fn first_wait(&self) -> Key {
        match (&self.verdict, self.waits.first()) {
            (Some(_), Some((_, queue))) => queue.head,
            _ => NONE,
        }
    }

    /// Judges this line by the view, once, and notes whom that concerns.
    pub(super) fn judge(&mut self, view: &View<'_>, verdicts: &mut Verdicts) {
        if self.judged == view.stamp() {
            return;
        }
        let before = self.verdict.take();
        self.verdict = verdicts.look(view, &self.label, &self.to);
        self.judged = view.stamp();
        let lost = lacks(&self.verdict, &before);
        let regained = self.regains > 0 && lacks(&before, &self.verdict);
        // A sweep of an older verdict may not have come to the end of the holds.
        let unfinished = self.cursor != NONE;
        self.cursor = match self.holds.head {
            head if head != NONE && (lost || regained || unfinished) => head,
            _ => self.first_wait(),
        };
    }

    pub(super) fn admits(&self, id: NetworkId) -> bool {
        admits(&self.verdict, id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.head == NONE && self.waits.is_empty()
    }
}

fn admits(verdict: &Verdict, id: NetworkId) -> bool {
    let networks = verdict.as_deref().unwrap_or_default();
    networks.iter().any(|network| network.id() == id)
}

/// Whether `other` admits a network that `verdict` does not.
fn lacks(verdict: &Verdict, other: &Verdict) -> bool {
    let others = other.as_deref().unwrap_or_default();
    others.iter().any(|network| !admits(verdict, network.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the essay.
    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 80, "{}", size_of::<Entry>());
        assert!(size_of::<Timing>() <= 64, "{}", size_of::<Timing>());
    }
}
