//! What the lab needs of this machine, asked for before anything is measured.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use socket2::{Domain, Protocol, Socket, Type};

/// Programs, and the package that has each on Debian.
const PROGRAMS: [(&str, &str); 5] = [
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("sh", "dash"),
    ("ip", "iproute2"),
    ("ss", "iproute2"),
];
/// What is left of a lab that was interrupted may take so long to end.
const ENDING: Duration = Duration::from_secs(1);
/// What links are made of.
pub(crate) const TUN: &str = "/dev/net/tun";

/// # Errors
///
/// What is missing, and how it may be had.
pub(crate) fn machine() -> io::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for (program, package) in PROGRAMS {
        if !found(program, &path) {
            return Err(missing(format!("there is no {program}: install {package}")));
        }
    }
    File::options()
        .read(true)
        .write(true)
        .open(TUN)
        .map(drop)
        .map_err(|error| {
            missing(format!(
                "{TUN}: {error}; the lab's links are TUN devices (modprobe tun)"
            ))
        })
}

/// Whether connections of MPTCP can be made.
pub(crate) fn has_mptcp() -> bool {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).is_ok()
}

/// Whether this kernel has a congestion control.
pub(crate) fn has_congestion(name: &str) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
    socket.is_ok_and(|socket| socket.set_tcp_congestion(name.as_bytes()).is_ok())
}

/// Makes the folder of the results and keeps others from it until the file is closed.
///
/// # Errors
///
/// If another lab has it, or it cannot be made.
pub(crate) fn folder(out: &Path) -> io::Result<File> {
    let told = |error: io::Error| {
        let what = format!("{}: {error}", out.display());
        io::Error::new(error.kind(), what)
    };
    if std::path::absolute(out)?.starts_with("/run") {
        return Err(missing(
            "the lab has a /run of its own, which ends with it: choose another --out".to_owned(),
        ));
    }
    std::fs::create_dir_all(out).map_err(told)?;
    let folder = File::open(out).map_err(told)?;
    let begun = Instant::now();
    while rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
        if begun.elapsed() > ENDING {
            return Err(missing(format!(
                "another lab writes to {}: choose another --out",
                out.display()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(folder)
}

fn found(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

fn missing(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_in_every_folder_of_the_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("there"), "").unwrap();
        let path = std::env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        assert!(found("there", &path) && !found("elsewhere", &path));
    }

    #[test]
    fn two_labs_do_not_write_to_one_folder() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("lab");
        let first = folder(&out).unwrap();
        assert_eq!(folder(&out).unwrap_err().kind(), io::ErrorKind::Unsupported);
        drop(first);
        assert!(folder(&out).is_ok());
        assert!(folder(Path::new("/run/lab")).is_err());
    }
}
