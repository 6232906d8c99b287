//! Messages to be sent: what waits, what is under way, what may still be answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::fates::Fates;
use super::parts::{Flying, Part, Parts};
use super::queue::{Head, Queue};
use super::writing::Writing;
use super::{Fate, MAX_UNSETTLED, MessageId, charge_of};
use crate::label::{Label, Urgency};
use crate::proto::session::{Event, MAX_PATHS};

/// What a message costs here beside its payload, bytes, and each message that it comes after.
pub(super) const OVERHEAD: usize = 256;
const OVERHEAD_NAMED: usize = 16;

/// What a message comes after, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one sent so before it; that one's predecessor, if it is given up.
    Chained,
    /// Those it needs: one given up, it is lost.
    Named,
    /// All before it, those that are given up excepted.
    Barrier,
}

/// What a message comes after.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Messages that are not delivered, by their ids.
    pub(super) after: Vec<u64>,
    /// Those that are, by their numbers on the wire: the peer's program may not have them yet.
    pub(super) seqs: Vec<u64>,
    /// All of a lower number.
    pub(super) below: u64,
}

/// Messages that were delivered whose numbers are remembered; what names another comes after all up to
/// the latest that is not.
const DELIVERED: usize = 16 << 10;

/// How far the giving up of a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// The peer is asked. `settled`: its fate is known already.
    Withdrawing {
        cause: Fate,
        settled: bool,
    },
    /// It will never be delivered. The peer keeps its number open until it hears FORGET, which goes once
    /// no message that needs it can be delivered (`told`), and once what it came after is settled
    /// (`clear`), so that what comes after it does not overtake that.
    Tomb {
        clear: bool,
        told: bool,
    },
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) label: Label,
    /// The urgency it was sent with, whose buffer it fills.
    pub(super) lane: usize,
    /// Its own urgency or that of the most urgent message that comes after it.
    pub(super) rank: usize,
    pub(super) kind: Kind,
    pub(super) bytes: Bytes,
    /// What it takes of the credit.
    pub(super) charge: u64,
    /// Its place among those sent without `after`.
    link: Option<u64>,
    /// Bytes that it counts against the buffer.
    weight: usize,
    /// Its number on the wire, once it was planned.
    pub(super) seq: Option<u64>,
    /// It took its credit: parts of it may go.
    pub(super) begun: bool,
    /// A byte of it was written to a link.
    pub(super) written: bool,
    pub(super) expires: Option<Instant>,
    pub(super) after: Vec<u64>,
    pub(super) seqs: Vec<u64>,
    pub(super) below: u64,
    pub(super) followers: Vec<u64>,
    /// Messages it comes after that were not sent whole yet.
    pub(super) unsent: usize,
    pub(super) sent_whole: bool,
    pub(super) state: State,
    pub(super) parts: Parts,
}

impl Record {
    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether its fate is told.
    pub(super) fn settled(&self) -> bool {
        match self.state {
            State::Live => false,
            State::Withdrawing { settled, .. } => settled,
            State::Tomb { .. } => true,
        }
    }

    fn own(&self) -> usize {
        self.label.urgency() as usize
    }
}

