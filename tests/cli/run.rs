//! `mancom run`: the ends of a command that runs while a network matches.
//!
//! That it is stopped and started with its match is in tests/netns.

#[cfg(target_os = "linux")]
use crate::{LIMIT, process::Program};
use crate::{answer, command};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn run(arguments: &[&str]) -> (i32, String, String) {
    answer(&[&["run"], arguments].concat())
}

// behaviour: T3, X7
#[test]
fn passes_the_commands_exit_code_on() {
    let script = "echo $MANCOM_NETWORK $MANCOM_ADDRESS; exit 7";
    let (code, stdout, stderr) = run(&["if=lo", "--", "sh", "-c", script]);
    assert_eq!((code, stdout.as_str()), (7, "lo 127.0.0.1\n"), "{stderr}");
    let (code, _, stderr) = run(&["if=lo", "--", "true"]);
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(&["if=lo", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(code, 128 + 9, "{stderr}");
}

// behaviour: X7
#[test]
fn its_own_failures_are_those_of_env_and_timeout() {
    let (code, _, stderr) = run(&["if=lo", "--", "/nonexistent/command"]);
    assert_eq!(code, 127, "{stderr}");
    assert!(stderr.contains("/nonexistent/command"), "{stderr}");
    let (code, _, stderr) = run(&["if=lo", "--", "/"]);
    assert_eq!(code, 126, "{stderr}");
    let (code, _, stderr) = run(&["if=nosuch0", "--timeout", "200ms", "--", "true"]);
    assert_eq!(code, 124, "{stderr}");
    assert!(stderr.contains("needs nosuch0"), "{stderr}");
    let begin = Instant::now();
    let (code, _, stderr) = run(&["if=lo", "--timeout", "300ms", "--", "sleep", "60"]);
    assert_eq!(code, 124, "{stderr}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

// behaviour: T4
#[test]
fn wrong_usage_ends_with_2_before_anything_starts() {
    for arguments in [
        &["wifii", "--", "echo", "started"][..],
        &["any"],
        &["any", "--timeout", "soon", "--", "echo", "started"],
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    }
}

/// Runs until its command has said `ready`, then gets the signal; its exit code.
fn signalled(script: &str, signal: &str) -> i32 {
    let mut child = command(&["run", "if=lo", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    assert!(kill(signal, child.id()));
    child.wait().expect("its end").code().expect("an exit")
}

#[test]
fn a_signal_is_passed_on_and_the_commands_answer_counts() {
    let trapping = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    assert_eq!(signalled(trapping, "-TERM"), 42);
    assert_eq!(signalled("echo ready; exec sleep 60", "-INT"), 128 + 2);
}

/// Whether there was a process to send it to.
fn kill(signal: &str, process: u32) -> bool {
    let status = std::process::Command::new("kill")
        .args([signal, &process.to_string()])
        .stderr(Stdio::null())
        .status();
    status.expect("kill").success()
}

/// A command that ends at SIGTERM, and the deaf one that it started: its id is on stdout.
const DEAF: &str = "trap 'exit 0' TERM; \
    sh -c 'trap \"\" TERM INT HUP; echo $$; while :; do sleep 0.05; done' & wait";

#[test]
fn what_the_command_started_is_stopped_with_it() {
    let (code, stdout, stderr) = run(&["if=lo", "--timeout", "1s", "--", "sh", "-c", DEAF]);
    assert_eq!(code, 124, "{stderr}");
    let deaf = stdout.trim().parse().expect("its id");
    assert!(!kill("-0", deaf), "{deaf} outlives mancom");
}

#[test]
fn what_a_command_leaves_running_at_its_own_end_is_left_alone() {
    let script = "sleep 60 > /dev/null 2>&1 & echo $!; exit 3";
    let (code, stdout, stderr) = run(&["if=lo", "--", "sh", "-c", script]);
    assert_eq!(code, 3, "{stderr}");
    assert!(kill("-KILL", stdout.trim().parse().expect("its id")));
}

/// Stops what is deaf to it, and gets these signals meanwhile.
fn signalled_while_it_stops(signals: &[&str]) -> i32 {
    let mut child = command(&["run", "if=lo", "--timeout", "1s", "--", "sh", "-c", DEAF])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
    let deaf = stdout.next().expect("a line").expect("text");
    let deaf = deaf.parse().expect("its id");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(stderr.any(|line| line.expect("text").contains("stopping")));
    for signal in signals {
        assert!(kill(signal, child.id()));
    }
    let code = child.wait().expect("its end").code().expect("an exit");
    assert!(!kill("-0", deaf), "{deaf} outlives mancom");
    code
}

#[test]
fn a_signal_while_the_command_is_stopped_waits_for_its_end() {
    assert_eq!(signalled_while_it_stops(&["-TERM"]), 128 + 15);
    assert_eq!(signalled_while_it_stops(&["-HUP", "-HUP"]), 128 + 1);
}

/// `script` of util-linux is the terminal: what is typed there, and what appears.
#[cfg(target_os = "linux")]
fn on_a_terminal(line: &str, typed: &str) -> (i32, String) {
    let mut script = std::process::Command::new("script");
    script.args(["-qec", line, "/dev/null"]);
    let mancom = env!("CARGO_BIN_EXE_mancom");
    script.env("MANCOM", mancom).env_remove("MANCOM_CONFIG");
    let finished = Program::start(&mut script, typed.into()).finish(LIMIT);
    let shown = String::from_utf8_lossy(&finished.stdout).into_owned();
    (finished.status.code().expect("an exit"), shown)
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_reads_the_terminal() {
    let line = "$MANCOM run if=lo -- sh -c 'read line; echo got $line; exit 3'";
    let (code, shown) = on_a_terminal(line, "typed\n");
    assert!(shown.contains("got typed"), "{shown}");
    assert_eq!(code, 3, "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_on_a_terminal_is_stopped() {
    let line = "$MANCOM run if=lo --timeout 1s -- sleep 3600";
    let (code, shown) = on_a_terminal(line, "");
    assert_eq!(code, 124, "{shown}");
}
