//! How the reasons changed.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::network::State;

/// Snapshots a second apart. A network equal to the one before is the same value, as a scout has it.
fn past(
    start: Instant,
    worlds: impl IntoIterator<Item = Vec<NetworkSpec>>,
) -> Vec<(Instant, Arc<Snapshot>)> {
    let mut known: Vec<Network> = Vec::new();
    let mut snapshots = Vec::new();
    for (second, specs) in (0u32..).zip(worlds) {
        let meet = |spec: NetworkSpec| {
            let index = spec.name().bytes().map(u32::from).sum();
            let id = NetworkId { index, epoch: 1 };
            let network = Network::new(id, spec);
            known
                .iter()
                .find(|old| **old == network)
                .cloned()
                .unwrap_or(network)
        };
        let networks: Vec<Network> = specs.into_iter().map(meet).collect();
        known.extend(networks.iter().cloned());
        let snapshot = Snapshot::new(u64::from(second) + 1, true, networks);
        snapshots.push((start + Duration::from_secs(1) * second, Arc::new(snapshot)));
    }
    snapshots
}

fn shifts(past: &[(Instant, Arc<Snapshot>)], text: &str) -> Vec<String> {
    let all = history(
        past,
        &label(text),
        &Destination::Unnamed,
        &Policy::default(),
    );
    all.iter().map(ToString::to_string).collect()
}

// behaviour: X2
#[test]
fn a_change_is_told_with_what_was_and_when() {
    let start = Instant::now();
    let wifi = || Network::wifi("wlan0");
    let eth = Network::ethernet("eth0").metered(true);
    let dear = || wifi().metered(true);
    let past = past(
        start,
        [
            vec![eth.clone()],
            vec![eth.clone(), wifi()],
            vec![eth.clone(), dear()],
            vec![eth.clone(), dear().state(State::Down)],
            vec![eth.clone(), dear().state(State::Down).signal(4)],
            vec![eth],
        ],
    );
    assert_eq!(
        shifts(&past, "prohibit=metered"),
        [
            "wlan0: is not there -> matches",
            "wlan0: matches -> is metered, which is prohibited",
            "wlan0: is metered, which is prohibited -> is down and is metered, which is prohibited",
            "wlan0: is down and is metered, which is prohibited -> is not there",
        ]
    );
    let all = history(
        &past,
        &label("prohibit=metered"),
        &Destination::Unnamed,
        &Policy::default(),
    );
    let times: Vec<_> = all.iter().map(|s| (s.generation, s.at - start)).collect();
    let second = |generation, n| (generation, Duration::from_secs(n));
    assert_eq!(
        times,
        [second(2, 1), second(3, 2), second(4, 3), second(6, 5)]
    );
    assert!(all[0].age() >= all[1].age());
}

// behaviour: X2
#[test]
fn no_more_than_the_last_sixteen_changes_are_kept() {
    let states = [State::Up, State::Down].into_iter().cycle().take(64);
    let flaps = states.map(|state| vec![Network::wifi("wlan0").state(state)]);
    let past = past(Instant::now(), flaps);
    let all = history(
        &past,
        &Label::ANY,
        &Destination::Unnamed,
        &Policy::default(),
    );
    assert_eq!(all.len(), 16);
    assert_eq!(all.last().map(|s| s.generation), Some(64));
    assert!(
        all.windows(2)
            .all(|pair| pair[0].generation + 1 == pair[1].generation)
    );
}

#[test]
fn a_vpn_that_comes_changes_what_is_said_of_a_network_that_did_not() {
    let eth = Network::ethernet("eth0");
    let tunnel = Network::vpn("tun0")
        .route(prefix("0.0.0.0/1"))
        .route(prefix("::/1"));
    let past = past(Instant::now(), [vec![eth.clone()], vec![eth, tunnel]]);
    let mut told = shifts(&past, "any");
    told.sort();
    assert_eq!(
        told,
        [
            "eth0: matches -> would bypass the VPN tun0",
            "tun0: is not there -> matches",
        ]
    );
}

#[test]
fn what_came_before_the_first_whole_scan_and_what_stays_on_this_host_has_no_history() {
    let mut past = past(
        Instant::now(),
        [
            vec![],
            vec![Network::wifi("wlan0")],
            vec![Network::wifi("wlan0").losing(true)],
        ],
    );
    let first = Snapshot::new(1, false, Vec::new());
    past[0].1 = Arc::new(first);
    assert_eq!(shifts(&past, "any"), [""; 0]);
    let host = history(&past, &Label::ANY, &Destination::Host, &Policy::default());
    assert_eq!(host, []);
    assert_eq!(shifts(&[], "any"), [""; 0]);
}
