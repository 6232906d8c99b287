use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::{Deserialize, Serialize};

use crate::network::{
    Address, Aspect, Binding, Fact, Health, Kind, Kinds, Network, NetworkId, NetworkSpec, Notes,
    Route, Since, Snapshot, State, Word,
};

const FACTS: [Fact; 5] = [
    Fact::No,
    Fact::LikelyNo,
    Fact::Unknown,
    Fact::LikelyYes,
    Fact::Yes,
];

fn word() -> impl Strategy<Value = Word> {
    ".{0,12}".prop_map(Cow::Owned)
}

fn address() -> impl Strategy<Value = Address> {
    (any::<IpAddr>(), any::<u8>()).prop_map(Address::from)
}

fn route() -> impl Strategy<Value = Route> {
    let figures = (any::<u32>(), any::<u32>(), any::<u32>());
    (address(), any::<bool>(), figures).prop_map(|(to, connected, (metric, table, rank))| Route {
        connected,
        metric,
        table,
        rank,
        ..Route::to(to)
    })
}

fn binding() -> impl Strategy<Value = Binding> {
    prop_oneof![
        Just(Binding::Device),
        Just(Binding::Address),
        Just(Binding::Unbound),
        Just(Binding::Detached),
        ".{0,12}".prop_map(|why| Binding::Refused(Arc::from(why))),
    ]
}

fn notes() -> impl Strategy<Value = Notes> {
    let sources = btree_map(select(&Aspect::ALL[..]), vec(word(), 1..3), 0..6);
    let parts = (vec(word(), 0..3), sources, option::of(word()));
    parts.prop_map(|(down, sources, unbound)| {
        let mut notes = Notes {
            down,
            unbound,
            ..Notes::default()
        };
        for (aspect, said) in sources {
            for source in said {
                notes.said(aspect, source);
            }
        }
        notes
    })
}

prop_compose! {
    fn figures()(
        rtt in option::of(0..86_400_000_000_000_u64),
        up in option::of(any::<u64>()),
        down in option::of(any::<u64>()),
        loss in option::of(any::<u16>()),
        signal in option::of(any::<u8>()),
        mtu in option::of(any::<u32>()),
    ) -> NetworkSpec {
        NetworkSpec {
            rtt: rtt.map(Duration::from_nanos),
            up, down, loss, signal, mtu,
            ..NetworkSpec::new("", Kind::Other)
        }
    }
}

prop_compose! {
    fn facts()(
        spec in figures(),
        kinds in vec(select(&Kind::ALL[..]), 0..4),
        state in select(vec![State::Up, State::Suspended, State::Dormant, State::Down]),
        health in select(vec![
            Health::Full, Health::Unknown, Health::Limited, Health::Portal, Health::None,
        ]),
        facts in [select(&FACTS[..]), select(&FACTS[..]), select(&FACTS[..]), select(&FACTS[..])],
        losing in any::<bool>(),
        bypass_vpn in any::<bool>(),
    ) -> NetworkSpec {
        let [metered, roaming, constrained, carrier] = facts;
        let kinds = kinds.into_iter().collect();
        NetworkSpec {
            kinds, state, health, metered, roaming, constrained, carrier, losing, bypass_vpn, ..spec
        }
    }
}

prop_compose! {
    fn spec()(
        spec in facts(),
        name in ".{0,15}",
        operstate in option::of(word()),
        addresses in vec(address(), 0..4),
        routes in vec(route(), 0..4),
        dns in vec(any::<IpAddr>(), 0..3),
        binding in binding(),
        notes in notes(),
    ) -> NetworkSpec {
        NetworkSpec { name, operstate, addresses, routes, dns, binding, notes, ..spec }
    }
}

fn back<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("serializes");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

proptest! {
    // behaviour: G6
    #[test]
    fn what_is_written_is_read_back(spec in spec()) {
        prop_assert_eq!(back(&spec), spec.clone());
        let network = Network::new(NetworkId::new(3, 7), spec);
        let snapshot = Snapshot::new(u64::MAX, true, vec![network]);
        prop_assert_eq!(back(&snapshot), snapshot);
    }
}

