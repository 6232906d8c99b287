//! How a message leaves: given another place by its label, no longer sent, settled, gone.

use std::time::Instant;

use super::outgoing::Outgoing;
use super::parts::Flying;
use super::record::{Record, State};
use super::room::Lane;
use super::{Fate, MessageId};
use crate::label::Label;
use crate::proto::session::Event;

impl Outgoing {
    /// Gives a message of which nothing was written another label. `false`, and nothing is done, where
    /// it has no room among those of the other urgency any more, and what comes after it was begun: that
    /// may hold the room, and comes after it.
    pub(super) fn relabel(&mut self, id: u64, label: Label) -> bool {
        if !self.move_charge(id, label.urgency() as usize) {
            return false;
        }
        let Some(record) = self.records.get_mut(&id) else {
            return false;
        };
        let old = std::mem::replace(&mut record.label, label);
        self.queues[record.rank].remove(&old, id);
        let urgency = label.urgency();
        // What has a number on the wire keeps its place: others may have named it there, and it must
        // not name what has a higher one. All before it was sent whole, so it waits for no room of theirs,
        // and what comes after it waits for it again if it lost its own.
        if record.seq.is_none() && record.link.is_some() && urgency != old.urgency() {
            self.move_to_end(id, urgency);
        }
        self.census.leave(&old);
        self.census.enter(&label);
        let Some(record) = self.records.get(&id) else {
            return false;
        };
        let followers = record.followers.iter();
        let ranks = followers.filter_map(|id| Some(self.records.get(id)?.rank));
        let rank = ranks.fold(urgency as usize, usize::min);
        let after = record.place.after.clone();
        if let Some(record) = self.records.get_mut(&id) {
            record.rank = rank;
        }
        self.raise(&after, rank);
        self.queue(id);
        true
    }

    /// Nothing more of it is sent, and nothing new comes after it unnamed.
    pub(super) fn retire(&mut self, id: u64, state: State) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let (was_live, label) = (record.is_live(), record.label);
        record.state = state;
        record.parts.clear(&mut self.flying);
        if let Some(at) = record.expires.take() {
            self.expiries.remove(&(at, id));
        }
        if let Some((chain, link)) = record.link.take() {
            self.lanes[chain].chain.remove(&link);
        }
        if was_live {
            self.census.leave(&label);
        }
        self.queue(id);
        self.drop_payload(id);
    }

    /// Its fate is known.
    pub(super) fn settle(&mut self, id: u64, fate: Fate) {
        if fate != Fate::Delivered {
            self.fates.failed(id, fate);
        }
        self.unsettled -= 1;
        let event = Event::MessageSettled(MessageId(id), fate);
        self.events.push_back(event);
    }

    /// Takes a message out of everything but the lists of those around it; its fate is the caller's.
    pub(super) fn remove(&mut self, id: u64) -> Option<Box<Record>> {
        let mut record = self.records.remove(&id)?;
        self.queues[record.rank].remove(&record.label, id);
        record.parts.clear(&mut self.flying);
        if let Some(seq) = record.seq {
            self.by_seq.remove(&seq);
        }
        if let Some(at) = record.expires {
            self.expiries.remove(&(at, id));
        }
        if let Some((chain, link)) = record.link {
            self.lanes[chain].chain.remove(&link);
        }
        if !record.is_live() {
            self.withdrawing.end(id);
            self.forgetting.end(id);
        } else {
            self.census.leave(&record.label);
        }
        let lane = &mut self.lanes[record.lane];
        lane.used -= record.weight;
        lane.count -= 1;
        self.freed(record.lane);
        Some(record)
    }

    /// When the next lifetime runs out.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// A message whose lifetime is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<u64> {
        let (at, id) = *self.expiries.first()?;
        (at <= now).then(|| {
            self.expiries.pop_first();
            id
        })
    }

    /// The session is over: nothing more is sent, and every fate is known.
    pub(super) fn end(&mut self) {
        let open: Vec<(u64, bool)> = (self.records.iter())
            .filter(|(_, record)| !record.settled())
            .map(|(id, record)| (*id, record.written))
            .chain(self.writing.keys().map(|id| (*id, false)))
            .collect();
        self.unsettled += self.writing.len();
        for (id, maybe_delivered) in open {
            self.settle(id, Fate::Lost { maybe_delivered });
        }
        self.records.clear();
        self.writing.clear();
        self.by_seq.clear();
        self.census.clear();
        self.expiries.clear();
        self.doomed.clear();
        self.unneeded.clear();
        self.late.clear();
        self.flying = Flying::default();
        for queue in &mut self.queues {
            queue.clear();
        }
        self.withdrawing.clear();
        self.forgetting.clear();
        for index in 0..3 {
            let wanted = self.lanes[index].wanted;
            self.lanes[index] = Lane {
                wanted,
                ..Lane::default()
            };
            self.freed(index);
        }
    }
}
