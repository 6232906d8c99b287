//! Several paths at once: what goes on which, and what becomes of it when one is in trouble.

use super::*;
use crate::label::Prop;
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::{Line, anywhere};

pub(super) const MILLI: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn line(delay: u32, mbit: u64) -> Line {
    Line {
        delay: MILLI * delay,
        jitter: Duration::ZERO,
        rate: Some(mbit * 125_000),
        queue: 256 << 10,
    }
}

/// Two sessions, a path on each of these slots that behaves so, and a stream.
pub(super) fn joined(lines: &[(u8, Line)], measures: bool) -> (Pair, Vec<PathId>, StreamId) {
    let config = Config::default();
    let mut pair = Pair::new(5, start(), config.clone(), config);
    pair.measures = measures;
    let mut paths = pair.paths();
    for (slot, _) in lines.iter().filter(|(slot, _)| *slot != 0) {
        paths.push(pair.dial(*slot).expect("the session lives"));
    }
    for (path, (_, line)) in paths.iter().zip(lines) {
        pair.shape(*path, *line);
    }
    let id = opened(&mut pair, End::Dialler);
    pair.run(SECOND);
    (pair, paths, id)
}

pub(super) fn write(pair: &mut Pair, id: StreamId, label: Label, data: &[u8]) {
    let now = pair.now();
    let taken = pair.session(End::Dialler).write(now, id, label, data);
    assert_eq!(taken, Ok(data.len()));
}

/// Steps until so many bytes of a stream were read; how long that took, at most `limit`.
pub(super) fn until_read(pair: &mut Pair, id: StreamId, bytes: usize, limit: Duration) -> Duration {
    let begun = pair.now();
    while pair.now() < begun + limit {
        let _ = pair.read_all(End::Listener, id);
        if pair.sides[1]
            .read
            .get(&id)
            .is_some_and(|read| read.len() >= bytes)
        {
            break;
        }
        pair.step(begun + limit);
    }
    pair.now() - begun
}

/// Writes as much as is taken for so long; how much arrived.
pub(super) fn flood(pair: &mut Pair, id: StreamId, label: Label, length: Duration) -> usize {
    let read = |pair: &Pair| pair.sides[1].read.get(&id).map_or(0, Vec::len);
    let pattern = bytes(251 + (64 << 10));
    let before = read(pair);
    let end = pair.now() + length;
    while pair.now() < end {
        let now = pair.now();
        let session = pair.session(End::Dialler);
        let at = session.offsets(id).expect("open").written as usize % 251;
        let data = &pattern[at..at + (64 << 10)];
        session.write(now, id, label, data).expect("open");
        pair.step(end.min(now + MILLI * 5));
        let _ = pair.read_all(End::Listener, id);
    }
    let mut at = before;
    for got in pair.sides[1].read[&id][before..].chunks(64 << 10) {
        assert_eq!(*got, pattern[at % 251..][..got.len()]);
        at += got.len();
    }
    read(pair) - before
}

fn sent(pair: &mut Pair, path: PathId) -> u64 {
    let stats = pair.session(End::Dialler).path_stats(path).expect("open");
    stats.payload_sent + stats.payload_resent
}

fn resent(pair: &mut Pair) -> u64 {
    let paths = pair.session(End::Dialler).paths();
    let stats = |pair: &mut Pair, path| pair.session(End::Dialler).path_stats(path);
    paths
        .into_iter()
        .filter_map(|path| stats(pair, path))
        .map(|stats| stats.payload_resent)
        .sum()
}

pub(super) fn set_metered(pair: &mut Pair, path: PathId) {
    let mut sides = anywhere();
    sides.remote.kinds = Kinds::of(Kind::Cellular);
    sides.remote.metered = Fact::Yes;
    let now = pair.now();
    for end in End::BOTH {
        pair.session(end).update_path(now, path, sides.clone());
    }
}

#[test]
fn two_paths_carry_one_stream_in_proportion() {
    for measures in [true, false] {
        let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(30, 5))], measures);
        flood(&mut pair, id, Label::ANY, SECOND);
        let (a, b) = (sent(&mut pair, paths[0]), sent(&mut pair, paths[1]));
        let got = flood(&mut pair, id, Label::ANY, SECOND * 4);
        let a = (sent(&mut pair, paths[0]) - a) as f64;
        let b = (sent(&mut pair, paths[1]) - b) as f64;
        // 25 Mbit/s for 4 s.
        let share = got as f64 / 12_500_000.0;
        assert!(share > 0.9, "{share} of the sum, measured {measures}");
        assert!(a / b > 2.5 && a / b < 6.0, "{a} {b}, measured {measures}");
        assert_eq!(resent(&mut pair), 0, "measured {measures}");
    }
}

