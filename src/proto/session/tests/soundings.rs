//! What is known of a path whose link tells nothing, and what goes over it beside a conversation.

use super::many::{MILLI, SECOND, flood, joined, line, until_read, write};
use super::*;

/// A backup for so long while somebody says something five times a second: how much of it arrived, and
/// how long the words took at the median.
fn beside(
    pair: &mut Pair,
    bulk: StreamId,
    talk: StreamId,
    length: Duration,
) -> (usize, Duration) {
    let read = |pair: &Pair, id| pair.sides[1].read.get(&id).map_or(0, Vec::len);
    let (before, end) = (read(pair, bulk), pair.now() + length);
    let mut took = Vec::new();
    while pair.now() < end {
        let said = read(pair, talk) + 300;
        write(pair, talk, Label::INTERACTIVE, &[7; 300]);
        took.push(until_read(pair, talk, said, SECOND));
        flood(pair, bulk, Label::BACKGROUND, MILLI * 200 - took[took.len() - 1].min(MILLI * 199));
    }
    took.sort_unstable();
    let _ = pair.read_all(End::Listener, bulk);
    (read(pair, bulk) - before, took[took.len() / 2])
}

/// Of a line of so many Mbit/s, what so many bytes in this time are.
fn share(bytes: usize, mbit: u64, length: Duration) -> f64 {
    bytes as f64 / (mbit as f64 * 125_000.0 * length.as_secs_f64())
}

fn known(pair: &mut Pair, path: PathId) -> f64 {
    let state = pair.session(End::Dialler).path_state(path).expect("open");
    state.measure.bandwidth.unwrap_or(0) as f64 / 125_000.0
}

// behaviour: I8 P2
#[test]
fn background_fills_a_path_that_tells_nothing_beside_a_conversation() {
    for (mbit, rtt) in [(20, 20), (4, 80), (100, 10)] {
        let (mut pair, paths, bulk) = joined(&[(0, line(rtt / 2, mbit))], false);
        let talk = opened(&mut pair, End::Dialler);
        write(&mut pair, talk, Label::INTERACTIVE, b"x");
        let begun = pair.now();
        flood(&mut pair, bulk, Label::BACKGROUND, MILLI * rtt * 14);
        let of = |rate: f64| rate / mbit as f64;
        let first = of(known(&mut pair, paths[0]));
        println!("{mbit} {rtt}: {first} after {:?}", pair.now() - begun);
        for _ in 0..10 {
        let (got, took) = beside(&mut pair, bulk, talk, SECOND);
        println!("{mbit} {rtt}: {} of it, {took:?}, known {}", share(got, mbit, SECOND), known(&mut pair, paths[0]));
        }
    }
}

#[test]
fn a_path_that_slows_is_known_within_seconds_and_so_is_its_recovery() {
    let (mut pair, paths, bulk) = joined(&[(0, line(10, 40))], false);
    let talk = opened(&mut pair, End::Dialler);
    for mbit in [40, 5, 40] {
        pair.shape(paths[0], line(10, mbit));
        for _ in 0..6 {
        let (got, took) = beside(&mut pair, bulk, talk, SECOND);
        println!("{mbit}: {} of it, {took:?}, known {}", share(got, mbit, SECOND), known(&mut pair, paths[0]));
        }
    }
}
