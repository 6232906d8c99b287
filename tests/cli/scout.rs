//! `mancom scout`: where it listens, how it ends.

use crate::process::{Program, until};
use crate::{LIMIT, answer, command};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Runs until it is told to end.
struct Daemon {
    program: Program,
}

impl Daemon {
    fn start(arguments: &[&str], socket: &Path) -> Self {
        let mut program = Program::start(&mut command(arguments), Vec::new());
        until("the daemon listens", LIMIT, || {
            assert!(program.is_running());
            UnixStream::connect(socket).is_ok()
        });
        Daemon { program }
    }

    /// Sends a signal and returns the exit code and stderr.
    fn end(self, name: &str) -> (Option<i32>, String) {
        self.program.signal(name);
        let finished = self.program.finish(LIMIT);
        assert!(finished.stdout.is_empty());
        (finished.status.code(), finished.stderr)
    }
}

// behaviour: K10, X7
#[test]
fn a_scout_says_where_it_listens_is_not_pushed_aside_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scout.sock");
    let text = socket.to_str().unwrap();
    for signal in ["TERM", "INT"] {
        let daemon = Daemon::start(&["scout", "--socket", text], &socket);
        let (code, stdout, stderr) = answer(&["scout", "--socket", text]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains("is in use"), "{stderr}");
        UnixStream::connect(&socket).expect("the first one is still there");
        let (code, stderr) = daemon.end(signal);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(stderr, format!("mancom: scout: listening at {text}\n"));
        assert!(!socket.exists(), "the socket goes with it");
    }
}

// behaviour: K10
#[test]
fn a_killed_scouts_socket_is_replaced_and_another_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scout.sock");
    let text = socket.to_str().unwrap();
    let arguments = ["scout", "--socket", text];
    let (code, _) = Daemon::start(&arguments, &socket).end("KILL");
    assert_eq!(code, None, "killed");
    assert!(socket.exists(), "it could not tidy up");
    let (code, stderr) = Daemon::start(&arguments, &socket).end("TERM");
    assert_eq!(code, Some(0), "{stderr}");

    std::fs::write(&socket, "a letter").unwrap();
    let (code, _, stderr) = answer(&arguments);
    assert_eq!(code, 1);
    assert!(stderr.contains("is no socket"), "{stderr}");
    let nowhere = folder.path().join("no/scout.sock");
    let (code, _, stderr) = answer(&["scout", "--socket", nowhere.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("does not exist"), "{stderr}");
}

// behaviour: C9
#[test]
fn who_watches_is_told_that_the_daemon_is_lost_and_that_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (
        folder.path().join("scout.sock"),
        folder.path().join("mancom.toml"),
    );
    let text = format!("[scout]\nsocket = {socket:?}\nfallback = false\n");
    std::fs::write(&file, text).unwrap();
    let serving = ["scout", "--socket", socket.to_str().unwrap()];
    let daemon = Daemon::start(&serving, &socket);
    let arguments = ["--config", file.to_str().unwrap(), "watch", "--json"];
    let mut watching = command(&arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (tell, told) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        for line in lines {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let _ = tell.send(line);
        }
    });
    let next = |holds: &dyn Fn(&Value) -> bool| loop {
        let line = told.recv_timeout(LIMIT).expect("a line in time");
        if holds(&line) {
            return line;
        }
    };
    let source = |line: &Value| line["source"].as_str().unwrap_or_default().to_owned();
    next(&|line| line["event"] == "there");
    daemon.end("KILL");
    let lost = next(&|line| line["event"] == "source");
    assert!(source(&lost).contains("(reconnecting: "), "{lost}");
    assert!(lost["time_ms"].is_u64(), "{lost}");
    let daemon = Daemon::start(&serving, &socket);
    let name = format!("daemon {}", socket.display());
    next(&|line| source(line) == name);
    signal("TERM", watching.id());
    let finished = watching.wait_with_output().unwrap();
    reading.join().unwrap();
    let stderr = String::from_utf8(finished.stderr).unwrap();
    let first = format!("mancom: scout: {name} (reconnecting: ");
    assert!(stderr.starts_with(&first), "{stderr}");
    let last = format!("mancom: scout: {name}\n");
    assert!(stderr.ends_with(&last), "{stderr}");
    assert_eq!(daemon.end("TERM").0, Some(0));
}

#[test]
fn a_wrong_configuration_ends_it_at_the_start_and_changes_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (
        folder.path().join("scout.sock"),
        folder.path().join("mancom.toml"),
    );
    let arguments = [
        "--config",
        file.to_str().unwrap(),
        "scout",
        "--socket",
        socket.to_str().unwrap(),
    ];
    std::fs::write(&file, "[networks.lo]\nmetred = true\n").unwrap();
    let (code, _, stderr) = answer(&arguments);
    assert_eq!(code, 2, "{stderr}");
    std::fs::write(&file, "[networks.lo]\nmetered = true\n").unwrap();
    let mut daemon = command(&arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let mut next = || lines.next().expect("more to say").unwrap();
    assert!(next().contains("listening at"));
    std::fs::write(&file, "[networks.lo]\nmetred = true\n").unwrap();
    signal("HUP", daemon.id());
    while !next().contains("the old configuration stays") {}
    let metered = |word: &str| {
        let lines = BufReader::new(UnixStream::connect(&socket).unwrap()).lines();
        for line in lines {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap_or_default();
            let networks = line["snapshot"]["networks"].as_array();
            let mut networks = networks.into_iter().flatten();
            if networks.any(|network| network["name"] == "lo" && network["metered"] == word) {
                return;
            }
        }
        panic!("it closed the connection");
    };
    metered("yes");
    std::fs::write(&file, "[networks.lo]\nmetered = false\n").unwrap();
    signal("HUP", daemon.id());
    metered("no");
    signal("TERM", daemon.id());
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

fn signal(name: &str, id: u32) {
    let id = id.to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &id])
        .status();
    assert!(sent.unwrap().success());
}
