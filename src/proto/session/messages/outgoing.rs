//! Messages to be sent: what waits, what is under way, what may still be answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::census::Census;
use super::delivered::Delivered;
use super::fates::Fates;
use super::parts::{Flying, Parts};
use super::queue::Queue;
use super::record::{Kind, Place, Record, State};
use super::room::Lane;
use super::saying::Saying;
use super::writing::Writing;
use super::{Fate, charge_of};
use crate::label::{Label, Urgency};
use crate::proto::session::{Event, MAX_PATHS};

/// What a message costs here beside its payload, bytes, and each message that it comes after.
pub(super) const OVERHEAD: usize = 256;
pub(super) const OVERHEAD_NAMED: usize = 16;

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
    /// Above every number given on the wire.
    pub(super) next_seq: u64,
    pub(super) next_link: u64,
    pub(super) queues: [Queue; 3],
    pub(super) lanes: [Lane; 3],
    /// The last message that came after everything; what it came after, if it was given up, and what was
    /// begun before it and finished later.
    pub(super) barrier: u64,
    pub(super) late: BTreeSet<u64>,
    pub(super) expiries: BTreeSet<(Instant, u64)>,
    pub(super) fates: Fates,
    pub(super) delivered: Delivered,
    pub(super) census: Census,
    pub(super) flying: Flying,
    /// Messages the peer is asked to give up, and those it is told to forget.
    pub(super) withdrawing: Saying,
    pub(super) forgetting: Saying,
    /// Messages whose fate is not known.
    pub(super) unsettled: usize,
    /// To be given up because of another.
    pub(super) doomed: Vec<(u64, Fate)>,
    /// Tombs that one message less needs.
    pub(super) unneeded: BTreeSet<u64>,
    /// Entries looked through because others were gone.
    #[cfg(test)]
    pub(super) looked: usize,
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
            late: BTreeSet::new(),
            expiries: BTreeSet::new(),
            fates: Fates::default(),
            delivered: Delivered::default(),
            census: Census::default(),
            flying: Flying::default(),
            withdrawing: Saying::default(),
            forgetting: Saying::default(),
            unsettled: 0,
            doomed: Vec::new(),
            unneeded: BTreeSet::new(),
            #[cfg(test)]
            looked: 0,
            raised: Vec::new(),
            events: VecDeque::new(),
            watermark: 0,
            acked_by: [0; MAX_PATHS],
        }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.census.labels()
    }

    /// Whether the fate of every message is known.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0 && self.writing.is_empty()
    }

    /// Takes a message under its number into the buffer of an urgency, that of its label unless it was
    /// given that since; what it comes after must be there still, each once.
    pub(super) fn insert(
        &mut self,
        id: u64,
        (label, buffer): (Label, usize),
        bytes: Bytes,
        (kind, place): (Kind, Place),
        expires: Option<Instant>,
    ) {
        let own = label.urgency() as usize;
        let named = place.after.len() + place.seqs.len();
        let weight = bytes.len() + OVERHEAD + OVERHEAD_NAMED * named;
        let unsent = self.follow(id, &place.after);
        self.raise(&place.after, own);
        let lane = &mut self.lanes[buffer];
        lane.used += weight;
        lane.count += 1;
        let link = (kind == Kind::Chained).then(|| self.link(id, own));
        let record = Record {
            label,
            lane: buffer,
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
            place,
            followers: Vec::new(),
            gone: 0,
            doomed: false,
            unsent,
            sent_whole: false,
            state: State::Live,
        };
        self.records.insert(id, Box::new(record));
        self.census.enter(&label);
        self.unsettled += 1;
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        self.queue(id);
    }

    /// Puts a message at the end of those sent without `after` in an urgency.
    pub(super) fn link(&mut self, id: u64, urgency: usize) -> (usize, u64) {
        let link = self.next_link;
        self.next_link += 1;
        self.lanes[urgency].chain.insert(link, id);
        (urgency, link)
    }

    /// A message is closed. The peer's program may not have it yet, or, if it is forgotten, what it came
    /// after: so what comes after it has to name it by its number from now on.
    pub(super) fn name_to_followers(&mut self, record: &Record) {
        for follower in &record.followers {
            // Its head may have to be sent again, so this one may be on its way already.
            if let Some(follower) = self.records.get_mut(follower) {
                follower.place.seqs.extend(record.seq);
            }
        }
    }

    /// A message was delivered: its number is remembered for what comes after it.
    pub(super) fn remember(&mut self, id: u64, record: &Record) {
        let Some(seq) = record.seq else {
            return;
        };
        if let Some((chain, link)) = record.link {
            let last = &mut self.lanes[chain].delivered;
            *last = (*last).max(Some((link, seq)));
        }
        self.delivered.insert(id, seq);
    }

    /// What became of a message that is settled; `None` if that is forgotten.
    pub(super) fn settled_fate(&self, id: u64) -> Option<Fate> {
        match self.delivered.contains(id) {
            true => Some(Fate::Delivered),
            false => self.fates.of(id),
        }
    }

    /// A path joined, or one is gone: what was told may not have arrived.
    pub(super) fn tell_again(&mut self) {
        self.withdrawing.repeat_all();
        self.forgetting.repeat_all();
    }
}

/// By number.
pub(super) const URGENCIES: [Urgency; 3] =
    [Urgency::Interactive, Urgency::Default, Urgency::Background];
