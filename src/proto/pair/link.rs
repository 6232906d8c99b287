//! How links behave, and what is under way on them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How links behave.
#[derive(Debug, Clone)]
pub struct Weather {
    /// The least one-way delay. Default 5 ms.
    pub delay: Duration,
    /// What is added to it at random, for each piece. Default 5 ms.
    pub jitter: Duration,
    /// Bytes a link takes before somebody must read. Default 256 KiB.
    pub capacity: usize,
    /// The longest piece that arrives at once; pieces are cut at random below it. Default 64 KiB.
    pub piece: usize,
    /// Slices offered to `transmit`, at most 64. Default 16.
    pub slices: usize,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            capacity: 256 << 10,
            piece: 64 << 10,
            slices: 16,
        }
    }
}

/// How one link behaves, where that is not as the [`Weather`].
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The one-way delay of an empty link.
    pub delay: Duration,
    /// What is added to it at random, for each piece.
    pub jitter: Duration,
    /// Bytes a second in each direction; `None` for no bound.
    pub rate: Option<u64>,
    /// Bytes that it holds in each direction before somebody must read.
    pub queue: usize,
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) pieces: VecDeque<(Instant, Vec<u8>)>,
    pub(super) held: usize,
    /// When the link has put the last of them on its wire.
    pub(super) busy: Option<Instant>,
    /// Bytes handed over of which the writer's kernel does not know yet, and when it will.
    pub(super) echoes: VecDeque<(Instant, u64)>,
    /// Bytes of which it knows.
    pub(super) acknowledged: u64,
    /// Nothing comes out, and nobody is told.
    pub(super) dark: bool,
    /// When the far end learns that the link is gone.
    pub(super) ends: Option<Instant>,
    /// It has learned it.
    pub(super) over: bool,
}

#[derive(Debug, Default)]
pub(super) struct Link {
    /// By the end that reads.
    pub(super) pipes: [Pipe; 2],
    pub(super) line: Option<Line>,
}

/// How long so many bytes take.
pub(super) fn time(bytes: u64, rate: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1))
}

impl Pipe {
    /// Bytes taken of which the writer's kernel does not know that they were handed over, and those of
    /// which it does.
    pub(super) fn told(&mut self, now: Instant) -> (u64, u64) {
        while let Some((_, bytes)) = self.echoes.front().copied().filter(|(at, _)| *at <= now) {
            self.echoes.pop_front();
            self.acknowledged += bytes;
        }
        let echoing: u64 = self.echoes.iter().map(|(_, bytes)| bytes).sum();
        (self.held as u64 + echoing, self.acknowledged)
    }
}
