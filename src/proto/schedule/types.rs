//! What a decision is made of.

use std::time::{Duration, Instant};

use super::{ACTIVE, PATHS};
use crate::label::Urgency;

/// What is known of a path: by the kernel where it tells (TCP_INFO), else by acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// The smoothed round trip, the waiting behind our own bytes included.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub deviation: Option<Duration>,
    /// The least round trip of the last minutes.
    pub least_rtt: Option<Duration>,
    /// Bytes a second that the path delivers when it has enough to do; 0 says nothing.
    pub bandwidth: Option<u64>,
    /// Bytes given to the link that the peer's kernel has not acknowledged, unsent ones included.
    pub outstanding: u64,
    /// Those of them that wait in the kernel, unsent.
    pub unsent: u64,
    /// Bytes acknowledged since the link was made: that it grows is progress. A path without an
    /// estimate of bandwidth is given the more, the more it has acknowledged; so who has nothing from
    /// a kernel counts here what the peer acknowledged.
    pub acknowledged: u64,
}

/// One path as a decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Candidate {
    /// Its slot in the session.
    pub slot: usize,
    /// Paths of one number share a network.
    pub network: u8,
    /// It is the network's lane for interactive traffic.
    pub lane: bool,
    /// Where the label places its network; less is better, equal ones are used together.
    pub class: u16,
    /// It owes acknowledgements and shows no progress.
    pub suspect: bool,
    /// Bytes planned for it that its link has not taken.
    pub planned: u64,
    /// Background bytes that other sessions of the process have outstanding on this network.
    pub foreign: u64,
    /// What is known of it.
    pub measure: Measure,
}

/// What wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unit {
    /// How urgent it is, inherited urgency included.
    pub urgency: Urgency,
    /// Bytes that could go in one piece. Of bulk a path is given no more than its
    /// [`chunk`](super::chunk) at once.
    pub length: u64,
    /// Bytes of the same urgency that wait with it, these included.
    pub backlog: u64,
    /// It may go over two networks at once.
    pub redundant: bool,
    /// It has waited for [`STARVATION`](super::STARVATION): it goes now, whatever the gate and the
    /// priority of others say.
    pub starved: bool,
    /// The slot of the path that asks for bulk because its link takes more. It is given what helps,
    /// also where another path would be quicker with this one chunk; without it the quickest is named.
    pub asker: Option<usize>,
}

/// What the process does around the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// When interactive traffic was last sent or received, by any session of the process.
    pub interactive: Option<Instant>,
    /// Background bytes that other sessions have outstanding, by slot of our path's network.
    pub foreign: [u64; PATHS],
    /// Another session of more `priority` has traffic of this urgency waiting, by slot, a bit an
    /// urgency (1 interactive, 2 default, 4 background).
    pub outranked: [u8; PATHS],
    /// Sessions of the process are of different `priority`: little is to stand where it cannot be
    /// overtaken.
    pub ranked: bool,
}

impl Surroundings {
    /// Whether interactive traffic is active, so that background leaves the queues empty.
    #[must_use]
    pub fn is_active(&self, now: Instant) -> bool {
        (self.interactive).is_some_and(|last| now.saturating_duration_since(last) < ACTIVE)
    }

    /// Whether traffic of this urgency waits for another session on the path of this slot.
    #[must_use]
    pub fn outranks(&self, slot: usize, urgency: Urgency) -> bool {
        let bit = match urgency {
            Urgency::Interactive => 1,
            Urgency::Default => 2,
            Urgency::Background => 4,
        };
        self.outranked.get(slot).is_some_and(|bits| bits & bit != 0)
    }
}
