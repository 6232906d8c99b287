//! The command on real interfaces.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link, join, mancom};
use crate::netlink;
use crate::process::{Program, until};
use crate::waiting::lasting;
use crate::world::{SERVER, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = cases![command:
    cat_carries_both_ways_through_five_seconds_without_a_network,
    wait_gives_up_when_its_time_is_over,
    status_names_every_interface,
    wait_sees_a_network_with_netlink_refused;
    measure: wait_returns_within_100_ms_of_the_address,
];

const LIMIT: Duration = Duration::from_secs(90);

/// Bytes without a pattern.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    std::io::Read::read_exact(
        &mut std::fs::File::open("/dev/urandom").unwrap(),
        &mut bytes,
    )
    .unwrap();
    bytes
}

// behaviour: T2
fn cat_carries_both_ways_through_five_seconds_without_a_network() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    link.limit("200mbit");
    server.reachable_at("10.9.0.1/32");
    let (there, back) = (random(50_000_000), random(50_000_000));
    let listen = ["cat", "--listen", SERVER, "--plaintext"];
    let mut listening = Program::start(&mut mancom(&server, &listen), back.clone());
    until("the listener", LIMIT, || {
        assert!(listening.is_running());
        server.run(|| std::net::TcpListener::bind("10.9.0.1:7000").is_err())
    });
    let connect = ["cat", SERVER, "--plaintext", "--label", "interactive"];
    let mut connected = Program::start(&mut mancom(&client, &connect), there.clone());
    until("a part of the bytes", LIMIT, || {
        assert!(connected.is_running() && listening.is_running());
        client.bytes_sent("eth0") > 15_000_000
    });
    link.down();
    lasting(Duration::from_secs(5));
    assert!(
        connected.is_running() && listening.is_running(),
        "the middle"
    );
    link.up();
    let (connected, listening) = (connected.finish(LIMIT), listening.finish(LIMIT));
    println!("{}\n{}", connected.stderr, listening.stderr);
    assert_eq!(connected.status.code(), Some(0));
    assert_eq!(listening.status.code(), Some(0));
    assert!(connected.stdout == back, "what came back is what was sent");
    assert!(listening.stdout == there, "what went there is what arrived");
    assert!(
        connected.stderr.contains("eth0"),
        "paths are told by network"
    );
}

/// A host whose `eth0` is up but has no address yet.
fn without_address(lab: &Lab) -> (Host, Link) {
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.remove_address();
    (client, link)
}

// behaviour: T3, W2
fn wait_returns_within_100_ms_of_the_address() {
    let lab = Lab::new();
    let (client, link) = without_address(&lab);
    let runtime = tempfile::tempdir().unwrap();
    let mut delays: Vec<Duration> = (0..5)
        .map(|_| {
            let wait = ["wait", "if=eth0", "--timeout", "5"];
            let seen = |arguments: &[&str]| {
                let mut command = mancom(&client, arguments);
                command.env("XDG_RUNTIME_DIR", runtime.path());
                command
            };
            let mut waiting = Program::start(&mut seen(&wait), Vec::new());
            until("an operation that waits", LIMIT, || {
                assert!(waiting.is_running(), "it waits");
                let ops = seen(&["ops", "--json"]).output().unwrap();
                String::from_utf8_lossy(&ops.stdout).contains("if=eth0")
            });
            let begin = Instant::now();
            link.restore_address();
            let finished = waiting.finish(LIMIT);
            assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
            assert_eq!(finished.stdout, b"eth0\n");
            link.remove_address();
            finished.at - begin
        })
        .collect();
    delays.sort();
    println!("{delays:?}");
    // The median: other tests run beside this one.
    assert!(delays[2] <= Duration::from_millis(100), "{delays:?}");
}

// behaviour: T3
fn wait_gives_up_when_its_time_is_over() {
    let lab = Lab::new();
    let (client, _link) = without_address(&lab);
    let begin = Instant::now();
    let wait = ["wait", "if=eth0", "--timeout", "5"];
    let finished = Program::start(&mut mancom(&client, &wait), Vec::new()).finish(LIMIT);
    let took = finished.at - begin;
    assert_eq!(finished.status.code(), Some(4), "{}", finished.stderr);
    assert!(took >= Duration::from_secs(5), "{took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(finished.stderr.contains("eth0"), "{}", finished.stderr);
    assert!(finished.stdout.is_empty());
}

// behaviour: T5
fn status_names_every_interface() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    world.client.ip("link add br0 type bridge");
    world.client.ip("link set wwan0 down");
    let facts = world.facts.path();
    let facts = facts.to_str().unwrap();
    let status = ["--config", facts, "status", "--json"];
    let finished = Program::start(&mut mancom(&world.client, &status), Vec::new()).finish(LIMIT);
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let object: Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(object["complete"], true);
    let networks: BTreeMap<&str, &Value> = object["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| (network["name"].as_str().unwrap(), network))
        .collect();
    let names: Vec<&str> = networks.keys().copied().collect();
    assert_eq!(names, ["br0", "lo", "wlan0", "wwan0"]);
    let wifi = networks["wlan0"];
    assert_eq!(wifi["kinds"], serde_json::json!(["wifi"]));
    assert_eq!(wifi["state"], "up");
    assert_eq!(wifi["default_route"], true);
    let addresses: Vec<&str> = wifi["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(addresses.contains(&"10.1.0.2/24"), "{addresses:?}");
    assert_eq!(networks["lo"]["kinds"], serde_json::json!(["loopback"]));
    assert_eq!(networks["wwan0"]["kinds"], serde_json::json!(["cellular"]));
    assert_eq!(networks["wwan0"]["metered"], "yes");
    assert_eq!(networks["wwan0"]["state"], "down");
    assert_eq!(networks["br0"]["default_route"], false);
}

// behaviour: C9
fn wait_sees_a_network_with_netlink_refused() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    let waiting = client.spawn(|| {
        netlink::refuse(libc::EPERM);
        // Not by way of `ip`, which needs netlink itself; this thread is on the host already.
        let mut wait = Command::new(env!("CARGO_BIN_EXE_mancom"));
        Program::start(wait.args(["wait", "any", "--timeout", "10"]), Vec::new()).finish(LIMIT)
    });
    let finished = join(waiting);
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}
