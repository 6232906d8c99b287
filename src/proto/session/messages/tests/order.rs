//! What arrives, and in which order.

use super::*;

const URGENCIES: [Label; 3] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];

// behaviour: I5
#[test]
fn a_message_arrives_whole_with_its_label_and_is_acknowledged() {
    let mut pair = pair(2);
    for length in [0, 1, 1023, 1024, 40_000] {
        let label = Label::INTERACTIVE.prohibit(Prop::Roaming);
        let id = send(&mut pair, label, length, Order::Sent);
        assert_eq!(fate(&mut pair, id), Fate::Pending);
        pair.run(secs(1));
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
        assert!(saw(
            &mut pair,
            Dialler,
            Event::MessageSettled(id, Fate::Delivered)
        ));
        let received = receive(&mut pair, Listener);
        let bytes = bytes(length);
        assert_eq!(received, [Received { label, id, bytes }]);
        assert!(saw(&mut pair, Listener, Event::MessageReady));
    }
    for end in End::BOTH {
        assert_eq!(pair.session(end).buffered(), 0);
        assert!(pair.session(end).live_labels().is_empty());
    }
}

// behaviour: I1 I3
#[test]
fn messages_of_one_urgency_arrive_in_the_order_sent_through_every_failover() {
    for cut in [1, 2] {
        let mut pair = pair(2);
        let mut sent: [Vec<MessageId>; 3] = Default::default();
        for turn in 0..60 {
            let urgency = turn % 3;
            let length = turn * 97 % 3000;
            let id = send(&mut pair, URGENCIES[urgency], length, Order::Sent);
            sent[urgency].push(id);
        }
        let soon = pair.now() + millis(7);
        while pair.step(soon) {}
        let paths = pair.paths();
        paths[..cut].iter().for_each(|path| pair.cut(*path));
        pair.run(secs(2));
        if cut == 2 {
            pair.dial(3).expect("another path");
        }
        pair.run(secs(5));
        let received = receive(&mut pair, Listener);
        for (label, sent) in URGENCIES.iter().zip(&sent) {
            let of = received.iter().filter(|message| message.label == *label);
            let of: Vec<MessageId> = of.map(|message| message.id).collect();
            assert_eq!(of, *sent, "{label} after {cut} lost");
        }
        assert!(
            received
                .iter()
                .all(|message| message.bytes == bytes(message.bytes.len()))
        );
    }
}

// behaviour: I3
#[test]
fn after_nothing_a_message_overtakes_and_after_all_it_comes_last() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let stuck = send(&mut pair, UNMETERED, 10, Order::Sent);
    let behind = send(&mut pair, Label::ANY, 10, Order::Sent);
    let free = send(&mut pair, Label::ANY, 10, Order::After(Vec::new()));
    let other = send(&mut pair, Label::BACKGROUND, 10, Order::Sent);
    let last = send(&mut pair, Label::INTERACTIVE, 10, Order::AfterAll);
    let very_last = send(&mut pair, Label::BACKGROUND, 10, Order::AfterAll);
    assert_eq!(arrive(&mut pair), [free, other]);
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [stuck, behind, last, very_last]);
}

// behaviour: I2
#[test]
fn after_more_than_a_head_can_name_a_message_still_comes_last() {
    let mut pair = pair(2);
    let mut sent = Vec::new();
    for turn in 0..300 {
        let label = URGENCIES[turn % 3];
        sent.push(send(&mut pair, label, 100, Order::After(Vec::new())));
    }
    let named = send(&mut pair, Label::INTERACTIVE, 5, Order::After(sent.clone()));
    let all = send(&mut pair, Label::INTERACTIVE, 5, Order::AfterAll);
    let received = arrive(&mut pair);
    assert_eq!(received.len(), 302);
    assert_eq!(received[300..], [named, all]);
}

// behaviour: I2
#[test]
fn a_message_is_handed_out_only_after_what_it_names() {
    let mut pair = pair(2);
    let big = send(&mut pair, Label::BACKGROUND, 60_000, Order::Sent);
    let one = send(&mut pair, Label::ANY, 10, Order::After(vec![big]));
    let two = send(
        &mut pair,
        Label::INTERACTIVE,
        10,
        Order::After(vec![one, big, one]),
    );
    let free = send(&mut pair, Label::BACKGROUND, 10, Order::After(Vec::new()));
    pair.run(secs(5));
    assert_eq!(
        fate(&mut pair, two),
        Fate::Delivered,
        "acknowledged, not handed out"
    );
    // What the interactive one waits for is as urgent as it is.
    assert_eq!(arrive(&mut pair), [big, one, two, free]);
}

