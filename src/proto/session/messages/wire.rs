//! What comes off the wire about messages, and what is told.

use std::time::{Duration, Instant};

use super::incoming::{Announced, First, Incoming};
use super::outgoing::{Outgoing, State as Stage};
use crate::label::{Label, Urgency};
use crate::proto::session::error::ProtocolError;
use crate::proto::session::frame::{
    self, Control, MAX_CLOSED, MAX_SACKS, PartHeader, kind, put_ranges, put_withdraw,
};
use crate::proto::session::outbox::Back;
use crate::proto::session::{CloseReason, Event, Phase, Session, Wake};

/// Parts since the last acknowledgement that are acknowledged at once, however small.
const ACK_PARTS: u32 = 256;

/// Messages of a session, both ways.
#[derive(Debug)]
pub(in crate::proto::session) struct State {
    pub(super) out: Outgoing,
    pub(super) inn: Incoming,
    /// Acknowledgements wait for company until then.
    ack_deadline: Option<Instant>,
    /// They wait no longer.
    tell: bool,
    /// One is to be told even if there is nothing new.
    restate: bool,
    parts_since: u32,
    bytes_since: u64,
    /// A `recv` came back empty-handed.
    pub(super) wanted: bool,
}

impl State {
    pub(in crate::proto::session) fn new(buffer: usize, peer_window: u64, window: u64) -> Self {
        Self {
            out: Outgoing::new(buffer, peer_window),
            inn: Incoming::new(window),
            ack_deadline: None,
            tell: false,
            restate: false,
            parts_since: 0,
            bytes_since: 0,
            wanted: true,
        }
    }

    // ---- what the rest of the session asks

    pub(in crate::proto::session) fn is_settled(&self) -> bool {
        self.out.is_settled()
    }

