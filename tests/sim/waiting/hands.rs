//! What whoever started it does to a wait: forbids it, hurries it, withdraws it.

use std::time::Duration;

use futures::poll;
use mancom::{ConnectError, Label, MatchError, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::WIFI;
use crate::support::{Outcome, cellular, secs, settle, soon, wifi};

// behaviour: W11
#[mancom::test]
async fn told_not_to_wait_a_connect_ends_in_its_first_poll(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let mut connecting = mancom::connect("mem://now")
        .label(WIFI)
        .no_wait()
        .into_future();
    let std::task::Poll::Ready(result) = poll!(&mut connecting) else {
        panic!("it waits")
    };
    let error = result.unwrap_err();
    let blocked = error.blocked().expect("the reasons");
    assert_eq!(blocked.networks.len(), 1);
    assert!(
        matches!(error, ConnectError::Match(MatchError::NoMatch(_))),
        "{error}"
    );
    Ok(())
}

// behaviour: W12
#[mancom::test]
async fn a_nudge_of_a_waiting_connect_is_harmless_and_of_a_backing_off_one_a_retry(
    networks: mancom::testing::Networks,
) -> Outcome {
    let connect = mancom::connect("mem://nudged").label(WIFI);
    let operation = connect.operation();
    operation.nudge();
    let connecting = tokio::spawn(connect.into_future());
    settle().await;
    operation.nudge();
    settle().await;
    assert!(!connecting.is_finished());
    networks.up(Network::wifi("wlan0"));
    // Nobody listens yet: refused, and it waits for its next round.
    settle().await;
    assert!(!connecting.is_finished());
    let _listener = mancom::listen("mem://nudged").await?;
    let nudged = Instant::now();
    operation.nudge();
    connecting.await.unwrap()?;
    assert_eq!(nudged.elapsed(), Duration::ZERO);
    operation.nudge();
    Ok(())
}

#[mancom::test]
async fn pending_connects_are_withdrawn_by_label_by_id_and_by_handle() -> Outcome {
    let by_label: Vec<_> = (0..5)
        .map(|_| tokio::spawn(mancom::connect("mem://c").label(WIFI).into_future()))
        .collect();
    let others = [(), ()].map(|()| mancom::connect("mem://c").label(Label::BACKGROUND));
    let operations = [others[0].operation(), others[1].operation()];
    let others = others.map(|connect| tokio::spawn(connect.into_future()));
    settle().await;
    assert_eq!(mancom::cancel(WIFI), 5);
    for cancelled in by_label {
        let error = cancelled.await.unwrap().unwrap_err();
        assert!(
            matches!(error, ConnectError::Match(MatchError::Cancelled)),
            "{error}"
        );
    }
    assert!(!others[0].is_finished() && !others[1].is_finished());
    assert_eq!(mancom::cancel(operations[0].id()), 1);
    assert_eq!(mancom::cancel(operations[0].id()), 0, "it waits no more");
    assert_eq!(mancom::cancel(&operations[1]), 1);
    for cancelled in others {
        assert!(cancelled.await.unwrap().is_err());
    }
    Ok(())
}

// behaviour: W1 W3
#[mancom::test]
async fn an_open_waits_for_its_label_while_its_session_goes_on(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let (mut near, mut far) = crate::support::joined("mem://open", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let opening = tokio::spawn(here.open(WIFI).into_future());
    near.write_all(b"meanwhile").await?;
    let mut buf = [0; 9];
    far.read_exact(&mut buf).await?;
    sleep(secs(60)).await;
    assert!(!opening.is_finished());
    let late = here.open(WIFI).within(secs(1)).await.unwrap_err();
    assert!(mancom::Error::from(late).is_timed_out());
    assert!(here.open(WIFI).no_wait().await.is_err());
    let relaxed = here.open(WIFI).relax_after(secs(5), Label::ANY).await?;
    assert_eq!(relaxed.label(), Label::ANY);
    drop((
        relaxed,
        soon(secs(1), "the relaxed one", there.accept()).await?,
    ));
    networks.up(wifi());
    let mut opened = soon(secs(1), "the open", opening).await.unwrap()?;
    let mut taken = soon(secs(1), "its other end", there.accept()).await?;
    assert_eq!(taken.label(), WIFI);
    opened.write_all(b"over wifi").await?;
    soon(secs(10), "its bytes", taken.read_exact(&mut buf)).await?;
    assert_eq!(&buf, b"over wifi");
    assert_eq!(crate::support::sent_over(&near, "wwan0"), 9);
    Ok(())
}
