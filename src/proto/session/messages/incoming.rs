//! Messages that arrive: what is in parts, what waits for others, what may be handed out.
//!
//! ```text
//!  in parts --every byte--> held --all it comes after closed--> delivered --all that handed out--> ready --> handed out
//!     |                      |          (closed: MSG_ACK)
//!     +---- WITHDRAW --------+--> withdrawn --FORGET--> closed
//! ```
//!
//! A number is *closed* when its message was delivered or is forgotten. What comes after a message waits
//! for one thing at a time, and is looked at again when that changes; so a chain of any length costs
//! its links.

use std::collections::{BTreeMap, BTreeSet};

use super::assembly::Assembly;
use super::{MAX_UNSETTLED, MessageId, Received, charge_of};
use crate::label::Label;
use crate::proto::session::ProtocolError;
use crate::proto::session::ranges::Ranges;

/// Numbers end here, so that none overflows.
const LAST: u64 = 1 << 62;
/// Open numbers between closed ones, and withdrawn messages that are not forgotten: as many as an honest
/// sender has unsettled.
const MAX_GAPS: usize = 3 * MAX_UNSETTLED + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Parts,
    Held,
    Delivered,
    Ready,
    Withdrawn,
}

#[derive(Debug)]
struct Entry {
    label: Label,
    length: u32,
    charge: u64,
    /// The sender's number, once the first part is in.
    id: Option<u64>,
    /// Messages it comes after that were not all handed out when last looked at..
    after: Vec<u64>,
    /// ..and all of a lower number than this.
    below: u64,
    body: Assembly,
    stage: Stage,
    /// Its urgency, or that of the most urgent message that waits for it.
    rank: usize,
    waits_for: Option<u64>,
}

impl Entry {
    fn is_complete(&self) -> bool {
        self.id.is_some() && self.length == self.body.contiguous()
    }
}

/// The head of a message, as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct First {
    pub(super) id: u64,
    pub(super) below: u64,
    pub(super) after: Vec<u64>,
}

/// What stands before the payload of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) seq: u64,
    pub(super) label: Label,
    pub(super) length: u32,
    pub(super) offset: u32,
    pub(super) payload: u32,
    pub(super) first: Option<First>,
}

/// What is bounded by urgency.
#[derive(Debug, Default)]
struct Lane {
    /// Charged by messages that arrived, and by those handed out or given up.
    charged: u64,
    returned: u64,
    granted: u64,
    pieces: usize,
}

#[derive(Debug)]
pub(super) struct Incoming {
    window: u64,
    closed: Ranges,
    /// Of those, given up and forgotten, while anything of a lower number is not handed out.
    forgotten: Ranges,
    entries: BTreeMap<u64, Box<Entry>>,
    /// Who waits for a message.
    waiting: BTreeMap<u64, Vec<u64>>,
    ready: BTreeSet<(usize, u64, u64)>,
    lanes: [Lane; 3],
    /// What is below is at least so urgent.
    floors: [u64; 3],
    withdrawn: usize,
    /// Bytes kept.
    held: usize,
    /// An empty list, for its memory.
    todo: Vec<u64>,
    // ---- what is to be told
    pub(super) news: Ranges,
    pub(super) have: BTreeSet<u64>,
    pub(super) withdrawn_due: BTreeSet<u64>,
    pub(super) credit_due: [bool; 3],
    /// Something was handed out.
    pub(super) handed_out: bool,
}

