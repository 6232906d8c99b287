//! Why a process cannot be looked at.

use std::io;
use std::path::PathBuf;

/// Why a folder of inspection sockets, or a process in it, cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The folder is another user's, or another user could put a socket into it.
    #[error("{} is not safe: {why}", folder.display())]
    Unsafe {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder cannot be read or made.
    #[error("{}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// As the system says it.
        source: io::Error,
    },
    /// The process ended, or its socket cannot be used.
    #[error("process {pid} cannot be asked")]
    Unreachable {
        /// The process.
        pid: u32,
        /// As the system says it.
        source: io::Error,
    },
    /// The process did not answer in time: it hangs, or is stopped.
    #[error("process {pid} did not answer within 2 s")]
    Silent {
        /// The process.
        pid: u32,
    },
    /// The process answered that it will not.
    #[error("process {pid} refused: {text}")]
    Refused {
        /// The process.
        pid: u32,
        /// Its own words.
        text: String,
    },
    /// What it said is not this protocol, or another version of it.
    #[error("process {pid} speaks another protocol: {text}")]
    Protocol {
        /// The process.
        pid: u32,
        /// What could not be understood.
        text: String,
    },
}
