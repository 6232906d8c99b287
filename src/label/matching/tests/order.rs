//! The order of what is admitted, and libcmm's choice.

use std::time::Duration;

use super::*;
use crate::network::Health;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn each_axis_outranks_those_below_it() {
    let plain = || Network::wifi("w").rtt(ms(100)).up(1_000_000);
    // For each label a better and a worse network; the worse is better on every axis below.
    let fast = || Network::ethernet("e").rtt(ms(1)).up(1_000_000_000);
    for (text, better, worse) in [
        ("any", plain().losing(true), fast().health(Health::Limited)),
        (
            "any",
            plain().health(Health::Limited),
            fast().health(Health::None),
        ),
        (
            "prefer=bluetooth",
            plain(),
            Network::bluetooth("b").losing(true),
        ),
        ("prefer=wifi,ethernet", plain(), fast()),
        (
            "prefer=wifi,bluetooth",
            plain().over(&Network::bluetooth("b")).metered(true),
            plain(),
        ),
        ("avoid=metered", plain().roaming(true), fast().metered(true)),
        (
            "interactive",
            plain().roaming(true).metered(true),
            fast().rtt(ms(1100)),
        ),
        ("interactive", plain().roaming(true), fast().loss(101)),
        ("background", plain().metered(true), fast().up(127_999)),
        (
            "any",
            plain().metered(true).constrained(true),
            fast().roaming(true),
        ),
        ("any", plain().constrained(true), fast().metered(true)),
        ("any", plain(), fast().rtt(ms(101))),
        ("small", plain(), fast().rtt(ms(101))),
        ("interactive large", plain(), fast().up(999_999)),
        ("background", plain(), fast().up(999_999)),
        (
            "size=1M",
            plain().up(100_000_000),
            fast().rtt(ms(2)).up(1_000_000),
        ),
        ("any", fast().rtt(ms(100)), plain()),
    ] {
        let label = label(text);
        let key = |spec, index| {
            let id = NetworkId { index, epoch: 1 };
            rank(
                &Network::new(id, spec),
                &label,
                &Destination::Unnamed,
                &Policy::default(),
            )
        };
        assert!(
            key(better.clone(), 2) < key(worse.clone(), 1),
            "{text}: {better:?} {worse:?}"
        );
    }
}

#[test]
fn a_network_with_a_route_of_its_own_to_the_destination_comes_first() {
    let lan = Network::wifi("lan")
        .address(prefix("192.168.1.5/24"))
        .no_default_route();
    let all = world([
        Network::ethernet("far").health(Health::Full),
        lan.health(Health::Limited).metered(true),
        NetworkSpec::new("corp", crate::network::Kind::Wifi)
            .address(prefix("10.0.0.2/32"))
            .route(crate::network::Route::to(prefix("10.0.0.0/8"))),
    ]);
    for (ip, names) in [
        ("192.168.1.9", &["lan", "far"][..]),
        ("10.9.9.9", &["corp", "far"]),
        ("192.0.2.1", &["far"]),
    ] {
        assert_eq!(admitted(&all, "prefer=ethernet", &to(&[ip])), names);
    }
    assert_eq!(admitted(&all, "any", &Destination::Name)[0], "far");
}

#[test]
fn an_older_id_is_the_last_resort() {
    let all = world([Network::wifi("b"), Network::wifi("a")]);
    assert_eq!(anywhere(&all, "any"), ["b", "a"]);
}

#[test]
fn with_cost_ignored_neither_money_nor_slowness_counts() {
    let all = world([
        Network::wifi("wlan0").rtt(ms(20)).up(1_000_000),
        Network::cellular("wwan0")
            .rtt(ms(10))
            .up(100_000)
            .metered(true)
            .roaming(true),
    ]);
    assert_eq!(anywhere(&all, "any"), ["wlan0", "wwan0"]);
    assert_eq!(anywhere(&all, "cost=ignore"), ["wwan0", "wlan0"]);
    // What is prohibited stays so.
    assert_eq!(anywhere(&all, "cost=ignore prohibit=metered"), ["wlan0"]);
}

