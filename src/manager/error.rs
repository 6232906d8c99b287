//! What goes wrong when a manager is made, found or stopped.

use super::config::ConfigError;

/// Why there is no manager.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Called outside a tokio runtime, where nothing can wait.
    #[error(
        "outside a tokio runtime: call it from within `#[mancom::main]` or after `Runtime::enter`"
    )]
    NoRuntime,
    /// [`Manager::install`](crate::Manager::install) came second, or after a first use of a free function.
    #[error("this runtime has a manager already, installed before or made by the first use of one")]
    AlreadyInstalled,
    /// A configuration file is missing, unreadable or wrong.
    #[error(transparent)]
    Config(ConfigError),
    /// More [limits](crate::ManagerBuilder::limit) were given, the configuration's counted, than 64.
    #[error("{limits} limits, those of the configuration counted, are more than {most}")]
    TooManyLimits {
        /// How many were given.
        limits: usize,
        /// How many may be.
        most: usize,
    },
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        BuildError::Config(error)
    }
}

/// A shutdown that its bound ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Sessions that had bytes to send or an answer to wait for when the time was over.
    #[error("{sessions} sessions were not finished in time")]
    Unfinished {
        /// How many.
        sessions: usize,
    },
}
