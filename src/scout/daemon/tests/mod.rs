mod hostile;
mod lines;
mod server;
mod subscriber;

use super::*;
use crate::network::{Network, Snapshot, State};
use crate::scout::{Networks, Overrides, Scout, scripted};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;

/// What must happen, but may take its time on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder for a socket.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Place { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("scout.sock")
    }
}

/// A daemon over scripted networks.
struct Daemon {
    networks: Networks,
    serving: JoinHandle<Result<(), DaemonError>>,
}

impl Daemon {
    async fn start(path: &Path) -> Self {
        let (scout, networks) = scripted();
        let serving = serve(path, scout).await;
        Daemon { networks, serving }
    }

    /// Ends it as a process ends: every connection closes.
    async fn end(self) {
        self.serving.abort();
        assert!(self.serving.await.expect_err("aborted").is_cancelled());
    }
}

async fn serve(path: &Path, scout: Scout) -> JoinHandle<Result<(), DaemonError>> {
    let server = Server::bind(path).await.expect("a free path");
    tokio::spawn(server.serve(scout))
}

fn subscriber(path: &Path) -> Scout {
    Scout::daemon_with(path, Overrides::new(), Fallback::None)
}

type Snapshots = Receiver<Arc<Snapshot>>;

/// The first snapshot that fulfils this.
async fn once(
    snapshots: &mut Snapshots,
    holds: impl FnMut(&Arc<Snapshot>) -> bool,
) -> Arc<Snapshot> {
    let found = tokio::time::timeout(PATIENCE, snapshots.wait_for(holds)).await;
    found.expect("in time").expect("a living scout").clone()
}

/// The network of this name, once it is up.
async fn up(snapshots: &mut Snapshots, name: &str) -> Network {
    let snapshot = once(snapshots, |all| {
        all.by_name(name).is_some_and(|n| n.state() == State::Up)
    });
    snapshot.await.by_name(name).expect("just seen").clone()
}

/// Waits until the scout's own word for its source contains this.
async fn says(scout: &Scout, part: &str) {
    let mut sources = scout.sources();
    let said = sources.wait_for(|source| source.contains(part));
    if tokio::time::timeout(PATIENCE, said).await.is_err() {
        panic!("{part}: {}", scout.source());
    }
}
