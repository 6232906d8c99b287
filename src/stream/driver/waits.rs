//! Who waits for room for messages, for one to arrive, and for one's fate.
//!
//! | waits for | where | woken by |
//! | --- | --- | --- |
//! | room for a message of an urgency | a line an urgency | `MessageRoom` of it: the first in line |
//! | room for the next piece of a message | `pieces`, beside the lines | `MessageRoom` of any urgency |
//! | a message to receive | a line | `MessageReady`: the first in line |
//! | a message's fate | `settling`, by id | `MessageSettled` of it, kept until it is taken |
//!
//! Pieces stand in no line: what stands there may itself wait for that message to be complete.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::line::{Line, Ticket};
use super::state::State;
use crate::label::{Label, Urgency};
use crate::proto::session::messages::{Fate, MessageId};

/// With one label paths are looked for no more often than this, unless none carries it.
const LOOK: Duration = Duration::from_secs(1);
/// Labels of which that is remembered.
const LOOKED: usize = 8;

/// Somebody who waits for what becomes of a message.
#[derive(Debug)]
pub(super) enum Settling {
    Waits(Waker),
    /// It became this: by the time it is asked for, the core may have forgotten.
    Told(Fate),
}

/// Who waits for what of a session's messages. Made with the first of them: most sessions have none.
#[derive(Debug, Default)]
pub(super) struct Waits {
    senders: [Line; 3],
    pub(super) receivers: Line,
    pub(super) pieces: BTreeMap<MessageId, Option<Waker>>,
    pub(super) settling: BTreeMap<(MessageId, Ticket), Settling>,
    tickets: Ticket,
    /// When a message gets a looser label, unless some of it was sent, and which.
    relaxing: BTreeSet<(Instant, MessageId)>,
    relaxed: BTreeMap<MessageId, (Instant, Label)>,
    pub(super) looked: Looked,
}

/// The labels with which paths were looked for, and when: a look costs more than a message.
#[derive(Debug, Default)]
pub(super) struct Looked(Vec<(Label, Instant)>);

impl Looked {
    /// Whether it is time to look with this label; from now on it was done.
    pub(super) fn is_due(&mut self, now: Instant, label: &Label) -> bool {
        if let Some((_, at)) = self.0.iter_mut().find(|(known, _)| known == label) {
            let due = now.saturating_duration_since(*at) >= LOOK;
            if due {
                *at = now;
            }
            return due;
        }
        if self.0.len() == LOOKED {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, (_, at))| *at);
            if let Some((place, _)) = oldest {
                self.0.swap_remove(place);
            }
        }
        self.0.push((*label, now));
        true
    }
}

impl Waits {
    pub(super) fn senders(&mut self, urgency: Urgency) -> &mut Line {
        &mut self.senders[urgency as usize]
    }

    /// Nobody waits for room any more: what is asked now is answered at once.
    pub(super) fn close(&mut self, wake: &mut Vec<Waker>) {
        for line in &mut self.senders {
            wake.extend(line.dissolve());
        }
        wake.extend(self.pieces.values_mut().filter_map(Option::take));
    }

    pub(super) fn relax(&mut self, id: MessageId, at: Instant, label: Label) {
        self.relaxing.insert((at, id));
        self.relaxed.insert(id, (at, label));
    }

    pub(super) fn forget(&mut self, id: MessageId) {
        if let Some((at, _)) = self.relaxed.remove(&id) {
            self.relaxing.remove(&(at, id));
        }
    }

    /// What one who waited for a message's fate is to be told.
    pub(super) fn told(&self, id: MessageId, ticket: Ticket) -> Option<Fate> {
        match self.settling.get(&(id, ticket))? {
            Settling::Waits(_) => None,
            Settling::Told(fate) => Some(*fate),
        }
    }

