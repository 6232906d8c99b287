//! At most so many bytes a second: what a writer waits for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock::Clock;
use crate::proto::schedule::meter::Meter;

/// A timer is not set for less.
const TICK: Duration = Duration::from_millis(1);

/// The rate of one stream, replays included.
#[derive(Debug)]
pub(super) struct Limit {
    meter: Meter,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    pub(super) fn new(rate: u64) -> Self {
        Self {
            meter: Meter::new(rate),
            sleep: None,
        }
    }

    /// How many of so many bytes may go now; ready with at least one. There is one writer at a time.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        loop {
            let now = Clock::recent();
            let room = usize::try_from(self.meter.room(now)).unwrap_or(usize::MAX);
            if room > 0 {
                self.sleep = None;
                return Poll::Ready(wanted.min(room));
            }
            let next = self.meter.next(now).unwrap_or(now).max(now + TICK);
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(Clock::sleep_until(next)));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
    }

    /// So many went.
    pub(super) fn took(&mut self, bytes: usize) {
        self.meter.take(Clock::recent(), bytes as u64);
    }
}
