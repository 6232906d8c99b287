use super::pace::{MAX_DELAY, Pace, QUIET};
use super::*;
use crate::network::{Address, Kind, Route};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

fn address(text: &str) -> Address {
    Address {
        ip: text.parse().expect("an address"),
        prefix: 24,
    }
}

fn seen(index: u32, turn: u64, state: State) -> Seen {
    let mut spec = NetworkSpec::new(format!("eth{index}"), Kind::Ethernet);
    spec.state = state;
    spec.addresses = vec![address("10.0.0.2")];
    Seen { index, turn, spec }
}

fn with_addresses(texts: &[&str]) -> Seen {
    let mut seen = seen(1, 0, State::Up);
    seen.spec.addresses = texts.iter().map(|text| address(text)).collect();
    seen
}

fn happened(ledger: &Ledger) -> Vec<Happened> {
    ledger.changes().map(|change| change.what).collect()
}

// behaviour: C1
#[test]
fn is_not_complete_before_the_first_whole_scan() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.published().generation, 0);
    assert!(!ledger.published().complete);
    assert_eq!(ledger.see(Instant::now(), [], false), Difference::None);
    assert_eq!(ledger.publish(), None);
    assert_eq!(ledger.see(Instant::now(), [], true), Difference::Gain);
    let first = ledger.publish().expect("complete is news");
    assert!(first.complete && first.generation == 1 && first.networks.is_empty());
}

// behaviour: C2
#[test]
fn generations_rise_by_one_and_equal_content_is_not_published() {
    let mut ledger = Ledger::new();
    for generation in 1..20 {
        let state = if generation % 2 == 1 {
            State::Up
        } else {
            State::Down
        };
        ledger.see(Instant::now(), [seen(1, 0, state)], true);
        let snapshot = ledger.publish().expect("the state changed");
        assert_eq!(snapshot.generation, generation);
        assert_eq!(
            ledger.see(Instant::now(), [seen(1, 0, state)], true),
            Difference::None
        );
        assert_eq!(ledger.publish(), None);
    }
}

// behaviour: C2
#[test]
fn a_change_that_was_taken_back_is_not_published() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [with_addresses(&["10.0.0.2"])], true);
    ledger.publish();
    assert_eq!(
        ledger.see(
            Instant::now(),
            [with_addresses(&["10.0.0.2", "10.0.0.3"])],
            true
        ),
        Difference::Gain
    );
    assert_eq!(
        ledger.see(Instant::now(), [with_addresses(&["10.0.0.2"])], true),
        Difference::None
    );
    assert_eq!(ledger.publish(), None);
}

// behaviour: C3
#[test]
fn a_down_and_up_between_two_looks_is_a_new_epoch() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    let before = ledger.publish().expect("up").networks()[0].id();
    ledger.see(Instant::now(), [seen(1, 0, State::Down)], true);
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    let after = ledger.publish().expect("a new epoch is news").networks()[0].id();
    assert_eq!(before.index, after.index);
    assert!(after.epoch > before.epoch);
    assert_eq!(
        happened(&ledger),
        [Happened::Up, Happened::Down, Happened::Up]
    );
}

// behaviour: C3
#[test]
fn a_down_that_only_the_source_counted_is_a_new_epoch() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [seen(1, 7, State::Up)], true);
    let before = ledger.id(1);
    assert_eq!(
        ledger.see(Instant::now(), [seen(1, 8, State::Up)], true),
        Difference::Gain
    );
    assert_ne!(before, ledger.id(1));
    assert_eq!(
        happened(&ledger),
        [Happened::Up, Happened::Down, Happened::Up]
    );
}

#[test]
fn an_interface_made_again_never_gets_an_old_id() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    let first = ledger.id(1);
    ledger.see(Instant::now(), [seen(2, 0, State::Up)], true);
    assert_eq!(ledger.id(1), None);
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    assert!(ledger.id(1) > first);
    assert_eq!(
        happened(&ledger),
        [
            Happened::Up,
            Happened::Up,
            Happened::Down,
            Happened::Gone,
            Happened::Up,
            Happened::Down,
            Happened::Gone
        ]
    );
}

// behaviour: C8
#[test]
fn an_address_that_is_not_the_last_does_not_end_the_network() {
    let mut ledger = Ledger::new();
    ledger.see(
        Instant::now(),
        [with_addresses(&["10.0.0.2", "10.0.0.3"])],
        true,
    );
    let id = ledger.id(1);
    ledger.publish();
    assert_eq!(
        ledger.see(Instant::now(), [with_addresses(&["10.0.0.3"])], true),
        Difference::Loss
    );
    assert_eq!(ledger.id(1), id);
    ledger.see(
        Instant::now(),
        [with_addresses(&["10.0.0.3", "10.0.0.4"])],
        true,
    );
    ledger.see(Instant::now(), [with_addresses(&["10.0.0.4"])], true);
    assert_eq!(ledger.id(1), id, "one address was always left");
}

