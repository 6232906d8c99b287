//! Streams with something to send: the more urgent first, those of one urgency in turn.

use std::collections::VecDeque;

use super::StreamId;
use crate::label::Urgency;

/// Every urgency, the most urgent first.
pub(super) const TURNS: [Urgency; 3] =
    [Urgency::Interactive, Urgency::Default, Urgency::Background];

/// The urgency after this one.
pub(super) fn lower(urgency: Urgency) -> Option<Urgency> {
    TURNS.get(urgency as usize + 1).copied()
}

/// Three queues; a stream stands in one of them at most, which its own mark says.
#[derive(Debug, Default)]
pub(super) struct Ready([VecDeque<StreamId>; 3]);

impl Ready {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    pub(super) fn waits(&self, urgency: Urgency) -> bool {
        !self.0[urgency as usize].is_empty()
    }

    /// How many stand in one queue.
    pub(super) fn len(&self, urgency: Urgency) -> usize {
        self.0[urgency as usize].len()
    }

    pub(super) fn push(&mut self, urgency: Urgency, id: StreamId) {
        self.0[urgency as usize].push_back(id);
    }

    pub(super) fn pop(&mut self, urgency: Urgency) -> Option<StreamId> {
        self.0[urgency as usize].pop_front()
    }

    pub(super) fn remove(&mut self, urgency: Urgency, id: StreamId) {
        self.0[urgency as usize].retain(|waiting| *waiting != id);
    }

    pub(super) fn iter(&self, urgency: Urgency) -> impl Iterator<Item = StreamId> + '_ {
        self.0[urgency as usize].iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(VecDeque::clear);
    }
}
