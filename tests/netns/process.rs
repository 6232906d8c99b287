//! Programs that run beside a test, and the patience to wait for them.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running program whose output is collected as it comes.
pub(crate) struct Program {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// What a program left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// When its end was seen.
    pub(crate) at: Instant,
}

impl Program {
    /// Starts it. `stdin` is fed from a thread and then closed.
    pub(crate) fn start(command: &mut Command, stdin: Vec<u8>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program that exists");
        let mut to = child.stdin.take().expect("piped");
        // A program that ends early breaks the pipe; its exit code tells of that.
        std::thread::spawn(move || {
            let _ = std::io::Write::write_all(&mut to, &stdin);
        });
        Program {
            stdout: child.stdout.take().map(collect),
            stderr: child.stderr.take().map(collect),
            child,
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill").success());
    }

    /// Its end, which must come within `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                let at = Instant::now();
                return Finished {
                    status,
                    stdout: self.stdout.take().map(read).unwrap_or_default(),
                    stderr: String::from_utf8_lossy(
                        &self.stderr.take().map(read).unwrap_or_default(),
                    )
                    .into_owned(),
                    at,
                };
            }
            if begin.elapsed() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let said = self.stderr.take().map(read).unwrap_or_default();
                panic!(
                    "still running after {limit:?}: {}",
                    String::from_utf8_lossy(&said)
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Waits until something holds, which must be within `limit`.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe");
        bytes
    })
}

fn read(thread: JoinHandle<Vec<u8>>) -> Vec<u8> {
    thread.join().expect("no panic while reading")
}