// behaviour: P1, P2
#[test]
fn an_interactive_write_overtakes_background_at_the_next_chunk() {
    let (mut pair, _, bulk) = joined(&[(0, line(10, 20)), (1, line(30, 5))], true);
    let quick = opened(&mut pair, End::Dialler);
    write(&mut pair, quick, Label::INTERACTIVE, b"hello");
    flood(&mut pair, bulk, Label::BACKGROUND, SECOND * 2);
    let mut read = 5;
    for _ in 0..50 {
        flood(&mut pair, bulk, Label::BACKGROUND, MILLI * 37);
        write(&mut pair, quick, Label::INTERACTIVE, &[7; 300]);
        read += 300;
        let took = until_read(&mut pair, quick, read, SECOND);
        assert!(took < MILLI * 18, "{took:?} instead of 10 ms");
    }
}

// behaviour: P1
#[test]
fn bytes_before_an_interactive_one_are_as_urgent_in_their_stream() {
    let (mut pair, _, mixed) = joined(&[(0, line(10, 20))], false);
    let bulk = opened(&mut pair, End::Dialler);
    write(&mut pair, bulk, Label::ANY, &bytes(3 << 20));
    write(&mut pair, mixed, Label::BACKGROUND, &bytes(20_000));
    write(&mut pair, mixed, Label::INTERACTIVE, b"now");
    let took = until_read(&mut pair, mixed, 20_003, SECOND);
    // 20 kB take 8 ms, what the link holds already 110 ms.
    assert!(took < MILLI * 150, "{took:?}");
}

#[test]
fn interactive_traffic_goes_by_the_lane_and_nothing_else_does() {
    let (mut pair, paths, bulk) = joined(&[(0, line(10, 20)), (4, line(10, 20))], true);
    let quick = opened(&mut pair, End::Dialler);
    flood(&mut pair, bulk, Label::ANY, SECOND);
    let before = sent(&mut pair, paths[1]);
    for _ in 0..20 {
        write(&mut pair, quick, Label::INTERACTIVE, &[7; 300]);
        flood(&mut pair, bulk, Label::BACKGROUND, MILLI * 20);
    }
    assert_eq!(before, 0);
    assert_eq!(sent(&mut pair, paths[1]), 20 * 300);
    assert!(pair.session(End::Dialler).wants_lanes());
    assert!(pair.session(End::Listener).wants_lanes());
    let state = pair.session(End::Dialler).path_state(paths[1]);
    assert!(state.expect("open").lane);
}

#[test]
fn a_worse_class_is_idle_until_the_better_one_is_suspect() {
    for measures in [true, false] {
        let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(10, 20))], measures);
        set_metered(&mut pair, paths[1]);
        flood(&mut pair, id, Label::ANY, SECOND);
        assert_eq!(sent(&mut pair, paths[1]), 0, "it costs money");
        pair.silence(paths[0]);
        flood(&mut pair, id, Label::ANY, MILLI * 500);
        assert!(pair.sides[0].saw(Event::PathSuspect(paths[0])));
        assert!(sent(&mut pair, paths[1]) > 100_000);
    }
}

// behaviour: I11, S10
#[test]
fn what_a_silent_path_owes_goes_by_the_other_within_its_patience() {
    for measures in [true, false] {
        let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], measures);
        write(&mut pair, id, Label::INTERACTIVE, b"x");
        until_read(&mut pair, id, 1, SECOND);
        pair.run(SECOND);
        pair.silence(paths[0]);
        write(&mut pair, id, Label::INTERACTIVE, &bytes(1000));
        let took = until_read(&mut pair, id, 1001, SECOND);
        assert!(sent(&mut pair, paths[0]) > 0, "it went the quicker way");
        // Patience is 60 ms at most; a link that tells nothing is asked first.
        let most = if measures { 85 } else { 120 };
        assert!(took < MILLI * most, "{took:?}, measured {measures}");
        assert_eq!(pair.sides[1].read[&id][1..], bytes(1000));
        pair.run(SECOND * 3);
        assert!(pair.sides[0].saw(Event::PathClosed(paths[0], PathEnd::Silent)));
        for end in End::BOTH {
            assert_eq!(pair.session(end).paths(), [paths[1]]);
        }
    }
}

// behaviour: I11
#[test]
fn a_path_that_is_dark_one_way_alone_is_noticed() {
    for measures in [true, false] {
        let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 5))], measures);
        flood(&mut pair, id, Label::ANY, SECOND);
        pair.darken(paths[0], End::Listener, true);
        let got = flood(&mut pair, id, Label::ANY, SECOND * 2);
        assert!(pair.sides[0].saw(Event::PathSuspect(paths[0])));
        // 5 Mbit/s for 2 s, some of it for what is sent again.
        assert!(got > 700_000, "{got} bytes, measured {measures}");
    }
}

