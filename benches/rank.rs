//! What a decision costs: eight networks and one label.
//!
//! `cargo bench --bench rank` prints medians of fifteen rounds, in nanoseconds for all eight networks,
//! beside the plain way in the same round: taking the networks that are up and sorting them by kind.
//! The last line has the slowest of all these in its best round, for other work on the machine makes
//! every round but the best slower: a rank of eight is to take less than 1 us.

use mancom::label::matching::{Destination, Policy, Rule, candidates, rank};
use mancom::network::{Health, State};
use mancom::{Label, Network, NetworkId, NetworkSpec, Snapshot};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const TURNS: u32 = 20_000;

fn main() {
    let all = snapshot();
    let policy = Policy::default();
    let mut ruled = Policy::default();
    let rules = [("background", "metered"), ("large", "cellular roaming")];
    let rules = rules.map(|(forbid, on)| Rule::new(forbid, on, "mancom.toml", 1));
    ruled.rules = rules
        .into_iter()
        .map(|rule| rule.expect("a rule"))
        .collect();
    let near = Destination::of(["192.0.2.1".parse().expect("an address")]);
    let both = ["192.0.2.1", "2001:db8:9::1"].map(|ip| ip.parse().expect("an address"));
    let both = Destination::of(both);

    println!(
        "{:<50}{:>9}{:>10}{:>12}{:>10}{:>8}",
        "8 networks, ns", "admitted", "rank", "candidates", "plain", "ratio"
    );
    let mut worst = [0.0_f64; 2];
    for text in [
        "any",
        "interactive prefer=ethernet,wifi avoid=cellular",
        "background size=10M prohibit=metered,roaming",
        "large require=wifi,ethernet,validated",
        "require=wifi if=wlan9",
    ] {
        let label: Label = text.parse().expect(text);
        for (to, destination) in [
            ("", &Destination::Unnamed),
            (" to an address", &near),
            (" to two addresses", &both),
        ] {
            let what = format!("{text}{to}");
            let best = measure(&what, &all, &label, destination, &policy);
            for (worst, best) in worst.iter_mut().zip(best) {
                *worst = worst.max(best);
            }
        }
    }
    let label = Label::BACKGROUND;
    measure("background under 2 rules", &all, &label, &near, &ruled);
    println!("ratio: candidates by plain; what nothing admits is explained in full");
    let [rank, candidates] = worst;
    println!("slowest of all in its best round: rank {rank:.0} ns, candidates {candidates:.0} ns");
}

/// Prints the medians; the best rounds of rank and, where something is admitted, of candidates.
fn measure(
    what: &str,
    all: &Snapshot,
    label: &Label,
    to: &Destination,
    policy: &Policy,
) -> [f64; 2] {
    let admitted = candidates(all, label, to, policy).map_or(0, |found| found.len());
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let [ranks, matches, plain] = &mut rounds;
        ranks.push(time(|| {
            for network in black_box(all).networks() {
                black_box(rank(network, black_box(label), to, policy));
            }
        }));
        matches.push(time(|| {
            black_box(candidates(black_box(all), black_box(label), to, policy).ok());
        }));
        plain.push(time(|| {
            let networks = black_box(all).networks().iter();
            let up = networks.filter(|network| network.state() == State::Up);
            let mut up: Vec<Network> = up.cloned().collect();
            up.sort_by_key(|network| (network.kind(), network.id()));
            black_box(up);
        }));
    }
    for figures in &mut rounds {
        figures.sort_unstable_by(f64::total_cmp);
    }
    let [ranks, matches, plain] = rounds.each_ref().map(|figures| figures[ROUNDS / 2]);
    println!(
        "{what:<66}{admitted:>3}{ranks:>10.0}{matches:>12.0}{plain:>10.0}{:>8.1}",
        matches / plain
    );
    [rounds[0][0], if admitted > 0 { rounds[1][0] } else { 0.0 }]
}

/// Nanoseconds a turn.
fn time(mut turn: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..TURNS {
        turn();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
}

/// What a laptop has at most: each with its addresses, connected routes and default routes.
fn snapshot() -> Snapshot {
    let with = |spec: NetworkSpec, number: u8| {
        let v4 = std::net::Ipv4Addr::new(10, number, 0, 2);
        let v6 = std::net::Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 2);
        let link = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, number.into(), 2);
        spec.address((v4, 24)).address((v6, 64)).address((link, 64))
    };
    let ms = Duration::from_millis;
    let specs = [
        Network::ethernet("eth0")
            .metered(false)
            .health(Health::Full),
        Network::wifi("wlan0").rtt(ms(12)).down(80_000_000),
        Network::cellular("wwan0").metered(true).rtt(ms(60)).loss(4),
        Network::cellular("wwan1").metered(true).roaming(true),
        Network::bluetooth("bnep0").constrained(true),
        Network::ethernet("eth1").health(Health::Limited),
        Network::other("docker0").no_default_route(),
        Network::wifi("wlan1").state(State::Down),
    ];
    let networks = (1..).zip(specs).map(|(number, spec)| {
        let spec = if spec.name() == "docker0" {
            with(spec, number).no_default_route()
        } else {
            with(spec, number)
        };
        Network::new(NetworkId::new(number.into(), 1), spec)
    });
    Snapshot::new(1, true, networks.collect())
}