/// What is bounded by urgency.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Bytes held, overhead included, and messages not settled with the peer.
    pub(super) used: usize,
    pub(super) count: usize,
    /// What the peer lets be sent, and what was charged of it; from the start of the session.
    granted: u64,
    charged: u64,
    /// Messages sent without `after`, in that order.
    chain: BTreeMap<u64, u64>,
    /// The last of them that was delivered, and its number on the wire.
    delivered: Option<(u64, u64)>,
    /// One of so many bytes found no room.
    pub(super) wanted: Option<usize>,
    /// Messages being written, the first of which may grow as long as any.
    pub(super) writers: BTreeSet<u64>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    /// The buffer of an urgency, bytes.
    pub(super) limit: usize,
    /// The longest message the peer takes.
    pub(super) longest: u64,
    pub(super) records: BTreeMap<u64, Box<Record>>,
    pub(super) writing: BTreeMap<u64, Writing>,
    pub(super) by_seq: BTreeMap<u64, u64>,
    pub(super) next_id: u64,
    next_seq: u64,
    next_link: u64,
    queues: [Queue; 3],
    pub(super) lanes: [Lane; 3],
    /// The last message that came after everything; what it came after, if it was given up, and what was
    /// begun before it and finished later.
    pub(super) barrier: u64,
    pub(super) late: Vec<u64>,
    pub(super) expiries: BTreeSet<(Instant, u64)>,
    pub(super) fates: Fates,
    /// The numbers of messages that were delivered, the latest, and a number above all others.
    pub(super) delivered: BTreeMap<u64, u64>,
    pub(super) overflown: u64,
    labels: Vec<(Label, usize)>,
    pub(super) flying: Flying,
    /// Messages the peer is asked to give up, and those it is told to forget; what of it is to be told.
    pub(super) asking: BTreeSet<u64>,
    pub(super) burying: BTreeSet<u64>,
    pub(super) withdraw_due: BTreeSet<u64>,
    pub(super) forget_due: BTreeSet<u64>,
    /// Messages whose fate is not known.
    unsettled: usize,
    /// To be given up because of another.
    pub(super) doomed: Vec<(u64, Fate)>,
    /// Messages that were planned and became so urgent.
    pub(super) raised: Vec<(u64, usize)>,
    pub(super) events: VecDeque<Event>,
    /// What the peer has without a gap, at most and by each path.
    pub(super) watermark: u64,
    pub(super) acked_by: [u64; MAX_PATHS],
}

impl Outgoing {
    pub(super) fn new(limit: usize, longest: u64) -> Self {
        let lane = || Lane {
            granted: longest,
            ..Lane::default()
        };
        Self {
            limit,
            longest,
            records: BTreeMap::new(),
            writing: BTreeMap::new(),
            by_seq: BTreeMap::new(),
            next_id: 0,
            next_seq: 0,
            next_link: 0,
            queues: Default::default(),
            lanes: [lane(), lane(), lane()],
            barrier: 0,
            late: Vec::new(),
            expiries: BTreeSet::new(),
            fates: Fates::default(),
            delivered: BTreeMap::new(),
            overflown: 0,
            labels: Vec::new(),
            flying: Flying::default(),
            asking: BTreeSet::new(),
            burying: BTreeSet::new(),
            withdraw_due: BTreeSet::new(),
            forget_due: BTreeSet::new(),
            unsettled: 0,
            doomed: Vec::new(),
            raised: Vec::new(),
            events: VecDeque::new(),
            watermark: 0,
            acked_by: [0; MAX_PATHS],
        }
    }

    // ---- room

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

    pub(super) fn is_roomy(&self, urgency: Urgency) -> bool {
        self.fits(urgency as usize, 1)
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

    /// Whether the fate of every message is known.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0 && self.writing.is_empty()
    }

    // ---- labels of what waits or is under way

    pub(super) fn count_label(&mut self, label: &Label) {
        match self.labels.iter_mut().find(|(known, _)| known == label) {
            Some((_, count)) => *count += 1,
            None => self.labels.push((*label, 1)),
        }
    }

    pub(super) fn uncount_label(&mut self, label: &Label) {
        let known = self.labels.iter().position(|(known, _)| known == label);
        if let Some(index) = known {
            self.labels[index].1 -= 1;
            if self.labels[index].1 == 0 {
                self.labels.swap_remove(index);
            }
        }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.labels.iter().map(|(label, _)| *label)
    }

    // ---- a message's life

    /// Takes a message under its number; what it comes after must be there still, each once.
    pub(super) fn insert(
        &mut self,
        id: u64,
        label: Label,
        bytes: Bytes,
        (kind, place): (Kind, Place),
        expires: Option<Instant>,
    ) {
        let own = label.urgency() as usize;
        let Place { after, seqs, below } = place;
        let named = after.len() + seqs.len();
        let weight = bytes.len() + OVERHEAD + OVERHEAD_NAMED * named;
        let mut unsent = 0;
        for before in &after {
            if let Some(record) = self.records.get_mut(before) {
                record.followers.push(id);
                unsent += usize::from(!record.sent_whole);
            }
        }
        self.raise(&after, own);
        let lane = &mut self.lanes[own];
        lane.used += weight;
        lane.count += 1;
        let link = (kind == Kind::Chained).then_some(self.next_link);
        if let Some(link) = link {
            self.next_link += 1;
            lane.chain.insert(link, id);
        }
        let record = Record {
            label,
            lane: own,
            rank: own,
            kind,
            charge: charge_of(bytes.len() as u64, self.longest),
            parts: Parts::new(bytes.len()),
            bytes,
            link,
            weight,
            seq: None,
            begun: false,
            written: false,
            expires,
            after,
            seqs,
            below,
            followers: Vec::new(),
            unsent,
            sent_whole: false,
            state: State::Live,
        };
        self.records.insert(id, Box::new(record));
        self.count_label(&label);
        self.unsettled += 1;
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        self.queue(id);
    }

