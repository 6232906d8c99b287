//! What holds whatever the values are.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::gate::Queue;
use super::super::{Choice, PATHS, Placement, Reason, chunk, gate, patience, place};
use super::*;
use crate::proto::cases::cases;

/// Any number, ordinary ones and the extremes more often.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..4_000_000,
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn time() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        4 => (0_u64..1_000_000).prop_map(|micros| Some(Duration::from_micros(micros))),
        2 => Just(None),
        1 => Just(Some(Duration::MAX)),
        1 => Just(Some(Duration::ZERO)),
    ]
}

fn measure() -> impl Strategy<Value = Measure> {
    let bandwidth = prop_oneof![2 => Just(None), 5 => number().prop_map(Some)];
    (
        (time(), time(), time()),
        bandwidth,
        (number(), number(), number()),
    )
        .prop_map(
            |((rtt, deviation, least_rtt), bandwidth, (a, b, c))| Measure {
                rtt,
                deviation,
                least_rtt,
                bandwidth,
                outstanding: a,
                unsent: b,
                acknowledged: c,
            },
        )
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let facts = (0_u8..4, any::<bool>(), 0_u16..3, prop::bool::weighted(0.2));
    (facts, number(), number(), measure()).prop_map(
        |((network, lane, class, suspect), planned, foreign, measure)| Candidate {
            slot: 0,
            network,
            lane,
            class,
            suspect,
            planned,
            foreign,
            measure,
        },
    )
}

/// Up to as many as there may be, of different slots.
pub(super) fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let slots = Just((0..PATHS).collect::<Vec<_>>()).prop_shuffle();
    (prop::collection::vec(candidate(), 0..=PATHS), slots).prop_map(|(mut paths, slots)| {
        for (path, slot) in paths.iter_mut().zip(slots) {
            path.slot = slot;
        }
        paths
    })
}

fn wanted() -> impl Strategy<Value = Unit> {
    let urgency = select(vec![
        Urgency::Interactive,
        Urgency::Default,
        Urgency::Background,
    ]);
    let flags = (any::<bool>(), prop::bool::weighted(0.2));
    let asker = prop::option::of(0..PATHS);
    (urgency, number(), number(), flags, asker).prop_map(
        |(urgency, length, backlog, (redundant, starved), asker)| Unit {
            urgency,
            length,
            backlog,
            redundant,
            starved,
            asker,
        },
    )
}

/// How long ago interactive traffic was, and what is outranked.
fn process() -> impl Strategy<Value = (Option<u64>, [u8; PATHS])> {
    let outranked = prop_oneof![
        2 => Just([0; PATHS]),
        1 => prop::array::uniform8(prop_oneof![Just(0), any::<u8>()]),
    ];
    (prop::option::of(0_u64..10_000), outranked)
}

fn around(now: Instant, (ago, outranked): (Option<u64>, [u8; PATHS])) -> Surroundings {
    Surroundings {
        interactive: ago.and_then(|millis| now.checked_sub(Duration::from_millis(millis))),
        outranked,
        ..Surroundings::default()
    }
}

