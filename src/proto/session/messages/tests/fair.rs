//! Messages beside streams, where there is always more of both.

use super::*;
use crate::proto::pair::Line;
use crate::proto::session::StreamId;

const MBIT: u64 = 125_000;

/// Two ends with so many paths of 2 Mbit/s each, and a stream.
fn slow(paths: u8) -> (Pair, StreamId) {
    let mut pair = pair_of(paths, small());
    for path in pair.paths() {
        let line = Line {
            delay: millis(10),
            jitter: Duration::ZERO,
            rate: Some(2 * MBIT),
            queue: 32 << 10,
        };
        pair.shape(path, line);
    }
    let now = pair.now();
    let stream = pair.session(Dialler).open(now, Label::ANY).expect("room");
    (pair, stream)
}

/// Keeps a stream and an urgency of messages full for so long: bytes of each that arrived.
fn flood(pair: &mut Pair, stream: StreamId, labels: [Label; 2], length: Duration) -> [usize; 2] {
    let (end, chunk) = (pair.now() + length, bytes(4 << 10));
    let mut arrived = [0; 2];
    while pair.now() < end {
        let now = pair.now();
        let session = pair.session(Dialler);
        while matches!(session.write(now, stream, labels[0], &chunk), Ok(1..)) {}
        while let Ok(Some(_)) = try_send(pair, Dialler, labels[1], 4 << 10, Order::Sent) {}
        let soon = end.min(now + millis(10));
        while pair.step(soon) {}
        let _ = pair.read_all(Listener, stream);
        let messages = receive(pair, Listener);
        arrived[1] += messages.iter().map(|m| m.bytes.len()).sum::<usize>();
    }
    arrived[0] = pair.sides[1].read.get(&stream).map_or(0, Vec::len);
    arrived
}

#[test]
fn messages_and_streams_of_one_urgency_share_what_there_is() {
    for paths in [1, 2] {
        for label in [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND] {
            let (mut pair, stream) = slow(paths);
            let arrived = flood(&mut pair, stream, [label; 2], secs(3));
            let least = arrived.into_iter().min().expect("two");
            let all: usize = arrived.iter().sum();
            assert!(all > 500_000, "{label}, {paths} paths: {arrived:?}");
            assert!(least * 4 > all, "{label}, {paths} paths: {arrived:?}");
        }
    }
}

// behaviour: P3
#[test]
fn background_messages_move_beside_a_stream_without_end() {
    for paths in [1, 2] {
        let (mut pair, stream) = slow(paths);
        let labels = [Label::ANY, Label::BACKGROUND];
        for turn in 0..2 {
            let [_, moved] = flood(&mut pair, stream, labels, secs(6));
            assert!(moved > 0, "turn {turn}, {paths} paths");
        }
    }
}

// behaviour: P3
#[test]
fn a_background_stream_moves_beside_messages_without_end() {
    for paths in [1, 2] {
        let (mut pair, stream) = slow(paths);
        let labels = [Label::BACKGROUND, Label::ANY];
        let mut before = 0;
        for turn in 0..2 {
            let [read, _] = flood(&mut pair, stream, labels, secs(6));
            assert!(read > before, "turn {turn}, {paths} paths");
            before = read;
        }
    }
}
