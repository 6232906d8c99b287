//! The kernel's word that a file, or the way to it, has changed.
//!
//! A file that is replaced, created, or reached through a link that is turned elsewhere never changes
//! itself. So every folder on the way to it is watched for one name each, links followed by hand, and
//! the file too, for it may be changed through another of its names.
//!
//! Limits: 40 links on the way to a file, each of a length that the kernel bounds.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf, absolute};

pub(crate) use rustix::fs::inotify::WatchFlags;
use rustix::fs::inotify::{self, CreateFlags, Event, Reader};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// What is seen of a folder: names that come and go, and itself.
const FOLDER: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::MASK_ADD);

/// What is seen of a file, beside its being written.
const FILE: WatchFlags = WatchFlags::ATTRIB.union(WatchFlags::MASK_ADD);

/// What the kernel tells of some files.
#[derive(Debug)]
pub(crate) struct Inotify {
    fd: OwnedFd,
    written: WatchFlags,
    /// By the kernel's number: the names that count in a folder; in a file everything counts.
    watched: HashMap<i32, HashSet<OsString>>,
}

impl Inotify {
    /// Over what is now the way to these files. A file is written with each piece (`MODIFY`), or once
    /// who wrote it is done (`CLOSE_WRITE`).
    pub(crate) fn over(paths: &[PathBuf], written: WatchFlags) -> io::Result<Self> {
        let mut inotify = Inotify {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            written,
            watched: HashMap::new(),
        };
        for path in paths {
            inotify.follow(&absolute(path)?)?;
        }
        Ok(inotify)
    }

    /// Returns when something happened to a file, or to the way to it, since it was made or last
    /// returned.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn told(&self) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "unsound for a type that lies about its descriptor; a BorrowedFd does not"
        )]
        let fd = AsyncFd::with_interest(self.fd.as_fd(), Interest::READABLE)?;
        loop {
            let mut ready = fd.readable().await?;
            if let Ok(told) = ready.try_io(|_| self.read()) {
                return told;
            }
        }
    }

    /// Watches every step of the way to a file, as far as there is one.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        let mut folder = PathBuf::new();
        let mut ahead: Vec<OsString> = Vec::new();
        let mut links = 0;
        push(&mut ahead, path);
        while let Some(step) = ahead.pop() {
            match Path::new(&step).components().next() {
                Some(Component::ParentDir) => drop(folder.pop()),
                Some(Component::RootDir) => folder = PathBuf::from("/"),
                Some(Component::Normal(name)) => {
                    if !self.watch_folder(&folder, name, ahead.is_empty())? {
                        return Ok(());
                    }
                    let next = folder.join(name);
                    match fs::read_link(&next) {
                        Ok(_) if links == LINKS => return Ok(()),
                        Ok(target) => {
                            links += 1;
                            push(&mut ahead, &target);
                        }
                        Err(_) if ahead.is_empty() => return self.watch_file(&next),
                        Err(_) => folder = next,
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether there is such a folder, or one on the way that may be passed and not looked at.
    fn watch_folder(&mut self, folder: &Path, name: &OsStr, last: bool) -> io::Result<bool> {
        match inotify::add_watch(&self.fd, folder, FOLDER) {
            Ok(number) => {
                let names = self.watched.entry(number).or_default();
                names.insert(name.to_owned());
                Ok(true)
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(Errno::ACCESS) if !last => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn watch_file(&mut self, file: &Path) -> io::Result<()> {
        match inotify::add_watch(&self.fd, file, FILE | self.written) {
            Ok(number) => {
                self.watched.entry(number).or_default();
                Ok(())
            }
            // Not there, or not to be read, which `ATTRIB` cannot tell: the folder tells of another.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what the kernel has to tell, up to the first that counts.
    fn read(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.fd, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if self.counts(&event) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn counts(&self, event: &Event<'_>) -> bool {
        let name = event
            .file_name()
            .map(|name| OsStr::from_bytes(name.to_bytes()));
        match (self.watched.get(&event.wd()), name) {
            (Some(names), Some(name)) => names.contains(name),
            // Of a file, of a folder itself, or that so much happened that some of it is lost.
            _ => true,
        }
    }
}

/// Puts the steps of a path upon those ahead, the first on top.
fn push(ahead: &mut Vec<OsString>, path: &Path) {
    let steps = path.components().map(|step| step.as_os_str().to_owned());
    let at = ahead.len();
    ahead.extend(steps);
    ahead[at..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn over(path: &Path) -> Inotify {
        Inotify::over(&[path.to_owned()], WatchFlags::CLOSE_WRITE).unwrap()
    }

    fn quiet(inotify: &Inotify) -> bool {
        inotify
            .read()
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn only_what_happens_to_the_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mancom.toml");
        fs::write(&path, "").unwrap();
        let inotify = over(&path);
        assert!(quiet(&inotify));
        for i in 0..200 {
            let other = folder.path().join(format!("{i}"));
            fs::write(&other, "x").unwrap();
            fs::read(&path).unwrap();
            fs::remove_file(&other).unwrap();
        }
        assert!(quiet(&inotify));
        fs::write(&path, "x").unwrap();
        assert!(inotify.read().is_ok());
    }

    #[test]
    fn a_file_is_followed_under_its_other_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mancom.toml");
        fs::write(&path, "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let other = elsewhere.path().join("x");
        fs::hard_link(&path, &other).unwrap();
        let inotify = over(&path);
        fs::write(&other, "x").unwrap();
        assert!(inotify.read().is_ok());
    }

    #[test]
    fn a_file_is_written_by_pieces_or_when_that_is_done() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mancom.toml");
        let mut file = fs::File::create(&path).unwrap();
        let pieces = Inotify::over(std::slice::from_ref(&path), WatchFlags::MODIFY).unwrap();
        let whole = over(&path);
        file.write_all(b"x").unwrap();
        assert!(pieces.read().is_ok() && quiet(&whole));
        drop(file);
        assert!(quiet(&pieces) && whole.read().is_ok());
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let inotify = over(&folder.path().join("etc/mancom.toml"));
        fs::write(folder.path().join("other"), "").unwrap();
        assert!(quiet(&inotify));
        fs::create_dir(folder.path().join("etc")).unwrap();
        assert!(inotify.read().is_ok());
    }

    #[test]
    fn as_many_links_are_followed_as_the_kernel_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |n: usize| folder.path().join(n.to_string());
        let way = folder.path().components().count();
        let end = folder.path().join("end/mancom.toml");
        fs::create_dir(folder.path().join("end")).unwrap();
        fs::write(&end, "").unwrap();
        symlink(&end, at(0)).unwrap();
        for n in 1..=LINKS {
            symlink(at(n - 1), at(n)).unwrap();
        }
        for (first, follows) in [(LINKS - 1, true), (LINKS, false)] {
            assert_eq!(fs::read(at(first)).is_ok(), follows);
            let inotify = over(&at(first));
            let more = if follows { 2 } else { 0 };
            assert_eq!(inotify.watched.len(), way + more, "folders, and the file");
            fs::write(&end, "x").unwrap();
            assert_eq!(quiet(&inotify), !follows);
        }
    }

    #[test]
    fn a_ring_of_links_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        symlink(&b, &a).unwrap();
        symlink(&a, &b).unwrap();
        let inotify = over(&a);
        fs::remove_file(&b).unwrap();
        assert!(inotify.read().is_ok());
    }
}
