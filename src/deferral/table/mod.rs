//! The waiters, sorted: what stands behind the registry's lock. Decides, wakes nobody itself.
//!
//! ```text
//! index   (label, destination) -> line
//! line    label, destination, verdict by a snapshot and a policy
//!           holds     x <-> x <-> x              who runs on a network of the verdict, or did
//!           waits  5  x <-> x                    who waits, by priority,
//!                  0  x <-> x <-> x <-> x        each queue in order of arrival
//!           cursor          ^                    whom the present sweep wakes next
//! alarms  (instant, entry)                       deadlines, relaxations, held-back starts
//! ```
//!
//! An entry lives in a slab and is linked through it, so joining and leaving cost the same however
//! long the line is. A line is judged once a snapshot and policy, by whoever comes first, and exists
//! while somebody stands in it. The wakers to be called are handed out in batches: nothing of a user's
//! runs under the lock, and nobody holds it for long.

mod find;
mod sweep;

use super::cells::{Verdict, Verdicts};
use super::line::{EMPTY, Entry, Line, NONE, Role, Stamp, Timing, View};
use super::metrics::End;
use super::operation::Operation;
use super::registry::Key;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::Network;
use slab::Slab;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

/// How many wakers are called, and how many lines judged, between two takes of the lock.
pub(in crate::deferral) const BATCH: usize = 512;

/// Below this an empty table keeps its memory.
const SMALL: usize = 32;

/// What joins a line.
pub(in crate::deferral) struct Joining {
    pub(in crate::deferral) operation: Operation,
    pub(in crate::deferral) role: Role,
    pub(in crate::deferral) timing: Option<Box<Timing>>,
    pub(in crate::deferral) since: Instant,
    pub(in crate::deferral) priority: i8,
}

/// What became of a waiting entry.
pub(in crate::deferral) enum Fate {
    Matched(Arc<[Network]>, Label),
    Cancelled,
    ScoutGone,
    TimedOut(Unmatched),
    NoMatch(Unmatched),
}

impl Fate {
    pub(in crate::deferral) fn end(&self) -> End {
        match self {
            Fate::Matched(..) => End::Matched,
            Fate::Cancelled => End::Cancelled,
            Fate::TimedOut(_) => End::TimedOut,
            Fate::ScoutGone | Fate::NoMatch(_) => End::Refused,
        }
    }
}

/// What an explanation needs to know.
pub(in crate::deferral) struct Unmatched {
    pub(in crate::deferral) label: Label,
    pub(in crate::deferral) to: Destination,
    /// The label first asked for, if a looser one took over.
    pub(in crate::deferral) strict: Option<Label>,
    /// Since when it waits, if it did.
    pub(in crate::deferral) since: Option<Instant>,
}

impl Unmatched {
    /// For one that does not wait.
    pub(in crate::deferral) fn asked(label: Label, to: &Destination) -> Self {
        Unmatched {
            label,
            to: to.clone(),
            strict: None,
            since: None,
        }
    }
}

/// How the watch over a match ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deferral) enum Ended {
    /// The network no longer admits the label, or is gone; where that was so before, it admits it
    /// again.
    Turned,
    /// The time set on the hold is over.
    Overdue,
}

/// One pending operation, for a listing.
pub(in crate::deferral) struct Listed {
    pub(in crate::deferral) operation: Operation,
    pub(in crate::deferral) line: Key,
    pub(in crate::deferral) label: Label,
    pub(in crate::deferral) strict: Option<Label>,
    pub(in crate::deferral) to: Destination,
    pub(in crate::deferral) since: Instant,
    pub(in crate::deferral) deadline: Option<Instant>,
    pub(in crate::deferral) relax: Option<(Instant, Label)>,
    pub(in crate::deferral) priority: i8,
}

#[derive(Default)]
pub(in crate::deferral) struct Table {
    entries: Slab<Entry>,
    lines: Slab<Line>,
    index: HashMap<(Label, Destination), Key>,
    verdicts: Verdicts,
    alarms: BTreeSet<(Instant, Key)>,
    /// The first line the present sweep has not finished, and what it judges by.
    swept: (Stamp, usize),
    /// Memory is given back when fewer entries than this are left.
    shrink_at: usize,
    /// The scout is gone.
    pub(in crate::deferral) closed: bool,
}

impl Table {
    /// The line of this label and destination, judged, if anybody stands in it.
    pub(in crate::deferral) fn known(
        &mut self,
        view: &View<'_>,
        label: &Label,
        to: &Destination,
    ) -> Option<(Key, Verdict)> {
        if self.lines.is_empty() {
            return None;
        }
        let key = *self.index.get(&(*label, to.clone()))?;
        let line = &mut self.lines[key as usize];
        line.judge(view, &mut self.verdicts);
        Some((key, line.verdict.clone()))
    }

