//! What traffic may cost, across sessions: rates, budgets, and bytes as they are counted.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use mancom::account::{Limit, NetworkTraffic, Period};
use mancom::label::Urgency;
use mancom::label::matching::{Destination, Reason};
use mancom::testing::Networks;
use mancom::{Label, Manager, McStream, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{Outcome, cellular, on, secs, sent_over, settle, soon, wifi};

const MB: u64 = 1_000_000;
/// What of an allowance headers, acknowledgements and the end of a session may take.
const OVERHEAD: u64 = 20_000;

/// A period of so many seconds or somewhat more that began within the last minute, whatever the time.
fn period(seconds: u64) -> Period {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let began = |length: &u64| now % length < 60;
    let length = (seconds..).find(began).expect("the remainders differ");
    Period::Every(secs(length))
}

/// A manager with this limit, and one without any to listen with, on the same networks.
async fn world(limit: Limit) -> (Manager, Manager, Networks) {
    let (scout, networks) = mancom::testing::scripted();
    let client = limited(&scout, limit).await;
    let server = Manager::builder().scout(scout).build().await.unwrap();
    (client, server, networks)
}

async fn limited(scout: &Scout, limit: Limit) -> Manager {
    let builder = Manager::builder().scout(scout.clone()).limit(limit);
    builder.build().await.unwrap()
}

async fn joined(
    (client, server): (&Manager, &Manager),
    at: &str,
    label: Label,
) -> Result<(McStream, McStream), mancom::Error> {
    let listener = server.listen(at).await?;
    let near = client.connect(at).label(label).await?;
    let far = listener.accept().await?;
    Ok((near, far))
}

/// As [`joined`], by a listener that knows the networks it is dialled over.
async fn joined_there(
    (client, server): (&Manager, &Manager),
    at: &str,
    label: Label,
) -> Result<(McStream, McStream), mancom::Error> {
    let listener = server.listen(at).label(Label::ANY).await?;
    let near = client.connect(at).label(label).await?;
    let far = listener.accept().await?;
    Ok((near, far))
}

/// Reads whatever comes, for as long as it does.
fn swallow(mut far: McStream) {
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(1..) = far.read(&mut buffer).await {}
    });
}

/// Writes without end.
fn pour(mut near: McStream) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let chunk = vec![7; 64 << 10];
        while near.write_all(&chunk).await.is_ok() {}
    })
}

/// Payload and its headers that came over any network; a path that lives may be asked for a word.
fn received_by(manager: &Manager) -> u64 {
    let traffic = manager.traffic();
    let payload = traffic
        .iter()
        .filter(|row| row.network.is_some() && row.urgency.is_some());
    payload.map(|row| row.received).sum()
}

fn sent_on(manager: &Manager, name: &str) -> u64 {
    let traffic = manager.traffic();
    let of = |row: &&NetworkTraffic| row.network.as_deref() == Some(name);
    traffic.iter().filter(of).map(|row| row.sent).sum()
}

#[mancom::test]
async fn all_sessions_together_keep_a_rate_and_share_it(_: Networks) -> Outcome {
    const RATE: u64 = 200_000;
    let (client, server, networks) = world(Limit::new("any", "if=wlan0")?.rate(RATE)).await;
    networks.up(wifi());
    let both = (&client, &server);
    let mut nears = Vec::new();
    for at in ["mem://one", "mem://two"] {
        let (near, far) = joined(both, at, Label::BACKGROUND).await?;
        swallow(far);
        nears.push(near.session());
        pour(near);
    }
    // Any second, wherever it begins, in steps of 50 ms.
    let mut sums = Vec::new();
    for _ in 0..200 {
        sleep(secs(1) / 20).await;
        let paths = nears.iter().flat_map(mancom::Session::paths);
        sums.push(paths.map(|path| path.stats.payload_sent).sum::<u64>());
    }
    for second in sums.windows(21) {
        let sent = second[20] - second[0];
        assert!(sent <= RATE, "{sent} bytes in a second");
    }
    let all = sums[199] - sums[0];
    assert!(all > 199 * RATE / 20 * 9 / 10, "{all} bytes in 10 s");
    let each = nears
        .iter()
        .map(|session| session.paths()[0].stats.payload_sent);
    let each: Vec<u64> = each.collect();
    assert!(
        each[0] * 10 > each[1] * 8 && each[1] * 10 > each[0] * 8,
        "{each:?}"
    );
    // Other networks are not limited.
    networks.up(cellular());
    networks.down("wlan0");
    let before = sent_on(&client, "wwan0");
    sleep(secs(5)).await;
    assert!(sent_on(&client, "wwan0") - before > 5 * 2 * RATE);
    Ok(())
}

