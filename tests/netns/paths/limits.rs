//! What bounds and orders the traffic of sessions, by the kernel's counters of both networks.

use super::Sent;
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::transfer::KIB;
use crate::world::{Facts, PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, McStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![paths:
    ; measure:
    a_rate_limit_holds_over_both_networks_in_any_second,
    the_session_of_more_priority_has_both_networks,
    two_sessions_keep_a_configured_rate_between_them,
    a_spent_budget_moves_both_sessions_to_the_other_network,
    a_plain_stream_keeps_a_configured_rate_and_spends_a_budget,
];

/// Which veth plays which network, and these limits.
fn limited(text: &str) -> Facts {
    let networks =
        "[networks.\"wlan*\"]\nkind = \"wifi\"\n[networks.\"wwan*\"]\nkind = \"cellular\"\n";
    Facts::new(&format!("{networks}{text}"))
}

/// Reads whatever comes on every stream until its end.
fn swallow(world: &World, streams: usize) -> std::thread::JoinHandle<()> {
    serve(&world.server, SERVER, move |listener| async move {
        let mut reading = tokio::task::JoinSet::new();
        for _ in 0..streams {
            let mut stream = listener.accept().await.unwrap();
            reading.spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(1..) = stream.read(&mut buffer).await {}
            });
        }
        reading.join_all().await;
    })
}

// behaviour: P5
fn a_rate_limit_holds_over_both_networks_in_any_second() {
    const RATE: u64 = 500 * KIB;
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "5mbit"]);
    let server = swallow(&world, 1);
    let facts = world.facts.path();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).rate_limit(RATE).plaintext();
        let stream = connect.within(PATIENCE).await.unwrap();
        let sent = pour(stream, Duration::from_secs(5)).await;
        manager.shutdown(PATIENCE).await.unwrap();
        sent
    });
    let mut samples = Vec::new();
    while !client.is_finished() {
        let (asked, sent) = (Instant::now(), Sent::by_client(&world));
        // Somewhen between the two it was so many.
        samples.push((asked, sent.wifi + sent.cellular, Instant::now()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = join(client);
    join(server);
    let seconds = samples.iter().filter_map(|&(from, before, _)| {
        let second = Duration::from_secs(1);
        let is_within = |at: Instant| at >= from && at - from <= second;
        let last = samples.iter().rfind(|(_, _, at)| is_within(*at));
        last.map(|(_, after, _)| after.saturating_sub(before))
    });
    let most = seconds.max().unwrap();
    println!("{sent} bytes in 5 s, at most {most} in a second with all headers");
    // Headers of TCP, IP and Ethernet, which are not the session's, and a read of the counters between.
    assert!(most < RATE + RATE / 8, "{most} bytes in a second");
    assert!(sent > 3 * RATE, "{sent} bytes in 5 s");
}

/// Writes for so long, then gives it up: how many bytes were acknowledged.
async fn pour(mut stream: McStream, lasts: Duration) -> u64 {
    let chunk = vec![1; 64 * 1024];
    let pouring = async {
        loop {
            stream.write_all(&chunk).await.unwrap();
        }
    };
    let ended: Result<(), _> = tokio::time::timeout(lasts, pouring).await;
    assert!(ended.is_err(), "it goes on until then");
    let sent = stream.stats().acknowledged;
    stream.abort();
    sent
}

// behaviour: P4
fn the_session_of_more_priority_has_both_networks() {
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "5mbit"]);
    let server = swallow(&world, 2);
    let facts = world.facts.path();
    let sent = Arc::new([0, 1].map(|_| AtomicU64::new(0)));
    let told = sent.clone();
    join(world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let mut pouring = tokio::task::JoinSet::new();
        for (place, priority) in [0, 1].into_iter().enumerate() {
            let connect = manager.connect(SERVER).label(Label::BACKGROUND);
            let connect = connect.priority(priority).plaintext();
            let stream = connect.within(PATIENCE).await.unwrap();
            let told = told.clone();
            pouring.spawn(async move {
                let sent = pour(stream, Duration::from_secs(5)).await;
                told[place].store(sent, Ordering::Relaxed);
            });
        }
        pouring.join_all().await;
        manager.shutdown(PATIENCE).await.unwrap();
    }));
    join(server);
    let [less, more] = [0, 1].map(|place| sent[place].load(Ordering::Relaxed));
    println!("{more} bytes with priority, {less} without");
    assert!(more > 4 * less, "{more} and {less} bytes");
    assert!(less > 0, "and what has none is not starved");
    assert!(
        more + less > 5 * 2 * 1_000_000,
        "{} bytes of 15,600,000",
        more + less
    );
}

