//! Programs that run beside a test, and the patience to wait for them.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running program whose output is collected as it comes.
pub(crate) struct Program {
    child: Child,
    stdout: Option<Output>,
    stderr: Option<Output>,
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
            stdout: child.stdout.take().map(Output::of),
            stderr: child.stderr.take().map(Output::of),
            child,
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// What it has written to its standard output so far.
    pub(crate) fn said(&self) -> String {
        let said = self.stdout.as_ref().map(Output::so_far).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
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
                    stdout: self.stdout.take().map(Output::all).unwrap_or_default(),
                    stderr: String::from_utf8_lossy(
                        &self.stderr.take().map(Output::all).unwrap_or_default(),
                    )
                    .into_owned(),
                    at,
                };
            }
            if begin.elapsed() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let said = self.stderr.take().map(Output::all).unwrap_or_default();
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

/// As [`until`], in a task.
pub(crate) async fn until_task(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How long a state lasts that the test made, or in which something must not happen; never a wait for
/// something that will.
pub(crate) fn lasting(how_long: Duration) {
    std::thread::sleep(how_long);
}

/// What a program wrote so far, and the thread that reads it.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            loop {
                match from.read(&mut chunk).expect("a pipe") {
                    0 => return,
                    n => to.lock().expect("no panic").extend_from_slice(&chunk[..n]),
                }
            }
        });
        Output { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no panic").clone()
    }

    /// All of it, once its end was read.
    fn all(self) -> Vec<u8> {
        self.reader.join().expect("no panic while reading");
        std::mem::take(&mut *self.bytes.lock().expect("no panic"))
    }
}
