//! What comes after what, and what the giving up of a message does to those that come after it.
//!
//! ```text
//!  not a byte written:  given up --> gone at once          (no number on the wire yet)
//!                                --> tomb                  (it had a number: FORGET closes that)
//!  else:                given up --> withdrawing --acknowledged--> delivered after all
//!                                                --WITHDRAWN--> tomb --FORGET, acknowledged--> gone
//! ```
//!
//! What needs a message that is given up is given up itself; what merely follows it (the order sent, or
//! after everything) comes after that one's predecessors instead.

use super::outgoing::{Kind, Outgoing, Place, Record, State};
use super::{Fate, MessageId, Order, Refused};
use crate::label::Urgency;
use crate::proto::session::ProtocolError;

impl Outgoing {
    /// Those of the named messages that are not delivered yet.
    pub(super) fn named(&self, ids: &[MessageId]) -> Result<Place, Refused> {
        let mut place = Place::default();
        for &named in ids {
            let MessageId(id) = named;
            match self.records.get(&id) {
                Some(record) if record.settled() => return Err(Refused::DependencyLost(named)),
                Some(_) => place.after.push(id),
                None if id >= self.next_id || self.writing.contains_key(&id) => {
                    return Err(Refused::UnknownDependency(named));
                }
                None => match self.fates.of(id) {
                    Some(Fate::Delivered) => match self.delivered.get(&id) {
                        Some(seq) => place.seqs.push(*seq),
                        None => place.below = self.overflown,
                    },
                    Some(_) => return Err(Refused::DependencyLost(named)),
                    None => return Err(Refused::UnknownDependency(named)),
                },
            }
        }
        place.after.sort_unstable();
        place.after.dedup();
        place.seqs.sort_unstable();
        place.seqs.dedup();
        Ok(place)
    }

    /// What a message of this number comes after, which is taken into the order with that.
    pub(super) fn place(
        &mut self,
        id: u64,
        urgency: Urgency,
        order: &Order,
    ) -> Result<(Kind, Place), Refused> {
        match order {
            Order::After(ids) => Ok((Kind::Named, self.named(ids)?)),
            Order::Sent => {
                let tail = self.tail(urgency);
                let delivered = self.delivered_tail(urgency).filter(|_| tail.is_none());
                let place = Place {
                    after: tail.into_iter().collect(),
                    seqs: delivered.into_iter().collect(),
                    below: 0,
                };
                Ok((Kind::Chained, place))
            }
            Order::AfterAll => {
                let mut after = std::mem::take(&mut self.late);
                after.extend(self.records.range(self.barrier..).map(|(id, _)| *id));
                after.retain(|id| self.records.get(id).is_some_and(|record| record.is_live()));
                after.sort_unstable();
                after.dedup();
                self.barrier = id;
                let place = Place {
                    after,
                    seqs: Vec::new(),
                    below: self.next_seq(),
                };
                Ok((Kind::Barrier, place))
            }
        }
    }

    /// Takes back a message of which nothing was written; its frames are out of every outbox.
    pub(super) fn discard(&mut self, id: u64, cause: Fate) {
        self.uncharge(id);
        match self.records.get(&id) {
            Some(record) if record.seq.is_some() => return self.bury(id, cause),
            Some(_) => {}
            None => return,
        }
        let Some(record) = self.remove(id) else {
            return;
        };
        self.settle(id, cause);
        self.open_barrier(id, &record.after);
        for before in &record.after {
            if let Some(other) = self.records.get_mut(before) {
                other.followers.retain(|follower| *follower != id);
            }
        }
        for follower in &record.followers {
            self.unfollow(*follower, id, &record);
        }
        for before in &record.after {
            self.check_forget(*before);
        }
    }

    /// What the last message that came after everything came after, others must name themselves now.
    fn open_barrier(&mut self, id: u64, after: &[u64]) {
        if self.barrier == id {
            self.late.extend_from_slice(after);
        }
    }

