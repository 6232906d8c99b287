//! Namespaces: one around the whole lab, and in it one for each host.

use crate::system;
use rustix::thread::LinkNameSpaceType;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Says that this process is in namespaces of the lab's own.
const ISOLATED: &str = "MANCOM_LAB_ISOLATED";
/// For `unshare`; --pid and --kill-child make every process of the lab end with it.
const NAMESPACES: [&str; 5] = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
/// Where there is no root.
const USER: [&str; 2] = ["--user", "--map-root-user"];
/// Mounted anew for each lab.
const RUN: &str = "/run";
/// What the lab needs of its namespaces. The shell stays, so that this program is not the
/// first process, whom no signal would end.
const PREPARE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns \
                       && mount -t sysfs sysfs /sys && ip link set lo up || exit 1
                       \"$0\" \"$@\"; exit $?";

/// Goes on inside namespaces of the lab's own, by running this program anew under `unshare`, and ends
/// as that does; returns at once where that is done already.
///
/// Call it first in `main`, before any thread. Without root a user namespace is made; with it
/// none, so that the emulator may have a real-time priority. However this process ends, nothing is
/// left: the other one ends with it, with it all processes and hosts, and with these their /run, where
/// temporary files are.
///
/// # Errors
///
/// Where neither can be had here.
pub(crate) fn isolate() -> io::Result<()> {
    if std::env::var_os(ISOLATED).is_some() {
        return Ok(());
    }
    let mut command = Command::new("unshare");
    if !probe(&[])? {
        if !probe(&USER)? {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "neither root nor a user namespace can be had here (unprivileged ones may be forbidden: \
                 user.max_user_namespaces, kernel.unprivileged_userns_clone, AppArmor)",
            ));
        }
        command.args(USER);
    }
    command.args(NAMESPACES).args(["--", "sh", "-c", PREPARE]);
    command.arg(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    command.env(ISOLATED, "1").env("TMPDIR", RUN);
    // `unshare` itself takes no signal while it waits.
    system::end_with_this(&mut command);
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1));
}

fn probe(more: &[&str]) -> io::Result<bool> {
    let mut command = Command::new("unshare");
    command.args(more).args(NAMESPACES).args(["--", "true"]);
    Ok(command.stderr(Stdio::null()).status()?.success())
}

/// A network namespace, with a name that `ip netns` knows; it ends when dropped, once no
/// process is in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    descriptor: Arc<OwnedFd>,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]), "")?;
        let descriptor = File::open(format!("/run/netns/{name}"))?;
        let namespace = Self {
            name: name.to_owned(),
            descriptor: Arc::new(descriptor.into()),
        };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// A folder of this host's own for sockets and the like; it ends with the lab.
    pub(crate) fn folder(&self) -> io::Result<PathBuf> {
        let folder = Path::new(RUN).join(&self.name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    pub(crate) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.descriptor)
    }

    /// Runs this on a thread inside; what it opens stays inside.
    pub(crate) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let kind = Some(LinkNameSpaceType::Network);
        let inside = || {
            rustix::thread::move_into_link_name_space(self.descriptor.as_fd(), kind)?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().expect("work does not panic"))
    }

    /// Runs commands of `ip` inside, one a line; the first that fails ends it.
    pub(crate) fn ip(&self, script: &str) -> io::Result<()> {
        run(
            Command::new("ip").args(["-netns", &self.name, "-batch", "-"]),
            script,
        )
    }

    /// Sets a kernel parameter inside, such as `net/ipv4/tcp_no_metrics_save`.
    pub(crate) fn set(&self, parameter: &str, value: &str) -> io::Result<()> {
        let write = || std::fs::write(format!("/proc/sys/{parameter}"), value);
        self.within(write)
            .map_err(|error| io::Error::new(error.kind(), format!("{parameter}: {error}")))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(Command::new("ip").args(["netns", "delete", &self.name]), "");
    }
}

/// Runs a command to its end; what it complains of is the error.
fn run(command: &mut Command, input: &str) -> io::Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("piped above");
    // A child that ended early says why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{command:?}: {}",
        complaint.trim()
    )))
}
