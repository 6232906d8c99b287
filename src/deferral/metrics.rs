//! What waits, for the `metrics` facade (feature `metrics`; without it nothing is counted).
//!
//! | name | | counts | labels |
//! | --- | --- | --- | --- |
//! | `mancom_operations_pending` | gauge | operations that wait for a network now | `kind` |
//! | `mancom_operations_waited_total` | counter | those that began to wait | `kind` |
//! | `mancom_operations_ended_total` | counter | those whose wait is over | `kind`, `end` |
//!
//! `kind` is the operation's word (`connect`, `run`, ..); `end` is `matched`, `timed_out`,
//! `cancelled`, `refused` (told not to wait, or the scout ended) or `dropped`. An operation that
//! need not wait is none of them. A recorder is a program's code: nothing here runs under the lock.

/// How a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Matched,
    TimedOut,
    Cancelled,
    Refused,
    Dropped,
}

#[cfg(feature = "metrics")]
impl End {
    fn word(self) -> &'static str {
        match self {
            End::Matched => "matched",
            End::TimedOut => "timed_out",
            End::Cancelled => "cancelled",
            End::Refused => "refused",
            End::Dropped => "dropped",
        }
    }
}

/// An operation of this kind begins to wait.
#[cfg(feature = "metrics")]
pub(super) fn began(kind: &'static str) {
    ::metrics::gauge!("mancom_operations_pending", "kind" => kind).increment(1.0);
    ::metrics::counter!("mancom_operations_waited_total", "kind" => kind).increment(1);
}

/// The wait of an operation of this kind is over.
#[cfg(feature = "metrics")]
pub(super) fn ended(kind: &'static str, end: End) {
    ::metrics::gauge!("mancom_operations_pending", "kind" => kind).decrement(1.0);
    let ended = "mancom_operations_ended_total";
    ::metrics::counter!(ended, "kind" => kind, "end" => end.word()).increment(1);
}

#[cfg(not(feature = "metrics"))]
pub(super) fn began(_: &'static str) {}

#[cfg(not(feature = "metrics"))]
pub(super) fn ended(_: &'static str, _: End) {}
