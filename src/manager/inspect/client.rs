//! The other side: finds the processes of this user, and asks them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::InspectError;
use super::folder;
use super::told::{Operations, Status, Told};
use super::wire::{self, Hello, LONGEST_ANSWER, Named, Question, VERSION};
use crate::deferral::OperationId;
use crate::socket_file::remove_stale;

/// How long one question to one process may take, connecting and its greeting included.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many sockets of a folder are looked at.
const PROCESSES: usize = 1024;
/// So many of them at once: half the descriptors that a process usually may have. More that hang cost
/// those behind them [`PATIENCE`] once.
const AT_ONCE: usize = 512;

/// A process with an inspection socket; one with several managers is listed once for each.
#[derive(Debug, Clone)]
pub struct Process {
    pid: u32,
    name: Option<String>,
    socket: PathBuf,
}

/// What one of many processes answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answered<T> {
    /// Who was asked.
    pub process: Process,
    /// Its answer, or why there is none.
    pub answer: Result<T, InspectError>,
}

/// The answer to [`Question::Nudge`].
#[derive(Deserialize)]
struct Nudged {
    nudged: usize,
}

/// The processes that have an inspection socket in this folder, by number; those that died are swept out.
///
/// # Errors
///
/// [`InspectError::Unsafe`] for a folder that another user could have put a socket into,
/// [`InspectError::Folder`] for one that cannot be read. One that is not there has no processes.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
pub async fn processes(folder: &Path) -> Result<Vec<Process>, InspectError> {
    each(folder, |mut process| async move {
        match timeout(PATIENCE, process.meet()).await {
            Ok(Ok(None)) => None,
            // What it is about is told to who asks it.
            Ok(_) | Err(_) => Some(process),
        }
    })
    .await
}

/// What the processes wait for that have an inspection socket in this folder, or only the one of this
/// number; in order, as [`processes`] lists them. All are asked at once, greeting included, so that one
/// that hangs takes 2 s of the whole and no more; where more than 512 hang, 4 s.
///
/// # Errors
///
/// As [`processes`]; what is wrong with one process is its answer.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
pub async fn ops(
    folder: &Path,
    pid: Option<u32>,
) -> Result<Vec<Answered<Operations>>, InspectError> {
    ask_each(folder, pid, &Question::Ops, Process::operations).await
}

/// What the processes say of themselves, or only the one of this number; in order. It asks as [`ops`]
/// does.
///
/// # Errors
///
/// As [`processes`]; what is wrong with one process is its answer.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
pub async fn statuses(
    folder: &Path,
    pid: Option<u32>,
) -> Result<Vec<Answered<Status>>, InspectError> {
    #[derive(Deserialize)]
    struct Answer {
        status: Status,
    }
    ask_each(folder, pid, &Question::Status, |_, Answer { status }| {
        Ok(status)
    })
    .await
}

/// Makes everything retry that waits in any of the processes, or in the one of this number: how many
/// there were, of each. It asks as [`ops`] does.
///
/// # Errors
///
/// As [`processes`]; what is wrong with one process is its answer.
///
/// # Cancel safety
///
/// Those that were asked when it is dropped may have been nudged.
pub async fn nudge_all(
    folder: &Path,
    pid: Option<u32>,
) -> Result<Vec<Answered<usize>>, InspectError> {
    let question = Question::Nudge { op: Named::All };
    ask_each(folder, pid, &question, |_, Nudged { nudged }| Ok(nudged)).await
}

/// Asks every process, or the one of this number; one that ended meanwhile is left out.
async fn ask_each<A: DeserializeOwned, T>(
    folder: &Path,
    pid: Option<u32>,
    question: &Question,
    read: impl Fn(&Process, A) -> Result<T, InspectError> + Copy,
) -> Result<Vec<Answered<T>>, InspectError> {
    each(folder, |mut process| async move {
        let asked = async {
            let Some(stream) = process.meet().await? else {
                return Ok(None);
            };
            if pid.is_some_and(|pid| pid != process.pid) {
                return Ok(None);
            }
            let answer = process.put(stream, question).await?;
            read(&process, answer).map(Some)
        };
        let answer = match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.transpose()?,
            Err(_) => Err(InspectError::Silent { pid: process.pid }),
        };
        let is_wanted = pid.is_none_or(|pid| pid == process.pid)
            && !matches!(answer, Err(InspectError::Unreachable { .. }));
        is_wanted.then_some(Answered { process, answer })
    })
    .await
}

/// Does this with every process of the folder, many at a time; what came of it, in their order.
async fn each<T, F: Future<Output = Option<T>>>(
    folder: &Path,
    of: impl Fn(Process) -> F,
) -> Result<Vec<T>, InspectError> {
    let Some(folder) = folder::open(folder)? else {
        return Ok(Vec::new());
    };
    let found = sockets(&folder).map_err(|source| InspectError::Folder { folder, source })?;
    let found = found.into_iter().enumerate();
    let asked = found.map(|(at, process)| {
        let of = of(process);
        async move { (at, of.await) }
    });
    let mut done: Vec<_> = iter(asked).buffer_unordered(AT_ONCE).collect().await;
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().filter_map(|(_, one)| one).collect())
}

