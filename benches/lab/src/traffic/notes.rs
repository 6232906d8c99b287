//! What a node notes while it runs a plan, and its report at the end.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::Plan;

/// Bytes are counted in slots of so many nanoseconds.
const SLOT: u64 = 100_000_000;
/// Errors kept; more say nothing new.
const ERRORS: usize = 8;

/// What a node saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) flows: Vec<FlowReport>,
    pub(crate) errors: Vec<String>,
    /// Bytes that belonged to no record, and answers for which there was no room.
    pub(crate) astray: u64,
    /// Pipes that ended, and that came anew.
    pub(crate) ended: u64,
    pub(crate) reconnected: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FlowReport {
    /// Sender: records given to the pipe.
    pub(crate) sent: u64,
    /// Sender: microseconds until the answer, in the order asked; of those unanswered, their age.
    pub(crate) latencies: Vec<u64>,
    pub(crate) unanswered: u64,
    /// Receiver: payload bytes in each tenth of a second from the plan's zero.
    pub(crate) slots: Vec<u64>,
    pub(crate) ticks: Vec<Tick>,
}

/// One tick as it arrived: its number, when it was due and when it came, nanoseconds from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tick(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl FlowReport {
    /// Payload bytes that arrived between two moments, in milliseconds from zero.
    pub(crate) fn bytes(&self, from: u64, to: u64) -> u64 {
        let slot = |ms: u64| ((ms * 1_000_000 / SLOT) as usize).min(self.slots.len());
        self.slots[slot(from)..slot(to)].iter().sum()
    }

    /// Megabits a second between two moments, in milliseconds from zero.
    pub(crate) fn mbit(&self, from: u64, to: u64) -> f64 {
        self.bytes(from, to) as f64 * 8.0 / (to - from) as f64 / 1e3
    }
}

pub(super) struct Notes {
    zero: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    report: Report,
    waiting: HashMap<(usize, u64), u64>,
    answered: Vec<HashMap<u64, u64>>,
}

impl Notes {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut inner = Inner::default();
        inner
            .report
            .flows
            .resize_with(plan.flows.len(), FlowReport::default);
        inner.answered.resize_with(plan.flows.len(), HashMap::new);
        Self {
            zero: plan.zero,
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics under this lock")
    }

    pub(super) fn sent(&self, flow: usize, number: u64, due: u64, asks: bool) {
        let mut inner = self.lock();
        inner.report.flows[flow].sent += 1;
        if asks {
            inner.waiting.insert((flow, number), due);
        }
    }

    pub(super) fn answered(&self, flow: u16, number: u64, now: u64) {
        let mut inner = self.lock();
        let flow = usize::from(flow);
        if let Some(due) = inner.waiting.remove(&(flow, number)) {
            inner.answered[flow].insert(number, now.saturating_sub(due));
        }
    }

    pub(super) fn bytes(&self, flow: u16, now: u64, bytes: u32) {
        let slot = (now.saturating_sub(self.zero) / SLOT) as usize;
        let mut inner = self.lock();
        let slots = &mut inner.report.flows[usize::from(flow)].slots;
        if slots.len() <= slot {
            slots.resize(slot + 1, 0);
        }
        slots[slot] += u64::from(bytes);
    }

    pub(super) fn ticked(&self, flow: u16, number: u64, due: u64, now: u64) {
        let tick = Tick(
            number,
            due.saturating_sub(self.zero),
            now.saturating_sub(self.zero),
        );
        self.lock().report.flows[usize::from(flow)].ticks.push(tick);
    }

    pub(super) fn astray(&self) {
        self.lock().report.astray += 1;
    }

    pub(super) fn ended(&self) {
        self.lock().report.ended += 1;
    }

    pub(super) fn reconnected(&self) {
        self.lock().report.reconnected += 1;
    }

    pub(super) fn failed(&self, what: &str, error: &io::Error) {
        let mut inner = self.lock();
        if inner.report.errors.len() < ERRORS {
            inner.report.errors.push(format!("{what}: {error}"));
        }
    }

    /// Everything so far; what is unanswered counts with its age at `end`.
    pub(super) fn report(&self, end: u64) -> Report {
        let inner = self.lock();
        let mut report = inner.report.clone();
        for (index, flow) in report.flows.iter_mut().enumerate() {
            let mut all: Vec<(u64, u64)> = inner.answered[index]
                .iter()
                .map(|(&n, &took)| (n, took))
                .collect();
            for (&(of, number), &due) in &inner.waiting {
                if of == index {
                    flow.unanswered += 1;
                    all.push((number, end.saturating_sub(due)));
                }
            }
            all.sort_unstable();
            flow.latencies = all.into_iter().map(|(_, took)| took / 1000).collect();
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flow, Side, What};
    use super::*;
    use crate::peer::Class;

    fn notes() -> Notes {
        Notes::new(&Plan {
            zero: 1_000_000_000,
            end: 1000,
            flows: vec![Flow {
                from: Side::Client,
                class: Class::Interactive,
                what: What::Ask { size: 1, every: 1 },
                start: 0,
                stop: 1000,
            }],
        })
    }

    #[test]
    fn what_has_no_answer_counts_with_its_age() {
        let notes = notes();
        notes.sent(0, 0, 1_000_000_000, true);
        notes.sent(0, 1, 1_500_000_000, true);
        notes.answered(0, 0, 1_020_000_000);
        let report = notes.report(2_000_000_000);
        assert_eq!(report.flows[0].latencies, [20_000, 500_000]);
        assert_eq!(report.flows[0].unanswered, 1);
    }

    #[test]
    fn goodput_is_of_the_slots_between_two_moments() {
        let notes = notes();
        notes.bytes(0, 1_050_000_000, 1000);
        notes.bytes(0, 1_950_000_000, 500);
        let flow = notes.report(0).flows.remove(0);
        assert_eq!(
            (
                flow.bytes(0, 1000),
                flow.bytes(100, 1000),
                flow.bytes(0, 900)
            ),
            (1500, 500, 1000)
        );
        assert!((flow.mbit(0, 1000) - 0.012).abs() < 1e-9);
    }
}
