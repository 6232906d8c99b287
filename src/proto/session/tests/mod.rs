//! The session core over [`Pair`](crate::proto::pair::Pair).

mod choose;
mod ends;
mod flow;
mod hostile;
mod many;
mod model;
mod paths;
mod silence;
mod soundings;
mod starving;
mod streams;
mod toll;
mod unacknowledged;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::label::Label;
use crate::proto::pair::{End, Pair};

use crate::proto::cases::cases;

const LONG: Duration = Duration::from_secs(60);

/// The only look at a clock: virtual time has to begin somewhere.
#[allow(clippy::disallowed_methods, reason = "a test is told no time")]
fn start() -> Instant {
    Instant::now()
}

fn small() -> Config {
    Config {
        send_buffer: 64 << 10,
        receive_window: 64 << 10,
        max_streams: 8,
        ..Config::default()
    }
}

fn pair() -> Pair {
    Pair::new(1, start(), small(), small())
}

/// A stream that its opener knows.
fn opened(pair: &mut Pair, end: End) -> StreamId {
    let now = pair.now();
    pair.session(end).open(now, Label::ANY).expect("room")
}

/// Bytes that tell their place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Writes all of `data`, the peer reading meanwhile.
fn send_all(pair: &mut Pair, from: End, stream: StreamId, data: &[u8]) {
    let mut rest = data;
    for _ in 0..100_000 {
        let now = pair.now();
        let taken = pair
            .session(from)
            .write(now, stream, Label::ANY, rest)
            .expect("the stream is open");
        rest = &rest[taken..];
        if rest.is_empty() {
            return;
        }
        let until = now + LONG;
        pair.step(until);
        let _ = pair.read_all(from.other(), stream);
    }
    panic!("{} bytes were never taken", rest.len());
}
