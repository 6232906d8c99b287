//! What comes after what, and what the giving up of a message does to those that come after it.
//!
//! ```text
//!  not a byte written:  given up --> gone at once          (no number on the wire yet)
//!                                --> tomb                  (it had a number: FORGET closes that)
//!  else:                given up --> withdrawing --acknowledged--> delivered after all
//!                                                --WITHDRAWN--> tomb --FORGET, acknowledged--> gone
//! ```
//!
//! What comes after a message that is given up is given up itself. What is sent later without `after`
//! comes after those before it that are not.

use super::outgoing::{Outgoing, State};
use super::{Fate, MessageId, Order, Refused};
use crate::label::Urgency;
use crate::proto::session::ProtocolError;

impl Outgoing {
    /// Those of the named messages that are not delivered yet.
    fn named(&self, ids: &[MessageId]) -> Result<Vec<u64>, Refused> {
        let mut after = Vec::with_capacity(ids.len());
        for &named in ids {
            let MessageId(id) = named;
            match self.records.get(&id) {
                Some(record) if record.settled() => return Err(Refused::DependencyLost(named)),
                Some(_) => after.push(id),
                None if id >= self.next_id => return Err(Refused::UnknownDependency(named)),
                None => match self.fates.of(id) {
                    Some(Fate::Delivered) => {}
                    Some(_) => return Err(Refused::DependencyLost(named)),
                    None => return Err(Refused::UnknownDependency(named)),
                },
            }
        }
        after.sort_unstable();
        after.dedup();
        Ok(after)
    }

    /// What the next message comes after.
    ///
    /// # Errors
    /// `UnknownDependency`, `DependencyLost`.
    pub(super) fn place(&self, urgency: Urgency, order: &Order) -> Result<Vec<u64>, Refused> {
        match order {
            Order::After(ids) => self.named(ids),
            Order::Sent => Ok(self.tail(urgency).into_iter().collect()),
            Order::AfterAll => {
                // What the last one of these came after need not be named again.
                let late = self.late.iter().copied();
                let since = self.records.range(self.barrier..).map(|(id, _)| *id);
                let live = |id: &u64| self.records.get(id).is_some_and(|record| record.is_live());
                let mut after: Vec<u64> = late.chain(since).filter(live).collect();
                after.sort_unstable();
                after.dedup();
                Ok(after)
            }
        }
    }

    /// A message that comes after everything was taken.
    pub(super) fn placed_after_all(&mut self, id: u64) {
        self.barrier = id;
        self.late.clear();
    }

    /// Takes back a message of which nothing was written; its frames are out of every outbox.
    pub(super) fn discard(&mut self, id: u64, cause: Fate) {
        self.uncharge(id);
        match self.records.get(&id) {
            Some(record) if record.seq.is_some() => return self.bury(id, cause),
            Some(_) => {}
            None => return,
        }
        self.doom_followers(id);
        let Some(record) = self.remove(id) else {
            return;
        };
        self.settle(id, cause);
        self.open_barrier(id, &record.after);
        for before in &record.after {
            if let Some(other) = self.records.get_mut(before) {
                other.followers.retain(|follower| *follower != id);
            }
            self.check_forget(*before);
        }
    }

    /// What the last message that came after everything came after, others must name themselves now.
    fn open_barrier(&mut self, id: u64, after: &[u64]) {
        if self.barrier == id {
            self.late = after.to_vec();
        }
    }

    /// Asks the peer to give up a message of which something was written.
    pub(super) fn withdraw(&mut self, id: u64, cause: Fate, settled: bool) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        match record.state {
            State::Live => {}
            State::Withdrawing { cause, .. } if settled && !record.settled() => {
                let settled = true;
                record.state = State::Withdrawing { cause, settled };
                self.settle(id, cause);
                return self.doom_followers(id);
            }
            _ => return,
        }
        let after = record.after.clone();
        self.open_barrier(id, &after);
        self.retire(id, State::Withdrawing { cause, settled });
        self.asking.insert(id);
        self.withdraw_due.insert(id);
        if settled {
            self.settle(id, cause);
            self.doom_followers(id);
        }
    }

    fn doom_followers(&mut self, id: u64) {
        if let Some(record) = self.records.get(&id) {
            let cause = Fate::DependencyLost(MessageId(id));
            let followers = record.followers.iter();
            self.doomed.extend(followers.map(|id| (*id, cause)));
        }
    }

    /// It will never be delivered, but its number is on the wire, or may be what others come after.
    fn bury(&mut self, id: u64, cause: Fate) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let (settled, after) = (record.settled(), record.after.clone());
        self.open_barrier(id, &after);
        self.retire(id, State::Tomb { told: false });
        self.asking.remove(&id);
        self.withdraw_due.remove(&id);
        if !settled {
            self.settle(id, cause);
            self.doom_followers(id);
        }
        self.check_forget(id);
        for before in after {
            self.check_forget(before);
        }
    }

    /// The peer has given a message up.
    ///
    /// # Errors
    /// `AckOfUnsent` if it was not asked to.
    pub(super) fn withdrawn(&mut self, seq: u64) -> Result<(), ProtocolError> {
        let Some(id) = self.of_seq(seq)? else {
            return Ok(());
        };
        match self.records.get(&id).map(|record| record.state) {
            Some(State::Withdrawing { cause, .. }) => self.bury(id, cause),
            Some(State::Tomb { told: true }) => {
                self.forget_due.insert(id);
            }
            Some(State::Live) => return Err(ProtocolError::AckOfUnsent),
            _ => {}
        }
        Ok(())
    }

    fn of_seq(&self, seq: u64) -> Result<Option<u64>, ProtocolError> {
        match self.by_seq.get(&seq) {
            None if seq >= self.next_seq() => Err(ProtocolError::AckOfUnsent),
            found => Ok(found.copied()),
        }
    }

    /// The peer is told to forget a tomb once nothing that comes after it can be delivered.
    fn check_forget(&mut self, id: u64) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let open = |follower: &u64| {
            let follower = self.records.get(follower);
            follower.is_some_and(|follower| !matches!(follower.state, State::Tomb { .. }))
        };
        if record.state != (State::Tomb { told: false }) || record.followers.iter().any(open) {
            return;
        }
        if let Some(record) = self.records.get_mut(&id) {
            record.state = State::Tomb { told: true };
        }
        self.burying.insert(id);
        self.forget_due.insert(id);
    }

    // ---- what the peer acknowledges

    /// Whether the peer may have closed all messages between two numbers.
    fn check_closed(&self, start: u64, end: u64) -> Result<(), ProtocolError> {
        let may = |id: &u64| {
            (self.records.get(id)).is_none_or(|record| match record.state {
                State::Live | State::Withdrawing { .. } => record.sent_whole,
                State::Tomb { told } => told,
            })
        };
        let known = end <= self.next_seq();
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
                if let Some(record) = self.remove(id)
                    && !record.settled()
                {
                    self.settle(id, Fate::Delivered);
                }
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
        let Some(id) = self.of_seq(seq)? else {
            return Ok(());
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
