//! The daemon's socket: who may use it, and why it cannot be had.

use super::DaemonError;
use crate::socket_file::{self, Refusal, SocketFile};
use std::io;
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};

/// Listens at `path`; what a dead process of ours left there is replaced, anything else is not.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, SocketFile), DaemonError> {
    let us = own_user().map_err(|error| refused(path, Refusal::System(error)))?;
    listen_as(us, path).await
}

pub(super) async fn listen_as(
    us: u32,
    path: &Path,
) -> Result<(UnixListener, SocketFile), DaemonError> {
    // A daemon of root is for all.
    let mode = if us == 0 { 0o666 } else { 0o600 };
    let listening = socket_file::listen(path, mode, Some(us)).await;
    listening.map_err(|refusal| refused(path, refusal))
}

fn refused(path: &Path, refusal: Refusal) -> DaemonError {
    let path = path.to_owned();
    let source = match refusal {
        Refusal::InUse => return DaemonError::InUse { path },
        Refusal::NoSocket => return DaemonError::NoSocket { path },
        Refusal::Foreign(owner) => return DaemonError::Foreign { path, owner },
        Refusal::System(source) => source,
    };
    match source.kind() {
        io::ErrorKind::AddrInUse => DaemonError::InUse { path },
        io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            DaemonError::NoFolder { folder }
        }
        _ => DaemonError::Refused { path, source },
    }
}

/// The user this process acts as: the one a peer sees.
pub(super) fn own_user() -> io::Result<u32> {
    let (one, _other) = UnixStream::pair()?;
    Ok(one.peer_cred()?.uid())
}