    /// Puts an entry at the end of a line, which was judged: see [`Table::poll`] for what that
    /// leaves to be done.
    pub(in crate::deferral) fn join(&mut self, line: Key, joining: Joining) -> Key {
        let key = self.entries.insert(Entry {
            waker: None,
            operation: joining.operation,
            timing: joining.timing,
            since: joining.since,
            role: joining.role,
            line,
            previous: NONE,
            next: NONE,
            priority: joining.priority,
            cancelled: false,
        });
        let key = Key::try_from(key).expect("fewer than 2^32 operations wait at once");
        assert_ne!(key, NONE, "fewer than 2^32 operations wait at once");
        self.shrink_at = self.shrink_at.max(self.entries.len() / 2);
        self.link(key);
        self.rearm(key);
        key
    }

    /// The line of this label and destination, made and judged if need be.
    pub(in crate::deferral) fn line(
        &mut self,
        view: &View<'_>,
        label: Label,
        to: &Destination,
    ) -> Key {
        let (lines, verdicts) = (&mut self.lines, &mut self.verdicts);
        let line = *self.index.entry((label, to.clone())).or_insert_with(|| {
            let verdict = verdicts.look(view, &label, to);
            let line = lines.insert(Line {
                label,
                to: to.clone(),
                judged: view.stamp(),
                verdict,
                holds: EMPTY,
                regains: 0,
                waits: Vec::new(),
                cursor: NONE,
            });
            Key::try_from(line).expect("no more lines than entries")
        });
        self.lines[line as usize].judge(view, &mut self.verdicts);
        line
    }

    fn link(&mut self, key: Key) {
        let (role, priority, line) = {
            let entry = &self.entries[key as usize];
            (entry.role, entry.priority, entry.line)
        };
        let line = &mut self.lines[line as usize];
        let queue = match role {
            Role::Hold(_) | Role::Regain(_) => {
                line.regains += u32::from(matches!(role, Role::Regain(_)));
                &mut line.holds
            }
            Role::Wait => {
                let waits = &mut line.waits;
                let at = waits.partition_point(|(other, _)| *other > priority);
                if waits.get(at).is_none_or(|(other, _)| *other != priority) {
                    waits.insert(at, (priority, EMPTY));
                }
                &mut waits[at].1
            }
        };
        let last = std::mem::replace(&mut queue.tail, key);
        if last == NONE {
            queue.head = key;
        } else {
            self.entries[last as usize].next = key;
        }
        let entry = &mut self.entries[key as usize];
        (entry.previous, entry.next) = (last, NONE);
    }

