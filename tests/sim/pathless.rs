//! Sessions that no network carries: listed, explained, hurried and withdrawn as any operation.

use mancom::hooks::{Carried, Connection, Hook, Resume};
use mancom::label::matching::{Destination, Reason};
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Listener, Manager, McStream, Prop, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::line::{self, Exchange};
use crate::support::{
    Chance, Outcome, cellular, drain, joined, millis, on, secs, settle, soon, wifi,
};

const WIFI: Label = Label::new().require(Prop::Wifi);

// behaviour: X1 X4
#[mancom::test]
async fn a_session_without_a_network_is_listed_with_its_reasons_until_it_has_one(
    networks: Networks,
) -> Outcome {
    let manager = Manager::current()?;
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://listed", WIFI).await?;
    let operation = near.session().operation();
    settle().await;
    assert!(manager.pending().is_empty(), "a path carries it");
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..3 {
        networks.up(cellular());
        networks.down("wlan0");
        sleep(secs(90)).await;
        let pending = manager.pending();
        let [listed] = &pending[..] else {
            panic!("one session: {pending:?}")
        };
        assert_eq!((listed.id, listed.label), (operation.id(), WIFI));
        assert_eq!(listed.kind, "stream");
        assert_eq!(listed.destination, Destination::Name);
        let (age, left) = (listed.age, listed.deadline.expect("its grace"));
        assert!(age.abs_diff(secs(90)) < millis(1), "{age:?}");
        assert!(left.abs_diff(secs(600 - 90)) < millis(1), "{left:?}");
        let blocked = listed.blocked.as_ref().expect("it waits");
        let hint = blocked.hint();
        assert!(
            hint.starts_with("needs wifi; wlan0 exists but is down"),
            "{hint}"
        );
        let mut refusals = blocked.networks.iter();
        let cellular = refusals.find(|refusal| refusal.network.name() == "wwan0");
        let reasons = &cellular.expect("it is up").reasons;
        assert!(matches!(reasons[..], [Reason::Kind { .. }]), "{reasons:?}");
        assert_eq!(
            operation.blocked().expect("it waits").hint(),
            blocked.hint()
        );
        // Harmless while nothing matches.
        operation.nudge();
        settle().await;
        assert_eq!(manager.pending().len(), 1);
        networks.up(wifi());
        near.write_all(b"through").await?;
        let mut read = [0; 7];
        soon(secs(1), "the bytes", far.read_exact(&mut read)).await?;
        assert!(manager.pending().is_empty() && operation.blocked().is_none());
        networks.down("wwan0");
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    networks.down("wlan0");
    settle().await;
    assert_eq!(manager.pending().len(), 1);
    drop((near, far));
    sleep(secs(700)).await;
    assert!(manager.pending().is_empty(), "its grace is over");
    assert_eq!(mancom::cancel(WIFI), 0);
    Ok(())
}

// behaviour: X1
#[mancom::test]
async fn a_session_whose_networks_do_not_fit_its_new_label_is_listed_too(
    networks: Networks,
) -> Outcome {
    let manager = Manager::current()?;
    networks.up(cellular());
    let (mut near, _far) = joined("mem://relabelled", Label::ANY).await?;
    near.set_label(WIFI);
    settle().await;
    let pending = manager.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!((pending[0].label, pending[0].deadline), (WIFI, None));
    networks.down("wwan0");
    settle().await;
    assert!(manager.pending()[0].deadline.is_some(), "the grace runs");
    networks.up(cellular());
    sleep(secs(1)).await;
    assert_eq!(manager.pending().len(), 1);
    near.set_label(Label::ANY);
    sleep(secs(1)).await;
    assert!(manager.pending().is_empty());
    Ok(())
}

/// A session over wifi: its listener and both ends.
async fn over_line(
    manager: &Manager,
    networks: &Networks,
) -> Result<(Listener, McStream, McStream), mancom::Error> {
    networks.up(wifi());
    let listener = manager.listen("mc+line://server").plaintext().await?;
    let near = manager.connect("mc+line://server").plaintext().await?;
    let far = listener.accept().await?;
    Ok((listener, near, far))
}

/// Wifi goes, and when it is back every attempt is refused, until far into the back-off.
async fn refuse_for_long(networks: &Networks, exchange: &Exchange) {
    exchange.refusing.lock().unwrap().insert("wlan0".into());
    networks.down("wlan0");
    settle().await;
    networks.up(wifi());
    sleep(secs(120)).await;
}

// behaviour: X1 W12
#[mancom::test]
async fn a_nudge_ends_the_back_off_of_a_session_at_once() -> Outcome {
    let (manager, networks, exchange) = line::world().await;
    let (_listener, near, _far) = over_line(&manager, &networks).await?;
    let operation = near.session().operation();
    settle().await;
    let tried = exchange.tried();
    operation.nudge();
    settle().await;
    assert_eq!(exchange.tried(), tried, "it has its path");

    refuse_for_long(&networks, &exchange).await;
    let tried = exchange.tried();
    let pending = manager.pending();
    assert_eq!(pending.len(), 1, "it is listed there too: {pending:?}");
    assert_eq!((pending[0].id, pending[0].kind), (operation.id(), "stream"));
    assert!(pending[0].blocked.is_none(), "it has a network");
    sleep(secs(1)).await;
    let tried = exchange.tried().max(tried);
    operation.nudge();
    settle().await;
    assert_eq!(exchange.tried(), tried + 1, "tried at once, and refused");
    assert_eq!(manager.pending().len(), 1);
    exchange.refusing.lock().unwrap().clear();
    let nudged = Instant::now();
    operation.nudge();
    // A dial and two messages there and back at 20 ms.
    soon(secs(1), "the path", async {
        while on(&near).is_empty() {
            sleep(millis(5)).await;
        }
    })
    .await;
    assert!(nudged.elapsed() <= millis(70), "{:?}", nudged.elapsed());
    assert!(manager.pending().is_empty());
    Ok(())
}

struct Continue;

impl Hook for Continue {
    async fn setup(&mut self, _: &mut dyn Connection, _: Carried) -> std::io::Result<Resume> {
        Ok(Resume::Continue)
    }
}

// behaviour: X1 W12
#[mancom::test]
async fn a_plain_stream_that_is_rebuilt_is_listed_and_nudged_by_its_session() -> Outcome {
    let (manager, networks, exchange) = line::world().await;
    networks.up(wifi());
    let _listener = manager.listen("line://server").await?;
    let near = manager.connect("line://server").reconnect(Continue).await?;
    let operation = near.session().operation();
    networks.down("wlan0");
    settle().await;
    let pending = manager.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!((pending[0].id, pending[0].kind), (operation.id(), "resume"));
    exchange.refusing.lock().unwrap().insert("wlan0".into());
    networks.up(wifi());
    sleep(secs(120)).await;
    let tried = exchange.tried();
    operation.nudge();
    settle().await;
    assert_eq!(exchange.tried(), tried + 1);
    Ok(())
}

// behaviour: W12 S13
#[mancom::test]
async fn nudges_without_end_try_ten_times_in_ten_seconds() -> Outcome {
    let (manager, networks, exchange) = line::world().await;
    let (_listener, near, _far) = over_line(&manager, &networks).await?;
    let operation = near.session().operation();
    refuse_for_long(&networks, &exchange).await;
    let tried = exchange.tried();
    for _ in 0..100 {
        operation.nudge();
        settle().await;
    }
    let more = exchange.tried() - tried;
    assert!((8..=10).contains(&more), "{more}");
    Ok(())
}

// behaviour: X1
#[mancom::test]
async fn a_session_that_is_withdrawn_while_it_waits_ends(networks: Networks) -> Outcome {
    let manager = Manager::current()?;
    networks.up(wifi());
    let (mut near, _far) = joined("mem://withdrawn", WIFI).await?;
    assert_eq!(mancom::cancel(WIFI), 0, "it does not wait");
    networks.down("wlan0");
    settle().await;
    assert_eq!(mancom::cancel(WIFI), 0, "a label means what has not begun");
    assert_eq!(mancom::cancel(near.session().operation().id()), 1);
    settle().await;
    assert!(manager.pending().is_empty());
    let ended = soon(secs(1), "its end", near.read(&mut [0; 1])).await;
    assert!(ended.unwrap_err().to_string().contains("aborted"));
    Ok(())
}

// behaviour: X4 S2
#[mancom::test]
async fn the_deadline_of_a_session_without_a_path_is_its_grace_whatever_else_is_due_before(
    networks: Networks,
) -> Outcome {
    let manager = Manager::current()?;
    networks.up(wifi());
    let (near, _far) = joined("mem://grace-alone", WIFI).await?;
    let mut events = near.events();
    let session = near.session();
    settle().await;
    let ids = session
        .send(WIFI, "short lived")
        .lifetime(millis(300))
        .await?;
    session.delivered(ids).await?;
    networks.down("wlan0");
    session.send(WIFI, "lost").lifetime(millis(300)).await?;
    sleep(millis(100)).await;
    let pending = manager.pending();
    let [listed] = &pending[..] else {
        panic!("one session: {pending:?}")
    };
    let left = listed.deadline.expect("its grace");
    assert!(left > secs(599), "{left:?}");
    let told = drain(&mut events)
        .await
        .into_iter()
        .find_map(|event| match event {
            PathEvent::Waiting { grace, .. } => grace,
            _ => None,
        });
    let told = told.expect("it says that it waits");
    assert!(told > secs(599), "{told:?}");
    Ok(())
}

// behaviour: S1 S7
#[mancom::test]
async fn streams_and_short_lived_messages_outlive_a_flapping_network(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://flap-alone", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let receiving = tokio::spawn({
        let there = there.clone();
        async move { while there.recv().await.is_ok() {} }
    });
    let sinking = tokio::spawn(async move {
        while let Ok(mut stream) = there.accept().await {
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    let mut traffic = Vec::new();
    for (label, length, pause) in [(Label::BACKGROUND, 20_000, 0), (Label::INTERACTIVE, 10, 20)] {
        let mut stream = here.open(label).await?;
        traffic.push(tokio::spawn(async move {
            while stream.write_all(&vec![7; length]).await.is_ok() {
                sleep(millis(pause)).await;
            }
        }));
    }
    let positions = here.clone();
    traffic.push(tokio::spawn(async move {
        loop {
            let _ = positions
                .send(Label::ANY, "position")
                .lifetime(millis(30))
                .await;
            sleep(millis(5)).await;
        }
    }));
    let mut chance = Chance(77);
    for _ in 0..100 {
        networks.down("wlan0");
        sleep(chance.millis(0, 60)).await;
        networks.up(wifi());
        sleep(chance.millis(0, 200)).await;
    }
    let last = soon(secs(30), "room", here.send(Label::INTERACTIVE, "final")).await?;
    soon(secs(30), "the last message", here.delivered(last)).await?;
    for task in traffic.into_iter().chain([receiving, sinking]) {
        task.abort();
    }
    Ok(())
}

// behaviour: X2
#[tokio::test(start_paused = true)]
async fn a_session_whose_task_panics_is_an_error_to_all_who_wait_for_it() -> Outcome {
    let (manager, networks, exchange) = line::world().await;
    networks.up(wifi());
    let listener = manager.listen("mc+line://mistake").plaintext().await?;
    let mut near = manager.connect("mc+line://mistake").plaintext().await?;
    let _far = listener.accept().await?;
    let session = near.session();
    let mistaken = ["wlan0", "wwan0"].map(String::from);
    exchange.panicking.lock().unwrap().extend(mistaken);
    networks.down("wlan0");
    networks.up(cellular());
    let error = soon(secs(5), "an error", near.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    let closed = soon(secs(5), "the end", session.close()).await;
    assert!(matches!(closed, Err(SessionError::Aborted)), "{closed:?}");
    Ok(())
}