// behaviour: G6
#[test]
fn each_small_vocabulary_is_read_by_its_word() {
    fn all<T>(values: &[T])
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug + ToString,
    {
        for value in values {
            assert_eq!(
                serde_json::to_value(value).expect("serializes"),
                value.to_string()
            );
            assert_eq!(&back(value), value);
        }
        assert!(serde_json::from_str::<T>("\"no such word\"").is_err());
    }
    all(&Kind::ALL);
    all(&Aspect::ALL);
    all(&FACTS);
    all(&[State::Up, State::Suspended, State::Dormant, State::Down]);
    all(&[
        Health::Full,
        Health::Unknown,
        Health::Limited,
        Health::Portal,
        Health::None,
    ]);
    all(&[NetworkId::new(3, 1), NetworkId::new(u32::MAX, 0)]);
    all(&["10.0.0.2/24".parse::<Address>().expect("an address")]);
    let kinds = Kinds::of(Kind::Vpn).with(Kind::Wifi);
    assert_eq!(back(&kinds), kinds);
}

#[test]
fn what_is_not_there_is_unknown_and_what_is_not_known_is_ignored() {
    let text = r#"{"name": "eth0", "age_ms": {"state": 5, "mood": 1},
        "sources": {"mood": ["oracle"], "kind": ["sysfs"]}, "colour": {"of": ["grass"]}}"#;
    let spec: NetworkSpec = serde_json::from_str(text).expect("reads");
    let mut expected = NetworkSpec::new("eth0", Kind::Other).kinds(Kinds::EMPTY);
    expected.notes.said(Aspect::Kind, "sysfs");
    assert_eq!(spec, expected);
    assert!(serde_json::from_str::<Network>(text).is_err(), "no id");
}

#[test]
fn what_is_wrong_is_an_error() {
    for text in [
        r#"{"name": "eth0", "metered": "perhaps"}"#,
        r#"{"name": "eth0", "kinds": ["copper"]}"#,
        r#"{"name": "eth0", "rtt_ms": -1}"#,
        r#"{"name": "eth0", "rtt_ms": 1e300}"#,
        r#"{"name": "eth0", "binding": "glue"}"#,
        r#"{"name": "eth0", "addresses": ["10.0.0.1/33"]}"#,
        r#"{"name": "eth0", "routes": [{"metric": 1}]}"#,
        r#"{"name": "eth0", "signal_percent": 256}"#,
        r#"{}"#,
        "[]",
    ] {
        assert!(serde_json::from_str::<NetworkSpec>(text).is_err(), "{text}");
    }
    for id in ["", "3", "3.", ".1", "3.1.2", "-1.1", "3.4294967296"] {
        assert!(
            serde_json::from_value::<NetworkId>(id.into()).is_err(),
            "{id}"
        );
    }
}

#[test]
fn more_networks_than_any_host_has_are_refused() {
    let snapshot = |count: usize| {
        let all = vec![r#"{"id": "1.1", "name": ""}"#; count].join(",");
        let text = format!(r#"{{"generation": 1, "complete": true, "networks": [{all}]}}"#);
        serde_json::from_str::<Snapshot>(&text)
    };
    assert_eq!(snapshot(65_536).expect("as many").networks().len(), 65_536);
    let error = snapshot(65_537).expect_err("one more").to_string();
    assert!(error.contains("at most 65536 networks"), "{error}");
}

#[test]
fn ages_count_on_where_they_are_read() {
    let now = Instant::now();
    let Some(then) = now.checked_sub(Duration::from_secs(3)) else {
        return;
    };
    let mut since = Since::new(now);
    since.set(Aspect::State, then);
    let spec = NetworkSpec::new("eth0", Kind::Ethernet);
    let network = Network::aged(NetworkId::new(1, 1), spec, since);
    let read = back(&network);
    let age = |aspect| read.age(aspect).expect("known");
    assert!(age(Aspect::State) >= Duration::from_secs(3));
    assert!(age(Aspect::Metered) < age(Aspect::State));
    let unknown = back(&Network::new(network.id(), network.spec().clone()));
    assert_eq!(unknown.age(Aspect::State), None);
}