// behaviour: I2
#[test]
fn what_comes_first_may_come_by_the_slower_path() {
    let mut pair = pair(2);
    let paths = pair.paths();
    meter(&mut pair, paths[1], true);
    let first = send(&mut pair, UNMETERED, 5000, Order::Sent);
    pair.run(Duration::ZERO);
    // It was sent whole, and is lost on its way.
    assert_eq!(fate(&mut pair, first), Fate::Sent);
    let second = send(&mut pair, Label::ANY, 10, Order::Sent);
    pair.run(Duration::ZERO);
    pair.silence(paths[0]);
    pair.run(secs(5));
    assert!(receive(&mut pair, Listener).is_empty(), "it is held back");
    assert_ne!(fate(&mut pair, second), Fate::Delivered);
    pair.cut(paths[0]);
    pair.run(secs(5));
    pair.dial(2).expect("a path for the first");
    assert_eq!(arrive(&mut pair), [first, second]);
}

// behaviour: I3
#[test]
fn an_unknown_or_future_message_is_nothing_to_come_after() {
    let mut pair = pair(1);
    let id = send(&mut pair, Label::ANY, 10, Order::Sent);
    for future in [id.0 + 1, id.0 + 2, u64::MAX] {
        let order = Order::After(vec![id, MessageId(future)]);
        assert_eq!(
            try_send(&mut pair, Dialler, Label::ANY, 10, order),
            Err(Refused::UnknownDependency(MessageId(future)))
        );
    }
    pair.run(secs(1));
    // One that was delivered is no reason to wait.
    let next = send(&mut pair, Label::BACKGROUND, 10, Order::After(vec![id]));
    assert_eq!(arrive(&mut pair), [id, next]);
}

// behaviour: I2 I3
#[test]
fn what_was_delivered_and_not_received_still_comes_first() {
    let mut pair = pair(2);
    let first = send(&mut pair, Label::BACKGROUND, 10, Order::Sent);
    pair.run(secs(1));
    let second = send(&mut pair, Label::BACKGROUND, 10, Order::Sent);
    pair.run(secs(1));
    assert_eq!(fate(&mut pair, second), Fate::Delivered);
    let named = send(
        &mut pair,
        Label::INTERACTIVE,
        10,
        Order::After(vec![second]),
    );
    let all = send(&mut pair, Label::INTERACTIVE, 10, Order::AfterAll);
    let behind = send(&mut pair, Label::BACKGROUND, 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [first, second, named, all, behind]);
}

#[test]
fn the_more_urgent_goes_and_is_handed_out_first() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(secs(1));
    let mut sent = Vec::new();
    for label in [Label::BACKGROUND, Label::ANY, Label::INTERACTIVE] {
        sent.push(send(&mut pair, label, 30_000, Order::Sent));
    }
    pair.dial(1).expect("a path");
    sent.reverse();
    assert_eq!(arrive(&mut pair), sent);
}

#[test]
fn messages_are_striped_over_paths_and_go_both_ways_at_once() {
    let mut pair = pair(3);
    let here = send(&mut pair, Label::ANY, 60_000, Order::Sent);
    let there = send_to(&mut pair, Listener, Label::ANY, 60_000, Order::Sent);
    pair.run(secs(5));
    assert_eq!(ids(&receive(&mut pair, Listener)), [here]);
    assert_eq!(ids(&receive(&mut pair, Dialler)), [there]);
    for end in End::BOTH {
        let all: u64 = pair
            .paths()
            .iter()
            .map(|path| sent(&mut pair, end, *path))
            .sum();
        assert_eq!(all, 60_000, "each byte once");
    }
}

