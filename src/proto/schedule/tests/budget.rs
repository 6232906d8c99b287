//! Budgets.

use super::super::budget::{Budget, Period};
use super::*;

const DAY: u64 = 86_400;
/// 2026-11-21 19:00, a Saturday.
const NOW: u64 = 1_795_287_600;

#[test]
fn periods_are_those_of_the_calendar() {
    let around = |period: Period| period.around(NOW);
    assert_eq!(around(Period::Hour), (NOW, NOW + 3_600));
    let midnight = NOW - 19 * 3_600;
    assert_eq!(around(Period::Day), (midnight, midnight + DAY));
    let monday = midnight - 5 * DAY;
    assert_eq!(around(Period::Week), (monday, monday + 7 * DAY));
    let first = midnight - 20 * DAY;
    assert_eq!(around(Period::Month), (first, first + 30 * DAY));
    let every = Period::Every(Duration::from_secs(5_400));
    let (began, ends) = around(every);
    assert_eq!(
        (began % 5_400, ends - began, began <= NOW && NOW < ends),
        (0, 5_400, true)
    );
}

#[test]
fn whatever_the_moment_it_is_in_its_period_and_the_next_begins_at_its_end() {
    let second = Period::Every(Duration::ZERO);
    let year = Period::Every(Duration::from_secs(365 * DAY));
    for period in [
        Period::Hour,
        Period::Day,
        Period::Week,
        Period::Month,
        second,
        year,
    ] {
        for step in 0..5_000 {
            let now = step * 40_009;
            let (began, ends) = period.around(now);
            assert!(began <= now && now < ends, "{period} at {now}");
            assert_eq!(period.around(ends).0, ends, "{period} at {now}");
        }
        assert!(period.around(1 << 40).1 > 1 << 40);
    }
}

#[test]
fn a_clock_that_goes_back_renews_nothing_unless_it_was_wrong() {
    let mut budget = Budget::new(Period::Day, NOW);
    budget.used = 100;
    assert!(!budget.renew(Period::Day, NOW + 3_600));
    assert!(
        !budget.renew(Period::Day, NOW - DAY),
        "an hour is a day back"
    );
    assert_eq!(budget.used, 100);
    assert!(budget.renew(Period::Day, NOW - 5 * DAY));
    assert_eq!(budget.used, 0);
    budget.used = 7;
    assert!(budget.renew(Period::Day, NOW));
    assert_eq!(
        (budget.used, budget.renewed_at(Period::Day)),
        (0, NOW + 5 * 3_600)
    );
}

#[test]
fn periods_are_shown_as_they_are_written() {
    let every = |seconds| Period::Every(Duration::from_secs(seconds)).to_string();
    assert_eq!(
        [
            every(0),
            every(90),
            every(120),
            every(7_200),
            every(2 * DAY)
        ],
        ["1s", "90s", "2m", "2h", "2d"]
    );
    assert_eq!(Period::Month.to_string(), "month");
}