    pub(in crate::proto::session) fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.out.labels()
    }

    pub(in crate::proto::session) fn buffered(&self) -> usize {
        self.out.buffered() + self.inn.buffered()
    }

    pub(in crate::proto::session) fn flying_on(&self, slot: usize) -> u64 {
        self.out.flying.all[slot]
    }

    pub(in crate::proto::session) fn background_on(&self, slot: usize) -> u64 {
        self.out.flying.background[slot]
    }

    pub(in crate::proto::session) fn has_background(&self) -> bool {
        self.out.flying.background.iter().any(|bytes| *bytes > 0)
    }

    pub(in crate::proto::session) fn waits(&self, urgency: Urgency) -> bool {
        self.out.waits(urgency as usize)
    }

    pub(in crate::proto::session) fn waits_at_all(&self) -> bool {
        (0..3).any(|urgency| self.out.waits(urgency))
    }

    /// Bytes of this urgency that wait to be sent, at most.
    pub(in crate::proto::session) fn unsent(&self, urgency: Urgency) -> u64 {
        match self.waits(urgency) {
            true => self.out.held(urgency),
            false => 0,
        }
    }

    pub(in crate::proto::session) fn has_plans(&self) -> bool {
        self.waits_at_all() || self.wants_tell()
    }

    /// Whether something is to be told now.
    pub(in crate::proto::session) fn wants_tell(&self) -> bool {
        self.tell
            || self.inn.credit_due != [false; 3]
            || !self.inn.withdrawn_due.is_empty()
            || !self.out.withdraw_due.is_empty()
            || !self.out.forget_due.is_empty()
    }

    pub(in crate::proto::session) fn deadline(&self) -> Option<(Instant, Wake)> {
        let ack = self.ack_deadline.map(|at| (at, Wake::AckDelay));
        let expiry = self.out.expiry().map(|at| (at, Wake::Lifetime));
        ack.into_iter().chain(expiry).min_by_key(|(at, _)| *at)
    }

    // ---- what happens to paths

    pub(in crate::proto::session) fn attached(&mut self, slot: usize) {
        self.out.acked_by[slot] = 0;
    }

    pub(in crate::proto::session) fn lose(&mut self, slot: usize) {
        self.out.lose(slot as u8);
    }

    /// A frame was taken back before any of it was written.
    pub(in crate::proto::session) fn untake(
        &mut self,
        id: u64,
        start: u64,
        end: u64,
        back: Back,
        slot: usize,
    ) {
        let resent = back == Back::Lost;
        let part = super::parts::Part { start, end, resent };
        self.out.untake(id, part, slot as u8);
    }

    /// A link took the first byte of a frame of this message.
    pub(in crate::proto::session) fn written(&mut self, id: u64) {
        if let Some(record) = self.out.records.get_mut(&id) {
            record.written = true;
        }
    }

    // ---- what is told

    /// What waits for company goes with the next frames.
    pub(in crate::proto::session) fn tell_soon(&mut self) {
        self.tell |= self.ack_deadline.take().is_some();
    }

    /// What was told may not have arrived: all of it is told again.
    pub(in crate::proto::session) fn tell_again(&mut self) {
        self.out.tell_again();
        self.inn.tell_again();
        (self.tell, self.restate) = (true, true);
    }

    fn schedule(&mut self, now: Instant, delay: Duration, at_once: bool) {
        if at_once || self.parts_since >= ACK_PARTS {
            self.tell = true;
            self.ack_deadline = None;
        } else if !self.tell {
            self.ack_deadline.get_or_insert(now + delay);
        }
    }

    /// Tells what is due, up to so many bytes; the rest stays due.
    fn tell(&mut self, out: &mut Vec<u8>, budget: usize) {
        let full = |out: &Vec<u8>| out.len() >= budget;
        while !full(out)
            && let Some(id) = self.out.withdraw_due.pop_first()
        {
            if let Some(record) = self.out.records.get(&id)
                && let (Some(seq), Stage::Withdrawing { .. }) = (record.seq, record.state)
            {
                let urgency = record.label.urgency() as u8;
                put_withdraw(out, seq, urgency, record.charge);
            }
        }
        while !full(out)
            && let Some(id) = self.out.forget_due.pop_first()
        {
            let record = self.out.records.get(&id);
            if let Some(seq) = record.and_then(|record| record.seq) {
                frame::put_token(out, kind::FORGET, seq);
            }
        }
        while !full(out)
            && let Some(seq) = self.inn.withdrawn_due.pop_first()
        {
            frame::put_token(out, kind::WITHDRAWN, seq);
        }
        for lane in 0..3 {
            let lazy = self.tell && self.inn.owes_credit(lane);
            if self.inn.credit_due[lane] || lazy {
                frame::put_message_credit(out, lane as u8, self.inn.grant(lane));
            }
        }
        if self.tell {
            self.tell_closed(out, budget);
            self.tell_have(out, budget);
            self.tell = !self.inn.news.is_empty() || !self.inn.have.is_empty();
            (self.parts_since, self.bytes_since) = (0, 0);
        }
    }

    fn tell_closed(&mut self, out: &mut Vec<u8>, budget: usize) {
        if self.inn.news.is_empty() && !self.restate {
            return;
        }
        self.restate = false;
        let watermark = self.inn.watermark();
        self.inn.news.remove_below(watermark);
        loop {
            let ranges: Vec<(u64, u64)> = self.inn.news.iter().take(MAX_CLOSED).collect();
            put_ranges(out, kind::MSG_ACK, &[watermark], &ranges);
            if let Some((_, end)) = ranges.last() {
                self.inn.news.remove_below(*end);
            }
            if self.inn.news.is_empty() || out.len() >= budget {
                return;
            }
        }
    }

    fn tell_have(&mut self, out: &mut Vec<u8>, budget: usize) {
        while out.len() < budget
            && let Some(seq) = self.inn.have.pop_first()
        {
            if let Some((units, early)) = self.inn.units(seq) {
                let ranges: Vec<(u64, u64)> = early.take(MAX_SACKS).collect();
                put_ranges(out, kind::MSG_HAVE, &[seq, units], &ranges);
            }
        }
    }
}

impl Session {
    // ---- parts

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
        let messages = &mut self.messages;
        messages.parts_since += u32::from(bytes == 0);
        messages.bytes_since += bytes as u64;
        let many = messages.bytes_since >= self.config.ack_threshold(self.window);
        messages.schedule(now, self.config.ack_delay, at_once || many);
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

    // ---- control frames

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
        let settled = !self.messages.out.events.is_empty();
        self.events.append(&mut self.messages.out.events);
        if settled {
            self.check_drained(now);
        }
    }

    // ---- telling

    /// Tells what is due on a path, up to so many unwritten bytes.
    pub(in crate::proto::session) fn tell_messages(&mut self, slot: usize, budget: usize) {
        if let Some(path) = self.paths[slot].as_mut()
            && self.messages.wants_tell()
        {
            let written = path.outbox.control.len() - path.outbox.control_left();
            let budget = budget + written;
            self.messages.tell(&mut path.outbox.control, budget);
        }
    }

    /// Says on every path what is here, before the session says that it is finished.
    pub(in crate::proto::session) fn tell_messages_everywhere(&mut self) {
        for slot in 0..self.paths.len() {
            self.messages.tell_again();
            self.tell_messages(slot, 8 << 10);
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
