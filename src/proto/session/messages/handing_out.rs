//! What is handed out, and the credit that comes back with it.

use super::incoming::Incoming;
use super::{MessageId, Received};

impl Incoming {
    /// The next message in order.
    pub(super) fn take(&mut self) -> Option<Received> {
        let (_, id, seq) = self.ready.pop_first()?;
        let entry = self.entries.remove(&seq)?;
        let lane = entry.label.urgency() as usize;
        self.give_back(lane, entry.charge);
        self.held -= entry.body.held();
        let mut todo = std::mem::take(&mut self.todo);
        self.wake(seq, &mut todo);
        self.mind_forgotten(None);
        self.advance(todo);
        Some(Received {
            label: entry.label,
            id: MessageId(id),
            bytes: entry.body.into_bytes(),
        })
    }

    pub(super) fn give_back(&mut self, lane: usize, charge: u64) {
        self.lanes[lane].returned += charge;
        self.handed_out = true;
        if self.allowed(lane) - self.lanes[lane].granted >= self.window / 4 {
            self.credit_due[lane] = true;
        }
    }

    fn allowed(&self, lane: usize) -> u64 {
        self.lanes[lane].returned + self.window
    }

    /// Credit that came back and was not told, however little.
    pub(super) fn owes_credit(&self, lane: usize) -> bool {
        self.allowed(lane) > self.lanes[lane].granted
    }

    /// What the peer may charge from now on.
    pub(super) fn grant(&mut self, lane: usize) -> u64 {
        self.credit_due[lane] = false;
        self.lanes[lane].granted = self.allowed(lane);
        self.lanes[lane].granted
    }
}
