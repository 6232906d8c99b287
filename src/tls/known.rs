//! Trust on first use: the keys that far ends showed when they were first met, in a file.
//!
//! A line each, `HOST:PORT KEY`, as the endpoint names it; empty lines and such that begin with `#` are
//! kept. Who is not in it is believed once and written down, under a lock beside the file, which is
//! replaced as a whole: two processes that meet a far end at the same time believe the same key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::identity::read_file;
use super::{Changed, PublicKey, TlsError};

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

    /// Writes down the key that was shown, if none was known; somebody else may have meanwhile.
    pub(super) fn learn(&self, shown: PublicKey) -> Result<(), TlsError> {
        if self.key.is_some() {
            return Ok(());
        }
        let failed = |error| TlsError::file(&self.path, error);
        let _lock = self.lock().map_err(failed)?;
        let text = text(&self.path)?;
        let now = Self {
            key: find(&self.path, &text, &self.host)?,
            ..self.clone()
        };
        if now.key.is_some() {
            return now.judge(&shown);
        }
        let gap = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let text = format!("{text}{gap}{} {shown}\n", self.host);
        self.replace(text.as_bytes()).map_err(failed)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(ending);
        path.into()
    }

    fn lock(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let lock = options.open(self.beside(".lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = File::create(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
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
