//! Messages that do not arrive, and those that come after them.

use super::*;

fn cancel(pair: &mut Pair, id: MessageId) -> Fate {
    let now = pair.now();
    let fate = pair.session(Dialler).cancel_message(now, id);
    fate.expect("it is known")
}

fn with_lifetime(pair: &mut Pair, label: Label, length: usize, lifetime: Duration) -> MessageId {
    let now = pair.now();
    let expires = Some(now + lifetime);
    let session = pair.session(Dialler);
    let taken = session.send_message(now, label, &bytes(length), &Order::Sent, expires);
    taken.expect("it is taken").expect("there is room")
}

/// A path that takes a little at a time, so that most of what is sent waits.
fn narrow(paths: u8) -> Pair {
    narrow_of(paths, small())
}

fn narrow_of(paths: u8, config: Config) -> Pair {
    let config = Config {
        max_frame: 2000,
        ..config
    };
    let mut pair = pair_of(paths, config);
    pair.weather.capacity = 4 << 10;
    pair.weather.delay = millis(50);
    pair
}

/// Nothing is left of anything at either end.
fn is_clean(pair: &mut Pair) {
    pair.run(secs(5));
    for end in End::BOTH {
        let messages = &pair.session(end).messages;
        assert!(messages.out.records.is_empty(), "{end:?}");
        assert_eq!(messages.out.flying, Default::default(), "{end:?}");
        assert_eq!(messages.buffered(), 0, "{end:?}");
        assert!(messages.is_settled() && !messages.has_plans());
        assert!(pair.session(end).live_labels().is_empty());
    }
}

// behaviour: D6 I9
#[test]
fn what_expires_while_it_waits_is_never_sent() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let id = with_lifetime(&mut pair, UNMETERED, 1000, secs(5));
    let child = send(&mut pair, Label::ANY, 10, Order::After(vec![id]));
    let behind = send(&mut pair, Label::ANY, 10, Order::Sent);
    pair.run(millis(4999));
    assert_eq!(fate(&mut pair, id), Fate::Pending);
    pair.run(millis(1));
    assert_eq!(fate(&mut pair, id), Fate::Expired);
    assert!(saw(
        &mut pair,
        Dialler,
        Event::MessageSettled(id, Fate::Expired)
    ));
    assert_eq!(fate(&mut pair, child), Fate::DependencyLost(id));
    meter(&mut pair, path, false);
    // What merely followed it goes on.
    assert_eq!(arrive(&mut pair), [behind]);
    assert_eq!(sent(&mut pair, Dialler, path), 10);
    is_clean(&mut pair);
}

// behaviour: I4 I9
#[test]
fn a_cancel_before_the_first_byte_is_final_and_takes_along_what_depends_on_it() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let id = send(&mut pair, UNMETERED, 1000, Order::Sent);
    let child = send(&mut pair, Label::INTERACTIVE, 10, Order::After(vec![id]));
    let grandchild = send(&mut pair, Label::BACKGROUND, 10, Order::After(vec![child]));
    let all = send(&mut pair, Label::ANY, 10, Order::AfterAll);
    assert_eq!(cancel(&mut pair, id), Fate::Cancelled);
    assert_eq!(fate(&mut pair, child), Fate::DependencyLost(id));
    assert_eq!(fate(&mut pair, grandchild), Fate::DependencyLost(child));
    for id in [id, child, grandchild] {
        let settled = Event::MessageSettled(id, fate(&mut pair, id));
        assert!(saw(&mut pair, Dialler, settled));
        assert_eq!(
            try_send(&mut pair, Dialler, Label::ANY, 1, Order::After(vec![id])),
            Err(Refused::DependencyLost(id))
        );
    }
    // Whoever comes later does not come after them.
    let next = send(&mut pair, Label::ANY, 10, Order::Sent);
    let last = send(&mut pair, Label::ANY, 10, Order::AfterAll);
    meter(&mut pair, path, false);
    let received = arrive(&mut pair);
    assert_eq!(received.last(), Some(&last));
    assert!(received.contains(&all) && received.contains(&next));
    assert_eq!(received.len(), 3);
    assert_eq!(sent(&mut pair, Dialler, path), 30);
    is_clean(&mut pair);
}

