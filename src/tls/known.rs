//! Trust on first use: the keys that far ends showed when they were first met, in a file.
//!
//! A line each, `HOST:PORT KEY`, as the endpoint names it; empty lines and such that begin with `#` are
//! kept. Who is not in it is believed once and written down, under a lock beside the file, which is
//! replaced as a whole: two processes that meet a far end at the same time believe the same key. Files
//! are waited for on threads of their own, and a lock that somebody else keeps for no longer than
//! [`TRIES`] allow.

mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::read_file;
use super::{Changed, PublicKey, TlsError};
use file::Locked;

/// A lock that somebody has is tried again after this; whoever has it writes a small file.
const RETRY: Duration = Duration::from_millis(50);
/// So often; that is 3 s, less than a handshake may take.
const TRIES: u32 = 60;

/// What is known of one far end.
#[derive(Debug, Clone)]
pub(super) struct Known {
    path: PathBuf,
    /// The far end, as it stands in the file.
    host: String,
    /// Its key and the line of it.
    key: Option<(PublicKey, usize)>,
}

impl Known {
    /// What the file says of this far end; nothing, if there is no file.
    pub(super) fn read(path: &Path, host: String) -> Result<Self, TlsError> {
        let key = find(path, &text(path)?, &host)?;
        Ok(Self {
            path: path.to_owned(),
            host,
            key,
        })
    }

    /// Whether this key is the one that is known, or none is.
    pub(super) fn judge(&self, shown: &PublicKey) -> Result<(), TlsError> {
        match self.key {
            Some((known, line)) if !known.is_same(shown) => {
                let changed = Changed {
                    path: self.path.clone(),
                    line,
                    host: self.host.clone(),
                    known,
                    shown: *shown,
                };
                Err(TlsError::Changed(Box::new(changed)))
            }
            _ => Ok(()),
        }
    }

    /// Writes down the key that was shown, if none was known; somebody else may have meanwhile. Dropped
    /// while pending, it may still be written down.
    pub(super) async fn learn(&self, shown: PublicKey) -> Result<(), TlsError> {
        if self.key.is_some() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let this = self.clone();
            let tried = tokio::task::spawn_blocking(move || this.note(shown)).await;
            if tried.map_err(|error| TlsError::file(&self.path, error.into()))?? {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        let fault = format!(
            "this lock was somebody else's for all of {:?}, and without it no key is written down",
            RETRY * TRIES
        );
        let error = io::Error::new(io::ErrorKind::WouldBlock, fault);
        Err(TlsError::file(file::lock_of(&self.path), error))
    }

    /// The same at once; `false` if somebody else has the lock.
    fn note(&self, shown: PublicKey) -> Result<bool, TlsError> {
        // The file is always whole, and most of those who ask find in it what they need.
        if self.again(&text(&self.path)?, &shown)? {
            return Ok(true);
        }
        let Some(locked) = Locked::attempt(&self.path)? else {
            return Ok(false);
        };
        let text = text(&self.path)?;
        if !self.again(&text, &shown)? {
            let gap = match text.is_empty() || text.ends_with('\n') {
                true => "",
                false => "\n",
            };
            let text = format!("{text}{gap}{} {shown}\n", self.host);
            let replaced = locked.replace(text.as_bytes());
            replaced.map_err(|error| TlsError::file(&self.path, error))?;
        }
        Ok(true)
    }

    /// Whether the file knows this key by now; an error if it is another.
    fn again(&self, text: &str, shown: &PublicKey) -> Result<bool, TlsError> {
        let now = Self {
            key: find(&self.path, text, &self.host)?,
            ..self.clone()
        };
        now.judge(shown).map(|()| now.key.is_some())
    }
}

fn text(path: &Path) -> Result<String, TlsError> {
    let bytes = match read_file(path) {
        Err(TlsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(String::new());
        }
        read => read?,
    };
    String::from_utf8(bytes).map_err(|_| TlsError::content(Some(path), "this is no UTF-8"))
}

/// The key of a far end, and its line.
fn find(path: &Path, text: &str, host: &str) -> Result<Option<(PublicKey, usize)>, TlsError> {
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        if words.next() != Some(host) {
            continue;
        }
        let key = words.next().unwrap_or_default().parse();
        let key = key.map_err(|error| {
            TlsError::content(Some(path), format!("line {}: {error}", number + 1))
        })?;
        return Ok(Some((key, number + 1)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::Identity;
    use super::*;

    // The clock stands still but for what is waited: on this one thread nothing would be if it were
    // blocked.
    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_kept_is_told_and_no_thread_waits_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("known");
        let known = Known::read(&path, "there:7".into()).expect("no file");
        let lock = File::create(file::lock_of(&path)).expect("a file");
        lock.lock().expect("nobody has it");
        let key = Identity::generate().expect("entropy").public_key();
        let began = tokio::time::Instant::now();
        let error = known.learn(key).await.expect_err("it is kept");
        assert_eq!(began.elapsed().as_secs(), 3);
        let text = error.to_string();
        assert!(
            text.contains("known.lock: this lock was somebody else's for all of 3s"),
            "{text}"
        );
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!path.exists());
        drop(lock);
        known.learn(key).await.expect("it is free");
        // What is written needs no lock.
        let lock = File::open(file::lock_of(&path)).expect("it stays");
        lock.lock().expect("nobody has it");
        known.learn(key).await.expect("it is known");
        let other = Identity::generate().expect("entropy").public_key();
        let error = known.learn(other).await.expect_err("another was first");
        assert!(matches!(error, TlsError::Changed(_)), "{error}");
    }
}
