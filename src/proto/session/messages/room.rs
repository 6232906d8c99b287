//! What there is room for, by urgency: in the buffer here, and in the peer's window.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::outgoing::{Outgoing, URGENCIES};
use super::{MAX_UNSETTLED, MAX_WRITTEN};
use crate::label::{Label, Urgency};
use crate::proto::session::Event;

/// What is bounded by urgency.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Bytes held, overhead included, and messages not settled with the peer.
    pub(super) used: usize,
    pub(super) count: usize,
    /// What the peer lets be sent, and what was charged of it; from the start of the session.
    pub(super) granted: u64,
    pub(super) charged: u64,
    /// Messages sent without `after`, in that order.
    pub(super) chain: BTreeMap<u64, u64>,
    /// The last of them that was delivered, and its number on the wire.
    pub(super) delivered: Option<(u64, u64)>,
    /// One of so many bytes found no room.
    pub(super) wanted: Option<usize>,
    /// Messages being written.
    pub(super) writers: BTreeSet<u64>,
    /// The one of them that grew beyond the buffer, and may be finished by now.
    pub(super) overrun: Option<u64>,
}

impl Lane {
    /// Takes what there is room for of a piece of a message that is being written.
    ///
    /// The first one is never stopped by the others, which might wait for it: it goes on beyond the
    /// buffer. Once one did, nobody else does before that one's bytes are gone (it waits for none that is
    /// still being written), or the buffer has room again.
    pub(super) fn take(&mut self, id: u64, length: usize, limit: usize) -> usize {
        let room = limit.saturating_sub(self.used);
        let first = self.writers.first() == Some(&id);
        let taken = match first && self.overrun.is_none_or(|other| other == id) {
            true => length,
            false => room.min(length),
        };
        if taken > room {
            self.overrun = Some(id);
        }
        if taken == 0 {
            self.wanted = Some(1);
        }
        self.used += taken;
        taken
    }
}

impl Outgoing {
    /// Whether the buffer of an urgency has room again after a message that went beyond it.
    pub(super) fn check_overrun(&mut self, lane: usize) {
        let holds = |id: u64| {
            let record = self.records.get(&id);
            self.writing.contains_key(&id) || record.is_some_and(|record| !record.bytes.is_empty())
        };
        let Lane { overrun, used, .. } = self.lanes[lane];
        self.lanes[lane].overrun = overrun.filter(|id| used > self.limit && holds(*id));
    }

    fn fits(&self, lane: usize, length: usize) -> bool {
        let lane = &self.lanes[lane];
        let bytes = lane.used == 0 || lane.used.saturating_add(length) <= self.limit;
        lane.count < MAX_UNSETTLED && bytes
    }

    /// Whether a message of this length is taken; if not, `MessageRoom` follows.
    pub(super) fn has_room(&mut self, urgency: Urgency, length: usize) -> bool {
        let lane = urgency as usize;
        let fits = self.fits(lane, length);
        if !fits {
            self.lanes[lane].wanted = Some(length);
        }
        fits
    }

    /// Whether another message may be begun to be written; if not, `MessageRoom` follows. Of those there
    /// are at most half of all, so that what is never finished keeps nobody from sending.
    pub(super) fn has_room_to_write(&mut self, urgency: Urgency) -> bool {
        let lane = &mut self.lanes[urgency as usize];
        if lane.writers.len() >= MAX_WRITTEN {
            lane.wanted = Some(0);
            return false;
        }
        self.has_room(urgency, 0)
    }

    /// Something went: whoever waits for room may try again.
    pub(super) fn freed(&mut self, lane: usize) {
        if let Some(length) = self.lanes[lane].wanted
            && (self.fits(lane, length) || !self.lanes[lane].writers.is_empty())
        {
            self.lanes[lane].wanted = None;
            self.events.push_back(Event::MessageRoom(URGENCIES[lane]));
        }
    }

    /// The sender waits, or soon will, for an acknowledgement.
    pub(super) fn is_pressed(&self, label: &Label) -> bool {
        let lane = &self.lanes[label.urgency() as usize];
        lane.used > self.limit / 16 * 15 || lane.count > MAX_UNSETTLED / 4 * 3
    }

    pub(super) fn buffered(&self) -> usize {
        self.lanes.iter().map(|lane| lane.used).sum()
    }

    /// Bytes of an urgency that are not acknowledged, sent or not.
    pub(super) fn held(&self, urgency: Urgency) -> u64 {
        self.lanes[urgency as usize].used as u64
    }

    pub(super) fn credit(&mut self, urgency: usize, highest: u64) {
        let lane = &mut self.lanes[urgency];
        lane.granted = lane.granted.max(highest);
    }

    /// What is charged comes back: the peer never heard of it.
    pub(super) fn uncharge(&mut self, id: u64) {
        if let Some(record) = self.records.get_mut(&id)
            && std::mem::take(&mut record.begun)
        {
            self.lanes[record.own()].charged -= record.charge;
        }
    }

    /// The credit that a message took is of another urgency from now on. Where there is none it has to
    /// take it anew, before all that comes after it: `false` if some of that was begun already.
    pub(super) fn move_charge(&mut self, id: u64, urgency: usize) -> bool {
        let Some(record) = self.records.get(&id) else {
            return false;
        };
        let (own, charge) = (record.own(), record.charge);
        if !record.begun || own == urgency {
            return true;
        }
        let lane = &mut self.lanes[urgency];
        if lane.charged.saturating_add(charge) <= lane.granted {
            lane.charged += charge;
            self.lanes[own].charged -= charge;
            return true;
        }
        let is_begun = |id: &u64| self.records.get(id).is_some_and(|record| record.begun);
        if record.followers.iter().any(is_begun) {
            return false;
        }
        self.uncharge(id);
        self.unmark_sent(id);
        true
    }

    /// Its payload is not needed any more.
    pub(super) fn drop_payload(&mut self, id: u64) {
        if let Some(record) = self.records.get_mut(&id) {
            let freed = record.bytes.len();
            record.bytes = Bytes::new();
            record.weight -= freed;
            let lane = record.lane;
            self.lanes[lane].used -= freed;
            self.freed(lane);
        }
    }
}
