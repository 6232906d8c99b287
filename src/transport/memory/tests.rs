use super::*;
use crate::network::{NetworkSpec, Snapshot, State};
use crate::transport::ByteLink;
use crate::transport::tests::{bound, network};
use std::collections::BTreeSet;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// Two transports over the names of one world without networks.
pub(in crate::transport) fn unsimulated() -> (Memory, Memory) {
    let exchange = Arc::<Exchange>::default();
    let other = Memory::over(Arc::clone(&exchange), None);
    (Memory::over(exchange, None), other)
}

/// Scripted networks, without a scout.
struct Scripted {
    snapshots: watch::Sender<Arc<Snapshot>>,
    stalls: watch::Sender<Arc<BTreeSet<String>>>,
    memory: Memory,
}

impl Scripted {
    fn new() -> Self {
        let empty = Snapshot {
            generation: 0,
            complete: true,
            networks: Vec::new(),
        };
        let (snapshots, seen) = watch::channel(Arc::new(empty));
        let (stalls, stalled) = watch::channel(Arc::default());
        let world = World {
            snapshots: seen,
            stalls: stalled,
        };
        Self {
            snapshots,
            stalls,
            memory: Memory::over(Arc::default(), Some(world)),
        }
    }

    fn up(&self, spec: NetworkSpec, index: u32, epoch: u32) -> Bind {
        let bind = bound(spec, index, epoch);
        self.publish(|networks| {
            networks.retain(|n| n.0.id.index != index);
            networks.push(bind.network.clone());
        });
        bind
    }

    fn publish(&self, change: impl FnOnce(&mut Vec<crate::Network>)) {
        self.snapshots.send_modify(|shared| {
            let mut next = Snapshot::clone(shared);
            next.generation += 1;
            change(&mut next.networks);
            *shared = Arc::new(next);
        });
    }

    fn stall(&self, names: &[&str]) {
        let names = names.iter().map(|name| name.to_string()).collect();
        self.stalls.send_replace(Arc::new(names));
    }

    async fn join(&self, on: Option<&Bind>) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
        join(&self.memory, on).await
    }
}

async fn join(memory: &Memory, on: Option<&Bind>) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let at = endpoint("mem://echo");
    let mut acceptor = memory.listen(&at, None).await.expect("a free name");
    let near = memory.connect(&at, on).await.expect("a listener");
    let far = poll_fn(|cx| acceptor.poll_accept(cx))
        .await
        .expect("a link");
    match (near, far) {
        (Link::Bytes(near), Link::Bytes(far)) => (near, far),
        other => unreachable!("{other:?}"),
    }
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

fn wifi(rtt: u64, up: Option<u64>, down: Option<u64>) -> NetworkSpec {
    let mut spec = network("wlan0", &["192.0.2.7"]);
    spec.rtt = Some(Duration::from_millis(rtt));
    (spec.up, spec.down) = (up, down);
    spec
}

async fn took(work: impl Future<Output = ()>) -> Duration {
    let began = Instant::now();
    work.await;
    began.elapsed()
}