impl Incoming {
    pub(super) fn new(window: u64) -> Self {
        let lane = || Lane {
            granted: window,
            ..Lane::default()
        };
        Self {
            window,
            closed: Ranges::default(),
            forgotten: Ranges::default(),
            entries: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ready: BTreeSet::new(),
            lanes: [lane(), lane(), lane()],
            floors: [0; 3],
            withdrawn: 0,
            held: 0,
            todo: Vec::new(),
            news: Ranges::default(),
            have: BTreeSet::new(),
            withdrawn_due: BTreeSet::new(),
            credit_due: [false; 3],
            handed_out: false,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.held
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// All below is closed.
    pub(super) fn watermark(&self) -> u64 {
        match self.closed.first() {
            Some((0, end)) => end,
            _ => 0,
        }
    }

    fn is_closed(&self, seq: u64) -> bool {
        let range = self.closed.next_after(seq);
        range.is_some_and(|(start, _)| start <= seq)
    }

    // ---- parts

    /// A part of a message begins; whether its payload is wanted. Everything about it is checked here,
    /// before its payload is looked at.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub(super) fn part(&mut self, told: Announced) -> Result<bool, ProtocolError> {
        let seq = told.seq;
        let end = told.offset.checked_add(told.payload);
        if end.is_none_or(|end| end > told.length) {
            return Err(ProtocolError::BeyondEnd);
        }
        if seq >= LAST || u64::from(told.length) > self.window {
            return Err(ProtocolError::BeyondCredit);
        }
        if let Some(first) = &told.first
            && (first.below > seq || first.after.iter().any(|after| *after >= seq))
        {
            return Err(ProtocolError::BadOrder);
        }
        if self.is_closed(seq) {
            self.news.insert(seq, seq + 1);
            return Ok(false);
        }
        if !self.entries.contains_key(&seq) {
            self.open(seq, told.label, told.length)?;
        }
        let Some(entry) = self.entries.get_mut(&seq) else {
            return Ok(false);
        };
        if entry.stage == Stage::Withdrawn {
            self.withdrawn_due.insert(seq);
            return Ok(false);
        }
        let urgency = told.label.urgency();
        if entry.length != told.length || entry.label.urgency() != urgency {
            return Err(ProtocolError::Malformed);
        }
        self.have.insert(seq);
        if entry.stage != Stage::Parts {
            return Ok(false);
        }
        if let Some(first) = told.first
            && entry.id.is_none()
        {
            entry.label = told.label;
            (entry.id, entry.below, entry.after) = (Some(first.id), first.below, first.after);
            let (rank, below) = (entry.rank, entry.below);
            let after = entry.after.clone();
            self.raise_below(below, rank);
            for before in after {
                self.raise(before, rank);
            }
        }
        self.complete(seq);
        Ok(true)
    }

    fn open(&mut self, seq: u64, label: Label, length: u32) -> Result<(), ProtocolError> {
        let own = label.urgency() as usize;
        let charge = charge_of(u64::from(length), self.window);
        self.charge(own, charge)?;
        let floor = self.floors.iter().position(|floor| seq < *floor);
        let waiting = self.waiting.get(&seq).into_iter().flatten();
        let waiting = waiting.filter_map(|by| Some(self.entries.get(by)?.rank));
        let rank = waiting.chain(floor).chain([own]).min().unwrap_or(own);
        let entry = Entry {
            label,
            length,
            charge,
            id: None,
            after: Vec::new(),
            below: 0,
            body: Assembly::default(),
            stage: Stage::Parts,
            rank,
            waits_for: None,
        };
        self.entries.insert(seq, Box::new(entry));
        Ok(())
    }

    /// Goes on with a message if nothing of it is missing.
    fn complete(&mut self, seq: u64) {
        if self
            .entries
            .get(&seq)
            .is_some_and(|entry| entry.is_complete())
        {
            let mut todo = std::mem::take(&mut self.todo);
            todo.push(seq);
            self.advance(todo);
        }
    }

    fn charge(&mut self, lane: usize, charge: u64) -> Result<(), ProtocolError> {
        let lane = &mut self.lanes[lane];
        let charged = lane.charged.saturating_add(charge);
        if charged > lane.granted {
            return Err(ProtocolError::BeyondCredit);
        }
        lane.charged = charged;
        Ok(())
    }

    /// Payload of a part that is wanted; whether any of it was new.
    ///
    /// # Errors
    /// `TooManyPieces`.
    pub(super) fn payload(
        &mut self,
        seq: u64,
        offset: u32,
        data: &[u8],
    ) -> Result<bool, ProtocolError> {
        let Some(entry) = self.entries.get_mut(&seq) else {
            return Ok(false);
        };
        if entry.stage != Stage::Parts {
            return Ok(false);
        }
        let pieces = &mut self.lanes[entry.label.urgency() as usize].pieces;
        let before = entry.body.held();
        let fresh = entry.body.take(offset, data, entry.length, pieces)?;
        self.held += entry.body.held() - before;
        self.complete(seq);
        Ok(fresh)
    }

    // ---- order

    /// The highest number below that is not closed.
    fn open_below(&self, below: u64) -> Option<u64> {
        let last = below.checked_sub(1)?;
        match self.closed.next_after(last) {
            Some((start, _)) if start <= last => start.checked_sub(1),
            _ => Some(last),
        }
    }

    /// What a message waits for before it is delivered, or before it is handed out.
    fn waits_for(&self, seq: u64) -> Option<u64> {
        let entry = self.entries.get(&seq)?;
        let handing_out = entry.stage == Stage::Delivered;
        let mut named = entry.after.iter().rev();
        if let Some(before) = named.find_map(|before| self.blocks(*before, handing_out)) {
            return Some(before);
        }
        match handing_out {
            true => self.unread_below(entry.below),
            false => self.open_below(entry.below),
        }
    }

    /// What of a message that another names keeps that one from being delivered, or handed out.
    fn blocks(&self, before: u64, handing_out: bool) -> Option<u64> {
        let unread = handing_out && self.entries.contains_key(&before);
        if !self.is_closed(before) || unread {
            return Some(before);
        }
        let forgotten = self.forgotten.intersects(before, before + 1);
        (handing_out && forgotten).then(|| self.unread_below(before))?
    }

    /// The highest number below whose message is not handed out.
    fn unread_below(&self, below: u64) -> Option<u64> {
        self.open_below(below).or_else(|| {
            let (seq, _) = self.entries.range(..below).next_back()?;
            Some(*seq)
        })
    }

    /// What comes after a forgotten message comes after what that came after, which nobody may have told
    /// here: so after all that has a lower number.
    fn mind_forgotten(&mut self, seq: Option<u64>) {
        if let Some(seq) = seq {
            self.forgotten.insert(seq, seq + 1);
        }
        let first = self.entries.first_key_value().map(|(seq, _)| *seq);
        let unread = self.watermark().min(first.unwrap_or(LAST));
        self.forgotten.remove_below(unread);
        // Too many to tell apart: then those between count as forgotten.
        let mut ranges = self.forgotten.iter();
        let two = ranges.next().zip(ranges.next());
        drop(ranges);
        if self.forgotten.len() > MAX_UNSETTLED
            && let Some(((start, _), (_, end))) = two
        {
            self.forgotten.insert(start, end);
        }
    }

    /// Lets messages go on as far as they can, and what waits for them.
    fn advance(&mut self, mut todo: Vec<u64>) {
        while let Some(seq) = todo.pop() {
            loop {
                let waits_for = match self.entries.get(&seq) {
                    Some(entry) if matches!(entry.stage, Stage::Held | Stage::Delivered) => {
                        self.waits_for(seq)
                    }
                    _ => None,
                };
                let Some(entry) = self.entries.get_mut(&seq) else {
                    break;
                };
                if let Some(before) = waits_for {
                    if entry.waits_for != Some(before) {
                        entry.waits_for = Some(before);
                        let rank = entry.rank;
                        self.waiting.entry(before).or_default().push(seq);
                        self.raise(before, rank);
                    }
                    break;
                }
                match entry.stage {
                    Stage::Parts if entry.is_complete() => entry.stage = Stage::Held,
                    Stage::Held => {
                        entry.stage = Stage::Delivered;
                        self.have.remove(&seq);
                        self.close(seq, &mut todo);
                    }
                    Stage::Delivered => {
                        entry.stage = Stage::Ready;
                        entry.after = Vec::new();
                        let id = entry.id.unwrap_or_default();
                        self.ready.insert((entry.rank, id, seq));
                        break;
                    }
                    _ => break,
                }
            }
        }
        self.todo = todo;
    }

    /// A number is closed: whoever waits for that is looked at again.
    fn close(&mut self, seq: u64, todo: &mut Vec<u64>) {
        self.closed.insert(seq, seq + 1);
        self.news.insert(seq, seq + 1);
        self.wake(seq, todo);
    }

    fn wake(&mut self, seq: u64, todo: &mut Vec<u64>) {
        for waiting in self.waiting.remove(&seq).unwrap_or_default() {
            if let Some(entry) = self.entries.get_mut(&waiting)
                && entry.waits_for == Some(seq)
            {
                entry.waits_for = None;
                todo.push(waiting);
            }
        }
    }

    /// A message is at least so urgent, and so is what it waits for.
    fn raise(&mut self, seq: u64, rank: usize) {
        let mut next = Some(seq);
        while let Some(entry) = next.and_then(|seq| self.entries.get_mut(&seq)) {
            let seq = next.unwrap_or_default();
            if entry.rank <= rank {
                return;
            }
            if entry.stage == Stage::Ready {
                let id = entry.id.unwrap_or_default();
                self.ready.remove(&(entry.rank, id, seq));
                self.ready.insert((rank, id, seq));
            }
            entry.rank = rank;
            next = entry.waits_for;
        }
    }

    /// A message of this rank comes after all below.
    fn raise_below(&mut self, below: u64, rank: usize) {
        let before = self.floors[rank];
        if below <= before {
            return;
        }
        for floor in &mut self.floors[rank..] {
            *floor = below.max(*floor);
        }
        let raised: Vec<u64> = (self.entries.range(before..below))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in raised {
            self.raise(seq, rank);
        }
    }

    // ---- the end of a message

    /// The next message in order.
    pub(super) fn take(&mut self) -> Option<Received> {
        let (_, id, seq) = self.ready.pop_first()?;
        let entry = self.entries.remove(&seq)?;
        let lane = entry.label.urgency() as usize;
        self.give_back(lane, entry.charge);
        self.held -= entry.body.held();
        let mut todo = std::mem::take(&mut self.todo);
        self.wake(seq, &mut todo);
        self.mind_forgotten(None);
        self.advance(todo);
        Some(Received {
            label: entry.label,
            id: MessageId(id),
            bytes: entry.body.into_bytes(),
        })
    }

    fn give_back(&mut self, lane: usize, charge: u64) {
        self.lanes[lane].returned += charge;
        self.handed_out = true;
        if self.allowed(lane) - self.lanes[lane].granted >= self.window / 4 {
            self.credit_due[lane] = true;
        }
    }

    fn allowed(&self, lane: usize) -> u64 {
        self.lanes[lane].returned + self.window
    }

    /// Credit that came back and was not told, however little.
    pub(super) fn owes_credit(&self, lane: usize) -> bool {
        self.allowed(lane) > self.lanes[lane].granted
    }

    /// What the peer may charge from now on.
    pub(super) fn grant(&mut self, lane: usize) -> u64 {
        self.credit_due[lane] = false;
        self.lanes[lane].granted = self.allowed(lane);
        self.lanes[lane].granted
    }

    /// The sender gives a message up; it was charged so much.
    ///
    /// # Errors
    /// `BeyondCredit`, `TooManyMessages`, `BeyondEnd`.
    pub(super) fn withdraw(
        &mut self,
        seq: u64,
        lane: usize,
        charge: u64,
    ) -> Result<(), ProtocolError> {
        if seq >= LAST {
            return Err(ProtocolError::BeyondEnd);
        }
        if self.is_closed(seq) {
            self.news.insert(seq, seq + 1);
            return Ok(());
        }
        if self
            .entries
            .get(&seq)
            .is_none_or(|entry| entry.stage != Stage::Withdrawn)
        {
            if self.withdrawn >= MAX_GAPS {
                return Err(ProtocolError::TooManyMessages);
            }
            if !self.entries.contains_key(&seq) {
                // As if a message had come that takes so much.
                const LABELS: [Label; 3] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
                self.open(seq, LABELS[lane], 0)?;
            }
            self.charge_up(seq, charge)?;
            self.drop_entry(seq);
        }
        self.withdrawn_due.insert(seq);
        Ok(())
    }

    /// Parts that did not arrive were charged too.
    fn charge_up(&mut self, seq: u64, charge: u64) -> Result<(), ProtocolError> {
        let Some(entry) = self.entries.get(&seq) else {
            return Ok(());
        };
        let more = charge.saturating_sub(entry.charge);
        self.charge(entry.label.urgency() as usize, more)?;
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.charge += more;
        }
        Ok(())
    }

