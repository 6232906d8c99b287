//! `mancom airhook`: lines over datagrams.

use crate::process::{Finished, Program};
use crate::relay::{Badness, relay};
use crate::{LIMIT, command};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

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

/// Whether these bytes are these messages, each once. What is sent before the relay knows the other side is
/// lost, and what was behind it may then come before it.
fn are_all_of(came: &[u8], messages: &[&[u8]]) -> bool {
    let Some((last, others)) = messages.split_last() else {
        return came.is_empty();
    };
    // Each in turn as the first that came, the others after it.
    let first = |at: usize| {
        let mut rest = others.to_vec();
        let message = rest
            .get_mut(at)
            .map_or(*last, |one| std::mem::replace(one, last));
        let after = came.strip_prefix(message);
        after.is_some_and(|after| are_all_of(after, &rest))
    };
    (0..messages.len()).any(first)
}

#[test]
fn a_lost_a_doubled_and_a_broken_message_are_not_all_of_them() {
    let messages: [&[u8]; 4] = [b"aa", b"aa", b"ab", b"b"];
    assert!(are_all_of(b"aaaaabb", &messages) && are_all_of(b"babaaaa", &messages));
    for other in [&b"aaabb"[..], b"aaaaabbb", b"aaaabba", b"abbaaa"] {
        assert!(!are_all_of(other, &messages), "{other:?}");
    }
}

/// One end that is told line by line; dropping it ends it.
struct Talker {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Vec<u8>>,
}

impl Talker {
    fn start(port: u16) -> Self {
        let port = port.to_string();
        let arguments = ["airhook", "0", "127.0.0.1", &port];
        let mut command = command(&arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("the command");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = stdout.split(b'\n').map_while(Result::ok);
            while lines.next().is_some_and(|line| to.send(line).is_ok()) {}
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn say(&mut self, lines: &[u8]) {
        self.stdin.write_all(lines).expect("it reads");
    }

    fn heard(&self) -> Vec<u8> {
        let line = self.lines.recv_timeout(LIMIT);
        line.expect("the next line")
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A packet is taken at once and its messages in their order: only a loss brings what came later first.
// behaviour: AH-03
#[test]
fn lines_keep_their_order_while_no_packet_is_lost() {
    let ports = relay([Ipv4Addr::LOCALHOST.into(); 2], GOOD);
    let [mut near, mut far] = ports.map(|at| Talker::start(at.port()));
    // From here on both sides are known to the relay and to each other.
    near.say(b"near\n");
    far.say(b"far\n");
    assert_eq!(
        (near.heard(), far.heard()),
        (b"far".to_vec(), b"near".to_vec())
    );
    let lines =
        (0..30_usize).map(|nth| [vec![b'x'; 37 * nth], format!(" {nth}").into_bytes()].concat());
    let lines: Vec<_> = lines.collect();
    near.say(&[lines.join(&b'\n'), b"\n".to_vec()].concat());
    for line in lines {
        let heard = far.heard();
        // In words, for bytes are thousands.
        let [heard, line] = [&heard, &line].map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(heard, line);
    }
}

// behaviour: AH-02, X7
#[test]
fn lines_arrive_and_both_ends_end_well() {
    let both = both([b"hello\nworld\nwithout an end", b""]);
    let lines: [&[u8]; 3] = [b"hello\n", b"world\n", b"without an end"];
    assert!(are_all_of(&both[1].stdout, &lines), "{}", both[1].stderr);
    assert!(both[0].stdout.is_empty());
    for finished in both {
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains("new remote session"));
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
    let [line, short] = [&long[..1_001], &long[1_001..]];
    let messages: Vec<&[u8]> = line.chunks(255).chain([short]).collect();
    assert!(are_all_of(&second.stdout, &messages), "{}", second.stderr);
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
