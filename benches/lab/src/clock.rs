//! One clock for all processes of a run: CLOCK_MONOTONIC, in nanoseconds.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Now.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// An instant of this process as every process of this host calls it.
pub(crate) fn of(instant: Instant) -> u64 {
    let (now, here) = (now(), Instant::now());
    match instant.checked_duration_since(here) {
        Some(ahead) => now + ahead.as_nanos() as u64,
        None => now.saturating_sub((here - instant).as_nanos() as u64),
    }
}

/// Waits until then; not at all for what is past.
pub(crate) async fn until(then: u64) {
    let now = now();
    if then > now {
        tokio::time::sleep(Duration::from_nanos(then - now)).await;
    }
}

/// The same, for a thread.
pub(crate) fn sleep_until(then: u64) {
    let now = now();
    if then > now {
        std::thread::sleep(Duration::from_nanos(then - now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_moment_to_every_process() {
        let (before, instant, after) = (now(), Instant::now(), now());
        let told = of(instant);
        // Between two readings of two clocks lie microseconds, unless the thread is put aside.
        assert!(told + 5_000_000 > before && told < after + 5_000_000);
        let later = of(instant + Duration::from_secs(1));
        assert!(later.abs_diff(told + 1_000_000_000) < 5_000_000);
    }
}
