//! What holds for any networks and any label.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::label::{Props, Scope, tests::arbitrary as any_label};
use crate::network::{Binding, Health, Kind, Kinds, Route, State};

const ADDRESSES: [&str; 6] = [
    "10.0.0.2/24",
    "192.168.1.5/24",
    "fe80::5/64",
    "2001:db8::5/64",
    "169.254.3.3/16",
    "10.8.0.2/32",
];
const ROUTES: [&str; 7] = [
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "10.0.0.0/8",
    "192.0.2.0/24",
    "2001:db8::/32",
];
const TARGETS: [&str; 6] = [
    "10.0.0.9",
    "192.0.2.1",
    "192.168.1.9",
    "2001:db8::1",
    "fe80::9",
    "203.0.113.1",
];

fn any_fact() -> impl Strategy<Value = Fact> {
    let all = [
        Fact::No,
        Fact::LikelyNo,
        Fact::Unknown,
        Fact::LikelyYes,
        Fact::Yes,
    ];
    prop::sample::select(all.to_vec())
}

fn any_routes() -> impl Strategy<Value = Vec<Route>> {
    let route = (0..ROUTES.len(), any::<bool>(), 0u32..3, 0u32..2).prop_map(
        |(to, connected, metric, rank)| Route {
            connected,
            ..Route::to(prefix(ROUTES[to])).metric(metric).rank(rank)
        },
    );
    prop::collection::vec(route, 0..5)
}

/// Any network but loopback; a plain one neither is a VPN nor leaves binding to the kernel.
fn any_spec(plain: bool) -> impl Strategy<Value = NetworkSpec> {
    let kinds = prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), 1..3);
    let kinds = kinds.prop_map(move |kinds| {
        let kinds: Kinds = kinds.into_iter().collect();
        let kinds = kinds.without(Kind::Loopback);
        if plain {
            kinds.without(Kind::Vpn)
        } else {
            kinds
        }
    });
    let states = vec![
        State::Up,
        State::Up,
        State::Up,
        State::Suspended,
        State::Dormant,
        State::Down,
    ];
    let healths = vec![
        Health::Full,
        Health::Unknown,
        Health::Limited,
        Health::Portal,
        Health::None,
    ];
    let bindings = match plain {
        true => vec![Binding::Device, Binding::Detached],
        false => vec![
            Binding::Device,
            Binding::Address,
            Binding::Unbound,
            Binding::Refused("no".into()),
        ],
    };
    let addresses = prop::collection::vec(0..ADDRESSES.len(), 0..3);
    let figures = (
        prop::option::of((0u64..2000).prop_map(Duration::from_millis)),
        prop::option::of(0u64..10_000_000),
        prop::option::of(0u16..300),
    );
    (
        kinds,
        prop::sample::select(states),
        prop::sample::select(healths),
        prop::sample::select(bindings),
        (any_fact(), any_fact(), any_fact()),
        (addresses, any_routes(), figures, any::<[bool; 4]>()),
    )
        .prop_map(
            |(kinds, state, health, binding, facts, (addresses, routes, figures, flags))| {
                let spec = NetworkSpec::new("", Kind::Other)
                    .kinds(kinds)
                    .state(state)
                    .health(health)
                    .binding(binding)
                    .metered(facts.0)
                    .roaming(facts.1)
                    .constrained(facts.2)
                    .losing(flags[0] && flags[1])
                    .bypass_vpn(flags[0] && flags[2]);
                // Half of them reach everything, else too few would match.
                let start = if flags[3] {
                    Network::other("").routes
                } else {
                    Vec::new()
                };
                let spec = NetworkSpec {
                    routes: start,
                    ..spec
                };
                let spec = addresses
                    .into_iter()
                    .fold(spec, |spec, i| spec.address(prefix(ADDRESSES[i])));
                let spec = routes.into_iter().fold(spec, NetworkSpec::route);
                NetworkSpec {
                    rtt: figures.0,
                    up: figures.1,
                    loss: figures.2,
                    ..spec
                }
            },
        )
}

fn named(specs: Vec<NetworkSpec>) -> Vec<NetworkSpec> {
    let name = |(i, spec)| NetworkSpec {
        name: format!("net{i}"),
        ..spec
    };
    specs.into_iter().enumerate().map(name).collect()
}

fn any_world(plain: bool) -> impl Strategy<Value = Snapshot> {
    prop::collection::vec(any_spec(plain), 0..6).prop_map(|specs| world(named(specs)))
}

