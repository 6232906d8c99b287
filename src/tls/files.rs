//! Files of keys and certificates: read within a bound, and of private keys only those that are ours alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::TlsError;

/// The most that is read of a file: a chain of certificates is smaller.
const LARGEST: u64 = 1 << 20;

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut file = File::open(path).map_err(|error| TlsError::file(path, error))?;
    Ok(bounded(path, &mut file)?.to_vec())
}

/// A private key's file, which nobody else may have read or written.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut file = File::open(path).map_err(|error| TlsError::file(path, error))?;
    refuse_others(path, &file)?;
    bounded(path, &mut file)
}

fn bounded(path: &Path, file: &mut File) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut text = Zeroizing::new(Vec::new());
    let read = file.take(LARGEST + 1).read_to_end(&mut text);
    read.map_err(|error| TlsError::file(path, error))?;
    if text.len() as u64 > LARGEST {
        return Err(TlsError::content(
            Some(path),
            format!("over {LARGEST} bytes"),
        ));
    }
    Ok(text)
}

/// A key that others may read or change proves nothing.
#[cfg(unix)]
fn refuse_others(path: &Path, file: &File) -> Result<(), TlsError> {
    use std::os::unix::fs::MetadataExt;

    let found = file
        .metadata()
        .map_err(|error| TlsError::file(path, error))?;
    match found.is_file() {
        true => {
            let user = rustix::process::geteuid().as_raw();
            judge(path, found.mode(), found.uid(), user)
        }
        // A pipe is whoever's at its other end.
        false => Ok(()),
    }
}

/// What root owns, it could have put anywhere.
#[cfg(unix)]
fn judge(path: &Path, mode: u32, owner: u32, user: u32) -> Result<(), TlsError> {
    if owner != user && owner != 0 {
        return Err(TlsError::OthersOwn {
            path: path.into(),
            owner,
        });
    }
    let mode = mode & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(TlsError::OthersMayRead {
            path: path.into(),
            mode,
        }),
    }
}

#[cfg(not(unix))]
fn refuse_others(_: &Path, _: &File) -> Result<(), TlsError> {
    Ok(())
}

/// A new file, whole or not at all, that its owner alone may read from the first moment on.
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let text = "there is a file already; it is left as it is";
            io::Error::new(io::ErrorKind::AlreadyExists, text)
        }
        _ => error,
    })?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    if written.is_err() {
        // What cannot be used must not be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_its_user_s_or_root_s_and_nobody_else_may_read_it() {
        let path = Path::new("key.pem");
        for (mode, owner, user) in [(0o600, 7, 7), (0o100_400, 0, 7), (0o600, 0, 0)] {
            assert!(judge(path, mode, owner, user).is_ok());
        }
        for (owner, user) in [(7, 0), (7, 8)] {
            let error = judge(path, 0o600, owner, user).expect_err("another's");
            assert!(matches!(error, TlsError::OthersOwn { owner: 7, .. }));
            assert!(error.to_string().contains("belongs to user 7"), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
        for mode in [0o640, 0o604, 0o620, 0o100_601] {
            let error = judge(path, mode, 7, 7).expect_err("others may");
            assert!(matches!(error, TlsError::OthersMayRead { .. }), "{error}");
        }
    }
}
