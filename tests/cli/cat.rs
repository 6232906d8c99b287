//! `mancom cat` between two processes of this host.

use crate::process::{Program, until};
use crate::{LIMIT, answer, command};
use mancom::{Identity, Manager, PublicKey, Scout};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tokio::io::AsyncWriteExt;

/// Starts `cat --listen AT`.
fn listening(at: &str, input: Vec<u8>) -> Program {
    Program::start(&mut command(&["cat", "--listen", at]), input)
}

fn connecting(to: &str, input: Vec<u8>) -> Program {
    Program::start(&mut command(&["cat", to, "--label", "interactive"]), input)
}

/// A loopback address that was free a moment ago.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ seed)
        .collect()
}

/// Both directions at once; each end exits 0 with every byte of the other.
fn exchanges(at: &str, is_listening: impl Fn() -> bool, there: Vec<u8>, back: Vec<u8>) {
    let mut server = listening(at, back.clone());
    until("the listener", LIMIT, || {
        assert!(server.is_running(), "the listener ended");
        is_listening()
    });
    let client = connecting(at, there.clone()).finish(LIMIT);
    let server = server.finish(LIMIT);
    assert_eq!(client.status.code(), Some(0), "{}", client.stderr);
    assert_eq!(server.status.code(), Some(0), "{}", server.stderr);
    assert!(client.stdout == back, "what came back is what was sent");
    assert!(server.stdout == there, "what went there is what arrived");
}

fn exchanges_over_tcp(there: Vec<u8>, back: Vec<u8>) {
    let address = free_address();
    let taken = || TcpListener::bind(&address).is_err();
    exchanges(&format!("mc://{address}"), taken, there, back);
}

// behaviour: T2
#[test]
fn carries_both_ways_over_tcp() {
    exchanges_over_tcp(pattern(3_000_000, 1), pattern(5_000_000, 2));
}

// behaviour: T2
#[test]
fn carries_both_ways_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cat.sock");
    let at = format!("unix:{}", path.display());
    exchanges(
        &at,
        || path.exists(),
        pattern(1_000_000, 3),
        pattern(70_000, 4),
    );
}

// behaviour: T2
#[test]
fn the_end_of_one_way_leaves_the_other_open() {
    exchanges_over_tcp(Vec::new(), pattern(2_000_000, 5));
    exchanges_over_tcp(pattern(2_000_000, 6), Vec::new());
    exchanges_over_tcp(Vec::new(), Vec::new());
}

/// A library's listener that was told nothing but where, and the command, which is told nothing but its
/// contact.
// behaviour: EV-13
#[test]
fn dials_the_contact_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("contact.sock").display());
    let places = [
        "mc://127.0.0.1:0",
        "mc://0.0.0.0:0",
        "mc+airhook://127.0.0.1:0",
        &unix,
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for at in places {
        let listener = runtime.block_on(async {
            let manager = mancom::Manager::builder().scout(mancom::Scout::fixed([]));
            let manager = manager.build().await.unwrap();
            manager.listen(at).plaintext().await.unwrap()
        });
        let contact = listener.contact().to_string();
        assert!(!contact.contains('?'), "{contact}");
        let served = runtime.spawn(async move {
            let (mut reads, mut writes) = tokio::io::split(listener.accept().await.unwrap());
            tokio::io::copy(&mut reads, &mut writes).await.unwrap();
            writes.shutdown().await.unwrap();
        });
        let sent = pattern(100_000, 6);
        let client = command(&["cat", &contact, "--plaintext"]);
        let client = Program::start(&mut { client }, sent.clone()).finish(LIMIT);
        assert_eq!(client.status.code(), Some(0), "{}", client.stderr);
        assert!(client.stdout == sent, "{contact}: what came back");
        runtime.block_on(served).unwrap();
    }
}

// behaviour: K6, X7
#[test]
fn refuses_clear_text_beyond_this_host() {
    let (code, _, stderr) = answer(&["cat", "--listen", "mc://0.0.0.0:0"]);
    assert_ne!(code, 0);
    assert!(stderr.contains("--plaintext"), "{stderr}");
}

// behaviour: X7
#[test]
fn an_address_in_use_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("mc://{}", listener.local_addr().unwrap());
    let (code, stdout, stderr) = answer(&["cat", "--listen", &at]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("in use"), "{stderr}");
}

// behaviour: X7, D4
#[test]
fn nobody_listening_is_an_error_in_the_end() {
    let (code, stdout, stderr) = answer(&["cat", &format!("mc://{}", free_address())]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("refused"), "{stderr}");
}

