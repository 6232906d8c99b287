//! Paths that come and go, and what may travel on which.

use super::*;
use crate::label::Prop;
use crate::network::{Fact, Kind, Kinds, Network, NetworkId};
use crate::proto::pair::anywhere;

const UNMETERED: Label = Label::new().prohibit(Prop::Metered);

fn metered() -> PathSides {
    let mut sides = anywhere();
    sides.remote.kinds = Kinds::of(Kind::Cellular);
    sides.remote.metered = Fact::Yes;
    sides
}

/// Both ends learn that a path is metered, or is not.
fn set_sides(pair: &mut Pair, path: PathId, sides: &PathSides) {
    let now = pair.now();
    for end in End::BOTH {
        pair.session(end).update_path(now, path, sides.clone());
    }
}

fn write(pair: &mut Pair, end: End, id: StreamId, label: Label, data: &[u8]) {
    let now = pair.now();
    let taken = pair.session(end).write(now, id, label, data);
    assert_eq!(taken, Ok(data.len()));
}

// behaviour: S1, S4
#[test]
fn without_a_path_reads_and_writes_wait_and_nothing_ends() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"before");
    pair.run(Duration::from_secs(1));
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(Duration::from_secs(300));
    for end in End::BOTH {
        assert!(pair.sides[end as usize].saw(Event::Stranded));
        let _ = pair.read_all(end, id);
        assert_eq!(
            pair.read(end, id, 100),
            Ok(Some(0)),
            "neither an error nor the end"
        );
    }
    // Writes are taken while the buffer has room, then wait.
    let now = pair.now();
    let taken = pair
        .session(End::Dialler)
        .write(now, id, Label::ANY, &bytes(100_000));
    assert_eq!(taken, Ok(64 << 10));
    let again = pair.session(End::Dialler).write(now, id, Label::ANY, b"x");
    assert_eq!(again, Ok(0));
}

// behaviour: S2
#[test]
fn when_the_grace_runs_out_there_is_one_error_and_ever_the_same() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"unread");
    pair.run(Duration::from_secs(1));
    send_all(&mut pair, End::Listener, id, b"read first");
    pair.run(Duration::from_secs(1));
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(Duration::from_secs(599));
    assert_eq!(pair.session(End::Dialler).closed(), None);
    pair.run(Duration::from_secs(2));
    let reason = CloseReason::GraceExpired;
    assert_eq!(pair.session(End::Dialler).closed(), Some(reason));
    // The listener stays 10 % longer, so that nobody resumes into nothing.
    assert_eq!(pair.session(End::Listener).closed(), None);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.session(End::Listener).closed(), Some(reason));

    let error = StreamError::Closed(reason);
    assert_eq!(pair.read(End::Dialler, id, 100), Ok(Some(10)));
    let now = pair.now();
    for _ in 0..3 {
        assert_eq!(pair.read(End::Dialler, id, 100), Err(error));
        let session = pair.session(End::Dialler);
        assert_eq!(session.write(now, id, Label::ANY, b"x"), Err(error));
        assert_eq!(session.is_shut(id), Err(error));
        assert_eq!(session.open(now, Label::ANY), Err(error));
    }
    let closed = |event: &&Event| matches!(event, Event::Closed(_));
    assert_eq!(pair.sides[0].events.iter().filter(closed).count(), 1);
    assert_eq!(pair.dial(0), Err(AttachError::Over));
}

#[test]
fn the_grace_counts_from_the_loss_of_the_last_path() {
    let mut pair = pair();
    pair.run(Duration::from_secs(5000));
    let second = pair.dial(1).expect("the session lives");
    let first = pair.paths()[0];
    pair.cut(first);
    pair.run(Duration::from_secs(5000));
    pair.cut(second);
    pair.run(Duration::from_secs(590));
    assert_eq!(pair.session(End::Dialler).closed(), None);
    pair.dial(0).expect("in time");
    pair.run(Duration::from_secs(5000));
    assert_eq!(pair.session(End::Dialler).closed(), None);
}

