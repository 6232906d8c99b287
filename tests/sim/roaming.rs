//! Sessions that lose their networks: no byte is lost, nothing is an error before its time.

use std::io;

use mancom::network::State;
use mancom::stream::PathEvent;
use mancom::{Label, Network, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Chance, Outcome, cellular, drain, exchange, joined, millis, on, secs, sent_over, settle, soon,
    ups, wifi, world,
};

// behaviour: S3
#[mancom::test]
async fn every_byte_arrives_once_through_three_hundred_cuts() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    let mut chance = Chance(3);
    for _ in 0..300 {
        faults.cut_next_after(400 + chance.below(40_000));
    }
    let listener = manager.listen("mem://cuts").await?;
    let near = manager.connect("mem://cuts").await?;
    let far = listener.accept().await?;
    let session = near.session();
    exchange(near, far, 3, 3 << 20).await;
    let path = session.paths()[0].path;
    assert!(path.1 > 100, "cut often enough to mean something: {path:?}");
    Ok(())
}

// behaviour: S1 S3 S4
#[mancom::test]
async fn every_byte_arrives_once_while_two_networks_come_and_go(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (near, far) = joined("mem://flaps", Label::ANY).await?;
    let mut events = near.events();
    let flapping = tokio::spawn(async move {
        let mut chance = Chance(4);
        for _ in 0..150 {
            networks.down("wlan0");
            sleep(chance.millis(0, 400)).await;
            networks.down("wwan0");
            sleep(chance.millis(0, 300)).await;
            let (first, second) = (chance.below(2), chance.millis(0, 400));
            networks.up(if first == 0 { wifi() } else { cellular() });
            sleep(second).await;
            networks.up(if first == 0 { cellular() } else { wifi() });
            sleep(chance.millis(0, 400)).await;
        }
        networks.up(wifi());
    });
    exchange(near, far, 4, 10 << 20).await;
    flapping.abort();
    let seen = drain(&mut events).await;
    assert!(ups(&seen).len() > 10, "it roamed: {seen:?}");
    Ok(())
}

// behaviour: S1 S4
#[mancom::test]
async fn an_outage_within_the_grace_is_neither_an_error_nor_an_end(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://pause", Label::ANY).await?;
    networks.down("wlan0");
    let mut buf = [0; 16];
    let nine_minutes = Instant::now() + secs(9 * 60);
    let writing = async {
        // The buffer takes 4 MiB; what is beyond it waits.
        let mut taken = 0;
        while let Ok(n) = tokio::time::timeout_at(nine_minutes, near.write(&[7; 1 << 16])).await {
            taken += n.expect("no error within the grace");
        }
        taken
    };
    let reading = tokio::time::timeout_at(nine_minutes, far.read(&mut buf));
    let (taken, read) = tokio::join!(writing, reading);
    assert_eq!(taken, 4 << 20);
    assert!(read.is_err(), "neither bytes nor an end: {read:?}");
    assert!(timeout(millis(1), near.read(&mut buf)).await.is_err());
    networks.up(wifi());
    let mut all = vec![0; taken];
    soon(secs(60), "the bytes of the pause", far.read_exact(&mut all)).await?;
    assert!(all.iter().all(|byte| *byte == 7));
    far.write_all(b"still here").await?;
    soon(secs(1), "the way back", near.read_exact(&mut buf[..10])).await?;
    Ok(())
}

/// The error of a session whose grace is over, out of the io::Error it travels in.
fn grace_expired(error: io::Error) -> String {
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<SessionError>());
    assert!(
        matches!(inner, Some(SessionError::GraceExpired { .. })),
        "{error:?}"
    );
    error.to_string()
}

// behaviour: S2
#[mancom::test]
async fn after_the_grace_every_call_says_the_same(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let listener = mancom::listen("mem://grace").grace(secs(10)).await?;
    let mut near = mancom::connect("mem://grace").grace(secs(30)).await?;
    let mut far = listener.accept().await?;
    sleep(secs(3600)).await;
    networks.down("wlan0");
    let lost = Instant::now();
    let mut buf = [0; 8];
    let first = grace_expired(near.read(&mut buf).await.unwrap_err());
    // The smaller of the two, from the loss of the last path.
    assert_eq!(lost.elapsed().as_millis() / 10, 1000);
    assert!(first.contains("wlan0"), "the reasons: {first}");
    for _ in 0..3 {
        assert_eq!(grace_expired(near.read(&mut buf).await.unwrap_err()), first);
        assert_eq!(grace_expired(near.write(b"x").await.unwrap_err()), first);
        assert_eq!(grace_expired(near.shutdown().await.unwrap_err()), first);
        let labelled = near.write_labelled(Label::BACKGROUND, b"x").await;
        assert_eq!(grace_expired(labelled.unwrap_err()), first);
        let read = near.read_labelled(&mut buf).await;
        assert_eq!(grace_expired(read.unwrap_err()), first);
        let opened = near.session().open(Label::ANY).no_wait().await;
        assert!(opened.is_err());
        assert!(matches!(
            near.session().accept().await,
            Err(SessionError::GraceExpired { .. })
        ));
        assert!(matches!(
            near.session().close().await,
            Err(SessionError::GraceExpired { .. })
        ));
    }
    // The listener keeps it a tenth longer, so that nobody resumes into nothing.
    let second = grace_expired(far.read(&mut buf).await.unwrap_err());
    assert_eq!(lost.elapsed().as_millis() / 10, 1100, "{second}");
    assert_eq!(grace_expired(far.write(b"x").await.unwrap_err()), second);
    Ok(())
}

