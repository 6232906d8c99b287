//! The rules of the essay, one by one.

use std::sync::Arc;

use super::*;
use crate::network::{Binding, Health, Kind, Route, State};

const ANYWHERE: &Destination = &Destination::Unnamed;

fn lan(name: &str, address: &str) -> NetworkSpec {
    Network::ethernet(name).address(prefix(address))
}

/// What a container runtime leaves on a host.
fn bridge(name: &str) -> NetworkSpec {
    NetworkSpec::new(name, Kind::Other).address(prefix("172.17.0.1/16"))
}

// behaviour: M5
#[test]
fn loopback_serves_nobody_who_does_not_name_it() {
    let all = world([Network::loopback("lo").route(Route::to(prefix("0.0.0.0/0")))]);
    assert_eq!(reasons(&all, "lo", "any", ANYWHERE), ["loopback"]);
    assert_eq!(
        reasons(&all, "lo", "any", &to(&["192.0.2.1"])),
        ["loopback"]
    );

    let plain = world([Network::loopback("lo"), Network::wifi("wlan0")]);
    for named in ["require=loopback", "if=lo", "scope=host"] {
        assert_eq!(anywhere(&plain, named), ["lo"], "{named}");
    }
    assert_eq!(anywhere(&plain, "prefer=loopback"), ["lo", "wlan0"]);
    assert_eq!(anywhere(&plain, "any"), ["wlan0"]);
}

#[test]
fn this_host_uses_no_network_and_only_prohibited_loopback_refuses_it() {
    let none = Snapshot::new(0, false, Vec::new());
    let host = to(&["127.0.0.1", "::1"]);
    assert_eq!(host, Destination::Host);
    for text in [
        "any",
        "require=wifi prohibit=metered",
        "if=wlan9",
        "scope=internet",
    ] {
        let admitted = candidates(&none, &label(text), &host, &Policy::default());
        assert_eq!(admitted, Ok(Vec::new()), "{text}");
    }
    let refused = blocked(&none, "prohibit=loopback", &host);
    assert_eq!(refused.reasons[0].word(), "prohibited");
    assert_eq!(
        refused.hint(),
        "this host itself is prohibited: drop prohibit=loopback"
    );
    assert!(refused.to_string().contains("to this host"));

    let mixed = Destination::Addresses(Arc::new([IpAddr::from([127, 0, 0, 1])]));
    assert!(mixed.is_host());
    assert!(!to(&["127.0.0.1", "192.0.2.1"]).is_host());
    assert_eq!(to(&[]), Destination::Name);
}

// behaviour: W4
#[test]
fn before_the_first_whole_scan_nothing_matches_and_it_says_so() {
    let mut all = world([Network::wifi("wlan0")]);
    all.complete = false;
    let blocked = blocked(&all, "any", ANYWHERE);
    assert_eq!(blocked.reasons, [Reason::ScoutStarting]);
    assert!(!blocked.complete);
    assert!(blocked.to_string().contains("first scan"), "{blocked}");
    assert_eq!(reasons(&all, "wlan0", "any", ANYWHERE), ["scout_starting"]);
}

// behaviour: M6
#[test]
fn required_kinds_are_alternatives_and_prohibitions_all_hold() {
    let all = world([
        Network::ethernet("eth0"),
        Network::wifi("wlan0").metered(true),
        Network::bluetooth("bnep0").roaming(true),
        Network::cellular("wwan0"),
    ]);
    assert_eq!(anywhere(&all, "require=wifi,ethernet"), ["eth0", "wlan0"]);
    assert_eq!(
        anywhere(&all, "prohibit=metered,roaming"),
        ["eth0", "wwan0"]
    );
    assert_eq!(
        anywhere(&all, "prohibit=ethernet,cellular,metered"),
        ["bnep0"]
    );
    assert_eq!(anywhere(&all, "require=metered"), ["wlan0"]);
    // Traits are all required, kinds are not.
    assert_eq!(anywhere(&all, "require=wifi,bluetooth,metered"), ["wlan0"]);
    assert!(anywhere(&all, "require=metered,roaming").is_empty());
}

