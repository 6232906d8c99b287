//! Sessions that several share: on which terms.

use std::collections::BTreeSet;

use mancom::account::{Limit, Period};
use mancom::deferral::OperationId;
use mancom::{Connect, Label, Manager, McStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Outcome, cellular, secs, soon, wifi, world};

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
