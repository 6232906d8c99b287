//! `mancom status` and `mancom wait` on the networks this host happens to have.

use crate::{answer, mancom};
use serde_json::Value;
use std::time::{Duration, Instant};

/// In order.
const KEYS: [&str; 26] = [
    "addresses",
    "binding",
    "bypass_vpn",
    "carrier",
    "constrained",
    "default_route",
    "dns",
    "down_bits",
    "facts",
    "health",
    "id",
    "kinds",
    "losing",
    "loss_permille",
    "metered",
    "mtu",
    "name",
    "operstate",
    "roaming",
    "routes",
    "rtt_ms",
    "signal_percent",
    "state",
    "up_bits",
    "why_down",
    "why_unbound",
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

// behaviour: T5
#[test]
fn status_is_one_documented_object() {
    let (code, stdout, stderr) = answer(&["status", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        keys(&object),
        ["complete", "generation", "networks", "source"]
    );
    for network in object["networks"].as_array().unwrap() {
        assert_eq!(keys(network), KEYS);
    }
}

#[test]
fn status_tells_every_fact_of_one_network() {
    let (code, stdout, stderr) = answer(&["status", "--facts", "lo"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("lo "), "{stdout}");
    let facts: Vec<&str> = stdout
        .lines()
        .skip(1)
        .filter_map(|l| l.split(' ').next())
        .collect();
    for fact in ["kind", "state", "metered", "addresses", "dns", "binding"] {
        assert!(facts.contains(&fact), "{fact} in {stdout}");
    }
    assert!(!stdout.contains("eth0"), "{stdout}");
    let (code, _, stderr) = answer(&["status", "nosuch0"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("nosuch0"), "{stderr}");
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
    assert_eq!(keys(&object), KEYS);
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

// behaviour: T3
#[test]
fn wait_without_any_time_looks_once() {
    let (code, stdout, stderr) = answer(&["wait", "if=lo", "--timeout", "0"]);
    assert_eq!((code, stdout.as_str()), (0, "lo\n"), "{stderr}");
    let (code, stdout, stderr) = answer(&["wait", "if=nosuch0", "--timeout", "0"]);
    assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
    assert!(stderr.contains("nosuch0"), "{stderr}");
}