// behaviour: M7
#[test]
fn unknown_is_taken_for_harmless_or_denied_and_both_are_explained() {
    let all = world([Network::wifi("wlan0")]);
    let denying = Policy {
        unknown_denied: true,
        ..Policy::default()
    };
    let unmetered = label("prohibit=metered");
    let network = &all.networks()[0];

    let verdict = admit(&all, network, &unmetered, ANYWHERE, &Policy::default());
    assert!(verdict.is_admitted());
    let told: Vec<_> = verdict
        .assumptions
        .iter()
        .map(Assumption::to_string)
        .collect();
    assert_eq!(told, ["taken to be not metered (unknown)"]);

    let refused = candidates(&all, &unmetered, ANYWHERE, &denying).expect_err("denied");
    assert_eq!(
        refused.networks[0].reasons,
        [Reason::Prohibited {
            prop: Prop::Metered,
            fact: Fact::Unknown
        }]
    );
    let told = refused.to_string();
    assert!(
        told.contains("wlan0: may be metered (unknown is denied), which is prohibited"),
        "{told}"
    );

    // A label that does not ask is not refused, though nothing is known.
    assert!(candidates(&all, &Label::ANY, ANYWHERE, &denying).is_ok());
    let validated = label("require=validated");
    assert!(candidates(&all, &validated, ANYWHERE, &Policy::default()).is_ok());
    assert!(candidates(&all, &validated, ANYWHERE, &denying).is_err());

    let guessed = world([Network::wifi("wlan0").metered(Fact::LikelyYes)]);
    assert_eq!(
        reasons(&guessed, "wlan0", "prohibit=metered", ANYWHERE),
        ["prohibited"]
    );
    let guessed = world([Network::wifi("wlan0").metered(Fact::LikelyNo)]);
    assert!(candidates(&guessed, &unmetered, ANYWHERE, &denying).is_ok());
}

// behaviour: M8
#[test]
fn a_captive_portal_stops_what_goes_beyond_its_link() {
    let all = world([lan("wlan0", "192.168.1.5/24").health(Health::Portal)]);
    for destination in [ANYWHERE, &Destination::Name, &to(&["192.0.2.1"])] {
        assert_eq!(reasons(&all, "wlan0", "any", destination), ["portal"]);
    }
    assert_eq!(admitted(&all, "any", &to(&["192.168.1.9"])), ["wlan0"]);
    assert_eq!(anywhere(&all, "scope=local"), ["wlan0"]);
    let blocked = blocked(&all, "any", ANYWHERE);
    assert_eq!(
        blocked.hint(),
        "wlan0 exists but is behind a captive portal"
    );
}

// behaviour: M9
#[test]
fn a_network_without_the_destination_s_family_is_refused() {
    let all = world([lan("eth0", "192.168.1.5/24")]);
    let six = to(&["2001:db8::1"]);
    assert_eq!(
        reasons(&all, "eth0", "any", &six),
        ["no_route", "no_family"]
    );
    assert!(
        blocked(&all, "any", &six)
            .to_string()
            .contains("has no IPv6 address")
    );
    // One address of a family in common is enough.
    assert_eq!(
        admitted(&all, "any", &to(&["2001:db8::1", "192.0.2.1"])),
        ["eth0"]
    );
}

// behaviour: M10
#[test]
fn a_preferred_network_of_limited_reach_loses_to_a_validated_one() {
    let all = world([
        Network::wifi("wlan0").health(Health::Limited),
        Network::cellular("wwan0")
            .metered(true)
            .health(Health::Full),
    ]);
    assert_eq!(anywhere(&all, "prefer=wifi"), ["wwan0", "wlan0"]);
}

