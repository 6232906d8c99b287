//! Waiting for a network as the whole shows it: connects that wait, are hurried, explained, given up.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures::poll;
use mancom::label::matching::Reason;
use mancom::{ConnectError, Label, Manager, MatchError, Network, Prop, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{Outcome, cellular, millis, on, secs, settle, soon, wifi};

const WIFI: Label = Label::new().require(Prop::Wifi);

// behaviour: W1 W3 I6
#[mancom::test]
async fn a_connect_waits_for_its_network_and_goes_on_with_it(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let listener = mancom::listen("mem://wifi-only").await?;
    let connect = mancom::connect("mem://wifi-only").label(WIFI);
    let operation = connect.operation();
    let connecting = tokio::spawn(connect.into_future());
    sleep(secs(3600)).await;
    assert!(!connecting.is_finished());
    let blocked = operation.blocked().expect("it waits");
    assert_eq!(blocked.networks[0].network.name(), "wwan0");
    assert!(matches!(
        blocked.networks[0].reasons[..],
        [Reason::Kind { .. }]
    ));
    networks.up(wifi());
    let up = Instant::now();
    let near = connecting.await.unwrap()?;
    // A dial and two messages there and back at 20 ms.
    assert!(up.elapsed() <= millis(70), "{:?}", up.elapsed());
    assert_eq!(on(&near), ["wlan0"]);
    assert!(operation.blocked().is_none());
    // What is up already is not waited for.
    let began = Instant::now();
    mancom::connect("mem://wifi-only").label(WIFI).await?;
    assert!(began.elapsed() <= millis(70));
    drop(listener);
    Ok(())
}

// behaviour: W4 C1
#[mancom::test]
async fn before_the_first_scan_a_connect_says_that_the_scout_is_starting() -> Outcome {
    let manager = Manager::builder().scout(Scout::system()).build().await?;
    // The first poll comes before the scout's task ran.
    let mut matching = manager.matching(Label::ANY).into_future();
    let operation = matching.operation();
    assert!(poll!(&mut matching).is_pending());
    let blocked = operation.blocked().expect("it waits");
    assert!(!blocked.complete);
    assert_eq!(blocked.reasons, [Reason::ScoutStarting]);
    Ok(())
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

// behaviour: W5 W8
#[mancom::test]
async fn a_network_that_does_not_match_wakes_no_connect(
    networks: mancom::testing::Networks,
) -> Outcome {
    let _listener = mancom::listen("mem://quiet").await?;
    let count = Arc::new(Count(AtomicU32::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut connecting = mancom::connect("mem://quiet").label(WIFI).into_future();
    let poll =
        |op: &mut mancom::Op<_>| std::pin::Pin::new(op).poll(&mut Context::from_waker(&waker));
    assert!(poll(&mut connecting).is_pending());
    for turn in 0..100 {
        networks.up(Network::cellular(format!("wwan{turn}")));
        networks.up(Network::ethernet(format!("eth{turn}")));
        settle().await;
    }
    sleep(secs(24 * 3600)).await;
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    networks.up(wifi());
    settle().await;
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    Ok(())
}

// behaviour: W6
#[mancom::test]
async fn a_match_that_vanished_before_the_poll_is_not_used(
    networks: mancom::testing::Networks,
) -> Outcome {
    let _listener = mancom::listen("mem://stale").await?;
    let mut connecting = mancom::connect("mem://stale").label(WIFI).into_future();
    assert!(poll!(&mut connecting).is_pending());
    for _ in 0..20 {
        networks.up(wifi());
        settle().await;
        networks.down("wlan0");
        assert!(poll!(&mut connecting).is_pending());
    }
    networks.up(Network::wifi("wlan1"));
    let near = soon(secs(1), "the connect", connecting).await?;
    assert_eq!(on(&near), ["wlan1"]);
    Ok(())
}

// behaviour: W9
#[mancom::test]
async fn of_several_the_best_is_used(networks: mancom::testing::Networks) -> Outcome {
    networks.up(cellular());
    networks.up(wifi().rtt(millis(30)));
    networks.up(Network::ethernet("eth0").rtt(millis(300)));
    let _listener = mancom::listen("mem://best").await?;
    assert_eq!(on(&mancom::connect("mem://best").await?), ["wlan0"]);
    let cheap = Label::new().prefer(Prop::Ethernet);
    assert_eq!(
        on(&mancom::connect("mem://best").label(cheap).await?),
        ["eth0"]
    );
    let spare = Label::new().avoid(Prop::Wifi).avoid(Prop::Ethernet);
    assert_eq!(
        on(&mancom::connect("mem://best").label(spare).await?),
        ["wwan0"]
    );
    Ok(())
}

// behaviour: W10 I10
#[mancom::test]
async fn connects_of_one_label_arrive_in_the_order_they_waited(
    networks: mancom::testing::Networks,
) -> Outcome {
    let listener = mancom::listen("mem://line").await?;
    let mut waiting = Vec::new();
    for n in 0..200_u32 {
        waiting.push(tokio::spawn(async move {
            let mut near = mancom::connect("mem://line").label(WIFI).await?;
            near.write_u32(n).await?;
            Ok::<_, mancom::Error>(near)
        }));
        settle().await;
    }
    for _ in 0..10 {
        networks.up(Network::wifi("wlan0"));
        networks.down("wlan0");
    }
    networks.up(Network::wifi("wlan0"));
    let mut order = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut far = soon(secs(10), "one more", listener.accept()).await?;
        order.push(far.read_u32().await?);
        streams.push(far);
    }
    assert!(order.is_sorted(), "{order:?}");
    Ok(())
}

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

/// A port at which nobody listens.
const CLOSED: &str = "mem://nobody";

// behaviour: D1 X2
#[mancom::test]
async fn a_deadline_while_waiting_lists_every_network(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    networks.up(Network::ethernet("eth0"));
    networks.up(Network::wifi("wlan0"));
    networks.down("wlan0");
    let began = Instant::now();
    let error = mancom::connect(CLOSED)
        .label(WIFI)
        .within(secs(7))
        .await
        .unwrap_err();
    assert_eq!(began.elapsed(), secs(7));
    assert!(error.is_timed_out());
    let blocked = error.blocked().expect("the reasons");
    let waited = blocked.waited.expect("it waited");
    assert!(waited.abs_diff(secs(7)) < millis(2), "{waited:?}");
    assert_eq!(
        blocked.generation,
        Manager::current()?.snapshot().generation()
    );
    let names: Vec<_> = blocked
        .networks
        .iter()
        .map(|refusal| refusal.network.name())
        .collect();
    assert_eq!(names, ["wwan0", "eth0", "wlan0"]);
    assert!(
        blocked
            .networks
            .iter()
            .all(|refusal| !refusal.reasons.is_empty())
    );
    let changes: Vec<_> = blocked
        .history
        .iter()
        .map(|shift| (shift.network.as_str(), shift.was.word(), shift.now.word()))
        .collect();
    assert_eq!(
        changes,
        [
            ("wwan0", "absent", "refused"),
            ("eth0", "absent", "refused"),
            ("wlan0", "absent", "admitted"),
            ("wlan0", "admitted", "refused"),
        ]
    );
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
    Ok(())
}

// behaviour: D2
#[mancom::test]
async fn one_budget_covers_waiting_dialling_and_the_handshake(
    networks: mancom::testing::Networks,
) -> Outcome {
    let _listener = mancom::listen("mem://budget").await?;
    let began = Instant::now();
    let connecting = tokio::spawn(
        mancom::connect("mem://budget")
            .within(secs(4))
            .into_future(),
    );
    sleep(secs(3)).await;
    networks.up(wifi());
    // It matches, is dialled, and says nothing.
    networks.stall("wlan0", true);
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), secs(4));
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    assert!(error.is_timed_out());
    Ok(())
}

// behaviour: D4
#[mancom::test]
async fn a_refusal_is_tried_again_a_few_times_and_then_told(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let began = Instant::now();
    let error = mancom::connect(CLOSED).await.unwrap_err();
    assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    assert!(
        began.elapsed() > millis(300),
        "not in haste: {:?}",
        began.elapsed()
    );
    let ConnectError::Failed { attempts, .. } = &error else {
        panic!("{error}")
    };
    assert!(attempts.len() > 1, "more than once: {error}");
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.network.as_deref() == Some("wlan0"))
    );
    assert_eq!(
        std::io::Error::from(error).kind(),
        ErrorKind::ConnectionRefused
    );
    Ok(())
}

