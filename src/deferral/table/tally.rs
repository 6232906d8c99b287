//! How operations fared, counted by kind.

/// How a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deferral) enum End {
    Matched,
    TimedOut,
    Cancelled,
    /// `NoMatch`, or the scout's end.
    Refused,
    Dropped,
}

/// How the operations of one kind fared; those that never had to wait are not counted.
///
/// `waited` is the sum of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// What they are: `matching`, `connect`, ..
    pub kind: &'static str,
    /// How many wait now.
    pub pending: u64,
    /// How many began to wait, since the registry is.
    pub waited: u64,
    /// How many of these got a network.
    pub matched: u64,
    /// How many ran out of time.
    pub timed_out: u64,
    /// How many were withdrawn by `cancel`.
    pub cancelled: u64,
    /// How many were told not to wait on, or lost the scout.
    pub refused: u64,
    /// How many were dropped while they waited.
    pub dropped: u64,
}

/// One a kind, of which there are few.
#[derive(Debug, Default)]
pub(super) struct Tallies(Vec<Tally>);

impl Tallies {
    pub(super) fn begin(&mut self, kind: &'static str) {
        let tally = self.of(kind);
        tally.pending += 1;
        tally.waited += 1;
    }

    pub(super) fn end(&mut self, kind: &'static str, how: End) {
        let tally = self.of(kind);
        tally.pending -= 1;
        let count = match how {
            End::Matched => &mut tally.matched,
            End::TimedOut => &mut tally.timed_out,
            End::Cancelled => &mut tally.cancelled,
            End::Refused => &mut tally.refused,
            End::Dropped => &mut tally.dropped,
        };
        *count += 1;
    }

    pub(super) fn all(&self) -> &[Tally] {
        &self.0
    }

    fn of(&mut self, kind: &'static str) -> &mut Tally {
        let at = self.0.iter().position(|tally| tally.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.0.push(Tally {
                kind,
                pending: 0,
                waited: 0,
                matched: 0,
                timed_out: 0,
                cancelled: 0,
                refused: 0,
                dropped: 0,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}