#[test]
fn a_path_that_only_stuttered_is_trusted_again_and_every_byte_is_read_once() {
    for measures in [true, false] {
        let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], measures);
        flood(&mut pair, id, Label::ANY, SECOND);
        pair.silence(paths[0]);
        flood(&mut pair, id, Label::ANY, MILLI * 400);
        for end in End::BOTH {
            pair.darken(paths[0], end, false);
        }
        flood(&mut pair, id, Label::ANY, SECOND);
        let trust = |event: &&Event| {
            **event == Event::PathSuspect(paths[0]) || **event == Event::PathTrusted(paths[0])
        };
        let told: Vec<_> = pair.sides[0].events.iter().filter(trust).copied().collect();
        let both = [Event::PathSuspect(paths[0]), Event::PathTrusted(paths[0])];
        assert_eq!(told[..2], both, "measured {measures}");
        let before = sent(&mut pair, paths[0]);
        flood(&mut pair, id, Label::ANY, SECOND);
        assert!(sent(&mut pair, paths[0]) > before + 1_000_000);
    }
}

#[test]
fn what_comes_seconds_late_by_another_path_is_dropped() {
    let patient = Config {
        stall: SECOND * 60,
        ..Config::default()
    };
    let mut pair = Pair::new(5, start(), patient.clone(), patient);
    let late = pair.paths()[0];
    let id = opened(&mut pair, End::Dialler);
    let other = pair.dial(1).expect("the session lives");
    for path in [late, other] {
        pair.shape(path, line(10, 20));
    }
    pair.run(SECOND);
    flood(&mut pair, id, Label::ANY, MILLI * 200);
    pair.silence(late);
    flood(&mut pair, id, Label::ANY, SECOND * 4);
    for end in End::BOTH {
        pair.darken(late, end, false);
    }
    flood(&mut pair, id, Label::ANY, SECOND);
    let written = pair
        .session(End::Dialler)
        .offsets(id)
        .expect("open")
        .written;
    until_read(&mut pair, id, written as usize, SECOND * 5);
    pair.run(SECOND);
    let offsets = pair.session(End::Dialler).offsets(id).expect("open");
    assert_eq!(offsets.acknowledged, offsets.written);
    assert_eq!(pair.sides[1].read[&id].len() as u64, offsets.written);
    assert_eq!(pair.session(End::Dialler).paths().len(), 2);
}

#[test]
fn who_is_told_of_a_lost_path_sends_again_at_once() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], true);
    let now = pair.now();
    let session = pair.session(End::Listener);
    let taken = session.write(now, id, Label::ANY, &bytes(400_000));
    assert_eq!(taken, Ok(400_000));
    pair.run(MILLI * 20);
    // The dialler's network goes, and only the dialler sees it.
    pair.silence(paths[0]);
    let now = pair.now();
    pair.session(End::Dialler).lose(now, paths[0]);
    pair.run(MILLI * 17);
    assert!(pair.sides[1].saw(Event::PathClosed(paths[0], PathEnd::Lost)));
    pair.run(SECOND);
    let _ = pair.read_all(End::Dialler, id);
    assert_eq!(pair.sides[0].read[&id], bytes(400_000));
}

// behaviour: S5
#[test]
fn a_path_that_is_retired_under_load_loses_and_repeats_nothing() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], true);
    flood(&mut pair, id, Label::ANY, SECOND);
    let now = pair.now();
    pair.session(End::Dialler).retire(now, paths[0]);
    let got = flood(&mut pair, id, Label::ANY, SECOND * 2);
    assert!(pair.sides[0].saw(Event::PathClosed(paths[0], PathEnd::Retired)));
    assert_eq!(resent(&mut pair), 0);
    assert!(got > 4_500_000, "{got}");
}

#[test]
fn a_redundant_write_goes_over_two_networks() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], true);
    pair.silence(paths[0]);
    write(&mut pair, id, Label::INTERACTIVE.redundant(), &bytes(700));
    let took = until_read(&mut pair, id, 700, SECOND);
    assert!(took < MILLI * 17, "{took:?}: nobody waited for a suspicion");
    assert_eq!(sent(&mut pair, paths[0]), 700);
    assert_eq!(sent(&mut pair, paths[1]), 700);
}

// behaviour: P3
#[test]
fn background_moves_every_five_seconds_however_much_else_there_is() {
    let (mut pair, _, default) = joined(&[(0, line(10, 1))], true);
    let background = opened(&mut pair, End::Dialler);
    write(&mut pair, background, Label::BACKGROUND, &bytes(1 << 20));
    flood(&mut pair, default, Label::ANY, SECOND);
    let mut read = 0;
    for _ in 0..4 {
        flood(&mut pair, default, Label::ANY, MILLI * 7500);
        let _ = pair.read_all(End::Listener, background);
        let got = pair.sides[1].read[&background].len();
        assert!(got > read, "nothing in 7.5 s");
        read = got;
    }
    assert!(read < 1 << 20);
}

