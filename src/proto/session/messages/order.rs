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
                    Some(Fate::Delivered) => match self.delivered.seq(id) {
                        Ok(seq) => place.seqs.push(seq),
                        Err(below) => place.below = below,
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

    /// After the last of those sent without `after` in this urgency: of those that are not delivered,
    /// and of those that are, if that was sent later.
    fn end_of(&self, urgency: Urgency) -> Place {
        let lane = &self.lanes[urgency as usize];
        let tail = lane.chain.last_key_value();
        let is_last = |(link, _): &(u64, u64)| tail.is_none_or(|(last, _)| last < link);
        let delivered = lane.delivered.filter(is_last);
        Place {
            after: tail.map(|(_, id)| *id).into_iter().collect(),
            seqs: delivered.map(|(_, seq)| seq).into_iter().collect(),
            below: 0,
        }
    }

    /// A message comes after these, as far as they are there; how many of them were not sent whole yet.
    pub(super) fn follow(&mut self, id: u64, after: &[u64]) -> usize {
        let mut unsent = 0;
        for before in after {
            if let Some(other) = self.records.get_mut(before) {
                other.followers.push(id);
                unsent += usize::from(!other.sent_whole);
            }
        }
        unsent
    }

    /// A message that was sent without `after` and has no number on the wire leaves the order of its
    /// urgency and joins that of another, as if it were sent now. What followed it there follows those
    /// before it; what names it, or comes after everything, comes after it still.
    ///
    /// That makes no circle: what was sent without `after` comes after nothing else than such messages
    /// of the order it is in, and of that order none comes after this one any more.
    pub(super) fn move_to_end(&mut self, id: u64, urgency: Urgency) {
        let Some(mut record) = self.records.remove(&id) else {
            return;
        };
        if let Some((chain, link)) = record.link.take() {
            self.lanes[chain].chain.remove(&link);
        }
        for before in &record.place.after {
            if let Some(other) = self.records.get_mut(before) {
                other.followers.retain(|follower| *follower != id);
            }
        }
        let chained = |follower: &u64| {
            let follower = self.records.get(follower);
            follower.is_some_and(|follower| follower.kind == Kind::Chained)
        };
        let (moved, kept) = record.followers.iter().copied().partition(chained);
        record.followers = kept;
        let moved: Vec<u64> = moved;
        for follower in moved {
            self.unfollow(follower, id, &record);
        }
        record.place = self.end_of(urgency);
        record.unsent = self.follow(id, &record.place.after);
        record.link = Some(self.link(id, urgency as usize));
        self.records.insert(id, record);
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
            Order::Sent => Ok((Kind::Chained, self.end_of(urgency))),
            Order::AfterAll => {
                let mut after = std::mem::take(&mut self.late);
                after.extend(self.records.range(self.barrier..).map(|(id, _)| *id));
                let is_live =
                    |id: &u64| self.records.get(id).is_some_and(|record| record.is_live());
                let after = after.into_iter().filter(is_live).collect();
                self.barrier = id;
                let place = Place {
                    after,
                    seqs: Vec::new(),
                    below: self.next_seq,
                };
                Ok((Kind::Barrier, place))
            }
        }
    }

    /// What the last message that came after everything came after, others must name themselves now; and
    /// of what they must name so, what that came after.
    pub(super) fn open_barrier(&mut self, id: u64, after: &[u64]) {
        if self.barrier == id || self.late.remove(&id) {
            self.late.extend(after);
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
        if let Ok(index) = follower.place.after.binary_search(&gone) {
            follower.place.after.remove(index);
        }
        if inherits {
            follower.place.seqs.extend_from_slice(&record.place.seqs);
            follower.place.below = follower.place.below.max(record.place.below);
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
        let known = &follower.place.after;
        let fresh = |before: &&u64| {
            self.records.contains_key(before) && known.binary_search(before).is_err()
        };
        let inherited: Vec<u64> = gone.place.after.iter().filter(fresh).copied().collect();
        let unsent = self.follow(id, &inherited);
        if let Some(follower) = self.records.get_mut(&id) {
            let rank = follower.rank;
            follower.unsent += unsent;
            follower.place.after.extend_from_slice(&inherited);
            follower.place.after.sort_unstable();
            self.raise(&inherited, rank);
        }
    }
}
