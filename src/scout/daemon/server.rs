//! The daemon's side: everybody who comes gets the newest snapshot, and each that follows.

use super::wire::{self, LONGEST, LONGEST_QUESTION, Line, Lines};
use super::{DaemonError, socket};
use crate::network::Snapshot;
use crate::scout::Scout;
use crate::socket_file::SocketFile;
use bytes::Bytes;
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// So often a daemon that has nothing to say says that.
const ALIVE: Duration = Duration::from_secs(10);
/// The ages in a line are no older than this when it is sent.
const FRESH: Duration = Duration::from_millis(500);
/// After an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A scout's socket at which somebody listens; serves the snapshots of a [`Scout`] to other processes.
///
/// ```no_run
/// # async fn f() -> Result<(), mancom::scout::daemon::DaemonError> {
/// let server = mancom::scout::daemon::Server::bind("/run/mancom/scout.sock").await?;
/// server.serve(mancom::Scout::system()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    /// Dropped before the listener: until that is closed nobody else's file can have its inode.
    file: SocketFile,
    listener: UnixListener,
    hello: Line,
    pub(super) limits: Limits,
}

/// What subscribers may cost; other than the default in tests alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// As many subscribers as are served.
    pub(super) subscribers: usize,
    /// One that has not taken a line after so long is left.
    pub(super) patience: Duration,
    /// A longer line is not sent.
    pub(super) longest: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            subscribers: 1024,
            patience: Duration::from_secs(10),
            longest: LONGEST,
        }
    }
}

