//! What is wrong with a configuration, and where.

use std::io;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing, too large, or the system refuses to read it.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The text is no configuration.
    #[error("{file}:{line}:{column}: {}{fault}", prefix(field))]
    Invalid {
        /// The file, or the name given to the text.
        file: String,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The key, as in `networks."wwan*".kind`; empty where the text is not TOML.
        field: String,
        /// What is wrong, in words.
        fault: String,
    },
}

fn prefix(field: &str) -> String {
    match field {
        "" => String::new(),
        field => format!("{field}: "),
    }
}

impl ConfigError {
    #[cfg(feature = "config")]
    pub(super) fn unreadable(path: &std::path::Path, source: io::Error) -> Self {
        ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            ConfigError::Unreadable { source, .. } => source.kind(),
            ConfigError::Invalid { .. } => io::ErrorKind::InvalidData,
        }
    }
}
