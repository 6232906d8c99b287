//! The command while it runs and while it ends, and what signals to mancom do to it.
//!
//! ```text
//!           start              the match is lost             all of it gone
//!   Idle ───────────▶ Runs ───────────────────────▶ Ends ───────────────────▶ Idle
//!                      │  it ends by itself
//!                      └───────────────────▶ Ended(code)
//! ```

use super::group::{Group, Signal};
use super::{Bad, CANNOT_RUN, NOT_FOUND, code};
use crate::output::say;
use mancom::Error;
use std::io;
use std::sync::Arc;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Where the one command stands.
#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Runs(Group),
    Ends(Group),
    Ended(u8),
}

/// The command's processes: two starts of it never run at once.
#[derive(Debug)]
pub(super) struct Running(watch::Sender<State>);

impl Running {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Running(watch::Sender::new(State::Idle)))
    }

    /// Starts it once nothing of the start before is left; dropped, it stops it.
    pub(super) async fn run(self: &Arc<Self>, command: &mut Command) -> Result<(), Bad> {
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
        self.0.send_replace(State::Runs(group));
        let mut guard = Guard {
            child: Some(child),
            group,
            running: self.clone(),
        };
        let child = guard.child.as_mut().expect("it was just put there");
        let status = child.wait().await;
        guard.child = None;
        let code = code(status.map_err(Error::from)?);
        self.0.send_replace(State::Ended(code));
        match code {
            0 => Ok(()),
            code => Err(Bad::Ended(code)),
        }
    }

    /// Until nothing is left of the command that was stopped last.
    async fn settled(&self) {
        let mut state = self.0.subscribe();
        // We have its sender.
        let _ = state.wait_for(|now| !matches!(now, State::Ends(_))).await;
    }

    /// Until it runs.
    pub(super) async fn started(&self) {
        let mut state = self.0.subscribe();
        let _ = state.wait_for(|now| matches!(now, State::Runs(_))).await;
    }

    /// Until it does not.
    pub(super) async fn stopped(&self) {
        let mut state = self.0.subscribe();
        let _ = state.wait_for(|now| !matches!(now, State::Runs(_))).await;
    }

    /// Passes signals on to the command while it runs, until one of them is to end mancom: any that
    /// comes while none runs, or SIGTERM once its command is over. The code to end with, after
    /// [`finish`](Self::finish).
    pub(super) async fn signalled(&self, signals: &mut Signals) -> Told {
        loop {
            let signal = signals.next().await;
            let State::Runs(group) = *self.0.borrow() else {
                self.pass_on(signal);
                return Told::End(signal);
            };
            group.signal(signal);
            if signal == Signal::Terminate {
                return self.terminated(signals).await;
            }
        }
    }

    /// It was told to end: it is not started again.
    async fn terminated(&self, signals: &mut Signals) -> Told {
        let mut state = self.0.subscribe();
        loop {
            tokio::select! {
                now = state.wait_for(|now| !matches!(now, State::Runs(_))) => {
                    return match now.as_deref() {
                        Ok(State::Ended(code)) => Told::Ended(*code),
                        _ => Told::End(Signal::Terminate),
                    };
                }
                signal = signals.next() => self.pass_on(signal),
            }
        }
    }

    /// Until nothing of the command is left. A first signal meanwhile is passed on and returned; after
    /// one, another is SIGKILL.
    pub(super) async fn finish(
        &self,
        signals: &mut Signals,
        mut told: Option<Signal>,
    ) -> Option<Signal> {
        loop {
            tokio::select! {
                () = self.settled() => return told,
                signal = signals.next() => match told {
                    None => {
                        self.pass_on(signal);
                        told = Some(signal);
                    }
                    Some(_) => self.pass_on(Signal::Kill),
                },
            }
        }
    }

    fn pass_on(&self, signal: Signal) {
        if let State::Runs(group) | State::Ends(group) = *self.0.borrow() {
            group.signal(signal);
        }
    }
}

/// What signals came to.
pub(super) enum Told {
    /// mancom is to end for this one.
    End(Signal),
    /// The command ended for it, with this code.
    Ended(u8),
}

/// Ends the command when its match is lost; does nothing once it has ended.
struct Guard {
    child: Option<Child>,
    group: Group,
    running: Arc<Running>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        say("stopping the command");
        let (group, running) = (self.group, self.running.clone());
        running.0.send_replace(State::Ends(group));
        tokio::spawn(async move {
            if group.end(child).await.is_err() {
                say("not every process of the command ends");
            }
            running.0.send_replace(State::Idle);
        });
    }
}

/// What the terminal or a service manager says.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    streams: [(tokio::signal::unix::Signal, Signal); 3],
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            streams: [
                (signal(SignalKind::interrupt())?, Signal::Interrupt),
                (signal(SignalKind::terminate())?, Signal::Terminate),
                (signal(SignalKind::hangup())?, Signal::HangUp),
            ],
        })
    }

    /// Cancel safe.
    async fn next(&mut self) -> Signal {
        let [int, term, hup] = &mut self.streams;
        tokio::select! {
            _ = int.0.recv() => int.1,
            _ = term.0.recv() => term.1,
            _ = hup.0.recv() => hup.1,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Signals {})
    }

    async fn next(&mut self) -> Signal {
        std::future::pending().await
    }
}
