//! The folder of the inspection sockets: where it is, and whether it may be trusted.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::InspectError;
use crate::manager::config::Monitor;

/// Where the inspection sockets of this user are: `[monitor] folder`, else `$XDG_RUNTIME_DIR/mancom`, else
/// `/run/user/UID/mancom` where `/run/user/UID` exists, else `mancom-UID` in the folder for temporary files.
#[must_use]
pub fn folder(monitor: &Monitor) -> PathBuf {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    choose(monitor, variable, |path| path.is_dir())
}

pub(super) fn choose(
    monitor: &Monitor,
    variable: impl Fn(&str) -> Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> PathBuf {
    if let Some(folder) = &monitor.folder {
        return folder.clone();
    }
    // The XDG base directory specification: a relative path there is to be ignored.
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(runtime) = runtime.filter(|path| path.is_absolute()) {
        return runtime.join("mancom");
    }
    let user = user();
    let runtime = PathBuf::from(format!("/run/user/{user}"));
    if exists(&runtime) {
        return runtime.join("mancom");
    }
    env::temp_dir().join(format!("mancom-{user}"))
}

/// The user this process acts as.
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folder, made if it is not there, once it is found to be safe.
pub(super) fn make(folder: &Path) -> Result<PathBuf, InspectError> {
    let folder = plain(folder);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(InspectError::Folder {
            folder,
            source: error,
        }),
        _ => check(&folder, false).map(|()| folder),
    }
}

/// The folder, once it is found to be safe; `None` if there is none, and nobody is in it then.
pub(super) fn open(folder: &Path) -> Result<Option<PathBuf>, InspectError> {
    let folder = plain(folder);
    match check(&folder, true) {
        Ok(()) => Ok(Some(folder)),
        Err(InspectError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Without a slash or a dot at its end, which would follow a link.
fn plain(folder: &Path) -> PathBuf {
    folder.components().collect()
}

fn check(folder: &Path, reading: bool) -> Result<(), InspectError> {
    let found = fs::symlink_metadata(folder).map_err(|source| InspectError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let (owner, user) = (found.uid(), user());
    let why = if !found.is_dir() {
        "it is a link or a file, not a folder".to_owned()
    } else if owner != user && !(reading && user == 0) {
        format!("it belongs to user {owner}, not {user}")
    } else if found.mode() & 0o022 != 0 {
        format!("others may write to it (mode {:o})", found.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(InspectError::Unsafe {
        folder: folder.to_owned(),
        why,
    })
}
