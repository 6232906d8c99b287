//! The giving up of a message, and what it does to those that come after it.
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
//!
//! Many may go at once, each after all before it: so whatever looks through what comes after a message
//! does it once for all that go, not once for each.

use std::collections::BTreeSet;

use super::outgoing::Outgoing;
use super::record::{Kind, State};
use super::{Fate, MessageId};
use crate::proto::session::ProtocolError;

impl Outgoing {
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
        self.open_barrier(id, &record.place.after);
        for before in &record.place.after {
            self.lose_follower(*before);
        }
        for follower in &record.followers {
            self.unfollow(*follower, id, &record);
        }
    }

    /// One of those that come after a message is gone. They are looked through when half of them are, and
    /// not at all if the message is to go too.
    fn lose_follower(&mut self, id: u64) {
        self.need_less(id);
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        record.gone += 1;
        if record.doomed || record.gone * 2 <= record.followers.len() {
            return;
        }
        record.gone = 0;
        let mut followers = std::mem::take(&mut record.followers);
        #[cfg(test)]
        {
            self.looked += followers.len();
        }
        followers.retain(|follower| self.records.contains_key(follower));
        if let Some(record) = self.records.get_mut(&id) {
            record.followers = followers;
        }
    }

    /// One message less needs it: a tomb may be forgotten by now.
    fn need_less(&mut self, id: u64) {
        let state = self.records.get(&id).map(|record| record.state);
        if matches!(state, Some(State::Tomb { told: false, .. })) {
            self.unneeded.insert(id);
        }
    }

    /// A message that needs one that was given up is to be given up, unless that is known.
    pub(super) fn doom(&mut self, id: u64, lost: u64) {
        if let Some(record) = self.records.get_mut(&id)
            && !std::mem::replace(&mut record.doomed, true)
        {
            let cause = Fate::DependencyLost(MessageId(lost));
            self.doomed.push((id, cause));
        }
    }

    /// All that was doomed is given up: what nothing needs any more may be forgotten.
    pub(super) fn check_unneeded(&mut self) {
        while let Some(id) = self.unneeded.pop_first() {
            self.check_forget(id);
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
        let after = record.place.after.clone();
        self.open_barrier(id, &after);
        self.retire(id, State::Withdrawing { cause, settled });
        self.withdrawing.begin(id);
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
        for follower in named {
            self.doom(follower, id);
        }
    }

    /// It will never be delivered, but its number is on the wire, or may be what others come after.
    fn bury(&mut self, id: u64, cause: Fate) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let (settled, after) = (record.settled(), record.place.after.clone());
        let (clear, told) = (false, false);
        self.open_barrier(id, &after);
        self.retire(id, State::Tomb { clear, told });
        self.withdrawing.end(id);
        self.mark_sent(id);
        if !settled {
            self.settle(id, cause);
            self.doom_followers(id);
        }
        self.check_clear(id);
        for before in after {
            self.need_less(before);
        }
    }

    /// The peer has given a message up.
    pub(super) fn withdrawn(&mut self, seq: u64) -> Result<(), ProtocolError> {
        let Some(&id) = self.by_seq.get(&seq) else {
            return match seq < self.next_seq {
                true => Ok(()),
                false => Err(ProtocolError::AckOfUnsent),
            };
        };
        match self.records.get(&id).map(|record| record.state) {
            Some(State::Withdrawing { cause, .. }) => self.bury(id, cause),
            Some(State::Tomb { told: true, .. }) => {
                self.forgetting.repeat(id);
            }
            Some(State::Live) => return Err(ProtocolError::AckOfUnsent),
            _ => {}
        }
        Ok(())
    }

    /// A tomb is clear once all it came after is settled, or clear itself.
    pub(super) fn check_clear(&mut self, id: u64) {
        // The first first: most of what one comes after was sent before it, and is clear by then.
        let mut todo = BTreeSet::from([id]);
        while let Some(id) = todo.pop_first() {
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
            if !record.place.after.iter().all(settled) {
                continue;
            }
            todo.extend(&record.followers);
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
        self.forgetting.begin(id);
    }
}
