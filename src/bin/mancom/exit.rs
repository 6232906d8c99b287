//! How the command ends: its exit codes and the failures behind them.

use std::io;
use std::process::ExitCode;

/// Shown below every `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  fine, or a match
  1  an error
  2  wrong usage: an argument, a label, an endpoint or a configuration file
  3  no network matches, and waiting was not wanted
  4  a time ran out: of --timeout, or of a session's grace";

/// Shown below a `--help` in full: what `--json` prints before the exit codes.
pub(crate) fn help_with(json: &[&str]) -> String {
    format!("With --json:\n{}\n\n{HELP}", json.join("\n\n"))
}

/// The exit codes, stable across versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Fine, or a match.
    Fine = 0,
    /// An error.
    Failed = 1,
    /// Wrong usage or configuration; clap ends with the same code.
    Usage = 2,
    /// No network matches.
    NoMatch = 3,
    /// A time ran out.
    TimedOut = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An end that has to be explained on stderr.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    /// `Debug` is what is shown: a mancom error prints its sources there.
    pub(crate) fn new(exit: Exit, error: impl Explained) -> Self {
        Failure {
            exit,
            message: error.explained(),
        }
    }
}

/// Errors with all they know, over as many lines as that takes.
pub(crate) trait Explained {
    fn explained(&self) -> String;
}

impl Explained for mancom::Error {
    /// What happened, why, and what every network lacks if that is the reason.
    fn explained(&self) -> String {
        match self.blocked() {
            Some(blocked) if !self.to_string().contains(&blocked.to_string()) => {
                format!("{self:?}\n{blocked}")
            }
            _ => format!("{self:?}"),
        }
    }
}

impl Explained for String {
    fn explained(&self) -> String {
        self.clone()
    }
}

impl From<mancom::Error> for Failure {
    fn from(error: mancom::Error) -> Self {
        let message = error.explained();
        let exit = if error.is_timed_out() {
            Exit::TimedOut
        } else if error.blocked().is_some() {
            Exit::NoMatch
        } else if io::Error::from(error).kind() == io::ErrorKind::InvalidInput {
            // An endpoint or a label that the library refuses.
            Exit::Usage
        } else {
            Exit::Failed
        };
        Failure { exit, message }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        mancom::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour: X7
    #[test]
    fn the_codes_are_those_of_the_help() {
        let listed: Vec<&str> = HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.get(..1))
            .collect();
        let codes = [
            Exit::Fine,
            Exit::Failed,
            Exit::Usage,
            Exit::NoMatch,
            Exit::TimedOut,
        ];
        assert_eq!(listed, codes.map(|exit| (exit as u8).to_string()));
    }

    #[test]
    fn a_time_that_ran_out_is_told_from_other_errors() {
        let late = Failure::from(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(late.exit, Exit::TimedOut);
        let other = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(other.exit, Exit::Failed);
    }
}