// behaviour: I3 I9
#[test]
fn what_comes_after_all_still_does_when_those_between_are_cancelled_the_last_first() {
    for last_first in [true, false] {
        let mut pair = pair(1);
        let path = pair.paths()[0];
        meter(&mut pair, path, true);
        let first = send(&mut pair, UNMETERED, 10, Order::Sent);
        let mut between = [(); 2].map(|()| send(&mut pair, UNMETERED, 10, Order::AfterAll));
        if last_first {
            between.reverse();
        }
        for id in between {
            assert_eq!(cancel(&mut pair, id), Fate::Cancelled);
        }
        let last = send(&mut pair, Label::INTERACTIVE, 10, Order::AfterAll);
        meter(&mut pair, path, false);
        assert_eq!(arrive(&mut pair), [first, last]);
        is_clean(&mut pair);
    }
}

// behaviour: I3 I9
#[test]
fn what_comes_after_a_forgotten_message_does_not_overtake_what_that_came_after() {
    let mut pair = narrow(1);
    let first = send(&mut pair, Label::ANY, 10, Order::Sent);
    let between = send(&mut pair, Label::ANY, 60_000, Order::AfterAll);
    let label = Label::INTERACTIVE.prohibit(Prop::Metered);
    let last = send(&mut pair, label, 10, Order::AfterAll);
    pair.run(millis(10));
    // It waits for a path until the other is forgotten, and nobody receives meanwhile.
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    assert_eq!(cancel(&mut pair, between), Fate::Sent);
    pair.run(secs(5));
    assert_eq!(fate(&mut pair, between), Fate::Cancelled);
    let records = &pair.session(Dialler).messages.out.records;
    assert!(records.keys().eq([&last.0]), "the others are closed");
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [first, last]);
    is_clean(&mut pair);
}

// behaviour: I9
#[test]
fn what_was_planned_and_not_written_is_taken_back_without_a_byte_of_it() {
    let mut pair = narrow(1);
    let path = pair.paths()[0];
    let front = send(&mut pair, Label::ANY, 20_000, Order::Sent);
    let id = send(&mut pair, Label::ANY, 5_000, Order::After(Vec::new()));
    let child = send(&mut pair, Label::ANY, 5_000, Order::After(vec![id]));
    pair.run(millis(1));
    assert_eq!(fate(&mut pair, front), Fate::Sent);
    assert_eq!(fate(&mut pair, id), Fate::Pending);
    let seq = pair.session(Dialler).messages.out.records[&id.0].seq;
    assert!(seq.is_some(), "it is planned");
    assert_eq!(cancel(&mut pair, id), Fate::Cancelled);
    assert_eq!(fate(&mut pair, child), Fate::DependencyLost(id));
    let last = send(&mut pair, Label::ANY, 7, Order::AfterAll);
    assert_eq!(arrive(&mut pair), [front, last]);
    assert_eq!(sent(&mut pair, Dialler, path), 20_007);
    is_clean(&mut pair);
}

// behaviour: I4
#[test]
fn a_cancel_after_the_first_byte_is_the_peers_to_answer() {
    for (delivered, lost) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut pair = narrow(2);
        let paths = pair.paths();
        meter(&mut pair, paths[1], true);
        let length = if delivered { 3_000 } else { 40_000 };
        let id = send(&mut pair, UNMETERED, length, Order::Sent);
        let child = send(&mut pair, Label::ANY, 100, Order::After(vec![id]));
        let free = send(&mut pair, Label::ANY, 100, Order::After(Vec::new()));
        pair.run(millis(if delivered { 80 } else { 10 }));
        assert_eq!(cancel(&mut pair, id), Fate::Sent);
        if lost {
            paths.iter().for_each(|path| pair.cut(*path));
            pair.run(secs(1));
            assert_eq!(fate(&mut pair, id), Fate::Sent, "nobody can say");
            pair.dial(3).expect("another path");
        }
        let received = arrive(&mut pair);
        if delivered && received.contains(&id) {
            assert_eq!(fate(&mut pair, id), Fate::Delivered);
            assert_eq!(fate(&mut pair, child), Fate::Delivered);
            assert_eq!(received.len(), 3);
        } else {
            assert_eq!(fate(&mut pair, id), Fate::Cancelled);
            assert_eq!(fate(&mut pair, child), Fate::DependencyLost(id));
            assert_eq!(received, [free]);
        }
        assert!(lost || received.contains(&id) == delivered);
        is_clean(&mut pair);
    }
}

