//! Sessions that several share: on which terms, and within which time.

use std::collections::BTreeSet;

use mancom::account::{Limit, Period};
use mancom::deferral::OperationId;
use mancom::{Connect, ConnectError, Label, Manager, McStream, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::{Outcome, cellular, millis, secs, settle, soon, wifi, world};

/// By this a session is known.
fn session_of(stream: &McStream) -> OperationId {
    stream.session().operation().id()
}

/// What is promised of every byte is promised of all who share a session, or of none.
// behaviour: EV-09
#[mancom::test]
async fn a_session_is_shared_on_the_same_terms_only() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    networks.up(cellular().metered(false));
    let _listener = manager.listen("mem://terms").await?;
    let snapshot = manager.snapshot();
    let on = |name| snapshot.networks().iter().find(|one| one.name() == name);
    let [wifi, cellular] = ["wlan0", "wwan0"].map(|name| on(name).unwrap().clone());
    let terms: [&dyn Fn(Connect) -> Connect; 7] = [
        &|connect| connect,
        &Connect::anonymous,
        &|connect| connect.on(&wifi),
        &|connect| connect.on(&cellular),
        &|connect| connect.rate_limit(50_000),
        &|connect| connect.rate_limit(60_000),
        &|connect| connect.anonymous().rate_limit(60_000),
    ];
    let mut rounds = Vec::new();
    for _ in 0..2 {
        for terms in terms {
            rounds.push(terms(manager.connect("mem://terms").reuse()).await?);
        }
    }
    let sessions: Vec<_> = rounds.iter().map(session_of).collect();
    let (first, second) = sessions.split_at(terms.len());
    assert_eq!(first, second, "each finds that of the same terms");
    let apart: BTreeSet<_> = first.iter().collect();
    assert_eq!(apart.len(), terms.len(), "and nobody else's");
    Ok(())
}

/// Priority and grace are the session's, whatever who shares it asked for.
#[mancom::test]
async fn what_is_no_promise_keeps_nobody_from_sharing() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let _listener = manager.listen("mem://asked").await?;
    let connect = || manager.connect("mem://asked").reuse();
    let first = connect().await?;
    for other in [
        connect().priority(7),
        connect().grace(secs(3)),
        connect().label(Label::BACKGROUND),
        connect().within(secs(5)),
    ] {
        assert_eq!(session_of(&other.await?), session_of(&first));
    }
    Ok(())
}

/// A limit is of a label on a network, not of a session: it holds for whoever shares one.
#[mancom::test]
async fn a_budget_of_one_label_holds_on_a_shared_session() -> Outcome {
    const BUDGET: u64 = 100_000;
    let (scout, networks) = mancom::testing::scripted();
    let limit = Limit::new("background", "if=*")?.bytes(BUDGET, Period::Month);
    let limited = Manager::builder().scout(scout.clone()).limit(limit);
    let (client, server) = (limited.build().await?, Manager::builder().scout(scout));
    let server = server.build().await?;
    networks.up(wifi());
    let listener = server.listen("mem://budget").await?;
    let connect = |label| client.connect("mem://budget").label(label).reuse();
    let mut free = connect(Label::ANY).await?;
    let mut free_far = listener.accept().await?;
    let session = free_far.session();
    let mut limited = connect(Label::BACKGROUND).await?;
    assert_eq!(session_of(&limited), session_of(&free));
    let mut far = soon(secs(1), "its stream", session.accept()).await?;
    let writing = tokio::spawn(async move { limited.write_all(&[7; 300_000]).await });
    let mut bytes = vec![0; 300_000];
    let all = tokio::time::timeout(secs(60), far.read_exact(&mut bytes)).await;
    assert!(all.is_err(), "no more than the budget");
    let used = client.spending()[0].used;
    assert!((BUDGET - 64..BUDGET + 20_000).contains(&used), "{used}");
    free.write_all(&[7; 300_000]).await?;
    soon(secs(5), "what is free", free_far.read_exact(&mut bytes)).await?;
    writing.abort();
    Ok(())
}

/// The error of a connect that came too late, and when it came.
async fn late(connect: Connect) -> (ConnectError, std::time::Duration) {
    let began = Instant::now();
    let error = soon(secs(60), "its deadline", connect).await.unwrap_err();
    (error, began.elapsed())
}

// behaviour: D2
#[mancom::test]
async fn a_deadline_holds_on_a_shared_session_that_has_no_path() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://late").await?;
    let connect = || manager.connect("mem://late").within(millis(2_500));
    let mut first = connect().reuse().await?;
    let mut far = listener.accept().await?;
    // Nobody answers, then no network is there: as without a session that could be shared.
    for gone in [false, true] {
        networks.stall("wlan0", true);
        if gone {
            networks.down("wlan0");
        } else {
            // What is silent is known by what it owes.
            first.write_all(b"lost?").await?;
            tokio::time::sleep(secs(3)).await;
        }
        let both = (late(connect().reuse()), late(connect()));
        let ((shared, took), (own, as_long)) = tokio::join!(both.0, both.1);
        assert!(shared.is_timed_out(), "{shared}");
        assert_eq!(shared.to_string(), own.to_string());
        assert!(took.abs_diff(as_long) < millis(50), "{took:?} {as_long:?}");
        networks.stall("wlan0", false);
    }
    // It is the session's still: what comes in time is a stream of it.
    let patient = tokio::spawn(
        manager
            .connect("mem://late")
            .within(secs(60))
            .reuse()
            .into_future(),
    );
    settle().await;
    assert!(!patient.is_finished());
    tokio::time::sleep(secs(20)).await;
    networks.up(cellular());
    let came = soon(secs(5), "the path", patient).await.unwrap()?;
    assert_eq!(session_of(&came), session_of(&first));
    let mut word = [0; 5];
    soon(secs(5), "what was written", far.read_exact(&mut word)).await?;
    assert_eq!(&word, b"lost?");
    Ok(())
}

/// A network that is there for this stream alone is waited for, too, and found.
#[mancom::test]
async fn who_shares_a_session_brings_the_network_that_its_label_wants() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let _listener = manager.listen("mem://wants").await?;
    let wifi_only = Label::new().require(Prop::Wifi);
    let first = manager
        .connect("mem://wants")
        .label(wifi_only)
        .reuse()
        .await?;
    networks.down("wlan0");
    networks.up(cellular());
    let other = manager.connect("mem://wants").within(secs(5)).reuse();
    let other = soon(secs(2), "a path over cellular", other).await?;
    assert_eq!(session_of(&other), session_of(&first));
    assert_eq!(crate::support::on(&other), ["wwan0"]);
    Ok(())
}

#[mancom::test]
async fn a_session_that_ends_while_it_is_waited_for_is_followed_by_another() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://ends").await?;
    let first = manager.connect("mem://ends").grace(secs(5)).reuse().await?;
    let _far = listener.accept().await?;
    networks.down("wlan0");
    settle().await;
    let connect = manager.connect("mem://ends").within(secs(60)).reuse();
    let waiting = tokio::spawn(connect.into_future());
    tokio::time::sleep(secs(10)).await;
    networks.up(wifi());
    let other = soon(secs(5), "another session", waiting).await.unwrap()?;
    assert_ne!(session_of(&other), session_of(&first));
    Ok(())
}
