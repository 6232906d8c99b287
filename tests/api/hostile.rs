//! What an attacker can send to a listener, over real sockets: raw bytes written by the test.

use crate::raw::{
    Noise, Raw, Tap, ack, ask, attach, attach_to, claiming, data, echo, entropy, frame, listen,
    manager, message, numbers, offer, opening, resume, session, soon,
};
use mancom::SessionError;
use mancom::proto::session::handshake::{DialAttach, DialHello, HandshakeError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const REFUSED: &[u8] = b"\x00\x09mcom\x00\x01\x09\x00\x01";
const CHALLENGE: u8 = 7;

fn kind(body: &[u8]) -> u8 {
    body[6]
}

/// The session error inside a stream's.
fn session_error(error: &std::io::Error) -> &SessionError {
    let inner = error.get_ref().expect("a stream's error has a cause");
    inner
        .downcast_ref()
        .or_else(|| inner.source()?.downcast_ref())
        .expect("it is the session's")
}

// behaviour: K1
#[tokio::test]
async fn a_session_id_without_its_secret_opens_nothing() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    let mut served = soon(listener.accept()).await.unwrap();
    let before = served.session().paths();
    let id = tap.session_id();
    for proof in [
        vec![0; 32],
        vec![0xff; 32],
        tap.record(0).dialler[2 + 7..][..32].to_vec(),
    ] {
        let mut thief = Raw::dial(at).await;
        thief.send(&attach_to(id)).await;
        assert_eq!(kind(&thief.message().await.unwrap()), CHALLENGE);
        thief.send(&message(8, &proof)).await;
        assert_eq!(thief.ended().await, REFUSED);
    }
    let after = served.session().paths();
    assert_eq!((before.len(), before[0].path), (after.len(), after[0].path));
    assert_eq!(tap.connections(), 1, "the dialler saw nothing of it either");
    stream.write_all(b"still here").await.unwrap();
    let mut text = [0; 10];
    soon(served.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"still here");
}

// behaviour: K2
#[tokio::test]
async fn a_recorded_attach_replayed_byte_for_byte_is_refused() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    ask(&mut stream, b"first").await;
    tap.cut();
    ask(&mut stream, b"second").await;
    assert_eq!(tap.connections(), 2);
    let recorded = tap.record(1).dialler;
    assert_eq!(recorded[8], 6, "the second connection began with an attach");
    for whole in [true, false] {
        let mut thief = Raw::dial(at).await;
        let said = if whole {
            thief.throw(&recorded).await;
            thief.ended().await
        } else {
            let (attach, rest) = recorded.split_at(2 + usize::from(recorded[1]));
            thief.send(attach).await;
            assert_eq!(kind(&thief.message().await.unwrap()), CHALLENGE);
            thief.throw(rest).await;
            thief.ended().await
        };
        // What follows the proof unread may turn the refusal into a reset.
        assert!(
            !said.windows(7).any(|w| w == b"mcom\0\x01\x05"),
            "accepted: {said:?}"
        );
    }
    ask(&mut stream, b"third").await;
    assert_eq!(tap.connections(), 2, "the session noticed nothing");
}

// behaviour: K2
#[tokio::test]
async fn a_recorded_first_handshake_makes_no_session() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let tap = Tap::before(at).await;
    let stream = manager.connect(tap.endpoint()).await.unwrap();
    let _served = soon(listener.accept()).await.unwrap();
    let mut thief = Raw::dial(at).await;
    thief.throw(&tap.record(0).dialler).await;
    let said = thief.ended().await;
    assert!(
        !said.windows(7).any(|w| w == b"mcom\0\x01\x05"),
        "accepted: {said:?}"
    );
    let next = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(next.is_err(), "nobody is shown");
    drop(stream);
}

