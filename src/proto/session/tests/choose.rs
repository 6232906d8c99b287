//! Three paths, each of which would leave a frame to the next.

use std::time::{Duration, Instant};

use super::super::choose::{Chooser, Judge, Paths, Round};
use super::super::path::Path;
use super::super::send::{Asking, Verdict};
use super::super::{MAX_PATHS, Measure, PathId, PathSides, Role, Surroundings};
use crate::label::matching::{PathFacts, Policy};
use crate::label::{Label, Urgency};

/// Paths of these round trips, in microseconds, and bytes a second, where they are known.
fn paths(of: [(u64, Option<u64>); 3]) -> Paths {
    let mut paths = Paths::default();
    for (slot, (rtt, bandwidth)) in of.into_iter().enumerate() {
        let id = PathId {
            id: slot as u8,
            epoch: 1,
        };
        let rtt = Some(Duration::from_micros(rtt));
        let sides = PathSides {
            local: None,
            remote: PathFacts::default(),
        };
        let mut path = Path::new(id, slot as u64, sides);
        path.resumed = true;
        path.measure = Measure {
            rtt,
            least_rtt: rtt,
            bandwidth,
            ..Measure::default()
        };
        paths[slot] = Some(Box::new(path));
    }
    paths
}

/// What each path says of so many bytes, all there are.
fn verdicts(now: Instant, mut paths: Paths, label: Label, length: u64) -> Vec<Verdict> {
    let (policy, turn) = (Policy::default(), label.urgency());
    let asked = (0..3).map(|slot| {
        let mut round = Round {
            now,
            several: true,
            around: Surroundings::default(),
            lively: false,
            brisk: turn == Urgency::Interactive,
            starved: None,
            backlog: length,
            flown: [0; MAX_PATHS],
            pace: None,
        };
        let judge = Judge::of(&policy, Role::Dialler);
        let mut chooser = Chooser::of(judge, &mut paths, &mut round, (slot, turn));
        chooser.verdict(Asking::Bytes(&label, length))
    });
    asked.collect()
}

/// Each asks about a frame of its own: a slow one about little, for which the near path is best; that one
/// about more, for which the quick path is; and the quick one about so much that it finds the one of which
/// nothing is known to be best, which asks about little.
// behaviour: S3
#[test]
fn bytes_go_when_each_of_three_paths_would_leave_them_to_the_next() {
    const MB: u64 = 1_000_000;
    let bulk = paths([(200, Some(40 * MB)), (700, Some(100 * MB)), (1_560, None)]);
    let interactive = paths([
        (2_300, Some(4_688_000)),
        (4_200, None),
        (4_100, Some(59_955_000)),
    ]);
    for (paths, label, length) in [
        (bulk, Label::ANY, 73_000),
        (interactive, Label::INTERACTIVE, 27_123),
    ] {
        let verdicts = verdicts(super::start(), paths, label, length);
        let goes = |verdict: &Verdict| matches!(verdict, Verdict::Here { .. });
        assert!(verdicts.iter().all(goes), "{label}: {verdicts:?}");
    }
}