    /// A message that this one came after is gone and was never sent.
    fn unfollow(&mut self, id: u64, gone: u64, record: &Record) {
        let Some(follower) = self.records.get_mut(&id) else {
            return;
        };
        let inherits = match follower.kind {
            Kind::Named => {
                let cause = Fate::DependencyLost(MessageId(gone));
                return self.doomed.push((id, cause));
            }
            Kind::Chained => true,
            // The rest it comes after anyway.
            Kind::Barrier => record.kind == Kind::Barrier,
        };
        follower.after.retain(|before| *before != gone);
        if inherits {
            follower.seqs.extend_from_slice(&record.seqs);
            follower.below = follower.below.max(record.below);
        }
        if !record.sent_whole {
            follower.unsent = follower.unsent.saturating_sub(1);
        }
        let known = follower.after.clone();
        let mut unsent = 0;
        let mut inherited = Vec::new();
        for before in record.after.iter().filter(|_| inherits) {
            if let Some(other) = self.records.get_mut(before)
                && known.binary_search(before).is_err()
            {
                other.followers.push(id);
                inherited.push(*before);
                unsent += usize::from(!other.sent_whole);
            }
        }
        if let Some(follower) = self.records.get_mut(&id) {
            let rank = follower.rank;
            follower.unsent += unsent;
            follower.after.extend_from_slice(&inherited);
            follower.after.sort_unstable();
            self.raise(&inherited, rank);
        }
        self.queue(id);
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
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let named = |id: &&u64| {
            let follower = self.records.get(id);
            follower.is_some_and(|follower| follower.kind == Kind::Named)
        };
        let named: Vec<u64> = record.followers.iter().filter(named).copied().collect();
        let cause = Fate::DependencyLost(MessageId(id));
        self.doomed.extend(named.into_iter().map(|id| (id, cause)));
    }

    /// It will never be delivered, but its number is on the wire, or may be what others come after.
    fn bury(&mut self, id: u64, cause: Fate) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let (settled, after) = (record.settled(), record.after.clone());
        let (clear, told) = (false, false);
        self.open_barrier(id, &after);
        self.retire(id, State::Tomb { clear, told });
        self.asking.remove(&id);
        self.withdraw_due.remove(&id);
        self.mark_sent(id);
        if !settled {
            self.settle(id, cause);
            self.doom_followers(id);
        }
        self.check_clear(id);
        for before in after {
            self.check_forget(before);
        }
    }

    /// The peer has given a message up.
    pub(super) fn withdrawn(&mut self, seq: u64) -> Result<(), ProtocolError> {
        let Some(&id) = self.by_seq.get(&seq) else {
            return match seq < self.next_seq() {
                true => Ok(()),
                false => Err(ProtocolError::AckOfUnsent),
            };
        };
        match self.records.get(&id).map(|record| record.state) {
            Some(State::Withdrawing { cause, .. }) => self.bury(id, cause),
            Some(State::Tomb { told: true, .. }) => {
                self.forget_due.insert(id);
            }
            Some(State::Live) => return Err(ProtocolError::AckOfUnsent),
            _ => {}
        }
        Ok(())
    }

    /// The peer has closed a message: it was delivered, or forgotten as it was told to.
    fn closed(&mut self, id: u64) {
        let Some(record) = self.remove(id) else {
            return;
        };
        if !record.settled() {
            self.remember(id, &record);
            self.settle(id, Fate::Delivered);
        }
        for follower in record.followers {
            self.check_clear(follower);
        }
    }

    /// A tomb is clear once all it came after is settled, or clear itself.
    fn check_clear(&mut self, id: u64) {
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            let settled = |before: &u64| {
                let state = self.records.get(before).map(|record| record.state);
                matches!(state, None | Some(State::Tomb { clear: true, .. }))
            };
            let Some(record) = self.records.get(&id) else {
                continue;
            };
            let State::Tomb { clear: false, told } = record.state else {
                continue;
            };
            if !record.after.iter().all(settled) {
                continue;
            }
            todo.extend_from_slice(&record.followers);
            if let Some(record) = self.records.get_mut(&id) {
                record.state = State::Tomb { clear: true, told };
            }
            self.check_forget(id);
        }
    }

    /// The peer is told to forget a clear tomb once nothing that needs it can be delivered.
    fn check_forget(&mut self, id: u64) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let needs = |follower: &u64| {
            self.records.get(follower).is_some_and(|follower| {
                follower.kind == Kind::Named && !matches!(follower.state, State::Tomb { .. })
            })
        };
        let ready = State::Tomb {
            clear: true,
            told: false,
        };
        if record.state != ready || record.followers.iter().any(needs) {
            return;
        }
        if let Some(record) = self.records.get_mut(&id) {
            let (clear, told) = (true, true);
            record.state = State::Tomb { clear, told };
        }
        self.burying.insert(id);
        self.forget_due.insert(id);
    }

    // ---- what the peer acknowledges

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
            return match seq < self.next_seq() {
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
