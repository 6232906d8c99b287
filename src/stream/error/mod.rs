//! Why something failed: an error an operation, each of which keeps what led to it.

mod attempts;
mod connect;
mod listen;
mod session;

use std::fmt;

pub use attempts::{Attempt, Attempts, Cause};
pub use connect::ConnectError;
pub use listen::{AcceptError, ListenError};
pub use session::SessionError;

pub(super) use session::stream_error;

/// What stands behind an error that may be for want of a network.
fn why(blocked: &Option<impl fmt::Display>) -> String {
    blocked
        .as_ref()
        .map_or_else(String::new, |blocked| format!(": {blocked}"))
}
