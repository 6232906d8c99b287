//! Back-pressure: who waits for room, in which order, and whom it does not stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::poll;
use mancom::stream::Settings;
use mancom::testing::{Networks, scripted};
use mancom::{Label, Manager, MessageError, MessageId, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::{Two, UNMETERED, WIFI, ids, nothing_comes, receive, two};
use crate::support::{Outcome, cellular, exchange, millis, secs, settle, soon, wifi};

const PIECE: usize = 256 << 10;

/// Sends smaller and smaller ones until there is no room for any; what was taken.
async fn fill(session: &Session, label: Label) -> Result<Vec<MessageId>, mancom::Error> {
    let mut sent = Vec::new();
    let mut size = PIECE;
    while size > 0 {
        match timeout(secs(5), session.send(label, vec![7; size])).await {
            Ok(taken) => sent.push(taken?),
            Err(_) => size /= 2,
        }
        assert!(sent.len() < 200, "back-pressure reaches the sender");
    }
    Ok(sent)
}

// behaviour: I9 R1
#[mancom::test]
async fn a_pending_send_that_is_dropped_leaves_nothing(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://dropped").await?;
    let taken = fill(&here, Label::ANY).await?;
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..10 {
        let mut crowd = Vec::new();
        for _ in 0..10_000 {
            let mut send = here.send(Label::ANY, vec![9; 64]).into_future();
            assert!(poll!(&mut send).is_pending());
            crowd.push(send);
        }
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    assert_eq!(ids(&receive(&there, taken.len()).await), taken);
    nothing_comes(&there).await;
    // Nobody's place is left behind: the next one is taken at once.
    let next = here.send(Label::ANY, &b"next"[..]).into_future();
    let next = soon(millis(1), "room", next).await?;
    assert_eq!(ids(&receive(&there, 1).await), [next]);
    Ok(())
}

// behaviour: I10 I3
#[mancom::test]
async fn those_who_wait_for_room_are_served_in_order(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://line").await?;
    let taken = fill(&here, Label::ANY).await?.len();
    let mut waiting = Vec::new();
    for turn in 0..40_u8 {
        // Small ones do not slip in before a large one.
        let size = if turn % 3 == 0 { PIECE } else { 1 };
        let send = here.send(Label::ANY, vec![turn; size]);
        waiting.push(tokio::spawn(send.into_future()));
        settle().await;
    }
    for (turn, waits) in waiting.iter().enumerate() {
        assert!(!waits.is_finished(), "{turn} waits");
        if turn % 5 == 4 {
            waits.abort();
        }
    }
    // Networks that come and go meanwhile lose nobody.
    let flapping = tokio::spawn(async move {
        for _ in 0..10 {
            sleep(millis(77)).await;
            networks.down("wlan0");
            sleep(millis(33)).await;
            networks.up(wifi());
        }
    });
    receive(&there, taken).await;
    let received = receive(&there, 32).await;
    flapping.await.unwrap();
    let turns: Vec<u8> = received.iter().map(|message| message.bytes[0]).collect();
    let expected: Vec<u8> = (0..40).filter(|turn| turn % 5 != 4).collect();
    assert_eq!(turns, expected);
    nothing_comes(&there).await;
    Ok(())
}

// behaviour: D6
#[mancom::test]
async fn a_lifetime_runs_out_in_line(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://late").await?;
    let taken = fill(&here, Label::ANY).await?.len();
    let late = here.send(Label::ANY, &b"late"[..]).lifetime(secs(3));
    let late = tokio::spawn(late.into_future());
    let next = tokio::spawn(here.send(Label::ANY, &b"next"[..]).into_future());
    let late = soon(secs(4), "its end", late).await.unwrap();
    assert!(matches!(late, Err(MessageError::Expired)), "{late:?}");
    assert!(!next.is_finished());
    receive(&there, taken).await;
    assert_eq!(receive(&there, 1).await[0].bytes, b"next"[..]);
    assert!(next.await.unwrap().is_ok());
    Ok(())
}

// behaviour: S21
#[mancom::test]
async fn who_receives_no_message_stops_no_stream_and_no_other_urgency(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    let Two {
        near,
        far,
        here,
        there,
    } = two("mem://nobody").await?;
    fill(&here, Label::BACKGROUND).await?;
    fill(&there, Label::BACKGROUND).await?;
    let interactive = here.send(Label::INTERACTIVE, vec![1; 1000]).await?;
    soon(secs(5), "another urgency", here.delivered(interactive)).await?;
    let first = receive(&there, 1).await.remove(0);
    assert_eq!(first.id, interactive, "the most urgent first");
    soon(secs(60), "the streams", exchange(near, far, 21, 1 << 20)).await;
    Ok(())
}

// behaviour: S21
#[mancom::test]
async fn messages_held_back_here_never_stop_the_one_they_wait_for(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://held").await?;
    let first = here.send(WIFI, vec![1; PIECE]).await?;
    let behind = fill(&here, Label::ANY).await?;
    nothing_comes(&there).await;
    networks.up(wifi());
    assert_eq!(ids(&receive(&there, 1).await), [first]);
    assert_eq!(ids(&receive(&there, behind.len()).await), behind);
    Ok(())
}

// behaviour: S21
#[mancom::test]
async fn messages_held_back_there_never_stop_the_one_they_wait_for(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular().metered(true));
    let Two { here, there, .. } = two("mem://window").await?;
    let first = here.send(UNMETERED, vec![1; PIECE]).await?;
    // It goes out whole, as what comes after it may then, and is lost on its way.
    sleep(millis(107)).await;
    networks.down("wlan0");
    let behind = fill(&here, Label::ANY).await?;
    nothing_comes(&there).await;
    networks.up(wifi());
    assert_eq!(ids(&receive(&there, 1).await), [first]);
    assert_eq!(ids(&receive(&there, behind.len()).await), behind);
    Ok(())
}

// behaviour: I10 R2
#[mancom::test]
async fn a_recv_that_is_dropped_loses_no_message_and_no_wake_up(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://recv").await?;
    for turn in 0..50_u8 {
        let mut given_up = there.recv();
        assert!(poll!(&mut given_up).is_pending());
        let other = tokio::spawn(there.recv());
        settle().await;
        here.send(Label::ANY, vec![turn]).await?;
        if turn % 2 == 0 {
            sleep(millis(100)).await;
        }
        assert!(!other.is_finished(), "it is not its turn");
        drop(given_up);
        let message = soon(secs(1), "the message", other).await.unwrap()?;
        assert_eq!(message.bytes[..], [turn]);
    }
    Ok(())
}

// behaviour: I10
#[mancom::test]
async fn those_who_wait_to_receive_are_served_in_order(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://receivers").await?;
    let served = Arc::new(AtomicUsize::new(0));
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let (recv, served) = (there.recv(), Arc::clone(&served));
        waiting.push(tokio::spawn(async move {
            let message = recv.await?;
            Ok::<_, mancom::SessionError>((served.fetch_add(1, Ordering::SeqCst), message))
        }));
        settle().await;
    }
    let mut sent = Vec::new();
    for turn in 0..20_u8 {
        sent.push(here.send(Label::ANY, vec![turn]).await?);
    }
    for (turn, waits) in waiting.into_iter().enumerate() {
        let (place, message) = soon(secs(1), "its message", waits).await.unwrap()?;
        assert_eq!((place, message.id), (turn, sent[turn]));
    }
    Ok(())
}

