//! The processes of a command, and the signals they get.

use std::time::Duration;
use tokio::process::{Child, Command};

/// Between SIGTERM and SIGKILL, and the longest wait after that.
const MERCY: Duration = Duration::from_secs(5);
/// Nothing wakes who waits for the end of a group.
const POLL: Duration = Duration::from_millis(10);

/// Those that mancom gets and gives, by the numbers that POSIX fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    HangUp = 1,
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
}

impl Signal {
    /// The exit code of who ended for it.
    pub(super) fn code(self) -> u8 {
        128 + self as u8
    }
}

/// The process group that a command leads, or the command alone if it shares that of mancom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
    #[cfg(unix)]
    shared: bool,
}

/// Whoever reads a terminal must be in the group that has it; it is the shell's to give, and mancom has it
/// as any job of the shell does.
#[cfg(unix)]
fn is_shared() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal()
}

impl Group {
    /// Has the command lead a group of its own once it starts, unless it is to read a terminal.
    pub(super) fn prepare(command: &mut Command) {
        #[cfg(unix)]
        if !is_shared() {
            command.process_group(0);
        }
        #[cfg(not(unix))]
        let _ = command;
    }

    /// Asks it to end, then makes it, until every process of it is gone.
    pub(super) async fn end(self, child: Child) -> Result<(), Undying> {
        adopt(true);
        let ended = self.end_adopted(child).await;
        adopt(false);
        ended
    }

    async fn end_adopted(self, mut child: Child) -> Result<(), Undying> {
        self.signal(Signal::Terminate);
        if tokio::time::timeout(MERCY, self.gone(&mut child))
            .await
            .is_ok()
        {
            return Ok(());
        }
        self.signal(Signal::Kill);
        // Where there are no signals.
        let _ = child.start_kill();
        let killed = tokio::time::timeout(MERCY, self.gone(&mut child)).await;
        killed.map_err(|_| Undying)
    }

    async fn gone(self, child: &mut Child) {
        let _ = child.wait().await;
        while self.is_there() {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Whether those whose parent ends become our children: the first process of a container may never take
/// note of the death of its own.
fn adopt(orphans: bool) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpid, set_child_subreaper};
        let _ = set_child_subreaper(orphans.then(getpid));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = orphans;
}

/// What not even SIGKILL ends, as a process that hangs in the kernel.
#[derive(Debug)]
pub(super) struct Undying;

#[cfg(unix)]
impl Group {
    pub(super) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group {
            leader: id.and_then(rustix::process::Pid::from_raw),
            shared: is_shared(),
        }
    }

    /// One that is gone needs no signal.
    pub(super) fn signal(self, signal: Signal) {
        use rustix::process::{Signal as Sent, kill_process, kill_process_group};
        let Some(leader) = self.leader else { return };
        let sent = match signal {
            Signal::HangUp => Sent::HUP,
            Signal::Interrupt => Sent::INT,
            Signal::Kill => Sent::KILL,
            Signal::Terminate => Sent::TERM,
        };
        let send = match self.shared {
            true => kill_process,
            false => kill_process_group,
        };
        // The terminal has said it to all of its group.
        if !(self.shared && signal == Signal::Interrupt) {
            let _ = send(leader, sent);
        }
        // What is stopped hears of nothing but SIGKILL.
        let _ = send(leader, Sent::CONT);
    }

    /// Once its leader was waited for: whether others of it are left.
    fn is_there(self) -> bool {
        use rustix::process::{WaitOptions, test_kill_process_group, waitpgid};
        !self.shared
            && self.leader.is_some_and(|leader| {
                // The dead are there until their parent, by now that is us, takes note.
                while let Ok(Some(_)) = waitpgid(leader, WaitOptions::NOHANG) {}
                test_kill_process_group(leader).is_ok()
            })
    }
}

#[cfg(not(unix))]
impl Group {
    pub(super) fn of(_: &Child) -> Self {
        Group {}
    }

    pub(super) fn signal(self, _: Signal) {}

    fn is_there(self) -> bool {
        false
    }
}
