//! What is told of messages, and when: what is here, what is credited, what is given up.

use std::time::{Duration, Instant};

use super::record::State as Stage;
use super::state::State;
use crate::label::Label;
use crate::proto::session::Session;
use crate::proto::session::frame::{self, MAX_CLOSED, MAX_SACKS, kind, put_ranges, put_withdraw};

/// Parts since the last acknowledgement that are acknowledged at once, however small.
const ACK_PARTS: u32 = 256;

impl State {
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

    /// Something is to be told: with company, by then at the latest, or at once.
    pub(super) fn schedule(&mut self, now: Instant, delay: Duration, at_once: bool) {
        if at_once || self.parts_since >= ACK_PARTS {
            self.tell = true;
            self.ack_deadline = None;
        } else if !self.tell {
            let deadline = now + delay;
            self.ack_deadline = Some(self.ack_deadline.map_or(deadline, |at| at.min(deadline)));
        }
    }

    /// Tells what is due, up to so many bytes; the rest stays due, and so does credit that is withheld.
    fn tell(&mut self, out: &mut Vec<u8>, budget: usize, withheld: [bool; 3]) {
        let full = |out: &Vec<u8>| out.len() >= budget;
        while !full(out)
            && let Some(id) = self.out.withdrawing.next()
        {
            if let Some(record) = self.out.records.get(&id)
                && let (Some(seq), Stage::Withdrawing { .. }) = (record.seq, record.state)
            {
                let urgency = record.label.urgency() as u8;
                put_withdraw(out, seq, urgency, record.charge);
            }
        }
        while !full(out)
            && let Some(id) = self.out.forgetting.next()
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
        for lane in (0..3).filter(|lane| !withheld[*lane]) {
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
    /// Tells what is due on a path, up to so many unwritten bytes.
    pub(in crate::proto::session) fn tell_messages(&mut self, slot: usize, budget: usize) {
        let sorts = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
        let withheld = match self.messages.wants_tell() {
            true => sorts.map(|label| self.withholds(&label)),
            false => return,
        };
        if let Some(path) = self.paths[slot].as_mut() {
            let written = path.outbox.control.len() - path.outbox.control_left();
            let budget = budget + written;
            self.messages
                .tell(&mut path.outbox.control, budget, withheld);
        }
    }

    /// Says on every path what is here, before the session says that it is finished.
    pub(in crate::proto::session) fn tell_messages_everywhere(&mut self) {
        for slot in 0..self.paths.len() {
            self.messages.tell_again();
            self.tell_messages(slot, 8 << 10);
        }
    }
}
