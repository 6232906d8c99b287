//! How streams and sessions end: flush, shutdown, drop, abort, and the loss of first and last words.

use std::io::ErrorKind;
use std::time::Duration;

use futures::poll;
use mancom::{Label, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Chance, Outcome, cellular, joined, millis, receive, secs, settle, soon, wifi, world,
};

// behaviour: S19
#[mancom::test]
async fn a_shutdown_is_done_when_the_peer_has_it_and_not_before(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi().rtt(millis(200)));
    let (mut near, mut far) = joined("mem://shut", Label::ANY).await?;
    near.write_all(b"all of it").await?;
    let began = Instant::now();
    near.shutdown().await?;
    // There and back.
    assert!(began.elapsed() >= millis(200), "{:?}", began.elapsed());
    assert!(began.elapsed() < millis(300), "{:?}", began.elapsed());
    assert_eq!(near.stats().acknowledged, 9);
    let mut all = String::new();
    far.read_to_string(&mut all).await?;
    assert_eq!(all, "all of it");
    near.shutdown().await?;
    assert_eq!(
        near.write(b"x").await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn a_shutdown_waits_through_an_outage_or_fails_at_its_grace(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let listener = mancom::listen("mem://shut").await?;
    let mut near = mancom::connect("mem://shut").grace(secs(100)).await?;
    let _far = listener.accept().await?;
    networks.down("wlan0");
    assert!(timeout(secs(90), near.shutdown()).await.is_err());
    networks.up(cellular());
    soon(secs(2), "the end", near.shutdown()).await?;

    let mut near = mancom::connect("mem://shut").grace(secs(100)).await?;
    let _far = listener.accept().await?;
    near.write_all(b"never there").await?;
    networks.down("wwan0");
    let lost = Instant::now();
    assert_eq!(
        near.shutdown().await.unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(lost.elapsed().as_secs(), 100);
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn a_flush_takes_no_time_with_or_without_a_network(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi().rtt(secs(1)));
    let (mut near, _far) = joined("mem://flush", Label::ANY).await?;
    let began = Instant::now();
    near.write_all(&[1; 100_000]).await?;
    near.flush().await?;
    networks.down("wlan0");
    near.write_all(&[1; 100_000]).await?;
    near.flush().await?;
    assert_eq!(began.elapsed(), Duration::ZERO);
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn dropping_a_stream_loses_nothing_it_took(networks: mancom::testing::Networks) -> Outcome {
    for (turn, outage) in [(0, false), (1, true)] {
        networks.up(wifi());
        let (mut near, far) = joined(&format!("mem://drop{turn}"), Label::ANY).await?;
        let sent = Chance(turn).bytes(3 << 20);
        near.write_all(&sent).await?;
        let began = Instant::now();
        drop(near);
        assert_eq!(began.elapsed(), Duration::ZERO, "a drop never blocks");
        if outage {
            networks.down("wlan0");
            sleep(secs(300)).await;
            networks.up(cellular());
        }
        let (total, digest) = soon(secs(60), "what was written", receive(far)).await;
        assert_eq!(total, sent.len());
        assert_eq!(
            digest,
            <sha2::Sha256 as sha2::Digest>::digest(&sent).to_vec()
        );
    }
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn an_abort_is_told_and_throws_away(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://abort", Label::ANY).await?;
    let keep = near.session();
    near.write_all(b"read").await?;
    let mut buf = [0; 4];
    far.read_exact(&mut buf).await?;
    near.write_all(&[0; 4 << 20]).await?;
    near.abort();
    let failed = soon(secs(5), "the reset", async {
        loop {
            match far.read(&mut [0; 1 << 16]).await {
                Ok(0) => panic!("an abort is no end"),
                Ok(_) => {}
                Err(error) => break error,
            }
        }
    })
    .await;
    assert_eq!(failed.kind(), ErrorKind::ConnectionReset);
    assert!(far.write(b"x").await.is_err());
    drop(keep);
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn a_panic_resets_the_stream_it_unwinds_through(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://panic", Label::ANY).await?;
    near.write_all(b"half a sen").await?;
    let panicked = tokio::spawn(async move {
        let _near = near;
        panic!("on purpose");
    });
    assert!(panicked.await.is_err());
    let mut all = Vec::new();
    let read = soon(secs(5), "the reset", far.read_to_end(&mut all)).await;
    assert_eq!(
        read.unwrap_err().kind(),
        ErrorKind::ConnectionReset,
        "not taken for the whole"
    );
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn a_session_closes_when_its_streams_are_done(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://close", Label::ANY).await?;
    let session = near.session();
    let there = far.session();
    let closing = tokio::spawn(session.close());
    settle().await;
    assert!(!closing.is_finished(), "a stream is open");
    assert!(
        session.open(Label::ANY).await.is_err(),
        "but no more of them"
    );
    near.write_all(b"last words").await?;
    near.shutdown().await?;
    let mut all = String::new();
    far.read_to_string(&mut all).await?;
    assert_eq!(all, "last words");
    far.shutdown().await?;
    assert_eq!(near.read(&mut [0; 8]).await?, 0);
    soon(secs(1), "the close", closing).await.unwrap()?;
    let end = soon(secs(1), "the end of accepting", there.accept()).await;
    assert!(matches!(&end, Err(SessionError::Closed)), "{end:?}");
    assert!(mancom::Error::from(end.unwrap_err()).is_closed());
    assert_eq!(far.read(&mut [0; 8]).await?, 0, "what ended well stays so");
    Ok(())
}

// behaviour: S21
#[mancom::test]
async fn one_unread_stream_stops_no_other(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://unread", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    // 40 streams that nobody reads, each filled until its writer waits.
    let mut unread = Vec::new();
    for _ in 0..40 {
        let mut stream = there.open(Label::ANY).await?;
        let mine = here.accept().await?;
        let stuck = timeout(secs(30), stream.write_all(&vec![1; 9 << 20])).await;
        assert!(stuck.is_err(), "back-pressure reaches the writer");
        unread.push((stream, mine));
    }
    let (a, b) = (there.open(Label::ANY).await?, here.accept().await?);
    soon(
        secs(30),
        "the others",
        crate::support::exchange(a, b, 21, 1 << 20),
    )
    .await;
    soon(
        secs(30),
        "the first",
        crate::support::exchange(near, far, 22, 1 << 20),
    )
    .await;
    Ok(())
}

// behaviour: S21 R2
#[mancom::test]
async fn who_reads_once_and_goes_away_stops_nobody(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://once", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let mut far_other = there.open(Label::ANY).await?;
    let mut other = here.accept().await?;
    let other = tokio::spawn(async move { other.read_u8().await });
    settle().await;
    let reader = tokio::spawn(async move {
        let byte = near.read_u8().await;
        sleep(secs(3600)).await;
        (byte, near)
    });
    settle().await;
    far.write_all(b"a").await?;
    far.flush().await?;
    sleep(millis(100)).await;
    far_other.write_all(b"b").await?;
    assert_eq!(
        soon(secs(1), "the other stream", other).await.unwrap()?,
        b'b'
    );
    reader.abort();
    Ok(())
}

// behaviour: S21 R2
#[mancom::test]
async fn a_writer_learns_of_room_when_its_reader_rests(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://room", Label::ANY).await?;
    let (mut read, mut write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let writing = tokio::spawn(async move {
        let all = write.write_all(&vec![1; 10 << 20]).await;
        (all, write)
    });
    settle().await;
    let reading = tokio::spawn(async move {
        let byte = read.read_u8().await;
        sleep(secs(3600)).await;
        (byte, read)
    });
    settle().await;
    far_write.write_all(b"x").await?;
    sleep(millis(500)).await;
    let mut all = vec![0; 10 << 20];
    soon(secs(60), "all of it", far_read.read_exact(&mut all)).await?;
    soon(secs(1), "the writer", writing).await.unwrap().0?;
    reading.abort();
    Ok(())
}

// behaviour: I11 R2
#[mancom::test]
async fn who_does_not_read_is_not_taken_for_a_stall(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://busy", Label::ANY).await?;
    let before = near.session().paths()[0].path;
    for turn in 0..20_u8 {
        near.write_all(&[turn]).await?;
        assert_eq!(far.read_u8().await?, turn);
        far.write_all(&[turn]).await?;
        assert_eq!(near.read_u8().await?, turn);
        near.write_all(&[turn]).await?;
        // It computes; the answer's acknowledgement stands unread meanwhile.
        sleep(secs(10)).await;
        assert_eq!(far.read_u8().await?, turn);
    }
    assert_eq!(near.session().paths()[0].path, before);
    Ok(())
}

// behaviour: S22
#[mancom::test]
async fn a_first_answer_lost_leaves_no_ghost() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://ghost").await?;
    for cut in 0..420 {
        faults.cut_next_after(cut);
        let connecting = tokio::spawn(manager.connect("mem://ghost").into_future());
        let mut near = soon(secs(30), "a second try", connecting).await.unwrap()?;
        near.write_all(&[1, 2, 3]).await?;
        let mut far = soon(secs(30), "its session", listener.accept()).await?;
        let mut bytes = [0; 3];
        soon(secs(30), "its bytes", far.read_exact(&mut bytes)).await?;
        assert_eq!(bytes, [1, 2, 3], "cut after {cut}");
        let ghost = timeout(millis(500), listener.accept()).await;
        assert!(ghost.is_err(), "cut after {cut}: {ghost:?}");
        drop((near, far));
    }
    // Nor after a minute, when what was half open is forgotten.
    let ghost = timeout(secs(60), listener.accept()).await;
    assert!(ghost.is_err(), "{ghost:?}");
    Ok(())
}

// behaviour: S22 S18 S19
#[mancom::test]
async fn a_loss_at_any_byte_makes_no_error_of_a_finished_stream() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://last").await?;
    for cut in 300..900 {
        faults.cut_next_after(cut);
        let mut near = manager.connect("mem://last").await?;
        let asking = tokio::spawn(async move {
            near.write_all(b"ping").await?;
            near.shutdown().await?;
            let mut answer = String::new();
            near.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        });
        let answering = async {
            let mut far = listener.accept().await?;
            let mut question = String::new();
            far.read_to_string(&mut question).await?;
            far.write_all(b"pong").await?;
            far.shutdown().await?;
            Ok::<_, mancom::Error>(question)
        };
        let question = soon(secs(60), &format!("question, cut after {cut}"), answering).await?;
        assert_eq!(question, "ping");
        let answer = soon(secs(60), &format!("answer, cut after {cut}"), asking)
            .await
            .unwrap();
        assert_eq!(answer.unwrap(), "pong", "cut after {cut}");
    }
    manager.shutdown(secs(60)).await?;
    Ok(())
}

// behaviour: S19 S22
#[mancom::test]
async fn both_ends_may_end_at_once_and_the_session_goes() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://both").await?;
    for cut in 380..700 {
        faults.cut_next_after(cut);
        let mut near = manager.connect("mem://both").await?;
        near.write_all(b"x").await?;
        let mut far = listener.accept().await?;
        let (one, two) = soon(secs(60), &format!("cut after {cut}"), async {
            tokio::join!(near.shutdown(), far.shutdown())
        })
        .await;
        one.unwrap();
        two.unwrap();
        drop((near, far));
    }
    drop(listener);
    // What is over says so and goes, whichever word was lost.
    manager.shutdown(secs(60)).await?;
    Ok(())
}

// behaviour: R2
#[mancom::test]
async fn an_accept_that_is_dropped_loses_no_stream_and_no_wake_up(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://accepts", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    for turn in 0..20_u8 {
        let mut given_up = there.accept();
        assert!(poll!(&mut given_up).is_pending());
        let other = tokio::spawn(there.accept());
        settle().await;
        let mut opened = here.open(Label::ANY).await?;
        opened.write_all(&[turn]).await?;
        if turn % 2 == 0 {
            sleep(millis(100)).await;
        }
        assert!(!other.is_finished(), "it is not its turn");
        drop(given_up);
        let mut accepted = soon(secs(1), "the stream", other).await.unwrap()?;
        assert_eq!(accepted.read_u8().await?, turn);
    }
    Ok(())
}

#[mancom::test]
async fn those_who_wait_to_accept_are_served_in_order(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://accepters", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(tokio::spawn(there.accept()));
        settle().await;
    }
    let mut opened = Vec::new();
    for turn in 0..8_u8 {
        let mut stream = here.open(Label::ANY).await?;
        stream.write_all(&[turn]).await?;
        opened.push(stream);
    }
    for (turn, waiting) in waiting.into_iter().enumerate() {
        let mut accepted = soon(secs(1), "its stream", waiting).await.unwrap()?;
        assert_eq!(usize::from(accepted.read_u8().await?), turn);
    }
    Ok(())
}
