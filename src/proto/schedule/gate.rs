//! The gate: how much bulk may be outstanding on a path, and in what pieces it comes.
//!
//! Somebody may begin to wait at any moment, and finds what stands in the queue then. So what nobody waits
//! for is kept short always: it fills the pipe, and little more. While interactive traffic is active that
//! is as little as keeps the pipe full, and default traffic is kept short as well.
//!
//! | | interactive traffic active | else |
//! | --- | --- | --- |
//! | background | [`Queue::Least`] | [`Queue::Short`] |
//! | default | [`Queue::Short`] | [`Queue::Any`] |
//!
//! | | bytes that may be outstanding |
//! | --- | --- |
//! | [`Queue::Least`] | bandwidth x (least round trip + slack), or a packet more than it |
//! | the same, round trip unknown | max(1,500, 50 ms of bandwidth) |
//! | the same, bandwidth unknown | ten segments |
//! | [`Queue::Short`] | the product and half of it, at least 10 ms of bandwidth more than it |
//! | the same, round trip unknown | 1 s of bandwidth |
//! | [`Queue::Any`] | as many as the link takes |
//! | bulk of any urgency, several networks | twice the product + 50 ms of bandwidth |
//! | these, bandwidth unknown | ten segments and what was acknowledged, at most 4 MiB |
//!
//! **The slack** is a tenth of the least round trip, 2 to 25 ms, and as much again if the round trip shows
//! no queue. It is what the estimate grows by: a pipe that can do more is given more than fills it, so the
//! next measurement shows more. How much that takes is more than it seems, for the gate opens when a timer
//! says so: the pipe drains between two looks, what a look lets pass waits for its own first packets, and
//! chunks are whole. All that is some 2 ms together, and with a slack that does not exceed it an estimate
//! that is too small stays so (the simulation in the tests stood at 0.25 to 0.65 of the network). So
//! chunks are small, one goes when half of it is within what is allowed, and what is not seen in the round
//! trip is allowed on top. Where a queue is seen, it is no longer than a tenth of the round trip; never
//! more than libcmm's 50 ms.

use std::time::Duration;

use super::Measure;
use super::arrival::{bytes, least, product, rate};
use crate::label::Urgency;

/// A full packet.
const SEGMENT: u64 = 1500;
/// What a path gets of which nothing is known: RFC 6928's initial window.
pub(super) const TEN: u64 = 10 * SEGMENT;
/// The most outstanding on a path whose bandwidth nobody knows.
const UNKNOWN: u64 = 4 << 20;
/// How long the queue behind a tight gate should be: a part of the least round trip, between these.
const PART: u32 = 10;
const SLACK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(25)];
/// The least queue that [`Queue::Short`] lets be: what one timer that is late costs, and more.
const FIRST: Duration = Duration::from_millis(10);
/// libcmm's bound.
const BOUND: Duration = Duration::from_millis(50);
/// A chunk takes so long on its way out.
const CHUNK: Duration = Duration::from_millis(1);
/// One frame in one packet, with room for its header and TLS.
const SMALLEST: u64 = 1400;
const LARGEST: u64 = 256 << 10;

/// How long a queue bulk may make on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// As little as keeps the pipe full: somebody more urgent waits now.
    Least,
    /// Short: somebody may begin to wait.
    Short,
    /// As the link has it.
    Any,
}

impl Queue {
    /// What traffic of an urgency is let make; `active` while interactive traffic is.
    #[must_use]
    pub fn of(urgency: Urgency, active: bool) -> Self {
        match (urgency, active) {
            (Urgency::Background, true) => Queue::Least,
            (Urgency::Background, false) | (Urgency::Default, true) => Queue::Short,
            (Urgency::Default, false) | (Urgency::Interactive, _) => Queue::Any,
        }
    }
}

/// Bytes that may be outstanding on a path.
#[must_use]
pub fn allowance(path: &Measure, queue: Queue) -> u64 {
    match (queue, rate(path), product(path)) {
        (Queue::Any, ..) => u64::MAX,
        (Queue::Least, None, _) => TEN,
        (Queue::Least, Some(rate), None) => bytes(rate, BOUND).max(SEGMENT),
        (Queue::Least, Some(rate), Some(product)) => {
            product.saturating_add(bytes(rate, slack(path)).max(SEGMENT))
        }
        (Queue::Short, None, _) => unknown(path),
        (Queue::Short, Some(rate), None) => rate.max(TEN),
        (Queue::Short, Some(rate), Some(product)) => {
            let more = (product / 2).max(bytes(rate, FIRST));
            product.saturating_add(more).max(TEN)
        }
    }
}

/// Bytes of bulk of any urgency that may be outstanding while several networks carry it: enough to keep
/// the pipe full through a lost packet or a late timer, and not so much that the peer's window fills
/// behind it.
#[must_use]
pub fn striped(path: &Measure) -> u64 {
    let Some(rate) = rate(path) else {
        return unknown(path);
    };
    let twice = product(path).unwrap_or(0).saturating_mul(2);
    twice.saturating_add(bytes(rate, BOUND)).max(TEN)
}

/// Whether a chunk must wait: what is outstanding fills the pipe, and with half of the chunk it would be
/// more than is allowed. A chunk larger than what is allowed goes when nothing else is outstanding.
pub(super) fn is_shut(path: &Measure, outstanding: u64, length: u64, allowed: u64) -> bool {
    let full = product(path).unwrap_or(1).min(allowed).max(1);
    outstanding >= full && outstanding.saturating_add(length / 2) > allowed
}

/// How many bytes make one chunk on this path: a millisecond of its bandwidth, so that what is more
/// urgent never waits long behind it, 1,400 bytes to 256 KiB. Where nothing else is to be waited for,
/// as on the only path, larger ones cost less.
#[must_use]
pub fn chunk(path: &Measure) -> u64 {
    let bytes = match rate(path) {
        Some(rate) => bytes(rate, CHUNK),
        None => unknown(path) / 4,
    };
    bytes.clamp(SMALLEST, LARGEST)
}

/// How long a queue may be: as it should be, and as much again if none is seen.
fn slack(path: &Measure) -> Duration {
    let Some(least) = least(path) else {
        return SLACK[0];
    };
    let should = (least / PART).clamp(SLACK[0], SLACK[1]);
    let waits = path.rtt.map_or(should, |rtt| rtt.saturating_sub(least));
    should + should.saturating_sub(waits)
}

/// As with a window that starts slowly: twice as much with every round trip.
fn unknown(path: &Measure) -> u64 {
    TEN.saturating_add(path.acknowledged).min(UNKNOWN)
}
