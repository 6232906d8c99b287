//! Examples of each rule.

use super::super::gate::Queue;
use super::super::{Choice, Placement, Reason, STARVATION, chunk, gate, place};
use super::*;

const KB: u64 = 1000;
const MIB: u64 = 1 << 20;

fn decide(unit: Unit, paths: &[Candidate]) -> Placement {
    place(now(), &unit, paths, &Surroundings::default())
}

fn asked(slot: usize, unit: Unit, paths: &[Candidate]) -> Choice {
    let asker = Some(slot);
    decide(Unit { asker, ..unit }, paths).choice
}

fn interactive(length: u64) -> Unit {
    unit(Urgency::Interactive, length, length)
}

fn bulk(backlog: u64) -> Unit {
    unit(Urgency::Default, 16 * KB, backlog)
}

fn background() -> Unit {
    unit(Urgency::Background, 5 * KB, MIB)
}

#[test]
fn nothing_goes_where_there_is_no_path() {
    let placed = decide(bulk(MIB), &[]);
    assert_eq!(placed.choice, Choice::Nowhere);
    assert_eq!(placed.to_string(), "nowhere");
}

#[test]
fn interactive_goes_where_it_arrives_first() {
    let (wifi, cellular) = (path(0, 20, 20), path(1, 2, 120));
    let on = |wifi| decide(interactive(100), &[wifi, cellular]).choice;
    assert_eq!(on(wifi), Choice::On(0));
    // A full pipe is no queue.
    assert_eq!(on(with(wifi, 50 * KB)), Choice::On(0));
    // 60 ms behind a queue and 10 ms on the way are more than 60 ms on the way.
    assert_eq!(on(with(wifi, 200 * KB)), Choice::On(1));
    let planned = Candidate {
        planned: 200 * KB,
        ..wifi
    };
    assert_eq!(on(planned), Choice::On(1));
    let foreign = Candidate {
        foreign: 200 * KB,
        ..wifi
    };
    assert_eq!(on(foreign), Choice::On(1));
}

#[test]
fn a_better_class_carries_however_slow_it_is_and_a_worse_one_when_it_is_suspect() {
    let slow = path(0, 1, 500);
    let dear = Candidate {
        class: 1,
        ..path(1, 100, 10)
    };
    for unit in [interactive(100), bulk(MIB), background()] {
        let placed = decide(unit, &[slow, dear]);
        assert_eq!(placed.choice, Choice::On(0), "{placed}");
        assert_eq!(placed.trace.verdicts[1], Some((1, Reason::WorseClass)));
        let suspect = Candidate {
            suspect: true,
            ..slow
        };
        let placed = decide(unit, &[suspect, dear]);
        assert_eq!(placed.choice, Choice::On(1), "{placed}");
        assert_eq!(placed.trace.verdicts[0], Some((0, Reason::Suspect)));
        assert_eq!(decide(unit, &[suspect]).choice, Choice::On(0));
    }
}

#[test]
fn interactive_takes_the_lane_and_bulk_does_not() {
    let general = with(path(0, 20, 20), 60 * KB);
    let lane = lane_of(with(general, 0), 4);
    let both = [general, lane];
    assert_eq!(decide(interactive(100), &both).choice, Choice::On(4));
    assert_eq!(decide(bulk(MIB), &both).choice, Choice::On(0));
    assert_eq!(
        decide(bulk(MIB), &[lane]).choice,
        Choice::On(4),
        "nothing but the lane"
    );
    let suspect = Candidate {
        suspect: true,
        ..general
    };
    let other = path(1, 2, 120);
    let paths = [suspect, lane, other];
    assert_eq!(
        decide(bulk(MIB), &paths).choice,
        Choice::On(1),
        "the lane stays free while another network carries"
    );
    assert_eq!(decide(interactive(100), &paths).choice, Choice::On(4));
}

