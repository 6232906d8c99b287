//! The first whole look at the networks.

use crate::output::say;
use mancom::{Manager, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for it; what is known by then is shown as incomplete.
const FIRST_SCAN: Duration = Duration::from_secs(3);

/// The networks once they are all known, else those that are, with a word about it on stderr.
pub(crate) async fn complete(manager: &Manager) -> Arc<Snapshot> {
    let mut snapshots = manager.snapshots();
    let scan = snapshots.wait_for(|snapshot| snapshot.is_complete());
    match tokio::time::timeout(FIRST_SCAN, scan).await {
        Ok(Ok(snapshot)) => return snapshot.clone(),
        _ => say("the networks are not all known yet"),
    }
    manager.snapshot()
}
