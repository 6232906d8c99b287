//! Waiting of tests, and what they print that they wait for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// As [`until`](crate::process::until), in a task.
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

/// A program that prints lines, with a thread that reads them.
pub(crate) struct Lines {
    child: Child,
    pub(crate) lines: mpsc::Receiver<String>,
}

impl Lines {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Lines { child, lines }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
