//! Messages that are written piece by piece. They are numbered when they are begun, and take their place
//! in the order when they are finished.

use std::time::Instant;

use bytes::Bytes;

use super::outgoing::{OVERHEAD, OVERHEAD_NAMED, Outgoing};
use super::{Fate, MessageId, Order, Refused};
use crate::label::Label;
use crate::proto::session::Event;

#[derive(Debug)]
pub(super) struct Writing {
    label: Label,
    /// The urgency it was begun with, whose buffer it fills.
    lane: usize,
    order: Order,
    expires: Option<Instant>,
    /// What it takes of that beside its bytes.
    overhead: usize,
    bytes: Vec<u8>,
    /// More was written than the peer takes: it is never sent.
    too_long: bool,
}

/// What a message in the making takes of the buffer beside its bytes, before the first of them: while
/// nothing is written it must not keep the longest of the others out.
fn overhead(order: &Order) -> usize {
    match order {
        Order::After(ids) => OVERHEAD_NAMED * ids.len(),
        Order::Sent | Order::AfterAll => 0,
    }
}

impl Outgoing {
    pub(super) fn begin_writing(
        &mut self,
        label: Label,
        order: Order,
        expires: Option<Instant>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.census.enter(&label);
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
        let overhead = overhead(&order);
        let lane = &mut self.lanes[label.urgency() as usize];
        lane.used += overhead;
        lane.count += 1;
        lane.writers.insert(id);
        let bytes = Vec::new();
        self.writing.insert(
            id,
            Writing {
                label,
                lane: label.urgency() as usize,
                order,
                expires,
                overhead,
                bytes,
                too_long: false,
            },
        );
        id
    }

    /// Takes what fits of a piece.
    pub(super) fn write(&mut self, id: u64, piece: &[u8]) -> Result<usize, Refused> {
        let writing = self.writing.get_mut(&id).ok_or(Refused::Unknown)?;
        let (lane, length) = (writing.lane, writing.bytes.len());
        writing.too_long |= length as u64 + piece.len() as u64 > self.longest;
        if writing.too_long {
            return Err(Refused::TooLong(self.longest));
        }
        if piece.is_empty() {
            return Ok(0);
        }
        self.check_overrun(lane);
        let taken = self.lanes[lane].take(id, piece.len(), self.limit);
        if let Some(writing) = self.writing.get_mut(&id) {
            if taken > 0 && writing.bytes.is_empty() {
                writing.overhead += OVERHEAD;
                self.lanes[lane].used += OVERHEAD;
            }
            writing.bytes.extend_from_slice(&piece[..taken]);
        }
        Ok(taken)
    }

    /// Takes a message out of those being written.
    fn unwrite(&mut self, id: u64) -> Option<Writing> {
        let writing = self.writing.remove(&id)?;
        self.census.leave(&writing.label);
        if let Some(at) = writing.expires {
            self.expiries.remove(&(at, id));
        }
        let index = writing.lane;
        let lane = &mut self.lanes[index];
        lane.used -= writing.overhead + writing.bytes.len();
        lane.count -= 1;
        lane.writers.remove(&id);
        self.freed(index);
        Some(writing)
    }

    pub(super) fn finish_writing(&mut self, id: u64) -> Result<(), Refused> {
        // Its beginning alone is not what was to be sent.
        if self
            .writing
            .get(&id)
            .is_some_and(|writing| writing.too_long)
        {
            return Err(Refused::TooLong(self.longest));
        }
        let writing = self.unwrite(id).ok_or(Refused::Unknown)?;
        let label = writing.label;
        match self.place(id, label.urgency(), &writing.order) {
            Ok(placed) => {
                if id < self.barrier {
                    self.late.insert(id);
                }
                self.insert(
                    id,
                    (label, writing.lane),
                    Bytes::from(writing.bytes),
                    placed,
                    writing.expires,
                );
            }
            Err(refused) => {
                let fate = match refused {
                    Refused::DependencyLost(lost) => Fate::DependencyLost(lost),
                    _ => Fate::Cancelled,
                };
                self.unwritten(id, fate);
                return Err(refused);
            }
        }
        Ok(())
    }

    /// Gives up a message that is being written; whether it was.
    pub(super) fn stop_writing(&mut self, id: u64, cause: Fate) -> bool {
        let stopped = self.unwrite(id).is_some();
        if stopped {
            self.unwritten(id, cause);
        }
        stopped
    }

    fn unwritten(&mut self, id: u64, cause: Fate) {
        self.fates.failed(id, cause);
        let event = Event::MessageSettled(MessageId(id), cause);
        self.events.push_back(event);
    }

    /// Gives a message that is being written another label; whether it was.
    pub(super) fn relabel_writing(&mut self, id: u64, label: Label) -> bool {
        let Some(writing) = self.writing.get_mut(&id) else {
            return false;
        };
        let old = std::mem::replace(&mut writing.label, label);
        self.census.leave(&old);
        self.census.enter(&label);
        true
    }
}
