//! Who said what, who wins, and what is inherited.

use super::*;

fn metered(fact: Fact) -> Saying {
    Saying {
        metered: Some(fact),
        ..Saying::default()
    }
}

/// `br0` over `eth0`, and a full tunnel.
fn stacked() -> Kernel {
    let mut has = ethernet(5, "br0", Some(InfoKind::Bridge));
    let port = with(link(2, "eth0", None), LinkAttribute::Controller(5));
    has.push(Message::NewLink(port));
    has.extend(wireguard());
    Kernel::looked(has)
}

#[test]
fn all_that_netlink_tells_is_netlinks() {
    let kernel = Kernel::looked(ethernet(2, "eth0", None));
    for aspect in [
        Aspect::Name,
        Aspect::Kind,
        Aspect::State,
        Aspect::Carrier,
        Aspect::Operstate,
        Aspect::Addresses,
        Aspect::Routes,
        Aspect::Mtu,
    ] {
        assert_eq!(kernel.sources("eth0", aspect), ["netlink"], "{aspect}");
    }
    for aspect in [Aspect::Metered, Aspect::Rtt, Aspect::Dns, Aspect::Health] {
        assert!(kernel.sources("eth0", aspect).is_empty(), "{aspect}");
    }
}

// behaviour: C7
#[test]
fn of_two_that_disagree_the_stronger_wins_and_both_are_visible() {
    let kernel = Kernel::looked(ethernet(2, "wwan0", None));
    kernel.hear(
        Teller::NetworkManager,
        [(
            "wwan0",
            Saying {
                kind: Some(Kind::Ethernet),
                ..metered(Fact::LikelyNo)
            },
        )],
    );
    kernel.hear(
        Teller::ModemManager,
        [(
            "wwan0",
            Saying {
                kind: Some(Kind::Cellular),
                ..metered(Fact::Yes)
            },
        )],
    );
    let wwan0 = kernel.network("wwan0");
    assert_eq!(wwan0.kinds, Kinds::of(Kind::Cellular));
    assert_eq!(wwan0.metered, Fact::Yes);
    assert_eq!(
        kernel.sources("wwan0", Aspect::Metered),
        ["ModemManager", "NetworkManager"]
    );
    assert_eq!(
        kernel.sources("wwan0", Aspect::Kind),
        ["ModemManager", "NetworkManager", "netlink"]
    );
    kernel.hearsay.unsay(Teller::ModemManager);
    assert_eq!(kernel.network("wwan0").metered, Fact::LikelyNo);
}

// behaviour: C7
#[test]
fn of_three_that_disagree_the_override_wins_and_what_was_said_returns_when_it_goes() {
    let mut kernel = Kernel::looked(ethernet(2, "wwan0", None));
    kernel.hear(Teller::NetworkManager, [("wwan0", metered(Fact::No))]);
    kernel.hear(Teller::ModemManager, [("wwan0", metered(Fact::LikelyYes))]);
    let stated = Facts {
        metered: Some(false),
        kind: Some(Kind::Cellular),
        ..Facts::default()
    };
    kernel.overrides.push("wwan*", stated);
    assert_eq!(kernel.network("wwan0").metered, Fact::No);
    assert_eq!(
        kernel.sources("wwan0", Aspect::Metered),
        ["override", "ModemManager", "NetworkManager"]
    );
    assert_eq!(
        kernel.sources("wwan0", Aspect::Kind),
        ["override", "netlink"]
    );
    kernel.overrides = Overrides::new();
    let wwan0 = kernel.network("wwan0");
    assert_eq!(wwan0.metered, Fact::LikelyYes);
    assert_eq!(wwan0.kinds, Kinds::of(Kind::Ethernet));
}

