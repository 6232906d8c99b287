//! Airhook, over a link that exists only here and behaves as badly as asked.

mod blind;
mod command;
mod hostile;
mod link;
mod long;
mod messages;
mod model;
mod restarts;
mod sessions;
mod window;
mod wire;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::*;
use crate::proto::cases::cases;

const SECOND: Duration = Duration::from_secs(1);

/// The only look at a clock: virtual time has to begin somewhere.
#[allow(clippy::disallowed_methods, reason = "a test is told no time")]
fn start() -> Instant {
    Instant::now()
}

fn session(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn fresh(now: Instant, number: u32) -> Airhook {
    Airhook::new(now, session(number), Settings::default())
}

/// The packet that is due, if one is.
fn due(core: &mut Airhook, now: Instant) -> Option<Vec<u8>> {
    due_within(core, now, 1_500)
}

fn due_within(core: &mut Airhook, now: Instant, size: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; size];
    let length = core.transmit(now, &mut buffer).expect("it fits")?;
    buffer.truncate(length);
    Some(buffer)
}

/// The packet that is due, which there is.
fn next(core: &mut Airhook, now: Instant) -> Vec<u8> {
    due(core, now).expect("a packet is due")
}

fn give(core: &mut Airhook, now: Instant, packet: &[u8]) -> Received {
    core.receive(now, packet).expect("a good packet")
}

fn parsed(packet: &[u8]) -> packet::Packet<'_> {
    packet::Packet::parse(packet).expect("our own")
}

/// How many messages a packet has.
fn count(packet: &[u8]) -> usize {
    parsed(packet).count
}

/// The messages that came, other events dropped.
fn messages(core: &mut Airhook) -> Vec<Bytes> {
    let events = std::iter::from_fn(|| core.poll_event());
    events
        .filter_map(|event| match event {
            Event::Message(bytes) => Some(bytes),
            _ => None,
        })
        .collect()
}

/// What was last said of messages of ours, other events dropped.
fn statuses(core: &mut Airhook) -> Vec<(MessageId, State)> {
    let events = std::iter::from_fn(|| core.poll_event());
    events
        .filter_map(|event| match event {
            Event::Status(id, status) => Some((id, status.state)),
            _ => None,
        })
        .collect()
}

/// Carries everything both ways, losing nothing, until neither has more; the packets, by sender.
fn exchange(ends: &mut [Airhook; 2], now: Instant) -> Vec<(usize, Vec<u8>)> {
    let mut carried = Vec::new();
    loop {
        let before = carried.len();
        for from in 0..2 {
            while let Some(packet) = due(&mut ends[from], now) {
                give(&mut ends[1 - from], now, &packet);
                carried.push((from, packet));
                assert!(carried.len() < 10_000, "they never fall silent");
            }
        }
        if carried.len() == before {
            return carried;
        }
    }
}

/// Two ends that know each other and have nothing to say.
fn acquainted(now: Instant) -> [Airhook; 2] {
    let mut ends = [fresh(now, 0x0a0a_0a0a), fresh(now, 0x0b0b_0b0b)];
    exchange(&mut ends, now);
    for end in &mut ends {
        assert_eq!(end.status().remote_state, State::Confirmed);
        assert!(matches!(end.poll_event(), Some(Event::Session(_))));
        assert_eq!(end.poll_event(), None);
        assert_eq!(end.poll_timeout(), None);
    }
    ends
}
