//! Waiting, with a word about it.

use crate::output::say;
use mancom::{Op, Operation};
use std::convert::Infallible;
use std::time::Duration;

/// A wait as short as this needs no explanation.
const SHORT: Duration = Duration::from_secs(1);

/// Awaits an operation; if it takes long for want of a network, says so once on stderr.
pub(crate) async fn patiently<T>(operation: Op<T>) -> T {
    let word = word(operation.operation());
    tokio::select! {
        result = operation => result,
        never = word => match never {},
    }
}

/// Says once why an operation waits, if it does for long; never ends.
pub(crate) async fn word(operation: Operation) -> Infallible {
    tokio::time::sleep(SHORT).await;
    if let Some(blocked) = operation.blocked() {
        say(format_args!("waiting: {blocked}"));
    }
    std::future::pending().await
}