fn chosen(placed: &Placement) -> Vec<usize> {
    match placed.choice {
        Choice::On(slot) => vec![slot],
        Choice::Twice(one, other) => vec![one, other],
        Choice::Later(_) | Choice::Nowhere => Vec::new(),
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_decision_is_total_and_for_one_of_the_paths(
        paths in candidates(), unit in wanted(), process in process(),
    ) {
        let now = now();
        let placed = place(now, &unit, &paths, &around(now, process));
        let slots = chosen(&placed);
        for slot in &slots {
            prop_assert!(paths.iter().any(|path| path.slot == *slot));
        }
        prop_assert_eq!(placed.choice == Choice::Nowhere, paths.is_empty());
        if let Choice::Later(Some(when)) = placed.choice {
            prop_assert!(when > now && when <= now + MILLI * 10);
        }
        // Every path is told a reason, and only those that were chosen are told so.
        for (index, told) in placed.trace.verdicts.iter().enumerate() {
            let path = paths.get(index);
            prop_assert_eq!(told.is_some(), path.is_some());
            let (Some((slot, reason)), Some(path)) = (told, path) else { continue };
            prop_assert_eq!(usize::from(*slot), path.slot);
            let took = matches!(reason, Reason::Chosen | Reason::Copied);
            prop_assert_eq!(took, slots.contains(&path.slot), "{}", placed);
        }
        prop_assert_eq!(placed.to_string().lines().count(), 1);
        prop_assert_eq!(placed, place(now, &unit, &paths, &around(now, process)));
    }

    #[test]
    fn the_order_of_paths_does_not_matter(
        (paths, shuffled) in candidates().prop_flat_map(|paths| {
            (Just(paths.clone()), Just(paths).prop_shuffle())
        }),
        unit in wanted(),
        process in process(),
    ) {
        let now = now();
        let (one, other) = (
            place(now, &unit, &paths, &around(now, process)),
            place(now, &unit, &shuffled, &around(now, process)),
        );
        prop_assert_eq!(one.choice, other.choice, "{} but {}", one, other);
    }

    #[test]
    fn a_trusted_path_of_the_best_class_takes_it(
        paths in candidates(), unit in wanted(), process in process(),
    ) {
        let now = now();
        let placed = place(now, &unit, &paths, &around(now, process));
        let first = chosen(&placed).first().copied();
        let Some(first) = first.and_then(|slot| paths.iter().find(|path| path.slot == slot)) else {
            return Ok(());
        };
        for path in &paths {
            let (best, taken) = ((path.suspect, path.class), (first.suspect, first.class));
            prop_assert!(taken <= best, "{}", placed);
        }
        let lanes = |path: &&Candidate| path.lane && path.network == first.network;
        let equal = |path: &&Candidate| (path.suspect, path.class) == (first.suspect, first.class);
        match unit.urgency {
            Urgency::Interactive => {
                prop_assert!(first.lane || !paths.iter().filter(equal).any(|p| lanes(&p)));
            }
            _ => {
                let general = |p: &&Candidate| !p.lane && p.network == first.network;
                prop_assert!(!first.lane || !paths.iter().filter(equal).any(|p| general(&p)));
            }
        }
    }

    // behaviour: I6
    #[test]
    fn interactive_never_waits_unless_another_session_goes_first(
        paths in candidates(), unit in wanted(), process in process(),
    ) {
        let (now, unit) = (now(), Unit { urgency: Urgency::Interactive, ..unit });
        let mut around = around(now, process);
        around.outranked = [0; PATHS];
        let placed = place(now, &unit, &paths, &around);
        prop_assert_eq!(chosen(&placed).is_empty(), paths.is_empty(), "{}", placed);
        if let Choice::Twice(one, other) = placed.choice {
            let network = |slot| paths.iter().find(|p| p.slot == slot).map(|p| p.network);
            prop_assert!(network(one) != network(other) && unit.redundant && unit.length <= 16 << 10);
        }
    }

    // behaviour: P3
    #[test]
    fn what_starved_goes(paths in candidates(), unit in wanted(), process in process()) {
        let (now, unit) = (now(), Unit { starved: true, ..unit });
        let placed = place(now, &unit, &paths, &around(now, process));
        prop_assert_eq!(chosen(&placed).is_empty(), paths.is_empty(), "{}", placed);
    }

    #[test]
    fn bulk_goes_on_where_nothing_is_outstanding(
        paths in candidates(), unit in wanted(), process in process(),
    ) {
        let now = now();
        let mut around = around(now, process);
        around.outranked = [0; PATHS];
        let idle = |mut path: Candidate| {
            (path.planned, path.foreign, path.measure.outstanding) = (0, 0, 0);
            path
        };
        let paths: Vec<_> = paths.into_iter().map(idle).collect();
        let placed = place(now, &unit, &paths, &around);
        prop_assert_eq!(chosen(&placed).is_empty(), paths.is_empty(), "{}", placed);
    }

    #[test]
    fn bounds_hold_whatever_was_measured(
        measure in measure(), alone in any::<bool>(), wrong in any::<u32>(),
    ) {
        let bytes = chunk(&measure);
        prop_assert!((1400..=256 << 10).contains(&bytes));
        let of = |queue| gate::allowance(&measure, queue);
        prop_assert!(of(Queue::Least) >= 1500 && gate::striped(&measure) >= 1500);
        prop_assert!(of(Queue::Short) >= of(Queue::Least));
        prop_assert_eq!(of(Queue::Any), u64::MAX);
        let calm = patience(&measure, alone, wrong);
        prop_assert!(calm >= MILLI * 30 && calm <= Duration::from_secs(60));
        prop_assert!(calm >= patience(&measure, alone, 0));
    }
}