#[test]
fn a_lane_knows_what_its_network_carries() {
    let general = with(path(0, 20, 20), 300 * KB);
    let mut lane = lane_of(general, 4);
    lane.measure = Measure::default();
    let other = path(1, 2, 120);
    let choice = decide(interactive(100), &[general, lane, other]).choice;
    assert_eq!(choice, Choice::On(1), "a queue of 100 ms before the lane");
    let mut unsent = general;
    unsent.measure.unsent = 250 * KB;
    let choice = decide(interactive(100), &[unsent, lane, other]).choice;
    assert_eq!(choice, Choice::On(4), "which the kernel has not sent");
}

#[test]
fn a_small_redundant_unit_goes_over_two_networks() {
    let (wifi, cellular) = (path(0, 20, 20), path(1, 2, 120));
    let lane = lane_of(wifi, 4);
    let dear = Candidate {
        class: 3,
        ..cellular
    };
    let redundant = Unit {
        redundant: true,
        ..interactive(100)
    };
    let placed = decide(redundant, &[wifi, lane, dear]);
    assert_eq!(placed.choice, Choice::Twice(4, 1), "{placed}");
    let large = Unit {
        redundant: true,
        ..interactive(17 << 10)
    };
    assert_eq!(decide(large, &[wifi, lane, dear]).choice, Choice::On(4));
    assert_eq!(decide(redundant, &[wifi, lane]).choice, Choice::On(4));
    let suspect = Candidate {
        suspect: true,
        ..cellular
    };
    assert_eq!(decide(redundant, &[wifi, suspect]).choice, Choice::On(0));
}

#[test]
fn a_slow_path_helps_with_much_and_not_with_little() {
    let paths = [path(0, 20, 20), path(1, 2, 120)];
    assert_eq!(asked(1, bulk(4 * MIB), &paths), Choice::On(1));
    assert_eq!(asked(0, bulk(4 * MIB), &paths), Choice::On(0));
    // 100 KB are there over the first in 50 ms.
    assert_eq!(asked(1, bulk(100 * KB), &paths), Choice::On(0));
    assert_eq!(
        decide(bulk(4 * MIB), &paths).choice,
        Choice::On(0),
        "the quickest if nobody asks"
    );
}

#[test]
fn who_asks_keeps_a_chunk_that_another_path_has_hardly_sooner() {
    // 1 GB/s, and as much on the way of either as it holds.
    let quick = |slot| path(slot, 8_000, 1);
    let ahead = |bytes| [with(quick(0), 1_000 * KB + bytes), quick(1)];
    assert_eq!(asked(0, bulk(16 * KB), &ahead(240 * KB)), Choice::On(0));
    assert_eq!(asked(0, bulk(16 * KB), &ahead(260 * KB)), Choice::On(1));
}

#[test]
fn a_path_within_the_host_carries_bulk_alone_while_it_takes_it() {
    let inside = |slot| path(slot, 8_000, 0);
    let ahead = |bytes| [with(inside(0), bytes), inside(1)];
    for asker in [0, 1] {
        assert_eq!(asked(asker, bulk(MIB), &ahead(4_000 * KB)), Choice::On(0));
        assert_eq!(asked(asker, bulk(MIB), &ahead(6_000 * KB)), Choice::On(1));
    }
    // Neither a gigabit nor a way out of the host is so quick that a second one would not help.
    for (megabits, rtt) in [(1_000, 0), (8_000, 1)] {
        let paths = [path(0, megabits, rtt), path(1, megabits, rtt)];
        for asker in [0, 1] {
            assert_eq!(asked(asker, bulk(MIB), &paths), Choice::On(asker));
        }
    }
}

#[test]
fn little_waits_for_the_fast_path_rather_than_take_the_slow_one() {
    let paths = [with(path(0, 20, 20), 225 * KB), path(1, 2, 120)];
    let placed = decide(bulk(150 * KB), &paths);
    assert_eq!(placed.choice, Choice::On(1), "{placed}");
    let paths = [with(path(0, 20, 20), 224 * KB), path(1, 1, 400)];
    let placed = decide(
        Unit {
            asker: Some(1),
            ..bulk(50 * KB)
        },
        &paths,
    );
    assert!(matches!(placed.choice, Choice::Later(Some(_))), "{placed}");
    assert_eq!(
        placed.trace.to_string(),
        "slot 0: gate, 224000 of 225000 bytes outstanding; slot 1: later, 211 ms"
    );
    let named = placed
        .trace
        .named(|slot| ["wlan0", "wwan0"][usize::from(slot)]);
    assert!(named.to_string().starts_with("wlan0: gate, "));
}

