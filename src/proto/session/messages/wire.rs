//! What comes off the wire about messages, and what time brings.

use std::time::Instant;

use super::entry::{Announced, First};
use crate::proto::session::error::ProtocolError;
use crate::proto::session::frame::{self, Control, PartHeader};
use crate::proto::session::{CloseReason, Event, Phase, Session};

impl Session {
    /// A part of a message begins.
    pub(in crate::proto::session) fn on_part(
        &mut self,
        now: Instant,
        slot: usize,
        header: &PartHeader,
        head: Option<&[u8]>,
    ) -> Result<(), ProtocolError> {
        if self.is_over() || self.phase == Phase::Saying {
            return Ok(());
        }
        let Some(path) = &self.paths[slot] else {
            return Ok(());
        };
        let label = path.definitions.get(header.label)?;
        let first = match head {
            Some(head) => {
                let (id, below, after) = frame::first(head)?;
                Some(First { id, below, after })
            }
            None => None,
        };
        self.notice(now, label.urgency());
        let wanted = self.messages.inn.part(Announced {
            seq: header.seq,
            label,
            length: header.length,
            offset: header.offset,
            payload: header.payload,
            first,
        })?;
        let at_once = !wanted || (header.waiting && header.payload == 0);
        self.arrived(now, 0, at_once)
    }

    /// Payload of a part whose header passed.
    pub(in crate::proto::session) fn on_part_payload(
        &mut self,
        now: Instant,
        slot: usize,
        header: &PartHeader,
        payload: &[u8],
    ) -> Result<(), ProtocolError> {
        let Some(path) = self.paths[slot].as_mut() else {
            return Ok(());
        };
        path.stats.payload_received += payload.len() as u64;
        path.stats.control_received -= payload.len() as u64;
        if let Ok(label) = path.definitions.get(header.label) {
            path.payload_came(&label, payload.len(), true);
        }
        path.fed = Some(now);
        if self.is_over() || self.phase == Phase::Saying {
            return Ok(());
        }
        let inn = &mut self.messages.inn;
        let fresh = inn.payload(header.seq, header.offset, payload)?;
        let last = header.payload as usize == payload.len();
        self.arrived(now, payload.len(), !fresh || (last && header.waiting))
    }

    /// Something of a message arrived: sees to acknowledgement, and to whoever waits for one.
    fn arrived(&mut self, now: Instant, bytes: usize, at_once: bool) -> Result<(), ProtocolError> {
        let delay = self.ack_delay(now);
        let messages = &mut self.messages;
        messages.parts_since += u32::from(bytes == 0);
        messages.bytes_since += bytes as u64;
        let many = messages.bytes_since >= self.config.ack_threshold(self.window);
        messages.schedule(now, delay, at_once || many);
        messages.inn.check_gaps()?;
        self.offer_message();
        Ok(())
    }

    fn offer_message(&mut self) {
        if self.messages.wanted && self.messages.inn.is_ready() {
            self.messages.wanted = false;
            self.events.push_back(Event::MessageReady);
        }
    }

    pub(in crate::proto::session) fn on_message_control(
        &mut self,
        now: Instant,
        slot: usize,
        frame: Control<'_>,
    ) -> Result<(), ProtocolError> {
        let messages = &mut self.messages;
        let before = messages.out.flying.all;
        match frame {
            Control::MsgAck { watermark, ranges } => {
                let out = &mut messages.out;
                let alone = self.paths[slot].as_ref().is_some_and(|path| path.alone);
                let forgot = alone && watermark < out.watermark;
                out.acknowledge(slot, watermark, ranges.iter())?;
                if forgot {
                    self.end(now, CloseReason::PeerRolledBack);
                    return Ok(());
                }
            }
            Control::MsgHave { seq, units, ranges } => {
                let upto = (units > 0).then_some((0, units));
                let ranges = upto.into_iter().chain(ranges.iter());
                messages.out.have(seq, ranges)?;
            }
            Control::MsgCredit { urgency, highest } => {
                messages.out.credit(usize::from(urgency), highest);
            }
            Control::Withdrawn(seq) => messages.out.withdrawn(seq)?,
            Control::Withdraw {
                seq,
                urgency,
                charge,
            } => {
                messages.inn.withdraw(seq, usize::from(urgency), charge)?;
                messages.schedule(now, self.config.ack_delay, true);
            }
            Control::Forget(seq) => {
                messages.inn.forget(seq)?;
                messages.schedule(now, self.config.ack_delay, true);
                self.offer_message();
            }
            _ => return Ok(()),
        }
        for (slot, before) in before.into_iter().enumerate() {
            let arrived = before.saturating_sub(self.messages.out.flying.all[slot]);
            if arrived > 0 {
                self.arrived_on(now, slot, arrived);
            }
        }
        self.settle_messages(now);
        self.check_all_retired(now);
        Ok(())
    }

    /// Gives up what is doomed, passes on what happened, and sees whether that was all.
    pub(super) fn settle_messages(&mut self, now: Instant) {
        while let Some((id, cause)) = self.messages.out.doomed.pop() {
            self.give_up(id, cause);
        }
        self.messages.out.check_unneeded();
        let settled = !self.messages.out.events.is_empty();
        self.events.append(&mut self.messages.out.events);
        if settled {
            self.check_drained(now);
        }
    }

    /// Acts on what is due by now.
    pub(in crate::proto::session) fn mind_messages(&mut self, now: Instant) {
        if self.messages.ack_deadline.is_some_and(|at| at <= now) {
            self.messages.tell_soon();
        }
        while let Some(id) = self.messages.out.expired(now) {
            self.give_up(id, super::Fate::Expired);
        }
        self.settle_messages(now);
    }

    /// Credit that came back goes with the next acknowledgement.
    pub(super) fn return_credit(&mut self, now: Instant) {
        if std::mem::take(&mut self.messages.inn.handed_out) {
            let delay = self.config.ack_delay;
            self.messages.schedule(now, delay, false);
        }
    }

    /// The session is over.
    pub(in crate::proto::session) fn end_messages(&mut self, reason: CloseReason) {
        self.messages.out.end();
        self.messages.inn.end(reason != CloseReason::Aborted);
        self.messages.tell = false;
        self.messages.ack_deadline = None;
        self.events.append(&mut self.messages.out.events);
        self.offer_message();
    }
}