#[mancom::test]
async fn a_spent_budget_moves_traffic_to_the_other_network(_: Networks) -> Outcome {
    let limit = Limit::new("background", "if=wlan*")?.bytes(MB, period(100_000));
    let (client, server, networks) = world(limit).await;
    networks.up(wifi());
    networks.up(cellular().metered(true));
    let (mut near, mut far) = joined((&client, &server), "mem://moved", Label::BACKGROUND).await?;
    let data = vec![5; 3 << 20];
    let (wrote, read) = tokio::join!(near.write_all(&data), async {
        let mut read = vec![0; 3 << 20];
        soon(secs(60), "by the other one", far.read_exact(&mut read)).await
    });
    wrote?;
    read?;
    let on_wifi = sent_over(&near, "wlan0");
    assert!(on_wifi <= MB && on_wifi > MB - OVERHEAD, "{on_wifi}");
    assert_eq!(client.spending()[0].network.as_ref(), "wlan0");
    assert!(client.spending()[0].used <= MB + OVERHEAD);
    // What the limit is not about goes on by the better network.
    near.write_labelled(Label::INTERACTIVE, &[1; 10_000])
        .await?;
    soon(secs(5), "interactive", far.read_exact(&mut [0; 10_000])).await?;
    let again = async {
        while !on(&near).contains(&"wlan0".to_owned()) {
            sleep(secs(1) / 100).await;
        }
    };
    soon(secs(5), "the better one", again).await;
    Ok(())
}

#[mancom::test]
async fn a_spent_budget_makes_traffic_wait_and_says_until_when(_: Networks) -> Outcome {
    let limit = Limit::new("any", "if=*")?.bytes(MB, period(3_000));
    let (client, server, networks) = world(limit).await;
    networks.up(wifi());
    let (near, mut far) = joined((&client, &server), "mem://waits", Label::ANY).await?;
    let began = Instant::now();
    pour(near);
    let mut read = 0;
    let mut buffer = vec![0; 64 << 10];
    while let Ok(got) = tokio::time::timeout(secs(100), far.read(&mut buffer)).await {
        read += got? as u64;
    }
    assert!(read <= MB && read > MB - OVERHEAD, "{read} bytes");
    let blocked = client.explain(&Label::ANY, &Destination::Unnamed);
    let blocked = blocked.expect_err("nothing is left");
    let reasons = &blocked.networks[0].reasons;
    assert!(matches!(reasons[..], [Reason::Spent { .. }]), "{reasons:?}");
    let said = reasons[0].to_string();
    assert!(said.starts_with("has spent `1 MB in "), "{said}");
    assert!(said.contains(" for any on if=*`, renewed 2"), "{said}");
    assert!(blocked.hint().contains("has spent"), "{}", blocked.hint());
    // What begins now waits, too, and both go on with the next period.
    let waiting = tokio::spawn(client.matching(Label::ANY).into_future());
    let got = soon(secs(4_000), "the next period", far.read(&mut buffer)).await?;
    assert!(got > 0 && began.elapsed() <= secs(4_000));
    soon(secs(1), "the match", waiting).await.unwrap()?;
    Ok(())
}