// behaviour: I2 I3
#[test]
fn with_another_urgency_a_message_leaves_the_order_of_its_old_one() {
    let config = Config {
        send_buffer: 512 << 10,
        ..small()
    };
    let mut pair = pair_of(1, config);
    let mut behind: Vec<MessageId> = (0..9)
        .map(|_| send(&mut pair, Label::BACKGROUND, 20_000, Order::Sent))
        .collect();
    // Nobody receives: the credit of that urgency is spent.
    pair.run(secs(2));
    let moved = behind.remove(6);
    let now = pair.now();
    let session = pair.session(Dialler);
    assert_eq!(
        session.relabel_message(now, moved, Label::INTERACTIVE),
        Ok(())
    );
    let records = &session.messages.out.records;
    let urgent = behind.iter().filter_map(|id| records.get(&id.0));
    assert!(urgent.map(|record| record.rank).all(|rank| rank == 2));
    let named = send(&mut pair, Label::ANY, 10, Order::After(vec![moved]));
    let fresh = send(&mut pair, Label::INTERACTIVE, 10, Order::Sent);
    pair.run(secs(2));
    for id in [moved, fresh, named] {
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
    }
    assert_eq!(fate(&mut pair, behind[5]), Fate::Pending);
    let mut received = Vec::new();
    while received.len() < behind.len() + 3 {
        let more = arrive(&mut pair);
        assert!(!more.is_empty(), "{received:?}");
        received.extend(more);
    }
    assert_eq!(received[..3], [moved, fresh, named]);
    assert_eq!(received[3..], behind, "those go on in the order sent");
}

// behaviour: I3
#[test]
fn with_another_urgency_a_message_joins_the_end_of_that_ones_order() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let stuck = Label::INTERACTIVE.prohibit(Prop::Metered);
    let background = send(&mut pair, UNMETERED.background(), 10, Order::Sent);
    let moved = send(&mut pair, UNMETERED.background(), 10, Order::Sent);
    let last = send(&mut pair, Label::BACKGROUND, 10, Order::Sent);
    let all = send(&mut pair, Label::BACKGROUND, 10, Order::AfterAll);
    let first = send(&mut pair, stuck, 10, Order::Sent);
    let now = pair.now();
    let session = pair.session(Dialler);
    assert_eq!(
        session.relabel_message(now, moved, Label::INTERACTIVE),
        Ok(())
    );
    let later = send(&mut pair, Label::INTERACTIVE, 10, Order::Sent);
    assert_eq!(arrive(&mut pair), []);
    meter(&mut pair, path, false);
    assert_eq!(
        arrive(&mut pair),
        [first, moved, later, background, last, all]
    );
    // Back again: as urgent as what names it, whatever its own label says.
    meter(&mut pair, path, true);
    let moved = send(&mut pair, stuck, 10, Order::Sent);
    let behind = send(&mut pair, stuck, 10, Order::Sent);
    let named = send(&mut pair, stuck, 10, Order::After(vec![moved]));
    let now = pair.now();
    let session = pair.session(Dialler);
    let label = UNMETERED.background();
    assert_eq!(session.relabel_message(now, moved, label), Ok(()));
    assert_eq!(session.messages.out.records[&moved.0].rank, 0);
    meter(&mut pair, path, false);
    assert_eq!(arrive(&mut pair), [moved, behind, named]);
}

#[test]
fn a_message_names_no_more_than_it_may() {
    let mut pair = pair(1);
    let first = send(&mut pair, Label::ANY, 10, Order::Sent);
    let names = |count: usize| Order::After(vec![first; count]);
    let taken = try_send(&mut pair, Dialler, Label::ANY, 10, names(MAX_AFTER));
    let second = taken.expect("it is taken").expect("there is room");
    let refused = try_send(&mut pair, Dialler, Label::ANY, 10, names(MAX_AFTER + 1));
    assert_eq!(refused, Err(Refused::TooManyNamed));
    assert_eq!(arrive(&mut pair), [first, second]);
}

// behaviour: I3
#[test]
fn the_end_of_an_order_is_also_what_was_delivered_before_those_sent_earlier() {
    let mut out = outgoing::Outgoing::new(64 << 10, 64 << 10);
    let mut send = |acknowledged: Option<(u64, u64)>| {
        let id = out.next_id;
        out.next_id += 1;
        let placed = out.place(id, Urgency::Interactive, &Order::Sent);
        let placed = placed.expect("it names nothing");
        out.insert(id, (Label::INTERACTIVE, 0), bytes(10), placed, None);
        let part = out.part(id, 100).expect("it has something to send");
        out.take(id, part, 0);
        let acknowledged = out.acknowledge(0, 0, acknowledged.into_iter());
        assert_eq!(acknowledged, Ok(()));
        out.records
            .get(&id)
            .map(|record| record.place.after.clone())
    };
    assert_eq!(send(None), Some(vec![]));
    // The acknowledgement of the first is under way.
    assert_eq!(send(Some((1, 2))), None, "delivered");
    let third = send(None);
    assert_eq!(third, Some(vec![0]));
    assert_eq!(out.records[&2].place.seqs, [1]);
}
