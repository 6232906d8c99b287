//! Waiting until the files of a configuration may say something else.
//!
//! On Linux the kernel tells (`inotify`), elsewhere and where it refuses the files are looked at
//! every 2 s. Either way a change is told once the files were quiet for 50 ms, so that a file that is
//! being written is not read half, and at the latest 500 ms after the first sign of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, timeout_at};

#[cfg(target_os = "linux")]
use crate::inotify::{Inotify, WatchFlags};

/// So long nothing may happen before the files are read.
const QUIET: Duration = Duration::from_millis(50);
/// So long it may go on happening.
const BOUND: Duration = Duration::from_millis(500);
/// So often files are looked at where nobody tells.
const POLL: Duration = Duration::from_secs(2);

/// Watches files from the moment it is made, which should be before they are first read.
#[derive(Debug)]
pub(in crate::manager) struct Changes {
    paths: Vec<PathBuf>,
    eyes: Eyes,
}

#[derive(Debug)]
enum Eyes {
    #[cfg(target_os = "linux")]
    Told(Inotify),
    /// What was seen of each file.
    Looking(Vec<Option<Seen>>),
}

#[derive(Debug, PartialEq)]
struct Seen {
    changed: Option<SystemTime>,
    length: u64,
}

impl Changes {
    pub(in crate::manager) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let paths: Vec<_> = paths.map(Path::to_owned).collect();
        let eyes = Eyes::open(&paths);
        Changes { paths, eyes }
    }

    /// Returns when something happened to a file since it was made or last returned.
    ///
    /// # Cancel safety
    /// Dropped while pending, a change that it saw is lost.
    pub(in crate::manager) async fn wait(&mut self) {
        self.eyes.see(&self.paths).await;
        let bound = Instant::now() + BOUND;
        loop {
            let quiet = bound.min(Instant::now() + QUIET);
            if timeout_at(quiet, self.eyes.see(&self.paths)).await.is_err() {
                break;
            }
        }
        // The way to a file may be another now. What happens from here on is seen next time.
        self.eyes = Eyes::open(&self.paths);
    }
}

impl Eyes {
    fn open(paths: &[PathBuf]) -> Self {
        #[cfg(target_os = "linux")]
        match Inotify::over(paths, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE) {
            Ok(inotify) => return Eyes::Told(inotify),
            Err(error) => {
                tracing::debug!(target: "mancom::config", %error, "looking at files every 2 s");
            }
        }
        Eyes::Looking(look(paths))
    }

    async fn see(&mut self, paths: &[PathBuf]) {
        #[cfg(target_os = "linux")]
        if let Eyes::Told(inotify) = self {
            match inotify.told().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(target: "mancom::config", %error, "inotify ended");
                    // What happened since it last told is not known.
                    *self = Eyes::Looking(look(paths));
                    return;
                }
            }
        }
        self.look_until_changed(paths).await;
    }

    async fn look_until_changed(&mut self, paths: &[PathBuf]) {
        loop {
            sleep(POLL).await;
            let now = look(paths);
            if !matches!(self, Eyes::Looking(before) if *before == now) {
                *self = Eyes::Looking(now);
                return;
            }
        }
    }
}

fn look(paths: &[PathBuf]) -> Vec<Option<Seen>> {
    let seen = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some(Seen {
            changed: found.modified().ok(),
            length: found.len(),
        })
    };
    paths.iter().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn where_nobody_tells_files_are_looked_at_every_two_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let paths = vec![folder.path().join("mancom.toml")];
        let eyes = Eyes::Looking(look(&paths));
        let mut changes = Changes { paths, eyes };
        let started = Instant::now();
        let late = timeout_at(started + 10 * POLL, changes.wait());
        assert!(late.await.is_err(), "nothing happened");
        fs::write(&changes.paths[0], "x").unwrap();
        let started = Instant::now();
        changes.wait().await;
        assert!(started.elapsed() <= POLL + BOUND, "{:?}", started.elapsed());
    }
}