/// Every `PID-N.sock`, in order.
fn sockets(folder: &Path) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let numbers = name.to_str().and_then(|name| name.strip_suffix(".sock"));
        let numbers = numbers.and_then(|numbers| numbers.split_once('-'));
        let numbers =
            numbers.and_then(|(pid, n)| Some((pid.parse().ok()?, n.parse::<u32>().ok()?)));
        let Some((pid, number)) = numbers else {
            continue;
        };
        let socket = entry.path();
        found.push((
            number,
            Process {
                pid,
                name: None,
                socket,
            },
        ));
        if found.len() == PROCESSES {
            break;
        }
    }
    found.sort_by_key(|(number, process)| (process.pid, *number));
    Ok(found.into_iter().map(|(_, process)| process).collect())
}

impl Process {
    /// The number of the process, as it knows itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its program; `None` if it did not say when it was listed.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it waits for.
    ///
    /// # Errors
    ///
    /// [`InspectError`] if it ended, does not answer within 2 s, or speaks another protocol.
    pub async fn ops(&self) -> Result<Operations, InspectError> {
        let answer = self.ask(&Question::Ops).await?;
        self.operations(answer)
    }

    /// Makes one operation retry at once; false if none of this number waits.
    ///
    /// # Errors
    ///
    /// As [`ops`](Self::ops).
    pub async fn nudge(&self, operation: OperationId) -> Result<bool, InspectError> {
        Ok(self.nudge_named(Named::One(operation)).await? > 0)
    }

    /// Makes everything retry that waits; how many there were.
    ///
    /// # Errors
    ///
    /// As [`ops`](Self::ops).
    pub async fn nudge_all(&self) -> Result<usize, InspectError> {
        self.nudge_named(Named::All).await
    }

    async fn nudge_named(&self, op: Named) -> Result<usize, InspectError> {
        let Nudged { nudged } = self.ask(&Question::Nudge { op }).await?;
        Ok(nudged)
    }

    /// Withdraws one operation; false if none of this number waits.
    ///
    /// # Errors
    ///
    /// As [`ops`](Self::ops).
    pub async fn cancel(&self, operation: OperationId) -> Result<bool, InspectError> {
        #[derive(Deserialize)]
        struct Answer {
            cancelled: usize,
        }
        let op = Named::One(operation);
        let Answer { cancelled } = self.ask(&Question::Cancel { op }).await?;
        Ok(cancelled > 0)
    }

    /// The process itself.
    ///
    /// # Errors
    ///
    /// As [`ops`](Self::ops).
    pub async fn status(&self) -> Result<Status, InspectError> {
        #[derive(Deserialize)]
        struct Answer {
            status: Status,
        }
        let Answer { status } = self.ask(&Question::Status).await?;
        Ok(status)
    }

    /// Connects and learns its name; `None` if nobody listens there any more, and then the socket is swept
    /// out.
    async fn meet(&mut self) -> Result<Option<BufReader<UnixStream>>, InspectError> {
        match self.connect().await {
            Ok((hello, stream)) => {
                (self.pid, self.name) = (hello.pid, Some(hello.name));
                Ok(Some(stream))
            }
            Err(InspectError::Unreachable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(InspectError::Unreachable { pid, source })
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                match remove_stale(&self.socket, None).await {
                    Ok(()) => Ok(None),
                    Err(_) => Err(InspectError::Unreachable { pid, source }),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn connect(&self) -> Result<(Hello, BufReader<UnixStream>), InspectError> {
        let stream = UnixStream::connect(&self.socket).await;
        let mut stream = BufReader::new(stream.map_err(|source| self.unreachable(source))?);
        let hello: Hello = self.read(&mut stream).await?;
        if hello.mancom != VERSION {
            let text = format!("version {} instead of {VERSION}", hello.mancom);
            return Err(InspectError::Protocol {
                pid: self.pid,
                text,
            });
        }
        Ok((hello, stream))
    }

    async fn ask<T: DeserializeOwned>(&self, question: &Question) -> Result<T, InspectError> {
        let asked = async {
            let (_, stream) = self.connect().await?;
            self.put(stream, question).await
        };
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(InspectError::Silent { pid: self.pid }),
        }
    }

    /// The answer on a connection that was greeted.
    async fn put<T: DeserializeOwned>(
        &self,
        mut stream: BufReader<UnixStream>,
        question: &Question,
    ) -> Result<T, InspectError> {
        let line = wire::to_line(question).map_err(|source| self.unreachable(source))?;
        let written = stream.write_all(&line).await;
        written.map_err(|source| self.unreachable(source))?;
        self.read(&mut stream).await
    }

    /// The next line, unless it says why there is none.
    async fn read<T: DeserializeOwned>(
        &self,
        stream: &mut BufReader<UnixStream>,
    ) -> Result<T, InspectError> {
        let line = wire::line(stream, LONGEST_ANSWER).await;
        let line = line.and_then(|line| line.ok_or(io::ErrorKind::UnexpectedEof.into()));
        let line = line.map_err(|source| self.unreachable(source))?;
        let strange = |error: serde_json::Error| InspectError::Protocol {
            pid: self.pid,
            text: error.to_string(),
        };
        let said: Value = serde_json::from_slice(&line).map_err(strange)?;
        if let Some(text) = said.get("error").and_then(Value::as_str) {
            return Err(InspectError::Refused {
                pid: self.pid,
                text: text.to_owned(),
            });
        }
        serde_json::from_value(said).map_err(strange)
    }

    fn operations(&self, told: Told) -> Result<Operations, InspectError> {
        told.together().map_err(|text| InspectError::Protocol {
            pid: self.pid,
            text: text.to_owned(),
        })
    }

    fn unreachable(&self, source: io::Error) -> InspectError {
        InspectError::Unreachable {
            pid: self.pid,
            source,
        }
    }
}
