//! Staying or moving, told the time.
#![allow(clippy::disallowed_methods, reason = "a test tells the time")]

use std::time::{Duration, Instant};

use super::*;

const S: Duration = Duration::from_secs(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn pair(a: NetworkSpec, b: NetworkSpec) -> (Network, Network) {
    let all = world([a, b]);
    (all.networks()[0].clone(), all.networks()[1].clone())
}

struct Judge {
    migration: Migration,
    start: Instant,
    label: Label,
}

impl Judge {
    fn new(text: &str) -> Self {
        Self {
            migration: Migration::new(),
            start: Instant::now(),
            label: label(text),
        }
    }

    fn ask(&mut self, at: Duration, current: &Network, best: &Network) -> Move {
        let question = (&self.label, &Destination::Unnamed, &Policy::default());
        self.migration
            .consider(self.start + at, current, best, question)
    }
}

// behaviour: S5, the decision
#[test]
fn a_better_class_is_moved_to_after_it_stood_for_two_seconds() {
    let (dear, free) = pair(Network::wifi("a").metered(true), Network::wifi("b"));
    let mut judge = Judge::new("any");
    let due = judge.start + 3 * S;
    assert_eq!(judge.ask(S, &dear, &free), Move::At(due));
    assert_eq!(judge.ask(ms(2999), &dear, &free), Move::At(due));
    assert_eq!(judge.ask(3 * S, &dear, &free), Move::Now);
    assert_eq!(judge.ask(4 * S, &free, &free), Move::Stay);
}

#[test]
fn one_that_went_meanwhile_starts_anew() {
    let all = world([
        Network::wifi("a").metered(true).roaming(true),
        Network::wifi("b").metered(true),
        Network::wifi("c"),
    ]);
    let [a, b, c] = all.networks() else {
        unreachable!("three networks")
    };
    let mut judge = Judge::new("any");
    assert_eq!(
        judge.ask(Duration::ZERO, a, b),
        Move::At(judge.start + 2 * S)
    );
    assert_eq!(judge.ask(S, a, c), Move::At(judge.start + 3 * S));
    assert_eq!(judge.ask(ms(1500), a, a), Move::Stay);
    assert_eq!(judge.ask(ms(2500), a, c), Move::At(judge.start + ms(4500)));
}

// behaviour: S6
#[test]
fn an_equal_class_less_than_a_quarter_better_is_no_reason_to_move() {
    for (rtt, moves) in [(ms(80), true), (ms(81), false), (ms(99), false)] {
        let (here, there) = pair(Network::wifi("a").rtt(ms(100)), Network::wifi("b").rtt(rtt));
        let mut judge = Judge::new("any");
        let first = judge.ask(Duration::ZERO, &here, &there);
        assert_eq!(first != Move::Stay, moves, "{rtt:?}");
        assert_eq!(
            judge.ask(600 * S, &here, &there) == Move::Now,
            moves,
            "{rtt:?}"
        );
    }
    // A better kind or an older id alone is none either.
    let (older, here) = pair(
        Network::ethernet("a").rtt(ms(9)),
        Network::wifi("b").rtt(ms(9)),
    );
    assert_eq!(
        Judge::new("any").ask(Duration::ZERO, &here, &older),
        Move::Stay
    );
}

#[test]
fn background_never_leaves_an_unmetered_network_for_the_metric_alone() {
    let (slow, fast) = pair(
        Network::wifi("a").up(1_000_000),
        Network::wifi("b").up(100_000_000),
    );
    assert_eq!(
        Judge::new("background").ask(Duration::ZERO, &slow, &fast),
        Move::Stay
    );
    assert_ne!(
        Judge::new("large").ask(Duration::ZERO, &slow, &fast),
        Move::Stay
    );

    let metered = |name: &str| Network::wifi(name).metered(true);
    let (slow, fast) = pair(metered("a").up(1_000_000), metered("b").up(100_000_000));
    assert_ne!(
        Judge::new("background").ask(Duration::ZERO, &slow, &fast),
        Move::Stay
    );
    // A better class is no metric.
    let (dear, free) = pair(Network::wifi("a").roaming(true), Network::wifi("b"));
    assert_ne!(
        Judge::new("background").ask(Duration::ZERO, &dear, &free),
        Move::Stay
    );
}

// behaviour: S15, the decision
#[test]
fn a_network_about_to_go_is_left_at_once() {
    let (going, staying) = pair(
        Network::ethernet("a").losing(true),
        Network::cellular("b").metered(true),
    );
    assert_eq!(
        Judge::new("any").ask(Duration::ZERO, &going, &staying),
        Move::Now
    );
    let (going, too) = pair(
        Network::ethernet("a").losing(true),
        Network::ethernet("b").losing(true),
    );
    assert_eq!(
        Judge::new("any").ask(Duration::ZERO, &going, &too),
        Move::Stay
    );
}

#[test]
fn the_wait_doubles_with_each_loss_up_to_64_s_and_halves_with_each_minute() {
    let mut migration = Migration::new();
    let start = Instant::now();
    assert_eq!(migration.wait(start), 2 * S);
    for expected in [4, 8, 16, 32, 64, 64, 64] {
        migration.lost(start);
        assert_eq!(migration.wait(start), expected * S);
    }
    for (at, expected) in [
        (59, 64),
        (60, 32),
        (119, 32),
        (120, 16),
        (180, 8),
        (240, 4),
        (300, 2),
        (9000, 2),
    ] {
        assert_eq!(migration.wait(start + at * S), expected * S, "after {at} s");
    }
    // A loss after a quiet time starts from what is left.
    migration.lost(start + 240 * S);
    assert_eq!(migration.wait(start + 240 * S), 8 * S);
}

/// Moves in a minute, beginning on A, which is up and down for `half` each beside a steady B.
fn moves_beside_a_steady_one(half: Duration) -> u32 {
    let (a, b) = pair(
        Network::wifi("a").rtt(ms(1)),
        Network::cellular("b").metered(true).rtt(ms(50)),
    );
    let mut judge = Judge::new("any");
    let (mut on_a, mut moves) = (true, 0);
    for tick in 0..600 {
        let at = tick * ms(100);
        let is_up = (at.as_millis() / half.as_millis()).is_multiple_of(2);
        if on_a && !is_up {
            judge.migration.lost(judge.start + at);
            (on_a, moves) = (false, moves + 1);
        }
        let best = if is_up { &a } else { &b };
        let current = if on_a { &a } else { &b };
        if judge.ask(at, current, best) == Move::Now {
            (on_a, moves) = (!on_a, moves + 1);
        }
    }
    moves
}

// behaviour: S7
#[test]
fn a_flapping_network_beside_a_steady_one_causes_few_moves() {
    assert_eq!(moves_beside_a_steady_one(ms(500)), 1);
    for half in [1000, 2000, 2500, 3000, 5000, 10_000] {
        let moves = moves_beside_a_steady_one(ms(half));
        assert!(moves <= 6, "{moves} moves at {half} ms");
    }
}