// behaviour: M11
#[test]
fn where_the_default_route_is_a_vpn_only_it_is_admitted() {
    let metric = |m| Route::to(prefix("0.0.0.0/0")).metric(m);
    let eth = NetworkSpec::new("eth0", Kind::Ethernet).address(prefix("192.168.1.5/24"));
    let tun = NetworkSpec::new("tun0", Kind::Vpn).address(prefix("10.8.0.2/32"));
    let halves = tun
        .clone()
        .route(Route::to(prefix("0.0.0.0/1")))
        .route(Route::to(prefix("128.0.0.0/1")));
    let ruled = tun.clone().route(metric(900).rank(100));
    let low = tun.route(metric(1));
    for vpn in [halves, ruled, low] {
        let all = world([eth.clone().route(metric(50).rank(200)), vpn]);
        for destination in [ANYWHERE, &Destination::Name, &to(&["192.0.2.1"])] {
            assert_eq!(admitted(&all, "any", destination), ["tun0"]);
            assert_eq!(reasons(&all, "eth0", "any", destination), ["bypasses_vpn"]);
        }
        assert_eq!(reasons(&all, "eth0", "if=eth0", ANYWHERE), ["bypasses_vpn"]);
        let mut bypassing = anywhere(&all, "vpn=bypass");
        bypassing.sort();
        assert_eq!(bypassing, ["eth0", "tun0"]);
        let exempt = world([
            eth.clone().route(metric(50)).bypass_vpn(true),
            all.networks()[1].spec().clone(),
        ]);
        assert!(anywhere(&exempt, "any").contains(&"eth0".to_owned()));
    }
}

// behaviour: M16
#[test]
fn a_vpn_is_of_its_carrier_s_kind_and_cost() {
    let over_wifi = Network::vpn("tun0").over(&Network::wifi("wlan0"));
    assert_eq!(anywhere(&world([over_wifi]), "require=wifi"), ["tun0"]);
    let over_modem = Network::vpn("tun0").over(&Network::cellular("wwan0").metered(true));
    let all = world([over_modem]);
    assert_eq!(
        reasons(&all, "tun0", "prohibit=metered", ANYWHERE),
        ["prohibited"]
    );
    assert_eq!(
        reasons(&all, "tun0", "prohibit=cellular", ANYWHERE),
        ["prohibited"]
    );
}

// behaviour: M17
#[test]
fn what_is_on_the_link_is_admitted_there_while_a_vpn_is_default() {
    let all = world([
        lan("eth0", "192.168.1.5/24"),
        Network::vpn("tun0")
            .address(prefix("10.8.0.2/32"))
            .route(Route::to(prefix("0.0.0.0/1")))
            .route(Route::to(prefix("128.0.0.0/1"))),
    ]);
    assert_eq!(anywhere(&all, "any"), ["tun0"]);
    let on_link = admitted(&all, "any", &to(&["192.168.1.9"]));
    assert_eq!(on_link[0], "eth0");
    assert_eq!(anywhere(&all, "scope=local"), ["eth0", "tun0"]);
}

// behaviour: M18
#[test]
fn what_a_vpn_routes_is_admitted_only_there_though_it_is_not_default() {
    let all = world([
        lan("eth0", "192.168.1.5/24"),
        NetworkSpec::new("tun0", Kind::Vpn)
            .address(prefix("10.8.0.2/32"))
            .route(Route::to(prefix("10.0.0.0/8")).connected()),
    ]);
    assert_eq!(admitted(&all, "any", &to(&["10.1.2.3"])), ["tun0"]);
    assert_eq!(admitted(&all, "any", &to(&["192.0.2.1"])), ["eth0"]);
    assert_eq!(anywhere(&all, "any"), ["eth0"]);
    // A name may be the VPN's; the network with a default route is asked first.
    assert_eq!(admitted(&all, "any", &Destination::Name), ["eth0", "tun0"]);
}