// behaviour: I4
#[test]
fn dependents_that_are_at_the_peer_already_are_lost_there_too() {
    let mut pair = pair(2);
    let paths = pair.paths();
    meter(&mut pair, paths[1], true);
    let first = send(&mut pair, UNMETERED, 5000, Order::Sent);
    pair.run(Duration::ZERO);
    pair.silence(paths[0]);
    let child = send(&mut pair, Label::ANY, 10, Order::After(vec![first]));
    let grandchild = send(&mut pair, Label::INTERACTIVE, 10, Order::After(vec![child]));
    let all = send(&mut pair, Label::BACKGROUND, 10, Order::AfterAll);
    pair.run(secs(5));
    for id in [first, child, grandchild, all] {
        assert_eq!(fate(&mut pair, id), Fate::Sent, "held back at the peer");
    }
    assert_eq!(cancel(&mut pair, first), Fate::Sent);
    let next = send(&mut pair, Label::ANY, 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [next, all]);
    assert_eq!(fate(&mut pair, first), Fate::Cancelled);
    assert_eq!(fate(&mut pair, child), Fate::DependencyLost(first));
    assert!(matches!(
        fate(&mut pair, grandchild),
        Fate::DependencyLost(_)
    ));
    is_clean(&mut pair);
    // The credit came back with them.
    let again = send(&mut pair, Label::ANY, 64 << 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [again]);
}

// behaviour: I3
#[test]
fn what_follows_one_that_is_given_up_does_not_overtake_those_before_it() {
    let mut pair = pair(2);
    let paths = pair.paths();
    meter(&mut pair, paths[1], true);
    // The first two are sent whole and lost on their way; the second is given up.
    let first = send(&mut pair, UNMETERED, 500, Order::Sent);
    let second = send(&mut pair, UNMETERED, 500, Order::Sent);
    pair.run(Duration::ZERO);
    pair.silence(paths[0]);
    let third = send(&mut pair, Label::ANY, 10, Order::Sent);
    pair.run(secs(5));
    assert_eq!(cancel(&mut pair, second), Fate::Sent);
    let fourth = send(&mut pair, Label::ANY, 10, Order::Sent);
    pair.run(secs(5));
    assert_eq!(fate(&mut pair, second), Fate::Cancelled);
    assert!(
        receive(&mut pair, Listener).is_empty(),
        "the first is not there"
    );
    meter(&mut pair, paths[1], false);
    assert_eq!(arrive(&mut pair), [first, third, fourth]);
    is_clean(&mut pair);
}

// behaviour: D6
#[test]
fn a_lifetime_ends_what_is_half_sent_and_not_what_was_delivered() {
    let mut pair = narrow(1);
    let path = pair.paths()[0];
    let done = with_lifetime(&mut pair, Label::ANY, 100, millis(500));
    let half = with_lifetime(&mut pair, Label::ANY, 60_000, millis(500));
    let next = send(&mut pair, Label::ANY, 10, Order::After(Vec::new()));
    assert_eq!(arrive(&mut pair), [done, next]);
    assert_eq!(fate(&mut pair, done), Fate::Delivered);
    assert_eq!(fate(&mut pair, half), Fate::Expired);
    assert!(sent(&mut pair, Dialler, path) < 60_000);
    is_clean(&mut pair);
}

#[test]
fn another_label_is_given_until_the_first_byte_is_sent() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let id = send(&mut pair, UNMETERED, 100, Order::Sent);
    let child = send(&mut pair, Label::BACKGROUND, 100, Order::After(vec![id]));
    pair.run(secs(1));
    assert!(receive(&mut pair, Listener).is_empty());
    let now = pair.now();
    let relabelled = pair
        .session(Dialler)
        .relabel_message(now, id, Label::INTERACTIVE);
    assert_eq!(relabelled, Ok(()));
    let live = pair.session(Dialler).live_labels();
    assert_eq!(live.len(), 2);
    assert!(live.contains(&Label::BACKGROUND) && live.contains(&Label::INTERACTIVE));
    pair.run(secs(1));
    let received = receive(&mut pair, Listener);
    assert_eq!(ids(&received), [id, child]);
    assert_eq!(received[0].label, Label::INTERACTIVE);
    let now = pair.now();
    let late = pair.session(Dialler).relabel_message(now, id, Label::ANY);
    assert_eq!(late, Err(Refused::Unknown), "it is settled");
    is_clean(&mut pair);
}