    /// The last of those sent without `after` in this urgency.
    pub(super) fn tail(&self, urgency: Urgency) -> Option<u64> {
        let (_, id) = self.lanes[urgency as usize].chain.last_key_value()?;
        Some(*id)
    }

    /// The number of the last of them that was delivered.
    pub(super) fn delivered_tail(&self, urgency: Urgency) -> Option<u64> {
        self.lanes[urgency as usize].delivered.map(|(_, seq)| seq)
    }

    /// A message was delivered. The peer's program may not have it yet, so its number is remembered for
    /// what comes after it.
    pub(super) fn remember(&mut self, id: u64, record: &Record) {
        let Some(seq) = record.seq else {
            return;
        };
        for follower in &record.followers {
            // Its head may have to be sent again, so this one may be on its way already.
            if let Some(follower) = self.records.get_mut(follower) {
                follower.seqs.push(seq);
            }
        }
        if let Some(link) = record.link {
            let last = &mut self.lanes[record.lane].delivered;
            *last = (*last).max(Some((link, seq)));
        }
        self.delivered.insert(id, seq);
        if self.delivered.len() > DELIVERED
            && let Some((_, seq)) = self.delivered.pop_first()
        {
            self.overflown = self.overflown.max(seq + 1);
        }
    }

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
            todo.extend_from_slice(&record.after);
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

    /// The highest number given, plus one.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
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

    /// A path joined, or one is gone: what was told may not have arrived.
    pub(super) fn tell_again(&mut self) {
        self.withdraw_due = self.asking.clone();
        self.forget_due = self.burying.clone();
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

    /// Gives a message of which nothing was written another label.
    pub(super) fn relabel(&mut self, id: u64, label: Label) {
        self.uncharge(id);
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let old = std::mem::replace(&mut record.label, label);
        let (from, to) = (old.urgency() as usize, label.urgency() as usize);
        // What was inherited is kept: at worst it goes a little earlier.
        let rank = match record.rank < from {
            true => record.rank.min(to),
            false => to,
        };
        let before = std::mem::replace(&mut record.rank, rank);
        let after = record.after.clone();
        self.queues[before].remove(&old, id);
        self.uncount_label(&old);
        self.count_label(&label);
        self.raise(&after, to);
        self.queue(id);
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

    /// Nothing more of it is sent, and nothing new comes after it unnamed.
    pub(super) fn retire(&mut self, id: u64, state: State) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let (was_live, label, lane) = (record.is_live(), record.label, record.lane);
        record.state = state;
        record.parts.clear(&mut self.flying);
        if let Some(at) = record.expires.take() {
            self.expiries.remove(&(at, id));
        }
        if let Some(link) = record.link.take() {
            self.lanes[lane].chain.remove(&link);
        }
        if was_live {
            self.uncount_label(&label);
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
        self.events.push_back(Event::MessageSettled(MessageId(id)));
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
        if let Some(link) = record.link {
            self.lanes[record.lane].chain.remove(&link);
        }
        if !record.is_live() {
            for set in self.due_sets() {
                set.remove(&id);
            }
        } else {
            self.uncount_label(&record.label);
        }
        let lane = &mut self.lanes[record.lane];
        lane.used -= record.weight;
        lane.count -= 1;
        self.freed(record.lane);
        Some(record)
    }

    fn due_sets(&mut self) -> [&mut BTreeSet<u64>; 4] {
        [
            &mut self.asking,
            &mut self.burying,
            &mut self.withdraw_due,
            &mut self.forget_due,
        ]
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
        self.labels.clear();
        self.expiries.clear();
        self.doomed.clear();
        self.late = Vec::new();
        self.flying = Flying::default();
        for queue in &mut self.queues {
            queue.clear();
        }
        for set in self.due_sets() {
            set.clear();
        }
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

/// By number.
pub(super) const URGENCIES: [Urgency; 3] =
    [Urgency::Interactive, Urgency::Default, Urgency::Background];
