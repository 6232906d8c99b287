//! `mancom run LABEL -- COMMAND`: a command that runs while a network matches.
//!
//! ```text
//! wait for a match ──▶ start COMMAND in a process group of its own ──▶ it ends: its code is ours
//!        ▲                        │ the match is lost
//!        └── group gone ◀── SIGTERM, after 5 s SIGKILL; its code does not count
//! ```
//!
//! It is stopped with all of its process group: the next start, and the end of mancom, wait until none of
//! them is left. What a command that ended by itself leaves running, as a daemon it started, is left alone.
//!
//! With a terminal on stdin it stays in the process group of mancom, so that it can read it and the shell
//! can stop and continue both: then the command alone is stopped, as by `timeout --foreground`, and SIGINT
//! is left to the terminal, which sends it to both.
//!
//! A command that fails is believed half a second later: if its network is gone by then, it counts as
//! stopped. It is started ten times in ten seconds at most; stderr tells when that holds it back. `MANCOM_NETWORK` and `MANCOM_ADDRESS` tell it
//! which network it was started for, and an address of this host there.
//!
//! SIGINT, SIGTERM and SIGHUP are passed on to it. One that comes while it does not run, or is being
//! stopped, ends mancom as soon as nothing is left of it; so does SIGTERM in any case. Another signal
//! during that wait is SIGKILL for what is left.
//!
//! Exit codes are those of `env(1)` and `timeout(1)`: the command's own (128 and the signal's number if a
//! signal ended it), 124 if `--timeout` was over, 125 if mancom itself failed, 126 if the command cannot
//! be run, 127 if there is none of that name; 2 for a bad label, argument or configuration, before
//! anything was started.

mod group;
mod running;
mod starts;

use crate::exit::Failure;
use crate::output::say;
use crate::patience::word;
use crate::{Global, duration, label};
use group::{Group, Signal};
use mancom::{Error, Network};
use running::{Running, Signals, Told};
use std::ffi::OsString;
use std::future::IntoFuture;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::process::Command;

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
When its match is lost the command gets SIGTERM, and with it all of its process group; what is left of
them after 5 s gets SIGKILL. Once all are gone it waits for the next match. SIGINT, SIGTERM and SIGHUP
are passed on to it; what a command that ended by itself leaves running is left alone.
With a terminal on stdin the command shares the process group of mancom: it can read the terminal, which
sends SIGINT to both, and it alone is stopped.

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
        let running = Running::new();
        let mut signals = Signals::new()?;
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
        let (code, told) = tokio::select! {
            result = &mut ended => (explained(result), None),
            never = word(operation) => match never {},
            never = starts::tell_if_held(&running) => match never {},
            told = running.signalled(&mut signals) => match told {
                Told::End(signal) => (signal.code(), Some(signal)),
                Told::Ended(code) => (code, None),
            },
        };
        drop(ended);
        let told = running.finish(&mut signals, told).await;
        Ok(ExitCode::from(told.map_or(code, Signal::code)))
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
        Group::prepare(&mut command);
        command
    }
}

/// The code of an end, with a word about mancom's own failures.
fn explained(result: Result<(), Bad>) -> u8 {
    match result {
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
    }
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
