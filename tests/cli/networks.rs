//! `mancom status` and `mancom wait` on the networks this host happens to have.

use crate::{answer, mancom};
use serde_json::Value;
use std::time::{Duration, Instant};

const KEYS: [&str; 15] = [
    "addresses",
    "binding",
    "constrained",
    "default_route",
    "down_bits",
    "health",
    "id",
    "kinds",
    "losing",
    "metered",
    "mtu",
    "name",
    "roaming",
    "rtt_ms",
    "up_bits",
];

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn network_keys() -> Vec<&'static str> {
    let mut keys = KEYS.to_vec();
    keys.push("state");
    keys.sort_unstable();
    keys
}

// behaviour: T5
#[test]
fn status_is_one_documented_object() {
    let (code, stdout, stderr) = answer(&["status", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(keys(&object), ["complete", "generation", "networks"]);
    for network in object["networks"].as_array().unwrap() {
        assert_eq!(keys(network), network_keys());
    }
}

#[test]
fn status_is_a_table_for_people() {
    let (code, stdout, stderr) = answer(&["status"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("NAME "), "{stdout}");
    assert!(!stdout.contains('\x1b'), "no colours into a pipe");
    assert!(stdout.lines().all(|line| line == line.trim_end()));
}

// behaviour: T3
#[test]
fn wait_prints_the_network_that_matches() {
    let (code, stdout, stderr) = answer(&["wait", "if=lo", "--timeout", "10"]);
    assert_eq!((code, stdout.as_str()), (0, "lo\n"), "{stderr}");
    let (code, stdout, stderr) = answer(&["wait", "if=lo", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(keys(&object), network_keys());
    assert_eq!(object["name"], "lo");
}

// behaviour: T3, X7
#[test]
fn wait_ends_with_4_when_its_time_is_over() {
    let begin = Instant::now();
    let finished = mancom(&["wait", "if=nosuch0", "--timeout", "300ms"]);
    assert_eq!(finished.status.code(), Some(4), "{}", finished.stderr);
    assert!(finished.at - begin >= Duration::from_millis(300));
    assert!(finished.stdout.is_empty());
    assert!(finished.stderr.contains("nosuch0"), "{}", finished.stderr);
}
