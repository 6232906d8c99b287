//! The file of a listening Unix socket: made with its permissions, replaced if it is stale, removed at
//! the end.
//!
//! A file is stale when nobody listens there. One where somebody does, one of another kind and, if the
//! caller says whose it must be, one of another user stay. Ours is known by device and inode, so what
//! took its place stays too.
//!
//! For as long as somebody listens at `x.sock` an empty file `x.sock.lock` is beside it, locked, so
//! that of many who find a stale file one replaces it. It goes with the socket; a killed process leaves
//! both, and the next one removes both. Where there can be no lock, those who listen are known by
//! connecting alone.

mod lock;
#[cfg(test)]
mod tests;

use lock::{Lock, Tried};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

const BACKLOG: i32 = 1024;
/// Between making its file and listening a process is refused; it takes much less than this.
const SETTLE: Duration = Duration::from_millis(20);
/// So often a lock that is held is tried: who looks whether a file is stale holds it for a moment.
const TRIES: usize = 10;

/// Why nobody can listen at a path.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Somebody listens there.
    InUse,
    /// There is a file of another kind.
    NoSocket,
    /// The socket that was left there is this user's.
    Foreign(u32),
    /// The system says so.
    System(io::Error),
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InUse | Refusal::NoSocket => io::ErrorKind::AddrInUse.into(),
            Refusal::Foreign(owner) => {
                let text = format!("it belongs to user {owner}");
                io::Error::new(io::ErrorKind::PermissionDenied, text)
            }
            Refusal::System(error) => error,
        }
    }
}

/// Device and inode.
pub(crate) type FileId = (u64, u64);

pub(crate) fn id(found: &Metadata) -> FileId {
    (found.dev(), found.ino())
}

/// A socket file of ours; removed when dropped, if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    /// Let go after the file is gone.
    _lock: Option<Lock>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        remove(&self.path, self.id);
    }
}

/// Removes the file if it is still this one.
fn remove(path: &Path, this: FileId) {
    let same = fs::symlink_metadata(path).is_ok_and(|found| id(&found) == this);
    if same && let Err(error) = fs::remove_file(path) {
        tracing::debug!(target: "mancom::socket_file", path = %path.display(), %error, "it stays");
    }
}

/// Listens at `path`, a file with the permissions `mode`; replaces a stale one, of `owner` if one is named.
#[cfg(any(test, feature = "daemon"))]
pub(crate) async fn listen(
    path: &Path,
    mode: u32,
    owner: Option<u32>,
) -> Result<(UnixListener, SocketFile), Refusal> {
    listen_for(Type::STREAM, path, mode, owner).await
}

/// As `listen`, for sockets of another type; tokio's listener does not mind which.
pub(crate) async fn listen_for(
    kind: Type,
    path: &Path,
    mode: u32,
    owner: Option<u32>,
) -> Result<(UnixListener, SocketFile), Refusal> {
    let lock = lock(path).await?;
    let bound = match bind(kind, path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            sweep(path, owner).await?;
            bind(kind, path, mode)
        }
        done => done,
    };
    let (listener, id) = bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Refusal::InUse,
        _ => Refusal::System(error),
    })?;
    let path = path.to_owned();
    let file = SocketFile {
        path,
        id,
        _lock: lock,
    };
    Ok((listener, file))
}

/// The lock of a path where nobody has it; none where there can be none.
async fn lock(path: &Path) -> Result<Option<Lock>, Refusal> {
    for _ in 0..TRIES {
        match Lock::attempt(path) {
            Tried::Locked(lock) => return Ok(Some(lock)),
            Tried::Unknown => return Ok(None),
            Tried::Held => {}
        }
        if UnixStream::connect(path).await.is_ok() {
            break;
        }
        tokio::time::sleep(SETTLE).await;
    }
    Err(Refusal::InUse)
}

fn bind(kind: Type, path: &Path, mode: u32) -> io::Result<(UnixListener, FileId)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    let id = id(&fs::symlink_metadata(path)?);
    // Nobody can connect before `listen`, so there is no moment with the umask's permissions.
    let listening = fs::set_permissions(path, Permissions::from_mode(mode))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| UnixListener::from_std(socket.into()));
    if listening.is_err() {
        remove(path, id);
    }
    Ok((listening?, id))
}

/// Removes a stale socket file, of `owner` if one is named; an error if it lives or is something else.
#[cfg(any(test, feature = "inspect"))]
pub(crate) async fn remove_stale(path: &Path, owner: Option<u32>) -> Result<(), Refusal> {
    let _lock = lock(path).await?;
    sweep(path, owner).await
}

/// The same for who has the lock, if there can be one.
///
/// It takes two refusals with a pause between: a listener without a lock that has made its file is
/// refused too, for a moment, before it listens.
async fn sweep(path: &Path, owner: Option<u32>) -> Result<(), Refusal> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(Refusal::System)?,
    };
    if !found.file_type().is_socket() {
        return Err(Refusal::NoSocket);
    }
    let is_foreign = owner.is_some_and(|owner| owner != found.uid());
    for _ in 0..2 {
        let refused = match UnixStream::connect(path).await {
            Err(error) => error,
            Ok(_) => return Err(Refusal::InUse),
        };
        match refused.kind() {
            io::ErrorKind::ConnectionRefused => {}
            io::ErrorKind::NotFound => return Ok(()),
            io::ErrorKind::PermissionDenied if is_foreign => break,
            io::ErrorKind::PermissionDenied => return Err(Refusal::System(refused)),
            _ => return Err(Refusal::InUse),
        }
        tokio::time::sleep(SETTLE).await;
    }
    if is_foreign {
        return Err(Refusal::Foreign(found.uid()));
    }
    remove(path, id(&found));
    Ok(())
}
