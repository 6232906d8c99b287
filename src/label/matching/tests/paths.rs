//! Both ends of a path.

use super::*;
use crate::network::{Kind, Kinds};

fn facts(kind: Kind) -> PathFacts {
    PathFacts {
        kinds: Kinds::of(kind),
        ..PathFacts::default()
    }
}

fn allows(text: &str, local: Option<&Network>, remote: &PathFacts, is_dialler: bool) -> bool {
    permits(&label(text), local, remote, is_dialler, &Policy::default())
}

#[test]
fn what_is_prohibited_must_be_true_of_neither_end() {
    let plain = one(Network::wifi("wlan0").metered(false));
    let dear = one(Network::wifi("wlan0").metered(true));
    for is_dialler in [true, false] {
        let allows = |local: &Network, remote: &PathFacts| {
            allows("prohibit=metered", Some(local), remote, is_dialler)
        };
        assert!(allows(&plain, &PathFacts::of(&plain)));
        assert!(!allows(&dear, &PathFacts::of(&plain)));
        assert!(!allows(&plain, &PathFacts::of(&dear)));
        // Not told, not metered.
        assert!(allows(&plain, &PathFacts::default()));
    }
    let cellular = facts(Kind::Cellular);
    assert!(!allows("prohibit=cellular", Some(&plain), &cellular, true));
    assert!(!allows("prohibit=cellular", None, &cellular, false));
}

#[test]
fn a_required_kind_is_the_dialler_s() {
    let wifi = one(Network::wifi("wlan0"));
    let cable = one(Network::ethernet("eth0"));
    let (wifi_told, cable_told) = (PathFacts::of(&wifi), PathFacts::of(&cable));
    assert!(allows("require=wifi", Some(&wifi), &cable_told, true));
    assert!(!allows("require=wifi", Some(&cable), &wifi_told, true));
    assert!(allows("require=wifi", Some(&cable), &wifi_told, false));
    assert!(!allows("require=wifi", Some(&wifi), &cable_told, false));
    // The listener's own network need not be known.
    assert!(allows("require=wifi", None, &wifi_told, false));
    assert!(!allows("require=wifi", None, &cable_told, false));
    // What an anonymous dialler does not tell is believed.
    let anonymous = PathFacts::default();
    assert!(allows("require=wifi", Some(&cable), &anonymous, false));
}

// behaviour: M7 I7
#[test]
fn unknown_is_denied_of_our_own_network_alone() {
    let denying = Policy {
        unknown_denied: true,
        ..Policy::default()
    };
    let known = one(Network::ethernet("eth0").metered(false).roaming(false));
    let unknown = one(Network::ethernet("eth0"));
    let (anonymous, metered) = (
        PathFacts::default(),
        PathFacts {
            metered: Fact::Yes,
            ..PathFacts::default()
        },
    );
    for is_dialler in [true, false] {
        let allows = |text: &str, local: &Network, remote: &PathFacts| {
            permits(&label(text), Some(local), remote, is_dialler, &denying)
        };
        for told_nothing in [&anonymous, &PathFacts::of(&unknown)] {
            assert!(allows("prohibit=metered,roaming", &known, told_nothing));
            assert!(allows("prohibit=cellular", &known, told_nothing));
            assert!(!allows("prohibit=metered", &unknown, told_nothing));
        }
        assert!(
            !allows("prohibit=metered", &known, &metered),
            "the peer said so"
        );
        assert!(allows("prohibit=roaming", &known, &metered));
    }
    let wifi = label("require=wifi");
    assert!(permits(&wifi, Some(&known), &anonymous, false, &denying));
}

#[test]
fn required_traits_and_the_interface_are_the_dialler_s_own_concern() {
    let wifi = one(Network::wifi("wlan0").metered(false));
    let told = PathFacts::of(&wifi);
    for text in ["if=wlan1", "require=metered"] {
        assert!(!allows(text, Some(&wifi), &told, true), "{text}");
        assert!(allows(text, Some(&wifi), &told, false), "{text}");
    }
    assert!(allows("if=wlan0 require=ipv4", Some(&wifi), &told, true));
    // Of these nothing is told, so nothing is held against the far end.
    assert!(allows(
        "prohibit=validated",
        Some(&one(
            Network::wifi("w").health(crate::network::Health::Limited)
        )),
        &told,
        false
    ));
}

#[test]
fn a_path_within_this_host_is_refused_by_prohibited_loopback_alone() {
    let lo = one(Network::loopback("lo"));
    let denying = Policy {
        unknown_denied: true,
        ..Policy::default()
    };
    for (local, remote) in [
        (None, PathFacts::default()),
        (Some(&lo), PathFacts::default()),
        (Some(&lo), facts(Kind::Loopback)),
        (None, facts(Kind::Loopback)),
    ] {
        for is_dialler in [true, false] {
            for text in [
                "any",
                "require=wifi",
                "if=wlan0",
                "prohibit=metered",
                "require=validated",
            ] {
                assert!(
                    permits(&label(text), local, &remote, is_dialler, &denying),
                    "{text}"
                );
            }
            assert!(!permits(
                &label("prohibit=loopback"),
                local,
                &remote,
                is_dialler,
                &denying
            ));
        }
    }
}

fn class(text: &str, local: Option<&Network>, remote: &PathFacts, is_dialler: bool) -> u16 {
    path_class(&label(text), local, remote, is_dialler, &Policy::default())
}

#[test]
fn a_dear_path_is_of_a_worse_class_at_both_ends() {
    let free = one(Network::wifi("wlan0").metered(false));
    let dear = one(Network::cellular("wwan0").metered(true));
    let ends = |text: &str| {
        let dialler = [&free, &dear].map(|n| class(text, Some(n), &PathFacts::default(), true));
        let told = [&free, &dear].map(PathFacts::of);
        let listener = told.map(|facts| class(text, Some(&free), &facts, false));
        [dialler, listener]
    };
    for [free, dear] in ends("any") {
        assert!(free < dear);
    }
    for [free, dear] in ends("cost=ignore") {
        assert_eq!(free, dear);
    }
    // A preference stands above the cost, an avoided kind too.
    for [free, dear] in ends("prefer=cellular") {
        assert!(dear < free);
    }
    for [free, dear] in ends("avoid=wifi") {
        assert!(dear < free);
    }
}

#[test]
fn the_order_of_classes_is_that_of_ranks() {
    let networks = [
        one(Network::ethernet("eth0").metered(false)),
        one(Network::wifi("wlan0").metered(true)),
        one(Network::wifi("wlan1").health(crate::network::Health::Limited)),
        one(Network::cellular("wwan0").roaming(true)),
    ];
    for text in [
        "any",
        "prefer=wifi",
        "avoid=ethernet",
        "cost=ignore",
        "interactive",
    ] {
        for a in &networks {
            for b in &networks {
                let rank = |n| rank(n, &label(text), &Destination::Unnamed, &Policy::default());
                let (a_rank, b_rank) = (rank(a).class(), rank(b).class());
                let class = |n| class(text, Some(n), &PathFacts::default(), true);
                assert_eq!(a_rank.cmp(&b_rank), class(a).cmp(&class(b)), "{text}");
            }
        }
    }
}