#[test]
fn a_saying_of_another_device_of_that_name_is_not_believed() {
    let kernel = Kernel::looked(ethernet(2, "eth0", None));
    for elsewhere in [
        Saying {
            index: Some(3),
            ..metered(Fact::Yes)
        },
        Saying {
            hardware: Some(vec![2, 0, 0, 0, 0, 1]),
            ..metered(Fact::Yes)
        },
    ] {
        kernel.hear(Teller::NetworkManager, [("eth0", elsewhere)]);
        assert_eq!(kernel.network("eth0").metered, Fact::Unknown);
        assert!(kernel.sources("eth0", Aspect::Metered).is_empty());
    }
}

// behaviour: C7
#[test]
fn a_radio_that_sysfs_knows_is_no_cable_though_netlink_takes_it_for_one() {
    let root = tempfile::tempdir().expect("a directory");
    let wlan0 = root.path().join("wlan0");
    std::fs::create_dir(&wlan0).expect("a directory");
    for (file, text) in [
        ("ifindex", "2\n"),
        ("address", "02:00:00:00:00:02\n"),
        ("uevent", "DEVTYPE=wlan\n"),
    ] {
        std::fs::write(wlan0.join(file), text).expect("a file");
    }
    let hardware = LinkAttribute::Address(vec![2, 0, 0, 0, 0, 2]);
    let kernel = Kernel::looked(vec![Message::NewLink(with(
        link(2, "wlan0", None),
        hardware,
    ))]);
    let mut derive = Derive::new(root.path(), |_| None);
    let seen = derive.networks(&kernel.talk.tables, &kernel.overrides, &kernel.hearsay);
    let wlan0 = published(seen[0].clone());
    assert_eq!(wlan0.kind(), Kind::Wifi);
    assert_eq!(sources(&wlan0, Aspect::Kind), ["sysfs", "netlink"]);
}

// behaviour: M16
#[test]
fn what_is_said_of_a_device_holds_for_what_runs_over_it() {
    let kernel = stacked();
    let said = Saying {
        roaming: Some(Fact::LikelyYes),
        constrained: Some(Fact::No),
        ..metered(Fact::Yes)
    };
    kernel.hear(Teller::NetworkManager, [("eth0", said)]);
    for (name, source) in [("br0", "lower device"), ("wg0", "carrier")] {
        let spec = kernel.network(name);
        assert_eq!(spec.metered, Fact::Yes, "{name}");
        assert_eq!(spec.roaming, Fact::LikelyYes, "{name}");
        assert_eq!(spec.constrained, Fact::No, "{name}");
        for aspect in [Aspect::Metered, Aspect::Roaming, Aspect::Constrained] {
            assert_eq!(kernel.sources(name, aspect), [source], "{name}");
        }
    }
    assert_eq!(kernel.sources("br0", Aspect::Kind), ["lower device"]);
    assert_eq!(kernel.sources("wg0", Aspect::Kind), ["netlink", "carrier"]);
}

#[test]
fn of_what_a_device_is_told_and_what_it_inherits_the_worse_holds() {
    let kernel = stacked();
    for (above, below, holds, sources) in [
        (
            Fact::No,
            Fact::Yes,
            Fact::Yes,
            ["lower device", "NetworkManager"],
        ),
        (
            Fact::Yes,
            Fact::LikelyNo,
            Fact::Yes,
            ["NetworkManager", "lower device"],
        ),
    ] {
        let both = [("br0", metered(above)), ("eth0", metered(below))];
        kernel.hear(Teller::NetworkManager, both);
        assert_eq!(kernel.network("br0").metered, holds);
        assert_eq!(kernel.sources("br0", Aspect::Metered), sources);
        assert_eq!(kernel.network("wg0").metered, holds, "over the bridge");
    }
    kernel.hear(Teller::NetworkManager, [("br0", metered(Fact::No))]);
    assert_eq!(
        kernel.network("br0").metered,
        Fact::No,
        "nobody said anything of what is below"
    );
}

