//! What a network is said to be, and by whom.

use super::{Eyes, is_up, two_hosts};
use crate::isolation::{Case, cases};
use crate::lab::Lab;
use crate::netlink;
use mancom::network::{Aspect, Binding, Fact, Kind};
use mancom::scout::{Facts, Overrides};
use mancom::{Network, Scout};
use std::net::IpAddr;
use std::process::Command;

pub(crate) const CASES: &[Case] = cases![scout:
    what_lies_below_makes_a_network_dear,
    the_servers_of_resolv_conf_belong_to_the_networks_that_reach_them,
    a_device_that_cannot_be_bound_to_says_why,
    what_is_stated_at_run_time_wakes_once,
];

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