#[test]
fn what_arrived_is_not_sent_again() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    write(&mut pair, End::Dialler, id, Label::ANY, &bytes(60_000));
    // All of it arrives; no acknowledgement gets back in time.
    let path = pair.paths()[0];
    pair.run(Duration::from_millis(15));
    pair.cut(path);
    pair.run(Duration::from_secs(1));
    let path = pair.dial(0).expect("the session lives");
    pair.run(Duration::from_secs(1));
    let received = pair.session(End::Listener).streams[&id].receive.next();
    assert_eq!(received, 60_000);
    let stats = pair.session(End::Dialler).path_stats(path).expect("open");
    let before = 60_000 - stats.payload_resent - stats.payload_sent;
    assert!(
        before > 0,
        "the state told on resumption saves work: {stats:?}"
    );
}

#[test]
fn a_lost_path_is_made_good_by_another_at_once() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let second = pair.dial(1).expect("the session lives");
    let first = pair.paths()[0];
    set_sides(&mut pair, first, &metered());
    pair.run(Duration::from_millis(100));
    pair.silence(second);
    write(&mut pair, End::Dialler, id, Label::ANY, &bytes(10_000));
    pair.run(Duration::from_millis(20));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(
        pair.sides[1].read[&id].len(),
        0,
        "it is stuck on the silent path"
    );
    pair.cut(second);
    pair.run(Duration::from_millis(100));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], bytes(10_000));
    let stats = pair.session(End::Dialler).path_stats(first).expect("open");
    assert_eq!(stats.payload_resent, 10_000);
}

#[test]
fn a_finished_stream_is_told_again_when_its_last_word_was_lost_with_a_path() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"x");
    pair.run(Duration::from_secs(1));
    let first = pair.paths()[0];
    let _ = pair.read_all(End::Listener, id);
    let now = pair.now();
    pair.session(End::Listener).shutdown(now, id);
    pair.run(Duration::from_secs(1));
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(1));
    // The dialler's end goes by the first path, and the answer, which that loses.
    let now = pair.now();
    pair.session(End::Dialler).shutdown(now, id);
    while pair.read_all(End::Listener, id) != Ok(true) {
        pair.step(now + Duration::from_secs(1));
    }
    pair.silence(first);
    pair.session(End::Listener).release(now, id);
    pair.step(pair.now());
    assert!(pair.session(End::Listener).streams.is_empty());
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(false));
    pair.cut(first);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.paths(), [second]);
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(true));
}

// behaviour: S18
#[test]
fn half_close_survives_a_handover_in_both_directions() {
    for closer in End::BOTH {
        let mut pair = pair();
        let id = opened(&mut pair, End::Dialler);
        send_all(&mut pair, End::Dialler, id, b"first");
        pair.run(Duration::from_millis(100));
        let now = pair.now();
        pair.session(closer).shutdown(now, id);
        for path in pair.paths() {
            pair.cut(path);
        }
        pair.run(Duration::from_millis(100));
        pair.dial(0).expect("the session lives");
        send_all(&mut pair, closer.other(), id, b" and more");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.read_all(closer.other(), id), Ok(true), "{closer:?}");
        assert_eq!(
            pair.read_all(closer, id),
            Ok(false),
            "the other half is open"
        );
        assert_eq!(pair.session(closer).is_shut(id), Ok(true));
        assert!(pair.sides[closer as usize].read[&id].ends_with(b" and more"));
    }
}

