//! The scout.
use crate::network::Snapshot;
use std::sync::Arc;
use tokio::sync::watch;

/// The task that keeps the snapshot true.
#[derive(Debug, Clone)]
pub struct Scout {
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Scout {
    /// The snapshots.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}
