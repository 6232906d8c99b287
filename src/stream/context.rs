//! Stand-in: what streams see of the layers above them.

use std::sync::Arc;

use super::{Settings, tracker::Tracker};
use crate::clock::Clock;
use crate::{deferral, transport};

/// What streams see of the layers above them.
pub trait Context: std::fmt::Debug + Send + Sync + 'static {
    /// Where operations wait.
    fn registry(&self) -> &Arc<deferral::Registry>;
    /// The transports by scheme.
    fn transports(&self) -> &transport::Registry;
    /// What streams start from.
    fn settings(&self) -> &Settings;
    /// The one clock.
    fn clock(&self) -> &Clock;
    /// Where sessions register, so that a shutdown can wait for them.
    fn tasks(&self) -> &Tracker;
}
