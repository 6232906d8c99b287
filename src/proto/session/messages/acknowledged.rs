//! What the peer says that it has.

use super::Fate;
use super::outgoing::Outgoing;
use super::record::State;
use crate::proto::session::ProtocolError;

impl Outgoing {
    /// The peer has closed a message: it was delivered, or forgotten as it was told to.
    fn closed(&mut self, id: u64) {
        let Some(record) = self.remove(id) else {
            return;
        };
        self.name_to_followers(&record);
        if !record.settled() {
            self.remember(id, &record);
            self.settle(id, Fate::Delivered);
        }
        for follower in record.followers {
            self.check_clear(follower);
        }
    }

    /// Whether the peer may have closed all messages between two numbers.
    fn check_closed(&self, start: u64, end: u64) -> Result<(), ProtocolError> {
        let may = |id: &u64| {
            self.records
                .get(id)
                .is_none_or(|record| match record.state {
                    State::Live | State::Withdrawing { .. } => record.sent_whole,
                    State::Tomb { told, .. } => told,
                })
        };
        let known = end <= self.next_seq;
        if known && self.by_seq.range(start..end).all(|(_, id)| may(id)) {
            Ok(())
        } else {
            Err(ProtocolError::AckOfUnsent)
        }
    }

    /// The peer has closed all below `watermark`, and these ranges.
    ///
    /// # Errors
    /// `AckOfUnsent`, `Malformed`, `AckWentBack`; then nothing was taken of it.
    pub(super) fn acknowledge(
        &mut self,
        slot: usize,
        watermark: u64,
        ranges: impl Iterator<Item = (u64, u64)> + Clone,
    ) -> Result<(), ProtocolError> {
        if watermark < self.acked_by[slot] {
            return Err(ProtocolError::AckWentBack);
        }
        self.check_closed(0, watermark)?;
        for (start, end) in ranges.clone() {
            if start >= end {
                return Err(ProtocolError::Malformed);
            }
            self.check_closed(start, end)?;
        }
        self.acked_by[slot] = watermark;
        self.watermark = self.watermark.max(watermark);
        for (start, end) in std::iter::once((0, watermark)).chain(ranges) {
            while let Some((_, &id)) = self.by_seq.range(start..end).next() {
                self.closed(id);
            }
        }
        Ok(())
    }

    /// The peer has these units of a message.
    ///
    /// # Errors
    /// `AckOfUnsent`, `Malformed`.
    pub(super) fn have(
        &mut self,
        seq: u64,
        ranges: impl Iterator<Item = (u64, u64)>,
    ) -> Result<(), ProtocolError> {
        let Some(&id) = self.by_seq.get(&seq) else {
            return match seq < self.next_seq {
                true => Ok(()),
                false => Err(ProtocolError::AckOfUnsent),
            };
        };
        let Some(record) = self.records.get_mut(&id) else {
            return Ok(());
        };
        if !record.is_live() {
            return Ok(());
        }
        for (start, end) in ranges {
            if start >= end {
                return Err(ProtocolError::Malformed);
            }
            if !record.parts.was_sent(start, end) {
                return Err(ProtocolError::AckOfUnsent);
            }
            record.parts.had(start, end, &mut self.flying);
        }
        let had = record.parts.is_had();
        self.queue(id);
        if had {
            self.drop_payload(id);
        }
        Ok(())
    }
}
