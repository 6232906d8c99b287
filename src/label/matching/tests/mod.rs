mod explain;
mod hints;
mod history;
mod migration;
mod order;
mod paths;
mod policy;
mod properties;
mod rules;

use std::net::IpAddr;
use std::time::Instant;

use super::*;
use crate::network::{Address, NetworkId, NetworkSpec, Since};

/// A complete snapshot of these, in this order.
fn world(specs: impl IntoIterator<Item = NetworkSpec>) -> Snapshot {
    let network = |(index, spec)| Network::new(NetworkId { index, epoch: 1 }, spec);
    Snapshot::new(7, true, (1..).zip(specs).map(network).collect())
}

/// The same, everything as it is since that moment.
fn aged(since: Instant, specs: impl IntoIterator<Item = NetworkSpec>) -> Snapshot {
    let age =
        |network: &Network| Network::aged(network.id(), network.spec().clone(), Since::new(since));
    let all = world(specs);
    Snapshot::new(7, true, all.networks().iter().map(age).collect())
}

fn one(spec: NetworkSpec) -> Network {
    world([spec]).networks()[0].clone()
}

fn label(text: &str) -> Label {
    text.parse().expect(text)
}

fn prefix(text: &str) -> Address {
    text.parse().expect(text)
}

fn to(addresses: &[&str]) -> Destination {
    Destination::of(addresses.iter().map(|ip| ip.parse::<IpAddr>().expect(ip)))
}

/// The names admitted, best first.
fn admitted(snapshot: &Snapshot, text: &str, to: &Destination) -> Vec<String> {
    match candidates(snapshot, &label(text), to, &Policy::default()) {
        Ok(all) => all
            .iter()
            .map(|network| network.name().to_owned())
            .collect(),
        Err(_) => Vec::new(),
    }
}

fn anywhere(snapshot: &Snapshot, text: &str) -> Vec<String> {
    admitted(snapshot, text, &Destination::Unnamed)
}

fn blocked(snapshot: &Snapshot, text: &str, to: &Destination) -> Blocked {
    *candidates(snapshot, &label(text), to, &Policy::default()).expect_err("blocked")
}

/// The words of the reasons against one network.
fn reasons(snapshot: &Snapshot, name: &str, text: &str, to: &Destination) -> Vec<&'static str> {
    let network = snapshot.by_name(name).expect(name);
    let verdict = admit(snapshot, network, &label(text), to, &Policy::default());
    verdict.reasons.iter().map(Reason::word).collect()
}
