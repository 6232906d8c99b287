//! Messages over a [`Pair`] of sessions.

mod fair;
mod flow;
mod giving_up;
mod hostile;
mod model;
mod order;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::label::{Prop, Urgency};
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::{End, Pair, anywhere};
use crate::proto::session::{CloseReason, Config, Event, PathId};

use End::{Dialler, Listener};

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

/// Two ends with so many paths.
fn pair(paths: u8) -> Pair {
    pair_of(paths, small())
}

fn pair_of(paths: u8, config: Config) -> Pair {
    let mut pair = Pair::new(7, start(), config.clone(), config);
    for slot in 1..paths {
        pair.dial(slot).expect("another path");
    }
    pair.run(secs(1));
    pair
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a label for unmetered networks only reads.
const UNMETERED: Label = Label::new().prohibit(Prop::Metered);

/// Makes a path one that [`UNMETERED`] may not use, or may again.
fn meter(pair: &mut Pair, path: PathId, metered: bool) {
    let now = pair.now();
    let mut sides = anywhere();
    sides.remote.kinds = Kinds::of(Kind::Cellular);
    sides.remote.metered = if metered { Fact::Yes } else { Fact::No };
    for end in End::BOTH {
        pair.session(end).update_path(now, path, sides.clone());
    }
}

fn bytes(length: usize) -> Bytes {
    (0..length)
        .map(|i| (i % 251) as u8)
        .collect::<Vec<u8>>()
        .into()
}

fn send_to(pair: &mut Pair, from: End, label: Label, length: usize, order: Order) -> MessageId {
    try_send(pair, from, label, length, order)
        .expect("it is taken")
        .expect("there is room")
}

fn try_send(
    pair: &mut Pair,
    from: End,
    label: Label,
    length: usize,
    order: Order,
) -> Result<Option<MessageId>, Refused> {
    let now = pair.now();
    let session = pair.session(from);
    session.send_message(now, label, &bytes(length), &order, None)
}

/// From the dialler.
fn send(pair: &mut Pair, label: Label, length: usize, order: Order) -> MessageId {
    send_to(pair, Dialler, label, length, order)
}

/// All that is there to be received at an end.
fn receive(pair: &mut Pair, end: End) -> Vec<Received> {
    let now = pair.now();
    std::iter::from_fn(|| pair.session(end).recv_message(now)).collect()
}

fn ids(received: &[Received]) -> Vec<MessageId> {
    received.iter().map(|message| message.id).collect()
}

/// Runs on, and gives what the listener may receive then.
fn arrive(pair: &mut Pair) -> Vec<MessageId> {
    pair.run(secs(10));
    let received = receive(pair, Listener);
    for message in &received {
        assert_eq!(message.bytes, bytes(message.bytes.len()), "whole");
    }
    pair.run(secs(1));
    ids(&received)
}

fn fate(pair: &mut Pair, id: MessageId) -> Fate {
    let fate = pair.session(Dialler).message_fate(id);
    fate.expect("it is remembered")
}

/// Payload of messages and streams that an end sent over every path there is or was.
fn sent(pair: &mut Pair, end: End, path: PathId) -> u64 {
    let stats = pair.session(end).path_stats(path).expect("it was");
    stats.payload_sent + stats.payload_resent
}

fn saw(pair: &mut Pair, end: End, event: Event) -> bool {
    pair.run(Duration::ZERO);
    pair.sides[end as usize].saw(event)
}