// behaviour: S5
#[test]
fn a_retired_path_closes_in_order_and_nothing_is_sent_twice() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    write(&mut pair, End::Dialler, id, Label::ANY, &bytes(50_000));
    pair.step(pair.now() + LONG);
    let first = pair.paths()[0];
    let second = pair.dial(1).expect("the session lives");
    let now = pair.now();
    pair.session(End::Dialler).retire(now, first);
    pair.run(Duration::from_secs(2));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], bytes(50_000));
    for end in End::BOTH {
        let side = &pair.sides[end as usize];
        assert!(
            side.saw(Event::PathClosed(first, PathEnd::Retired)),
            "{end:?}"
        );
        assert_eq!(side.session.paths(), [second]);
        let stats = side.session.path_stats(second).expect("open");
        assert_eq!(stats.payload_resent, 0);
    }
}

#[test]
fn a_ninth_path_does_not_fit() {
    let mut pair = pair();
    for slot in 1..8 {
        pair.dial(slot).expect("there is room");
    }
    assert_eq!(pair.session(End::Dialler).paths().len(), MAX_PATHS);
    let now = pair.now();
    let ninth = PathId { id: 8, epoch: 1 };
    let refused = pair.session(End::Listener).attach(now, ninth, anywhere());
    assert_eq!(refused, Err(AttachError::TooManyPaths));
}

// behaviour: I7
#[test]
fn a_forbidden_chunk_waits_and_what_follows_is_sent_but_not_read_before_it() {
    let mut pair = pair();
    let path = pair.paths()[0];
    set_sides(&mut pair, path, &metered());
    let id = opened(&mut pair, End::Dialler);
    write(&mut pair, End::Dialler, id, Label::ANY, &[1; 100]);
    write(&mut pair, End::Dialler, id, UNMETERED, &[2; 1000]);
    write(&mut pair, End::Dialler, id, Label::ANY, &[3; 10]);
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], [1; 100]);
    let stats = pair.session(End::Dialler).path_stats(path).expect("open");
    assert_eq!(stats.payload_sent + stats.payload_resent, 110);
    let live = pair.session(End::Dialler).live_labels();
    assert_eq!(live, [Label::ANY, UNMETERED]);

    let free = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id].len(), 1110);
    let labels = [(100, Label::ANY), (1100, UNMETERED), (1110, Label::ANY)];
    assert_eq!(pair.sides[1].labels[&id], labels);
    let stats = pair.session(End::Dialler).path_stats(free).expect("open");
    assert_eq!(stats.payload_sent + stats.payload_resent, 1000);
}

// behaviour: I7
#[test]
fn what_was_lost_is_not_sent_again_where_it_is_forbidden() {
    let mut pair = pair();
    let first = pair.paths()[0];
    let id = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_millis(100));
    pair.silence(first);
    write(&mut pair, End::Dialler, id, UNMETERED, &bytes(5_000));
    pair.run(Duration::from_millis(100));
    let second = pair.dial(1).expect("the session lives");
    set_sides(&mut pair, second, &metered());
    pair.cut(first);
    pair.run(Duration::from_secs(1));
    let stats = pair.session(End::Dialler).path_stats(second).expect("open");
    assert_eq!(stats.payload_resent + stats.payload_sent, 0);
    // The facts change: it goes.
    set_sides(&mut pair, second, &anywhere());
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], bytes(5_000));
}

// behaviour: I7
#[test]
fn facts_that_change_within_a_frame_take_the_path_with_them() {
    let mut pair = pair();
    pair.weather.capacity = 2_000;
    let path = pair.paths()[0];
    let id = opened(&mut pair, End::Dialler);
    write(&mut pair, End::Dialler, id, UNMETERED, &bytes(50_000));
    pair.step(pair.now() + LONG);
    let sent = pair.session(End::Dialler).path_stats(path).expect("open");
    assert!(sent.payload_sent > 0 && sent.payload_sent < 50_000);
    let now = pair.now();
    pair.session(End::Dialler).update_path(now, path, metered());
    pair.run(Duration::from_secs(1));
    assert!(pair.sides[0].saw(Event::PathClosed(path, PathEnd::Forbidden)));
    pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], bytes(50_000));
}