#[test]
fn a_planned_message_takes_its_new_label_and_one_under_way_keeps_its_own() {
    let mut pair = narrow(1);
    let front = send(&mut pair, Label::ANY, 20_000, Order::Sent);
    let id = send(&mut pair, Label::ANY, 5_000, Order::After(Vec::new()));
    pair.run(millis(1));
    let now = pair.now();
    let session = pair.session(Dialler);
    assert_eq!(
        session.relabel_message(now, front, Label::BACKGROUND),
        Err(Refused::Sent)
    );
    assert_eq!(session.relabel_message(now, id, Label::BACKGROUND), Ok(()));
    pair.run(secs(5));
    let received = receive(&mut pair, Listener);
    let labels: Vec<Label> = received.iter().map(|message| message.label).collect();
    assert_eq!(labels, [Label::ANY, Label::BACKGROUND]);
    is_clean(&mut pair);
}

/// One that is planned and not written, and one after it, of this label and length, behind what fills
/// the path.
fn planned(pair: &mut Pair, after: (Label, usize)) -> [MessageId; 3] {
    let front = send(pair, Label::ANY, 20_000, Order::Sent);
    let id = send(pair, Label::ANY, 5_000, Order::After(Vec::new()));
    let behind = send(pair, after.0, after.1, Order::After(vec![id]));
    pair.run(millis(1));
    let records = &pair.session(Dialler).messages.out.records;
    assert!(records[&id.0].begun && !records[&id.0].written);
    [front, id, behind]
}

// behaviour: I12
#[test]
fn with_another_label_a_planned_message_keeps_the_room_that_what_comes_after_it_would_take() {
    let mut pair = narrow_of(
        1,
        Config {
            send_buffer: 256 << 10,
            ..small()
        },
    );
    let [front, id, behind] = planned(&mut pair, (Label::ANY, 5_000));
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let now = pair.now();
    let session = pair.session(Dialler);
    assert_eq!(session.relabel_message(now, id, UNMETERED), Ok(()));
    let last = send(&mut pair, Label::ANY, 57_000, Order::After(vec![id]));
    assert_eq!(arrive(&mut pair), [front]);
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [id, behind]);
    assert_eq!(arrive(&mut pair), [last]);
    is_clean(&mut pair);
}

// behaviour: I12
#[test]
fn a_planned_message_takes_the_room_of_another_urgency_before_what_comes_after_it() {
    for begun in [false, true] {
        let mut pair = narrow(1);
        // Nobody receives: the credit of that urgency is spent.
        let urgent = send(&mut pair, Label::INTERACTIVE, 63_000, Order::Sent);
        pair.run(secs(10));
        let path = pair.paths()[0];
        meter(&mut pair, path, true);
        let label = if begun { Label::ANY } else { UNMETERED };
        let [front, id, behind] = planned(&mut pair, (label, 5_000));
        let now = pair.now();
        let session = pair.session(Dialler);
        let relabelled = session.relabel_message(now, id, Label::INTERACTIVE);
        if begun {
            assert_eq!(
                relabelled,
                Err(Refused::Sent),
                "what comes after it holds room"
            );
        } else {
            assert_eq!(relabelled, Ok(()));
            let records = &session.messages.out.records;
            assert!(!records[&id.0].begun && records[&behind.0].unsent == 1);
        }
        meter(&mut pair, path, false);
        let received = arrive(&mut pair);
        assert_eq!(received[0], urgent);
        let mut rest = [&received[1..], &arrive(&mut pair)].concat();
        rest.sort_unstable();
        assert_eq!(rest, [front, id, behind]);
        is_clean(&mut pair);
    }
}