// behaviour: M19
#[test]
fn ordinary_machines_connect_at_once() {
    let far = &to(&["192.0.2.1"]);
    let container = world([Network::loopback("lo"), lan("eth0", "172.17.0.2/16")]);
    let docked = world([
        lan("eth0", "192.168.1.5/24"),
        bridge("docker0"),
        bridge("br-1"),
    ]);
    for all in [&container, &docked] {
        for destination in [ANYWHERE, far, &Destination::Name] {
            assert_eq!(admitted(all, "any", destination), ["eth0"]);
        }
    }
    assert_eq!(admitted(&docked, "any", &to(&["172.17.0.9"]))[0], "docker0");

    let six = world([lan("eth0", "2001:db8::5/64")]);
    assert_eq!(
        admitted(&six, "any", &to(&["192.0.2.1", "2001:db8:1::1"])),
        ["eth0"]
    );
    assert_eq!(anywhere(&six, "any"), ["eth0"]);

    let only = NetworkSpec::new("eth0", Kind::Ethernet).address(prefix("198.51.100.2/30"));
    let only = world([only.route(Route::to(prefix("192.0.2.0/24")))]);
    assert_eq!(admitted(&only, "any", far), ["eth0"]);
    assert_eq!(admitted(&only, "any", &Destination::Name), ["eth0"]);
    assert!(admitted(&only, "any", &to(&["203.0.113.1"])).is_empty());

    let blind = world([Network::other("default").binding(Binding::Unbound)]);
    for destination in [ANYWHERE, far, &Destination::Name] {
        assert_eq!(admitted(&blind, "interactive", destination), ["default"]);
    }
}

// behaviour: M20
#[test]
fn a_bridge_without_a_default_route_never_ends_a_wait_for_the_internet() {
    let all = world([bridge("docker0"), Network::wifi("wlan0").state(State::Down)]);
    for destination in [ANYWHERE, &Destination::Name] {
        for text in ["any", "scope=internet"] {
            let reasons = reasons(&all, "docker0", text, destination);
            assert_eq!(reasons, ["no_route"], "{text} to {destination}");
        }
    }
    let far = to(&["192.0.2.1"]);
    assert_eq!(reasons(&all, "docker0", "any", &far), ["no_route"]);
    // Told to go to the internet, it must lead there, though it covers the address.
    assert_eq!(
        reasons(&all, "docker0", "scope=internet", &to(&["172.17.0.9"])),
        ["no_route"]
    );
    assert_eq!(anywhere(&all, "scope=local"), ["docker0"]);
    assert_eq!(
        blocked(&all, "any", ANYWHERE).hint(),
        "wlan0 exists but is down"
    );
}

#[test]
fn an_interface_named_needs_an_address_and_nothing_else() {
    let all = world([bridge("docker0"), Network::wifi("wlan0")]);
    assert_eq!(anywhere(&all, "if=docker0"), ["docker0"]);
    assert_eq!(
        reasons(&all, "wlan0", "if=docker0", ANYWHERE),
        ["interface"]
    );
    assert_eq!(
        anywhere(
            &world([NetworkSpec::new("docker0", Kind::Other)]),
            "if=docker0"
        ),
        [""; 0]
    );
    assert_eq!(
        blocked(&all, "if=eth9", ANYWHERE).hint(),
        "needs eth9; there is none; wlan0 would do without if=eth9"
    );
}

#[test]
fn a_link_local_address_counts_on_its_link_alone() {
    let spec = NetworkSpec::new("eth0", Kind::Ethernet)
        .address(prefix("fe80::5/64"))
        .route(Route::to(prefix("::/0")));
    let all = world([spec]);
    assert_eq!(reasons(&all, "eth0", "any", ANYWHERE), ["no_address"]);
    assert_eq!(
        reasons(&all, "eth0", "any", &to(&["2001:db8::1"])),
        ["no_address"]
    );
    assert_eq!(anywhere(&all, "scope=local"), ["eth0"]);
    assert_eq!(admitted(&all, "any", &to(&["fe80::9"])), ["eth0"]);
}