fn any_destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        2 => Just(Destination::Unnamed),
        1 => Just(Destination::Name),
        1 => Just(Destination::Host),
        4 => prop::collection::vec(prop::sample::select(TARGETS.to_vec()), 1..4).prop_map(|ips| to(&ips)),
    ]
}

const RULES: [(&str, &str); 6] = [
    ("background", "metered"),
    ("any", "roaming constrained"),
    ("large", "metered if=net*"),
    ("default", "cellular"),
    ("interactive", "wifi metered"),
    ("any", "if=net2"),
];

fn any_policy() -> impl Strategy<Value = Policy> {
    policy_of(RULES.len())
}

/// Some of the first rules.
fn policy_of(rules: usize) -> impl Strategy<Value = Policy> {
    let rules = prop::sample::subsequence(RULES[..rules].to_vec(), 0..3.min(rules));
    (any::<bool>(), rules).prop_map(|(unknown_denied, rules)| Policy {
        unknown_denied,
        rules: (1..)
            .zip(rules)
            .map(|(line, (forbid, on))| Rule::new(forbid, on, "f", line).expect("a rule"))
            .collect(),
    })
}

/// Labels with few demands, so that enough is admitted, and any label.
fn a_label() -> impl Strategy<Value = Label> {
    let mild = [
        "any",
        "interactive",
        "background avoid=cellular",
        "large prefer=wifi,vpn",
        "unmetered",
        "scope=local",
        "if=net1",
        "require=wifi,ethernet,other",
        "vpn=bypass size=3M",
        "require=ipv4",
    ];
    prop_oneof![
        prop::sample::select(mild.to_vec()).prop_map(label),
        any_label()
    ]
}

type Verdict = Result<Vec<Network>, Vec<(NetworkId, Vec<Reason>, Vec<Assumption>)>>;

fn verdict(all: &Snapshot, label: &Label, to: &Destination, policy: &Policy) -> Verdict {
    candidates(all, label, to, policy).map_err(|blocked| {
        let each = |r: Refusal| (r.network.id(), r.reasons, r.assumptions);
        let mut all: Vec<_> = blocked.networks.into_iter().map(each).collect();
        all.sort_by_key(|(id, _, _)| *id);
        all
    })
}

fn without(all: &Snapshot, gone: NetworkId) -> Snapshot {
    let rest = all
        .networks()
        .iter()
        .filter(|n| n.id() != gone)
        .cloned()
        .collect();
    Snapshot::new(8, true, rest)
}

