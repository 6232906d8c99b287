//! Two pseudo-terminals whose other ends are wired to each other: a line without hardware.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::JoinHandle;

type Copying = JoinHandle<io::Result<u64>>;

/// The line lasts as long as this.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The devices at both ends.
    pub(crate) ends: [PathBuf; 2],
    /// Without anybody at a device, the terminal would be taken for hung up.
    _held: [File; 2],
    copying: [Copying; 2],
}

impl Wire {
    pub(crate) fn new() -> io::Result<Self> {
        let (one, other) = (terminal()?, terminal()?);
        let copying = [copy(&one.0, &other.0)?, copy(&other.0, &one.0)?];
        Ok(Self {
            ends: [one.1, other.1],
            _held: [one.2, other.2],
            copying,
        })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.copying.iter().for_each(JoinHandle::abort);
    }
}

/// The inner end, the device's name, and the device, held open and raw.
fn terminal() -> io::Result<(File, PathBuf, File)> {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let inner = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&inner)?;
    unlockpt(&inner)?;
    let name = ptsname(&inner, Vec::new())?;
    let path = PathBuf::from(OsString::from_vec(name.into_bytes()));
    rustix::io::ioctl_fionbio(&inner, true)?;
    let device = File::options().read(true).write(true).open(&path)?;
    let mut settings = tcgetattr(&device)?;
    settings.make_raw();
    tcsetattr(&device, OptionalActions::Now, &settings)?;
    Ok((inner.into(), path, device))
}

/// What comes out of one goes into the other.
fn copy(from: &File, to: &File) -> io::Result<Copying> {
    // tokio's pipes take whatever can be waited for.
    let mut from = Receiver::from_file_unchecked(from.try_clone()?)?;
    let mut to = Sender::from_file_unchecked(to.try_clone()?)?;
    Ok(tokio::spawn(async move {
        tokio::io::copy(&mut from, &mut to).await
    }))
}
