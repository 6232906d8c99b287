//! Bytes that no state takes.

use super::*;

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

// behaviour: K4, K5, EV-22
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

// behaviour: K4, K5, K9, EV-21
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
    let (_manager, _, tap, mut stream) = tapped().await;
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
