//! Whether a service looks at the same network namespace as we do.
//!
//! A container may be lent its host's bus; what the services say there is of the host's interfaces.
//! `/proc/PID/net/dev` needs no privilege, unlike `/proc/PID/ns/net`, and is one inode a namespace.
//! A process id means something here only if the bus counts processes as we do: it must know us by
//! our own id, and so must `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether the process that the bus calls `pid` lives in our network namespace; `None` if that
/// cannot be known. `own` is what the bus calls us.
pub(super) fn is_ours(proc: &Path, pid: u32, own: u32) -> Option<bool> {
    let link = fs::read_link(proc.join("self")).ok()?;
    if own != std::process::id() || link.to_str()?.parse() != Ok(own) {
        return None;
    }
    let inode = |of: &Path| {
        let table = fs::metadata(of.join("net/dev")).ok()?;
        Some((table.dev(), table.ino()))
    };
    let theirs = inode(&proc.join(pid.to_string()))?;
    Some(theirs == inode(&proc.join("self"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn our_own_process_is_in_our_namespace() {
        let own = std::process::id();
        assert_eq!(is_ours(Path::new("/proc"), own, own), Some(true));
    }

    #[test]
    fn a_bus_that_counts_processes_otherwise_tells_nothing() {
        let own = std::process::id();
        assert_eq!(is_ours(Path::new("/proc"), own, own + 1), None);
        assert_eq!(is_ours(Path::new("/nowhere"), own, own), None);
    }

    #[test]
    fn another_table_of_interfaces_is_another_namespace() {
        let root = tempfile::tempdir().expect("a directory");
        let own = std::process::id();
        for pid in [own, 7] {
            let net = root.path().join(pid.to_string()).join("net");
            fs::create_dir_all(&net).expect("a directory");
            fs::write(net.join("dev"), "").expect("a file");
        }
        symlink(own.to_string(), root.path().join("self")).expect("a link");
        assert_eq!(is_ours(root.path(), 7, own), Some(false));
        assert_eq!(is_ours(root.path(), own, own), Some(true));
        assert_eq!(is_ours(root.path(), 8, own), None, "no such process");
    }
}
