//! The scout over real interfaces: what it shows, and what it stands.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link};
use crate::netlink;
use crate::process::until;
use crate::world::PATIENCE;
use mancom::network::{Aspect, Binding, Fact, Kind, State};
use mancom::scout::{Facts, Overrides};
use mancom::{Network, Scout, Snapshot};
use std::io::Write;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) const CASES: &[Case] = cases![scout:
    a_flapping_network_gives_few_snapshots_and_the_right_end,
    an_overrun_loses_nothing,
    follows_renames_and_moves_between_namespaces,
    an_address_counts_while_it_is_preferred_and_no_longer_tentative,
    an_address_that_is_not_the_last_ends_nothing,
    what_lies_below_makes_a_network_dear,
    thousands_of_interfaces_come_and_go,
    the_servers_of_resolv_conf_belong_to_the_networks_that_reach_them,
    a_device_that_cannot_be_bound_to_says_why,
    each_change_of_a_network_is_seen,
    what_is_stated_at_run_time_wakes_once,
];

/// A scout that runs on a host, in a thread of its own.
struct Eyes {
    host: Host,
    scout: Scout,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Eyes {
    fn open(host: &Host) -> Self {
        Self::open_with(host, Overrides::new())
    }

    fn open_with(host: &Host, overrides: Overrides) -> Self {
        let (opened, ready) = mpsc::channel();
        host.spawn_async(move || async move {
            let scout = Scout::system_with(overrides);
            let mut snapshots = scout.snapshots();
            opened.send((scout, snapshots.clone())).unwrap();
            // Until the last handle goes, with the test.
            while snapshots.changed().await.is_ok() {}
        });
        let (scout, snapshots) = ready.recv().unwrap();
        let host = host.clone();
        let eyes = Eyes {
            host,
            scout,
            snapshots,
        };
        until("a whole look", PATIENCE, || eyes.now().is_complete());
        assert_eq!(eyes.scout.source(), "netlink");
        eyes
    }

    fn now(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// What it sees under this name, as soon as `holds`.
    fn see(&self, name: &str, holds: impl Fn(&Network) -> bool) -> Network {
        let begin = Instant::now();
        while !self.now().by_name(name).is_some_and(&holds) {
            assert!(
                begin.elapsed() < PATIENCE,
                "sees {:#?}, where there is {} {} {}",
                self.now().by_name(name),
                self.host.ip("link"),
                self.host.ip("address"),
                self.host.ip("route show table all")
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        // It may have changed meanwhile, but not in the tests that ask.
        self.now().by_name(name).unwrap().clone()
    }
}

fn is_up(network: &Network) -> bool {
    network.state() == State::Up
}

fn has(network: &Network, ip: &str) -> bool {
    let ip: IpAddr = ip.parse().unwrap();
    network.addresses().iter().any(|address| address.ip == ip)
}

/// Runs these on the host as fast as one `ip` can.
fn batch(host: &Host, lines: impl IntoIterator<Item = String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    host.ip(&format!("-batch {}", file.path().display()));
}

fn two_hosts(lab: &Lab) -> (Host, Host, Link) {
    let (near, far) = (lab.host("near"), lab.host("far"));
    let link = lab.link(&near, "eth0", "10.1.0.2/24", &far, "v0", "10.1.0.1/24");
    near.ip("route add default via 10.1.0.1 dev eth0");
    (near, far, link)
}

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

/// Messages that the netlink sockets of this thread's network namespace have lost.
fn dropped() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_ascii_whitespace());
    rows.filter_map(|mut row| row.nth(8)?.parse::<u64>().ok())
        .sum()
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
        let mut rounds = 0;
        while dropped() == 0 {
            flap(&host, 2000);
            rounds += 1;
            assert!(rounds < 100, "the socket holds everything");
        }
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

// behaviour: C10
fn follows_renames_and_moves_between_namespaces() {
    let lab = Lab::new();
    let (near, far, _link) = two_hosts(&lab);
    let (here, there) = (Eyes::open(&near), Eyes::open(&far));
    let eth0 = here.see("eth0", is_up);
    near.ip("link set dev eth0 down");
    near.ip("link set dev eth0 name uplink");
    near.ip("link set dev uplink up");
    let renamed = here.see("uplink", is_up);
    assert_eq!(renamed.id().index(), eth0.id().index());
    assert!(here.now().by_name("eth0").is_none());

    near.ip("link set dev uplink netns far");
    until("it is gone here", PATIENCE, || {
        here.now().by_name("uplink").is_none()
    });
    let moved = there.see("uplink", |_| true);
    assert_eq!(moved.state(), State::Down);
    assert!(moved.addresses().is_empty(), "they stayed behind");

    far.ip("link set dev uplink netns near");
    near.ip("link set dev uplink up");
    near.ip("address add 10.1.0.2/24 dev uplink");
    let back = here.see("uplink", is_up);
    assert!(has(&back, "10.1.0.2"));
    assert!(back.id().epoch() > renamed.id().epoch(), "another epoch");
    until("it is gone there", PATIENCE, || {
        there.now().by_name("uplink").is_none()
    });
    assert_eq!(here.now().networks().len(), 2, "loopback and this one");
}

// behaviour: M14
fn an_address_counts_while_it_is_preferred_and_no_longer_tentative() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    let eyes = Eyes::open(&near);
    near.ip("address add fd00:1::2/64 dev eth0");
    eyes.see("eth0", |eth0| has(eth0, "fd00:1::2"));
    let tentative = near.ip("-6 -o address show dev eth0 tentative");
    assert!(!tentative.contains("fd00:1::2"), "{tentative}");
    near.ip("address change fd00:1::2/64 dev eth0 preferred_lft 0 valid_lft 3600");
    let eth0 = eyes.see("eth0", |eth0| !has(eth0, "fd00:1::2"));
    assert!(is_up(&eth0), "IPv4 is left");
    let kept = near.ip("-6 -o address show dev eth0");
    assert!(kept.contains("fd00:1::2"), "deprecated, not gone: {kept}");
}

// behaviour: C8
fn an_address_that_is_not_the_last_ends_nothing() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    near.ip("address add 10.1.0.3/24 dev eth0");
    let eyes = Eyes::open(&near);
    let before = eyes.see("eth0", |eth0| has(eth0, "10.1.0.3"));
    near.ip("address delete 10.1.0.3/24 dev eth0");
    let after = eyes.see("eth0", |eth0| !has(eth0, "10.1.0.3"));
    assert_eq!(before.id(), after.id());
    assert!(is_up(&after));
    let age = |aspect| after.age(aspect).unwrap();
    assert!(age(Aspect::Addresses) < age(Aspect::State));
}

fn sources(network: &Network, aspect: Aspect) -> Vec<&str> {
    network.sources(aspect).collect()
}

// behaviour: M16, C7
fn what_lies_below_makes_a_network_dear() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    near.ip("link add mv0 link eth0 type macvlan");
    near.ip("link add br0 type bridge");
    near.ip("link add port0 type veth peer name other0");
    near.ip("link set dev port0 master br0");
    near.ip("tuntap add dev tun0 mode tun");
    near.ip("link set dev tun0 up");
    near.ip("address add 10.8.0.2/32 dev tun0");
    near.ip("route add default dev tun0 metric 1");
    let mut overrides = Overrides::new();
    let cellular = Facts {
        kind: Some(Kind::Cellular),
        metered: Some(true),
        ..Facts::default()
    };
    overrides.push("eth0", cellular.clone());
    overrides.push("port0", cellular);
    let eyes = Eyes::open_with(&near, overrides);
    for (name, source) in [
        ("mv0", "lower device"),
        ("br0", "lower device"),
        ("tun0", "carrier"),
    ] {
        let network = eyes.see(name, |network| network.metered() == Fact::Yes);
        assert!(network.kinds().contains(Kind::Cellular), "{name}");
        assert_eq!(sources(&network, Aspect::Metered), [source], "{name}");
        assert!(sources(&network, Aspect::Kind).contains(&source), "{name}");
    }
    assert_eq!(eyes.now().by_name("tun0").unwrap().kind(), Kind::Vpn);
    let eth0 = eyes.see("eth0", is_up);
    assert_eq!(sources(&eth0, Aspect::Kind), ["override", "netlink"]);
    assert_eq!(sources(&eth0, Aspect::Binding), ["tried"]);
    for aspect in [Aspect::State, Aspect::Carrier, Aspect::Routes, Aspect::Mtu] {
        assert_eq!(sources(&eth0, aspect), ["netlink"], "{aspect}");
    }
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

// behaviour: C7
fn the_servers_of_resolv_conf_belong_to_the_networks_that_reach_them() {
    let lab = Lab::new();
    let (near, far, _link) = two_hosts(&lab);
    let _lan = lab.link(&near, "eth1", "10.2.0.2/24", &far, "v1", "10.2.0.1/24");
    // This test has a mount namespace of its own.
    let mut mount = Command::new("mount");
    let mounted = mount.args(["-t", "tmpfs", "tmpfs", "/etc"]).status();
    assert!(mounted.unwrap().success());
    let write = |text: &str| std::fs::write("/etc/resolv.conf", text).unwrap();
    write("nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver 10.2.0.1\n");
    let eyes = Eyes::open(&near);
    let serves =
        |network: &Network, server: &str| *network.dns() == [server.parse::<IpAddr>().unwrap()];
    for (name, server) in [("eth0", "192.0.2.53"), ("eth1", "10.2.0.1")] {
        let network = eyes.see(name, |network| serves(network, server));
        assert_eq!(sources(&network, Aspect::Dns), ["resolv.conf"]);
    }
    assert!(eyes.now().by_name("lo").unwrap().dns().is_empty());
    write("nameserver 192.0.2.54\n");
    eyes.see("eth0", |eth0| serves(eth0, "192.0.2.54"));
    eyes.see("eth1", |eth1| eth1.dns().is_empty());
}

// behaviour: C9
fn a_device_that_cannot_be_bound_to_says_why() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    let watching = near.spawn_async(|| async {
        netlink::refuse_devices();
        let scout = Scout::system();
        let mut snapshots = scout.snapshots();
        let now = snapshots.wait_for(|now| now.is_complete()).await.unwrap();
        now.by_name("eth0").unwrap().clone()
    });
    let eth0 = crate::lab::join(watching);
    assert_eq!(*eth0.binding(), Binding::Address);
    assert_eq!(
        eth0.why_unbound(),
        Some("SO_BINDTODEVICE: Operation not permitted")
    );
}

