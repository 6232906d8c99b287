//! Waiting, with a word about it.

use crate::output::say;
use mancom::Op;
use std::time::Duration;

/// A wait as short as this needs no explanation.
const SHORT: Duration = Duration::from_secs(1);

/// Awaits an operation; if it takes long for want of a network, says so once on stderr.
pub(crate) async fn patiently<T>(mut operation: Op<T>) -> T {
    let handle = operation.operation();
    if let Ok(result) = tokio::time::timeout(SHORT, &mut operation).await {
        return result;
    }
    if let Some(blocked) = handle.blocked() {
        say(format_args!("waiting: {blocked}"));
    }
    operation.await
}
