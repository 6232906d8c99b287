//! Estimates.

use proptest::prelude::*;

use super::super::estimate::{Way, estimate, time};
use super::properties::candidates;
use super::*;
use crate::network::Kind;
use crate::proto::cases::cases;

const MB: u64 = 1_000_000;

fn way(path: Candidate, kind: Kind, metered: bool) -> Way {
    Way {
        path,
        kind,
        metered,
    }
}

#[test]
fn bytes_are_shared_so_that_all_paths_are_done_at_once() {
    let (wifi, cellular) = (path(0, 20, 20), path(1, 2, 120));
    assert_eq!(time(5 * MB, &[wifi]), Some(MILLI * 2010));
    // 2.5 MB/s from 10 ms on and 0.25 MB/s from 60 ms on.
    let both = time(5 * MB, &[wifi, cellular]).unwrap();
    assert_eq!(both.as_millis(), 1832);
    assert_eq!(time(100, &[wifi, cellular]).unwrap().as_micros(), 10_040);
    assert_eq!(time(5 * MB, &[with(wifi, 300_000)]), Some(MILLI * 2110));
    assert_eq!(time(5 * MB, &[]), None);
    assert_eq!(time(5 * MB, &[Candidate::default()]), None, "nothing known");
}

#[test]
fn nobody_foresees_more_than_thirteen_days() {
    let wifi = path(0, 20, 20);
    let days = |days: u64| time(2_500_000 * days * 86_400, &[wifi]);
    assert_eq!(days(12).unwrap().as_secs(), 12 * 86_400);
    assert_eq!(days(14), None);
    assert_eq!(time(u64::MAX, &[wifi]), None);
    assert!(estimate(u64::MAX, &[way(wifi, Kind::Wifi, false)], None).is_none());
}

#[test]
fn only_paths_of_the_best_class_count() {
    let dear = Candidate {
        class: 2,
        ..path(1, 100, 10)
    };
    let wifi = path(0, 20, 20);
    assert_eq!(time(5 * MB, &[wifi, dear]), Some(MILLI * 2010));
    let suspect = Candidate {
        suspect: true,
        ..wifi
    };
    assert_eq!(time(5 * MB, &[suspect, dear]), Some(MILLI * 405));
    let lane = lane_of(wifi, 4);
    assert_eq!(time(5 * MB, &[wifi, lane]), Some(MILLI * 2010));
    assert_eq!(time(5 * MB, &[lane]), Some(MILLI * 2010));
}

#[test]
fn bytes_on_metered_networks_and_joules_are_told() {
    let ways = [
        way(path(0, 20, 20), Kind::Wifi, false),
        way(path(1, 2, 120), Kind::Cellular, true),
    ];
    let radios = |kind: Kind, bytes: u64, time: Duration| match kind {
        Kind::Cellular => 1.0 + bytes as f64 / 1e6 + time.as_secs_f64(),
        _ => 0.0,
    };
    let told = estimate(5 * MB, &ways, Some(&radios)).unwrap();
    assert_eq!(told.time.as_millis(), 1832);
    // 1.772 s of 0.25 MB/s.
    assert_eq!(told.metered / 1000, 443);
    assert!((told.joules - 3.275).abs() < 0.001, "{}", told.joules);
    let free = estimate(5 * MB, &ways[..1], None).unwrap();
    assert_eq!((free.metered, free.joules), (0, 0.0));
    let little = estimate(1000, &ways, None).unwrap();
    assert_eq!(little.metered, 0);
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn all_bytes_are_somewhere_whatever_was_measured(
        paths in candidates(), bytes in any::<u64>(),
    ) {
        let ways: Vec<Way> = paths.iter().map(|path| way(*path, Kind::Other, true)).collect();
        let told = estimate(bytes, &ways, None);
        prop_assert_eq!(told.map(|told| told.time), time(bytes, &paths));
        if let Some(told) = told {
            prop_assert_eq!(told.metered, bytes);
        }
    }
}