/// What happens to eth0, and what is to be seen of it then.
type Event = (&'static str, fn(&Host, &Link), fn(&Snapshot) -> bool);

const EVENTS: [Event; 12] = [
    (
        "link down",
        |_, link| link.down(),
        |now| why(now).contains(&"administratively down"),
    ),
    ("link up", |_, link| link.up(), is_whole),
    (
        "carrier lost",
        |_, link| link.lose_carrier(),
        |now| why(now).contains(&"no carrier"),
    ),
    ("carrier back", |_, link| link.regain_carrier(), is_whole),
    (
        "address gone",
        |_, link| link.remove_address(),
        |now| eth0(now).is_some_and(|eth0| !has(eth0, "10.1.0.2")),
    ),
    ("address back", |_, link| link.restore_address(), is_whole),
    (
        "default route gone",
        |near, _| drop(near.ip("route delete default dev eth0 metric 100")),
        |now| eth0(now).is_some_and(is_up) && !is_default(now, "eth0"),
    ),
    (
        "default route back",
        |near, _| drop(near.ip("route add default via 10.1.0.1 dev eth0 metric 100")),
        is_whole,
    ),
    (
        "largest packet",
        |near, _| drop(near.ip("link set dev eth0 mtu 1280")),
        |now| eth0(now).is_some_and(|eth0| eth0.mtu() == Some(1280)),
    ),
    (
        "rule for another table",
        |near, _| drop(near.ip("rule add to 192.0.2.0/24 lookup 100 priority 9")),
        |now| eth0(now).is_some_and(|eth0| eth0.routes().iter().any(|route| route.rank == 9)),
    ),
    (
        "deleted",
        |_, link| link.delete(),
        |now| eth0(now).is_none(),
    ),
    ("made again", |_, link| link.make(), is_whole),
];

fn eth0(now: &Snapshot) -> Option<&Network> {
    now.by_name("eth0")
}

fn why(now: &Snapshot) -> Vec<&str> {
    let reasons = eth0(now).map(Network::why_down).unwrap_or_default();
    reasons.iter().map(|reason| &**reason).collect()
}

fn is_default(now: &Snapshot, name: &str) -> bool {
    let far = "198.51.100.1".parse().unwrap();
    mancom::network::route_choice(now, far).is_some_and(|network| network.name() == name)
}

fn is_whole(now: &Snapshot) -> bool {
    eth0(now).is_some_and(is_up) && is_default(now, "eth0")
}

// behaviour: C3
fn each_change_of_a_network_is_seen() {
    let lab = Lab::new();
    let (near, far) = (lab.host("near"), lab.host("far"));
    let link = lab.link(&near, "eth0", "10.1.0.2/24", &far, "v0", "10.1.0.1/24");
    link.default_route(100);
    let eyes = Eyes::open(&near);
    let mut epochs = vec![eyes.see("eth0", is_up).id().epoch()];
    for (what, happen, seen) in EVENTS {
        happen(&near, &link);
        let happened = Instant::now();
        until(what, PATIENCE, || seen(&eyes.now()));
        println!("{what}: seen {:?} after", happened.elapsed());
        epochs.extend(eth0(&eyes.now()).map(|eth0| eth0.id().epoch()));
    }
    assert!(epochs.is_sorted());
    epochs.dedup();
    assert_eq!(epochs.len(), 5, "four ends: {epochs:?}");
}

// behaviour: C2
fn what_is_stated_at_run_time_wakes_once() {
    let lab = Lab::new();
    let (near, _far, _link) = two_hosts(&lab);
    let eyes = Eyes::open(&near);
    let before = eyes.see("eth0", is_up);
    let generation = eyes.now().generation();
    let mut overrides = Overrides::new();
    let metered = Facts {
        metered: Some(true),
        ..Facts::default()
    };
    overrides.push("eth0", metered);
    eyes.scout.set_overrides(overrides);
    let stated = eyes.see("eth0", |eth0| eth0.metered() == Fact::Yes);
    assert_eq!(stated.id(), before.id());
    eyes.scout.set_overrides(Overrides::new());
    let restored = eyes.see("eth0", |eth0| eth0.metered() == Fact::Unknown);
    assert_eq!(restored, before);
    assert_eq!(eyes.now().generation(), generation + 2);
}
