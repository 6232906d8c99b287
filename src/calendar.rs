//! Days of the Gregorian calendar, in UTC: when a month begins, and how a moment is written.

use std::fmt;

/// Seconds of a day.
pub(crate) const DAY: u64 = 86_400;

/// The year, the month and the day, both from 1, so many days after the first of 1970.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is the last of its year (Hinnant,
    // "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (year + era * 400, month, day)
}

/// The other way round, for the first of a month: days after the first of 1970.
pub(crate) fn first_of(year: u64, month: u64) -> u64 {
    let (year, month) = match month {
        ..=2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A moment in seconds after 1970, as `2026-12-01 00:00 UTC`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utc(pub(crate) u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / DAY);
        let (hours, minutes) = (self.0 % DAY / 3_600, self.0 % 3_600 / 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02} UTC"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_everybody_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_305_540, "2026-11-21 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
        assert!(!Utc(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn the_first_of_each_month_is_found_again() {
        for day in 0..80_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(first_of(year, month) + of_month - 1, day);
        }
    }
}
