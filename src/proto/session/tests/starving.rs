//! Background beside traffic without end.

use super::many::{MILLI, SECOND, flood, joined, line, set_metered, write};
use super::*;
use crate::label::Prop;

/// Bytes of background that arrived by the end of each of these windows, beside a flood.
fn reads(pair: &mut Pair, hot: (StreamId, Label), background: StreamId) -> [usize; 2] {
    [(); 2].map(|()| {
        // One that is due just after a window began comes before its end.
        flood(pair, hot.0, hot.1, MILLI * 7500);
        let _ = pair.read_all(End::Listener, background);
        pair.sides[1].read.get(&background).map_or(0, Vec::len)
    })
}

fn assert_each_moved(reads: [usize; 2], what: &str) {
    assert!(0 < reads[0] && reads[0] < reads[1], "{what}: {reads:?}");
}

// behaviour: P3
#[test]
fn background_moves_by_the_path_that_admits_it_whichever_is_asked_first() {
    let equal = [(0, line(10, 1)), (1, line(10, 1))];
    let free = Label::BACKGROUND.prohibit(Prop::Metered);
    for (what, lines, metered, label) in [
        ("equal", equal, None, Label::BACKGROUND),
        (
            "the second is quick",
            [(0, line(60, 1)), (1, line(10, 2))],
            None,
            Label::BACKGROUND,
        ),
        (
            "the first is quick",
            [(0, line(10, 2)), (1, line(60, 1))],
            None,
            Label::BACKGROUND,
        ),
        ("the first is forbidden", equal, Some(0), free),
        ("the second is forbidden", equal, Some(1), free),
        ("the first is worse", equal, Some(0), Label::BACKGROUND),
        ("the second is worse", equal, Some(1), Label::BACKGROUND),
    ] {
        for hot in [Label::ANY, Label::INTERACTIVE] {
            let (mut pair, paths, id) = joined(&lines, true);
            if let Some(metered) = metered {
                set_metered(&mut pair, paths[metered]);
            }
            let background = opened(&mut pair, End::Dialler);
            write(&mut pair, background, label, &bytes(1 << 20));
            flood(&mut pair, id, hot, SECOND);
            let reads = reads(&mut pair, (id, hot), background);
            assert_each_moved(reads, &format!("{what}, beside {hot}"));
        }
    }
}

// behaviour: P3
#[test]
fn background_moves_under_a_rate_that_other_traffic_uses_up() {
    for hot in [Label::ANY, Label::INTERACTIVE] {
        let limited = Config {
            rate_limit: Some(200_000),
            ..Config::default()
        };
        let mut pair = Pair::new(5, start(), limited, Config::default());
        pair.measures = true;
        let path = pair.paths()[0];
        pair.shape(path, line(10, 20));
        let id = opened(&mut pair, End::Dialler);
        let background = opened(&mut pair, End::Dialler);
        write(&mut pair, background, Label::BACKGROUND, &bytes(1 << 20));
        flood(&mut pair, id, hot, SECOND);
        let reads = reads(&mut pair, (id, hot), background);
        assert_each_moved(reads, &format!("beside {hot}"));
    }
}

#[test]
fn background_that_no_path_admits_wakes_nobody_often() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 1))], true);
    set_metered(&mut pair, paths[0]);
    let label = Label::BACKGROUND.prohibit(Prop::Metered);
    write(&mut pair, id, label, &bytes(1000));
    pair.run(SECOND * 10);
    let mut looks = 0;
    let end = pair.now() + SECOND * 10;
    while pair.now() < end {
        pair.step(end);
        looks += 1;
    }
    assert!(looks <= 60, "{looks} in 10 s");
    assert_eq!(pair.sides[1].read.get(&id).map_or(0, Vec::len), 0);
}
