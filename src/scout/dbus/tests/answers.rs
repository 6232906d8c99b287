//! What each service says, and what of it is believed.

use super::*;
use crate::network::{Fact, Health};
use crate::scout::dbus::{Told, network_manager, percent, resolved};
use crate::scout::hearsay::Saying;
use std::net::IpAddr;

fn told(tree: &Tree, is_here: Option<bool>) -> Told {
    let body = tree.body();
    network_manager::told(&body.deserialize().expect("objects"), is_here)
}

fn said(tree: &Tree, name: &str) -> Saying {
    told(tree, None)
        .sayings
        .remove(name)
        .expect("something said")
}

#[test]
fn each_fact_of_a_device_is_told() {
    let configs = "/org/freedesktop/NetworkManager/IP4Config/1";
    let six: Vec<Vec<u8>> = vec![vec![
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x35,
    ]];
    let tree = Tree::new()
        .device(
            "wlan0",
            [
                ("DeviceType", number(2)),
                ("Metered", number(3)),
                ("Ip4Connectivity", number(4)),
                ("Ip6Connectivity", number(1)),
                ("Ip4Config", path(configs)),
                ("Ip6Config", path("/6")),
            ],
        )
        .with(
            "/org/freedesktop/NetworkManager/Devices/wlan0",
            "org.freedesktop.NetworkManager.Device.Wireless",
            [("ActiveAccessPoint", path("/ap"))],
        )
        .with(
            "/ap",
            "org.freedesktop.NetworkManager.AccessPoint",
            [("Strength", Variant::from(79_u8))],
        )
        .with(
            configs,
            "org.freedesktop.NetworkManager.IP4Config",
            [(
                "Nameservers",
                Variant::from(vec![u32::from_ne_bytes([10, 1, 0, 53])]),
            )],
        )
        .with(
            "/6",
            "org.freedesktop.NetworkManager.IP6Config",
            [("Nameservers", Variant::from(six))],
        );
    let servers: [IpAddr; 2] =
        ["10.1.0.53", "2001:db8::35"].map(|a| a.parse().expect("an address"));
    let expected = Saying {
        hardware: Some(HARDWARE.to_vec()),
        kind: Some(Kind::Wifi),
        metered: Some(Fact::LikelyYes),
        health: Some(Health::Full),
        signal: Some(60),
        dns: Some(servers.to_vec()),
        ..Saying::default()
    };
    assert_eq!(said(&tree, "wlan0"), expected);
}

// behaviour: M15
#[test]
fn of_an_unmanaged_device_nothing_is_said_whatever_the_manager_thinks_of_the_host() {
    let offline = [("State", number(20)), ("Connectivity", number(1))];
    let tree = Tree::new()
        .with("/org/freedesktop/NetworkManager", MANAGER, offline)
        .device(
            "eth0",
            [("State", number(10)), ("Ip4Connectivity", number(1))],
        );
    assert!(told(&tree, Some(true)).sayings.is_empty());
}

#[test]
fn metered_has_five_values() {
    let facts = [
        None,
        Some(Fact::Yes),
        Some(Fact::No),
        Some(Fact::LikelyYes),
        Some(Fact::LikelyNo),
    ];
    for (number_of, fact) in (0..).zip(facts) {
        let tree = Tree::new().device("eth0", [("Metered", number(number_of))]);
        assert_eq!(said(&tree, "eth0").metered, fact, "{number_of}");
    }
}

#[test]
fn health_is_that_of_the_better_family_and_a_portal_that_was_met_outdoes_a_limit() {
    for (four, six, health) in [
        (0, 0, None),
        (1, 0, Some(Health::None)),
        (1, 3, Some(Health::Limited)),
        (2, 3, Some(Health::Portal)),
        (3, 4, Some(Health::Full)),
    ] {
        let connectivity = [
            ("Ip4Connectivity", number(four)),
            ("Ip6Connectivity", number(six)),
        ];
        let tree = Tree::new().device("eth0", connectivity);
        assert_eq!(said(&tree, "eth0").health, health, "{four} {six}");
    }
}

#[test]
fn the_hosts_health_is_that_of_the_primary_connections_device_alone() {
    let manager = [
        ("PrimaryConnection", path("/active/1")),
        ("Connectivity", number(2)),
    ];
    let tree = Tree::new()
        .with("/org/freedesktop/NetworkManager", MANAGER, manager)
        .device("eth0", [("ActiveConnection", path("/active/1"))])
        .device("eth1", [("ActiveConnection", path("/active/2"))]);
    assert_eq!(said(&tree, "eth0").health, Some(Health::Portal));
    assert_eq!(said(&tree, "eth1").health, None);
}

