//! What bounds and orders the traffic of sessions, by the kernel's counters of both networks.

use super::Sent;
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::transfer::KIB;
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, McStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![paths:
    ; measure:
    a_rate_limit_holds_over_both_networks_in_any_second,
    the_session_of_more_priority_has_both_networks,
];

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
