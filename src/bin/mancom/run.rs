//! `mancom run LABEL -- COMMAND`: a command that runs while a network matches.
//!
//! ```text
//! wait for a match ──▶ start COMMAND in a process group of its own ──▶ it ends: its code is ours
//!        ▲                        │ the match is lost
//!        └── group gone ◀── SIGTERM, after 5 s SIGKILL; its code does not count
//! ```
//!
//! A command that fails is believed half a second later: if its network is gone by then, it counts as
//! stopped. It is started ten times in ten seconds at most. `MANCOM_NETWORK` and `MANCOM_ADDRESS` tell it
//! which network it was started for, and an address of this host there. SIGINT, SIGTERM and SIGHUP are
//! passed on to it.
//!
//! Exit codes are those of `env(1)` and `timeout(1)`: the command's own (128 and the signal's number if a
//! signal ended it), 124 if `--timeout` was over, 125 if mancom itself failed, 126 if the command cannot
//! be run, 127 if there is none of that name; 2 for a bad label, argument or configuration, before
//! anything was started.

use crate::exit::Failure;
use crate::output::say;
use crate::patience::word;
use crate::{Global, duration, label};
use mancom::{Error, Network};
use std::ffi::OsString;
use std::future::IntoFuture;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Run a command while a network matches a label; stop it when none does, and start it again.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Run {
    /// What the network must be: `require=wifi prohibit=metered`, or a configured name.
    label: String,
    /// The longest time for all of it, waiting included, in seconds or as 250ms, 10m, 12h.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// The command and its arguments, behind `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const HELP: &str = "\
Exit codes:
  the command's own, once it ended by itself
  2    wrong usage: an argument, a label or a configuration file
  124  the time of --timeout was over
  125  mancom itself failed
  126  the command cannot be run
  127  there is no such command";

const TIMED_OUT: u8 = 124;
const FAILED: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Between SIGTERM and SIGKILL.
const MERCY: Duration = Duration::from_secs(5);

/// How a command ended that did not end well.
enum Bad {
    /// With this code.
    Ended(u8),
    /// It was never run.
    Unstarted(u8, String),
    /// There was no network for it, or no time left.
    Failed(Error),
}

impl From<Error> for Bad {
    fn from(error: Error) -> Self {
        Bad::Failed(error)
    }
}

impl Run {
    pub(crate) async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let manager = global.lasting_manager().await?;
        let label = label::parse(&self.label, |name| manager.label(name))?;
        let running = Arc::new(Running::default());
        let run = manager.run(label, |network| {
            let running = running.clone();
            let mut command = self.prepared(&network);
            async move {
                say(format_args!("{network} matches: starting"));
                running.run(&mut command).await
            }
        });
        let run = match self.timeout {
            Some(timeout) => run.within(timeout),
            None => run,
        };
        let operation = run.operation();
        let mut ended = Box::pin(run.into_future());
        let result = tokio::select! {
            result = &mut ended => result,
            never = word(operation) => match never {},
            never = running.pass_signals_on() => match never {},
        };
        drop(ended);
        running.settled().await;
        Ok(ExitCode::from(match result {
            Ok(()) => 0,
            Err(Bad::Ended(code)) => code,
            Err(Bad::Unstarted(code, why)) => {
                say(why);
                code
            }
            Err(Bad::Failed(error)) => {
                let timed_out = error.is_timed_out();
                say(Failure::from(error).message);
                if timed_out { TIMED_OUT } else { FAILED }
            }
        }))
    }

    fn prepared(&self, network: &Network) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().expect("clap asks for one at least"));
        command.args(words).env("MANCOM_NETWORK", network.name());
        let known = network.addresses().iter().find(|a| !a.ip.is_unspecified());
        match known {
            Some(address) => command.env("MANCOM_ADDRESS", address.ip.to_string()),
            None => command.env_remove("MANCOM_ADDRESS"),
        };
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// The command's process, if it runs, and the end of the one before.
#[derive(Debug, Default)]
struct Running(Mutex<Processes>);

#[derive(Debug, Default)]
struct Processes {
    group: Option<Group>,
    ending: Option<JoinHandle<()>>,
}

impl Running {
    async fn run(self: &Arc<Self>, command: &mut Command) -> Result<(), Bad> {
        // Two of them never run at once.
        self.settled().await;
        let child = command.spawn().map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy();
            let code = match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => CANNOT_RUN,
            };
            Bad::Unstarted(code, format!("{program}: {error}"))
        })?;
        let group = Group::of(&child);
        self.lock().group = Some(group);
        let mut guard = Guard {
            child: Some(child),
            group,
            running: self.clone(),
        };
        let child = guard.child.as_mut().expect("it was just put there");
        let status = child.wait().await;
        guard.child = None;
        match status.map_err(Error::from)? {
            status if status.success() => Ok(()),
            status => Err(Bad::Ended(code(status))),
        }
    }

    /// Until the command that was stopped last is gone.
    async fn settled(&self) {
        let ending = self.lock().ending.take();
        if let Some(ending) = ending {
            let _ = ending.await;
        }
    }

    /// For ever: what the terminal or a service manager says is meant for the command.
    async fn pass_signals_on(&self) -> std::convert::Infallible {
        #[cfg(unix)]
        {
            use rustix::process::Signal;
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [
                (SignalKind::interrupt(), Signal::INT),
                (SignalKind::terminate(), Signal::TERM),
                (SignalKind::hangup(), Signal::HUP),
            ];
            let streams = kinds.map(|(kind, passed)| signal(kind).map(|stream| (stream, passed)));
            if let [Ok(mut int), Ok(mut term), Ok(mut hup)] = streams {
                loop {
                    let passed = tokio::select! {
                        _ = int.0.recv() => int.1,
                        _ = term.0.recv() => term.1,
                        _ = hup.0.recv() => hup.1,
                    };
                    let group = self.lock().group;
                    match group {
                        Some(group) => group.signal(passed),
                        // Nothing runs: it is meant for us.
                        None => std::process::exit(128 + passed.as_raw()),
                    }
                }
            }
        }
        std::future::pending().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Processes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the command when its match is lost; does nothing once it has ended.
struct Guard {
    child: Option<Child>,
    group: Group,
    running: Arc<Running>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut processes = self.running.lock();
        processes.group = None;
        if let Some(child) = self.child.take() {
            say("stopping the command");
            processes.ending = Some(tokio::spawn(end(child, self.group)));
        }
    }
}

async fn end(mut child: Child, group: Group) {
    group.terminate();
    if tokio::time::timeout(MERCY, child.wait()).await.is_err() {
        group.kill();
        let _ = child.wait().await;
    }
}

/// The process group that a command leads.
#[derive(Debug, Clone, Copy)]
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group {
            leader: id.and_then(rustix::process::Pid::from_raw),
        }
    }

    fn signal(self, signal: rustix::process::Signal) {
        if let Some(leader) = self.leader {
            // A group that is gone needs no signal.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }

    fn terminate(self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn kill(self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Group {}
    }

    fn terminate(self) {}

    fn kill(self) {}
}

/// As a shell tells it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return u8::try_from(128 + signal).unwrap_or(FAILED);
        }
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(FAILED)
}