// behaviour: S2
#[mancom::test]
async fn the_grace_begins_anew_with_each_loss_of_the_last_path(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let listener = mancom::listen("mem://again").await?;
    let mut near = mancom::connect("mem://again").grace(secs(10)).await?;
    let mut far = listener.accept().await?;
    for turn in 0..5_u8 {
        networks.down("wlan0");
        sleep(secs(9)).await;
        networks.up(wifi());
        near.write_all(&[turn]).await?;
        assert_eq!(far.read_u8().await?, turn);
    }
    networks.down("wlan0");
    let lost = Instant::now();
    grace_expired(near.read_u8().await.unwrap_err());
    assert_eq!(lost.elapsed().as_secs(), 10);
    Ok(())
}

// behaviour: S14
#[mancom::test]
async fn a_new_path_is_told_before_its_first_byte(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://told", Label::ANY).await?;
    let (mut near_events, mut far_events) = (near.events(), far.events());
    for turn in 0..20_u8 {
        let from = if turn % 2 == 0 { "wlan0" } else { "wwan0" };
        networks.down(from);
        assert_eq!(
            drain(&mut near_events)
                .await
                .iter()
                .filter(|e| matches!(e, PathEvent::Up(_)))
                .count(),
            usize::from(turn == 0)
        );
        drain(&mut far_events).await;
        near.write_all(&[turn]).await?;
        far.write_all(&[turn]).await?;
        settle().await;
        drain(&mut near_events).await;
        drain(&mut far_events).await;
        networks.up(if turn % 2 == 0 { cellular() } else { wifi() });
        assert_eq!(near.read_u8().await?, turn);
        let told = drain(&mut near_events).await;
        assert!(matches!(told[0], PathEvent::Up(_)), "turn {turn}: {told:?}");
        assert_eq!(far.read_u8().await?, turn);
        let told = drain(&mut far_events).await;
        assert!(matches!(told[0], PathEvent::Up(_)), "turn {turn}: {told:?}");
    }
    Ok(())
}

// behaviour: S18
#[mancom::test]
async fn an_end_of_one_direction_survives_the_networks(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://half", Label::ANY).await?;
    // Ended before the loss, read after it.
    near.write_all(b"question").await?;
    near.shutdown().await?;
    networks.down("wlan0");
    sleep(secs(60)).await;
    networks.up(cellular());
    let mut question = String::new();
    far.read_to_string(&mut question).await?;
    assert_eq!(question, "question");
    // The other direction goes on, ends during a loss, and is read after it.
    far.write_all(b"ans").await?;
    let mut answer = [0; 3];
    near.read_exact(&mut answer).await?;
    networks.down("wwan0");
    far.write_all(b"wer").await?;
    let ending = tokio::spawn(async move { far.shutdown().await.map(|()| far) });
    sleep(secs(60)).await;
    assert!(!ending.is_finished());
    networks.up(wifi());
    let mut rest = String::new();
    near.read_to_string(&mut rest).await?;
    assert_eq!(rest, "wer");
    ending.await.unwrap()?;
    assert_eq!(near.read(&mut answer).await?, 0, "an end stays an end");
    Ok(())
}

// behaviour: S9
#[mancom::test]
async fn a_suspended_network_keeps_its_connections(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://sleeping", Label::ANY).await?;
    near.write_all(b"x").await?;
    assert_eq!(far.read_u8().await?, b'x');
    let before = near.session().paths()[0].path;
    networks.change("wlan0", |spec| spec.state(State::Suspended));
    near.write_all(b"y").await?;
    assert!(
        timeout(secs(300), far.read_u8()).await.is_err(),
        "it is paused"
    );
    networks.change("wlan0", |spec| spec.state(State::Up));
    assert_eq!(
        soon(secs(2), "the byte of the pause", far.read_u8()).await?,
        b'y'
    );
    assert_eq!(
        near.session().paths()[0].path,
        before,
        "the same connection"
    );
    Ok(())
}

