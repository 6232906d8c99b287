//! What is wrong with a configuration, and where.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// So many places are told; the rest are counted.
#[cfg(feature = "config")]
const TOLD: usize = 64;

/// A configuration that cannot be used: every place that is wrong, in all its files. A cheap clone.
///
/// Displayed as one line a place, at most 64, and the number of those beyond.
#[derive(Debug, Clone)]
pub struct ConfigError(Arc<Faults>);

/// One place that is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// The file is missing, too large, no plain file, or the system refuses to read it.
    #[error("cannot read the configuration {}: {source}", path.display())]
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
    /// What is wrong, in the order of the layers and of each file; at most 64 places, at least one.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.0.told
    }

    /// How many places are wrong beyond those told.
    pub fn more(&self) -> usize {
        self.0.more
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self.faults().first() {
            Some(ConfigFault::Unreadable { source, .. }) => source.kind(),
            _ => io::ErrorKind::InvalidData,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults().iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{fault}")?;
        }
        match self.more() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.faults().first()?.source()
    }
}

impl From<ConfigFault> for ConfigError {
    fn from(fault: ConfigFault) -> Self {
        ConfigError(Arc::new(Faults {
            told: vec![fault],
            more: 0,
        }))
    }
}

/// The faults of a configuration as they are found.
#[derive(Debug, Default)]
pub(super) struct Faults {
    told: Vec<ConfigFault>,
    more: usize,
}

#[cfg(feature = "config")]
impl Faults {
    /// Notes a fault, which is made only if there is room for it.
    pub(super) fn push(&mut self, fault: impl FnOnce() -> ConfigFault) {
        match self.told.len() < TOLD {
            true => self.told.push(fault()),
            false => self.more += 1,
        }
    }

    pub(super) fn append(&mut self, others: Faults) {
        self.more += others.more;
        for fault in others.told {
            self.push(|| fault);
        }
    }

    /// In the order of the text.
    pub(super) fn sort(&mut self) {
        self.told.sort_by_key(|fault| match fault {
            ConfigFault::Unreadable { .. } => (0, 0),
            ConfigFault::Invalid { line, column, .. } => (*line, *column),
        });
    }

    /// In the order of the layers, and of each.
    pub(super) fn sort_by_layer(&mut self, layer: impl Fn(&str) -> Option<usize>) {
        self.told.sort_by_key(|fault| match fault {
            ConfigFault::Unreadable { path, .. } => (layer(&path.to_string_lossy()), 0, 0),
            ConfigFault::Invalid {
                file, line, column, ..
            } => (layer(file), *line, *column),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

#[cfg(feature = "config")]
impl From<Faults> for ConfigError {
    fn from(faults: Faults) -> Self {
        ConfigError(Arc::new(faults))
    }
}
