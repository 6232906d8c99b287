//! The six system calls here that no crate in use wraps safely.
#![allow(
    unsafe_code,
    reason = "each call is alone in its function, with why it is sound"
)]

use crate::namespace::Namespace;
use rustix::mount::MountFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A TUN device of this name in the namespace of this thread, carrying bare IP packets; it
/// exists until the descriptor, which never blocks, is closed.
pub(crate) fn tun(name: &str) -> io::Result<OwnedFd> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: every field is an integer, or an array or a union of such.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    // No IFF_VNET_HDR: with it the kernel would hand over 64 kB packets.
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is an `ifreq` that lives through the call, as TUNSETIFF asks.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(device.into())
}

/// Plugs a TUN device in, or unplugs it.
pub(crate) fn set_carrier(device: BorrowedFd<'_>, carrier: bool) -> io::Result<()> {
    let carrier = c_int::from(carrier);
    // SAFETY: TUNSETCARRIER reads an integer, which lives through the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETCARRIER, &raw const carrier) })
}

/// Gives this thread a real-time priority, from 1 to 99.
pub(crate) fn set_realtime(priority: c_int) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters live through the call; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) })
}

/// Locks a byte of a file, whether it has such or not, until the file is closed; `false` if another that has opened it did.
pub(crate) fn lock_byte(file: BorrowedFd<'_>, offset: u64) -> io::Result<bool> {
    // SAFETY: every field is an integer.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    lock.l_len = 1;
    // SAFETY: F_OFD_SETLK reads a `flock`, which lives through the call.
    let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    match check(locked) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Has a command run in this network namespace, with a /sys that shows it.
pub(crate) fn run_in(command: &mut Command, namespace: &Namespace) {
    let namespace = namespace.descriptor();
    let enter = move || {
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
        // SAFETY: it is descriptors that may not be unshared; these are mounts.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
        rustix::mount::mount(c"sysfs", c"/sys", c"sysfs", MountFlags::empty(), None)?;
        Ok(())
    };
    // SAFETY: between fork and exec it makes three system calls and allocates nothing.
    unsafe { command.pre_exec(enter) };
}

/// Has a command end when the thread that spawns it does, however that ends.
pub(crate) fn end_with_this(command: &mut Command) {
    let parent = rustix::process::getpid();
    let bind = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // It may have ended before.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotConnected.into())
        }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(bind) };
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