    fn drop_entry(&mut self, seq: u64) {
        let Some(entry) = self.entries.get_mut(&seq) else {
            return;
        };
        entry.stage = Stage::Withdrawn;
        entry.after = Vec::new();
        if let Some(before) = entry.waits_for.take()
            && let Some(waiting) = self.waiting.get_mut(&before)
        {
            waiting.retain(|waits| *waits != seq);
            if waiting.is_empty() {
                self.waiting.remove(&before);
            }
        }
        let body = std::mem::take(&mut entry.body);
        let (lane, charge) = (entry.label.urgency() as usize, entry.charge);
        self.lanes[lane].pieces -= body.pieces();
        self.held -= body.held();
        self.withdrawn += 1;
        self.have.remove(&seq);
        self.give_back(lane, charge);
    }

    /// Nothing comes of a message any more, and the sender knows that.
    ///
    /// # Errors
    /// `TooManyMessages`; `Malformed` for one that was not given up.
    pub(super) fn forget(&mut self, seq: u64) -> Result<(), ProtocolError> {
        if seq >= LAST {
            return Err(ProtocolError::BeyondEnd);
        }
        if self.is_closed(seq) {
            self.news.insert(seq, seq + 1);
            return Ok(());
        }
        match self.entries.get(&seq).map(|entry| entry.stage) {
            None => {}
            Some(Stage::Withdrawn) => {
                self.entries.remove(&seq);
                self.withdrawn -= 1;
                self.withdrawn_due.remove(&seq);
            }
            Some(_) => return Err(ProtocolError::Malformed),
        }
        let mut todo = std::mem::take(&mut self.todo);
        self.mind_forgotten(Some(seq));
        self.close(seq, &mut todo);
        self.advance(todo);
        self.check_gaps()
    }

