//! `mancom watch`: the networks as they are; changes are in tests/netns.

use crate::command;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

// behaviour: G5, T5
#[test]
fn begins_with_what_is_there_and_the_match_of_a_label() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mancom.toml");
    std::fs::write(&file, "[labels.home]\nlabel = \"if=lo\"\n").expect("written");
    let file = file.to_str().expect("text");
    let mut child = command(&["--config", file, "watch", "home", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut names = Vec::new();
    let matched = loop {
        let line = lines.next().expect("a line").expect("text");
        let event: Value = serde_json::from_str(&line).expect("an object");
        match event["event"].as_str() {
            Some("there") => names.push(event["name"].clone()),
            Some("match") => break event,
            // This host's networks may change while it is watched.
            _ => assert!(event["changes"].is_array(), "{event}"),
        }
    };
    assert!(names.contains(&Value::from("lo")), "{names:?}");
    assert_eq!(matched["networks"], Value::from(vec!["lo"]));
    assert_eq!(matched["label"], "if=lo");
    assert_eq!(matched["label_name"], "home");
    let stopped = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(stopped.expect("kill").success());
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn ends_quietly_when_nobody_reads() {
    let mut child = command(&["watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}