/// A listener dials no other network, so what it may not send waits; and says so as a dialler's does.
// behaviour: X1
#[mancom::test]
async fn a_listeners_spent_budget_is_listed_until_another_path_carries(_: Networks) -> Outcome {
    let limit = Limit::new("background", "if=wlan*")?.bytes(MB, period(100_000));
    let (server, client, networks) = world(limit).await;
    networks.up(wifi());
    let (mut near, mut far) =
        joined_there((&client, &server), "mem://there", Label::BACKGROUND).await?;
    assert!(server.pending().is_empty());
    let writing = tokio::spawn(async move {
        let written = far.write_all(&vec![7; 3 << 20]).await;
        written.map(|()| far)
    });
    let (mut buffer, mut read) = (vec![0; 64 << 10], 0);
    while let Ok(got) = tokio::time::timeout(secs(30), near.read(&mut buffer)).await {
        read += got?;
    }
    assert!(read as u64 <= MB, "{read} bytes");
    let pending = server.pending();
    let [waits] = &pending[..] else {
        panic!("{pending:?}");
    };
    assert_eq!((waits.kind, waits.label), ("stream", Label::BACKGROUND));
    let blocked = waits.blocked.as_ref().expect("it says why");
    let reasons = &blocked.networks[0].reasons;
    assert!(matches!(reasons[..], [Reason::Spent { .. }]), "{reasons:?}");
    assert!(blocked.hint().contains("has spent"), "{}", blocked.hint());
    // The other end brings another network.
    networks.up(cellular().metered(false));
    while read < 3 << 20 {
        read += soon(secs(5), "the rest", near.read(&mut buffer)).await?;
    }
    assert!(server.pending().is_empty(), "nothing is held back");
    let far = writing.await.unwrap()?;
    assert_eq!(far.stats().written, 3 << 20);
    Ok(())
}

// behaviour: X1 X4
#[mancom::test]
async fn what_is_written_once_the_budget_is_spent_is_listed_and_withdrawn(_: Networks) -> Outcome {
    let limit = Limit::new("background", "if=wlan*")?.bytes(MB, period(100_000));
    let (server, client, networks) = world(limit).await;
    networks.up(wifi());
    let both = (&client, &server);
    let (near, mut far) = joined_there(both, "mem://first", Label::BACKGROUND).await?;
    swallow(near);
    let spent = tokio::time::timeout(secs(30), far.write_all(&vec![7; 9 << 20])).await;
    assert!(spent.is_err(), "it is spent");
    far.abort();
    let (_near, mut far) = joined_there(both, "mem://second", Label::ANY).await?;
    settle().await;
    assert!(server.pending().is_empty(), "{:?}", server.pending());
    far.write_labelled(Label::BACKGROUND, b"waits").await?;
    settle().await;
    let operation = far.session().operation();
    let pending: Vec<_> = server.pending().iter().map(|op| op.id).collect();
    assert_eq!(pending, [operation.id()]);
    assert!(operation.blocked().is_some());
    server.cancel(&operation);
    settle().await;
    assert!(server.pending().is_empty());
    assert!(far.write_all(b"over").await.is_err(), "its session ended");
    Ok(())
}

#[mancom::test]
async fn two_sessions_spend_one_budget(_: Networks) -> Outcome {
    let limit = Limit::new("any", "if=*")?.bytes(MB, period(100_000));
    let (client, server, networks) = world(limit).await;
    networks.up(wifi());
    for at in ["mem://one", "mem://two", "mem://three"] {
        let (near, far) = joined((&client, &server), at, Label::ANY).await?;
        swallow(far);
        pour(near);
    }
    sleep(secs(60)).await;
    let sent = sent_on(&client, "wlan0");
    // The server's side counts in the same figures, and is not limited: acknowledgements.
    let control = client
        .traffic()
        .into_iter()
        .filter(|row| row.urgency.is_none());
    let control: u64 = control.map(|row| row.sent).sum();
    assert!(sent - control <= MB && sent > MB - OVERHEAD, "{sent} bytes");
    let used = client.spending()[0].used;
    assert!((MB - 64..MB + OVERHEAD).contains(&used), "{used}");
    Ok(())
}

#[mancom::test]
async fn what_arrives_is_spent_too(_: Networks) -> Outcome {
    let limit = Limit::new("any", "if=*")?.bytes(MB, period(3_000));
    let (client, server, networks) = world(limit).await;
    networks.up(wifi());
    let (near, far) = joined((&client, &server), "mem://down", Label::ANY).await?;
    swallow(near);
    pour(far);
    sleep(secs(30)).await;
    let used = client.spending()[0].used;
    // What the far end had credit for: a window.
    assert!((MB - 64..6 * MB).contains(&used), "{used}");
    assert!(client.explain(&Label::ANY, &Destination::Unnamed).is_err());
    // And it goes on with the next period, as far as that has.
    let (received, began) = (received_by(&client), Instant::now());
    sleep(secs(60)).await;
    assert_eq!(received_by(&client), received);
    while received_by(&client) == received {
        assert!(began.elapsed() < secs(4_000), "it never goes on");
        sleep(secs(10)).await;
    }
    Ok(())
}

