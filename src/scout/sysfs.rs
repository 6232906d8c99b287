//! What sysfs knows of an interface and netlink does not: whether it is a radio, and which.
//!
//! A fresh network namespace still shows the sysfs of its parent, in which the same name may be
//! another device. So a fact counts only if the directory's index and hardware address are those
//! that netlink gave.

use crate::network::Kind;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads `/sys/class/net`, once for each interface until [`Sysfs::forget`].
#[derive(Debug)]
pub(super) struct Sysfs {
    root: PathBuf,
    known: BTreeMap<u32, (String, Vec<u8>, Option<Kind>)>,
}

impl Sysfs {
    pub(super) fn new(root: &Path) -> Self {
        Sysfs {
            root: root.to_owned(),
            known: BTreeMap::new(),
        }
    }

    /// What the interface is, if its directory is believed and says so.
    pub(super) fn kind(&mut self, index: u32, name: &str, hardware: &[u8]) -> Option<Kind> {
        if let Some((known, address, kind)) = self.known.get(&index)
            && known == name
            && address == hardware
        {
            return *kind;
        }
        let kind = look(&self.root, index, name, hardware);
        let entry = (name.to_owned(), hardware.to_owned(), kind);
        self.known.insert(index, entry);
        kind
    }

    /// Forgets the interfaces that are gone.
    pub(super) fn keep(&mut self, there: impl Fn(u32) -> bool) {
        self.known.retain(|index, _| there(*index));
    }

    /// Looks anew from now on.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

fn look(root: &Path, index: u32, name: &str, hardware: &[u8]) -> Option<Kind> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return None;
    }
    let directory = root.join(name);
    let text = |file: &str| fs::read_to_string(directory.join(file)).ok();
    if text("ifindex")?.trim().parse() != Ok(index) {
        return None;
    }
    if text("address")?.trim() != printed(hardware) {
        return None;
    }
    let event = text("uevent").unwrap_or_default();
    let device = event.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    match device {
        Some("wlan") => return Some(Kind::Wifi),
        Some("wwan") => return Some(Kind::Cellular),
        Some("bluetooth") => return Some(Kind::Bluetooth),
        _ => {}
    }
    let wireless = directory.join("phy80211").exists() || directory.join("wireless").exists();
    wireless.then_some(Kind::Wifi)
}

/// As sysfs prints a hardware address.
fn printed(hardware: &[u8]) -> String {
    let bytes: Vec<_> = hardware.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARDWARE: &[u8] = &[2, 0, 0, 0, 0, 0x1f];

    fn interface(root: &Path, name: &str, uevent: &str) -> PathBuf {
        let directory = root.join(name);
        fs::create_dir_all(&directory).expect("a directory");
        for (file, text) in [("ifindex", "7\n"), ("address", "02:00:00:00:00:1f\n")] {
            fs::write(directory.join(file), text).expect("a file");
        }
        fs::write(directory.join("uevent"), uevent).expect("a file");
        directory
    }

    #[test]
    fn tells_radios_apart() {
        let root = tempfile::tempdir().expect("a directory");
        for (uevent, kind) in [
            ("DEVTYPE=wlan\nINTERFACE=x0\n", Some(Kind::Wifi)),
            ("INTERFACE=x0\nDEVTYPE=wwan\n", Some(Kind::Cellular)),
            ("DEVTYPE=bluetooth\n", Some(Kind::Bluetooth)),
            ("DEVTYPE=bridge\n", None),
            ("INTERFACE=x0\n", None),
        ] {
            interface(root.path(), "x0", uevent);
            let found = Sysfs::new(root.path()).kind(7, "x0", HARDWARE);
            assert_eq!(found, kind, "{uevent}");
        }
        let directory = interface(root.path(), "x0", "INTERFACE=x0\n");
        fs::create_dir(directory.join("wireless")).expect("a directory");
        assert_eq!(
            Sysfs::new(root.path()).kind(7, "x0", HARDWARE),
            Some(Kind::Wifi)
        );
    }

    #[test]
    fn a_directory_of_another_namespace_is_not_believed() {
        let root = tempfile::tempdir().expect("a directory");
        interface(root.path(), "wlan0", "DEVTYPE=wlan\n");
        let mut sysfs = Sysfs::new(root.path());
        assert_eq!(sysfs.kind(8, "wlan0", HARDWARE), None, "another index");
        assert_eq!(
            sysfs.kind(7, "wlan0", &[2, 0, 0, 0, 0, 1]),
            None,
            "another address"
        );
        assert_eq!(sysfs.kind(7, "wlan1", HARDWARE), None, "another name");
        assert_eq!(sysfs.kind(7, "../wlan0", HARDWARE), None);
    }

    #[test]
    fn is_read_again_only_when_told() {
        let root = tempfile::tempdir().expect("a directory");
        interface(root.path(), "x0", "DEVTYPE=wlan\n");
        let mut sysfs = Sysfs::new(root.path());
        assert_eq!(sysfs.kind(7, "x0", HARDWARE), Some(Kind::Wifi));
        interface(root.path(), "x0", "DEVTYPE=wwan\n");
        assert_eq!(sysfs.kind(7, "x0", HARDWARE), Some(Kind::Wifi));
        sysfs.keep(|index| index == 7);
        assert_eq!(sysfs.kind(7, "x0", HARDWARE), Some(Kind::Wifi));
        sysfs.forget();
        assert_eq!(sysfs.kind(7, "x0", HARDWARE), Some(Kind::Cellular));
        sysfs.keep(|_| false);
        assert!(sysfs.known.is_empty());
    }
}
