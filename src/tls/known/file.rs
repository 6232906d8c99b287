//! The file of those who are known, and the lock beside it.
//!
//! Both are beside what the name leads to in the end, so that all who come to it by links have one lock
//! and the links stay links. What stands beside it is ours: no link is followed there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::TlsError;

/// As many links as Linux follows.
const LINKS: usize = 40;

/// The lock is held until this is dropped.
pub(super) struct Locked {
    /// No link.
    file: PathBuf,
    _lock: File,
}

impl Locked {
    /// `None` if somebody else has it.
    pub(super) fn attempt(path: &Path) -> Result<Option<Self>, TlsError> {
        let file = followed(path).map_err(|error| TlsError::file(path, error))?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| TlsError::file(folder, error))?;
        }
        let path = beside(&file, ".lock");
        let locked = open_lock(&path).and_then(|lock| match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        });
        let locked = locked.map_err(|error| TlsError::file(path, error))?;
        Ok(locked.map(|_lock| Self { file, _lock }))
    }

    /// Replaces the file as a whole. Who may read it stays, and whose it is as far as the system lets us.
    pub(super) fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = beside(&self.file, ".new");
        match fs::remove_file(&new) {
            // Left there by who was killed: those who live have the lock.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let written = self.open_new(&new).and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, &self.file)
        });
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    #[cfg(unix)]
    fn open_new(&self, new: &Path) -> io::Result<File> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};

        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let found = match fs::metadata(&self.file) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return options.open(new),
            Err(error) => return Err(error),
        };
        let file = options.mode(0o600).open(new)?;
        // Only root gives files away, and others their groups alone.
        let _ = fchown(&file, None, Some(found.gid()));
        let _ = fchown(&file, Some(found.uid()), None);
        file.set_permissions(found.permissions())?;
        Ok(file)
    }

    #[cfg(not(unix))]
    fn open_new(&self, new: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(new)
    }
}

/// Where the lock of this file is, links followed as far as can be.
pub(super) fn lock_of(path: &Path) -> PathBuf {
    beside(&followed(path).unwrap_or_else(|_| path.into()), ".lock")
}

/// What a name leads to, which need not be there.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            // Not there, or no link.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        let no_link = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(no_link as i32);
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("this is no file that could be a lock")),
    }
}