async fn kept(folder: &Path, limit: Limit) -> (Manager, Manager, Networks) {
    let (scout, networks) = mancom::testing::scripted();
    let builder = Manager::builder().scout(scout.clone()).limit(limit);
    let client = builder.state_folder(folder).build().await.unwrap();
    let server = Manager::builder().scout(scout).build().await.unwrap();
    networks.up(wifi());
    (client, server, networks)
}

#[mancom::test]
async fn what_was_spent_outlives_the_manager_and_is_added_up(_: Networks) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let year = period(1_000_000);
    let limit = |bytes| Limit::new("any", "if=*").map(|limit| limit.bytes(bytes, year));
    let send = async |at: &str| -> Outcome {
        let (client, server, _networks) = kept(folder.path(), limit(10 * MB)?).await;
        let (mut near, mut far) = joined((&client, &server), at, Label::ANY).await?;
        let data = vec![5; 400_000];
        let mut read = vec![0; 400_000];
        let (wrote, read) = tokio::join!(near.write_all(&data), far.read_exact(&mut read));
        wrote?;
        read?;
        Ok(())
    };
    send("mem://first").await?;
    send("mem://second").await?;
    // Everything of the two is dropped once their tasks have run.
    sleep(secs(700)).await;
    let (client, ..) = kept(folder.path(), limit(10 * MB)?).await;
    let used = client.spending()[0].used;
    assert!((800_000..800_000 + 2 * OVERHEAD).contains(&used), "{used}");
    // Another allowance of the same has the same behind it.
    let (client, ..) = kept(folder.path(), limit(MB / 2)?).await;
    assert!(client.explain(&Label::ANY, &Destination::Unnamed).is_err());
    Ok(())
}

#[mancom::test]
async fn who_holds_the_state_file_stops_nobody(_: Networks) -> Outcome {
    let folder = tempfile::tempdir()?;
    let others = std::fs::File::create(folder.path().join("budgets.lock"))?;
    others.lock()?;
    let limit = Limit::new("any", "if=*")?.bytes(10 * MB, period(1_000_000));
    // This comes back, though nobody gives the lock free.
    let (client, server, _networks) = kept(folder.path(), limit).await;
    let at = "mem://held";
    let (mut near, mut far) = joined((&client, &server), at, Label::ANY).await?;
    near.write_all(&[5; 40_000]).await?;
    far.read_exact(&mut [0; 40_000]).await?;
    assert!(!folder.path().join("budgets").exists());
    others.unlock()?;
    let saved = || std::fs::read_to_string(folder.path().join("budgets"));
    for _ in 0..100 {
        if saved().is_ok() {
            break;
        }
        sleep(secs(1)).await;
    }
    assert!(saved()?.contains("any on if=*"), "{}", saved()?);
    Ok(())
}

#[mancom::test]
async fn bytes_are_counted_by_network_urgency_and_direction(_: Networks) -> Outcome {
    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).build().await?;
    networks.up(cellular().metered(true));
    let (mut near, mut far) = joined((&manager, &manager), "mem://counted", Label::ANY).await?;
    near.write_labelled(Label::BACKGROUND, &[1; 50_000]).await?;
    near.write_labelled(Label::INTERACTIVE, &[2; 700]).await?;
    far.read_exact(&mut [0; 50_700]).await?;
    sleep(secs(1)).await;
    let traffic = manager.traffic();
    // Both ends are here; the listener's is on no network of its own.
    for (urgency, bytes) in [(Urgency::Background, 50_000), (Urgency::Interactive, 700)] {
        let rows = traffic.iter().filter(|row| row.urgency == Some(urgency));
        let rows = rows.map(|row| (row.network.as_deref(), row.metered, row.sent, row.received));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [(None, false, 0, bytes), (Some("wwan0"), true, bytes, 0)]
        );
    }
    let rest: Vec<_> = traffic.iter().filter(|row| row.urgency.is_none()).collect();
    assert_eq!(
        (rest[0].sent, rest[0].received),
        (rest[1].received, rest[1].sent)
    );
    assert!((32..2_000).contains(&rest[1].sent), "{rest:?}");
    Ok(())
}
