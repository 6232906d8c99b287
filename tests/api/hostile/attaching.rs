//! Who presents a session that is not his.

use super::*;

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
    let (_manager, at, tap, mut stream) = tapped().await;
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
    let (_manager, at, tap, mut stream) = tapped().await;
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
    let (_manager, at, tap, mut stream) = tapped().await;
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

// behaviour: K12
#[tokio::test]
async fn a_rogue_listener_reads_nothing_of_a_session() {
    let (_manager, at, tap, mut stream) = tapped().await;
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
