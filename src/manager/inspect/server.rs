//! The socket of a process: who connects is looked at, then answered question by question.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::super::limits::Limits;
use super::error::InspectError;
use super::folder;
use super::wire::{
    self, CONNECTIONS, Hello, LONGEST_ANSWER, LONGEST_QUESTION, MOST_OPERATIONS, Named, PATIENCE,
    Question,
};
use crate::deferral::Registry;
use crate::endpoint::Endpoint;
use crate::stream::tracker::Tracker;
use crate::transport::{Acceptor, Link, Transport, Unix, UnixLink};

/// Sockets of one process id at once: a process with more managers is not looked at through all of them.
const NUMBERS: u32 = 64;

/// After an error of the socket itself, such as no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// What is told of. It keeps no manager alive.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) registry: Weak<Registry>,
    pub(super) sessions: Tracker,
    pub(super) limits: Weak<Limits>,
}

/// The task that serves the socket; both end with it.
#[derive(Debug)]
pub(in crate::manager) struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Opens the socket and serves it, on the current runtime.
    pub(super) fn start(folder: PathBuf, seen: Seen) -> Self {
        let task = tokio::spawn(async move {
            match open(&folder).await {
                Ok(acceptor) => serve(acceptor, seen).await,
                Err(error) => tracing::warn!(
                    target: "mancom::inspect",
                    folder = %folder.display(), %error, "no inspection socket"
                ),
            }
        });
        Server(task.abort_handle())
    }
}

/// A socket of the first free number.
pub(super) async fn open(folder: &Path) -> io::Result<Box<dyn Acceptor>> {
    let folder = folder::make(folder).map_err(|error| match error {
        InspectError::Folder { source, .. } => source,
        error => io::Error::other(error),
    })?;
    let unix = Unix::new();
    for number in 0..NUMBERS {
        let path = folder.join(format!("{}-{number}.sock", std::process::id()));
        let at = Endpoint::at_path("unix", &path)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        match unix.listen(&at, None).await {
            // Another manager's, or of a process with this number that sees other processes.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            opened => return opened,
        }
    }
    let text = format!("{NUMBERS} sockets of this process are there already");
    Err(io::Error::new(io::ErrorKind::AddrInUse, text))
}

pub(super) async fn serve(mut acceptor: Box<dyn Acceptor>, seen: Seen) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = poll_fn(|cx| acceptor.poll_accept(cx)), if open.len() < CONNECTIONS => {
                match accepted {
                    Ok(link) => {
                        open.spawn(converse(link, seen.clone()));
                    }
                    Err(error) => {
                        tracing::debug!(target: "mancom::inspect", %error, "accept");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            Some(ended) = open.join_next() => {
                if let Ok(Err(error)) = ended {
                    tracing::debug!(target: "mancom::inspect", %error, "a connection ended");
                }
            }
        }
    }
}

/// One connection, from its first word to its end.
async fn converse(link: Link, seen: Seen) -> io::Result<()> {
    let peer = link.downcast_ref::<UnixLink>().map(UnixLink::peer_cred);
    let peer = peer.transpose()?.map(|peer| peer.uid());
    let Link::Bytes(link) = link else {
        return Ok(());
    };
    let (read, mut write) = tokio::io::split(link);
    if !may_ask(peer, folder::user()) {
        let refused = json!({ "error": "only the user of this process, and root, may ask" });
        return say(&mut write, &wire::to_line(&refused)?).await;
    }
    say(&mut write, &wire::to_line(&hello())?).await?;
    let mut read = BufReader::with_capacity(1024, read);
    while let Some(line) = timeout(PATIENCE, wire::line(&mut read, LONGEST_QUESTION)).await?? {
        let answer = match is_long(&line) {
            true => {
                let seen = seen.clone();
                tokio::task::spawn_blocking(move || answer(&line, &seen)).await?
            }
            false => answer(&line, &seen),
        };
        say(&mut write, &answer?).await?;
    }
    Ok(())
}

/// Whether that user may ask a process of this one.
pub(super) fn may_ask(peer: Option<u32>, own: u32) -> bool {
    peer.is_some_and(|peer| peer == own || peer == 0)
}

async fn say(to: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, async {
        to.write_all(line).await?;
        to.flush().await
    })
    .await?
}

fn hello() -> Hello {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(Path::file_name);
    Hello {
        mancom: wire::VERSION,
        pid: std::process::id(),
        name: name.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Whether the answer takes long, where thousands wait: it is then made beside the program's own work. All
/// else is answered at once, for the program may end by what it is told to do.
fn is_long(question: &[u8]) -> bool {
    let question = serde_json::from_slice(question);
    matches!(question, Ok(Question::Ops | Question::Status))
}

/// The answer to one line, whatever it is.
pub(super) fn answer(line: &[u8], seen: &Seen) -> io::Result<Vec<u8>> {
    let question = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(error) => return wire::to_line(&json!({ "error": error.to_string() })),
    };
    let Some(registry) = seen.registry.upgrade() else {
        return wire::to_line(&json!({ "error": "its networks are gone" }));
    };
    let value = match question {
        Question::Ops => {
            let room = usize::try_from(LONGEST_ANSWER).unwrap_or(usize::MAX);
            // One more, which tells that there are more.
            return wire::operations(&registry.first_pending(MOST_OPERATIONS + 1), room);
        }
        Question::Nudge { op: Named::All } => json!({ "nudged": registry.nudge_all() }),
        Question::Nudge { op: Named::One(id) } => {
            let found = registry.find(id);
            if let Some(operation) = &found {
                operation.nudge();
            }
            json!({ "nudged": usize::from(found.is_some()) })
        }
        Question::Cancel { op: Named::One(id) } => json!({ "cancelled": registry.cancel(id) }),
        Question::Cancel { op: Named::All } => json!({ "error": "name one operation to cancel" }),
        Question::Status => {
            let Hello {
                pid, name, version, ..
            } = hello();
            let limits = seen.limits.upgrade();
            json!({ "status": {
                "pid": pid, "name": name, "version": version,
                "source": registry.scout().source(),
                "pending": registry.waiting(),
                "sessions": seen.sessions.alive(),
                "limits": limits.as_ref().map(|limits| limits.told()),
                "traffic": limits.as_ref().map(|limits| limits.traffic()),
                "spending": limits.as_ref().map(|limits| limits.spending()),
                "snapshot": *registry.snapshot(),
            } })
        }
    };
    wire::to_line(&value)
}
