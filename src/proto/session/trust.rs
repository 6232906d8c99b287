//! Whether a path is trusted to deliver what it was given.

/// What is known of a path's honesty.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// It owes acknowledgements and shows no progress.
    pub(super) suspect: bool,
    /// Its link tells what it has acknowledged.
    pub(super) measured: bool,
}