#[test]
fn facts_are_told_and_count_at_the_other_end() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let id = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_millis(100));
    let now = pair.now();
    let facts = metered().remote;
    pair.session(End::Dialler).tell_facts(now, path, facts);
    pair.run(Duration::from_millis(100));
    assert!(pair.sides[1].saw(Event::PathFacts(path)));
    assert_eq!(pair.session(End::Listener).remote_facts(path), Some(facts));
    write(&mut pair, End::Listener, id, UNMETERED, b"not this way");
    pair.run(Duration::from_secs(1));
    let stats = pair.session(End::Listener).path_stats(path).expect("open");
    assert_eq!(stats.payload_sent, 0);
}

// behaviour: I5
#[test]
fn more_labels_than_numbers_are_told_apart() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let labels: Vec<Label> = (1..=150).map(|n| Label::new().bytes(n)).collect();
    let mut expected = Vec::new();
    for round in 0..3 {
        for (index, label) in labels.iter().enumerate() {
            write(&mut pair, End::Dialler, id, *label, b"ab");
            expected.push((2 * (round * labels.len() + index + 1), *label));
        }
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.read_all(End::Listener, id), Ok(false));
    assert_eq!(pair.sides[1].labels[&id], expected);
}

#[test]
fn the_name_of_an_interface_stays_at_home() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let label = Label::INTERACTIVE.interface("wlan0");
    write(&mut pair, End::Dialler, id, label, b"ab");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].labels[&id], [(2, Label::INTERACTIVE)]);
}

#[test]
fn epochs_are_never_given_twice() {
    let mut pair = pair();
    let session = pair.session(End::Dialler);
    let paths = [
        session.next_path(0),
        session.next_path(0),
        session.next_path(3),
    ];
    assert_eq!(
        paths.map(|path| (path.id, path.epoch)),
        [(0, 2), (0, 3), (3, 1)]
    );
}

// behaviour: L4 L5
#[test]
fn a_listener_tells_its_dialler_where_else_it_is_and_nobody_else_is_heard() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let all: Vec<std::net::SocketAddr> = (0..20).map(|n| ([10, 0, 0, n], 7).into()).collect();
    for end in End::BOTH {
        pair.session(end).tell_addresses(path, &all);
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Dialler).peer_addresses(), &all[..8]);
    assert!(pair.session(End::Listener).peer_addresses().is_empty());
    assert!(pair.sides[End::Dialler as usize].saw(Event::PeerAddresses));
    // The last word counts, and no path is harmed by any of it.
    pair.session(End::Listener).tell_addresses(path, &all[19..]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Dialler).peer_addresses(), &all[19..]);
    assert_eq!(pair.paths(), [path]);
}

/// The networks of the paths that carry at this end, by number.
fn numbers(pair: &mut Pair, end: End) -> Vec<u8> {
    let now = pair.now();
    let ways = pair.session(end).ways(now, &Label::ANY);
    ways.iter().map(|way| way.path.network).collect()
}

#[test]
fn paths_of_one_network_share_its_number_wherever_they_are() {
    let mut pair = pair();
    let name = |index| {
        let id = NetworkId { index, epoch: 1 };
        let mut sides = anywhere();
        sides.local = Some(Network::new(id, Network::wifi("wlan0")));
        sides
    };
    // A lane whose network has its general path in another slot than beside it.
    let paths = [1, 2, 4].map(|slot| pair.dial(slot).expect("a free slot"));
    pair.run(Duration::from_secs(1));
    let networks = [1, 2, 2].map(name);
    let now = pair.now();
    for (path, sides) in paths.into_iter().zip(networks) {
        pair.session(End::Dialler).update_path(now, path, sides);
        // All that the dialler has come to one network of the listener.
        pair.session(End::Listener).update_path(now, path, name(1));
    }
    // Slot 0 is the first path, of which no network is known.
    assert_eq!(numbers(&mut pair, End::Dialler), [0, 1, 2, 2]);
    assert_eq!(numbers(&mut pair, End::Listener), [0, 1, 2, 0]);
}
