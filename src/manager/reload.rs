//! The configuration that is in force, and how another takes its place.
//!
//! ```text
//!   a file changes ─┐                        wrong: told, remembered; the old one stays
//!   SIGHUP ─────────┼──▶ read every layer ──▶
//!   reload() ───────┘    again               right, and different: facts ──▶ scout
//!                                                                  policy ─▶ registry: who waits is
//!                                                                  names ──▶ registry   judged once
//!                                                                  limits ─▶ sessions; what was spent stays
//! ```
//!
//! What was given in code is not overruled: with a scout of the program's own no facts, with a policy
//! of its own none from a file. `[scout]` and `[monitor]` are read once, when the manager is made. An
//! operation keeps the label, the deadline and the grace that it was made with; the next
//! [`mancom::label`](crate::label) of a name gives the new one.

#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::task::AbortHandle;

use super::config::changes::Changes;
use super::config::file::Layers;
use super::config::{Config, ConfigError};
use super::{Inner, Manager};

/// Where the configuration comes from, and what of it counts.
#[derive(Debug)]
pub(super) struct Reload {
    /// None where the configuration was given in code: then there is nothing to read.
    layers: Option<Layers>,
    /// Whether the files say what is known of networks.
    facts: bool,
    /// Whether the files say how they are judged.
    policy: bool,
    /// What was wrong when the files were last read; held while they are.
    failed: Mutex<Option<ConfigError>>,
    watching: OnceLock<Task>,
    #[cfg(unix)]
    hangup: OnceLock<Task>,
}

/// Ends with the manager.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reload {
    pub(super) fn new(layers: Option<Layers>, facts: bool, policy: bool) -> Self {
        Reload {
            layers,
            facts,
            policy,
            failed: Mutex::default(),
            watching: OnceLock::new(),
            #[cfg(unix)]
            hangup: OnceLock::new(),
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<ConfigError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager {
    /// Reads the configuration's files again, and puts what they say in force; true if that differs
    /// from before.
    ///
    /// It happens of itself when a file changes; this is for programs that cannot wait for it. Facts
    /// reach the networks with the next snapshot. Operations that wait are judged again once, and
    /// keep their labels; [`label`](Manager::label) gives the new ones. Without files (a
    /// configuration given in code) there is nothing to read. It reads on the calling thread.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in all files. The old configuration stays in force.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        self.0.reload()
    }

    /// What was wrong with the configuration when it was last read; `None` if it is in force.
    pub fn config_error(&self) -> Option<ConfigError> {
        self.0.reload.failed().clone()
    }

    /// Reloads on SIGHUP from now on, which then never ends the process again, not even when this
    /// manager is gone. A second call does nothing.
    ///
    /// `#[mancom::main]` asks for it where the process has no controlling terminal.
    ///
    /// # Errors
    ///
    /// Outside a tokio runtime, and if the system refuses to handle the signal.
    ///
    /// # Panics
    ///
    /// On a runtime without I/O.
    #[cfg(unix)]
    pub fn reload_on_hangup(&self) -> std::io::Result<()> {
        use tokio::runtime::Handle;
        use tokio::signal::unix::{SignalKind, signal};

        let runtime = Handle::try_current().map_err(|_| super::BuildError::NoRuntime)?;
        let mut hangups = signal(SignalKind::hangup())?;
        self.0.reload.hangup.get_or_init(|| {
            let manager = Arc::downgrade(&self.0);
            let reloads =
                async move { while hangups.recv().await.is_some() && again(&manager).await {} };
            Task(runtime.spawn(reloads).abort_handle())
        });
        Ok(())
    }

    /// Reloads on SIGHUP if there are files to read and no terminal whose hang-up has to end the program.
    #[cfg(unix)]
    pub(super) fn reload_without_terminal(&self) {
        let terminal = std::fs::File::open("/dev/tty");
        if terminal.is_ok() || self.0.reload.layers.is_none() {
            return;
        }
        if let Err(error) = self.reload_on_hangup() {
            tracing::warn!(target: "mancom::config", %error, "cannot handle SIGHUP");
        }
    }

    /// Reloads when a file changes; `changes` has been watching since before they were read.
    pub(super) fn reload_on(&self, mut changes: Changes) {
        let manager = Arc::downgrade(&self.0);
        let reloads = async move {
            loop {
                changes.wait().await;
                if !again(&manager).await {
                    return;
                }
            }
        };
        let task = Task(tokio::spawn(reloads).abort_handle());
        self.0
            .reload
            .watching
            .set(task)
            .expect("set once, when it is made");
    }
}

/// Reads the files where that may take its time; false if the manager is gone.
async fn again(manager: &Weak<Inner>) -> bool {
    let Some(inner) = manager.upgrade() else {
        return false;
    };
    // What was wrong has been told.
    let read = tokio::task::spawn_blocking(move || inner.reload().is_ok());
    read.await.is_ok()
}

impl Inner {
    fn reload(&self) -> Result<bool, ConfigError> {
        let Some(layers) = &self.reload.layers else {
            return Ok(false);
        };
        let news = {
            let mut failed = self.reload.failed();
            let fits = |config: Config| {
                config.check_room(self.limits.given())?;
                Ok(config)
            };
            match layers.load().and_then(fits) {
                Ok(config) => {
                    *failed = None;
                    self.take(config)
                }
                Err(error) => {
                    tell(&error);
                    *failed = Some(error.clone());
                    return Err(error);
                }
            }
        };
        if news {
            tracing::info!(target: "mancom::config", "reloaded");
            self.put_in_force();
        }
        Ok(news)
    }

    /// Whether it differs from what was there.
    fn take(&self, config: Config) -> bool {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let news = **current != config;
        if news {
            *current = Arc::new(config);
        }
        news
    }

    /// Nothing is locked here, for wakers run. So another reload may come between: whoever finds that
    /// it did starts again, and the newest is what stays.
    fn put_in_force(&self) {
        loop {
            let config = self.config();
            self.registry.set_names(config.names());
            let policy = self.reload.policy.then(|| config.policy());
            self.limits.set(&config, policy);
            if self.reload.facts {
                self.scout.set_overrides(config.overrides());
            }
            if Arc::ptr_eq(&config, &self.config()) {
                return;
            }
        }
    }
}

fn tell(error: &ConfigError) {
    for fault in error.faults() {
        tracing::error!(target: "mancom::config", %fault, "the old configuration stays in force");
    }
    if error.more() > 0 {
        tracing::error!(target: "mancom::config", more = error.more(), "faults beyond these");
    }
}