#[test]
fn a_set_of_addresses_replaced_as_a_whole_is_a_new_epoch() {
    let mut ledger = Ledger::new();
    ledger.see(
        Instant::now(),
        [with_addresses(&["10.0.0.2", "fe80::1"])],
        true,
    );
    let id = ledger.id(1);
    ledger.see(
        Instant::now(),
        [with_addresses(&["192.168.0.2", "fe80::1"])],
        true,
    );
    assert_ne!(
        ledger.id(1),
        id,
        "a link-local address is the same everywhere"
    );
    let id = ledger.id(1);
    ledger.see(Instant::now(), [with_addresses(&["fe80::1"])], true);
    ledger.see(Instant::now(), [with_addresses(&["192.168.0.2"])], true);
    assert_eq!(
        ledger.id(1),
        id,
        "an address that comes back ends nothing here"
    );
}

#[test]
fn suspended_keeps_the_epoch() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    let id = ledger.id(1);
    ledger.publish();
    assert_eq!(
        ledger.see(Instant::now(), [seen(1, 0, State::Suspended)], true),
        Difference::Loss
    );
    ledger.publish();
    assert_eq!(
        ledger.see(Instant::now(), [seen(1, 0, State::Up)], true),
        Difference::Gain
    );
    assert_eq!(ledger.id(1), id);
}

#[test]
fn a_new_route_is_a_gain_and_a_lost_one_is_not() {
    let mut ledger = Ledger::new();
    ledger.see(Instant::now(), [seen(1, 0, State::Up)], true);
    ledger.publish();
    let mut routed = seen(1, 0, State::Up);
    routed.spec = routed.spec.route(Route::to((Ipv4Addr::UNSPECIFIED, 0)));
    assert_eq!(ledger.see(Instant::now(), [routed], true), Difference::Gain);
    ledger.publish();
    assert_eq!(
        ledger.see(Instant::now(), [seen(1, 0, State::Up)], true),
        Difference::Loss
    );
}

#[test]
fn the_log_is_bounded() {
    let mut ledger = Ledger::new();
    for turn in 0..10_000 {
        ledger.see(Instant::now(), [seen(1, turn, State::Up)], true);
    }
    assert_eq!(ledger.changes().count(), LOG);
    assert!(ledger.log.capacity() <= 2 * LOG);
}

#[test]
fn so_is_the_history_and_it_ends_with_what_is_published() {
    let (mut ledger, start) = (Ledger::new(), Instant::now());
    for turn in 0..1000 {
        let now = start + Duration::from_millis(turn);
        ledger.see(now, [seen(1, turn, State::Up)], true);
        ledger.publish();
    }
    assert_eq!(ledger.history().count(), HISTORY);
    assert!(ledger.history.capacity() <= 2 * HISTORY);
    let (at, last) = ledger.history().last().expect("a history");
    assert_eq!(*at, start + Duration::from_millis(999));
    assert_eq!(*last, ledger.published());
}

#[test]
fn only_the_age_of_what_changed_begins_again() {
    let (mut ledger, start) = (Ledger::new(), Instant::now());
    let at = |s| start + Duration::from_secs(s);
    ledger.see(at(0), [seen(1, 0, State::Up)], true);
    ledger.publish();
    let mut metered = seen(1, 0, State::Up);
    metered.spec = metered.spec.metered(true);
    let since = |ledger: &Ledger, aspect| {
        let snapshot = ledger.published();
        snapshot.networks()[0].since(aspect).expect("published")
    };
    ledger.see(at(10), [metered.clone()], true);
    ledger.publish();
    for aspect in Aspect::ALL {
        let expected = if aspect == Aspect::Metered { 10 } else { 0 };
        assert_eq!(since(&ledger, aspect), at(expected), "{aspect}");
    }
    // The same again is no change, and another epoch changes the state alone.
    ledger.see(at(20), [metered.clone()], true);
    metered.turn = 1;
    ledger.see(at(30), [metered], true);
    ledger.publish();
    for (aspect, expected) in [
        (Aspect::State, 30),
        (Aspect::Metered, 10),
        (Aspect::Addresses, 0),
    ] {
        assert_eq!(since(&ledger, aspect), at(expected), "{aspect}");
    }
}

#[test]
fn another_source_of_the_same_fact_makes_nothing_younger() {
    let (mut ledger, start) = (Ledger::new(), Instant::now());
    ledger.see(start, [seen(1, 0, State::Up)], true);
    let mut told = seen(1, 0, State::Up);
    told.spec.notes.said(Aspect::Kind, "override");
    ledger.see(start + Duration::from_secs(1), [told], true);
    let snapshot = ledger.publish().expect("a source is news");
    let eth1 = &snapshot.networks()[0];
    assert_eq!(eth1.since(Aspect::Kind), Some(start));
    assert!(eth1.sources(Aspect::Kind).eq(["override"]));
}

