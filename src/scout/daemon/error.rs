//! Why a daemon does not serve, and why a subscriber does not hear one.

use crate::error::{Error, Fault};
use std::io;
use std::path::PathBuf;

/// Why a scout's socket is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Somebody listens there.
    #[error("{} is in use: another scout serves there, and is not pushed aside", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// There is a file of another kind.
    #[error("{} is there and is no socket: it is left alone", path.display())]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// The socket that was left there is another user's.
    #[error("{} belongs to user {owner}: it is left alone", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// The number of its user.
        owner: u32,
    },
    /// Its folder does not exist.
    #[error("the folder {} does not exist: make it first", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("cannot listen at {}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The scout whose snapshots were served has ended.
    #[error("the scout has ended")]
    ScoutGone,
}

impl Fault for DaemonError {
    fn kind(&self) -> io::ErrorKind {
        match self {
            DaemonError::InUse { .. } => io::ErrorKind::AddrInUse,
            DaemonError::NoSocket { .. } => io::ErrorKind::AlreadyExists,
            DaemonError::Foreign { .. } => io::ErrorKind::PermissionDenied,
            DaemonError::NoFolder { .. } => io::ErrorKind::NotFound,
            DaemonError::Refused { source, .. } => source.kind(),
            DaemonError::ScoutGone => io::ErrorKind::BrokenPipe,
        }
    }
}

impl From<DaemonError> for Error {
    fn from(error: DaemonError) -> Self {
        Error::new(error)
    }
}

impl From<DaemonError> for io::Error {
    fn from(error: DaemonError) -> Self {
        Error::new(error).into()
    }
}

/// Why the daemon is not heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum Away {
    #[error("not asked yet")]
    NotAsked,
    #[error("{0}")]
    Unreachable(io::Error),
    #[error("it belongs to user {0}, and only root and our own user are believed")]
    Foreign(u32),
    #[error("it speaks version {0}, not {version}", version = super::wire::VERSION)]
    Version(u32),
    #[error("it is no scout's socket")]
    NoScout,
    #[error("it is in another network namespace")]
    Elsewhere,
    #[error("it refused: {0}")]
    Refused(String),
    #[error("it says nothing")]
    Silent,
    #[error("it chatters")]
    Chatter,
    #[error("it closed the connection")]
    Closed,
    #[error("it sent what cannot be read: {0}")]
    Garbage(io::Error),
}

impl From<io::Error> for Away {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Away::Garbage(error),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Away::Closed,
            _ => Away::Unreachable(error),
        }
    }
}