// behaviour: I8
#[test]
fn background_waits_for_the_gate_while_interactive_traffic_is_active() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20))], true);
    let quick = opened(&mut pair, End::Dialler);
    write(&mut pair, quick, Label::INTERACTIVE, b"x");
    for _ in 0..200 {
        flood(&mut pair, id, Label::BACKGROUND, MILLI * 10);
        // 20 ms of 20 Mbit/s, 2 ms more, and a chunk of 2 ms.
        let on = pair.session(End::Dialler).background_on(paths[0]);
        assert!(on <= 60_000, "{on} bytes");
    }
    assert!(sent(&mut pair, paths[0]) > 4_000_000);
}

// behaviour: I7
#[test]
fn nothing_goes_where_its_label_forbids_it_even_when_nothing_else_is_trusted() {
    let (mut pair, paths, id) = joined(&[(0, line(10, 20)), (1, line(15, 20))], true);
    set_metered(&mut pair, paths[1]);
    let label = Label::ANY.prohibit(Prop::Metered);
    flood(&mut pair, id, label, SECOND);
    pair.silence(paths[0]);
    flood(&mut pair, id, label, MILLI * 700);
    assert!(pair.sides[0].saw(Event::PathSuspect(paths[0])));
    assert_eq!(sent(&mut pair, paths[1]), 0);
}

// behaviour: P5
#[test]
fn a_rate_holds_over_any_second_whatever_is_lost_and_sent_again() {
    let limited = Config {
        rate_limit: Some(200_000),
        ..Config::default()
    };
    let mut pair = Pair::new(5, start(), limited, Config::default());
    let first = pair.paths()[0];
    let second = pair.dial(1).expect("the session lives");
    for path in [first, second] {
        pair.shape(path, line(10, 20));
    }
    let id = opened(&mut pair, End::Dialler);
    let mut gone = Vec::new();
    let begun = pair.now();
    for round in 0..400 {
        flood(&mut pair, id, Label::ANY, MILLI * 10);
        match round {
            100 => pair.silence(first),
            150 => pair.cut(first),
            _ => {}
        }
        let stats = [first, second].map(|p| pair.session(End::Dialler).path_stats(p));
        let all: u64 = (stats.iter().flatten())
            .map(|s| s.payload_sent + s.payload_resent + s.control_sent)
            .sum();
        gone.push((pair.now() - begun, all));
    }
    for (at, sent) in &gone {
        let after = gone.iter().take_while(|(then, _)| *then <= *at + SECOND);
        let most = after.last().map_or(0, |(_, then)| then - sent);
        assert!(most <= 200_000, "{most} bytes from {at:?}");
    }
    let all = gone.last().expect("400 rounds").1;
    assert!(all > 700_000, "{all} bytes in 4 s");
}

#[test]
fn an_idle_path_is_asked_as_often_as_the_settings_say() {
    let probing = |probe_idle| Config {
        probe_idle,
        ..Config::default()
    };
    let control = |pair: &mut Pair, path| {
        let stats = pair.session(End::Dialler).path_stats(path);
        stats.expect("it is open").control_sent
    };
    for (every, words) in [
        (None, 0),
        (Some(SECOND * 10), 6),
        (Some(Duration::ZERO), 500),
    ] {
        let mut pair = Pair::new(5, start(), probing(every), Config::default());
        let path = pair.paths()[0];
        pair.shape(path, line(10, 20));
        pair.run(SECOND * 5);
        let before = control(&mut pair, path);
        pair.run(SECOND * 60);
        // A PING has twelve bytes.
        let asked = (control(&mut pair, path) - before) / 12;
        let range = words * 9 / 10..=words * 11 / 10;
        assert!(range.contains(&asked), "{asked} words, every {every:?}");
    }
}

#[test]
fn the_silent_loss_of_an_idle_path_is_known_where_it_is_asked() {
    let probing = Config {
        probe_idle: Some(SECOND * 5),
        ..Config::default()
    };
    for (config, known) in [(Config::default(), false), (probing, true)] {
        let mut pair = Pair::new(5, start(), config, Config::default());
        let first = pair.paths()[0];
        let second = pair.dial(1).expect("the session lives");
        for path in [first, second] {
            pair.shape(path, line(10, 20));
        }
        pair.run(SECOND * 2);
        pair.silence(first);
        pair.run(SECOND * 10);
        assert_eq!(pair.sides[0].saw(Event::PathSuspect(first)), known);
        let open = pair.session(End::Dialler).paths();
        assert_eq!(open.contains(&first), !known);
        assert!(open.contains(&second));
    }
}