// behaviour: I12
#[test]
fn what_is_written_piece_by_piece_has_its_place_from_when_it_is_finished() {
    let mut pair = pair(2);
    let now = pair.now();
    let session = pair.session(Dialler);
    let begun = session.begin_message(now, Label::ANY, &Order::Sent, None);
    let id = begun.expect("taken").expect("room");
    let empty = session.begin_message(now, Label::BACKGROUND, &Order::Sent, None);
    let empty = empty.expect("taken").expect("room");
    session.finish_message(now, empty).expect("it was begun");
    let before = send(&mut pair, Label::ANY, 10, Order::Sent);
    let all = send(&mut pair, Label::ANY, 10, Order::AfterAll);
    let whole = bytes(10_000);
    for piece in whole.chunks(999) {
        let now = pair.now();
        let taken = pair.session(Dialler).write_message(now, id, piece);
        assert_eq!(taken, Ok(piece.len()));
        pair.run(millis(30));
    }
    assert_eq!(fate(&mut pair, id), Fate::Pending);
    assert_eq!(arrive(&mut pair), [empty, before, all]);
    let now = pair.now();
    assert_eq!(pair.session(Dialler).finish_message(now, id), Ok(()));
    assert_eq!(
        pair.session(Dialler).finish_message(now, id),
        Err(Refused::Unknown)
    );
    let behind = send(&mut pair, Label::ANY, 10, Order::Sent);
    let last = send(&mut pair, Label::INTERACTIVE, 10, Order::AfterAll);
    pair.run(secs(1));
    let received = receive(&mut pair, Listener);
    assert_eq!(received[0].bytes, whole);
    assert_eq!(ids(&received), [id, behind, last]);
    is_clean(&mut pair);
}

// behaviour: I12
#[test]
fn what_was_not_finished_is_given_up_without_a_trace() {
    for length in [0, 1, 3_000, 30_000] {
        let mut pair = pair(2);
        let now = pair.now();
        let session = pair.session(Dialler);
        let begun = session.begin_message(now, Label::ANY, &Order::Sent, None);
        let id = begun.expect("taken").expect("room");
        let early = try_send(&mut pair, Dialler, Label::ANY, 1, Order::After(vec![id]));
        assert_eq!(early, Err(Refused::UnknownDependency(id)));
        let now = pair.now();
        let taken = pair.session(Dialler).write_message(now, id, &bytes(length));
        assert_eq!(taken, Ok(length));
        pair.run(secs(1));
        assert_eq!(cancel(&mut pair, id), Fate::Cancelled);
        let settled = Event::MessageSettled(id, Fate::Cancelled);
        assert!(saw(&mut pair, Dialler, settled));
        let late = try_send(&mut pair, Dialler, Label::ANY, 1, Order::After(vec![id]));
        assert_eq!(late, Err(Refused::DependencyLost(id)));
        let now = pair.now();
        let late = pair.session(Dialler).write_message(now, id, b"late");
        assert_eq!(late, Err(Refused::Unknown));
        let next = send(&mut pair, Label::ANY, 10, Order::Sent);
        assert_eq!(arrive(&mut pair), [next]);
        is_clean(&mut pair);
    }
}

// behaviour: I4
#[test]
fn a_session_that_ends_says_what_may_have_arrived() {
    let mut pair = narrow(1);
    let path = pair.paths()[0];
    let half = send(&mut pair, Label::ANY, 30_000, Order::Sent);
    let waits = send(&mut pair, Label::ANY, 30_000, Order::Sent);
    pair.run(millis(1));
    let asked = send(&mut pair, Label::INTERACTIVE, 10, Order::Sent);
    pair.run(millis(30));
    pair.cut(path);
    cancel(&mut pair, half);
    pair.run(secs(1000));
    assert!(pair.session(Dialler).closed().is_some());
    let lost = |maybe_delivered| Fate::Lost { maybe_delivered };
    assert_eq!(fate(&mut pair, half), lost(true));
    assert_eq!(fate(&mut pair, waits), lost(false));
    assert!(matches!(
        fate(&mut pair, asked),
        Fate::Lost { .. } | Fate::Delivered
    ));
    let refused = try_send(&mut pair, Dialler, Label::ANY, 1, Order::Sent);
    assert!(matches!(refused, Err(Refused::Closed(_))));
    assert_eq!(pair.session(Dialler).buffered(), 0);
}

#[test]
fn a_close_waits_for_every_message_and_what_arrived_is_still_received() {
    let mut pair = narrow(2);
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(send(&mut pair, Label::ANY, 3_000, Order::Sent));
    }
    let now = pair.now();
    pair.session(Dialler).close(now);
    assert_eq!(pair.session(Dialler).closed(), None);
    let refused = try_send(&mut pair, Dialler, Label::ANY, 1, Order::Sent);
    assert!(matches!(
        refused,
        Err(Refused::Closed(CloseReason::Finished))
    ));
    pair.run(secs(20));
    assert_eq!(pair.session(Dialler).closed(), Some(CloseReason::Finished));
    assert_eq!(pair.session(Listener).closed(), Some(CloseReason::Finished));
    for id in &sent {
        assert_eq!(fate(&mut pair, *id), Fate::Delivered);
    }
    assert_eq!(ids(&receive(&mut pair, Listener)), sent);
}

