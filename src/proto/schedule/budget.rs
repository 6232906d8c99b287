//! So many bytes a day: what was spent in a period, and when the next begins.
//!
//! Periods are those of the calendar in UTC, or of so many seconds counted from 1970, so that every
//! process has the same: what was spent can be added up. A clock that goes back renews nothing, unless by
//! more than a period: then it was wrong before.

use std::fmt;
use std::time::Duration;

use crate::calendar::{DAY, civil, first_of};

/// A period is no shorter.
const SHORTEST: u64 = 1;

/// How long an allowance lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Period {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
    /// From Monday to Monday, UTC.
    Week,
    /// From the first of a month to that of the next, UTC.
    Month,
    /// So long, in whole seconds, at least one; counted from the beginning of 1970.
    Every(Duration),
}

impl Period {
    /// When the one of this moment began and when it ends, in seconds after 1970.
    #[must_use]
    pub fn around(self, now: u64) -> (u64, u64) {
        let of = |length: u64, from: u64| {
            let start = now - (now + from) % length;
            (start, start.saturating_add(length))
        };
        match self {
            Period::Hour => of(3_600, 0),
            Period::Day => of(DAY, 0),
            // 1970 began on a Thursday.
            Period::Week if now >= 4 * DAY => of(7 * DAY, 3 * DAY),
            Period::Week => (0, 4 * DAY),
            Period::Month => {
                let (year, month, _) = civil(now / DAY);
                let (then, next) = match month {
                    12 => (year + 1, 1),
                    _ => (year, month + 1),
                };
                (first_of(year, month) * DAY, first_of(then, next) * DAY)
            }
            Period::Every(length) => of(length.as_secs().max(SHORTEST), 0),
        }
    }
}

/// As configuration writes it: `day`, `90m`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Hour => f.write_str("hour"),
            Period::Day => f.write_str("day"),
            Period::Week => f.write_str("week"),
            Period::Month => f.write_str("month"),
            Period::Every(length) => match length.as_secs().max(SHORTEST) {
                days if days.is_multiple_of(DAY) => write!(f, "{}d", days / DAY),
                hours if hours.is_multiple_of(3_600) => write!(f, "{}h", hours / 3_600),
                minutes if minutes.is_multiple_of(60) => write!(f, "{}m", minutes / 60),
                seconds => write!(f, "{seconds}s"),
            },
        }
    }
}

/// What was spent in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// When the period began, in seconds after 1970.
    pub began: u64,
    /// Bytes spent in it.
    pub used: u64,
}

impl Budget {
    /// Nothing was spent in the period of this moment.
    #[must_use]
    pub fn new(period: Period, now: u64) -> Self {
        Self {
            began: period.around(now).0,
            used: 0,
        }
    }

    /// Begins the period of this moment, if it is another one; whether it is.
    pub fn renew(&mut self, period: Period, now: u64) -> bool {
        let (began, _) = period.around(now);
        let (_, end) = period.around(self.began);
        // Back within the period before: the clock was set, not the allowance.
        let back = began < self.began && self.began - began <= end - self.began;
        if began == self.began || back {
            return false;
        }
        *self = Self { began, used: 0 };
        true
    }

    /// When the next period begins, in seconds after 1970.
    #[must_use]
    pub fn renewed_at(&self, period: Period) -> u64 {
        period.around(self.began).1
    }
}
