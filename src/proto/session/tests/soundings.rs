//! What is known of a path whose link tells nothing, and what goes over it beside a conversation.

use super::super::sounding::MOST;
use super::many::{MILLI, SECOND, flood, joined, line, until_read, write};
use super::*;
use crate::proto::pair::Line;

/// A backup for a second while somebody says something five times: how much of it arrived, and how long
/// the words took at the median.
fn beside(pair: &mut Pair, bulk: StreamId, talk: StreamId) -> (usize, Duration) {
    let read = |pair: &Pair, id| pair.sides[1].read.get(&id).map_or(0, Vec::len);
    let (before, end) = (read(pair, bulk), pair.now() + SECOND);
    let mut took = Vec::new();
    while pair.now() < end {
        let said = read(pair, talk) + 300;
        write(pair, talk, Label::INTERACTIVE, &[7; 300]);
        let word = until_read(pair, talk, said, SECOND);
        flood(
            pair,
            bulk,
            Label::BACKGROUND,
            MILLI * 200 - word.min(MILLI * 199),
        );
        took.push(word);
    }
    took.sort_unstable();
    (read(pair, bulk) - before, took[took.len() / 2])
}

/// Of a line of so many Mbit/s, what so many bytes in a second are.
fn share(bytes: usize, mbit: u64) -> f64 {
    bytes as f64 / (mbit * 125_000) as f64
}

fn known(pair: &mut Pair, path: PathId) -> f64 {
    let state = pair.session(End::Dialler).path_state(path).expect("open");
    state.measure.bandwidth.unwrap_or(0) as f64 / 125_000.0
}

fn asked(pair: &mut Pair, path: PathId) -> usize {
    let slot = usize::from(path.id);
    let path = pair.session(End::Dialler).paths[slot].as_ref();
    path.expect("open").soundings.asked()
}

/// One path, a backup, and a conversation that has begun.
fn talking(line: Line, acknowledges: Duration) -> (Pair, PathId, [StreamId; 2]) {
    let slow = Config {
        ack_delay: acknowledges,
        ..Config::default()
    };
    let mut pair = Pair::new(5, start(), Config::default(), slow);
    let path = pair.paths()[0];
    pair.shape(path, line);
    let streams = [(); 2].map(|()| opened(&mut pair, End::Dialler));
    pair.run(SECOND);
    write(&mut pair, streams[1], Label::INTERACTIVE, b"x");
    (pair, path, streams)
}

// behaviour: I8 P2
#[test]
fn background_fills_a_path_that_tells_nothing_beside_a_conversation() {
    for (mbit, rtt, acknowledges) in [(20, 20, 20), (4, 80, 20), (100, 10, 20), (20, 20, 150)] {
        let what = format!("{mbit} Mbit/s, {rtt} ms, acknowledged after {acknowledges}");
        let line = line(rtt / 2, mbit);
        let (mut pair, path, [bulk, talk]) = talking(line, MILLI * acknowledges);
        flood(&mut pair, bulk, Label::BACKGROUND, MILLI * rtt * 14);
        let first = known(&mut pair, path) / mbit as f64;
        assert!(first > 0.9, "{what}: {first} of it known");
        for second in 0..6 {
            let (got, word) = beside(&mut pair, bulk, talk);
            let got = share(got, mbit);
            assert!(got > 0.93, "{what}: {got} in second {second}");
            let waits = word.saturating_sub(MILLI * (rtt / 2));
            let most = MILLI * rtt / 5 + MILLI * 2;
            assert!(waits < most, "{what}: a word waits {waits:?}");
        }
    }
}

#[test]
fn a_path_that_slows_is_known_within_seconds_and_so_is_its_recovery() {
    let (mut pair, path, [bulk, talk]) = talking(line(10, 40), MILLI * 20);
    for mbit in [40, 5, 40] {
        pair.shape(path, line(10, mbit));
        for _ in 0..4 {
            beside(&mut pair, bulk, talk);
        }
        for _ in 0..3 {
            let (got, word) = beside(&mut pair, bulk, talk);
            let got = share(got, mbit);
            assert!(got > 0.93, "{mbit} Mbit/s: {got}");
            assert!(word < MILLI * 16, "{mbit} Mbit/s: a word takes {word:?}");
            let rate = known(&mut pair, path) / mbit as f64;
            assert!((0.9..1.5).contains(&rate), "{mbit} Mbit/s: {rate} known");
        }
    }
}

#[test]
fn a_path_on_which_nothing_depends_is_not_sounded() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20))], false);
    flood(&mut pair, id, Label::ANY, SECOND);
    let stats = pair.session(End::Dialler).path_stats(paths[0]);
    let before = stats.expect("open").control_sent;
    assert_eq!(known(&mut pair, paths[0]), 0.0);
    // With another beside it the same traffic is; that costs less than a hundredth.
    pair.dial(1).expect("the session lives");
    flood(&mut pair, id, Label::ANY, SECOND * 2);
    assert!(known(&mut pair, paths[0]) > 0.0);
    let stats = pair.session(End::Dialler).path_stats(paths[0]);
    let stats = stats.expect("open");
    let cost = (stats.control_sent - before) as f64 / stats.payload_sent as f64;
    assert!(cost < 0.02, "{cost}");
}

#[test]
fn a_silent_path_is_not_asked_without_end() {
    // By satellite: more fits into its round trip than may be asked of it.
    let far = Line {
        queue: 16 << 20,
        ..line(300, 10)
    };
    let (mut pair, path, [bulk, _]) = talking(far, MILLI * 20);
    // Nobody talks any more, so that more may be on its way.
    flood(&mut pair, bulk, Label::BACKGROUND, SECOND * 12);
    pair.silence(path);
    let mut most = 0;
    for _ in 0..400 {
        flood(&mut pair, bulk, Label::BACKGROUND, MILLI * 5);
        most = asked(&mut pair, path).max(most);
    }
    assert_eq!(most, MOST);
}
