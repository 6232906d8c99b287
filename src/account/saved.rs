//! The state file: what was spent of budgets outlives the process, and processes add up what they spend.
//!
//! ```text
//! mancom budgets 1
//! 1793491200<tab>12345<tab>wwan0<tab>month any on metered
//! ```
//!
//! A line a budget and network: when its period began in seconds after 1970, bytes spent in it, the
//! network, the limit. It is read and written under the lock of the file beside it, and replaced whole. A
//! line that means nothing is dropped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::ledger::{Entry, MAX_PURSES};
use crate::proto::schedule::budget::Budget;

const HEAD: &str = "mancom budgets 1";
/// A longer file is none of ours.
const LARGEST: u64 = 1 << 20;

/// Where budgets are kept.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    folder: PathBuf,
}

impl Saved {
    /// In this folder, which is made when there is something to keep.
    pub(crate) fn within(folder: PathBuf) -> Self {
        Self { folder }
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
    pub(crate) fn update(&self, change: impl FnOnce(Vec<Entry>) -> Vec<Entry>) -> io::Result<()> {
        make_folder(&self.folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("budgets.lock"))?;
        lock.lock()?;
        let path = self.folder.join("budgets");
        let before = read(&path)?;
        let after = write_text(change(read_text(&before)));
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

fn read_text(text: &str) -> Vec<Entry> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Vec::new();
    }
    lines.filter_map(entry).take(MAX_PURSES).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.splitn(4, '\t');
    let began = fields.next()?.parse().ok()?;
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
            .update(|before| {
                assert_eq!(before, []);
                vec![spent("wwan0", 7), spent("wwan1", 8)]
            })
            .unwrap();
        saved
            .update(|before| {
                assert_eq!(before, [spent("wwan0", 7), spent("wwan1", 8)]);
                before
            })
            .unwrap();
    }

    #[test]
    fn a_file_that_means_nothing_is_no_fault_and_is_bounded() {
        for text in [
            "",
            "junk",
            "mancom budgets 2\n1\t2\ta\tb\n",
            "mancom budgets 1\n1\tx\ta\tb\n\t\n9",
        ] {
            assert_eq!(read_text(text), []);
        }
        let many = (0..2_000).map(|n| Entry {
            budget: Budget { began: n, used: 1 },
            ..spent(&n.to_string(), 1)
        });
        let kept = read_text(&write_text(many.collect()));
        assert_eq!(kept.len(), MAX_PURSES);
        assert!(
            kept.iter()
                .all(|entry| entry.budget.began >= 2_000 - MAX_PURSES as u64)
        );
    }
}
