//! The one clock of deadlines that people set.
//!
//! A person who says "within ten minutes" means minutes on the wall, also when the lid was
//! closed for nine of them. [`std::time::Instant`] stops while a machine sleeps (on Linux it is
//! `CLOCK_MONOTONIC`), so [`Clock::now`] adds to it what the boot-time clock counted beyond it
//! since this process first asked. Until the first sleep the two agree to the nanosecond.
//!
//! It starts from tokio's instant, so it stands still where a test paused time. Timers do not
//! count time asleep: whoever sleeps until a [`Clock`] deadline also waits for [`Clock::jumped`]
//! and then looks again.
//!
//! Where the system does not tell the two clocks apart, time asleep is not counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Time asleep that was seen so far, in nanoseconds; it only grows.
static ASLEEP: AtomicU64 = AtomicU64::new(0);

/// Told after each jump, for those who sleep on a timer.
static JUMPED: Notify = Notify::const_new();

#[cfg(any(test, feature = "test-util"))]
thread_local! {
    /// Paused time exists only on a runtime of one thread, so a thread is exactly one test.
    static INJECTED: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

/// Now, with the time asleep in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock;

impl Clock {
    /// This moment. Never goes back; to be compared with other values of this clock alone.
    pub(crate) fn now() -> Instant {
        tokio::time::Instant::now().into_std() + Self::asleep()
    }

    /// This moment as far as the time asleep was looked up by [`now`](Self::now): for what runs at
    /// every packet. Never goes back, also between the two.
    pub(crate) fn recent() -> Instant {
        let asleep = Duration::from_nanos(ASLEEP.load(Ordering::Relaxed));
        #[cfg(any(test, feature = "test-util"))]
        let asleep = asleep + INJECTED.get();
        tokio::time::Instant::now().into_std() + asleep
    }

    /// This moment and `after`, or `None` for a time too far to be told from never.
    pub(crate) fn deadline(after: Duration) -> Option<Instant> {
        Self::now().checked_add(after)
    }

    /// Sleeps on tokio's timer for what is left until `deadline`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn sleep_until(deadline: Instant) -> tokio::time::Sleep {
        tokio::time::sleep(deadline.saturating_duration_since(Self::now()))
    }

    /// Resolves at `deadline`, time asleep counted; never without one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) async fn reached(deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        loop {
            let jumped = Self::jumped();
            if Self::now() >= deadline {
                return;
            }
            tokio::select! {
                () = Self::sleep_until(deadline) => {}
                () = jumped => {}
            }
        }
    }

    /// Resolves after the next jump of this clock, counted from this call, not from the first poll.
    pub(crate) fn jumped() -> Notified<'static> {
        JUMPED.notified()
    }

    /// Lets this thread's clock jump as after `asleep` of sleep. For tests.
    #[cfg(any(test, feature = "test-util"))]
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests alone"))]
    pub(crate) fn jump(asleep: Duration) {
        INJECTED.set(INJECTED.get() + asleep);
        JUMPED.notify_waiters();
    }

    /// The wall clock, in seconds after the beginning of 1970. Where a test paused time it goes as
    /// that does.
    pub(crate) fn wall() -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = wall.unwrap_or_default();
        #[cfg(any(test, feature = "test-util"))]
        let wall = {
            let (real, told) = (Instant::now(), Self::recent());
            (wall + told.saturating_duration_since(real))
                .saturating_sub(real.saturating_duration_since(told))
        };
        wall.as_secs()
    }

    fn asleep() -> Duration {
        // The difference is read from two clocks one after the other and so comes out too small
        // by the time between them, never too large: the largest ever seen is the nearest.
        let seen = system::asleep();
        let asleep = Duration::from_nanos(ASLEEP.fetch_max(seen, Ordering::Relaxed).max(seen));
        #[cfg(any(test, feature = "test-util"))]
        let asleep = asleep + INJECTED.get();
        asleep
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::JUMPED;
    use rustix::time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
        clock_gettime, timerfd_create, timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::LazyLock;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// What the boot-time clock was ahead when first asked.
    static BEFORE: LazyLock<i128> = LazyLock::new(ahead);

    pub(super) fn asleep() -> u64 {
        let before = *BEFORE;
        u64::try_from(ahead() - before).unwrap_or(0)
    }

    /// Boot time minus monotonic time, in nanoseconds.
    fn ahead() -> i128 {
        let boot = clock_gettime(ClockId::Boottime);
        let monotonic = clock_gettime(ClockId::Monotonic);
        nanoseconds(boot) - nanoseconds(monotonic)
    }

    fn nanoseconds(t: Timespec) -> i128 {
        i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec)
    }

    /// Tells [`JUMPED`] whenever the machine wakes, without a wake-up in between.
    ///
    /// A timer on the wall clock that is cancelled when that clock is set is also cancelled by a
    /// resume (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`); its own time is years away. Having
    /// the wall clock set costs one look too many.
    pub(super) async fn watch() -> io::Result<()> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        #[expect(
            deprecated,
            reason = "unsound for a type that lies about its descriptor; an OwnedFd does not"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        loop {
            arm(timer.get_ref())?;
            let mut ready = timer.readable().await?;
            match rustix::io::read(timer.get_ref(), &mut [0; 8]) {
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                _ => JUMPED.notify_waiters(),
            }
        }
    }

    fn arm(timer: &OwnedFd) -> io::Result<()> {
        const YEARS: i64 = 10 * 366 * 24 * 3600;
        let mut at = clock_gettime(ClockId::Realtime);
        at.tv_sec = at.tv_sec.saturating_add(YEARS as _);
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        timerfd_settime(
            timer,
            TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
            &Itimerspec {
                it_interval: never,
                it_value: at,
            },
        )?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn asleep() -> u64 {
        0
    }

    pub(super) async fn watch() -> std::io::Result<()> {
        Ok(())
    }
}

impl Clock {
    /// Feeds [`Clock::jumped`] from the system; for the task of whoever needs it.
    ///
    /// # Errors
    /// The system gives no such timer: jumps are then noticed at the next look only.
    pub(crate) async fn watch() -> std::io::Result<()> {
        system::watch().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time_and_an_injected_jump() {
        let start = Clock::now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let later = Clock::now() - start;
        assert!(later >= Duration::from_secs(3600) && later < Duration::from_secs(3601));
        let jumped = tokio::spawn(Clock::jumped());
        tokio::task::yield_now().await;
        Clock::jump(Duration::from_secs(60));
        jumped.await.expect("the jump was told");
        assert!(Clock::now() - start >= Duration::from_secs(3660));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_beyond_time_is_none() {
        assert!(Clock::deadline(Duration::MAX).is_none());
        assert!(Clock::deadline(Duration::from_secs(1)).is_some());
    }

    #[test]
    fn never_goes_back() {
        let mut last = Clock::now();
        for _ in 0..10_000 {
            let now = Clock::now();
            assert!(now >= last);
            last = now;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_timer_of_jumps_is_armed_and_silent() {
        let mut watch = std::pin::pin!(Clock::watch());
        let first = futures_util::poll!(watch.as_mut());
        assert!(first.is_pending(), "{first:?}");
    }
}
