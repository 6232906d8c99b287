//! Which unit goes over which path, and when: decisions only.
//!
//! # The problem
//!
//! A session has several paths, of which some are fast, some cheap, some already full; and it has
//! traffic of three urgencies. Every byte is to go where its label wants it and where it arrives first,
//! bulk is to use everything there is, and what somebody waits for is to find the way free.
//!
//! ```text
//!             trusted, of the best class      its lane, or not     not outranked
//!  paths that ──────────────┬──────────────────────┬────────────────────┬──────▶ interactive: where it
//!  admit the                │                      │                    │        arrives first, or twice
//!  label                WorseClass,              Lane               Outranked
//!                       Suspect                                         │
//!                                                                       └──────▶ bulk: gate, then the
//!                                                                         Gate,  path that asks, unless
//!                                                                         Later  the others are done first
//! ```
//!
//! # The rules
//!
//! - **Urgency** is strict: interactive, then default, then background; but background moves at least one
//!   chunk every [`STARVATION`]. The caller keeps that time and says so by [`Unit::starved`].
//! - **Class before speed.** Paths whose networks the label holds to be worse (detour, health, preference,
//!   avoided, cost) carry it only while no trusted path of a better class does. A suspect path carries it
//!   only while all are suspect.
//! - **Lanes.** Interactive traffic goes by the lane of a network that has one, other traffic does not,
//!   unless there is nothing but the lane.
//! - **Interactive** goes where it arrives first, and small units over a second network as well if the
//!   label is redundant: there classes only order, for whoever asks for two networks asks for both.
//! - **Bulk** is striped by earliest completion, as ECF and BLEST have it: the path that asks takes a
//!   chunk, unless the others would be done with the *whole* backlog before this chunk arrived. So a slow
//!   path helps with much and never holds up the end of little, nor fills the receiver's window. A path
//!   within the host, where copying is what takes time, carries it alone for as long as it takes it.
//! - **The gate** bounds what bulk leaves in a path's queue: see [`gate`].
//! - **Priority.** Where another session of more priority has traffic of this urgency waiting, ours waits,
//!   unless it is starved: of every urgency that is held back so, a chunk moves every [`STARVATION`].
//!
//! A path without estimates is tried: it counts as quick, and is given ten segments more than it has
//! acknowledged, so that what it is given doubles with every round trip until it is known.
//!
//! Everything here is a pure function of its arguments, whatever their values and in whatever order paths
//! are given, and each decision comes with a [`Trace`] that says why.
//!
//! # Beside the decisions
//!
//! | | |
//! | --- | --- |
//! | [`patience`] | how long silence is no reason for suspicion |
//! | [`bandwidth`] | what a path can carry |
//! | [`meter`] | a rate that holds over any second |
//! | [`budget`] | so many bytes a day: periods, and what was spent in them |
//! | [`estimate`] | what so many bytes will take: time, money, energy |

use std::time::Duration;

mod arrival;
pub mod bandwidth;
pub mod budget;
pub mod estimate;
mod gain;
pub mod gate;
mod least;
pub mod meter;
mod patience;
mod place;
mod standing;
#[cfg(test)]
mod tests;
mod trace;
mod types;

pub use gate::chunk;
pub use patience::patience;
pub use place::place;
pub use trace::{Choice, Placement, Reason, Trace};
pub use types::{Candidate, Measure, Surroundings, Unit};

/// Background waits for more urgent traffic, and whatever is outranked for sessions of more priority, no
/// longer than this for its next chunk.
pub const STARVATION: Duration = Duration::from_secs(5);
/// Interactive traffic is active for so long after its last byte.
pub const ACTIVE: Duration = Duration::from_secs(6);
/// Paths of one session.
pub const PATHS: usize = 8;
