//! The one place where "no network fits" becomes waiting.
//!
//! A labelled operation that finds no network is no error: it is a pending future, woken by the
//! snapshot that makes its label matchable and by no other, and withdrawn by dropping it. A
//! million may wait while networks come and go, so a snapshot must cost what the labels cost, not
//! what the operations cost.
//!
//! ```text
//!  matching(label).await                                   run(label, f).await
//!        │                                                        │
//!        ▼            nothing matches                             ▼
//!   look at the ───────────────────▶ join the line of ─┐     wait ──match──▶ f(network)
//!   snapshot    ◀─────────────────── this label        │      ▲                 │
//!        │         woken: look again                   │      └── match lost ───┤
//!        ▼                                             │                        ▼
//!   the networks, best first        time over, cancelled, scout gone         its result
//! ```
//!
//! One [`Registry`] a manager: a lock around the table (`table`), and one task that sweeps it when
//! the scout publishes, a deadline is due, or the machine wakes from sleep.
//!
//! # Rules
//!
//! - Look first. An operation for which a network matches never waits, also if others of its label
//!   were woken and have not run yet.
//! - The look and the joining happen under one lock, with the snapshot read under it. A sweep reads
//!   its snapshot under that lock too, and every publication is followed by a sweep: whoever joined
//!   on an older snapshot is found by it. So no wake-up is lost.
//! - Lines are by label and destination, and addresses that no route tells apart share one
//!   evaluation (`cells`): ten labels to one destination cost ten evaluations a snapshot.
//! - Wakers are called outside the lock, in batches, a line's in order of priority and arrival, at
//!   most once a generation. An operation whose match is gone when it is polled keeps its place.
//! - Times count time asleep. All deadlines share one timer; an operation without one has none.
//! - With the scout gone every waiter gets [`MatchError::ScoutGone`]. What its last snapshot admits
//!   is still given: connecting tells for itself, and only waiting would be for ever.
//! - Nothing of a user's runs under the lock: no waker is cloned, called or dropped there.
//!
//! # Limits
//!
//! 2^32 - 1 operations wait at once in a registry. Each takes at most 80 bytes in the table, 64 more
//! and an alarm where it has a deadline, a looser label or a held-back start; with its future and
//! handle about 200 in all (`benches/deferral.rs`). The table gives memory back when half of a crowd
//! is gone, and keeps room for 32 entries at most when nobody waits. Cancelling by label or number,
//! and listing, look at every operation once; cancelling by handle does not.

mod cells;
mod error;
mod explain;
mod line;
mod matching;
mod operation;
mod registry;
mod run;
mod running;
mod settings;
mod table;
mod wait;

#[cfg(test)]
mod tests;

pub use error::MatchError;
pub use explain::Pending;
pub use matching::Matching;
pub use operation::{Op, Operation, OperationId, OperationIdError, Which};
pub use registry::Matched;
#[doc(hidden)]
pub use registry::Registry;
pub use run::{Run, Stop};
pub use running::Running;
#[doc(hidden)]
pub use table::Footprint;
pub use table::Tally;
#[doc(hidden)]
pub use wait::{Wait, Want};
