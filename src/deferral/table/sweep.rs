//! Who is woken, and in which order: the rounds of the registry's task through the table.

use super::{BATCH, Table};
use crate::deferral::line::{Entry, NONE, View};
use std::task::Waker;

impl Table {
    /// Fills `batch` with the wakers of whom this moment concerns, in the order to call them.
    /// True if there are more.
    pub(in crate::deferral) fn sweep(&mut self, view: &View<'_>, batch: &mut Vec<Waker>) -> bool {
        if self.swept.0 != view.stamp() {
            self.swept = (view.stamp(), 0);
        }
        let mut judged = 0;
        while self.swept.1 < self.lines.capacity() {
            let Some(line) = self.lines.get_mut(self.swept.1) else {
                self.swept.1 += 1;
                continue;
            };
            if judged == BATCH {
                return true;
            }
            judged += 1;
            line.judge(view, &mut self.verdicts);
            while self.lines[self.swept.1].cursor != NONE {
                if batch.len() == BATCH {
                    return true;
                }
                self.visit(self.swept.1, batch);
            }
            self.swept.1 += 1;
        }
        self.ring(view, batch)
    }

    /// Wakes the entry under a line's cursor if the verdict concerns it, and moves on.
    fn visit(&mut self, line: usize, batch: &mut Vec<Waker>) {
        let key = self.lines[line].cursor;
        let after = self.successor(key);
        let line = &mut self.lines[line];
        line.cursor = after;
        let entry = &mut self.entries[key as usize];
        if entry.role.is_met(line) && !entry.held_back() {
            batch.extend(entry.told());
        }
    }

    /// Lets the alarms ring that are due.
    fn ring(&mut self, view: &View<'_>, batch: &mut Vec<Waker>) -> bool {
        while let Some(&(at, key)) = self.alarms.first()
            && at <= view.now()
        {
            if batch.len() == BATCH {
                return true;
            }
            self.settle(key, view);
            let entry = &mut self.entries[key as usize];
            let timing = entry.timing.as_mut().expect("an alarm comes from a timing");
            if timing
                .deadline
                .is_some_and(|deadline| deadline <= view.now())
            {
                self.alarms.remove(&(at, key));
                timing.alarm = None;
            } else if entry.held_back()
                || self.lines[entry.line as usize].verdict.is_none()
                    && !entry.timing.as_ref().is_some_and(|timing| timing.no_wait)
            {
                continue;
            }
            batch.extend(entry.told());
        }
        false
    }

    /// Ends every wait with `ScoutGone`; their wakers, line by line in order of place.
    pub(in crate::deferral) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        self.take_wakers()
    }

    /// The wakers of all who wait, line by line in order of place.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let lines: Vec<usize> = self.lines.iter().map(|(line, _)| line).collect();
        for line in lines {
            self.for_waits(line, |entry| wakers.extend(entry.waker.take()));
        }
        wakers
    }

    /// The waker of every wait, to be called; how many wait.
    pub(in crate::deferral) fn nudge_all(&mut self) -> (Vec<Waker>, usize) {
        let waiting = self.waiting().count();
        (self.take_wakers(), waiting)
    }

    fn for_waits(&mut self, line: usize, mut each: impl FnMut(&mut Entry)) {
        for (_, queue) in &self.lines[line].waits {
            let mut key = queue.head;
            while key != NONE {
                let entry = &mut self.entries[key as usize];
                key = entry.next;
                each(entry);
            }
        }
    }
}