// behaviour: I11 S10
#[mancom::test]
async fn a_silent_stall_moves_the_session_within_a_second(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, far) = joined("mem://stall", Label::ANY).await?;
    assert_eq!(on(&near), ["wlan0"]);
    let receiving = tokio::spawn(crate::support::receive(far));
    let mut chance = Chance(10);
    let mut sent = Vec::new();
    for _ in 0..50 {
        let bytes = chance.bytes(2_000);
        near.write_all(&bytes).await?;
        sent.extend(bytes);
        sleep(millis(5)).await;
    }
    networks.stall("wlan0", true);
    let stalled = Instant::now();
    while on(&near) != ["wwan0"] {
        let bytes = chance.bytes(2_000);
        near.write_all(&bytes).await?;
        sent.extend(bytes);
        sleep(millis(5)).await;
        assert!(stalled.elapsed() < secs(3), "still on {:?}", on(&near));
    }
    // A second of silence, then a dial of two round trips of 60 ms.
    assert!(
        stalled.elapsed() < millis(1000 + 60 * 4),
        "{:?}",
        stalled.elapsed()
    );
    near.shutdown().await?;
    let (total, digest) = receiving.await.unwrap();
    assert_eq!(total, sent.len());
    assert_eq!(
        digest,
        <sha2::Sha256 as sha2::Digest>::digest(&sent).to_vec()
    );
    assert!(sent_over(&near, "wwan0") > 0);
    Ok(())
}

// behaviour: I11
#[mancom::test]
async fn a_stall_that_moves_from_network_to_network_loses_nothing(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (near, far) = joined("mem://stalls", Label::ANY).await?;
    let stalling = tokio::spawn(async move {
        let mut chance = Chance(11);
        loop {
            for name in ["wlan0", "wwan0"] {
                networks.stall(name, true);
                sleep(chance.millis(100, 6_000)).await;
                networks.stall(name, false);
                sleep(chance.millis(100, 3_000)).await;
            }
        }
    });
    soon(
        secs(600),
        "6 MB through stalls",
        exchange(near, far, 11, 6 << 20),
    )
    .await;
    stalling.abort();
    Ok(())
}

// behaviour: S1 I6
#[mancom::test]
async fn the_other_network_is_used_at_once_when_one_goes(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://other", Label::INTERACTIVE).await?;
    let mut events = near.events();
    near.write_all(b"a").await?;
    far.read_u8().await?;
    networks.down("wlan0");
    let lost = Instant::now();
    near.write_all(b"b").await?;
    assert_eq!(far.read_u8().await?, b'b');
    // Dial and attach: three round trips and a half of the cellular network.
    assert!(lost.elapsed() <= millis(60 * 4), "{:?}", lost.elapsed());
    assert_eq!(ups(&drain(&mut events).await), ["wlan0", "wwan0"]);
    Ok(())
}

// behaviour: S3 S21
#[mancom::test]
async fn many_streams_of_one_session_survive_together(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://streams", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let mut pairs = Vec::new();
    for _ in 0..30 {
        let opened = here.open(Label::ANY).await?;
        pairs.push((opened, there.accept().await?));
        let opened = there.open(Label::ANY).await?;
        pairs.push((here.accept().await?, opened));
    }
    let all: Vec<_> = pairs
        .into_iter()
        .enumerate()
        .map(|(n, (a, b))| tokio::spawn(exchange(a, b, n as u64, 60_000)))
        .collect();
    for turn in 0..10 {
        sleep(millis(150)).await;
        networks.down(if turn % 2 == 0 { "wlan0" } else { "wwan0" });
        sleep(millis(100)).await;
        networks.up(if turn % 2 == 0 { cellular() } else { wifi() });
    }
    for one in all {
        one.await.unwrap();
    }
    drop((near, far));
    Ok(())
}

// behaviour: S8
#[mancom::test]
async fn a_change_of_facts_keeps_the_connection(networks: mancom::testing::Networks) -> Outcome {
    networks.up(Network::wifi("wlan0"));
    let (mut near, mut far) = joined("mem://facts", Label::ANY).await?;
    let before = near.session().paths()[0].path;
    networks.change("wlan0", |spec| spec.rtt(millis(80)).metered(true));
    near.write_all(b"x").await?;
    assert_eq!(far.read_u8().await?, b'x');
    assert_eq!(near.session().paths()[0].path, before);
    Ok(())
}
