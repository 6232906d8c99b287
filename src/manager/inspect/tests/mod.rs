mod sockets;
mod talk;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::server::{self, Seen};
use super::{Process, processes};
use crate::manager::Manager;
use crate::network::Network;
use crate::scout::Scout;

const LIMIT: Duration = Duration::from_secs(30);

/// A manager on one cellular network, and its socket in a folder of its own.
struct World {
    manager: Manager,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let manager = Manager::builder().scout(Scout::fixed([Network::cellular("wwan0")]));
        Self::of(manager.build().await.unwrap()).await
    }

    async fn of(manager: Manager) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let world = World { manager, folder };
        let acceptor = server::open(world.folder.path()).await.unwrap();
        tokio::spawn(server::serve(acceptor, world.seen()));
        world
    }

    fn seen(&self) -> Seen {
        Seen {
            registry: Arc::downgrade(&self.manager.0.registry),
            sessions: self.manager.0.tracker.clone(),
            limits: Arc::downgrade(&self.manager.0.limits.limits),
        }
    }

    fn socket(&self) -> PathBuf {
        socket(self.folder.path(), 0)
    }

    /// A connection that has been greeted.
    async fn dial(&self) -> BufReader<UnixStream> {
        let mut stream = BufReader::new(UnixStream::connect(self.socket()).await.unwrap());
        let hello = said(&mut stream).await;
        assert_eq!(
            (&hello["mancom"], &hello["pid"]),
            (&1.into(), &std::process::id().into())
        );
        stream
    }

    async fn process(&self) -> Process {
        let mut found = processes(self.folder.path()).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

fn socket(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{}-{number}.sock", std::process::id()))
}

async fn said(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    timeout(LIMIT, stream.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
}
