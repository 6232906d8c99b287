//! What waits, for the `metrics` facade; without that feature nothing is counted.
//!
//! A recorder is a program's code: nothing here is called under the registry's lock.

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