#[test]
fn paths_of_which_nothing_is_known_are_all_tried() {
    let unknown = |slot, outstanding, acknowledged| Candidate {
        slot,
        network: slot as u8,
        measure: Measure {
            outstanding,
            acknowledged,
            ..Measure::default()
        },
        ..Candidate::default()
    };
    let paths = [unknown(0, 0, 0), unknown(1, 0, 0)];
    for slot in [0, 1] {
        assert_eq!(asked(slot, bulk(MIB), &paths), Choice::On(slot));
    }
    let full = [unknown(0, 15 * KB, 0), unknown(1, 0, 0)];
    assert_eq!(asked(0, bulk(MIB), &full), Choice::On(1));
    let acknowledged = [unknown(0, 15 * KB, 30 * KB), unknown(1, 0, 0)];
    assert_eq!(asked(0, bulk(MIB), &acknowledged), Choice::On(0));
    let fast = [path(0, 100, 10), unknown(1, 0, 0)];
    assert_eq!(asked(1, bulk(MIB), &fast), Choice::On(1));
}

// behaviour: I8
#[test]
fn background_leaves_no_queue_while_interactive_traffic_is_active() {
    let now = now();
    // A queue of 2 ms is seen, and no more is wanted.
    let mut wifi = path(0, 20, 20);
    wifi.measure.rtt = Some(MILLI * 22);
    let on = |outstanding, ago| {
        let around = active(now, MILLI * ago);
        place(now, &background(), &[with(wifi, outstanding)], &around)
    };
    assert_eq!(gate::allowance(&wifi.measure, Queue::Least), 55 * KB);
    assert_eq!(on(50 * KB, 0).choice, Choice::On(0));
    // Half a chunk of 2.5 kB beyond.
    assert_eq!(on(53_750, 0).choice, Choice::On(0));
    let shut = on(53_751, 0);
    assert_eq!(shut.choice, Choice::Later(Some(now + MILLI)), "{shut}");
    assert_eq!(on(60 * KB, 5_999).choice, Choice::Later(Some(now + MILLI)));
    assert_eq!(on(60 * KB, 6_000).choice, Choice::On(0));
}

// behaviour: P2
#[test]
fn background_and_default_beside_a_conversation_keep_short_what_the_next_word_would_find() {
    let now = now();
    let wifi = path(0, 20, 20);
    assert_eq!(gate::allowance(&wifi.measure, Queue::Short), 75 * KB);
    let default = Unit {
        urgency: Urgency::Default,
        ..background()
    };
    for (unit, ago) in [(background(), 6_000), (default, 0), (default, 5_999)] {
        let around = active(now, MILLI * ago);
        let on = |outstanding| place(now, &unit, &[with(wifi, outstanding)], &around);
        // Half a chunk of 2.5 kB beyond.
        assert_eq!(on(73_750).choice, Choice::On(0), "{unit:?}");
        let shut = on(73_751);
        assert!(matches!(shut.choice, Choice::Later(Some(_))), "{shut}");
        let told = "later (slot 0: gate, 73751 of 75000 bytes outstanding)";
        assert_eq!(shut.to_string(), told);
    }
    let quiet = active(now, MILLI * 6_000);
    let placed = place(now, &default, &[with(wifi, MIB)], &quiet);
    assert_eq!(placed.choice, Choice::On(0), "{placed}");
}

#[test]
fn a_short_queue_is_half_a_round_trip_and_ten_milliseconds_at_least() {
    for ((megabits, rtt), allowed) in [
        ((20, 20), 75_000),
        ((20, 4), 35_000),
        ((2, 120), 45_000),
        ((100, 5), 187_500),
        ((10, 600), 1_125_000),
        ((1, 20), 15_000),
    ] {
        let measure = path(0, megabits, rtt).measure;
        let short = gate::allowance(&measure, Queue::Short);
        assert_eq!(short, allowed, "{megabits} Mbit/s, {rtt} ms");
    }
    let no_rtt = Measure {
        bandwidth: Some(2_500_000),
        ..Measure::default()
    };
    assert_eq!(
        gate::allowance(&no_rtt, Queue::Short),
        2_500_000,
        "a second"
    );
    let unknown = Measure {
        acknowledged: 30 * KB,
        ..Measure::default()
    };
    assert_eq!(gate::allowance(&unknown, Queue::Short), 45 * KB);
}