// behaviour: C8, as far as matching goes
#[test]
fn one_address_of_two_is_enough() {
    let two = lan("eth0", "192.168.1.5/24").address(prefix("2001:db8::5/64"));
    let far = to(&["192.0.2.1"]);
    assert_eq!(admitted(&world([two]), "any", &far), ["eth0"]);
    assert_eq!(
        admitted(&world([lan("eth0", "192.168.1.5/24")]), "any", &far),
        ["eth0"]
    );
}

#[test]
fn scopes_narrow_what_a_route_allows() {
    let all = world([lan("eth0", "192.168.1.5/24")]);
    let (near, far) = (to(&["192.168.1.9"]), to(&["192.0.2.1"]));
    assert_eq!(admitted(&all, "scope=local", &near), ["eth0"]);
    assert_eq!(reasons(&all, "eth0", "scope=local", &far), ["no_route"]);
    assert_eq!(admitted(&all, "scope=internet", &far), ["eth0"]);
    assert_eq!(reasons(&all, "eth0", "scope=host", &far), ["beyond_host"]);
    assert_eq!(
        reasons(&all, "eth0", "scope=host", ANYWHERE),
        ["beyond_host"]
    );
    // A network described by hand has a link too.
    assert_eq!(anywhere(&world([Network::wifi("w")]), "scope=local"), ["w"]);
    assert_eq!(
        admitted(&world([Network::wifi("w")]), "scope=local", &near),
        ["w"]
    );
}

#[test]
fn satellite_serves_neither_large_nor_background_unless_named() {
    let all = world([Network::satellite("sat0")]);
    for text in ["background", "large", "interactive large"] {
        assert_eq!(
            reasons(&all, "sat0", text, ANYWHERE),
            ["satellite"],
            "{text}"
        );
    }
    for text in [
        "any",
        "interactive",
        "small",
        "background require=satellite",
        "large prefer=satellite",
        "background if=sat0",
    ] {
        assert_eq!(anywhere(&all, text), ["sat0"], "{text}");
    }
    assert_eq!(
        reasons(&all, "sat0", "large prohibit=satellite", ANYWHERE),
        ["prohibited"]
    );
    let tunnel = world([Network::vpn("tun0").over(&Network::satellite("sat0"))]);
    assert_eq!(reasons(&tunnel, "tun0", "large", ANYWHERE), ["satellite"]);
}

#[test]
fn what_cannot_be_bound_must_be_the_kernel_s_choice() {
    let metric = |m| Route::to(prefix("0.0.0.0/0")).metric(m);
    let net = |name: &str, m| {
        NetworkSpec::new(name, Kind::Ethernet)
            .address(prefix("192.168.1.5/24"))
            .route(metric(m))
            .binding(Binding::Unbound)
    };
    let all = world([net("eth0", 100), net("eth1", 50)]);
    let far = to(&["192.0.2.1"]);
    for destination in [ANYWHERE, &far, &Destination::Name] {
        assert_eq!(admitted(&all, "any", destination), ["eth1"]);
        assert_eq!(reasons(&all, "eth0", "any", destination), ["unbindable"]);
    }
    let forwarders = world([
        Network::wifi("a").detached(),
        Network::cellular("b").detached(),
    ]);
    assert_eq!(anywhere(&forwarders, "any"), ["a", "b"]);

    let refused = world([Network::wifi("w").binding(Binding::Refused("by a rule".into()))]);
    assert_eq!(reasons(&refused, "w", "any", ANYWHERE), ["unbindable"]);
    assert!(
        blocked(&refused, "any", ANYWHERE)
            .to_string()
            .contains("cannot be bound: by a rule")
    );
}
