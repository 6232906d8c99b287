//! Each change of a network, one after the other.

use super::{Eyes, has, is_up, two_hosts};
use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link};
use crate::process::until;
use crate::world::PATIENCE;
use mancom::network::{Aspect, State};
use mancom::{Network, Snapshot};
use std::time::Instant;

pub(crate) const CASES: &[Case] = cases![scout:
    each_change_of_a_network_is_seen,
    follows_renames_and_moves_between_namespaces,
    an_address_counts_while_it_is_preferred_and_no_longer_tentative,
    an_address_that_is_not_the_last_ends_nothing,
];

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
