//! `mancom airhook`: lines over datagrams.

use crate::process::{Finished, Program};
use crate::relay::{Badness, relay};
use crate::{LIMIT, command};
use std::net::{Ipv4Addr, UdpSocket};

const GOOD: Badness = Badness {
    lost: 0,
    twice: 0,
    late: 0,
};

/// Two of them, with what each is told on stdin.
fn both(input: [&[u8]; 2]) -> [Finished; 2] {
    both_with(&[], input)
}

fn both_with(options: &[&str], input: [&[u8]; 2]) -> [Finished; 2] {
    let ports = relay([Ipv4Addr::LOCALHOST.into(); 2], GOOD);
    let ports = ports.map(|at| at.port().to_string());
    let started = [0, 1].map(|end| {
        let arguments = ["airhook", "0", "127.0.0.1", &ports[end], "--linger", "2"];
        let arguments = [&arguments, options].concat();
        Program::start(&mut command(&arguments), input[end].to_vec())
    });
    started.map(|program| program.finish(LIMIT))
}

// behaviour: AH-02, X7
#[test]
fn lines_arrive_and_both_ends_end_well() {
    for finished in both([b"hello\nworld\nwithout an end", b""]) {
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains("new remote session"));
        let expected: &[u8] = match finished.stdout.len() {
            0 => b"",
            _ => b"hello\nworld\nwithout an end",
        };
        assert_eq!(finished.stdout, expected);
    }
}

// behaviour: AH-28
#[test]
fn guarded_ends_carry_lines_too() {
    let [first, second] = both_with(&["--guarded"], [b"there\n", b"back\n"]);
    assert_eq!(second.stdout, b"there\n", "{}", second.stderr);
    assert_eq!(first.stdout, b"back\n", "{}", first.stderr);
    assert_eq!(first.status.code(), Some(0), "{}", first.stderr);
}

// behaviour: AH-03
#[test]
fn a_long_line_is_several_messages_and_loses_nothing() {
    let long = [vec![b'x'; 1_000], b"\nshort\n".to_vec()].concat();
    let [first, second] = both([&long, b"back\n"]);
    // What is sent before the relay knows the other side is lost, and after a loss later messages may come
    // first.
    let sorted = |mut bytes: Vec<u8>| {
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(sorted(second.stdout), sorted(long), "{}", second.stderr);
    assert_eq!(first.stdout, b"back\n", "{}", first.stderr);
}

// behaviour: X7
#[test]
fn it_says_what_is_not_known_to_have_arrived() {
    // A port that nobody reads.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let arguments = ["airhook", "0", "127.0.0.1", &port, "--give-up", "300ms"];
    let program = Program::start(&mut command(&arguments), b"one\ntwo\n".to_vec());
    let finished = program.finish(LIMIT);
    assert_eq!(finished.status.code(), Some(4), "{}", finished.stderr);
    assert!(finished.stdout.is_empty());
    assert!(finished.stderr.contains("nobody answered"));
    assert!(
        finished.stderr.contains("arrived: 2 messages"),
        "{}",
        finished.stderr
    );
    // What it said is Airhook's first packet.
    let mut packet = [0; 100];
    let length = silent.recv(&mut packet).unwrap();
    assert_eq!(packet[0], 8);
    assert!(length >= 8);
}
