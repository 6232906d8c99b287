//! How late a thread wakes that only sleeps: the same happens to every program that is measured meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::OVERSLEPT;

const NAP: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(super) struct Watch {
    wakes: AtomicU64,
    overslept: AtomicU64,
    ended: AtomicBool,
}

impl Watch {
    /// Sleeps and notes until [`Self::end`].
    pub(super) fn run(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            let begun = Instant::now();
            thread::sleep(NAP);
            if begun.elapsed() > NAP + OVERSLEPT {
                self.overslept.fetch_add(1, Ordering::Relaxed);
            }
            self.wakes.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Wakes so far, and those that came late.
    pub(super) fn seen(&self) -> (u64, u64) {
        (
            self.wakes.load(Ordering::Relaxed),
            self.overslept.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_wakes_until_it_is_ended() {
        let watch = Watch::default();
        thread::scope(|scope| {
            scope.spawn(|| watch.run());
            while watch.seen().0 < 3 {
                thread::yield_now();
            }
            watch.end();
        });
        let (wakes, overslept) = watch.seen();
        assert!(wakes >= 3 && overslept <= wakes);
    }
}
