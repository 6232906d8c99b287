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

/// What libcmm knew of a network that it had: round trip in milliseconds, bits a second.
type Figures = (u64, u64);

/// The networks of kinds wifi and cellular among which libcmm chose, best first, as section 4 of the
/// design tells it; `None` where two were equal, for it then chose by chance.
fn libcmm_chose(bits: u32, links: &[(&'static str, Figures)]) -> Option<Option<&'static str>> {
    let only = match bits & (WIFI_ONLY | THREEG_ONLY) {
        WIFI_ONLY => Some("wifi"),
        THREEG_ONLY => Some("cellular"),
        _ => None,
    };
    let of_kind = |link: &&(&str, Figures)| only.is_none_or(|kind| link.0 == kind);
    let mut eligible: Vec<_> = links.iter().filter(of_kind).collect();
    if eligible.is_empty() && bits & FALLBACK != 0 {
        eligible = links.iter().collect();
    }
    let wants_bandwidth = match bits & (SMALL | LARGE) {
        0 => bits & BACKGROUND != 0 && bits & ONDEMAND == 0,
        size => size == LARGE,
    };
    // Less is better.
    let figure = |(_, (rtt, bandwidth)): &(&str, Figures)| match wants_bandwidth {
        true => u64::MAX - bandwidth,
        false => *rtt,
    };
    eligible.sort_by_key(|link| figure(link));
    match eligible[..] {
        [first, second] if figure(first) == figure(second) => None,
        [first, ..] => Some(Some(first.0)),
        [] => Some(None),
    }
}

/// A network libcmm had, or one that it did not have: there is none, or it is down.
#[derive(Clone, Copy)]
enum Link {
    Absent,
    Down,
    Up(Figures),
}

fn links() -> Vec<Link> {
    let rtts = [1, 10, 90, 1500];
    let bandwidths = [64_000, 2_000_000, 50_000_000, 900_000_000];
    let up = |rtt| bandwidths.map(move |bandwidth| Link::Up((rtt, bandwidth)));
    let up = rtts.into_iter().flat_map(up);
    [Link::Absent, Link::Down].into_iter().chain(up).collect()
}

/// What mancom sees of the two links.
fn seen(wifi: Link, cellular: Link) -> Snapshot {
    let dear = Network::cellular("cellular").metered(true).roaming(true);
    let specs = [(Network::wifi("wifi"), wifi), (dear, cellular)];
    world(specs.into_iter().filter_map(|(spec, link)| match link {
        Link::Absent => None,
        Link::Down => Some(spec.state(crate::network::State::Down)),
        Link::Up((rtt, bits)) => Some(spec.rtt(ms(rtt)).up(bits).down(bits)),
    }))
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
    let mut compared = 0;
    for subset in 0_u32..1 << all_bits.len() {
        let picked = (0..).zip(all_bits).filter(|(i, _)| subset & 1 << i != 0);
        let bits = picked.fold(0, |bits, (_, bit)| bits | bit);
        let contradicts = bits & (WIFI_ONLY | THREEG_ONLY) == WIFI_ONLY | THREEG_ONLY;
        let label = Label::from_libcmm(bits);
        assert_eq!(label.is_err(), contradicts, "{bits:#x}");
        let Ok(label) = label else { continue };
        for wifi in links() {
            for cellular in links() {
                let had = [("wifi", wifi), ("cellular", cellular)];
                let had: Vec<_> = had
                    .into_iter()
                    .filter_map(|(name, link)| match link {
                        Link::Up(figures) => Some((name, figures)),
                        Link::Absent | Link::Down => None,
                    })
                    .collect();
                let Some(wanted) = libcmm_chose(bits, &had) else {
                    continue;
                };
                let all = seen(wifi, cellular);
                let chosen = candidates(&all, &label, &Destination::Unnamed, &Policy::default());
                let chosen = chosen.ok().map(|all| all[0].name().to_owned());
                assert_eq!(chosen.as_deref(), wanted, "{bits:#x} {had:?}");
                compared += 1;
            }
        }
    }
    // 96 of 128 combinations do not contradict themselves; of 18 times 18 states 64 are a tie for the
    // 32 of them that ask for no kind.
    assert_eq!(compared, 96 * 18 * 18 - 32 * 64);
}
