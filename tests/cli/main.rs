//! The command as a script meets it: what it prints where, and how it ends.

mod airhook;
mod cat;
mod config;
mod key;
mod label;
#[cfg(unix)]
mod limits;
mod networks;
#[cfg(unix)]
mod ops;
#[allow(
    dead_code,
    reason = "shared with the tests in namespaces, which use the rest"
)]
#[path = "../netns/process.rs"]
mod process;
#[path = "../netns/relay.rs"]
mod relay;
mod run;
#[cfg(unix)]
mod scout;
mod usage;
mod watch;
mod why;

use process::{Finished, Program};
use std::process::Command;
use std::time::Duration;

/// Longer than any answer takes, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The command, with nothing of this host's configuration.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mancom"));
    command
        .args(arguments)
        .env_remove("MANCOM_CONFIG")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("RUST_LOG");
    command
}

/// Runs it without input until its end.
fn mancom(arguments: &[&str]) -> Finished {
    Program::start(&mut command(arguments), Vec::new()).finish(LIMIT)
}

/// Its exit code, and what it said on stdout and stderr.
fn answer(arguments: &[&str]) -> (i32, String, String) {
    let finished = mancom(arguments);
    let stdout = String::from_utf8(finished.stdout).expect("text");
    let code = finished.status.code().expect("an exit, no signal");
    (code, stdout, finished.stderr)
}
