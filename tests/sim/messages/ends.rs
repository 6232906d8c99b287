//! What becomes of messages when handles, sessions and graces end.

use mancom::testing::Networks;
use mancom::{Label, MessageError, SessionError};
use tokio::time::{Instant, sleep};

use super::{Two, WIFI, ids, receive, two};
use crate::support::{Outcome, cellular, millis, secs, settle, soon, wifi, world};

// behaviour: S19
#[mancom::test]
async fn dropping_every_handle_loses_no_message_that_was_taken(networks: Networks) -> Outcome {
    for (turn, outage) in [(0, false), (1, true)] {
        networks.up(wifi());
        let Two {
            near,
            far,
            here,
            there,
        } = two(&format!("mem://last{turn}")).await?;
        let mut sent = Vec::new();
        for _ in 0..20 {
            sent.push(here.send(Label::ANY, vec![1; 50_000]).await?);
        }
        let began = Instant::now();
        drop((near, here));
        assert_eq!(began.elapsed(), millis(0), "a drop never blocks");
        if outage {
            networks.down("wlan0");
            sleep(secs(300)).await;
            networks.up(cellular());
        }
        drop(far);
        assert_eq!(ids(&receive(&there, 20).await), sent);
        // Then the session is closed, and that is an end as it should be.
        let end = soon(secs(10), "the end", there.recv()).await.unwrap_err();
        assert!(end.is_closed(), "{end}");
        assert!(mancom::Error::from(end).is_closed());
        networks.down("wwan0");
    }
    Ok(())
}

#[mancom::test]
async fn what_arrived_before_the_end_is_still_received(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        near,
        far,
        here,
        there,
    } = two("mem://still").await?;
    let id = here.send(Label::ANY, &b"x"[..]).await?;
    drop(far);
    drop(near);
    let closed = tokio::spawn(here.close());
    soon(secs(10), "the close", closed).await.unwrap()?;
    sleep(secs(10)).await;
    assert_eq!(ids(&receive(&there, 1).await), [id]);
    for _ in 0..2 {
        let end = there.recv().await.unwrap_err();
        assert!(matches!(end, SessionError::Closed), "{end}");
    }
    here.delivered(id).await?;
    Ok(())
}

// behaviour: S19
#[mancom::test]
async fn a_close_waits_until_messages_are_settled(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two {
        near,
        far,
        here,
        there,
    } = two("mem://close").await?;
    drop((near, far));
    let waits = here.send(WIFI, &b"waits"[..]).await?;
    let closing = tokio::spawn(here.close());
    sleep(secs(60)).await;
    assert!(!closing.is_finished());
    let error = here.send(Label::ANY, &b"late"[..]).await.unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(here.message(Label::ANY).await.is_err());
    networks.up(wifi());
    assert_eq!(ids(&receive(&there, 1).await), [waits]);
    soon(secs(2), "the close", closing).await.unwrap()?;
    here.delivered(waits).await?;
    assert!(there.recv().await.unwrap_err().is_closed());
    Ok(())
}

#[mancom::test]
async fn a_close_waits_for_who_writes_a_message(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        near,
        far,
        here,
        there: _there,
    } = two("mem://held").await?;
    let writer = here.message(Label::ANY).await?;
    drop((near, far));
    let closing = tokio::spawn(here.close());
    sleep(secs(60)).await;
    assert!(!closing.is_finished());
    drop(writer);
    soon(secs(2), "the close", closing).await.unwrap()?;
    Ok(())
}

#[mancom::test]
async fn a_close_turns_away_those_who_wait_for_room(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://away").await?;
    let mut taken = 0;
    let waiting = loop {
        let send = tokio::spawn(here.send(Label::ANY, vec![1; 1 << 20]).into_future());
        sleep(secs(5)).await;
        if !send.is_finished() {
            break send;
        }
        taken += 1;
        assert!(taken < 50);
    };
    let closing = tokio::spawn(here.close());
    let error = soon(secs(1), "its end", waiting).await.unwrap();
    assert!(
        matches!(&error, Err(error) if error.is_closed()),
        "{error:?}"
    );
    receive(&there, taken).await;
    settle().await;
    closing.abort();
    Ok(())
}

// behaviour: I4 S2 EV-19
#[mancom::test]
async fn a_session_that_dies_says_what_may_have_arrived() -> Outcome {
    let (manager, networks, _faults) = world().await;
    networks.up(cellular());
    let listener = manager.listen("mem://dies").await?;
    let near = manager.connect("mem://dies").grace(secs(100)).await?;
    let far = listener.accept().await?;
    let (here, there) = (near.session(), far.session());
    let delivered = here.send(Label::ANY, &b"delivered"[..]).await?;
    here.delivered(delivered).await?;
    let half = here.send(Label::ANY, vec![1; 1_000_000]).await?;
    let unsent = here.send(WIFI, &b"unsent"[..]).after([]).await?;
    let receiving = tokio::spawn(async move {
        let first = there.recv().await;
        (first, there.recv().await)
    });
    sleep(millis(300)).await;
    networks.down("wwan0");
    let lost = Instant::now();
    let waiting = tokio::spawn(here.delivered(half));
    let half_told = soon(secs(200), "its fate", waiting).await.unwrap();
    assert_eq!(lost.elapsed().as_secs(), 100);
    let Err(MessageError::Lost {
        maybe_delivered: true,
        session: SessionError::GraceExpired { .. },
    }) = half_told
    else {
        panic!("{half_told:?}");
    };
    let unsent_told = here.delivered(unsent).await;
    let Err(error) = &unsent_told else {
        panic!("it cannot be there");
    };
    assert!(error.is_timed_out() && !error.is_closed(), "{error}");
    assert!(error.blocked().is_some(), "{error}");
    assert!(
        matches!(
            error,
            MessageError::Lost {
                maybe_delivered: false,
                ..
            }
        ),
        "{error}"
    );
    here.delivered(delivered).await?;
    assert!(matches!(
        here.cancel(half).await,
        Err(MessageError::Lost { .. })
    ));
    let late = here.send(Label::ANY, &b"late"[..]).await.unwrap_err();
    assert!(matches!(
        late,
        MessageError::Closed(SessionError::GraceExpired { .. })
    ));
    let (first, end) = soon(secs(100), "the other end", receiving).await.unwrap();
    assert_eq!(first?.id, delivered);
    assert!(mancom::Error::from(end.unwrap_err()).is_timed_out());
    Ok(())
}

#[mancom::test]
async fn messages_to_someone_who_left_are_not_waited_for(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        near,
        far,
        here,
        there,
    } = two("mem://left").await?;
    drop((far, there));
    settle().await;
    // Nobody is there who could receive it: it is delivered to the library, or lost with the session.
    let sent = here.send(Label::ANY, &b"x"[..]).await;
    drop(near);
    if let Ok(id) = sent {
        let told = soon(secs(30), "its fate", here.delivered(id)).await;
        assert!(
            matches!(told, Ok(()) | Err(MessageError::Lost { .. })),
            "{told:?}"
        );
    }
    let end = soon(secs(30), "the end", here.recv()).await.unwrap_err();
    assert!(end.is_closed(), "{end}");
    Ok(())
}
