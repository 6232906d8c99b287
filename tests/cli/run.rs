//! `mancom run`: the ends of a command that runs while a network matches.
//!
//! That it is stopped and started with its match is in tests/netns.

use crate::{answer, command};
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
    use std::io::{BufRead, BufReader};
    let mut child = command(&["run", "if=lo", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let status = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
    child.wait().expect("its end").code().expect("an exit")
}

#[test]
fn a_signal_is_passed_on_and_the_commands_answer_counts() {
    let trapping = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    assert_eq!(signalled(trapping, "-TERM"), 42);
    assert_eq!(signalled("echo ready; exec sleep 60", "-INT"), 128 + 2);
}
