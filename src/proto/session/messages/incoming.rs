//! Messages that arrive: what is in parts, what waits for others, what may be handed out.
//!
//! ```text
//!  in parts --every byte--> held --all it comes after closed--> delivered --all that handed out--> ready --> handed out
//!     |                      |          (closed: MSG_ACK)
//!     +---- WITHDRAW --------+--> withdrawn --FORGET--> closed
//! ```
//!
//! A number is *closed* when its message was delivered or is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::assembly::Assembly;
use super::charge_of;
use super::entry::{Announced, Entry, Stage};
use crate::label::Label;
use crate::proto::session::ProtocolError;
use crate::proto::session::ranges::Ranges;

/// Numbers end here, so that none overflows.
pub(super) const LAST: u64 = 1 << 62;

/// What is bounded by urgency.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Charged by messages that arrived, and by those handed out or given up.
    pub(super) charged: u64,
    pub(super) returned: u64,
    pub(super) granted: u64,
    pub(super) pieces: usize,
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) window: u64,
    pub(super) closed: Ranges,
    /// Of those, given up and forgotten, while anything of a lower number is not handed out.
    pub(super) forgotten: Ranges,
    pub(super) entries: BTreeMap<u64, Box<Entry>>,
    /// Who waits for a message.
    pub(super) waiting: BTreeMap<u64, Vec<u64>>,
    pub(super) ready: BTreeSet<(usize, u64, u64)>,
    pub(super) lanes: [Lane; 3],
    /// What is below is at least so urgent.
    pub(super) floors: [u64; 3],
    pub(super) withdrawn: usize,
    /// Bytes kept.
    pub(super) held: usize,
    /// An empty list, for its memory.
    pub(super) todo: Vec<u64>,
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

    pub(super) fn is_closed(&self, seq: u64) -> bool {
        let range = self.closed.next_after(seq);
        range.is_some_and(|(start, _)| start <= seq)
    }

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

    pub(super) fn open(
        &mut self,
        seq: u64,
        label: Label,
        length: u32,
    ) -> Result<(), ProtocolError> {
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

    pub(super) fn charge(&mut self, lane: usize, charge: u64) -> Result<(), ProtocolError> {
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