impl Server {
    /// Listens at this path, whose folder must exist. A socket that a dead process of this user left
    /// there is replaced; one where somebody listens, and any other file, is not.
    ///
    /// If this is root, every user may subscribe, else this user alone. The file goes with the server,
    /// and so does the locked empty one beside it, of the same name and `.lock`.
    ///
    /// # Errors
    ///
    /// As [`DaemonError`] lists them.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, nobody listens; at most a stale socket is gone.
    pub async fn bind(path: impl AsRef<Path>) -> Result<Self, DaemonError> {
        let path = path.as_ref();
        let mut instance = [0; 8];
        getrandom::fill(&mut instance).map_err(|error| DaemonError::Refused {
            path: path.to_owned(),
            source: io::Error::other(error.to_string()),
        })?;
        let (listener, file) = socket::listen(path).await?;
        let hello = Line {
            mancom_scout: Some(wire::VERSION),
            instance: Some(format!("{:016x}", u64::from_be_bytes(instance))),
            network_namespace: wire::network_namespace(),
            ..Line::default()
        };
        Ok(Server {
            file,
            listener,
            hello,
            limits: Limits::default(),
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Serves until it is dropped, or until the scout ends.
    ///
    /// # Errors
    ///
    /// [`DaemonError::ScoutGone`] when the scout has ended: nobody is served what nobody keeps true.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes every connection and removes the socket.
    pub async fn serve(self, scout: Scout) -> Result<(), DaemonError> {
        let mut snapshots = scout.snapshots();
        let shared = Arc::new(Shared {
            scout,
            hello: self.hello.encode().into(),
            limits: self.limits,
            newest: Mutex::default(),
        });
        let mut attending = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if attending.len() < self.limits.subscribers => {
                        attending.spawn(attend(stream, shared.clone()));
                    }
                    Ok((stream, _)) => shared.refuse(stream),
                    Err(error) => {
                        tracing::warn!(target: "mancom::scout", %error, "accepting");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = attending.join_next() => {}
                changed = snapshots.changed() => if changed.is_err() {
                    return Err(DaemonError::ScoutGone);
                },
            }
        }
    }
}

/// What all connections have in common.
struct Shared {
    scout: Scout,
    hello: Bytes,
    limits: Limits,
    /// The last line that was made, for the others that need the same.
    newest: Mutex<Option<Encoded>>,
}

struct Encoded {
    generation: u64,
    at: Instant,
    line: Bytes,
}

impl Shared {
    /// The line of this snapshot, made once for all who are sent it now.
    fn line(&self, snapshot: &Arc<Snapshot>) -> Bytes {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = newest.as_ref()
            && made.generation == snapshot.generation
            && made.at.elapsed() < FRESH
        {
            return made.line.clone();
        }
        let said = Line {
            snapshot: Some(snapshot.clone()),
            ..Line::default()
        };
        let line = Bytes::from(said.encode());
        *newest = Some(Encoded {
            generation: snapshot.generation,
            at: Instant::now(),
            line: line.clone(),
        });
        line
    }

    /// Says why and closes; who does not get it will see the end.
    fn refuse(&self, stream: UnixStream) {
        let why = format!("{} subscribers are the most", self.limits.subscribers);
        tracing::warn!(target: "mancom::scout", "refused a subscriber: {why}");
        if let Ok(mut stream) = stream.into_std() {
            let _ = stream.write_all(&refusal(why));
        }
    }
}

fn refusal(why: String) -> Vec<u8> {
    let line = Line {
        refused: Some(why),
        ..Line::default()
    };
    line.encode()
}

async fn attend(stream: UnixStream, shared: Arc<Shared>) {
    let (read, write) = stream.into_split();
    let mut connection = Connection {
        snapshots: shared.scout.snapshots(),
        sent: None,
        questions: Lines::new(read, LONGEST_QUESTION),
        write,
        shared,
    };
    match connection.serve().await {
        Ok(()) => {}
        Err(error) => tracing::debug!(target: "mancom::scout", %error, "a subscriber is left"),
    }
}

/// One subscriber.
struct Connection {
    shared: Arc<Shared>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The generation that was sent last.
    sent: Option<u64>,
    questions: Lines<tokio::net::unix::OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Connection {
    /// Until the subscriber has gone, or cannot be served.
    async fn serve(&mut self) -> io::Result<()> {
        let hello = self.shared.hello.clone();
        self.send(&hello).await?;
        let (mut look, mut next) = (None, None);
        loop {
            self.send_newest().await?;
            if look.is_none() {
                look = next.take().map(|number| self.look(number));
            }
            tokio::select! {
                changed = self.snapshots.changed() => if changed.is_err() {
                    return Ok(());
                },
                question = self.questions.next() => match question? {
                    Some(line) => next = line.look.or(next),
                    None => return Ok(()),
                },
                number = ended(&mut look) => {
                    look = None;
                    self.send_newest().await?;
                    let looked = Line { looked: Some(number), ..Line::default() };
                    self.send(&looked.encode()).await?;
                }
                () = tokio::time::sleep(ALIVE) => self.send(b"\n").await?,
            }
        }
    }

    /// Looks at everything again, for the question of this number.
    fn look(&self, number: u64) -> Look {
        let scout = self.shared.scout.clone();
        Box::pin(async move {
            scout.look_again().await;
            number
        })
    }

    /// The newest snapshot, if it is whole and was not sent.
    async fn send_newest(&mut self) -> io::Result<()> {
        let snapshot = self.snapshots.borrow_and_update().clone();
        if !snapshot.is_complete() || self.sent == Some(snapshot.generation) {
            return Ok(());
        }
        let line = self.shared.line(&snapshot);
        let longest = self.shared.limits.longest;
        if line.len() > longest {
            let why = format!("a snapshot of {} bytes, more than {longest}", line.len());
            self.send(&refusal(why.clone())).await?;
            return Err(io::Error::other(why));
        }
        self.send(&line).await?;
        self.sent = Some(snapshot.generation);
        Ok(())
    }

    async fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let patience = self.shared.limits.patience;
        match timeout(patience, self.write.write_all(line)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A look that goes on, and the number it was asked for under.
type Look = Pin<Box<dyn Future<Output = u64> + Send>>;

async fn ended(look: &mut Option<Look>) -> u64 {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}