// behaviour: D5
#[mancom::test]
async fn where_one_network_refuses_another_that_matches_is_tried(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let error = mancom::connect(CLOSED).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("wlan0: ") && text.contains("wwan0: "),
        "both outcomes: {text}"
    );

    // Listened at on one of them alone.
    let listener = mancom::listen("mem://one")
        .label(Label::new().require(Prop::Cellular))
        .await?;
    let near = mancom::connect("mem://one").await?;
    assert_eq!(on(&near), ["wwan0"]);
    drop((near, listener));
    Ok(())
}

// behaviour: D8
#[mancom::test]
async fn the_looser_label_of_a_connect_takes_over_exactly_then(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular().rtt(Duration::ZERO));
    let _listener = mancom::listen("mem://relaxed").await?;
    let began = Instant::now();
    let near = mancom::connect("mem://relaxed")
        .label(WIFI)
        .relax_after(secs(20), Label::BACKGROUND)
        .await?;
    assert_eq!(began.elapsed().as_millis() / 10, 2_000);
    assert_eq!(near.label(), Label::BACKGROUND);

    let ethernet = Label::new().require(Prop::Ethernet);
    let connect = mancom::connect("mem://relaxed")
        .label(WIFI)
        .relax_after(secs(20), ethernet)
        .within(secs(30));
    let error = connect.await.unwrap_err();
    let blocked = error.blocked().expect("the reasons");
    assert_eq!(blocked.label, ethernet);
    assert_eq!(
        blocked
            .relaxed
            .as_ref()
            .expect("the first label's too")
            .label,
        WIFI
    );
    Ok(())
}