// behaviour: S22
#[test]
fn a_peer_that_closes_says_first_what_it_has() {
    let mut pair = pair(1);
    pair.weather.jitter = Duration::ZERO;
    let id = send(&mut pair, Label::ANY, 10, Order::Sent);
    // It is there, and not yet acknowledged.
    pair.run(millis(6));
    assert_eq!(ids(&receive(&mut pair, Listener)), [id]);
    assert_eq!(fate(&mut pair, id), Fate::Sent);
    let now = pair.now();
    pair.session(Listener).close(now);
    pair.run(secs(5));
    assert_eq!(pair.session(Dialler).closed(), Some(CloseReason::Finished));
    assert_eq!(fate(&mut pair, id), Fate::Delivered);
}

// behaviour: I4 I9
#[test]
fn an_old_message_keeps_its_fate_through_any_number_of_later_ones() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let alone = || Order::After(Vec::new());
    let first = send(&mut pair, UNMETERED, 10, alone());
    let second = send(&mut pair, UNMETERED, 10, alone());
    let third = send(&mut pair, UNMETERED, 10, alone());
    let flood = |pair: &mut Pair, count: usize| {
        for _ in 0..count {
            let id = send(pair, UNMETERED, 10, alone());
            assert_eq!(cancel(pair, id), Fate::Cancelled);
        }
    };
    flood(&mut pair, fates::REMEMBERED + 100);
    assert_eq!(cancel(&mut pair, first), Fate::Cancelled);
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [second, third]);
    let settled = Event::MessageSettled(second, Fate::Delivered);
    assert!(saw(&mut pair, Dialler, settled));
    flood(&mut pair, fates::REMEMBERED - 1);
    assert_eq!(fate(&mut pair, first), Fate::Cancelled);
    for id in [second, third] {
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
    }
    let after = send(&mut pair, Label::ANY, 10, Order::After(vec![second]));
    assert_eq!(arrive(&mut pair), [after]);
}

/// Messages each of which comes after all before it, none of which may be sent.
fn each_after_all_before(pair: &mut Pair, count: usize) -> Vec<MessageId> {
    let path = pair.paths()[0];
    meter(pair, path, true);
    let mut all = Vec::new();
    for _ in 0..count {
        let order = Order::After(all.clone());
        all.push(send(pair, UNMETERED, 1, order));
    }
    all
}

// behaviour: I9
#[test]
fn many_that_go_look_through_each_list_no_more_than_it_is_long() {
    const COUNT: usize = 200;
    let config = Config {
        send_buffer: 4 << 20,
        ..small()
    };
    let mut pair = pair_of(1, config.clone());
    let all = each_after_all_before(&mut pair, COUNT);
    assert_eq!(cancel(&mut pair, all[0]), Fate::Cancelled);
    for id in &all[1..] {
        assert!(matches!(fate(&mut pair, *id), Fate::DependencyLost(_)));
    }
    let looked = pair.session(Dialler).messages.out.looked;
    assert!(looked <= COUNT * COUNT, "{looked} for one cancel");
    is_clean(&mut pair);
    let mut pair = pair_of(1, config);
    for id in each_after_all_before(&mut pair, COUNT).into_iter().rev() {
        assert_eq!(cancel(&mut pair, id), Fate::Cancelled);
    }
    let looked = pair.session(Dialler).messages.out.looked;
    assert!(looked <= COUNT * COUNT, "{looked} for one after the other");
    is_clean(&mut pair);
}

#[test]
fn what_a_message_is_followed_by_is_kept_no_longer_than_that_lasts() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let first = send(&mut pair, UNMETERED, 1, Order::Sent);
    for _ in 0..3 {
        let children: Vec<MessageId> = (0..100)
            .map(|_| send(&mut pair, UNMETERED, 1, Order::After(vec![first])))
            .collect();
        for child in children {
            assert_eq!(cancel(&mut pair, child), Fate::Cancelled);
        }
        let followers = &pair.session(Dialler).messages.out.records[&first.0].followers;
        assert!(followers.is_empty(), "{}", followers.len());
    }
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [first]);
    is_clean(&mut pair);
}