#[test]
fn a_queue_may_be_a_tenth_of_the_round_trip_and_as_much_again_if_none_is_seen() {
    let tight = |(megabits, rtt, waits)| {
        let mut path = path(0, megabits, rtt);
        path.measure.rtt = Some(MILLI * (rtt + waits));
        gate::allowance(&path.measure, Queue::Least) - megabits * 125 * u64::from(rtt)
    };
    // 2 ms at least, 25 ms at most, a packet at least.
    for (path, more) in [
        ((20, 20, 0), 10_000),
        ((20, 20, 1), 7_500),
        ((20, 20, 50), 5_000),
        ((100, 5, 2), 25_000),
        ((2, 120, 12), 3_000),
        ((2, 120, 0), 6_000),
        ((10, 600, 0), 62_500),
        ((1, 10, 2), 1_500),
    ] {
        assert_eq!(tight(path), more, "{path:?}");
    }
    let unmeasured = Measure {
        outstanding: u64::MAX,
        ..Measure::default()
    };
    assert_eq!(
        gate::allowance(&unmeasured, Queue::Least),
        15_000,
        "ten segments"
    );
    let no_rtt = Measure {
        bandwidth: Some(2_500_000),
        ..Measure::default()
    };
    assert_eq!(gate::allowance(&no_rtt, Queue::Least), 125_000, "50 ms");
}

#[test]
fn what_other_sessions_have_outstanding_counts_at_the_gate() {
    let now = now();
    let path = Candidate {
        foreign: 40 * KB,
        planned: 10 * KB,
        ..with(path(0, 20, 20), 15 * KB)
    };
    let placed = place(now, &background(), &[path], &active(now, MILLI));
    assert!(matches!(placed.choice, Choice::Later(Some(_))), "{placed}");
}

// behaviour: P3
#[test]
fn starved_background_goes() {
    assert_eq!(STARVATION, Duration::from_secs(5));
    let now = now();
    let starved = Unit {
        starved: true,
        ..background()
    };
    let around = Surroundings {
        outranked: [u8::MAX; 8],
        ..active(now, MILLI)
    };
    let full = [with(path(0, 20, 20), MIB), with(path(1, 2, 120), MIB)];
    assert_eq!(place(now, &starved, &full, &around).choice, Choice::On(0));
    let asks = Unit {
        asker: Some(1),
        ..starved
    };
    assert_eq!(place(now, &asks, &full, &around).choice, Choice::On(1));
}

// behaviour: P4
#[test]
fn traffic_of_a_session_of_less_priority_waits() {
    let now = now();
    let mut around = Surroundings::default();
    around.outranked[0] = 0b010;
    let paths = [path(0, 20, 20), path(1, 2, 120)];
    let on = |unit: Unit, paths: &[Candidate]| place(now, &unit, paths, &around).choice;
    assert_eq!(on(bulk(100 * KB), &paths), Choice::On(1));
    assert!(matches!(on(bulk(MIB), &paths[..1]), Choice::Later(Some(_))));
    assert_eq!(on(background(), &paths[..1]), Choice::On(0));
    assert_eq!(on(interactive(100), &paths), Choice::On(0));
}

#[test]
fn a_chunk_is_a_millisecond_of_the_path() {
    let of = |megabits| chunk(&path(0, megabits, 20).measure);
    assert_eq!(
        [1, 20, 100, 10_000].map(of),
        [1400, 2_500, 12_500, 256 << 10]
    );
    let unknown = |acknowledged| {
        chunk(&Measure {
            acknowledged,
            ..Measure::default()
        })
    };
    let told = [0, 100 * KB, MIB, u64::MAX].map(unknown);
    assert_eq!(told, [3750, 28_750, 256 << 10, 256 << 10]);
}
