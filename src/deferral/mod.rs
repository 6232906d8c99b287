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
//! the scout publishes, the policy changes, a deadline is due, or the machine wakes from sleep.
//!
//! # Rules
//!
//! - Look first. An operation for which a network matches never waits, also if others of its label
//!   were woken and have not run yet.
//! - The look and the joining happen under one lock, with the snapshot and the policy read under it.
//!   A sweep reads them under that lock too, and every publication and every other policy is followed
//!   by a sweep: whoever joined on an older one is found by it. So no wake-up is lost.
//! - Lines are by label and destination, and addresses that no route tells apart share one
//!   evaluation (`cells`): ten labels to one destination cost ten evaluations a snapshot or policy.
//! - Wakers are called outside the lock, in batches, a line's in order of priority and arrival, at
//!   most once a generation. An operation whose match is gone when it is polled keeps its place.
//! - Nothing is kept of an operation for its explanation (`explain`): reasons, names and the history
//!   of the reasons are looked up when somebody asks, by the snapshot and policy that decided.
//! - Times count time asleep. All deadlines share one timer; an operation without one has none.
//! - With the scout gone every waiter gets [`MatchError::ScoutGone`]. What its last snapshot admits
//!   is still given: connecting tells for itself, and only waiting would be for ever.
//! - Nothing of a user's runs under the lock: no waker is cloned, called or dropped there, and no
//!   recorder of `metrics` is told.
//!
//! # Limits
//!
//! 2^32 - 1 operations wait at once in a registry. Each takes at most 80 bytes in the table, 64 more
//! and an alarm where it has a deadline, a looser label or a held-back start; with its future and
//! handle about 220 in all (`benches/deferral.rs`). The table gives memory back when half of a crowd
//! is gone, and keeps room for 32 entries at most when nobody waits. Cancelling by label or number,
//! finding by number, nudging all, and listing, look at every operation once; cancelling by handle
//! does not. The histories of 32 labels and destinations are kept until the next snapshot.
//!
//! # Tracing
//!
//! Beginning to wait, and the end of an operation, are events (target `mancom::deferral`, level
//! debug) with the operation's id, its label and the id of the network that matched, tied together by
//! the operation's id. They are no spans, because a span for each waiting operation would cost memory
//! here and an entry in the subscriber's registry, a million times over, for the same fields.
//!
//! # Metrics
//!
//! With the feature `metrics` what waits is told to the recorder of the `metrics` facade. An operation
//! that need not wait is none of these.
//!
//! | name | | counts | labels |
//! | --- | --- | --- | --- |
//! | `mancom_operations_pending` | gauge | operations that wait for a network now | `kind` |
//! | `mancom_operations_waited_total` | counter | those that began to wait | `kind` |
//! | `mancom_operations_ended_total` | counter | those whose wait is over | `kind`, `end` |
//!
//! `kind` is the operation's word (`connect`, `run`, ..); `end` is `matched`, `timed_out`,
//! `cancelled`, `refused` (told not to wait, or the scout ended) or `dropped`.

mod cells;
mod error;
mod explain;
mod line;
mod matching;
mod metrics;
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
#[doc(hidden)]
pub use wait::{Wait, Want};
