//! What limits let go over a path.

use super::*;
use crate::label::matching::Traffic;

const SMALLEST: u64 = 64 << 10;

fn background() -> Traffic {
    Traffic::with_labels([Label::BACKGROUND])
}

/// What the listener has of a stream, by now.
fn arrived(pair: &mut Pair, id: StreamId) -> usize {
    pair.run(Duration::from_secs(2));
    let _ = pair.read_all(End::Listener, id);
    pair.sides[1].read.get(&id).map_or(0, Vec::len)
}

fn written(pair: &mut Pair, label: Label, length: usize) -> StreamId {
    let now = pair.now();
    let session = pair.session(End::Dialler);
    let id = session.open(now, label).expect("room");
    assert_eq!(session.write(now, id, label, &bytes(length)), Ok(length));
    id
}

#[test]
fn no_more_is_planned_than_there_is_room_and_what_is_not_meant_goes() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let session = pair.session(End::Dialler);
    assert!(
        session
            .set_tolls(path, [background()].into_iter())
            .is_empty()
    );
    let id = written(&mut pair, Label::BACKGROUND, 50_000);
    let free = written(&mut pair, Label::ANY, 50_000);
    assert_eq!(arrived(&mut pair, id), 0);
    assert_eq!(arrived(&mut pair, free), 50_000);
    let toll = &mut pair.session(End::Dialler).tolls(path)[0];
    assert!(toll.wanted && toll.over == 0 && toll.owed == 0);
    toll.room = 10_016;
    assert_eq!(arrived(&mut pair, id), 10_000, "a header less");
    assert_eq!(pair.session(End::Dialler).tolls(path)[0].room, 0);
    // Where nothing of it is asked for any more, it goes.
    pair.session(End::Dialler)
        .set_tolls(path, std::iter::empty());
    assert_eq!(arrived(&mut pair, id), 50_000);
}

#[test]
fn what_is_taken_back_is_paid_back() {
    let mut pair = pair();
    let path = pair.paths()[0];
    pair.session(End::Dialler)
        .set_tolls(path, [Traffic::default()].into_iter());
    pair.session(End::Dialler).tolls(path)[0].room = SMALLEST;
    written(&mut pair, Label::ANY, 50_000);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    // Planned, and nothing of it taken.
    assert!(session.transmit(now, path, &mut [IoSlice::new(&[]); 8]) > 0);
    assert!(session.tolls(path)[0].room < SMALLEST - 50_000);
    let before = session.set_tolls(path, std::iter::empty());
    assert_eq!(before[0].room, SMALLEST);
}

#[test]
fn of_a_path_that_is_gone_the_last_is_told_once() {
    let mut pair = pair();
    let path = pair.paths()[0];
    pair.session(End::Dialler)
        .set_tolls(path, [Traffic::default()].into_iter());
    pair.session(End::Dialler).tolls(path)[0].room = SMALLEST;
    let id = written(&mut pair, Label::ANY, 20_000);
    assert_eq!(arrived(&mut pair, id), 20_000);
    let tally = pair.session(End::Dialler).tally(path).expect("open");
    assert_eq!(tally.sent[1], 20_000);
    let rest = tally.sent[3] + tally.received[3];
    pair.cut(path);
    pair.run(Duration::from_secs(1));
    let session = pair.session(End::Dialler);
    assert_eq!(session.tally(path), Some(tally));
    let tolls = session.last_tolls(path);
    let header = SMALLEST - tolls[0].room - 20_000;
    assert_eq!(
        tolls[0].owed + header,
        rest,
        "control both ways, and the frames' headers"
    );
    assert!(session.last_tolls(path).is_empty());
}

#[test]
fn what_arrives_is_owed_by_its_label() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let tolls = [background(), Traffic::default()].into_iter();
    pair.session(End::Listener).set_tolls(path, tolls);
    for (label, length) in [(Label::BACKGROUND, 7_000), (Label::ANY, 11_000)] {
        let id = written(&mut pair, label, length);
        assert_eq!(arrived(&mut pair, id), length);
    }
    let tally = pair.session(End::Listener).tally(path).expect("open");
    assert_eq!(tally.received[..3], [0, 11_000, 7_000]);
    let [some, all] = pair.session(End::Listener).tolls(path) else {
        panic!("two tolls")
    };
    assert_eq!(some.owed, 7_000);
    let both: u64 = tally.received.iter().sum::<u64>() + tally.sent[3];
    assert_eq!(all.owed, both);
}

#[test]
fn another_path_that_is_no_worse_carries_while_one_is_dry() {
    let mut pair = pair();
    let first = pair.paths()[0];
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(1));
    let session = pair.session(End::Dialler);
    session.set_tolls(first, [Traffic::default()].into_iter());
    session.tolls(first)[0].dry = true;
    let id = written(&mut pair, Label::INTERACTIVE, 3_000);
    assert_eq!(arrived(&mut pair, id), 3_000);
    let stats = |pair: &mut Pair, path| {
        let stats = pair.session(End::Dialler).path_stats(path);
        stats.expect("open").payload_sent
    };
    assert_eq!(
        (stats(&mut pair, first), stats(&mut pair, second)),
        (0, 3_000)
    );
}
