//! The gate: how much bulk may be outstanding on a path, and in what pieces it comes.
//!
//! While interactive traffic is active, background bytes outstanding on a network stay under its
//! bandwidth times its least round trip, plus a little; so the pipe is full and its queue is not.
//!
//! | | bytes that may be outstanding |
//! | --- | --- |
//! | background, interactive traffic active | bandwidth x least round trip + max(1,500, 2 ms of bandwidth) |
//! | the same, round trip unknown | max(1,500, 50 ms of bandwidth) |
//! | the same, bandwidth unknown | ten segments |
//! | background else | 1 s of bandwidth, at least twice the product |
//! | bulk of any urgency, several networks | twice the product + 50 ms of bandwidth |
//! | the same, bandwidth unknown | ten segments and what was acknowledged, at most 4 MiB |
//!
//! The little is what the estimate grows by: a pipe that can do more is given 2 ms of bandwidth more than
//! fills it, so the next measurement shows more. For that it must be allowed whatever the product is:
//! a bound by 50 ms of bandwidth, as libcmm has it, would leave a path of 120 ms no room to grow. What
//! waits in the *queue* stays below that bound.

use std::time::Duration;

use super::Measure;
use super::arrival::{bytes, product, rate};

/// A full packet.
const SEGMENT: u64 = 1500;
/// What a path gets of which nothing is known: RFC 6928's initial window.
pub(super) const TEN: u64 = 10 * SEGMENT;
/// The most outstanding on a path whose bandwidth nobody knows.
const UNKNOWN: u64 = 4 << 20;
/// How long the queue of a tight gate is at most.
const SLACK: Duration = Duration::from_millis(2);
/// libcmm's bound.
const BOUND: Duration = Duration::from_millis(50);
/// A chunk takes no longer on its way out.
const CHUNK: Duration = Duration::from_millis(2);
/// One frame in one packet, with room for its header and TLS.
const SMALLEST: u64 = 1400;
const LARGEST: u64 = 256 << 10;

/// Background bytes that may be outstanding. `tight` while interactive traffic is active.
#[must_use]
pub fn allowance(path: &Measure, tight: bool) -> u64 {
    match (rate(path), product(path)) {
        (None, _) if tight => TEN,
        (None, _) => unknown(path),
        (Some(rate), Some(product)) if tight => {
            product.saturating_add(bytes(rate, SLACK).max(SEGMENT))
        }
        (Some(rate), None) if tight => bytes(rate, BOUND).max(SEGMENT),
        (Some(rate), product) => {
            let twice = product.unwrap_or(0).saturating_mul(2);
            rate.max(twice).max(TEN)
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

/// Whether a chunk must wait: what is outstanding fills the pipe, and with the chunk it would be more
/// than is allowed. A chunk larger than what is allowed goes when nothing else is outstanding.
pub(super) fn is_shut(path: &Measure, outstanding: u64, length: u64, allowed: u64) -> bool {
    let full = product(path).unwrap_or(1).min(allowed).max(1);
    outstanding >= full && outstanding.saturating_add(length) > allowed
}

/// How many bytes of this urgency make one chunk on this path: a few milliseconds of its bandwidth, so
/// that what is more urgent never waits long behind it. 1,400 bytes to 256 KiB.
#[must_use]
pub fn chunk(path: &Measure) -> u64 {
    let few = match rate(path) {
        Some(rate) => bytes(rate, CHUNK),
        None => unknown(path) / 4,
    };
    few.clamp(SMALLEST, LARGEST)
}

/// As with a window that starts slowly: twice as much with every round trip.
fn unknown(path: &Measure) -> u64 {
    TEN.saturating_add(path.acknowledged).min(UNKNOWN)
}
