#![allow(clippy::disallowed_types, reason = "any socket can be bound")]

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use super::*;

fn id(index: u32) -> NetworkId {
    NetworkId { index, epoch: 1 }
}

fn snapshot(specs: impl IntoIterator<Item = NetworkSpec>) -> Snapshot {
    let network = |(i, spec)| Network::new(id(i), spec);
    Snapshot::new(1, true, (1..).zip(specs).map(network).collect())
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn prefix(text: &str) -> Address {
    text.parse().expect(text)
}

#[test]
fn ids_print_as_index_and_epoch() {
    let id = NetworkId {
        index: 3,
        epoch: 12,
    };
    assert_eq!(id.to_string(), "3.12");
    assert_eq!((id.index(), id.epoch()), (3, 12));
}

#[test]
fn kinds_are_a_set_with_an_own_kind() {
    let tunnel = Kinds::of(Kind::Wifi) | Kinds::of(Kind::Vpn);
    assert!(tunnel.contains(Kind::Vpn) && tunnel.intersects(Kind::Wifi.into()));
    assert_eq!(tunnel.own(), Kind::Vpn);
    assert_eq!(tunnel.to_string(), "wifi,vpn");
    assert_eq!(tunnel.iter().collect::<Kinds>(), tunnel);
    assert_eq!(tunnel.without(Kind::Vpn).own(), Kind::Wifi);
    assert_eq!(tunnel.intersection(Kind::Vpn.into()), Kind::Vpn.into());
    assert!(Kinds::EMPTY.is_empty());
    assert_eq!(
        (Kinds::EMPTY.to_string().as_str(), Kinds::EMPTY.own()),
        ("unknown", Kind::Other)
    );
    assert_eq!(Kind::ALL.into_iter().collect::<Kinds>().iter().count(), 8);
}

#[test]
fn the_worse_of_two_facts_is_the_larger() {
    let in_order = [
        Fact::No,
        Fact::LikelyNo,
        Fact::Unknown,
        Fact::LikelyYes,
        Fact::Yes,
    ];
    for (i, a) in in_order.into_iter().enumerate() {
        for b in &in_order[i..] {
            assert_eq!(a.worst(*b), *b);
        }
    }
    assert_eq!(
        in_order.map(Fact::known),
        [Some(false), Some(false), None, Some(true), Some(true)]
    );
    assert_eq!(Fact::from(true).word(), "yes");
}

#[test]
fn a_prefix_covers_its_own() {
    for (net, inside, outside) in [
        ("10.1.2.3/24", "10.1.2.255", "10.1.3.0"),
        ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("128.0.0.0/1", "200.0.0.1", "100.0.0.1"),
        ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
        ("::1/128", "::1", "::2"),
        ("::/0", "ffff::1", "0.0.0.1"),
    ] {
        assert!(prefix(net).covers(ip(inside)), "{net} {inside}");
        assert!(!prefix(net).covers(ip(outside)), "{net} {outside}");
    }
    assert_eq!(
        prefix("fd00::2"),
        Address {
            ip: ip("fd00::2"),
            prefix: 128
        }
    );
    assert_eq!(Address::from(([10, 0, 0, 2], 40)), prefix("10.0.0.2/32"));
    assert_eq!(prefix("10.0.0.2/24").to_string(), "10.0.0.2/24");
    for (whole, masked) in [
        ("10.1.2.3/20", "10.1.0.0/20"),
        ("10.1.2.3/0", "0.0.0.0/0"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("2001:db8::7/64", "2001:db8::/64"),
        ("2001:db8::7/0", "::/0"),
    ] {
        assert_eq!(prefix(whole).masked().to_string(), masked);
    }
    for bad in [
        "",
        "10.0.0",
        "10.0.0.2/33",
        "::/129",
        "10.0.0.2/",
        "10.0.0.2/-1",
    ] {
        let error = bad.parse::<Address>().expect_err(bad);
        assert!(error.to_string().contains(bad));
    }
}

#[test]
fn a_described_network_reaches_everything_until_told_otherwise() {
    let plain = Network::wifi("wlan0");
    assert_eq!((plain.addresses.len(), plain.routes.len()), (2, 2));

    let v4 = Network::wifi("wlan0").address(prefix("10.0.0.2/24"));
    assert_eq!(v4.addresses, [prefix("10.0.0.2/24")]);
    assert!(v4.routes.iter().any(|r| r.covers(ip("192.0.2.1"))));
    assert!(!v4.routes.iter().any(|r| r.covers(ip("2001:db8::1"))));

    let both = v4.address(prefix("fd00::2/64"));
    assert!(both.routes.iter().any(|r| r.covers(ip("2001:db8::1"))));

    let link = both.no_default_route();
    assert!(link.routes.iter().all(|r| r.connected));
    assert!(
        link.address(prefix("fd01::2/64"))
            .routes
            .iter()
            .all(|r| r.connected)
    );
    assert!(Network::loopback("lo").routes.iter().all(|r| r.connected));
}

// behaviour: M16, the facts
#[test]
fn what_runs_over_another_takes_its_kinds_and_its_worst_facts() {
    let modem = Network::cellular("wwan0")
        .metered(true)
        .roaming(Fact::LikelyYes);
    let tunnel = Network::vpn("tun0")
        .metered(false)
        .constrained(true)
        .over(&modem);
    assert_eq!(
        tunnel.kinds,
        [Kind::Vpn, Kind::Cellular].into_iter().collect()
    );
    assert_eq!(
        (tunnel.metered, tunnel.roaming, tunnel.constrained),
        (Fact::Yes, Fact::LikelyYes, Fact::Yes)
    );
}

#[test]
fn the_route_chosen_is_by_rank_then_prefix_then_metric_then_id() {
    let net = |name: &str| NetworkSpec::new(name, Kind::Ethernet);
    let to = |text: &str| Route::to(prefix(text));
    let all = snapshot([
        net("slow").route(to("0.0.0.0/0").metric(600)),
        net("fast").route(to("0.0.0.0/0").metric(100)),
        net("lan").route(to("10.0.0.0/8").metric(900).connected()),
        net("ruled")
            .route(to("10.9.0.0/16").rank(1))
            .route(to("172.16.0.0/12")),
        net("same").route(to("0.0.0.0/0").metric(100)),
        net("gone").route(to("192.0.2.0/24")).state(State::Down),
    ]);
    let choice = |text: &str| route_choice(&all, ip(text)).map(Network::name);
    assert_eq!(choice("192.0.2.1"), Some("fast"));
    assert_eq!(choice("10.0.0.1"), Some("lan"));
    // The table of rank 0 is consulted first, though the other route is more precise.
    assert_eq!(choice("10.9.0.1"), Some("lan"));
    assert_eq!(choice("172.17.0.1"), Some("ruled"));
    assert_eq!(choice("2001:db8::1"), None);

    let halves = snapshot([
        net("eth0")
            .route(to("0.0.0.0/0"))
            .route(to("192.168.1.0/24").connected()),
        NetworkSpec::new("tun0", Kind::Vpn)
            .route(to("0.0.0.0/1"))
            .route(to("128.0.0.0/1")),
    ]);
    let choice = |text: &str| route_choice(&halves, ip(text)).map(Network::name);
    assert_eq!(
        (choice("1.1.1.1"), choice("200.1.1.1")),
        (Some("tun0"), Some("tun0"))
    );
    assert_eq!(choice("192.168.1.7"), Some("eth0"));
    let default = Choice::Default(Family::V4).among(&halves);
    assert_eq!(default.map(Network::name), Some("tun0"));
}

#[test]
fn a_snapshot_is_searched_by_id_name_and_address() {
    let spec = Network::ethernet("eth0").address(prefix("10.0.0.2/24"));
    let all = Snapshot::new(
        7,
        false,
        vec![
            Network::new(id(9), Network::wifi("wlan0")),
            Network::new(id(2), spec),
        ],
    );
    assert_eq!((all.generation(), all.is_complete()), (7, false));
    assert_eq!(all.networks()[0].name(), "eth0");
    assert_eq!(all.by_id(id(9)).map(Network::name), Some("wlan0"));
    assert_eq!(all.by_name("eth0").map(Network::id), Some(id(2)));
    assert_eq!(
        all.by_address(ip("10.0.0.2")).map(Network::name),
        Some("eth0")
    );
    assert_eq!(all.by_address(ip("10.0.0.3")), None);
}

// behaviour: S8 S9
#[test]
fn an_interface_that_is_down_keeps_what_is_bound_to_an_address_it_has() {
    let at = |state, address| {
        let spec = Network::wifi("wlan0").state(state);
        let network = Network::new(id(1), spec.address(prefix(address)));
        Snapshot::new(1, true, vec![network])
    };
    let known = Network::new(id(1), Network::wifi("wlan0"));
    let local = Some(ip("10.0.0.2"));
    for (state, address, goes_on, keeps) in [
        (State::Up, "10.0.0.2/24", true, true),
        (State::Down, "10.0.0.2/24", false, true),
        (State::Down, "10.0.0.3/24", false, false),
        (State::Up, "10.0.0.3/24", false, false),
        (State::Up, "0.0.0.0/0", true, false),
    ] {
        let snapshot = at(state, address);
        let case = format!("{state:?} {address}");
        assert_eq!(
            snapshot.successor(&known, local).is_some(),
            goes_on,
            "{case}"
        );
        assert_eq!(snapshot.keeps(&known, local), keeps, "{case}");
    }
    assert!(!at(State::Down, "10.0.0.2/24").keeps(&known, None));
    assert!(!Snapshot::new(1, true, Vec::new()).keeps(&known, local));
}

#[test]
fn bandwidth_is_the_narrower_direction_known() {
    let of = |spec: NetworkSpec| Network::new(id(1), spec).bandwidth();
    assert_eq!(of(Network::wifi("w").up(1).down(2)), Some(1));
    assert_eq!(of(Network::wifi("w").down(2)), Some(2));
    assert_eq!(of(Network::wifi("w")), None);
}

fn udp(domain: Domain) -> Socket {
    Socket::new(domain, Type::DGRAM, None).expect("a socket")
}

fn local(socket: &Socket) -> IpAddr {
    let address = socket.local_addr().expect("an address");
    address.as_socket().expect("of the internet").ip()
}

#[test]
fn binding_by_address_gives_the_source_address_of_the_socket_s_family() {
    let lo = Network::new(id(1), Network::loopback("lo").address_only());
    let socket = udp(Domain::IPV4);
    lo.bind(&socket).expect("binds");
    assert_eq!(local(&socket), Ipv4Addr::LOCALHOST);
    // Bound to the network already: nothing to do.
    lo.bind(&socket).expect("is bound");

    let elsewhere = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let error = lo.bind(&elsewhere).expect_err("bound already");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);

    let v6_only = NetworkSpec::new("lo", Kind::Loopback).address(Ipv6Addr::LOCALHOST);
    let v6_only = Network::new(id(1), v6_only.address_only());
    let error = v6_only.bind(&udp(Domain::IPV4)).expect_err("no address");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("lo"), "{error}");
}