// behaviour: K13
#[tokio::test]
async fn known_and_unknown_ids_are_answered_alike_in_form_and_time() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    ask(&mut stream, b"hello").await;
    let known = tap.session_id();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..200 {
        for (which, id) in [known, [round as u8; 16]].into_iter().enumerate() {
            let mut raw = Raw::dial(at).await;
            let began = Instant::now();
            raw.send(&attach_to(id)).await;
            let challenge = raw.message().await.unwrap();
            raw.send(&message(8, &[9; 32])).await;
            let refusal = raw.ended().await;
            times[which].push(began.elapsed());
            assert_eq!((kind(&challenge), challenge.len()), (CHALLENGE, 7 + 32 + 4));
            assert_eq!(refusal, REFUSED);
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    let (less, more) = (known.min(unknown), known.max(unknown));
    assert!(
        more < less * 2 + Duration::from_millis(1),
        "{known:?} for known, {unknown:?} for unknown"
    );
    ask(&mut stream, b"again").await;
}

// behaviour: K13
#[tokio::test]
async fn a_hello_cannot_name_a_session() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    ask(&mut stream, b"hello").await;
    // The id where a later revision might have it: behind the cookie.
    let (_, mut hello) = DialHello::new(entropy(), offer());
    hello.extend(tap.session_id());
    let length = u16::try_from(hello.len() - 2).unwrap();
    hello[..2].copy_from_slice(&length.to_be_bytes());
    let mut raw = Raw::dial(at).await;
    raw.send(&hello).await;
    let reply = raw.message().await.unwrap();
    assert_eq!(kind(&reply), 3);
    assert_ne!(reply[reply.len() - 16..], tap.session_id());
    ask(&mut stream, b"again").await;
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn ten_thousand_half_open_handshakes_stop_nobody() {
    use crate::raw::{descriptors, in_a_process_of_its_own};
    use rustix::process::{Resource, getrlimit, setrlimit};
    const NAME: &str = "hostile::ten_thousand_half_open_handshakes_stop_nobody";
    const FLOOD: usize = 10_000;
    const BOUND: usize = 1024;
    if !in_a_process_of_its_own(NAME) {
        return;
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // As many at once as the host allows, the listener's and our own; those dropped make room.
    let most = limit
        .current
        .map_or(FLOOD, |limit| (limit as usize).saturating_sub(2 * BOUND));
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    ask(&mut stream, b"before").await;
    let (fds, memory) = (descriptors(), resident());
    let mut flood = std::collections::VecDeque::new();
    let (_, hello) = DialHello::new(entropy(), offer());
    let mut peak = 0;
    let began = Instant::now();
    for n in 0..FLOOD {
        let mut raw = Raw::dial(at).await;
        match n % 4 {
            0 => {}
            1 => raw.throw(&hello[..hello.len() / 2]).await,
            2 => raw.throw(&hello).await,
            _ => raw.throw(&attach_to([n as u8; 16])).await,
        }
        flood.push_back(raw);
        if flood.len() > most {
            flood.pop_front();
        }
        if n % 500 == 0 {
            peak = peak.max(descriptors().saturating_sub(fds + flood.len()));
        }
        if n % 2_500 == 2_499 {
            ask(&mut stream, b"during").await;
            let mut fresh = soon(manager.connect(format!("mc://{at}")).into_future())
                .await
                .unwrap();
            ask(&mut fresh, b"a proper client").await;
        }
    }
    let last = Instant::now();
    assert!(peak <= BOUND + 8, "{peak} open at the listener");
    let grown = resident().saturating_sub(memory);
    // 512 bytes a handshake, their tasks and sockets, and the test's own 10,000 sockets.
    assert!(grown < 48 << 20, "{} KiB more", grown >> 10);
    for mut raw in flood {
        raw.ended().await;
    }
    let took = last.elapsed();
    assert!(
        took < Duration::from_secs(5 + 5),
        "the last ended after {took:?} (flood: {:?})",
        last - began
    );
    soon(async {
        while descriptors() > fds {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    ask(&mut stream, b"after").await;
}

/// Bytes of memory in use.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_crowds_out_its_own_prefix_only() {
    let manager = manager(|settings| settings.half_open = 8).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let slow = Raw::dial_from("127.0.9.1", at).await.unwrap();
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(Raw::dial_from("127.0.0.2", at).await.unwrap());
    }
    for raw in &mut flood[..150] {
        raw.ended().await;
    }
    let (mut raw, _) = session(slow)
        .await
        .expect("it was there first, from elsewhere");
    raw.send(&opening(0)).await;
    raw.send(&data(0, 0, b"slow")).await;
    let body = raw.frame_of(&[1, 2]).await;
    assert_eq!(&body[12..], b"slow");
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn handshakes_take_no_more_than_a_quarter_of_the_descriptors() {
    use crate::raw::in_a_process_of_its_own;
    use rustix::process::{Resource, getrlimit, setrlimit};
    const NAME: &str = "hostile::handshakes_take_no_more_than_a_quarter_of_the_descriptors";
    if !in_a_process_of_its_own(NAME) {
        return;
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(200);
    setrlimit(Resource::Nofile, limit).unwrap();
    let manager = manager(|_| ()).await;
    let (_listener, at) = listen(&manager).await;
    let mut flood = Vec::new();
    for _ in 0..80 {
        flood.push(Raw::dial(at).await);
    }
    for raw in &mut flood[..30] {
        raw.ended().await;
    }
    assert!(flood[30].is_open().await, "fifty are kept");
}

// behaviour: K3
#[tokio::test]
async fn under_load_a_hello_must_bring_a_cookie() {
    let manager = manager(|settings| settings.cookies_after = 2).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let calm = Raw::dial(at).await;
    assert!(session(calm).await.is_ok());
    let crowd = [
        Raw::dial(at).await,
        Raw::dial(at).await,
        Raw::dial(at).await,
    ];
    let hello = || DialHello::new(entropy(), offer()).1;
    // Until all of the crowd were accepted a hello may pass without.
    let mut raw = soon(async {
        loop {
            let mut raw = Raw::dial(at).await;
            raw.send(&hello()).await;
            if kind(&raw.message().await.unwrap()) == 2 {
                return raw;
            }
        }
    })
    .await;
    raw.send(&hello()).await;
    assert_eq!(
        raw.ended().await,
        b"",
        "another hello without the cookie is not answered"
    );
    let mut stream = soon(manager.connect(format!("mc://{at}")).into_future())
        .await
        .unwrap();
    ask(&mut stream, b"who has the cookie gets in").await;
    drop(crowd);
}

/// Bytes that no state takes; with what they are.
fn unwelcome() -> Vec<(&'static str, Vec<u8>)> {
    let (_, hello) = DialHello::new(entropy(), offer());
    vec![
        ("nothing", vec![]),
        ("a length alone", vec![0]),
        ("an empty message", vec![0, 0]),
        ("the longest claim", vec![0xff; 600]),
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        ("half a hello", hello[..40].to_vec()),
        ("another version", {
            let mut other = hello.clone();
            other[7] = 9;
            other
        }),
        ("an unknown kind", message(99, &[0; 40])),
        ("an answer instead of a question", message(5, &[0; 32])),
        ("a hello with facts that are none", {
            let mut other = hello.clone();
            let end = other.len();
            other[end - 3] = 200;
            other
        }),
        ("a cookie longer than there is", {
            let mut other = hello;
            *other.last_mut().unwrap() = 255;
            other
        }),
        ("an attach of a path that cannot be", {
            let mut attach = attach_to([0; 16]);
            attach[2 + 7 + 16] = 8;
            attach
        }),
    ]
}

// behaviour: K4, K5
#[tokio::test]
async fn garbage_ends_a_handshake_at_every_state_and_nothing_else() {
    let manager = manager(|settings| settings.handshake = Duration::from_millis(500)).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    ask(&mut stream, b"before").await;
    for (what, bytes) in unwelcome() {
        // As the first message.
        let mut raw = Raw::dial(at).await;
        raw.throw(&bytes).await;
        assert_eq!(raw.ended().await, b"", "{what}");
        // Instead of the confirmation.
        let mut raw = Raw::dial(at).await;
        raw.send(&DialHello::new(entropy(), offer()).1).await;
        assert_eq!(kind(&raw.message().await.unwrap()), 3);
        raw.throw(&bytes).await;
        assert_eq!(raw.ended().await, b"", "{what}");
        // Instead of a proof.
        let mut raw = Raw::dial(at).await;
        raw.send(&attach_to([1; 16])).await;
        assert_eq!(kind(&raw.message().await.unwrap()), CHALLENGE);
        raw.throw(&bytes).await;
        let said = raw.ended().await;
        assert!(said.is_empty() || said == REFUSED, "{what}: {said:?}");
        ask(&mut stream, what.as_bytes()).await;
    }
}

/// What ends a path of a session that has stream 0 open with nothing acknowledged on it.
fn broken_frames() -> Vec<(&'static str, Vec<u8>)> {
    let bare = |kind, length| claiming(kind, length, &[]);
    vec![
        ("an unknown kind", frame(0x7f, b"what")),
        ("a data frame longer than allowed", bare(0x01, 0xff_ffff)),
        ("a data frame that cannot hold its header", bare(0x01, 3)),
        ("a control frame longer than allowed", bare(0x09, 1025)),
        ("a frame to skip longer than allowed", bare(0xff, 0xff_ffff)),
        ("an open cut short", frame(0x03, &[0])),
        ("a stream nobody opened", data(6, 0, b"lost")),
        (
            "a label nobody defined",
            frame(0x01, &[[9, 0, 0, 0].as_slice(), &[0; 9]].concat()),
        ),
        (
            "a label number over the limit",
            frame(0x10, &[64, b'a', b'n', b'y']),
        ),
        ("a label that is none", frame(0x10, b"\x01require=nonsense")),
        ("data beyond the credit", data(0, 1 << 40, b"far")),
        ("an offset at the end of all", data(0, u64::MAX, b"over")),
        (
            "an end beyond the credit",
            frame(0x04, &[[0, 0, 0].as_slice(), &[0xff; 8]].concat()),
        ),
        ("an acknowledgement of what was never sent", ack(0, 1 << 20)),
        (
            "more ranges than allowed",
            frame(0x09, &[[0; 11].as_slice(), &[255]].concat()),
        ),
        (
            "ranges that are not there",
            frame(0x09, &[[0; 11].as_slice(), &[8]].concat()),
        ),
        ("facts that are none", frame(0x11, &[0, 9, 9, 9])),
        ("more streams than agreed", frame(0x03, &[0, 0xff, 0xfe, 0])),
        ("a stream of the listener's", frame(0x03, &[0, 0, 1, 0])),
    ]
}

// behaviour: K4, K5, K9
#[tokio::test]
async fn a_broken_frame_ends_its_path_and_the_session_takes_the_next() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let mut beside = manager.connect(format!("mc://{at}")).await.unwrap();
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&opening(0)).await;
    for (what, bytes) in broken_frames() {
        raw.throw(&bytes).await;
        raw.ended().await;
        let path = numbers.next_path(0);
        raw = attach(Raw::dial(at).await, &agreed.credentials, path)
            .await
            .expect(what);
        raw.send(&[opening(0), ack(0, 0), resume()].concat()).await;
        ask(&mut beside, what.as_bytes()).await;
    }
    raw.send(&data(0, 0, b"alive")).await;
    let body = raw.frame_of(&[1, 2]).await;
    assert_eq!(&body[12..], b"alive");
}

// behaviour: K4
#[tokio::test]
async fn bytes_put_into_a_path_end_it_and_the_stream_goes_on() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    ask(&mut stream, b"before").await;
    // Ten attempts in ten seconds are what a session allows itself.
    for (round, (what, bytes)) in broken_frames().into_iter().step_by(2).take(9).enumerate() {
        let connections = tap.connections();
        // What is addressed to the listener's streams is broken only there.
        if round % 2 == 0 {
            tap.to_listener(&bytes);
        } else {
            tap.to_dialler(&bytes);
        }
        ask(&mut stream, what.as_bytes()).await;
        assert_eq!(tap.connections(), connections + 1, "{what}");
    }
}

// behaviour: K4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_random_strings_disturb_no_session() {
    let manager = manager(|settings| settings.handshake = Duration::from_secs(1)).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    let id = soon(session(Raw::dial(at).await)).await.unwrap().1;
    let mut strings = tokio::task::JoinSet::new();
    for seed in 0..200 {
        let credentials = id.credentials.clone();
        strings.spawn(async move {
            let mut noise = Noise(seed);
            let mut raw = Raw::dial(at).await;
            match seed % 4 {
                // At the door, behind a hello, behind an attach with a right id, within a session.
                0 => {}
                1 => raw.throw(&DialHello::new(entropy(), offer()).1).await,
                2 => {
                    let path = mancom::proto::session::Session::new(
                        session(Raw::dial(at).await).await.unwrap().1,
                        mancom::proto::session::Config::default(),
                        Instant::now(),
                    )
                    .next_path(0);
                    raw.throw(&DialAttach::new(entropy(), &credentials, path, &offer()).1)
                        .await;
                }
                _ => {
                    raw = session(raw).await.unwrap().0;
                    raw.throw(&opening(0)).await;
                }
            }
            let bytes = noise.bytes(4096);
            for piece in bytes.chunks(1 + noise.next() as usize % 700) {
                raw.throw(piece).await;
            }
            let _ = raw.0.shutdown().await;
            raw.ended().await;
        });
    }
    let mut rounds = 0;
    while !strings.is_empty() {
        ask(&mut stream, format!("round {rounds}").as_bytes()).await;
        rounds += 1;
        while let Some(done) = strings.try_join_next() {
            done.unwrap();
        }
    }
    assert!(rounds > 0);
    ask(&mut stream, b"after").await;
}

// behaviour: K4
#[tokio::test]
async fn a_listener_that_answers_nonsense_fails_the_connect_by_name() {
    let manager = manager(|settings| {
        settings.connect_rounds = 1;
        settings.handshake = Duration::from_millis(300);
    })
    .await;
    let rogue = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("mc://{}", rogue.local_addr().unwrap());
    for (what, bytes) in unwelcome() {
        let connecting = tokio::spawn(manager.connect(&to).into_future());
        let mut raw = Raw(soon(rogue.accept()).await.unwrap().0);
        assert_eq!(kind(&raw.message().await.unwrap()), 1, "{what}");
        raw.throw(&bytes).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert!(error.to_string().contains(&to), "{what}: {error}");
        assert_eq!(raw.ended().await, b"", "{what}: not a byte of a session");
    }
}

// behaviour: K9
#[tokio::test]
async fn an_acknowledgement_that_goes_back_ends_its_path_only() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&[opening(0), data(0, 0, b"hello")].concat()).await;
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"hello");
    raw.send(&[ack(0, 5), ack(0, 4)].concat()).await;
    raw.ended().await;
    let path = numbers.next_path(0);
    let mut raw = attach(Raw::dial(at).await, &agreed.credentials, path)
        .await
        .unwrap();
    raw.send(&[opening(0), ack(0, 5), resume(), data(0, 5, b"again")].concat())
        .await;
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"again");
}

