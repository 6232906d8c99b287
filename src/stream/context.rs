//! What streams need of the layers above, and nothing more of them.

use std::fmt::Debug;
use std::sync::Arc;

use super::config::Settings;
use super::tracker::Tracker;
use crate::deferral::Registry;
use crate::transport;

/// The assembled thing as streams see it; the manager implements it.
pub trait Context: Debug + Send + Sync + 'static {
    /// Waiting, matching and the snapshots.
    fn registry(&self) -> &Arc<Registry>;
    /// Transports by scheme.
    fn transports(&self) -> &transport::Registry;
    /// Defaults of streams.
    fn settings(&self) -> &Settings;
    /// Where sessions register, so that a shutdown can wait for them.
    fn tasks(&self) -> &Tracker;
}