    /// Takes an entry out of its line, and the line away with its last entry.
    fn unlink(&mut self, key: Key) {
        let after = self.successor(key);
        let entry = &self.entries[key as usize];
        let (previous, next) = (entry.previous, entry.next);
        let (role, priority, at) = (entry.role, entry.priority, entry.line);
        let line = &mut self.lines[at as usize];
        if line.cursor == key {
            line.cursor = after;
        }
        line.regains -= u32::from(matches!(role, Role::Regain(_)));
        let place = line.waits.iter().position(|(other, _)| *other == priority);
        let queue = match (role, place) {
            (Role::Wait, Some(place)) => &mut line.waits[place].1,
            _ => &mut line.holds,
        };
        if previous == NONE {
            queue.head = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next == NONE {
            queue.tail = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
        if let (Role::Wait, Some(place), NONE) = (role, place, queue.head) {
            line.waits.remove(place);
        }
        if line.is_empty() {
            let line = self.lines.remove(at as usize);
            self.index.remove(&(line.label, line.to));
        }
    }

    /// Who is visited after this entry in a sweep of its line.
    fn successor(&self, key: Key) -> Key {
        let entry = &self.entries[key as usize];
        if entry.next != NONE {
            return entry.next;
        }
        let line = &self.lines[entry.line as usize];
        match entry.role {
            Role::Hold(_) | Role::Regain(_) => line.first_wait(),
            Role::Wait => line
                .waits
                .iter()
                .find(|(priority, _)| *priority < entry.priority)
                .map_or(NONE, |(_, queue)| queue.head),
        }
    }

    /// Removes an entry; what it held is the caller's to drop, outside the lock.
    pub(in crate::deferral) fn remove(&mut self, key: Key) -> Entry {
        if !self.entries[key as usize].cancelled {
            self.unlink(key);
        }
        if let Some(at) = self.entries[key as usize]
            .timing
            .as_ref()
            .and_then(|t| t.alarm)
        {
            self.alarms.remove(&(at, key));
        }
        let entry = self.entries.remove(key as usize);
        self.shrink();
        entry
    }

    /// Gives memory back after a crowd left; seldom enough to cost nothing an entry.
    fn shrink(&mut self) {
        if self.entries.len() > self.shrink_at || self.entries.capacity() <= SMALL {
            return;
        }
        if self.entries.is_empty() {
            (self.entries, self.lines) = (Slab::new(), Slab::new());
            self.index = HashMap::new();
            self.verdicts = Verdicts::default();
        } else {
            self.entries.shrink_to_fit();
            self.lines.shrink_to_fit();
            self.index.shrink_to_fit();
        }
        self.shrink_at = self.entries.len() / 2;
    }

    /// Looks at a waiting entry: its fate, or the waker is kept and the one that was there given
    /// for it. Whichever is left is the caller's to drop, outside the lock.
    pub(in crate::deferral) fn poll(
        &mut self,
        key: Key,
        view: &View<'_>,
        waker: &mut Option<Waker>,
    ) -> Poll<Fate> {
        if self.entries[key as usize].cancelled {
            return Poll::Ready(Fate::Cancelled);
        }
        self.settle(key, view);
        let entry = &mut self.entries[key as usize];
        let line = &mut self.lines[entry.line as usize];
        line.judge(view, &mut self.verdicts);
        let timing = entry.timing.as_ref();
        let deadline = timing.and_then(|timing| timing.deadline);
        let unmatched = || Unmatched {
            label: line.label,
            to: line.to.clone(),
            strict: entry.strict(),
            since: Some(entry.since),
        };
        if !entry.held_back() {
            if let Some(networks) = &line.verdict {
                return Poll::Ready(Fate::Matched(networks.clone(), line.label));
            }
            if timing.is_some_and(|timing| timing.no_wait) {
                return Poll::Ready(Fate::NoMatch(unmatched()));
            }
        }
        if deadline.is_some_and(|deadline| deadline <= view.now()) {
            return Poll::Ready(Fate::TimedOut(unmatched()));
        }
        if self.closed {
            return Poll::Ready(Fate::ScoutGone);
        }
        std::mem::swap(&mut entry.waker, waker);
        Poll::Pending
    }

    /// Looks at a hold: how it ended, or the waker is kept.
    pub(in crate::deferral) fn poll_hold(
        &mut self,
        key: Key,
        view: &View<'_>,
        waker: &mut Option<Waker>,
    ) -> Poll<Ended> {
        let entry = &mut self.entries[key as usize];
        let line = &mut self.lines[entry.line as usize];
        line.judge(view, &mut self.verdicts);
        if entry.role.is_met(line) {
            return Poll::Ready(Ended::Turned);
        }
        let deadline = entry.timing.as_ref().and_then(|timing| timing.deadline);
        if deadline.is_some_and(|deadline| deadline <= view.now()) {
            return Poll::Ready(Ended::Overdue);
        }
        entry.operation.clear_signal();
        std::mem::swap(&mut entry.waker, waker);
        Poll::Pending
    }

    /// Sets another deadline on a hold.
    pub(in crate::deferral) fn set_deadline(&mut self, key: Key, deadline: Option<Instant>) {
        let timing = &mut self.entries[key as usize].timing;
        timing.get_or_insert_default().deadline = deadline;
        self.rearm(key);
    }

    /// Applies what became due to an entry, but for its deadline.
    fn settle(&mut self, key: Key, view: &View<'_>) {
        let entry = &mut self.entries[key as usize];
        let Some(timing) = &mut entry.timing else {
            return;
        };
        if timing.not_before.is_some_and(|at| at <= view.now()) {
            timing.not_before = None;
        }
        if let Some(relax) = &mut timing.relax
            && relax.at.is_some_and(|at| at <= view.now())
        {
            let line = &self.lines[entry.line as usize];
            let to = line.to.clone();
            relax.at = None;
            let looser = std::mem::replace(&mut relax.other, line.label);
            self.unlink(key);
            // A place in line counts from when one joined it: the end is right.
            self.entries[key as usize].line = self.line(view, looser, &to);
            self.link(key);
        }
        self.rearm(key);
    }

    /// Puts the next of an entry's times among the alarms.
    fn rearm(&mut self, key: Key) {
        let Some(timing) = &mut self.entries[key as usize].timing else {
            return;
        };
        let next = timing.next();
        if timing.alarm == next {
            return;
        }
        let before = std::mem::replace(&mut timing.alarm, next);
        if let Some(at) = before {
            self.alarms.remove(&(at, key));
        }
        if let Some(at) = next {
            self.alarms.insert((at, key));
        }
    }

    /// When something is due next.
    pub(in crate::deferral) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Withdraws a wait; it keeps its entry until it is polled or dropped. Its kind, and the waker
    /// to call.
    pub(in crate::deferral) fn cancel(&mut self, key: Key) -> (&'static str, Option<Waker>) {
        self.unlink(key);
        let entry = &mut self.entries[key as usize];
        entry.cancelled = true;
        if let Some(mut timing) = entry.timing.take()
            && let Some(at) = timing.alarm.take()
        {
            self.alarms.remove(&(at, key));
        }
        let entry = &mut self.entries[key as usize];
        (entry.operation.kind(), entry.waker.take())
    }

    pub(in crate::deferral) fn take_waker(&mut self, key: Key) -> Option<Waker> {
        self.entries[key as usize].waker.take()
    }

    pub(in crate::deferral) fn footprint(&self) -> Footprint {
        Footprint {
            entries: self.entries.len(),
            lines: self.lines.len(),
            alarms: self.alarms.len(),
            capacity: self.entries.capacity() + self.lines.capacity() + self.index.capacity(),
        }
    }
}

/// What a registry holds memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
#[non_exhaustive]
pub struct Footprint {
    /// Operations and holds.
    pub entries: usize,
    /// Labels and destinations that anybody stands in line for.
    pub lines: usize,
    /// Deadlines and the like.
    pub alarms: usize,
    /// Entries and lines that memory is there for.
    pub capacity: usize,
}
