//! What the peer said, and what became of what was said to it.

use std::time::Instant;

use super::message::{Body, Message};
use super::{Airstream, Fault, MessageId, Phase, Said};

impl Airstream {
    pub(super) fn take(&mut self, now: Instant, bytes: &[u8]) {
        let Some(message) = Message::decode(bytes) else {
            return;
        };
        match (self.phase, &message.body) {
            (Phase::Over, _) => return,
            (Phase::Waiting, Body::Open { limit }) => {
                self.tag = message.tag;
                self.phase = Phase::Open;
                self.outgoing.allow(*limit);
                let limit = self.incoming.tell();
                self.say(now, Said::Accept, Body::Accept { limit });
                return;
            }
            // Of nobody here, or of a stream before this one.
            (Phase::Waiting, _) => return,
            _ if message.tag != self.tag => return,
            _ => {}
        }
        match message.body {
            // Once more, for an earlier one went to another instance of ours.
            Body::Open { .. } => {}
            Body::Accept { limit } => {
                if self.phase == Phase::Opening {
                    self.phase = Phase::Open;
                    self.outgoing.allow(limit);
                }
            }
            Body::Data { offset, bytes } => {
                if !self.incoming.data(offset, bytes) {
                    self.reset(now, Fault::Nonsense);
                }
            }
            Body::End { offset } => {
                if !self.incoming.end(offset) {
                    self.reset(now, Fault::Nonsense);
                }
            }
            Body::Limit { limit } => self.outgoing.allow(limit),
            Body::Stop => self.outgoing.stop(),
            Body::Reset => self.fail(Fault::Reset),
        }
    }

    /// One of our messages has arrived, which so many packets carried.
    pub(super) fn confirmed_by(&mut self, id: MessageId, packets: u32) {
        let Some(owed) = self.owed.remove(&id) else {
            return;
        };
        match owed.said {
            Said::Data => {
                self.outgoing.confirm(owed.number);
                self.counts.arrived(owed.number, packets);
            }
            Said::Limit => self.telling = false,
            _ => {}
        }
    }

    /// Messages that are not confirmed: how many, and how many were sent since the oldest of them.
    pub(super) fn under_way(&self) -> (usize, u64) {
        let oldest = self.owed.values().next();
        let span = oldest.map_or(0, |oldest| self.count - oldest.number + 1);
        (self.owed.len(), span)
    }
}