proptest! {
    // behaviour: M1
    #[test]
    fn the_verdict_does_not_depend_on_the_order_of_networks(
        (all, shuffled) in any_world(false).prop_flat_map(|all| {
            let networks = all.networks.clone();
            (Just(all), Just(networks).prop_shuffle())
        }),
        label in a_label(), to in any_destination(), policy in any_policy(),
    ) {
        let other = Snapshot { networks: shuffled, ..all.clone() };
        prop_assert_eq!(verdict(&all, &label, &to, &policy), verdict(&other, &label, &to, &policy));
    }

    // behaviour: M2
    #[test]
    fn the_order_is_total_and_stable(
        all in any_world(false), label in a_label(), to in any_destination(), policy in any_policy(),
    ) {
        let mut keys: Vec<_> = all.networks().iter().map(|n| rank(n, &label, &to, &policy)).collect();
        keys.sort();
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        if let Ok(admitted) = candidates(&all, &label, &to, &policy) {
            let of = |n: &Network| rank(n, &label, &to, &policy);
            prop_assert!(admitted.windows(2).all(|pair| of(&pair[0]) < of(&pair[1])));
            prop_assert_eq!(Ok(admitted), candidates(&all, &label, &to, &policy));
        }
    }

    // behaviour: M3
    #[test]
    fn without_the_winner_the_runner_up_wins(
        all in any_world(true), label in a_label(), to in any_destination(), policy in any_policy(),
    ) {
        if let Ok(admitted) = candidates(&all, &label, &to, &policy)
            && let [winner, rest @ ..] = admitted.as_slice()
        {
            let left = candidates(&without(&all, winner.id()), &label, &to, &policy);
            prop_assert_eq!(left.unwrap_or_default(), rest);
        }
    }

    // behaviour: M4
    #[test]
    fn an_ineligible_network_changes_nothing(
        all in any_world(true), label in a_label(), to in any_destination(), policy in any_policy(),
    ) {
        for network in all.networks() {
            if admit(&all, network, &label, &to, &policy).is_admitted() {
                continue;
            }
            let less = candidates(&without(&all, network.id()), &label, &to, &policy).ok();
            prop_assert_eq!(candidates(&all, &label, &to, &policy).ok(), less);
        }
    }

    // behaviour: X3
    #[test]
    fn with_every_listed_reason_mended_a_network_matches(
        all in any_world(false), label in mendable_label(), policy in policy_of(3),
        to in any_destination().prop_filter("no network is used", |to| !to.is_host()),
    ) {
        let spare = spare_kind(&label).expect("filtered");
        let traits = Props::from_iter([Prop::Metered, Prop::Roaming, Prop::Constrained]);
        // A rule against what the label requires is mended by no network.
        let policy = match label.required().intersection(traits).is_empty() {
            true => policy,
            false => Policy { rules: Arc::default(), ..policy },
        };
        for network in all.networks() {
            let reasons = admit(&all, network, &label, &to, &policy).reasons;
            let mend = |spec, reason: &Reason| mended(spec, reason, &label, &to, spare);
            let spec = reasons.iter().fold(network.spec().clone(), mend);
            let (all, changed) = with(&all, network, spec);
            let left = admit(&all, &changed, &label, &to, &policy).reasons;
            prop_assert!(left.is_empty(), "{label}: {reasons:?} mended, {left:?} left of {changed:?}");
        }
    }

    // behaviour: D1, as far as matching goes
    #[test]
    fn an_explanation_lists_every_network_with_a_reason(
        all in any_world(false), label in a_label(), to in any_destination(), policy in any_policy(),
    ) {
        if let Err(blocked) = candidates(&all, &label, &to, &policy)
            && !to.is_host()
        {
            let listed: Vec<_> = blocked.networks.iter().map(|refusal| refusal.network.clone()).collect();
            prop_assert_eq!(&listed[..], all.networks());
            prop_assert!(blocked.networks.iter().all(|refusal| !refusal.reasons.is_empty()));
            prop_assert_eq!(blocked.generation, all.generation());
        }
    }

    // behaviour: X4
    #[test]
    fn the_change_that_is_hinted_at_gives_a_match(
        all in any_world(false), label in a_label(), policy in any_policy(),
        to in any_destination().prop_filter("no network is used", |to| !to.is_host()),
    ) {
        if let Err(blocked) = candidates(&all, &label, &to, &policy) {
            let change = hint::smallest(&blocked);
            prop_assert_eq!(change.is_none(), all.networks().is_empty());
            if let Some(change) = change {
                let policy = lifted(&policy, &change.reasons);
                let network = &change.refusal.network;
                let mend = |spec, reason: &Reason| mended(spec, reason, &change.label, &to, Kind::Ethernet);
                let of_network = change.reasons.iter().filter(|reason| reason.word() != "policy");
                let spec = of_network.fold(network.spec().clone(), mend);
                let (all, changed) = with(&all, network, spec);
                let left = admit(&all, &changed, &change.label, &to, &policy).reasons;
                prop_assert!(left.is_empty(), "{label}: {}, {left:?} left of {changed:?}", blocked.hint());
            }
        }
    }

    #[test]
    fn a_quick_verdict_is_that_of_the_whole_look(
        all in any_world(false), label in a_label(), policy in any_policy(),
        to in any_destination().prop_filter("no network is used", |to| !to.is_host()),
    ) {
        let view = View::new(&all, &label, &to, &policy);
        for network in all.networks() {
            prop_assert_eq!(view.admits(network), view.admit(network).is_admitted());
        }
    }

    // behaviour: I6, as far as matching goes
    #[test]
    fn where_the_kernel_has_a_way_an_unrestricted_operation_never_waits(
        all in any_world(false), to in any_destination(), names in prop::sample::select(vec!["interactive", "any"]),
    ) {
        let chosen = |network: &Network, ip: IpAddr| {
            let family = |a: &Address| a.ip.is_ipv4() == ip.is_ipv4();
            let link = |ip: IpAddr| crate::network::is_link_local(ip);
            let mut addresses = network.addresses().iter();
            let refused = matches!(network.binding(), Binding::Refused(_));
            network.state() == State::Up
                && !refused
                && network.health() != Health::Portal
                && addresses.any(|a| family(a) && (link(ip) || !link(a.ip)))
        };
        if let Destination::Addresses(ips) = &to {
            let way = |ip: &IpAddr| {
                crate::network::route_choice(&all, *ip).is_some_and(|network| chosen(network, *ip))
            };
            if ips.iter().any(way) {
                prop_assert!(candidates(&all, &label(names), &to, &Policy::default()).is_ok());
            }
        }
    }
}