#[test]
fn an_override_wins_over_what_is_inherited_and_is_inherited_itself() {
    let mut kernel = stacked();
    kernel.hear(Teller::NetworkManager, [("eth0", metered(Fact::Yes))]);
    let unmetered = Facts {
        metered: Some(false),
        ..Facts::default()
    };
    kernel.overrides.push("wg0", unmetered.clone());
    assert_eq!(kernel.network("br0").metered, Fact::Yes);
    assert_eq!(kernel.network("wg0").metered, Fact::No);
    assert_eq!(
        kernel.sources("wg0", Aspect::Metered),
        ["override", "carrier"]
    );
    kernel.overrides = Overrides::new();
    kernel.overrides.push("eth0", unmetered);
    assert_eq!(kernel.network("br0").metered, Fact::No);
    assert_eq!(kernel.network("wg0").metered, Fact::No);
}

#[test]
fn a_tunnel_stays_one_whatever_a_manager_calls_the_device() {
    let kernel = stacked();
    let cable = Saying {
        kind: Some(Kind::Ethernet),
        ..Saying::default()
    };
    kernel.hear(Teller::NetworkManager, [("wg0", cable)]);
    assert!(kernel.network("wg0").kinds.contains(Kind::Vpn));
    assert_eq!(kernel.sources("wg0", Aspect::Kind)[0], "netlink");
}

// behaviour: M15
#[test]
fn an_interface_with_a_default_route_is_up_whatever_a_manager_says_of_its_reach() {
    let kernel = Kernel::looked(ethernet(2, "eth0", None));
    let offline = Saying {
        health: Some(Health::None),
        ..Saying::default()
    };
    kernel.hear(Teller::NetworkManager, [("eth0", offline)]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Up);
    assert_eq!(eth0.health, Health::None, "which makes it the last choice");
    assert_eq!(kernel.sources("eth0", Aspect::State), ["netlink"]);
    assert_eq!(kernel.sources("eth0", Aspect::Health), ["NetworkManager"]);
}

#[test]
fn the_default_routes_of_every_table_keep_their_metrics() {
    let mut has = ethernet(2, "eth0", None);
    let mut from = rule(false, 1000, 7, vec![RuleAttribute::Source(ip("10.0.2.2"))]);
    from.header.src_len = 32;
    has.push(Message::NewRule(from));
    has.push(Message::NewRule(rule(false, 900, 8, Vec::new())));
    has.push(Message::NewRule(rule(false, 32_766, MAIN, Vec::new())));
    for (table, metric) in [(7, 50), (8, 300), (MAIN, 600)] {
        let mut default = route(2, "0.0.0.0", 0, Some("10.0.2.1"), table);
        default.attributes.push(RouteAttribute::Priority(metric));
        has.push(Message::NewRoute(default));
    }
    let eth0 = Kernel::looked(has).network("eth0");
    let defaults = eth0.routes.iter().filter(|route| route.is_default_like());
    let mut found: Vec<_> = defaults.map(|r| (r.rank, r.table, r.metric)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            (900, 8, 300),
            (32_766, MAIN, 0),
            (32_766, MAIN, 600),
            (Route::UNRANKED, 7, 50)
        ]
    );
}

/// How many interfaces a machine of containers may have, several times over.
const THOUSANDS: u32 = 5_000;

#[test]
fn thousands_of_interfaces_are_listed_and_settled() {
    let vlan = |index: u32| {
        let name = format!("v{index}");
        let vlan = link(index, &name, Some(InfoKind::Vlan));
        Message::NewLink(with(vlan, LinkAttribute::Link(1)))
    };
    let mut has = vec![Message::NewLink(link(1, "eth0", None))];
    has.extend((2..=THOUSANDS).map(vlan));
    let mut kernel = Kernel::looked(has);
    kernel.hear(Teller::NetworkManager, [("eth0", metered(Fact::Yes))]);
    let seen = kernel.seen();
    assert_eq!(seen.len(), THOUSANDS as usize);
    assert!(seen.iter().all(|seen| seen.spec.metered == Fact::Yes));
    kernel.has.truncate(1);
    kernel.now += Duration::from_secs(1);
    kernel.talk.look(kernel.now);
    kernel.answer_all();
    assert_eq!(kernel.seen().len(), 1);
}
