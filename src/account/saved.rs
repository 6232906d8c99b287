//! The state file: what was spent of budgets outlives the process, and processes add up what they spend.
//!
//! ```text
//! mancom budgets 1
//! 1793491200<tab>12345<tab>wwan0<tab>month any on metered
//! ```
//!
//! A line a budget and network: when its period began in seconds after 1970, bytes spent in it, the
//! network, the limit. It is read and written under the lock of the file beside it, and replaced whole. A
//! line that means nothing is dropped; the file it stood in is kept as `budgets.bad`, and that is said.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ledger::{Entry, MAX_PURSES};
use crate::proto::schedule::budget::Budget;

const HEAD: &str = "mancom budgets 1";
/// A longer file is none of ours.
const LARGEST: u64 = 1 << 20;
/// Later than the year 9999 nothing begins, in seconds after 1970.
const LATEST: u64 = 253_402_300_800;
/// Who waits for the lock looks again after this.
const RETRY: Duration = Duration::from_millis(5);

/// Where budgets are kept.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    folder: PathBuf,
    /// That the file meant nothing was said.
    said: Arc<AtomicBool>,
}

impl Saved {
    /// In this folder, which is made when there is something to keep.
    pub(crate) fn within(folder: PathBuf) -> Self {
        let said = Arc::default();
        Self { folder, said }
    }

    /// `mancom` in `$XDG_STATE_HOME`, else in `~/.local/state`.
    pub(crate) fn of_user() -> Option<Self> {
        let absolute = |path: &PathBuf| path.is_absolute();
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(absolute);
        let home = || Some(variable("HOME")?.join(".local/state"));
        let state = variable("XDG_STATE_HOME").or_else(home)?;
        Some(Self::within(state.join("mancom")))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the file, lets `change` say what it is to be, and writes that if it differs.
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if others hold its lock for all of `patience`, for which
    /// the thread waits.
    pub(crate) fn update(
        &self,
        patience: Duration,
        change: impl FnOnce(Vec<Entry>) -> Vec<Entry>,
    ) -> io::Result<()> {
        make_folder(&self.folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("budgets.lock"))?;
        acquire(&lock, patience)?;
        let path = self.folder.join("budgets");
        let before = read(&path)?;
        let (entries, whole) = read_text(&before);
        if !whole {
            let bad = self.folder.join("budgets.bad");
            fs::copy(&path, &bad)?;
            if !self.said.swap(true, Ordering::Relaxed) {
                let kept = bad.display();
                let file = path.display();
                tracing::warn!(
                    target: "mancom::limits", %file, %kept,
                    "not all of what was spent can be read: the rest counts as not spent",
                );
            }
        }
        let after = write_text(change(entries));
        if before != after {
            let fresh = self.folder.join("budgets.new");
            let mut file = File::create(&fresh)?;
            file.write_all(after.as_bytes())?;
            file.sync_data()?;
            fs::rename(&fresh, &path)?;
        }
        // Unlocked when it is closed.
        drop(lock);
        Ok(())
    }
}

/// Whoever has the lock has it for as long as a file takes to be written.
fn acquire(lock: &File, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let told = "another process holds `budgets.lock`";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, told));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY),
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LARGEST).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What it says, and whether that is all of it.
fn read_text(text: &str) -> (Vec<Entry>, bool) {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return (Vec::new(), text.is_empty());
    }
    let (mut entries, mut whole) = (Vec::new(), true);
    for line in lines.take(MAX_PURSES) {
        match entry(line) {
            Some(entry) => entries.push(entry),
            None => whole = false,
        }
    }
    (entries, whole)
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.splitn(4, '\t');
    let began = fields.next()?.parse().ok().filter(|at| *at < LATEST)?;
    let used = fields.next()?.parse().ok()?;
    Some(Entry {
        network: fields.next()?.to_owned(),
        key: fields.next()?.to_owned(),
        budget: Budget { began, used },
    })
}

fn write_text(entries: Vec<Entry>) -> String {
    let mut text = format!("{HEAD}\n");
    // Of too many those go that began first.
    let mut entries = entries;
    if entries.len() > MAX_PURSES {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.budget.began));
        entries.truncate(MAX_PURSES);
    }
    for Entry {
        key,
        network,
        budget: Budget { began, used },
    } in entries
    {
        text += &format!("{began}\t{used}\t{network}\t{key}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(network: &str, used: u64) -> Entry {
        Entry {
            key: "month any on metered".into(),
            network: network.into(),
            budget: Budget { began: 5, used },
        }
    }

    #[test]
    fn what_is_written_is_read_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::within(folder.path().join("state/mancom"));
        saved
            .update(Duration::ZERO, |before| {
                assert_eq!(before, []);
                vec![spent("wwan0", 7), spent("wwan1", 8)]
            })
            .unwrap();
        saved
            .update(Duration::ZERO, |before| {
                assert_eq!(before, [spent("wwan0", 7), spent("wwan1", 8)]);
                before
            })
            .unwrap();
    }

    #[test]
    fn a_file_that_means_nothing_is_no_fault_and_is_bounded() {
        assert_eq!(read_text(""), (vec![], true));
        for text in [
            "junk",
            "mancom budgets 2\n1\t2\ta\tb\n",
            "mancom budgets 1\n1\tx\ta\tb\n\t\n9",
            "mancom budgets 1\n18446744073709551615\t5\twlan0\tmonth any on if=*\n",
            "mancom budgets 1\n253402300800\t5\twlan0\tmonth any on if=*\n",
        ] {
            assert_eq!(read_text(text), (vec![], false));
        }
        let many = (0..2_000).map(|n| Entry {
            budget: Budget { began: n, used: 1 },
            ..spent(&n.to_string(), 1)
        });
        let (kept, _) = read_text(&write_text(many.collect()));
        assert_eq!(kept.len(), MAX_PURSES);
        assert!(
            kept.iter()
                .all(|entry| entry.budget.began >= 2_000 - MAX_PURSES as u64)
        );
    }

    #[test]
    fn what_cannot_be_read_is_kept_beside_and_what_can_counts() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::within(folder.path().to_owned());
        let text = "mancom budgets 1\n5\t7\twwan0\tmonth any on metered\n5\tmany\twwan1\tmonth\n";
        fs::write(folder.path().join("budgets"), text).unwrap();
        for _ in 0..2 {
            let all = saved.update(Duration::ZERO, |before| {
                assert_eq!(before, [spent("wwan0", 7)]);
                before
            });
            all.unwrap();
        }
        let kept = fs::read_to_string(folder.path().join("budgets.bad")).unwrap();
        assert_eq!(kept, text);
        assert!(saved.said.load(Ordering::Relaxed));
        let now = fs::read_to_string(folder.path().join("budgets")).unwrap();
        assert_eq!(now.lines().count(), 2, "{now}");
    }

    #[test]
    fn a_lock_that_others_hold_is_an_error_and_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::within(folder.path().to_owned());
        let others = File::create(folder.path().join("budgets.lock")).unwrap();
        others.lock().unwrap();
        let error = saved.update(Duration::ZERO, |before| before).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        others.unlock().unwrap();
        saved.update(Duration::ZERO, |before| before).unwrap();
    }
}
