//! `mancom scout`: one observer of the networks for all processes of this host.
//!
//! It says on stderr where it listens, and runs until SIGTERM or SIGINT. It follows its configuration's
//! files, and reads them again at SIGHUP. Programs whose configuration has `[scout] socket = "PATH"`
//! subscribe to it.

use crate::Global;
use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::signals::ended;
use mancom::manager::config::Config;
use mancom::scout::daemon::Server;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

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
        let usage = |error| Failure::new(Exit::Usage, error);
        let mut builder = mancom::Manager::builder().own_scout();
        if let Some(file) = &global.config {
            builder = builder.config_file(file);
        }
        let manager = builder.build().await.map_err(|error| usage(error.into()))?;
        manager.reload_on_hangup()?;
        let path = self.path(global).map_err(usage)?;
        make_room();
        let fault = |error| Failure::new(Exit::Failed, mancom::Error::from(error));
        let server = Server::bind(&path).await.map_err(fault)?;
        let mut ended = std::pin::pin!(ended());
        // The handlers are there before anybody hears that it listens.
        let _ = futures_util::poll!(ended.as_mut());
        say(format_args!("scout: listening at {}", path.display()));
        tokio::select! {
            _ = ended => {}
            served = server.serve(manager.scout().clone()) => served.map_err(fault)?,
        }
        Ok(Exit::Fine)
    }

    fn path(&self, global: &Global) -> Result<PathBuf, mancom::Error> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let config = Config::load(global.config.as_deref())?;
        if let Some(path) = &config.scout().socket {
            return Ok(path.clone());
        }
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return Ok(SYSTEM.into());
        }
        let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
        let folder = folder.ok_or_else(|| {
            let error = "XDG_RUNTIME_DIR is not set: say where with --socket PATH";
            std::io::Error::new(std::io::ErrorKind::InvalidInput, error)
        })?;
        Ok(PathBuf::from(folder).join("mancom/scout.sock"))
    }
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
