//! Pull schedules: when a transport may fetch what has arrived, repeated for ever.
//!
//! # The problem
//!
//! A radio that sleeps, or a link that is shared by the clock, has moments in which it may be asked for
//! data and others in which it must be left alone (EVPath's `install_pull_schedule`).
//!
//! ```text
//!    base              base + period          base + 2 periods
//!      |--[####]-----[##]--|--[####]-----[##]--|--
//!          ^ a window       `- the same again
//! ```
//!
//! # Rules
//!
//! - A window begins at an offset from the beginning of the period and lies inside it: it may touch the
//!   period's end and other windows, not overlap them. Windows are told in any order.
//! - A schedule that is not so is refused; what is installed is always whole, so a refused one leaves the
//!   old one in force.
//! - Inside a window a pull is immediate, outside it waits for the next opening. Every period is like the
//!   first, those before the base too.
//!
//! # Limits
//!
//! 1,024 windows; at least one, and none of no length.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::{Duration, Instant};

/// Windows of one schedule.
pub const MAX_WINDOWS: usize = 1024;

/// When what has arrived may be fetched.
///
/// ```
/// use mancom::transport::PullSchedule;
/// use std::time::{Duration, Instant};
///
/// let s = Duration::from_secs;
/// let base = Instant::now();
/// let schedule = PullSchedule::new(base, s(60), [s(30)..s(35), s(0)..s(10)])?;
/// assert_eq!(schedule.opens_at(base + s(5)), base + s(5));
/// assert_eq!(schedule.opens_at(base + s(12)), base + s(30));
/// assert_eq!(schedule.opens_at(base + s(179)), base + s(180));
/// assert!(PullSchedule::new(base, s(60), [s(55)..s(65)]).is_err());
/// # Ok::<(), mancom::transport::PullScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSchedule {
    base: Instant,
    period: Duration,
    /// In order, apart, inside the period; never empty.
    windows: Box<[Range<Duration>]>,
}

/// Why a schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PullScheduleError {
    /// A period of no length.
    #[error("the period has no length")]
    NoPeriod,
    /// No window: nothing would ever be fetched.
    #[error("no window, so nothing would ever be fetched")]
    NoWindow,
    /// More windows than there may be.
    #[error("more than {MAX_WINDOWS} windows")]
    TooManyWindows,
    /// A window that ends before it begins, or as it begins.
    #[error("the window from {0:?} to {1:?} does not end after it begins")]
    Backwards(Duration, Duration),
    /// A window that is not over when the period is.
    #[error("the window from {0:?} to {1:?} ends after the period of {2:?}")]
    BeyondPeriod(Duration, Duration, Duration),
    /// Two windows that overlap.
    #[error("the windows from {0:?} and from {1:?} overlap")]
    Overlap(Duration, Duration),
}

impl PullSchedule {
    /// Windows within each period, the first of which begins at `base`.
    ///
    /// # Errors
    /// [`PullScheduleError`]: each of its variants says what is wrong.
    pub fn new(
        base: Instant,
        period: Duration,
        windows: impl IntoIterator<Item = Range<Duration>>,
    ) -> Result<Self, PullScheduleError> {
        if period.is_zero() {
            return Err(PullScheduleError::NoPeriod);
        }
        let mut windows: Vec<_> = windows.into_iter().take(MAX_WINDOWS + 1).collect();
        if windows.len() > MAX_WINDOWS {
            return Err(PullScheduleError::TooManyWindows);
        }
        for window in &windows {
            let (start, end) = (window.start, window.end);
            if end <= start {
                return Err(PullScheduleError::Backwards(start, end));
            }
            if end > period {
                return Err(PullScheduleError::BeyondPeriod(start, end, period));
            }
        }
        windows.sort_unstable_by_key(|window| window.start);
        for pair in windows.windows(2) {
            if pair[1].start < pair[0].end {
                return Err(PullScheduleError::Overlap(pair[0].start, pair[1].start));
            }
        }
        if windows.is_empty() {
            return Err(PullScheduleError::NoWindow);
        }
        Ok(Self {
            base,
            period,
            windows: windows.into(),
        })
    }

    /// The beginning of a period.
    #[must_use]
    pub fn base(&self) -> Instant {
        self.base
    }

    /// How long until everything is the same again.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The windows of each period, in order.
    #[must_use]
    pub fn windows(&self) -> &[Range<Duration>] {
        &self.windows
    }

    /// When a pull that is asked for at `now` may be made: `now` inside a window, else the next opening.
    #[must_use]
    pub fn opens_at(&self, now: Instant) -> Instant {
        let at = self.phase(now);
        let open = self.windows.iter().find(|window| at < window.end);
        match open {
            Some(window) => now + window.start.saturating_sub(at),
            // The first window of the next period.
            None => now + (self.period - at) + self.windows[0].start,
        }
    }

    /// Whether a pull asked for at `now` is immediate.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        self.opens_at(now) == now
    }

    /// How far `now` is into its period.
    fn phase(&self, now: Instant) -> Duration {
        let remainder = |of: Duration| {
            let nanos = of.as_nanos() % self.period.as_nanos();
            let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
            Duration::new(seconds, (nanos % 1_000_000_000) as u32)
        };
        match now.checked_duration_since(self.base) {
            Some(since) => remainder(since),
            None => match remainder(self.base.saturating_duration_since(now)) {
                Duration::ZERO => Duration::ZERO,
                before => self.period - before,
            },
        }
    }
}
