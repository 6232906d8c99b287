//! Namespaces: one around the whole lab, and in it one for each host.

use std::io;

/// Goes on inside namespaces of the lab's own, by executing this program anew under
/// `unshare`; returns at once where that is done already.
///
/// Call it first in `main`, before any thread. Without root a user namespace is made; with it
/// none, so that the emulator may have a real-time priority.
///
/// # Errors
///
/// Where neither can be had here.
pub(crate) fn isolate() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
