//! Messages that do not arrive: expired, cancelled, or with something they come after.

use futures::poll;
use mancom::stream::Fate;
use mancom::testing::Networks;
use mancom::{Label, MessageError};
use tokio::time::{Instant, sleep};

use super::{Two, UNMETERED, WIFI, ids, nothing_comes, receive, two};
use crate::support::{Outcome, cellular, millis, secs, sent_over, settle, soon, wifi};

// behaviour: D6 I9
#[mancom::test]
async fn an_expired_message_is_never_sent(networks: Networks) -> Outcome {
    networks.up(cellular().metered(true));
    let Two {
        near, here, there, ..
    } = two("mem://expires").await?;
    let began = Instant::now();
    let id = here
        .send(UNMETERED, vec![1; 1_000])
        .lifetime(secs(5))
        .await?;
    let behind = here.send(Label::ANY, vec![2; 1_000]).after([id]).await?;
    let beside = here.send(Label::ANY, vec![3; 1_000]).await?;
    let error = here.delivered(id).await.unwrap_err();
    assert!(matches!(error, MessageError::Expired), "{error}");
    assert!(error.is_timed_out());
    assert_eq!(began.elapsed().as_secs(), 5);
    // What it was named by is not dropped silently; what merely followed it goes on.
    let error = soon(secs(1), "its fate", here.delivered(behind)).await;
    assert!(
        matches!(error, Err(MessageError::DependencyLost(lost)) if lost == id),
        "{error:?}"
    );
    networks.up(wifi());
    assert_eq!(ids(&receive(&there, 1).await), [beside]);
    nothing_comes(&there).await;
    assert_eq!(sent_over(&near, "wwan0") + sent_over(&near, "wlan0"), 1_000);
    Ok(())
}

// behaviour: D6
#[mancom::test]
async fn a_lifetime_runs_out_through_an_outage_and_after_the_first_byte_too(
    networks: Networks,
) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://outage").await?;
    // Half of it goes out, then nothing does.
    let half = here
        .send(Label::ANY, vec![1; 1_000_000])
        .lifetime(secs(10))
        .await?;
    sleep(millis(300)).await;
    networks.down("wwan0");
    let unsent = here
        .send(Label::ANY, vec![2; 10])
        .after([])
        .lifetime(secs(10))
        .await?;
    let alive = here.send(Label::ANY, vec![3; 10]).after([]).await?;
    let unsent = soon(secs(11), "the unsent", here.delivered(unsent)).await;
    assert!(matches!(unsent, Err(MessageError::Expired)), "{unsent:?}");
    sleep(secs(60)).await;
    // The peer may have had it: nobody can say before it does.
    assert!(poll!(here.delivered(half)).is_pending());
    networks.up(cellular());
    let half = soon(secs(2), "the half sent", here.delivered(half)).await;
    assert!(matches!(half, Err(MessageError::Expired)), "{half:?}");
    assert_eq!(ids(&receive(&there, 1).await), [alive]);
    nothing_comes(&there).await;
    Ok(())
}

#[mancom::test]
async fn a_lifetime_that_is_over_takes_no_message(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://over").await?;
    let error = here.send(Label::ANY, vec![1; 10]).lifetime(secs(0)).await;
    assert!(matches!(error, Err(MessageError::Expired)), "{error:?}");
    // Delivered in time, it is not taken back.
    let id = here.send(Label::ANY, vec![1; 10]).lifetime(secs(1)).await?;
    sleep(secs(10)).await;
    here.delivered(id).await?;
    assert_eq!(ids(&receive(&there, 1).await), [id]);
    Ok(())
}

// behaviour: I9 I4
#[mancom::test]
async fn a_cancel_before_the_first_byte_is_final_at_once(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two {
        near, here, there, ..
    } = two("mem://early").await?;
    let id = here.send(WIFI, vec![1; 1_000]).await?;
    let child = here
        .send(Label::INTERACTIVE, vec![2; 1_000])
        .after([id])
        .await?;
    let grandchild = here
        .send(Label::BACKGROUND, vec![3; 1_000])
        .after([child])
        .await?;
    let waiting = tokio::spawn(here.delivered(grandchild));
    settle().await;
    let began = Instant::now();
    assert_eq!(here.cancel(id).await?, Fate::Withdrawn);
    let error = soon(secs(1), "the last in line", waiting).await.unwrap();
    assert!(
        matches!(error, Err(MessageError::DependencyLost(_))),
        "{error:?}"
    );
    assert!(matches!(
        here.delivered(id).await,
        Err(MessageError::Cancelled)
    ));
    let error = here.send(Label::ANY, &b"x"[..]).after([id]).await;
    assert!(
        matches!(error, Err(MessageError::DependencyLost(_))),
        "{error:?}"
    );
    assert_eq!(began.elapsed(), millis(0));
    networks.up(wifi());
    nothing_comes(&there).await;
    assert_eq!(sent_over(&near, "wwan0") + sent_over(&near, "wlan0"), 0);
    assert_eq!(
        here.cancel(child).await?,
        Fate::Withdrawn,
        "it is so already"
    );
    Ok(())
}