    /// Whether the closed numbers have no more gaps than an honest sender makes.
    ///
    /// # Errors
    /// `TooManyMessages`.
    pub(super) fn check_gaps(&self) -> Result<(), ProtocolError> {
        match self.closed.len() > MAX_GAPS {
            true => Err(ProtocolError::TooManyMessages),
            false => Ok(()),
        }
    }

    // ---- what is told

    /// What is here of a message that is not delivered: the units without a gap, and those beyond.
    pub(super) fn units(&self, seq: u64) -> Option<(u64, impl Iterator<Item = (u64, u64)> + '_)> {
        let entry = self.entries.get(&seq)?;
        if !matches!(entry.stage, Stage::Parts | Stage::Held) {
            return None;
        }
        let contiguous = u64::from(entry.body.contiguous());
        let (upto, begins) = match entry.id {
            Some(_) => (contiguous + 1, None),
            None => (0, (contiguous > 0).then_some((1, contiguous + 1))),
        };
        let early = entry.body.early();
        let early = early.map(|(start, end)| (u64::from(start) + 1, u64::from(end) + 1));
        Some((upto, begins.into_iter().chain(early)))
    }

    /// A path joined, or one is gone: what was told may not have arrived.
    pub(super) fn tell_again(&mut self) {
        self.news = self.closed.clone();
        for (seq, entry) in &self.entries {
            match entry.stage {
                Stage::Parts | Stage::Held => self.have.insert(*seq),
                Stage::Withdrawn => self.withdrawn_due.insert(*seq),
                Stage::Delivered | Stage::Ready => false,
            };
        }
        for (due, lane) in self.credit_due.iter_mut().zip(&self.lanes) {
            *due |= lane.granted > self.window;
        }
    }

    /// The session is over: only what was delivered can still be handed out, if anything can.
    pub(super) fn end(&mut self, keep: bool) {
        let delivered = |stage| matches!(stage, Stage::Delivered | Stage::Ready);
        self.entries
            .retain(|_, entry| keep && delivered(entry.stage));
        if !keep {
            self.ready.clear();
        }
        self.held = self.entries.values().map(|entry| entry.body.held()).sum();
        self.have.clear();
        self.withdrawn_due.clear();
        self.credit_due = [false; 3];
        self.news.clear();
    }
}
