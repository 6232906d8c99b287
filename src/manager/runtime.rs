//! What `#[mancom::main]` and `#[mancom::test]` expand to: a runtime with a manager in it.

use std::future::Future;
#[cfg(feature = "config")]
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Manager, ManagerBuilder, table};
use crate::scout::Scout;

/// How long `main` waits for the first whole scan. A scout that needs longer is waited for by the
/// operations themselves.
const FIRST_SCAN: Duration = Duration::from_secs(1);

/// How long blocking calls may go on after everything else ended; a read of a terminal never ends.
const BLOCKING: Duration = Duration::from_millis(100);

/// The arguments of `#[mancom::main]`.
#[derive(Debug)]
pub struct Main {
    current_thread: bool,
    worker_threads: Option<usize>,
    #[cfg(feature = "config")]
    config: Option<PathBuf>,
    without_networks: bool,
    shutdown: Duration,
}

impl Default for Main {
    fn default() -> Self {
        Main {
            current_thread: false,
            worker_threads: None,
            #[cfg(feature = "config")]
            config: None,
            without_networks: false,
            shutdown: Duration::from_secs(5),
        }
    }
}

impl Main {
    /// `flavor = "current_thread"`.
    #[must_use]
    pub fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    /// `worker_threads = N`.
    #[must_use]
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = Some(threads);
        self
    }

    /// `config = "FILE"`.
    #[cfg(feature = "config")]
    #[must_use]
    pub fn config(mut self, file: &str) -> Self {
        self.config = Some(file.into());
        self
    }

    /// `scout = "none"`.
    #[must_use]
    pub fn without_networks(mut self) -> Self {
        self.without_networks = true;
        self
    }

    /// `shutdown = "5s"`.
    #[must_use]
    pub fn shutdown_millis(mut self, millis: u64) -> Self {
        self.shutdown = Duration::from_millis(millis);
        self
    }

    fn runtime(&self) -> Runtime {
        let mut builder = if self.current_thread {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        if let Some(threads) = self.worker_threads {
            builder.worker_threads(threads);
        }
        started(&mut builder)
    }

    /// Installs a manager. One that cannot be made is installed as its error: the first operation that
    /// needs it fails with that, and a program that needs none runs.
    fn install(&mut self) -> Option<Manager> {
        let mut builder = ManagerBuilder::default();
        #[cfg(feature = "config")]
        if let Some(file) = self.config.take() {
            builder = builder.config_file(file);
        }
        if self.without_networks {
            builder = builder.scout(Scout::fixed([]));
        }
        #[cfg(all(unix, feature = "inspect"))]
        let builder = builder.of_main();
        let manager = builder.assemble();
        table::install(manager.clone()).expect("the runtime is new");
        let manager = manager.ok();
        #[cfg(all(unix, feature = "config"))]
        manager.iter().for_each(Manager::reload_without_terminal);
        manager
    }
}

/// Runs the body of `#[mancom::main]`: a runtime, its manager, the first scan, the body, and then until
/// the sessions have said what they had to say.
///
/// # Panics
///
/// If the operating system gives no threads or no event queue, and inside another runtime.
pub fn main<T>(mut options: Main, body: impl Future<Output = T>) -> T {
    let runtime = options.runtime();
    let result = runtime.block_on(async {
        let manager = options.install();
        if let Some(manager) = &manager {
            let mut snapshots = manager.snapshots();
            let complete = snapshots.wait_for(|snapshot| snapshot.is_complete());
            let _ = tokio::time::timeout(FIRST_SCAN, complete).await.map(drop);
        }
        let result = body.await;
        if let Some(manager) = manager
            && let Err(error) = manager.shutdown(options.shutdown).await
        {
            tracing::warn!(target: "mancom::session", %error, "shutdown");
        }
        result
    });
    runtime.shutdown_timeout(BLOCKING);
    result
}

/// Runs the body of `#[mancom::test]`: paused time, one thread, scripted networks of its own.
///
/// # Panics
///
/// If the body panics or opens a real socket.
#[cfg(feature = "test-util")]
pub fn test<T, F: Future<Output = T>>(body: impl FnOnce(crate::testing::Networks) -> F) -> T {
    use super::sentinel::Sentinel;

    let runtime = started(Builder::new_current_thread().start_paused(true));
    runtime.block_on(async {
        let sentinel = Sentinel::default();
        table::watch(sentinel.clone()).expect("the runtime is new");
        let (scout, networks) = crate::testing::scripted();
        let manager = ManagerBuilder::default().scout(scout).assemble();
        table::install(manager).expect("the runtime is new");
        let result = tokio::select! {
            biased;
            result = body(networks) => result,
            offence = sentinel.offence() => panic!("{offence}"),
        };
        if let Some(offence) = sentinel.seen() {
            panic!("{offence}");
        }
        result
    })
}

/// Runs the body of `#[mancom::test(real)]`: real time, real networks, real sockets, one thread.
///
/// # Panics
///
/// If the body panics.
#[cfg(feature = "test-util")]
pub fn test_real<T>(body: impl Future<Output = T>) -> T {
    started(&mut Builder::new_current_thread()).block_on(body)
}

fn started(builder: &mut Builder) -> Runtime {
    let runtime = builder.enable_all().build();
    runtime.unwrap_or_else(|error| panic!("cannot start a tokio runtime: {error}"))
}