/// The most that the client sent within a second over both networks, looked at until it is done.
fn most_in_a_second<T>(world: &World, client: &std::thread::JoinHandle<T>) -> u64 {
    let mut samples = Vec::new();
    while !client.is_finished() {
        let (at, sent) = (Instant::now(), Sent::by_client(world));
        samples.push((at, sent.wifi + sent.cellular));
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = samples.iter().filter_map(|&(from, before)| {
        let within = |at: Instant| at >= from && at - from <= Duration::from_secs(1);
        let last = samples.iter().rfind(|(at, _)| within(*at));
        last.map(|(_, after)| after - before)
    });
    seconds.max().unwrap_or(0)
}

fn two_sessions_keep_a_configured_rate_between_them() {
    const RATE: u64 = 500_000;
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "5mbit"]);
    // One network, so that the kernel's counter is that of the limit.
    world.cellular.down();
    let facts = limited("[[limit]]\nlabel = \"background\"\non = \"wifi\"\nrate = \"500 kB/s\"\n");
    let server = swallow(&world, 2);
    let path = facts.path();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(path).build().await.unwrap();
        let mut pouring = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let connect = manager.connect(SERVER).label(Label::BACKGROUND).plaintext();
            let stream = connect.within(PATIENCE).await.unwrap();
            pouring.spawn(pour(stream, Duration::from_secs(5)));
        }
        let sent = pouring.join_all().await;
        manager.shutdown(PATIENCE).await.unwrap();
        sent
    });
    let most = most_in_a_second(&world, &client);
    let sent = join(client);
    join(server);
    println!("{sent:?} bytes in 5 s, at most {most} in a second with all headers");
    assert!(most < RATE + RATE / 8, "{most} bytes in a second");
    assert!(sent.iter().sum::<u64>() > 4 * RATE, "{sent:?} bytes in 5 s");
    let [one, other] = sent[..] else {
        panic!("two sessions")
    };
    assert!(one > other / 2 && other > one / 2, "{sent:?}");
}

fn a_spent_budget_moves_both_sessions_to_the_other_network() {
    const BUDGET: u64 = 3_000_000;
    const EACH: usize = 4 << 20;
    let lab = Lab::new();
    let world = World::free(&lab, ["50mbit", "20mbit"]);
    let state = tempfile::tempdir().unwrap();
    let limit = "[[limit]]\non = \"wifi\"\nbytes = \"3 MB\"\nper = \"month\"\n";
    let folder = state.path().display();
    let facts = limited(&format!("{limit}[state]\nfolder = \"{folder}\"\n"));
    let server = swallow(&world, 3);
    let send = |streams: usize| {
        let path = facts.path();
        join(world.client.spawn_async(move || async move {
            let manager = Manager::builder().config_file(path).build().await.unwrap();
            let mut sending = tokio::task::JoinSet::new();
            for _ in 0..streams {
                let connect = manager.connect(SERVER).plaintext();
                let mut stream = connect.within(PATIENCE).await.unwrap();
                sending.spawn(async move {
                    stream.write_all(&vec![3; EACH]).await.unwrap();
                    let end = tokio::time::timeout(PATIENCE, stream.shutdown());
                    end.await.expect("by the other network").unwrap();
                });
            }
            sending.join_all().await;
            let used = manager.spending()[0].used;
            manager.shutdown(PATIENCE).await.unwrap();
            used
        }))
    };
    let before = Sent::by_client(&world);
    let used = send(2);
    let sent = Sent::by_client(&world).since(before);
    println!("{sent:?}, {used} bytes counted");
    // Headers of TCP, IP and Ethernet are not counted, nor is what the kernel sends again.
    assert!(sent.wifi < BUDGET + BUDGET / 8, "{sent:?}");
    assert!(
        sent.wifi > BUDGET / 2 && used >= BUDGET - 64,
        "{sent:?}, {used}"
    );
    assert!(sent.wifi + sent.cellular > 2 * EACH as u64, "{sent:?}");
    // The next process knows.
    let before = Sent::by_client(&world);
    let again = send(1);
    let sent = Sent::by_client(&world).since(before);
    assert!(sent.wifi < 20_000, "{sent:?}");
    assert!(again >= used, "{again} after {used}");
    join(server);
}

fn a_plain_stream_keeps_a_configured_rate_and_spends_a_budget() {
    const RATE: u64 = 400_000;
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "20mbit"]);
    world.cellular.down();
    let limit =
        "[[limit]]\non = \"wifi\"\nrate = \"400 kB/s\"\nbytes = \"1 MB\"\nper = \"month\"\n";
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().display();
    let facts = limited(&format!("{limit}[state]\nfolder = \"{folder}\"\n"));
    let (listening, ready) = std::sync::mpsc::channel();
    let server = world.server.spawn_async(move || async move {
        let listener = tokio::net::TcpListener::bind("10.9.0.1:80").await.unwrap();
        listening.send(()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut buffer, mut read) = (vec![0; 64 * 1024], 0);
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            read += n as u64;
        }
        read
    });
    ready.recv().unwrap();
    let path = facts.path();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(path).build().await.unwrap();
        let connect = manager.connect("tcp://10.9.0.1:80").within(PATIENCE);
        let mut stream = connect.await.unwrap();
        let chunk = vec![1; 64 * 1024];
        let pouring = async { while stream.write_all(&chunk).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, pouring)
            .await
            .expect("a plain connection cannot wait for another network");
        let waits = manager.connect("tcp://10.9.0.1:80").no_wait().await;
        (waits.unwrap_err().to_string(), manager.traffic())
    });
    let most = most_in_a_second(&world, &client);
    let (refused, traffic) = join(client);
    let read = join(server);
    println!("{read} bytes, at most {most} in a second: {refused}");
    assert!(most < RATE + RATE / 8, "{most} bytes in a second");
    assert!(read <= 1_000_000 && read > 900_000, "{read}");
    assert!(
        refused.contains("has spent `1 MB a month for any on wifi`"),
        "{refused}"
    );
    assert_eq!(traffic[0].network.as_deref(), Some("wlan0"));
    assert_eq!(traffic[0].sent, read);
}
