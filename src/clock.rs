//! Stand-in: the one clock.

/// Counts time asleep.
#[derive(Debug, Clone, Default)]
pub struct Clock {}