/// The same with one network described otherwise.
fn with(all: &Snapshot, network: &Network, spec: NetworkSpec) -> (Snapshot, Network) {
    let changed = Network::new(network.id(), spec);
    let mut networks = without(all, network.id()).networks;
    networks.push(changed.clone());
    (Snapshot::new(8, true, networks), changed)
}

/// The policy without the rules that these reasons name.
fn lifted(policy: &Policy, reasons: &[Reason]) -> Policy {
    let named = |rule: &&Rule| {
        let is =
            |reason: &Reason| matches!(reason, Reason::Policy { line, .. } if *line == rule.line());
        reasons.iter().any(is)
    };
    let rules = policy.rules.iter().filter(|rule| !named(rule)).cloned();
    Policy {
        rules: rules.collect(),
        ..policy.clone()
    }
}

/// A physical kind that the label does not prohibit.
fn spare_kind(label: &Label) -> Option<Kind> {
    let physical = [Kind::Ethernet, Kind::Wifi, Kind::Bluetooth, Kind::Cellular];
    physical
        .into_iter()
        .find(|kind| !label.prohibited().contains((*kind).into()))
}

/// Labels that a change of the network can satisfy: not bound to this host, not without any
/// kind or family that is left.
fn mendable_label() -> impl Strategy<Value = Label> {
    a_label().prop_filter("only another label would help", |label| {
        let families = [Prop::Ipv4, Prop::Ipv6].map(|prop| label.prohibited().contains(prop));
        label.scoped() != Scope::Host && families == [false, false] && spare_kind(label).is_some()
    })
}

/// The network with exactly what one reason says put right.
fn mended(
    mut spec: NetworkSpec,
    reason: &Reason,
    label: &Label,
    to: &Destination,
    spare: Kind,
) -> NetworkSpec {
    let global = ["198.51.100.7/24", "2001:db8:9::7/64"].map(prefix);
    let families = [Prop::Ipv4, Prop::Ipv6].into_iter().zip(global);
    let allowed = families.filter(|(family, _)| !label.prohibited().contains(*family));
    let targets: Arc<[IpAddr]> = match to {
        Destination::Addresses(all) => all.clone(),
        _ => Arc::new([]),
    };
    match reason {
        Reason::Suspended | Reason::Dormant | Reason::Down => spec.state = State::Up,
        Reason::NoRoute(Reach::Destination) => {
            spec.routes.extend(targets.iter().map(|ip| Route::to(*ip)))
        }
        Reason::NoRoute(Reach::Link) => {
            let links = targets
                .iter()
                .map(|ip| Address::from(*ip))
                .chain([prefix("198.51.100.0/24")]);
            spec.routes
                .extend(links.map(|to| Route::to(to).connected()));
        }
        Reason::NoRoute(_) => spec
            .routes
            .extend(["0.0.0.0/0", "::/0"].map(|to| Route::to(prefix(to)))),
        Reason::NoAddress => spec.addresses.extend(allowed.map(|(_, address)| address)),
        Reason::NoFamily { v6 } => spec.addresses.push(global[usize::from(*v6)]),
        Reason::Portal if spec.health == Health::Portal => spec.health = Health::Limited,
        Reason::BypassesVpn { .. } => spec.bypass_vpn = true,
        Reason::Prohibited { prop, .. } => match prop {
            Prop::Metered => spec.metered = Fact::No,
            Prop::Roaming => spec.roaming = Fact::No,
            Prop::Constrained => spec.constrained = Fact::No,
            Prop::Validated => spec.health = Health::Limited,
            kind => {
                let kind = kind.kind().expect("families are not prohibited here");
                spec.kinds = spec.kinds.without(kind).with(spare);
            }
        },
        Reason::Policy { .. } => {
            (spec.metered, spec.roaming, spec.constrained) = (Fact::No, Fact::No, Fact::No);
        }
        Reason::Satellite => spec.kinds = spec.kinds.without(Kind::Satellite).with(spare),
        Reason::Kind { required, .. } => {
            spec.kinds = spec
                .kinds
                .with(required.iter().next().expect("a kind is required"));
        }
        Reason::Missing { prop, .. } => match prop {
            Prop::Metered => spec.metered = Fact::Yes,
            Prop::Roaming => spec.roaming = Fact::Yes,
            Prop::Constrained => spec.constrained = Fact::Yes,
            Prop::Ipv4 => spec.addresses.push(global[0]),
            Prop::Ipv6 => spec.addresses.push(global[1]),
            _ => spec.health = Health::Full,
        },
        Reason::Interface { .. } => spec.name = label.interface_name().expect("named").into(),
        Reason::Unbindable { .. } => spec.binding = Binding::Device,
        _ => {}
    }
    spec
}
