//! `mc+quic://` and `quic://` on real interfaces: pinned keys, networks that go, and a session that moves.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, mancom};
use crate::process::{Program, until};
use crate::secure::{keys, pattern};
use std::time::Duration;

pub(crate) const CASES: &[Case] = cases![quic:
    a_pinned_session_moves_and_outlives_its_networks,
    a_plain_stream_goes_both_ways,
    a_listener_that_was_killed_is_noticed_by_who_writes,
    a_wrong_pin_is_told_between_hosts,
];

const LIMIT: Duration = Duration::from_secs(90);
const AT: &str = "10.9.0.1:7000";
/// The same as the kernel lists it: address and port, in hexadecimal.
const LISTED: &str = "0100090A:1B58";

/// Asked this way, for a socket of ours would be in the way of the listener's.
fn until_taken(server: &Host, program: &mut Program) {
    until("the listener", LIMIT, || {
        assert!(program.is_running(), "the listener runs");
        let sockets = server.run(|| std::fs::read_to_string("/proc/thread-self/net/udp"));
        sockets.unwrap().contains(LISTED)
    });
}

// behaviour: S1, S3, T2
fn a_pinned_session_moves_and_outlives_its_networks() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let one = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    let two = lab.link(&client, "eth1", "10.2.0.2/24", &server, "s1", "10.2.0.1/24");
    one.default_route(100);
    two.default_route(200);
    server.reachable_at("10.9.0.1/32");
    one.limit("100mbit");
    two.limit("100mbit");
    let folder = tempfile::tempdir().unwrap();
    let [alice, bob] = keys(&client, &folder);
    let at = format!("mc+quic://{AT}");
    let (there, back) = (pattern(30_000_000, 1), pattern(30_000_000, 2));
    let listen = [
        "cat",
        "--listen",
        &at,
        "--identity",
        &alice.0,
        "--pin",
        &bob.1,
    ];
    let mut listening = Program::start(&mut mancom(&server, &listen), back.clone());
    until_taken(&server, &mut listening);
    let connect = ["cat", &at, "--identity", &bob.0, "--pin", &alice.1];
    let mut connected = Program::start(&mut mancom(&client, &connect), there.clone());
    let mut goes_on = |interface: &str| {
        let before = client.bytes_sent(interface);
        until("more of the bytes", LIMIT, || {
            assert!(connected.is_running() && listening.is_running());
            client.bytes_sent(interface) > before + 2_000_000
        });
    };
    goes_on("eth0");
    one.down();
    goes_on("eth1");
    one.up();
    two.remove_address();
    goes_on("eth0");
    one.down();
    two.restore_address();
    goes_on("eth1");
    two.down();
    one.up();
    goes_on("eth0");
    let (connected, listening) = (connected.finish(LIMIT), listening.finish(LIMIT));
    println!("{}\n{}", connected.stderr, listening.stderr);
    assert_eq!(connected.status.code(), Some(0));
    assert_eq!(listening.status.code(), Some(0));
    assert!(connected.stdout == back, "what came back is what was sent");
    assert!(listening.stdout == there, "what went there is what arrived");
    for (program, other) in [(&connected, &alice), (&listening, &bob)] {
        let known = format!("the other side is {}", other.1);
        assert!(program.stderr.contains(&known), "{}", program.stderr);
    }
}

/// A client and a server, and the link between.
fn pair(lab: &Lab) -> (Host, Host) {
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    server.reachable_at("10.9.0.1/32");
    (client, server)
}

// behaviour: T2
fn a_plain_stream_goes_both_ways() {
    let lab = Lab::new();
    let (client, server) = pair(&lab);
    let folder = tempfile::tempdir().unwrap();
    let [alice, _] = keys(&client, &folder);
    let at = format!("quic://{AT}");
    let (there, back) = (pattern(3_000_000, 1), pattern(2_000_000, 2));
    let listen = ["cat", "--listen", &at, "--identity", &alice.0];
    let mut listening = Program::start(&mut mancom(&server, &listen), back.clone());
    until_taken(&server, &mut listening);
    let connect = ["cat", &at, "--pin", &alice.1];
    let connected = Program::start(&mut mancom(&client, &connect), there.clone()).finish(LIMIT);
    let listening = listening.finish(LIMIT);
    println!("{}\n{}", connected.stderr, listening.stderr);
    assert_eq!(connected.status.code(), Some(0));
    assert_eq!(listening.status.code(), Some(0));
    assert!(connected.stdout == back, "what came back is what was sent");
    assert!(listening.stdout == there, "what went there is what arrived");
}

fn a_listener_that_was_killed_is_noticed_by_who_writes() {
    let lab = Lab::new();
    let (client, server) = pair(&lab);
    let folder = tempfile::tempdir().unwrap();
    let [alice, _] = keys(&client, &folder);
    let at = format!("quic://{AT}");
    let listen = ["cat", "--listen", &at, "--identity", &alice.0];
    let mut listening = Program::start(&mut mancom(&server, &listen), Vec::new());
    until_taken(&server, &mut listening);
    let connect = ["cat", &at, "--pin", &alice.1];
    let all = pattern(200_000_000, 1);
    let mut connected = Program::start(&mut mancom(&client, &connect), all);
    until("some of the bytes", LIMIT, || {
        assert!(connected.is_running() && listening.is_running());
        client.bytes_sent("eth0") > 2_000_000
    });
    listening.signal("KILL");
    // Less than the minute after which silence is believed.
    let connected = connected.finish(Duration::from_secs(30));
    println!("{}", connected.stderr);
    assert_eq!(connected.status.code(), Some(1));
    let text = "nobody listens there any more";
    assert!(connected.stderr.contains(text), "{}", connected.stderr);
    listening.finish(LIMIT);
}

// behaviour: K7
fn a_wrong_pin_is_told_between_hosts() {
    let lab = Lab::new();
    let (client, server) = pair(&lab);
    let folder = tempfile::tempdir().unwrap();
    let [alice, bob] = keys(&client, &folder);
    let at = format!("mc+quic://{AT}");
    let listen = ["cat", "--listen", &at, "--identity", &alice.0];
    let mut listening = Program::start(&mut mancom(&server, &listen), Vec::new());
    until_taken(&server, &mut listening);
    let connect = ["cat", &at, "--pin", &bob.1];
    let refused = Program::start(&mut mancom(&client, &connect), Vec::new()).finish(LIMIT);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    let shown = format!(
        "the far end shows the key {}, which is none of those",
        alice.1
    );
    assert!(refused.stderr.contains(&shown), "{}", refused.stderr);
    assert!(listening.is_running(), "the listener goes on");
    let connect = ["cat", &at, "--pin", &alice.1];
    let fine = Program::start(&mut mancom(&client, &connect), Vec::new()).finish(LIMIT);
    assert_eq!(fine.status.code(), Some(0), "{}", fine.stderr);
    assert_eq!(listening.finish(LIMIT).status.code(), Some(0));
}
