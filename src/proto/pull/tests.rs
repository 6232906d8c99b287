use super::*;
use PullScheduleError as E;
use proptest::prelude::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A moment far enough from the beginning of time to look back from.
fn base() -> Instant {
    static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[allow(
        clippy::disallowed_methods,
        reason = "any moment will do, none is told by counting"
    )]
    *BASE.get_or_init(|| Instant::now() + s(1_000_000))
}

fn schedule(period: u64, windows: &[(u64, u64)]) -> Result<PullSchedule, E> {
    let windows = windows.iter().map(|(start, end)| s(*start)..s(*end));
    PullSchedule::new(base(), s(period), windows)
}

#[test]
fn what_lies_beyond_the_period_overlaps_or_runs_backwards_is_refused() {
    // behaviour: EV-25
    for (period, windows, expected) in [
        (60, vec![(55, 65)], E::BeyondPeriod(s(55), s(65), s(60))),
        (60, vec![(60, 61)], E::BeyondPeriod(s(60), s(61), s(60))),
        (60, vec![(20, 30), (0, 21)], E::Overlap(s(0), s(20))),
        (60, vec![(5, 6), (5, 6)], E::Overlap(s(5), s(5))),
        (60, vec![(9, 3)], E::Backwards(s(9), s(3))),
        (60, vec![(9, 9)], E::Backwards(s(9), s(9))),
        (60, vec![], E::NoWindow),
        (0, vec![(0, 1)], E::NoPeriod),
    ] {
        assert_eq!(schedule(period, &windows), Err(expected), "{windows:?}");
    }
    let many: Vec<_> = (0..=MAX_WINDOWS as u64).map(|i| (i, i + 1)).collect();
    assert_eq!(schedule(10_000, &many), Err(E::TooManyWindows));
    assert!(schedule(10_000, &many[1..]).is_ok());
    // Endless input is read up to the bound.
    let endless = PullSchedule::new(base(), s(60), std::iter::repeat(s(0)..s(1)));
    assert_eq!(endless, Err(E::TooManyWindows));
}

#[test]
fn windows_may_be_told_in_any_order_and_touch() {
    // behaviour: EV-26
    let sorted = schedule(60, &[(0, 10), (10, 20), (50, 60)]);
    assert_eq!(schedule(60, &[(50, 60), (0, 10), (10, 20)]), sorted);
    let schedule = sorted.expect("a schedule");
    let starts: Vec<_> = schedule.windows().iter().map(|w| w.start).collect();
    assert_eq!(starts, [s(0), s(10), s(50)]);
}

#[test]
fn a_pull_is_immediate_inside_a_window_and_waits_for_the_next_outside() {
    // behaviour: EV-27
    let schedule = schedule(60, &[(40, 50), (10, 20)]).expect("a schedule");
    for (asked, opens) in [(0, 10), (9, 10), (10, 10), (19, 19), (20, 40), (50, 70)] {
        let opens = base() + s(opens);
        assert_eq!(schedule.opens_at(base() + s(asked)), opens, "at {asked} s");
        assert!(schedule.is_open(opens));
    }
}

#[test]
fn every_period_is_like_the_first_those_before_the_base_too() {
    // behaviour: EV-28
    let schedule = schedule(60, &[(10, 20)]).expect("a schedule");
    for period in [0, 1, 2, 3, 100_000] {
        let began = base() + s(60) * period;
        assert_eq!(schedule.opens_at(began), began + s(10));
        assert!(schedule.is_open(began + s(15)));
        assert_eq!(schedule.opens_at(began + s(20)), began + s(70));
        let before = base() - s(60);
        assert_eq!(schedule.opens_at(before), before + s(10));
        assert_eq!(schedule.opens_at(before + s(25)), base() + s(10));
    }
}

proptest! {
    #[test]
    fn a_pull_waits_less_than_a_period_and_lands_in_a_window(
        period in 1u64..1000,
        cuts in proptest::collection::btree_set(0u64..1000, 2..12),
        at in 0u64..1_000_000,
    ) {
        let cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= period).collect();
        let windows: Vec<_> = cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let Ok(schedule) = schedule(period, &windows) else {
            prop_assert!(windows.is_empty());
            return Ok(());
        };
        let now = base() - s(500_000) + s(at);
        let opens = schedule.opens_at(now);
        prop_assert!(opens >= now && opens - now <= s(period));
        let phase = schedule.phase(opens);
        prop_assert!(schedule.windows().iter().any(|window| window.contains(&phase)));
        prop_assert!(schedule.is_open(opens));
    }
}