    /// A place among those who wait for a message's fate.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// Everybody who waits for the fate of this message.
    pub(super) fn settled(&mut self, id: MessageId, fate: Fate, wake: &mut Vec<Waker>) {
        self.forget(id);
        for (_, settling) in self.settling.range_mut((id, 0)..=(id, Ticket::MAX)) {
            if let Settling::Waits(waker) = std::mem::replace(settling, Settling::Told(fate)) {
                wake.push(waker);
            }
        }
        wake.extend(self.pieces.get_mut(&id).and_then(Option::take));
    }
}

impl State {
    pub(super) fn waits(&mut self) -> &mut Waits {
        self.waits.get_or_insert_default()
    }

    /// When the next message gets a looser label.
    pub(super) fn relax_at(&self) -> Option<Instant> {
        let (at, _) = self.waits.as_ref()?.relaxing.first()?;
        Some(*at)
    }

    /// Messages that waited long enough get the label that the configuration says.
    pub(super) fn relax_messages(&mut self, now: Instant) {
        while self.relax_at().is_some_and(|at| at <= now) {
            let waits = self.waits();
            let Some((_, id)) = waits.relaxing.pop_first() else {
                return;
            };
            // Once some of it was sent, its label stays.
            if let Some((_, label)) = waits.relaxed.remove(&id)
                && self.core.relabel_message(now, id, label).is_ok()
            {
                self.unsettled = true;
            }
        }
    }

    /// No more messages are taken: whoever waits for room is to hear it.
    pub(super) fn stop_sending(&mut self) {
        if let Some(waits) = &mut self.waits {
            waits.close(&mut self.wake);
        }
    }

    /// The session is over: whoever waits for anything is to hear it.
    pub(super) fn end_messages(&mut self) {
        let Some(waits) = &mut self.waits else {
            return;
        };
        waits.close(&mut self.wake);
        self.wake.extend(waits.receivers.dissolve());
        for settling in std::mem::take(&mut waits.settling) {
            match settling {
                (_, Settling::Waits(waker)) => self.wake.push(waker),
                (key, told) => drop(waits.settling.insert(key, told)),
            }
        }
        waits.relaxing.clear();
        waits.relaxed.clear();
    }

    pub(super) fn message_ready(&mut self) {
        let first = self.waits.as_mut().and_then(|w| w.receivers.call());
        self.wake.extend(first);
    }

    pub(super) fn message_room(&mut self, urgency: Urgency) {
        if let Some(waits) = &mut self.waits {
            let pieces = waits.pieces.values_mut();
            self.wake.extend(pieces.filter_map(Option::take));
            self.wake.extend(waits.senders(urgency).call());
        }
    }

    pub(super) fn message_settled(&mut self, id: MessageId, fate: Fate) {
        if let Some(waits) = &mut self.waits {
            waits.settled(id, fate, &mut self.wake);
        }
    }

    /// Somebody waits for a message; what arrives is for it to take.
    pub(super) fn has_receivers(&self) -> bool {
        (self.waits.as_ref()).is_some_and(|waits| !waits.receivers.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_alternate_are_looked_for_once_a_second_each() {
        let mut looked = Looked::default();
        let start = Instant::now();
        let labels = [Label::INTERACTIVE, Label::BACKGROUND, Label::ANY];
        let looks = (0..3_000).filter(|turn| {
            let now = start + Duration::from_millis(*turn);
            looked.is_due(now, &labels[*turn as usize % 3])
        });
        assert_eq!(looks.count(), 9);
    }

    #[test]
    fn many_labels_fill_no_memory_and_what_is_used_stays_known() {
        let mut looked = Looked::default();
        let start = Instant::now();
        for number in 0..1_000_u32 {
            let now = start + Duration::from_micros(number.into());
            let label = Label::ANY.try_interface(&format!("eth{number}")).unwrap();
            assert!(looked.is_due(now, &label));
            assert!(!looked.is_due(now, &label));
            assert!(looked.0.len() <= LOOKED);
        }
    }
}