#[mancom::test]
async fn a_message_longer_than_the_peer_takes_is_refused(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://long").await?;
    let error = here.send(Label::ANY, vec![1; (4 << 20) + 1]).await;
    let Err(MessageError::TooLong { limit }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit, 4 << 20);
    let longest = here.send(Label::ANY, vec![1; 4 << 20]).await?;
    assert_eq!(ids(&receive(&there, 1).await), [longest]);
    soon(secs(1), "its delivery", here.delivered(longest)).await?;
    Ok(())
}

// behaviour: R1
#[mancom::test]
async fn more_small_messages_arrive_than_may_be_under_way(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://many").await?;
    let sending = tokio::spawn(async move {
        let mut last = None;
        for turn in 0..20_000_u32 {
            let sent = here.send(Label::ANY, turn.to_le_bytes().to_vec()).await?;
            last = Some(sent);
        }
        here.delivered(last.expect("they were sent")).await?;
        Ok::<_, MessageError>(())
    });
    for turn in 0..20_000_u32 {
        let message = soon(secs(60), "the next", there.recv()).await?;
        assert_eq!(message.bytes[..], turn.to_le_bytes());
    }
    soon(secs(5), "the last word", sending).await.unwrap()?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn settings_of_no_bytes_are_raised_to_what_a_session_needs() -> Outcome {
    let (scout, networks) = scripted();
    networks.up(wifi());
    let mut settings = Settings::default();
    (settings.send_buffer, settings.receive_window) = (0, 0);
    let manager = Manager::builder()
        .scout(scout)
        .settings(settings)
        .build()
        .await?;
    let listener = manager.listen("mem://least").await?;
    let mut near = manager.connect("mem://least").await?;
    let mut far = listener.accept().await?;
    let whole = vec![7; 4 << 10];
    let id = near.session().send(Label::ANY, whole.clone()).await?;
    let message = soon(secs(5), "a message", far.session().recv()).await?;
    assert_eq!((message.id, &message.bytes[..]), (id, &whole[..]));
    let long = near.session().send(Label::ANY, vec![7; 4097]).await;
    assert!(
        matches!(long, Err(MessageError::TooLong { limit: 4096 })),
        "{long:?}"
    );
    soon(secs(5), "a write", near.write_all(&whole)).await?;
    let mut read = vec![0; whole.len()];
    soon(secs(5), "what was written", far.read_exact(&mut read)).await?;
    assert_eq!(read, whole);
    Ok(())
}
