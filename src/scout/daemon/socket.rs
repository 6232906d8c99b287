//! The socket's file: whose it may be, who may use it, and when it goes.

use super::DaemonError;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

const BACKLOG: i32 = 1024;
/// Between making its file and listening a process is refused; it takes much less than this.
const SETTLE: Duration = Duration::from_millis(20);

/// A socket file of ours; removed when dropped, if it is still the same one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if same && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(target: "mancom::scout", path = %self.path.display(), %error, "the socket stays");
        }
    }
}

/// Listens at `path`; what a dead process of ours left there is replaced, anything else is not.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, SocketFile), DaemonError> {
    let refused = |source: io::Error| refused(path, source);
    let us = own_user().map_err(refused)?;
    // A daemon of root is for all.
    let mode = if us == 0 { 0o666 } else { 0o600 };
    match listen_at(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path, us).await?;
            listen_at(path, mode).map_err(refused)
        }
        done => done.map_err(refused),
    }
}

fn listen_at(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    let found = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        id: (found.dev(), found.ino()),
    };
    // Nobody can connect before `listen`, so there is no moment with the umask's permissions.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// It takes two refusals with a pause between: one that has made its file and does not listen yet
/// refuses too, for a moment.
pub(super) async fn remove_stale(path: &Path, us: u32) -> Result<(), DaemonError> {
    let named = || path.to_owned();
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| refused(path, error))?,
    };
    if !found.file_type().is_socket() {
        return Err(DaemonError::NoSocket { path: named() });
    }
    for _ in 0..2 {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && found.uid() == us => {
                return Err(refused(path, error));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            _ => return Err(DaemonError::InUse { path: named() }),
        }
        tokio::time::sleep(SETTLE).await;
    }
    if found.uid() != us {
        let owner = found.uid();
        let path = named();
        return Err(DaemonError::Foreign { path, owner });
    }
    // Dropped, it removes the file, unless somebody else replaced it meanwhile.
    drop(SocketFile {
        path: named(),
        id: (found.dev(), found.ino()),
    });
    Ok(())
}

fn refused(path: &Path, source: io::Error) -> DaemonError {
    let path = path.to_owned();
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
