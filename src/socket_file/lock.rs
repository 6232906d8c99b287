//! The lock beside a socket file: who holds it is alive, whatever the file itself looks like.
//!
//! A look at a socket file and its removal are two steps, and a file system may give the inode of a
//! removed file to the next one at once, so that device and inode alone do not tell a stale file from
//! the one that has just replaced it. The lock ends with its process, however that ends. Its file is
//! removed by its holder alone; who opened it before that finds out and begins anew.

use super::id;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Held until it is dropped; the file goes then.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

/// What came of trying to lock.
pub(super) enum Tried {
    Locked(Lock),
    /// Somebody else has it.
    Held,
    /// It cannot be had here: its file may not be made, is not ours to lock, or the file system knows
    /// no locks.
    Unknown,
}

impl Lock {
    /// Tries to have the lock of the socket file at `socket`.
    pub(super) fn attempt(socket: &Path) -> Tried {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            match Self::once(&path) {
                Ok(Some(file)) => return Tried::Locked(Lock { path, _file: file }),
                // It was removed before it was locked.
                Ok(None) => {}
                Err(TryLockError::WouldBlock) => return Tried::Held,
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(target: "mancom::socket_file", path = %path.display(), %error, "no lock");
                    return Tried::Unknown;
                }
            }
        }
    }

    fn once(path: &Path) -> Result<Option<File>, TryLockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits();
        let file = options.custom_flags(no_link as i32).open(path);
        let file = file.map_err(TryLockError::Error)?;
        let ours = file.metadata().map_err(TryLockError::Error)?;
        if !ours.is_file() || ours.len() > 0 {
            let error = "there is a file that is no lock";
            return Err(TryLockError::Error(io::Error::other(error)));
        }
        file.try_lock()?;
        let same = fs::symlink_metadata(path).is_ok_and(|found| id(&found) == id(&ours));
        Ok(same.then_some(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(target: "mancom::socket_file", path = %self.path.display(), %error, "it stays");
        }
    }
}