/// Somebody whom the dialler believes joins its channel to one of his own with the listener, and passes
/// on what is said in them.
fn spliced(to: &str, key: PublicKey, own: Identity) -> String {
    let to = format!("tls://{to}?bare&alpn=mancom/1");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let manager = Manager::builder().scout(Scout::fixed([]));
            let manager = manager.build().await.unwrap();
            let listen = manager.listen("tls://127.0.0.1:0?alpn=mancom/1");
            let listener = listen.identity(&own).await.unwrap();
            tell.send(listener.contact().port().unwrap()).unwrap();
            while let Ok(mut near) = listener.accept().await {
                let mut far = manager.connect(&to).pin(key).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    });
    format!("mcs://127.0.0.1:{}", told.recv().unwrap())
}

// behaviour: K8
#[test]
fn a_spliced_channel_and_a_wrong_pin_are_told_each_in_its_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alice");
    let (code, key, _) = answer(&["key", "new", file.to_str().unwrap()]);
    assert_eq!(code, 0);
    let alice: PublicKey = key.trim_end().parse().unwrap();
    let address = free_address();
    let at = format!("mcs://{address}");
    let listen = ["cat", "--listen", &at, "--identity", file.to_str().unwrap()];
    let mut command = command(&listen);
    command.env("RUST_LOG", "mancom::session=debug");
    let mut server = Program::start(&mut command, Vec::new());
    until("the listener", LIMIT, || {
        assert!(server.is_running(), "the listener ended");
        TcpListener::bind(&address).is_err()
    });
    let mallory = Identity::generate().unwrap();
    let pin = mallory.public_key().to_string();
    let (code, _, said) = answer(&["cat", &at, "--pin", &pin]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("none of those pinned"), "{said}");
    let between = spliced(&address, alice, mallory);
    let (code, _, said) = answer(&["cat", &between, "--pin", &pin]);
    assert_eq!(code, 1, "{said}");
    let splice = "the two ends do not see the same connection";
    assert!(said.contains(splice), "{said}");
    let (code, _, said) = answer(&["cat", &at, "--pin", key.trim_end()]);
    assert_eq!(code, 0, "{said}");
    let server = server.finish(LIMIT);
    assert_eq!(server.status.code(), Some(0), "{}", server.stderr);
    assert!(server.stderr.contains(splice), "{}", server.stderr);
}

/// Both ends when the one that speaks is told to end in the midst of it, once the other has some.
fn cut_short(listen: &[&str], connect: &[&str]) -> [Child; 2] {
    let start = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut server = start(&[&["cat", "--listen"], listen].concat());
    let mut server = server.stdin(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(server.stderr.as_mut().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let (_, contact) = line.trim_end().split_once("listening at ").unwrap();
    let mut client = start(&[&["cat", contact], connect].concat());
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    // Held open: the file is not at its end.
    let part = pattern(100_000, 7);
    client.stdin.as_mut().unwrap().write_all(&part).unwrap();
    let mut came = vec![0; part.len()];
    let stdout = server.stdout.as_mut().unwrap();
    stdout.read_exact(&mut came).unwrap();
    assert!(came == part, "what came is what was sent");
    let id = client.id().to_string();
    let sent = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(sent.unwrap().success());
    [client, server]
}

/// Neither takes it for the whole.
fn knows_it_was_cut_short(listen: &[&str], connect: &[&str]) {
    for mut child in cut_short(listen, connect) {
        until("its end", LIMIT, || child.try_wait().unwrap().is_some());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{listen:?}: {said}");
    }
}

// behaviour: X7
#[test]
fn part_of_a_file_is_not_taken_for_the_whole_over_plain_streams() {
    knows_it_was_cut_short(&["tcp://127.0.0.1:0"], &[]);
    #[cfg(feature = "airhook")]
    knows_it_was_cut_short(&["airhook://127.0.0.1:0"], &[]);
    knows_it_was_cut_short(&["mc://127.0.0.1:0"], &[]);
}

// behaviour: X7
#[cfg(feature = "quic")]
#[test]
fn part_of_a_file_is_not_taken_for_the_whole_over_quic() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alice");
    let (code, key, _) = answer(&["key", "new", file.to_str().unwrap()]);
    assert_eq!(code, 0);
    let listen = ["quic://127.0.0.1:0", "--identity", file.to_str().unwrap()];
    knows_it_was_cut_short(&listen, &["--pin", key.trim_end()]);
}
