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

/// What a message costs here beside its payload, bytes, and each message that it names.
pub(super) const OVERHEAD: usize = 256;
const OVERHEAD_NAMED: usize = 16;

/// What a message comes after, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one sent before it. It comes after that one's predecessor if that one is given up.
    Chained,
    /// Those it needs: one given up, it is lost.
    Named,
    /// All before it, those that are given up excepted.
    Barrier,
}

/// How far the giving up of a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// The peer is asked. `settled`: its fate is known already.
    Withdrawing { cause: Fate, settled: bool },
    /// It will never be delivered. The peer keeps its number open until it hears FORGET, which goes once
    /// no message that needs it can be delivered (`told`), and once what it came after is settled
    /// (`clear`), so that what comes after it does not overtake that.
    Tomb { clear: bool, told: bool },
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
    pub(super) charge: u64,
    /// Bytes that it counts against the buffer.
    pub(super) weight: usize,
    /// Its number on the wire, once it was planned.
    pub(super) seq: Option<u64>,
    /// It took its credit: parts of it may go.
    pub(super) begun: bool,
    /// A byte of it was written to a link.
    pub(super) written: bool,
    pub(super) expires: Option<Instant>,
    pub(super) after: Vec<u64>,
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
    /// The message sent last without `after`.
    pub(super) tail: Option<u64>,
    /// One of so many bytes found no room.
    wanted: Option<usize>,
    /// Messages being written, the first of which may fill the peer's window.
    pub(super) writers: BTreeSet<u64>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    /// The buffer of an urgency, bytes.
    limit: usize,
    /// The longest message the peer takes.
    pub(super) longest: u64,
    pub(super) records: BTreeMap<u64, Box<Record>>,
    pub(super) writing: BTreeMap<u64, Writing>,
    pub(super) by_seq: BTreeMap<u64, u64>,
    pub(super) next_id: u64,
    next_seq: u64,
    queues: [Queue; 3],
    pub(super) lanes: [Lane; 3],
    /// The last message that came after everything, and those that were begun before and finished
    /// after it.
    pub(super) barrier: u64,
    pub(super) late: Vec<u64>,
    pub(super) expiries: BTreeSet<(Instant, u64)>,
    pub(super) fates: Fates,
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
            queues: Default::default(),
            lanes: [lane(), lane(), lane()],
            barrier: 0,
            late: Vec::new(),
            expiries: BTreeSet::new(),
            fates: Fates::default(),
            labels: Vec::new(),
            flying: Flying::default(),
            asking: BTreeSet::new(),
            burying: BTreeSet::new(),
            withdraw_due: BTreeSet::new(),
            forget_due: BTreeSet::new(),
            unsettled: 0,
            doomed: Vec::new(),
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

    /// Bytes that a message being written may still grow by.
    pub(super) fn writer_room(&mut self, id: u64, lane: usize, length: usize) -> usize {
        let lane = &mut self.lanes[lane];
        let longest = usize::try_from(self.longest).unwrap_or(usize::MAX);
        // The first one is never stopped by the others, or all might wait for each other.
        let room = match lane.writers.first() {
            Some(first) if *first == id => longest.saturating_sub(length),
            _ => self.limit.saturating_sub(lane.used),
        };
        if room == 0 {
            lane.wanted = Some(1);
        }
        room
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

    /// Takes a message under its number. What it comes after must be there still, each once.
    pub(super) fn insert(
        &mut self,
        id: u64,
        label: Label,
        bytes: Bytes,
        kind: Kind,
        after: Vec<u64>,
        expires: Option<Instant>,
    ) {
        let own = label.urgency() as usize;
        let weight = bytes.len() + OVERHEAD + OVERHEAD_NAMED * after.len();
        let mut unsent = 0;
        for before in &after {
            if let Some(record) = self.records.get_mut(before) {
                record.followers.push(id);
                unsent += usize::from(!record.sent_whole);
            }
        }
        self.raise(&after, own);
        let record = Record {
            label,
            lane: own,
            rank: own,
            kind,
            charge: charge_of(bytes.len() as u64, self.longest),
            parts: Parts::new(bytes.len()),
            bytes,
            weight,
            seq: None,
            begun: false,
            written: false,
            expires,
            after,
            followers: Vec::new(),
            unsent,
            sent_whole: false,
            state: State::Live,
        };
        self.records.insert(id, Box::new(record));
        self.count_label(&label);
        let lane = &mut self.lanes[own];
        lane.used += weight;
        lane.count += 1;
        self.unsettled += 1;
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        self.queue(id);
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
        let mut todo: Vec<u64> = after.to_vec();
        while let Some(id) = todo.pop() {
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            if record.rank <= rank {
                continue;
            }
            let before = std::mem::replace(&mut record.rank, rank);
            self.queues[before].remove(&record.label, id);
            todo.extend_from_slice(&record.after);
            self.queue(id);
        }
    }

    /// Whether something of this urgency waits, credit and paths aside.
    pub(super) fn waits(&self, urgency: usize) -> bool {
        !self.queues[urgency].is_empty()
    }

    /// The labels of what of an urgency has something to send.
    pub(super) fn waiting_labels(&self, urgency: usize) -> impl Iterator<Item = &Label> {
        self.queues[urgency].labels()
    }

    /// What goes next on a path that `admits` labels.
    pub(super) fn next(&self, urgency: usize, admits: impl FnMut(&Label) -> bool) -> Option<Head> {
        let is_room = |id: u64| {
            self.records.get(&id).is_some_and(|record| {
                let lane = &self.lanes[record.own()];
                lane.charged.saturating_add(record.charge) <= lane.granted
            })
        };
        self.queues[urgency].next(admits, is_room)
    }

    /// Gives a message its number and takes its credit, if it has not yet.
    pub(super) fn begin(&mut self, id: u64) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if !record.begun {
            record.begun = true;
            self.lanes[record.own()].charged += record.charge;
        }
        if record.seq.is_none() {
            record.seq = Some(self.next_seq);
            self.by_seq.insert(self.next_seq, id);
            self.next_seq += 1;
        }
    }

    pub(super) fn is_issued(&self, seq: u64) -> bool {
        seq < self.next_seq
    }

    /// Highest number given, plus one.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Records that a part goes out on a path.
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

    /// Its fate is known.
    pub(super) fn settle(&mut self, id: u64, fate: Fate) {
        if fate != Fate::Delivered {
            self.fates.failed(id, fate);
        }
        self.unsettled -= 1;
        self.events.push_back(Event::MessageSettled(MessageId(id)));
    }

    /// Takes a message out of everything but the lists of those that come after it; its fate is told.
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
        for set in [
            &mut self.asking,
            &mut self.burying,
            &mut self.withdraw_due,
            &mut self.forget_due,
        ] {
            set.remove(&id);
        }
        if record.is_live() {
            self.uncount_label(&record.label);
        }
        let lane = record.lane;
        self.lanes[lane].used -= record.weight;
        self.lanes[lane].count -= 1;
        self.freed(lane);
        Some(record)
    }

    /// The session is over: nothing more is sent, and every fate is known.
    pub(super) fn end(&mut self) {
        let open: Vec<(u64, bool)> = self
            .records
            .iter()
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
        self.flying = Flying::default();
        for queue in &mut self.queues {
            queue.clear();
        }
        for set in [
            &mut self.asking,
            &mut self.burying,
            &mut self.withdraw_due,
            &mut self.forget_due,
        ] {
            set.clear();
        }
        for lane in 0..3 {
            (self.lanes[lane].used, self.lanes[lane].count) = (0, 0);
            self.lanes[lane].writers.clear();
            self.freed(lane);
        }
    }
}

/// By number.
pub(super) const URGENCIES: [Urgency; 3] =
    [Urgency::Interactive, Urgency::Default, Urgency::Background];
