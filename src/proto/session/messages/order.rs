//! What comes after what, on the sending side.

use super::outgoing::Outgoing;
use super::record::{Kind, Place, Record};
use super::{Fate, MAX_AFTER, MessageId, Order, Refused};
use crate::label::Urgency;

impl Outgoing {
    /// Those of the named messages that are not delivered yet.
    pub(super) fn named(&self, ids: &[MessageId]) -> Result<Place, Refused> {
        if ids.len() > MAX_AFTER {
            return Err(Refused::TooManyNamed);
        }
        let mut place = Place::default();
        for &named in ids {
            let MessageId(id) = named;
            match self.records.get(&id) {
                Some(record) if record.settled() => return Err(Refused::DependencyLost(named)),
                Some(_) => place.after.push(id),
                None if id >= self.next_id || self.writing.contains_key(&id) => {
                    return Err(Refused::UnknownDependency(named));
                }
                None => match self.settled_fate(id) {
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

    /// What the last message that came after everything came after, others must name themselves now.
    pub(super) fn open_barrier(&mut self, id: u64, after: &[u64]) {
        if self.barrier == id {
            self.late.extend_from_slice(after);
        }
    }

    /// A message that this one came after is gone and was never sent.
    pub(super) fn unfollow(&mut self, id: u64, gone: u64, record: &Record) {
        let Some(follower) = self.records.get_mut(&id) else {
            return;
        };
        let inherits = match follower.kind {
            Kind::Named => return self.doom(id, gone),
            Kind::Chained => true,
            // The rest it comes after anyway.
            Kind::Barrier => record.kind == Kind::Barrier,
        };
        if let Ok(index) = follower.after.binary_search(&gone) {
            follower.after.remove(index);
        }
        if inherits {
            follower.seqs.extend_from_slice(&record.seqs);
            follower.below = follower.below.max(record.below);
        }
        if !record.sent_whole {
            follower.unsent = follower.unsent.saturating_sub(1);
        }
        if inherits {
            self.inherit(id, record);
        }
        self.queue(id);
    }

    /// A message comes after what one that is gone came after.
    fn inherit(&mut self, id: u64, gone: &Record) {
        let Some(follower) = self.records.get(&id) else {
            return;
        };
        let known = follower.after.clone();
        let mut unsent = 0;
        let mut inherited = Vec::new();
        for before in &gone.after {
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
    }
}