async fn read(link: &mut Box<dyn ByteLink>, bytes: usize) {
    link.read_exact(&mut vec![0; bytes])
        .await
        .expect("a connection");
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_straight_pipe_takes_no_time() {
    let script = Scripted::new();
    let (mut near, mut far) = script.join(None).await;
    let all = async {
        near.write_all(&[1; 60_000]).await.expect("room");
        read(&mut far, 60_000).await;
    };
    assert_eq!(took(all).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn half_the_round_trip_passes_each_way() {
    let script = Scripted::new();
    let wlan = script.up(wifi(60, None, None), 3, 1);
    let dialling = async {
        drop(script.join(Some(&wlan)).await);
    };
    assert_eq!(took(dialling).await, 60 * MS);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    near.write_all(&[1; 100]).await.expect("room");
    assert_eq!(took(read(&mut far, 100)).await, 30 * MS);
    far.write_all(&[1; 1]).await.expect("room");
    far.shutdown().await.expect("a connection");
    assert_eq!(took(read(&mut near, 1)).await, 30 * MS);
    assert_eq!(near.read(&mut [0; 1]).await.expect("the end"), 0);
}

#[tokio::test(start_paused = true)]
async fn each_direction_has_its_rate() {
    let script = Scripted::new();
    let wlan = script.up(wifi(20, Some(800_000), Some(8_000_000)), 3, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    near.write_all(&[1; 50_000]).await.expect("room");
    far.write_all(&[1; 50_000]).await.expect("room");
    let down = took(read(&mut near, 50_000)).await;
    assert_eq!(down.as_millis(), 50 + 10);
    let up = down + took(read(&mut far, 50_000)).await;
    assert_eq!(up.as_millis(), 500 + 10);
    near.write_all(&[1; 1]).await.expect("room");
    let one = took(read(&mut far, 1)).await;
    assert!(one <= 11 * MS, "the line is free again: {one:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_fat_line_is_kept_full() {
    let script = Scripted::new();
    // 8 Mbit/s and 200 ms one way: 200,000 bytes in flight.
    let wlan = script.up(wifi(400, Some(8_000_000), None), 3, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    tokio::spawn(async move {
        near.write_all(&vec![1; 2_000_000])
            .await
            .expect("a connection");
        std::future::pending::<()>().await;
    });
    let all = took(read(&mut far, 2_000_000)).await;
    assert!(all >= 2200 * MS && all < 2400 * MS, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_holds_the_writer_and_no_more() {
    let script = Scripted::new();
    let memory = Memory::over(Arc::clone(&script.memory.exchange), None);
    for (memory, bound) in [
        (memory.with_shape(Shape::default().buffer(1000)), 1000),
        (unsimulated().0, 65_536),
    ] {
        let (mut near, mut far) = join(&memory, None).await;
        let mut held = 0;
        while let Ok(n) = tokio::time::timeout(MS, near.write(&[0; 700])).await {
            held += n.expect("a connection");
        }
        assert_eq!(held, bound);
        let more = tokio::spawn(async move { near.write(&[0; 700]).await });
        read(&mut far, 10).await;
        assert_eq!(more.await.expect("no panic").expect("room"), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_network_keeps_silent_and_loses_nothing() {
    // behaviour: S10, S1
    let script = Scripted::new();
    let wlan = script.up(wifi(20, None, None), 3, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    near.write_all(b"before").await.expect("room");
    let reading = tokio::spawn(async move {
        let mut got = [0; 12];
        far.read_exact(&mut got).await.expect("a connection");
        (got, Instant::now(), far)
    });
    tokio::time::sleep(4 * MS).await;
    script.stall(&["wlan0"]);
    tokio::time::sleep(1000 * MS).await;
    near.write_all(b"during")
        .await
        .expect("a silent network refuses nothing");
    assert!(!reading.is_finished());
    tokio::time::sleep(1000 * MS).await;
    assert!(!reading.is_finished());
    script.stall(&["eth0"]);
    let began = Instant::now();
    let (mut got, at, mut far) = reading.await.expect("no panic");
    assert_eq!(&got, b"beforeduring");
    assert_eq!(at - began, 10 * MS, "as late as if the stall had not been");
    // The end of a stalled peer is not heard either.
    script.stall(&["wlan0"]);
    drop(near);
    let end = tokio::time::timeout(Duration::from_secs(60), far.read(&mut got)).await;
    assert!(end.is_err());
    let full = tokio::time::timeout(Duration::from_secs(60), far.write_all(&[0; 100_000])).await;
    assert!(full.is_err());
    script.stall(&[]);
    assert_eq!(far.read(&mut got).await.expect("the end"), 0);
    let gone = far.write_all(b"too late").await.expect_err("nobody reads");
    assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_straight_pipe_stalls_too() {
    let script = Scripted::new();
    let wlan = script.up(network("wlan0", &[]), 3, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    script.stall(&["wlan0"]);
    near.write_all(b"late").await.expect("room");
    let nothing = tokio::time::timeout(Duration::from_secs(5), far.read(&mut [0; 4])).await;
    assert!(nothing.is_err());
    script.stall(&[]);
    assert_eq!(took(read(&mut far, 4)).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_goes_cuts_both_ends_at_once() {
    let script = Scripted::new();
    let wlan = script.up(wifi(20, None, None), 3, 1);
    let eth = script.up(network("eth0", &[]), 2, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    let (mut steady, mut other) = script.join(Some(&eth)).await;
    far.write_all(b"lost").await.expect("room");
    let (mut reads, mut writes) = tokio::io::split(near);
    let reading = tokio::spawn(async move { reads.read(&mut [0; 8]).await });
    let writing = tokio::spawn(async move { writes.write_all(&[0; 100_000]).await });
    tokio::time::sleep(MS).await;
    let began = Instant::now();
    script.publish(|networks| networks.retain(|n| n.0.id.index != 3));
    for ended in [
        reading.await.expect("no panic").map(drop),
        writing.await.expect("no panic"),
        far.read(&mut [0; 8]).await.map(drop),
        far.write_all(b"x").await,
        far.shutdown().await,
    ] {
        let error = ended.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        assert_eq!(error.to_string(), "network wlan0 went down");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    steady
        .write_all(b"untouched")
        .await
        .expect("its network is there");
    read(&mut other, 9).await;
    (near, far) = (steady, other);
    drop((near, far));
}

#[tokio::test(start_paused = true)]
async fn down_and_a_later_epoch_cut_as_well_and_suspended_only_stalls() {
    // behaviour: C3, S9
    let script = Scripted::new();
    for (state, epoch) in [(State::Down, 1), (State::Up, 2)] {
        let wlan = script.up(wifi(0, None, None), 3, 1);
        let (_near, mut far) = script.join(Some(&wlan)).await;
        let mut next = wifi(0, None, None);
        next.state = state;
        script.up(next, 3, epoch);
        let error = far.read(&mut [0; 8]).await.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        // What is cut stays cut.
        script.up(wifi(0, None, None), 3, 1);
        far.write_all(b"x").await.expect_err("cut");
    }
    let wlan = script.up(wifi(0, None, None), 3, 1);
    let (mut near, mut far) = script.join(Some(&wlan)).await;
    let mut suspended = wifi(0, None, None);
    suspended.state = State::Suspended;
    script.up(suspended, 3, 1);
    near.write_all(b"kept").await.expect("room");
    assert!(
        tokio::time::timeout(60 * MS, far.read(&mut [0; 4]))
            .await
            .is_err()
    );
    script.up(wifi(0, None, None), 3, 1);
    read(&mut far, 4).await;
}

#[tokio::test(start_paused = true)]
async fn dialling_follows_the_network() {
    // behaviour: EV-18
    let script = Scripted::new();
    let at = endpoint("mem://echo");
    let _acceptor = script.memory.listen(&at, None).await.expect("a free name");
    let wlan = script.up(wifi(20, None, None), 3, 1);
    script.stall(&["wlan0"]);
    let began = Instant::now();
    let error = script
        .memory
        .connect(&at, Some(&wlan))
        .await
        .expect_err("silent");
    assert_eq!(
        (error.kind(), began.elapsed().as_secs()),
        (io::ErrorKind::TimedOut, 5)
    );
    let ends = async {
        tokio::time::sleep(MS * 100).await;
        script.stall(&[]);
    };
    let (dialled, ()) = tokio::join!(script.memory.connect(&at, Some(&wlan)), ends);
    dialled.expect("the stall ended");
    let leaves = async {
        tokio::time::sleep(MS * 5).await;
        script.publish(Vec::clear);
    };
    let (dialled, ()) = tokio::join!(script.memory.connect(&at, Some(&wlan)), leaves);
    assert_eq!(
        dialled.expect_err("gone").kind(),
        io::ErrorKind::NetworkDown
    );
    let error = script
        .memory
        .connect(&at, Some(&wlan))
        .await
        .expect_err("gone");
    assert!(error.to_string().contains("wlan0"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn jitter_repeats_with_its_seed_and_keeps_the_order() {
    async fn arrivals(seed: u64) -> Vec<u128> {
        let mut script = Scripted::new();
        let shape = Shape::default().jitter(40 * MS).seed(seed);
        script.memory = script.memory.with_shape(shape);
        let wlan = script.up(wifi(20, Some(80_000_000), None), 3, 1);
        let (mut near, mut far) = script.join(Some(&wlan)).await;
        let began = Instant::now();
        let sent: Vec<u8> = (0..60_000u32).map(|i| i as u8).collect();
        near.write_all(&sent).await.expect("room");
        let (mut got, mut times) = (Vec::new(), Vec::new());
        while got.len() < sent.len() {
            let mut buf = [0; 4096];
            let n = far.read(&mut buf).await.expect("a connection");
            got.extend_from_slice(&buf[..n]);
            times.push(began.elapsed().as_millis());
        }
        assert_eq!(got, sent);
        times
    }
    let first = arrivals(7).await;
    assert_eq!(first, arrivals(7).await);
    assert_ne!(first, arrivals(8).await);
    assert!(
        first.last() > Some(&10) && first.iter().all(|ms| (10..=60).contains(ms)),
        "{first:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_cuts_the_next_connection_after_so_many_bytes() {
    let script = Scripted::new();
    script.memory.faults().cut_next_after(10);
    script.memory.faults().cut_next_after(0);
    let (mut near, mut far) = script.join(None).await;
    near.write_all(b"12345678").await.expect("room");
    far.write_all(b"abcdefgh").await.expect("room");
    read(&mut far, 8).await;
    let mut two = [0; 8];
    assert_eq!(near.read(&mut two).await.expect("two more"), 2);
    for error in [
        near.read(&mut two).await,
        far.write(b"x").await,
        far.read(&mut two).await,
    ] {
        assert_eq!(
            error.expect_err("cut").kind(),
            io::ErrorKind::ConnectionReset
        );
    }
    let (mut near, _far) = script.join(None).await;
    near.write(b"x")
        .await
        .expect_err("cut before its first byte");
    let (mut near, mut far) = script.join(None).await;
    near.write_all(b"whole").await.expect("room");
    read(&mut far, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_torn_end_is_an_error_after_what_arrived_and_a_said_one_stays_an_end() {
    let script = Scripted::new();
    let wlan = script.up(wifi(100, None, None), 1, 1);
    for on in [None, Some(&wlan)] {
        let (mut near, mut far) = script.join(on).await;
        near.write_all(b"part").await.expect("a connection");
        near.tear();
        drop(near);
        let mut came = Vec::new();
        for _ in 0..2 {
            let error = far.read_to_end(&mut came).await.expect_err("no end");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        assert_eq!(came, b"part");
        assert!(far.write_all(b"too late").await.is_err());

        let (mut near, mut far) = script.join(on).await;
        near.shutdown().await.expect("a connection");
        near.tear();
        drop(near);
        assert_eq!(far.read(&mut [0; 4]).await.expect("the end"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledged_is_what_the_peer_took() {
    let script = Scripted::new();
    let (mut near, mut far) = script.join(None).await;
    near.write_all(b"12345678").await.expect("room");
    assert_eq!(near.acknowledged(), Some(0));
    read(&mut far, 5).await;
    assert_eq!(
        (near.acknowledged(), far.acknowledged()),
        (Some(5), Some(0))
    );
    drop(far);
    assert_eq!(near.acknowledged(), Some(5));
}

#[tokio::test]
async fn names_are_taken_once_and_by_network() {
    // behaviour: L1
    let script = Scripted::new();
    let wlan = script.up(network("wlan0", &[]), 3, 1);
    let eth = script.up(network("eth0", &[]), 2, 1);
    let memory = &script.memory;
    let at = endpoint("mem://echo");
    let first = memory.listen(&at, Some(&wlan)).await.expect("a free name");
    let again = memory
        .listen(&at, Some(&wlan))
        .await
        .map(drop)
        .expect_err("taken");
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    memory
        .connect(&at, Some(&eth))
        .await
        .expect_err("it listens on wlan0 alone");
    memory
        .connect(&at, None)
        .await
        .expect_err("it listens on wlan0 alone");
    memory.connect(&at, Some(&wlan)).await.expect("a listener");
    let _second = memory
        .listen(&at, Some(&eth))
        .await
        .expect("free on that network");
    assert!(memory.is_self(&at));
    drop(first);
    memory
        .connect(&at, Some(&wlan))
        .await
        .expect_err("nobody there any more");
}

#[tokio::test]
async fn worlds_do_not_see_each_others_names() {
    // behaviour: R8
    let (one, _) = unsimulated();
    let (other, _) = unsimulated();
    let at = endpoint("mem://echo");
    let _acceptor = one.listen(&at, None).await.expect("a free name");
    let error = other.connect(&at, None).await.expect_err("another world");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(!other.is_self(&at));
    let _its_own = other.listen(&at, None).await.expect("free in that world");
}

#[tokio::test]
async fn a_full_queue_holds_the_dialler_and_a_stopped_listener_ends_it() {
    let (memory, _) = unsimulated();
    let at = endpoint("mem://echo");
    let mut acceptor = memory.listen(&at, None).await.expect("a free name");
    let mut waiting = Vec::new();
    for _ in 0..BACKLOG {
        waiting.push(memory.connect(&at, None).await.expect("room in the queue"));
    }
    let mut over = memory.connect(&at, None);
    assert!(futures_util::poll!(&mut over).is_pending());
    poll_fn(|cx| acceptor.poll_accept(cx))
        .await
        .expect("a link");
    over.await.expect("room again");
    let over = memory.connect(&at, None);
    let (refused, ()) = tokio::join!(over, async { drop(acceptor) });
    assert_eq!(
        refused.expect_err("stopped").kind(),
        io::ErrorKind::ConnectionRefused
    );
    let Some(Link::Bytes(mut near)) = waiting.pop() else {
        unreachable!("it dialled")
    };
    assert_eq!(near.read(&mut [0; 1]).await.expect("its end"), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_links_that_are_gone() {
    // behaviour: R4
    let script = Scripted::new();
    let wlan = script.up(wifi(20, Some(1_000_000), None), 3, 1);
    let watchers = script.snapshots.receiver_count();
    for _ in 0..100 {
        let (mut near, mut far) = script.join(Some(&wlan)).await;
        near.write_all(&[0; 1000]).await.expect("room");
        assert!(
            tokio::time::timeout(MS, far.read(&mut [0; 1]))
                .await
                .is_err()
        );
    }
    assert_eq!(script.snapshots.receiver_count(), watchers);
    assert_eq!(Arc::strong_count(&script.memory.exchange), 1);
}

#[tokio::test(start_paused = true)]
async fn two_transports_over_one_scout_meet_on_its_networks() {
    // behaviour: R8
    let (scout, networks) = crate::scout::scripted();
    let (one, other) = (Memory::new(&scout), Memory::new(&scout.clone()));
    let at = endpoint("mem://echo");
    let mut acceptor = one.listen(&at, None).await.expect("a free name");
    let id = networks.up(crate::Network::wifi("wlan0").rtt(20 * MS));
    let mut snapshots = scout.snapshots();
    let there = |s: &Arc<Snapshot>| s.networks.iter().any(|n| n.id() == id);
    let seen = snapshots.wait_for(there).await.expect("a scout");
    let network = seen.networks[0].clone();
    drop(seen);
    let on = Bind {
        network,
        source: None,
    };
    let began = Instant::now();
    let near = other.connect(&at, Some(&on)).await.expect("a listener");
    assert_eq!(began.elapsed(), 20 * MS);
    let far = poll_fn(|cx| acceptor.poll_accept(cx))
        .await
        .expect("a link");
    assert!(other.same_peer(&at, &near) && one.is_self(&at) && !other.is_self(&at));
    let (Link::Bytes(mut near), Link::Bytes(mut far)) = (near, far) else {
        unreachable!("these are byte links")
    };
    networks.stall("wlan0", true);
    near.write_all(b"late").await.expect("room");
    assert!(
        tokio::time::timeout(100 * MS, far.read(&mut [0; 4]))
            .await
            .is_err()
    );
    networks.stall("wlan0", false);
    read(&mut far, 4).await;
    networks.down("wlan0");
    let error = far.read(&mut [0; 4]).await.expect_err("cut");
    assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
    let (stranger, _) = crate::scout::scripted();
    let error = Memory::new(&stranger).connect(&at, None).await;
    assert!(error.is_err(), "another world");
    let registry = crate::transport::Registry::built_in(&scout);
    let mem = registry.get("mem").expect("built in");
    assert!(!mem.is_self(&at) && registry.get(endpoint("mcs://h:1").carrier()).is_ok());
}
