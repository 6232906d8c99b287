//! Which networks end a wait, when, and in whose favour.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

use futures::poll;
use mancom::label::matching::Reason;
use mancom::{Label, Manager, Network, Prop, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::WIFI;
use crate::support::{Outcome, cellular, millis, on, secs, settle, soon, wifi};

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
