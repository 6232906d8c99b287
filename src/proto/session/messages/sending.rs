//! Whose turn it is: what of the messages goes next, and what has gone by which path.

use super::outgoing::Outgoing;
use super::parts::Part;
use super::queue::Head;
use crate::label::{Label, Urgency};

impl Outgoing {
    /// Puts a message where it stands by what it has to send.
    pub(super) fn queue(&mut self, id: u64) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let queue = &mut self.queues[record.rank];
        let may = record.begun || record.unsent == 0;
        if record.is_live() && may && record.parts.wants() {
            queue.insert(&record.label, id, record.begun);
        } else {
            queue.remove(&record.label, id);
        }
    }

    /// Messages are at least so urgent, and so is what they come after.
    pub(super) fn raise(&mut self, after: &[u64], rank: usize) {
        let mut todo: Vec<u64> = Vec::new();
        let mut ids = after.iter().copied();
        while let Some(id) = todo.pop().or_else(|| ids.next()) {
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            if record.rank <= rank {
                continue;
            }
            let before = std::mem::replace(&mut record.rank, rank);
            self.queues[before].remove(&record.label, id);
            todo.extend_from_slice(&record.place.after);
            if record.seq.is_some() {
                self.raised.push((id, rank));
            }
            self.queue(id);
        }
    }

    /// Whether something of this urgency waits, credit and paths aside.
    pub(super) fn waits(&self, urgency: usize) -> bool {
        !self.queues[urgency].is_empty()
    }

    /// What goes next on a path that `admits` labels.
    pub(super) fn next(
        &self,
        urgency: usize,
        admits: impl FnMut(&Label, u64) -> bool,
    ) -> Option<Head> {
        let is_room = |id: u64| {
            self.records.get(&id).is_some_and(|record| {
                let lane = &self.lanes[record.own()];
                lane.charged.saturating_add(record.charge) <= lane.granted
            })
        };
        self.queues[urgency].next(admits, is_room)
    }

    /// The next part of a message, of at most so many bytes; gives it its number and takes its credit.
    pub(super) fn part(&mut self, id: u64, limit: u64) -> Option<Part> {
        let record = self.records.get_mut(&id)?;
        let part = record.parts.next(limit)?;
        if !std::mem::replace(&mut record.begun, true) {
            self.lanes[record.own()].charged += record.charge;
        }
        if record.seq.is_none() {
            record.seq = Some(self.next_seq);
            self.by_seq.insert(self.next_seq, id);
            self.next_seq += 1;
        }
        Some(part)
    }

    /// Records that a part goes out on a path; another path may carry it too.
    pub(super) fn take(&mut self, id: u64, part: Part, slot: u8) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let background = record.rank == Urgency::Background as usize;
        record.parts.take(part, slot, background, &mut self.flying);
        if record.parts.is_whole() {
            self.mark_sent(id);
        }
        self.queue(id);
    }

    /// What comes after it need not wait for it any more.
    pub(super) fn mark_sent(&mut self, id: u64) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut record.sent_whole, true) {
            return;
        }
        let followers = std::mem::take(&mut record.followers);
        for &follower in &followers {
            if let Some(record) = self.records.get_mut(&follower) {
                record.unsent = record.unsent.saturating_sub(1);
                if record.unsent == 0 {
                    self.queue(follower);
                }
            }
        }
        if let Some(record) = self.records.get_mut(&id) {
            record.followers = followers;
        }
    }

    /// What comes after it, none of which was begun, waits for it again.
    pub(super) fn unmark_sent(&mut self, id: u64) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if !std::mem::take(&mut record.sent_whole) {
            return;
        }
        let followers = std::mem::take(&mut record.followers);
        for &follower in &followers {
            if let Some(record) = self.records.get_mut(&follower) {
                record.unsent += 1;
                self.queue(follower);
            }
        }
        if let Some(record) = self.records.get_mut(&id) {
            record.followers = followers;
        }
    }

    pub(super) fn untake(&mut self, id: u64, part: Part, slot: u8) {
        if let Some(record) = self.records.get_mut(&id)
            && record.is_live()
        {
            record.parts.untake(part, slot, &mut self.flying);
            self.queue(id);
        }
    }

    /// A path is gone, or no longer trusted: what flew on it is to be sent again.
    pub(super) fn lose(&mut self, slot: u8) {
        if self.flying.all[usize::from(slot)] == 0 {
            return;
        }
        let ids: Vec<u64> = self.records.keys().copied().collect();
        for id in ids {
            if let Some(record) = self.records.get_mut(&id)
                && record.parts.lose(slot, &mut self.flying)
            {
                self.queue(id);
            }
        }
    }
}