// behaviour: I4
#[mancom::test]
async fn a_cancel_after_the_first_byte_is_the_peers_to_answer(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://late").await?;
    let id = here.send(Label::ANY, vec![1; 1_000_000]).await?;
    let child = here.send(Label::ANY, vec![2; 10]).after([id]).await?;
    sleep(millis(300)).await;
    networks.down("wwan0");
    let mut cancelling = here.cancel(id);
    assert!(
        tokio::time::timeout(secs(60), &mut cancelling)
            .await
            .is_err()
    );
    networks.up(cellular());
    let fate = soon(secs(2), "the answer", cancelling).await?;
    assert_eq!(fate, Fate::Withdrawn);
    let child = soon(secs(2), "its child", here.delivered(child)).await;
    assert!(
        matches!(child, Err(MessageError::DependencyLost(_))),
        "{child:?}"
    );
    let next = here.send(Label::ANY, &b"next"[..]).await?;
    assert_eq!(ids(&receive(&there, 1).await), [next]);
    nothing_comes(&there).await;
    Ok(())
}

#[mancom::test]
async fn a_cancel_too_late_says_so_and_the_message_is_received(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://too-late").await?;
    let id = here.send(Label::ANY, &b"there"[..]).await?;
    here.delivered(id).await?;
    assert_eq!(here.cancel(id).await?, Fate::Delivered);
    // On its way whole: the peer says that it was there first.
    let other = here.send(Label::ANY, &b"too"[..]).await?;
    let fate = soon(secs(1), "the answer", here.cancel(other)).await?;
    let received = ids(&receive(&there, 1).await);
    assert_eq!(received, [id]);
    match fate {
        Fate::Delivered => assert_eq!(ids(&receive(&there, 1).await), [other]),
        _ => nothing_comes(&there).await,
    }
    Ok(())
}

#[mancom::test]
async fn a_cancel_goes_on_when_its_future_is_dropped(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://dropped").await?;
    let id = here.send(Label::ANY, vec![1; 1_000_000]).await?;
    sleep(millis(300)).await;
    let mut cancelling = here.cancel(id);
    assert!(poll!(&mut cancelling).is_pending());
    drop(cancelling);
    let fate = soon(secs(2), "its fate", here.delivered(id)).await;
    assert!(matches!(fate, Err(MessageError::Cancelled)), "{fate:?}");
    nothing_comes(&there).await;
    Ok(())
}

#[mancom::test]
async fn another_label_lets_a_waiting_message_go(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://relabel").await?;
    let id = here.send(WIFI, &b"x"[..]).await?;
    sleep(secs(60)).await;
    assert!(poll!(here.delivered(id)).is_pending());
    here.relabel(id, Label::BACKGROUND).await?;
    soon(secs(1), "its delivery", here.delivered(id)).await?;
    let message = &receive(&there, 1).await[0];
    assert_eq!((message.id, message.label), (id, Label::BACKGROUND));
    // And a stricter one holds it.
    networks.down("wwan0");
    settle().await;
    let id = here.send(Label::ANY, &b"y"[..]).await?;
    here.relabel(id, WIFI).await?;
    networks.up(cellular());
    sleep(secs(60)).await;
    assert!(poll!(here.delivered(id)).is_pending());
    networks.up(wifi());
    soon(secs(2), "its delivery", here.delivered(id)).await?;
    assert_eq!(receive(&there, 1).await[0].label, WIFI);
    Ok(())
}

#[mancom::test]
async fn a_message_on_its_way_keeps_its_label(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://keeps").await?;
    let id = here.send(Label::ANY, vec![1; 1_000_000]).await?;
    sleep(millis(300)).await;
    for _ in 0..2 {
        let error = here.relabel(id, WIFI).await;
        assert!(matches!(error, Err(MessageError::AlreadySent)), "{error:?}");
        soon(secs(5), "its delivery", here.delivered(id)).await?;
    }
    assert_eq!(receive(&there, 1).await[0].label, Label::ANY);
    Ok(())
}

// behaviour: I4
#[mancom::test]
async fn who_waits_is_told_however_much_was_settled_since(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two {
        near: _near, here, ..
    } = two("mem://told").await?;
    let id = here.send(WIFI, &b"old"[..]).after([]).await?;
    let mut waiting = here.delivered(id);
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!(here.cancel(id).await?, Fate::Withdrawn);
    for _ in 0..(16 << 10) {
        let id = here.send(WIFI, &b"x"[..]).after([]).await?;
        assert_eq!(here.cancel(id).await?, Fate::Withdrawn);
    }
    let late = here.delivered(id).await;
    assert!(matches!(late, Err(MessageError::Unknown)), "{late:?}");
    let error = waiting.await;
    assert!(matches!(error, Err(MessageError::Cancelled)), "{error:?}");
    Ok(())
}
