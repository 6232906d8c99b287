//! At most so many bytes a second, and what limits of the process let go: what a writer waits for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::account::Gate;
use crate::clock::Clock;
use crate::proto::schedule::meter::Meter;

/// A timer is not set for less.
const TICK: Duration = Duration::from_millis(1);
/// Where only another policy lets go again, it is looked at so often in case that nobody tells.
const LOOK: Duration = Duration::from_secs(1);

/// The rate of one stream, replays included, and its part of what all share.
#[derive(Debug, Default)]
pub(super) struct Limit {
    meter: Option<Meter>,
    gates: Vec<Gate>,
    /// Of each gate, bytes taken and not settled.
    taken: Vec<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    pub(super) fn set_rate(&mut self, rate: Option<u64>) {
        self.meter = rate.map(Meter::new);
    }

    pub(super) fn set_gates(&mut self, gates: Vec<Gate>) {
        self.took(0, 0);
        self.taken = vec![0; gates.len()];
        self.gates = gates;
    }

    fn is_none(&self) -> bool {
        self.meter.is_none() && self.gates.is_empty()
    }

    /// How many of so many bytes may go now; ready with at least one. There is one writer at a time, and
    /// it says what [went](Self::took), be it nothing.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        if self.is_none() {
            return Poll::Ready(wanted);
        }
        loop {
            let now = Clock::recent();
            let again = match self.room(now, wanted as u64) {
                Ok(room) => {
                    self.sleep = None;
                    return Poll::Ready(usize::try_from(room).unwrap_or(usize::MAX));
                }
                Err(again) => again.max(now + TICK),
            };
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(Clock::sleep_until(again)));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
    }

    /// How many of so many bytes may go now, or when to ask again.
    fn room(&mut self, now: Instant, wanted: u64) -> Result<u64, Instant> {
        // Whoever asked before did not come to writing.
        self.give_back(now, false);
        let mut room = wanted;
        if let Some(meter) = &mut self.meter {
            room = room.min(meter.room(now));
            if room == 0 {
                return Err(meter.next(now).unwrap_or(now));
            }
        }
        for at in 0..self.gates.len() {
            let grant = self.gates[at].take(now, room);
            self.taken[at] = grant.bytes;
            if grant.bytes == 0 {
                self.give_back(now, true);
                return Err(grant.again.unwrap_or(now + LOOK));
            }
            room = room.min(grant.bytes);
        }
        Ok(room)
    }

    fn give_back(&mut self, now: Instant, wanted: bool) {
        for (gate, taken) in self.gates.iter().zip(&mut self.taken) {
            let taken = std::mem::take(taken);
            gate.settle(now, taken, taken, wanted);
        }
    }

    /// So many went of those that [were to](Self::poll_room).
    pub(super) fn took(&mut self, bytes: usize, wanted: usize) {
        if self.is_none() {
            return;
        }
        let (now, bytes) = (Clock::recent(), bytes as u64);
        if let Some(meter) = &mut self.meter {
            meter.take(now, bytes);
        }
        for (gate, taken) in self.gates.iter().zip(&mut self.taken) {
            let had = std::mem::take(taken);
            let more = bytes > 0 && bytes == had && (wanted as u64) > had;
            gate.settle(now, had, had.saturating_sub(bytes), more);
        }
    }

    /// So many came.
    pub(super) fn came(&self, bytes: usize) {
        for gate in &self.gates {
            gate.charge(Clock::recent(), bytes as u64);
        }
    }

    /// So many went without asking.
    pub(super) fn went(&self, bytes: u64) {
        for gate in &self.gates {
            gate.overcharge(Clock::recent(), bytes);
        }
    }
}