#[test]
fn a_loss_has_a_refuge_while_another_network_is_up() {
    let none = |mut seen: Seen| {
        seen.spec.addresses.clear();
        seen
    };
    let turned = [seen(1, 1, State::Suspended), none(seen(1, 0, State::Up))];
    let losses = [seen(1, 0, State::Down)].into_iter().chain(turned);
    for lost in losses.map(Some).chain([None]) {
        for (other, difference) in [
            (State::Up, Difference::Refuge),
            (State::Down, Difference::Loss),
            (State::Suspended, Difference::Loss),
        ] {
            let (mut ledger, now) = (Ledger::new(), Instant::now());
            ledger.see(now, [seen(1, 0, State::Up), seen(2, 0, other)], true);
            ledger.publish();
            let seen = lost.clone().into_iter().chain([seen(2, 0, other)]);
            assert_eq!(
                ledger.see(now, seen, true),
                difference,
                "{lost:?} {other:?}"
            );
        }
    }
    // What was of no use before is no loss to anybody.
    let (mut ledger, now) = (Ledger::new(), Instant::now());
    ledger.see(now, [seen(1, 0, State::Down), seen(2, 0, State::Up)], true);
    ledger.publish();
    let gone = ledger.see(now, [seen(2, 0, State::Up)], true);
    assert_eq!(gone, Difference::Loss);
}

#[test]
fn thousands_of_networks_and_routes_are_compared() {
    let full = |turn| {
        let mut seen = seen(1, turn, State::Up);
        seen.spec.routes = (0..8192_u32)
            .map(|n| Route::to((Ipv4Addr::from_bits(n << 8), 24)))
            .collect();
        seen
    };
    let mut ledger = Ledger::new();
    for round in 0..10_u64 {
        let mut all = vec![full(0)];
        all[0].spec.mtu = Some(1000 + round as u32);
        all.extend((2..1000).map(|index| seen(index, 0, State::Down)));
        let difference = ledger.see(Instant::now(), all, true);
        // The first is a gain, and then the largest packet is another each time.
        assert_eq!(difference == Difference::Gain, round == 0);
        ledger.publish().expect("news");
    }
    assert_eq!(ledger.published().networks().len(), 999);
}

#[test]
fn a_gain_is_due_at_once() {
    let now = Instant::now();
    let mut pace = Pace::default();
    pace.loss(now);
    assert_eq!(pace.due(), Some(now + QUIET));
    pace.gain(now + Duration::from_millis(1));
    assert_eq!(pace.due(), Some(now + Duration::from_millis(1)));
    pace.loss(now + Duration::from_millis(2));
    assert_eq!(
        pace.due(),
        Some(now + Duration::from_millis(1)),
        "a loss never delays a gain"
    );
}

#[test]
fn a_loss_that_somebody_asked_about_is_due_at_once() {
    let now = Instant::now();
    let mut pace = Pace::default();
    pace.hurry(now);
    assert_eq!(pace.due(), None);
    pace.loss(now);
    pace.hurry(now + Duration::from_millis(1));
    assert_eq!(pace.due(), Some(now + Duration::from_millis(1)));
}

#[test]
fn losses_wait_for_company_but_not_for_ever() {
    let start = Instant::now();
    let mut pace = Pace::default();
    let mut now = start;
    while pace.due().is_none_or(|due| due > now) {
        pace.loss(now);
        now += Duration::from_millis(1);
    }
    assert_eq!(now.duration_since(start), MAX_DELAY);
}

// behaviour: C4
#[test]
fn a_thousand_flaps_a_second_give_at_most_twenty_snapshots_and_the_right_end() {
    let start = Instant::now();
    let (mut ledger, mut pace) = (Ledger::new(), Pace::default());
    let mut out: Vec<(Instant, Arc<Snapshot>)> = Vec::new();
    let last_flap = start + Duration::from_secs(10);
    for tick in 0..12_000_u64 {
        let now = start + Duration::from_millis(tick);
        if now <= last_flap {
            let state = if tick % 2 == 0 {
                State::Up
            } else {
                State::Down
            };
            match ledger.see(Instant::now(), [seen(1, 0, state)], true) {
                Difference::None => pace.nothing(),
                Difference::Loss => pace.loss(now),
                Difference::Gain | Difference::Refuge => pace.gain(now),
            }
        }
        if pace.due().is_some_and(|due| due <= now) {
            if let Some(snapshot) = ledger.publish() {
                out.push((now, snapshot));
            }
            pace.spent(now);
        }
    }
    for (at, _) in &out {
        let second = out
            .iter()
            .filter(|(t, _)| *t >= *at && *t < *at + Duration::from_secs(1));
        assert!(second.count() <= 20, "a rate over 20 a second");
    }
    assert!(
        out.len() > 50,
        "endless flapping must not silence the scout"
    );
    let (at, end) = out.last().expect("published");
    assert!(*at <= last_flap + Duration::from_secs(1));
    assert_eq!(end.networks()[0].state(), State::Up);
    assert_eq!(Some(end.networks()[0].id()), ledger.id(1));
    assert!(ledger.changes().count() <= LOG && ledger.history().count() <= HISTORY);
}
