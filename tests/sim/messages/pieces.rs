//! Messages that are written piece by piece.

use std::io::ErrorKind;

use mancom::testing::Networks;
use mancom::{Label, MessageError, Prop};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::{Two, ids, nothing_comes, receive, two};
use crate::support::{Chance, Outcome, cellular, millis, secs, sent_over, soon, wifi};

// behaviour: I12
#[mancom::test]
async fn an_empty_message_is_a_message(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://empty").await?;
    let id = here.send(Label::ANY, &b""[..]).await?;
    let writer = here.message(Label::BACKGROUND).await?;
    let written = writer.finish().await?;
    let received = receive(&there, 2).await;
    for message in &received {
        assert!(message.bytes.is_empty());
    }
    let mut received = ids(&received);
    received.sort();
    assert_eq!(received, [id, written]);
    soon(secs(1), "its delivery", here.delivered(written)).await?;
    Ok(())
}

// behaviour: I12 I9
#[mancom::test]
async fn a_writer_dropped_before_it_finished_withdraws_its_message(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        near, here, there, ..
    } = two("mem://half").await?;
    for size in [0, 1, 200_000] {
        let mut writer = here.message(Label::ANY).await?;
        let id = writer.id();
        writer.write_all(&vec![1; size]).await?;
        let early = here.send(Label::ANY, &b"child"[..]).after([id]).await;
        assert!(
            matches!(early, Err(MessageError::UnknownDependency(named)) if named == id),
            "{early:?}"
        );
        let waiting = tokio::spawn(here.delivered(id));
        sleep(millis(200)).await;
        drop(writer);
        let own = soon(secs(1), "its fate", waiting).await.unwrap();
        assert!(matches!(own, Err(MessageError::Cancelled)), "{own:?}");
        let late = here.send(Label::ANY, &b"child"[..]).after([id]).await;
        assert!(
            matches!(late, Err(MessageError::DependencyLost(named)) if named == id),
            "{late:?}"
        );
    }
    let next = here.send(Label::ANY, &b"next"[..]).await?;
    assert_eq!(ids(&receive(&there, 1).await), [next]);
    nothing_comes(&there).await;
    assert_eq!(sent_over(&near, "wlan0"), 4, "nothing of them");
    Ok(())
}

// behaviour: I2 I3
#[mancom::test]
async fn a_message_has_its_place_from_when_it_is_finished(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://place").await?;
    let mut writer = here.message(Label::ANY).await?;
    writer.write_all(&[1; 100_000]).await?;
    let before = here.send(Label::ANY, &b"before"[..]).await?;
    assert_eq!(ids(&receive(&there, 1).await), [before], "it stops nobody");
    let written = writer.finish().await?;
    let after = here.send(Label::ANY, &b"after"[..]).await?;
    let named = here
        .send(Label::INTERACTIVE, &b"!"[..])
        .after([written])
        .await?;
    let received = ids(&receive(&there, 3).await);
    assert_eq!(received[0], written, "{received:?}");
    assert!(received.contains(&after) && received.contains(&named));
    Ok(())
}

// behaviour: I1
#[mancom::test]
async fn pieces_of_several_messages_in_turn_arrive_as_wholes(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://turns").await?;
    let mut writers = Vec::new();
    for _ in 0..4 {
        writers.push(here.message(Label::ANY).after([]).await?);
    }
    let mut chance = Chance(12);
    let mut written = vec![Vec::new(); 4];
    for round in 0..100 {
        for (writer, all) in writers.iter_mut().zip(&mut written) {
            let size = chance.below(2_000) as usize;
            let piece = chance.bytes(size);
            soon(secs(30), "room", writer.write_all(&piece)).await?;
            all.extend(piece);
        }
        match round {
            30 => networks.down("wlan0"),
            60 => networks.down("wwan0"),
            61 => drop(networks.up(wifi())),
            _ => sleep(millis(5)).await,
        }
    }
    // What is whole arrives, be the others unfinished.
    let mut expected = Vec::new();
    for (writer, all) in writers.into_iter().zip(written).rev() {
        let id = writer.finish().await?;
        expected.push((id, all));
        let message = receive(&there, 1).await.remove(0);
        assert_eq!(message.id, id);
        assert!(
            expected
                .last()
                .is_some_and(|(_, all)| message.bytes == all[..])
        );
    }
    Ok(())
}

#[mancom::test]
async fn a_shutdown_finishes_a_message(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://shut").await?;
    let mut writer = here.message(Label::ANY).await?;
    let id = writer.id();
    writer.write_all(&[1; 50_000]).await?;
    assert!(timeout(secs(1), there.recv()).await.is_err(), "not whole");
    writer.shutdown().await?;
    let late = writer.write(b"x").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::BrokenPipe);
    // Nor is it withdrawn by what comes later.
    writer.shutdown().await?;
    drop(writer);
    assert_eq!(ids(&receive(&there, 1).await), [id]);
    here.delivered(id).await?;
    Ok(())
}

#[mancom::test]
async fn a_message_that_grows_too_long_is_refused(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://grows").await?;
    let mut writer = here.message(Label::ANY).await?;
    writer.write_all(&vec![1; 4 << 20]).await?;
    let error = writer.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // What was taken before is not what was to be sent.
    let error = writer.finish().await.unwrap_err();
    let limit = 4 << 20;
    assert!(
        matches!(error, MessageError::TooLong { limit: told } if told == limit),
        "{error}"
    );
    nothing_comes(&there).await;
    let next = soon(secs(5), "its room", here.send(Label::ANY, vec![1; 4 << 20])).await?;
    assert_eq!(ids(&receive(&there, 1).await), [next]);
    Ok(())
}

#[mancom::test]
async fn a_writer_whose_message_was_given_up_is_told(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://told").await?;
    let mut writer = here.message(Label::ANY).lifetime(secs(2)).await?;
    writer.write_all(b"half a ").await?;
    sleep(secs(3)).await;
    let error = writer.write_all(b"word").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, MessageError::Expired), "{error}");

    let mut writer = here.message(Label::ANY).await?;
    writer.write_all(b"half a ").await?;
    here.cancel(writer.id()).await?;
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, MessageError::Cancelled), "{error}");

    let cellular = Label::new().require(Prop::Cellular);
    let first = here.send(cellular, &b"never"[..]).await?;
    let mut writer = here.message(Label::ANY).after([first]).await?;
    let id = writer.id();
    writer.write_all(b"half a ").await?;
    here.cancel(first).await?;
    for error in [
        writer.finish().await.unwrap_err(),
        here.delivered(id).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, MessageError::DependencyLost(lost) if lost == first),
            "{error}"
        );
    }
    nothing_comes(&there).await;
    Ok(())
}

// behaviour: S21
#[mancom::test]
async fn a_writer_waits_for_room_and_goes_on_when_the_peer_receives(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://pieces").await?;
    // 4 MiB of others, that nobody receives.
    for _ in 0..4 {
        let others = here.send(Label::ANY, vec![1; 1 << 20]);
        soon(secs(30), "room for it", others).await?;
    }
    let mut writer = here.message(Label::ANY).await?;
    let writing = async {
        for _ in 0..8 {
            writer.write_all(&vec![2; 256 << 10]).await?;
        }
        writer.finish().await.map_err(std::io::Error::from)
    };
    let (id, received) = tokio::join!(writing, receive(&there, 5));
    let last = received.last().expect("five came");
    assert_eq!((last.id, last.bytes.len()), (id?, 2 << 20));
    Ok(())
}
