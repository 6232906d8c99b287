//! More changes than a scout can look at one by one.

use super::{Eyes, batch, has, is_up, two_hosts};
use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab};
use crate::process::until;
use crate::world::PATIENCE;
use mancom::Scout;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = cases![scout:
    a_flapping_network_gives_few_snapshots_and_the_right_end,
    an_overrun_loses_nothing,
    what_happens_while_the_rest_is_read_after_an_overrun_is_seen,
    thousands_of_interfaces_come_and_go,
];

/// The network ends and begins again so many times.
fn flap(host: &Host, times: usize) {
    let lines = [
        "address delete 10.1.0.2/24 dev eth0",
        "address add 10.1.0.2/24 dev eth0",
        "link set dev eth0 down",
        "link set dev eth0 up",
    ];
    batch(host, (0..times / 2).flat_map(|_| lines.map(str::to_owned)));
}

// behaviour: C4
fn a_flapping_network_gives_few_snapshots_and_the_right_end() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    let eyes = Eyes::open(&near);
    let before = eyes.see("eth0", is_up);
    let (first, begin) = (eyes.now().generation(), Instant::now());
    let mut flaps = 0;
    while flaps < 10_000 || begin.elapsed() < Duration::from_secs(4) {
        flap(&near, 1000);
        flaps += 1000;
    }
    near.ip("route add default via 10.1.0.1 dev eth0");
    let end = Instant::now();
    let after = eyes.see("eth0", |eth0| {
        is_up(eth0) && eth0.routes().iter().any(|route| route.is_default_like())
    });
    println!(
        "{flaps} flaps in {:?}, right after {:?}, {} snapshots",
        end - begin,
        end.elapsed(),
        eyes.now().generation() - first
    );
    let seconds = begin.elapsed().as_secs() + 1;
    assert!(eyes.now().generation() - first <= 20 * seconds);
    assert!(after.id().epoch() > before.id().epoch());
    assert_eq!(after.id().index(), before.id().index());
    assert!(eyes.scout.changes().len() <= 256);
}

/// A column of the netlink sockets of this thread's network namespace, all of them together.
fn sockets(column: usize) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_ascii_whitespace());
    rows.filter_map(|mut row| row.nth(column)?.parse::<u64>().ok())
        .sum()
}

/// Messages that they have lost.
fn dropped() -> u64 {
    sockets(8)
}

/// Bytes of memory that what they hold takes.
fn held() -> u64 {
    sockets(4)
}

/// As many changes as it takes until messages are lost, in a thread that should have read them.
fn overrun(host: &Host) {
    let before = dropped();
    let mut rounds = 0;
    while dropped() == before {
        flap(host, 2000);
        rounds += 1;
        assert!(rounds < 100, "the socket holds everything");
    }
}

// behaviour: C5
fn an_overrun_loses_nothing() {
    let lab = Lab::new();
    let (near, far, _link) = two_hosts(&lab);
    let second = lab.link(&near, "eth1", "10.2.0.2/24", &far, "v1", "10.2.0.1/24");
    let host = near.clone();
    let watching = near.spawn_async(move || async move {
        let scout = Scout::system();
        let mut snapshots = scout.snapshots();
        let whole = snapshots.wait_for(|now| now.is_complete()).await;
        assert_eq!(whole.unwrap().networks().len(), 3);
        // While this thread is busy nobody empties the socket.
        overrun(&host);
        // All of this is lost.
        second.delete();
        host.ip("address add 10.3.0.2/24 dev eth0");
        host.ip("link add eth2 type veth peer name eth3");
        let right = snapshots.wait_for(|now| {
            let eth0 = now.by_name("eth0");
            let news = now.by_name("eth2").is_some() && now.by_name("eth3").is_some();
            let moved = eth0.is_some_and(|eth0| is_up(eth0) && has(eth0, "10.3.0.2"));
            news && moved && now.by_name("eth1").is_none()
        });
        tokio::time::timeout(PATIENCE, right)
            .await
            .expect("the right end")
            .expect("a living scout");
        assert_eq!(scout.source(), "netlink");
    });
    crate::lab::join(watching);
}

// behaviour: C5
fn what_happens_while_the_rest_is_read_after_an_overrun_is_seen() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    let host = near.clone();
    let watching = near.spawn_async(move || async move {
        let scout = Scout::system();
        let mut snapshots = scout.snapshots();
        let whole = snapshots.wait_for(|now| now.is_complete()).await;
        assert_eq!(whole.unwrap().networks().len(), 2);
        overrun(&host);
        let full = held();
        while held() >= full {
            tokio::task::yield_now().await;
        }
        // The scout had a turn and knows of the overrun, but until all is read the kernel drops more.
        let lost = dropped();
        host.ip("link set dev eth0 mtu 1400");
        assert!(dropped() > lost, "nothing was lost");
        let right = snapshots.wait_for(|now| {
            let eth0 = now.by_name("eth0");
            eth0.is_some_and(|eth0| is_up(eth0) && eth0.mtu() == Some(1400))
        });
        tokio::time::timeout(PATIENCE, right)
            .await
            .expect("the right end")
            .expect("a living scout");
        assert_eq!(scout.source(), "netlink");
    });
    crate::lab::join(watching);
}

fn thousands_of_interfaces_come_and_go() {
    const THOUSANDS: usize = 2000;
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    // Their other ends, for a kernel takes its time over each that is deleted by itself.
    lab.host("ends");
    let eyes = Eyes::open(&near);
    let (before, begin) = (eyes.see("eth0", is_up), Instant::now());
    let make = |n| format!("link add a{n} type veth peer name b{n} netns ends");
    batch(&near, (0..THOUSANDS).map(make));
    let patience = 3 * PATIENCE;
    until("all are listed", patience, || {
        eyes.now().networks().len() == THOUSANDS + 2
    });
    println!("{THOUSANDS} interfaces after {:?}", begin.elapsed());
    // A scout that comes late reads them all in its first look.
    assert_eq!(Eyes::open(&near).now().networks().len(), THOUSANDS + 2);
    near.ip("address add 10.1.0.3/24 dev eth0");
    eyes.see("eth0", |eth0| has(eth0, "10.1.0.3"));
    lab.end("ends");
    until("all are gone", patience, || {
        eyes.now().networks().len() == 2
    });
    println!("and gone after {:?}", begin.elapsed());
    assert_eq!(eyes.see("eth0", is_up).id(), before.id());
    assert!(eyes.scout.changes().len() <= 256);
}