#[test]
fn what_is_no_interface_binds_nothing_and_what_refuses_says_why() {
    for binding in [Binding::Detached, Binding::Unbound] {
        let net = Network::new(id(1), Network::wifi("no such thing").binding(binding));
        let socket = udp(Domain::IPV4);
        net.bind(&socket).expect("nothing to do");
        assert_eq!(local(&socket), Ipv4Addr::UNSPECIFIED);
    }
    let refused = Binding::Refused(Arc::from("by a rule"));
    let net = Network::new(id(1), Network::wifi("wlan0").binding(refused));
    let error = net.bind(&udp(Domain::IPV4)).expect_err("refused");
    assert_eq!(error.to_string(), "cannot bind to wlan0 (refused)");
    let inner = error.get_ref().expect("a BindError");
    assert_eq!(inner.source().expect("the cause").to_string(), "by a rule");
}

#[cfg(target_os = "linux")]
#[test]
fn binding_to_a_device_gives_the_device_and_the_source_address() {
    let lo = Network::new(id(1), Network::loopback("lo"));
    let socket = udp(Domain::IPV4);
    lo.bind(&socket).expect("binds");
    assert_eq!(local(&socket), Ipv4Addr::LOCALHOST);

    // A port stays; the device is added.
    let bound = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    lo.bind(&bound).expect("binds");
    let device = socket2::SockRef::from(&bound).device().expect("is asked");
    assert_eq!(device.as_deref(), Some(&b"lo"[..]));

    let gone = Network::new(id(9), Network::wifi("wlan-gone0"));
    let error = gone.bind(&udp(Domain::IPV4)).expect_err("no such device");
    assert_eq!(
        error.to_string(),
        "cannot bind to wlan-gone0 (to the device)"
    );
    let inner = error.get_ref().and_then(|e| e.source());
    let cause = inner.and_then(|e| e.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.and_then(std::io::Error::raw_os_error),
        Some(libc::ENODEV)
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_snapshot_serializes_with_stable_names() {
    let modem = Network::cellular("wwan0")
        .address(prefix("10.0.0.2/24"))
        .metered(true)
        .rtt(Duration::from_micros(60_500))
        .down(10_000_000)
        .dns(ip("10.0.0.1"));
    let json = serde_json::to_value(snapshot([modem])).expect("serializes");
    let expected = serde_json::json!({
        "generation": 1,
        "complete": true,
        "networks": [{
            "id": "1.1", "name": "wwan0", "kinds": ["cellular"], "state": "up", "why_down": [],
            "carrier": "unknown", "operstate": null, "health": "unknown", "metered": "yes", "roaming": "unknown",
            "constrained": "unknown", "losing": false, "bypass_vpn": false,
            "rtt_ms": 60.5, "up_bps": null, "down_bps": 10_000_000, "loss_permille": null,
            "signal_percent": null, "mtu": null, "binding": "device", "why_unbound": null,
            "why_refused": null, "sources": {}, "age_ms": {}, "addresses": ["10.0.0.2/24"],
            "routes": [
                {"to": "0.0.0.0/0", "connected": false, "metric": 0, "table": 0, "rank": 0},
                {"to": "10.0.0.0/24", "connected": true, "metric": 0, "table": 0, "rank": 0},
            ],
            "dns": ["10.0.0.1"],
        }],
    });
    assert_eq!(json, expected);
}