#[test]
fn of_networks_of_which_nothing_is_known_the_preferred_kind_comes_first() {
    let all = world([
        Network::satellite("s"),
        Network::cellular("c"),
        Network::bluetooth("b"),
        Network::wifi("w"),
        Network::ethernet("e"),
    ]);
    for text in ["any", "interactive", "small", "size=10M"] {
        assert_eq!(anywhere(&all, text), ["e", "w", "b", "c", "s"], "{text}");
    }
    for text in ["background", "large"] {
        assert_eq!(anywhere(&all, text), ["e", "w", "b", "c"], "{text}");
    }
    // A measured wifi does not keep traffic from a cable nobody measured yet.
    let plugged = world([Network::wifi("w").rtt(ms(20)), Network::ethernet("e")]);
    assert_eq!(anywhere(&plugged, "any"), ["e", "w"]);
}

const ONDEMAND: u32 = 0x4;
const SMALL: u32 = 0x10;
const LARGE: u32 = 0x20;
const BACKGROUND: u32 = 0x8;
const WIFI_ONLY: u32 = 0x1_0000;
const THREEG_ONLY: u32 = 0x2_0000;
const FALLBACK: u32 = 0x10_0000;

/// Name, round trip in milliseconds, bits a second.
type Link = (&'static str, u64, u64);

/// libcmm's chooser, as section 4 of the design tells it.
fn libcmm_chose(bits: u32, links: &[Link]) -> Option<&'static str> {
    let only = match bits & (WIFI_ONLY | THREEG_ONLY) {
        WIFI_ONLY => Some("wifi"),
        THREEG_ONLY => Some("cellular"),
        _ => None,
    };
    let of_kind: Vec<&Link> = links
        .iter()
        .filter(|l| only.is_none_or(|kind| l.0 == kind))
        .collect();
    let eligible = match of_kind.is_empty() && bits & FALLBACK != 0 {
        true => links.iter().collect(),
        false => of_kind,
    };
    let wants_bandwidth = if bits & SMALL != 0 {
        false
    } else if bits & LARGE != 0 {
        true
    } else {
        bits & BACKGROUND != 0 && bits & ONDEMAND == 0
    };
    let chosen = match wants_bandwidth {
        true => eligible.into_iter().max_by_key(|link| link.2),
        false => eligible.into_iter().min_by_key(|link| link.1),
    };
    chosen.map(|link| link.0)
}

// behaviour: M12
#[test]
fn libcmm_s_bits_choose_the_network_libcmm_chose() {
    let all_bits = [
        ONDEMAND,
        BACKGROUND,
        SMALL,
        LARGE,
        WIFI_ONLY,
        THREEG_ONLY,
        FALLBACK,
    ];
    let figures = [
        (10, 64_000),
        (40, 2_000_000),
        (90, 50_000_000),
        (1500, 900_000_000),
    ];
    let states = || std::iter::once(None).chain(figures.map(Some));
    let mut compared = 0;
    for subset in 0_u32..1 << all_bits.len() {
        let picked = all_bits
            .iter()
            .enumerate()
            .filter(|(i, _)| subset & 1 << i != 0);
        let bits = picked.fold(0, |bits, (_, bit)| bits | bit);
        let label = match Label::from_libcmm(bits) {
            Ok(label) => label,
            Err(_) => {
                assert_eq!(bits & (WIFI_ONLY | THREEG_ONLY), WIFI_ONLY | THREEG_ONLY);
                continue;
            }
        };
        for wifi in states() {
            for cellular in states() {
                // Equal figures are a tie, of which libcmm's choice is by chance.
                if wifi.is_some() && wifi == cellular {
                    continue;
                }
                let link = |name, figures: Option<(u64, u64)>| {
                    figures.map(|(rtt, bits)| (name, rtt, bits))
                };
                let links: Vec<Link> = [link("wifi", wifi), link("cellular", cellular)]
                    .into_iter()
                    .flatten()
                    .collect();
                let all = world(links.iter().map(|(name, rtt, bits)| {
                    let spec = match *name {
                        "wifi" => Network::wifi(*name),
                        _ => Network::cellular(*name).metered(true).roaming(true),
                    };
                    spec.rtt(ms(*rtt)).up(*bits).down(*bits)
                }));
                let chosen = candidates(&all, &label, &Destination::Unnamed, &Policy::default());
                let chosen = chosen.ok().map(|all| all[0].name().to_owned());
                assert_eq!(
                    chosen.as_deref(),
                    libcmm_chose(bits, &links),
                    "{bits:#x} {links:?}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 96 * 21);
}
