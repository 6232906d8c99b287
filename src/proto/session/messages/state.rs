//! Messages of a session, both ways: what the rest of the session asks of them.

use std::time::Instant;

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::parts::Part;
use crate::label::{Label, Urgency};
use crate::proto::session::Wake;
use crate::proto::session::outbox::Back;

/// Messages of a session, both ways.
#[derive(Debug)]
pub(in crate::proto::session) struct State {
    pub(super) out: Outgoing,
    pub(super) inn: Incoming,
    /// Acknowledgements wait for company until then.
    pub(super) ack_deadline: Option<Instant>,
    /// They wait no longer.
    pub(super) tell: bool,
    /// One is to be told even if there is nothing new.
    pub(super) restate: bool,
    pub(super) parts_since: u32,
    pub(super) bytes_since: u64,
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
            || self.out.withdrawing.is_due()
            || self.out.forgetting.is_due()
    }

    pub(in crate::proto::session) fn deadline(&self) -> Option<(Instant, Wake)> {
        let ack = self.ack_deadline.map(|at| (at, Wake::AckDelay));
        let expiry = self.out.expiry().map(|at| (at, Wake::Lifetime));
        ack.into_iter().chain(expiry).min_by_key(|(at, _)| *at)
    }

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
        let part = Part { start, end, resent };
        self.out.untake(id, part, slot as u8);
    }

    /// A link took the first byte of a frame of this message.
    pub(in crate::proto::session) fn written(&mut self, id: u64) {
        if let Some(record) = self.out.records.get_mut(&id) {
            record.written = true;
        }
    }
}
