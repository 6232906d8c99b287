//! What the sender gives up: its number stays open until it is to be forgotten.

use super::MAX_UNSETTLED;
use super::entry::Stage;
use super::incoming::{Incoming, LAST};
use crate::label::Label;
use crate::proto::session::ProtocolError;

/// Open numbers between closed ones, and withdrawn messages that are not forgotten: as many as an honest
/// sender has unsettled.
const MAX_GAPS: usize = 3 * MAX_UNSETTLED + 1;

impl Incoming {
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
}