#[test]
fn a_manager_that_checks_nothing_only_supposes() {
    for what in ["ConnectivityCheckEnabled", "ConnectivityCheckAvailable"] {
        let tree = Tree::new()
            .with("/manager", MANAGER, [(what, Variant::from(false))])
            .device("eth0", [("Ip4Connectivity", number(4))]);
        assert_eq!(said(&tree, "eth0").health, None, "{what}");
    }
    let tree = Tree::new().device(
        "eth0",
        [("State", number(70)), ("Ip4Connectivity", number(1))],
    );
    assert_eq!(said(&tree, "eth0").health, None, "not there yet");
}

// behaviour: S15
#[test]
fn a_device_that_is_being_deactivated_is_about_to_go() {
    let tree = Tree::new().device("eth0", [("State", number(110))]);
    assert_eq!(said(&tree, "eth0").losing, Some(true));
    assert_eq!(said(&Tree::new().device("eth0", []), "eth0").losing, None);
}

#[test]
fn a_modem_is_known_by_the_interface_that_carries_its_packets() {
    let modem = [
        ("Interface", text("cdc-wdm0")),
        ("IpInterface", text("wwan0")),
        ("DeviceType", number(8)),
    ];
    let tree = Tree::new().device("cdc-wdm0", modem);
    let modem = told(&tree, Some(true))
        .sayings
        .remove("wwan0")
        .expect("said");
    assert_eq!((modem.kind, modem.hardware), (Some(Kind::Cellular), None));
}

#[test]
fn what_may_be_another_namespaces_is_believed_of_its_hardware_address_alone() {
    let tree = Tree::new()
        .device("eth0", [])
        .device("tun0", [("HwAddress", text(""))])
        .device("lo", [("HwAddress", text("00:00:00:00:00:00"))]);
    let names = |is_here| told(&tree, is_here).sayings.into_keys().collect::<Vec<_>>();
    assert_eq!(names(Some(true)), ["eth0", "lo", "tun0"]);
    assert_eq!(names(None), ["eth0"]);
    assert!(names(Some(false)).is_empty());
}

#[test]
fn percent_goes_in_fifths() {
    assert_eq!(
        [0, 19, 20, 99, 100].map(percent),
        [0, 0, 20, 80, 100].map(Some)
    );
    assert_eq!([101, 256, u32::MAX].map(percent), [None; 3]);
}

mod servers {
    use super::*;

    fn told(servers: &[(i32, i32, Vec<u8>)], is_here: Option<bool>) -> Told {
        let variant = Variant::from(servers.to_vec());
        let message = Message::method_call("/", "answer").build(&variant);
        let body = message.expect("a message").body();
        let name = |index| (index < 9).then(|| format!("eth{index}"));
        resolved::told(&body.deserialize().expect("servers"), is_here, name)
    }

    #[test]
    fn are_those_of_a_link_by_its_index() {
        let all = [
            (0, 2, vec![9, 9, 9, 9]),
            (3, 2, vec![10, 1, 0, 1]),
            (3, 2, vec![10, 1, 0, 2]),
            (12, 2, vec![10, 2, 0, 1]),
        ];
        let told = told(&all, Some(true));
        let servers = ["10.1.0.1", "10.1.0.2"].map(|a| a.parse::<IpAddr>().expect("an address"));
        let eth3 = Saying {
            index: Some(3),
            dns: Some(servers.to_vec()),
            ..Saying::default()
        };
        assert_eq!(
            told.sayings.into_iter().collect::<Vec<_>>(),
            [("eth3".to_owned(), eth3)]
        );
    }

    #[test]
    fn are_not_believed_of_a_resolver_that_may_live_elsewhere() {
        let all = [(3, 2, vec![10, 1, 0, 1])];
        for is_here in [None, Some(false)] {
            assert!(told(&all, is_here).sayings.is_empty(), "{is_here:?}");
        }
    }

    #[test]
    fn that_are_no_addresses_are_passed_over() {
        let all = [
            (-1, 2, vec![1, 2, 3, 4]),
            (3, 2, vec![1; 5]),
            (3, 10, vec![1; 16]),
        ];
        let told = told(&all, Some(true));
        assert_eq!(told.ignored, 2);
        let dns = told.sayings["eth3"].dns.as_deref();
        assert_eq!(dns, Some(&[IpAddr::from([1; 16])][..]));
    }

    #[test]
    fn of_another_type_are_an_error() {
        for wrong in [number(7), text("10.1.0.1"), Variant::from(vec![1_u8])] {
            let message = Message::method_call("/", "answer").build(&wrong);
            let body = message.expect("a message").body();
            assert!(body.deserialize::<resolved::Servers<'_>>().is_err());
        }
    }
}