// behaviour: K9
#[tokio::test]
async fn a_peer_that_rolled_back_ends_its_session_and_no_other() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&[opening(0), data(0, 0, b"hello")].concat()).await;
    let mut served = soon(listener.accept()).await.unwrap();
    let mut text = [0; 5];
    soon(served.read_exact(&mut text)).await.unwrap();
    served.write_all(&text).await.unwrap();
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"hello");
    // The acknowledgement is in when the next answer is out.
    raw.send(&[ack(0, 5), data(0, 5, b"again")].concat()).await;
    soon(served.read_exact(&mut text)).await.unwrap();
    drop(raw);
    soon(async {
        while !served.session().paths().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let path = numbers.next_path(0);
    let mut raw = attach(Raw::dial(at).await, &agreed.credentials, path)
        .await
        .unwrap();
    raw.send(&[opening(0), ack(0, 0), resume()].concat()).await;
    let error = soon(served.read_exact(&mut text)).await.unwrap_err();
    assert!(
        matches!(session_error(&error), SessionError::PeerRolledBack),
        "{error}"
    );
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    ask(&mut stream, b"the process lives").await;
}

// behaviour: K12
#[tokio::test]
async fn a_rogue_listener_reads_nothing_of_a_session() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let mut stream = manager.connect(tap.endpoint()).await.unwrap();
    ask(&mut stream, b"before").await;
    let rogue = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tap.aim(rogue.local_addr().unwrap());
    tap.cut();
    stream.write_all(b"secret").await.unwrap();
    for proof in [[0; 32], [0xff; 32]] {
        let mut raw = Raw(soon(rogue.accept()).await.unwrap().0);
        assert_eq!(kind(&raw.message().await.unwrap()), 6);
        raw.send(&message(7, &[[5; 32].as_slice(), &[0, 2, 2, 2]].concat()))
            .await;
        assert_eq!(kind(&raw.message().await.unwrap()), 8);
        assert!(
            raw.is_open().await,
            "it waits for the proof and sends nothing of the session"
        );
        raw.throw(&message(5, &proof)).await;
        assert_eq!(raw.ended().await, b"", "nor after a proof that is none");
    }
    tap.aim(at);
    let mut back = [0; 6];
    soon(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"secret");
}

#[tokio::test]
async fn an_attach_to_a_session_that_ended_is_refused_as_unknown() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&opening(0)).await;
    drop(soon(listener.accept()).await.unwrap());
    raw.send(&frame(0x16, &[0, 0, 0, 1])).await;
    raw.ended().await;
    let path = numbers.next_path(0);
    soon(async {
        // It answers a little longer.
        loop {
            let attached = attach(Raw::dial(at).await, &agreed.credentials, path).await;
            if matches!(attached, Err(HandshakeError::UnknownSession)) {
                return;
            }
        }
    })
    .await;
}
