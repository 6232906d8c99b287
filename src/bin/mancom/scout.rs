//! `mancom scout`: one observer of the networks for all processes of this host.
//!
//! It says on stderr where it listens, and runs until SIGTERM or SIGINT; at SIGHUP it reads its
//! configuration again. Programs whose configuration has `[scout] socket = "PATH"` subscribe to it.

use crate::Global;
use crate::exit::{Exit, Failure, chain};
use crate::output::say;
use crate::signals::ended;
use mancom::manager::config::Config;
use mancom::scout::daemon::Server;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Descriptors for as many subscribers as are served.
#[cfg(target_os = "linux")]
const DESCRIPTORS: u64 = 2048;
/// Where a scout for the whole system listens.
const SYSTEM: &str = "/run/mancom/scout.sock";

/// Watch the networks for every process of this host, until SIGTERM.
///
/// Its configuration's facts of networks are told to all. Subscribers are programs whose configuration
/// names the socket: `[scout] socket = "PATH"`.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP)]
pub(crate) struct Scout {
    /// Listen here; its folder must exist. Default: what the configuration names, else
    /// /run/mancom/scout.sock for root and $XDG_RUNTIME_DIR/mancom/scout.sock for others.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Scout {
    pub(crate) async fn run(&self, global: &Global) -> Result<Exit, Failure> {
        let config = load(global)?;
        let named = self
            .socket
            .clone()
            .or_else(|| config.scout().socket.clone());
        let path = named.map_or_else(default_path, Ok)?;
        make_room();
        let fault = |error| Failure::new(Exit::Failed, chain(&error));
        let server = Server::bind(&path).await.map_err(fault)?;
        let scout = mancom::Scout::system_with(config.overrides());
        let mut serving = std::pin::pin!(server.serve(scout.clone()));
        let mut ended = std::pin::pin!(ended());
        let mut hung_up = signal(SignalKind::hangup())?;
        // The handlers are there before anybody hears that it listens.
        let _ = futures_util::poll!(ended.as_mut());
        say(format_args!("scout: listening at {}", path.display()));
        loop {
            tokio::select! {
                _ = &mut ended => return Ok(Exit::Fine),
                served = &mut serving => {
                    served.map_err(fault)?;
                    return Ok(Exit::Fine);
                }
                Some(()) = hung_up.recv() => match load(global) {
                    Ok(config) => scout.set_overrides(config.overrides()),
                    Err(failure) => say(format_args!("{}\nthe old configuration stays", failure.message)),
                },
            }
        }
    }
}

fn load(global: &Global) -> Result<Config, Failure> {
    let config = Config::load(global.config.as_deref());
    config.map_err(|error| Failure::new(Exit::Usage, chain(&error)))
}

/// Many systems give a process fewer descriptors than it may have.
fn make_room() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|now| now < DESCRIPTORS) {
            limit.current = Some(
                limit
                    .maximum
                    .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS)),
            );
            // With fewer, the last to come wait.
            let _ = setrlimit(Resource::Nofile, limit);
        }
    }
}

fn default_path() -> Result<PathBuf, Failure> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        return Ok(SYSTEM.into());
    }
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let folder = folder.ok_or_else(|| {
        let error = "XDG_RUNTIME_DIR is not set: say where with --socket PATH";
        Failure::new(Exit::Usage, error.to_owned())
    })?;
    Ok(PathBuf::from(folder).join("mancom/scout.sock"))
}
