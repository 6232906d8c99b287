//! Room, credit, and whom a receiver that does not receive stops.

use super::*;

/// Sends until there is no room any more, however often it is asked.
fn fill(pair: &mut Pair, label: Label, length: usize) -> Vec<MessageId> {
    let mut sent = Vec::new();
    for _ in 0..100_000 {
        match try_send(pair, Dialler, label, length, Order::Sent) {
            Ok(Some(id)) => sent.push(id),
            Ok(None) => {
                pair.run(millis(500));
                match try_send(pair, Dialler, label, length, Order::Sent) {
                    Ok(Some(id)) => sent.push(id),
                    _ => return sent,
                }
            }
            Err(refused) => panic!("{refused}"),
        }
    }
    panic!("back-pressure never came");
}

// behaviour: S21
#[test]
fn a_receiver_that_receives_nothing_stops_its_urgency_alone() {
    let mut pair = pair(2);
    let background = fill(&mut pair, Label::BACKGROUND, 1000);
    assert!(pair.session(Listener).buffered() <= 64 << 10, "the window");
    assert!(pair.session(Dialler).buffered() <= 64 << 10, "the buffer");
    // Other urgencies and streams go on.
    for _ in 0..200 {
        let id = send(&mut pair, Label::INTERACTIVE, 1000, Order::Sent);
        pair.run(millis(100));
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
        let now = pair.now();
        let received = pair.session(Listener).recv_message(now);
        assert_eq!(received.map(|message| message.id), Some(id));
        pair.run(millis(30));
    }
    let now = pair.now();
    let stream = pair.session(Dialler).open(now, Label::ANY).expect("room");
    for _ in 0..10 {
        let now = pair.now();
        let taken = pair
            .session(Dialler)
            .write(now, stream, Label::BACKGROUND, &bytes(50_000));
        assert_eq!(taken, Ok(50_000));
        pair.run(secs(1));
        let _ = pair.read_all(Listener, stream);
    }
    assert_eq!(pair.sides[1].read[&stream].len(), 500_000);
    // The other way nothing is full.
    let back = send_to(&mut pair, Listener, Label::BACKGROUND, 60_000, Order::Sent);
    pair.run(secs(1));
    assert_eq!(ids(&receive(&mut pair, Dialler)), [back]);
    // And what waited comes, in order, once it is received.
    let mut received = Vec::new();
    while received.len() < background.len() {
        let more = arrive(&mut pair);
        assert!(
            !more.is_empty(),
            "{} of {}",
            received.len(),
            background.len()
        );
        received.extend(more);
    }
    assert_eq!(received, background);
    assert!(saw(
        &mut pair,
        Dialler,
        Event::MessageRoom(Urgency::Background)
    ));
}

// behaviour: S21
#[test]
fn what_is_held_back_never_stops_what_it_waits_for() {
    let mut pair = pair(2);
    let paths = pair.paths();
    meter(&mut pair, paths[1], true);
    // Sent whole, and lost on its way: what comes after it fills all the room there is.
    let first = send(&mut pair, UNMETERED, 30_000, Order::Sent);
    pair.run(Duration::ZERO);
    pair.silence(paths[0]);
    let behind = fill(&mut pair, Label::ANY, 1000);
    assert!(receive(&mut pair, Listener).is_empty());
    meter(&mut pair, paths[1], false);
    let mut received = Vec::new();
    while received.len() <= behind.len() {
        let more = arrive(&mut pair);
        assert!(!more.is_empty(), "{} of {}", received.len(), behind.len());
        received.extend(more);
    }
    assert_eq!(received[0], first);
    assert_eq!(received[1..], behind);
}

// behaviour: S21
#[test]
fn the_first_of_several_messages_in_the_making_can_always_be_finished() {
    let mut pair = pair(2);
    let mut writers = Vec::new();
    for _ in 0..6 {
        let now = pair.now();
        let order = Order::After(Vec::new());
        let begun = pair
            .session(Dialler)
            .begin_message(now, Label::ANY, &order, None);
        writers.push(begun.expect("taken").expect("room"));
    }
    let mut full = 0;
    for id in &writers {
        for _ in 0..11 {
            let now = pair.now();
            let taken = pair.session(Dialler).write_message(now, *id, &bytes(5000));
            full += usize::from(taken.expect("it lives") == 0);
            pair.run(millis(50));
        }
    }
    assert!(full > 0, "the buffer is bounded");
    assert!(pair.session(Dialler).buffered() <= (64 << 10) + (64 << 10));
    assert_eq!(pair.session(Listener).buffered(), 0);
    // Nor does it stop another urgency.
    let urgent = send(&mut pair, Label::INTERACTIVE, 1000, Order::Sent);
    assert_eq!(arrive(&mut pair), [urgent]);
    // The first can be finished whatever the others hold, and then the next ones.
    let mut lengths = Vec::new();
    for id in writers {
        let now = pair.now();
        let taken = pair
            .session(Dialler)
            .write_message(now, id, &bytes(1))
            .expect("it lives");
        assert_eq!(taken, 1, "room for the first of them");
        pair.session(Dialler)
            .finish_message(now, id)
            .expect("it was begun");
        pair.run(secs(1));
        let received = receive(&mut pair, Listener);
        assert_eq!(ids(&received), [id]);
        lengths.push(received[0].bytes.len());
        pair.run(secs(1));
    }
    assert!(lengths[0] == 55_001, "{lengths:?}");
    // The longest there may be fits again.
    let longest = send(&mut pair, Label::ANY, 64 << 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [longest]);
}

#[test]
fn a_message_longer_than_the_peer_takes_is_refused() {
    let mut pair = pair(1);
    let longest = 64 << 10;
    let long = try_send(&mut pair, Dialler, Label::ANY, longest + 1, Order::Sent);
    assert_eq!(long, Err(Refused::TooLong(longest as u64)));
    let now = pair.now();
    let session = pair.session(Dialler);
    let id = session.begin_message(now, Label::ANY, &Order::Sent, None);
    let id = id.expect("taken").expect("room");
    assert_eq!(session.write_message(now, id, &bytes(longest)), Ok(longest));
    assert_eq!(
        session.write_message(now, id, b"!"),
        Err(Refused::TooLong(longest as u64))
    );
    // What was taken before is not the whole of it.
    let refused = Err(Refused::TooLong(longest as u64));
    assert_eq!(
        session.write_message(now, id, b""),
        Err(Refused::TooLong(longest as u64))
    );
    assert_eq!(session.finish_message(now, id), refused);
    assert_eq!(session.cancel_message(now, id), Ok(Fate::Cancelled));
    assert!(arrive(&mut pair).is_empty());
    let next = send(&mut pair, Label::ANY, longest, Order::Sent);
    assert_eq!(arrive(&mut pair), [next]);
}

#[test]
fn unsettled_messages_are_bounded_by_number_and_room_is_told() {
    let mut pair = pair_of(1, Config::default());
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let mut sent = Vec::new();
    while let Some(id) =
        try_send(&mut pair, Dialler, UNMETERED.background(), 0, Order::Sent).expect("taken")
    {
        sent.push(id);
    }
    assert_eq!(sent.len(), MAX_UNSETTLED);
    let urgent = send(&mut pair, Label::INTERACTIVE, 0, Order::Sent);
    assert!(!saw(
        &mut pair,
        Dialler,
        Event::MessageRoom(Urgency::Background)
    ));
    let now = pair.now();
    let first = pair
        .session(Dialler)
        .cancel_message(now, sent[MAX_UNSETTLED - 1]);
    assert_eq!(first, Ok(Fate::Cancelled));
    assert!(saw(
        &mut pair,
        Dialler,
        Event::MessageRoom(Urgency::Background)
    ));
    meter(&mut pair, path, false);
    sent.truncate(MAX_UNSETTLED - 1);
    sent.insert(0, urgent);
    assert_eq!(arrive(&mut pair), sent);
}

// behaviour: P1
#[test]
fn an_interactive_message_overtakes_background_ones_that_wait() {
    let mut pair = pair_of(1, Config::default());
    pair.weather.capacity = 8 << 10;
    pair.weather.delay = millis(20);
    for _ in 0..10 {
        send(&mut pair, Label::BACKGROUND, 200_000, Order::Sent);
    }
    pair.run(millis(100));
    let urgent = send(&mut pair, Label::INTERACTIVE, 10, Order::Sent);
    let began = pair.now();
    while fate(&mut pair, urgent) != Fate::Delivered {
        let until = began + secs(60);
        assert!(pair.step(until), "it arrives");
    }
    let sent: u64 = pair
        .paths()
        .iter()
        .map(|path| sent(&mut pair, Dialler, *path))
        .sum();
    assert!(sent < 500_000, "{sent} bytes went before it");
}

/// Many tiny messages over two paths, received as they come.
fn flood(count: usize) -> (usize, usize) {
    let config = Config::default();
    let mut pair = pair_of(2, config.clone());
    pair.weather.slices = 64;
    let body = bytes(10);
    let (mut sent, mut expected, mut most) = (0, 0, 0);
    while expected < count {
        let before = (sent, expected);
        while sent < count {
            let now = pair.now();
            let label = Label::ANY;
            let session = pair.session(Dialler);
            match session.send_message(now, label, &body, &Order::Sent, None) {
                Ok(Some(id)) => {
                    assert_eq!(id.0, sent as u64);
                    sent += 1;
                }
                Ok(None) => break,
                Err(refused) => panic!("{refused}"),
            }
        }
        let kept = End::BOTH.map(|end| pair.session(end).buffered());
        most = most.max(kept[0] + kept[1]);
        let soon = pair.now() + millis(1);
        while pair.step(soon) {}
        for message in receive(&mut pair, Listener) {
            assert_eq!(message.id.0, expected as u64, "in order, each once");
            assert_eq!(message.bytes, body);
            expected += 1;
        }
        for side in &mut pair.sides {
            side.events.clear();
        }
        assert!(pair.now() < start() + secs(1_000_000), "{before:?}");
    }
    let bound = 2 * config.worst_case_memory();
    (most, bound)
}

/// `MANCOM_MESSAGES` sets the number.
#[test]
fn fifty_thousand_tiny_messages_come_in_order_and_take_bounded_memory() {
    let asked = std::env::var("MANCOM_MESSAGES").ok();
    let count = asked.and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let (most, bound) = flood(count);
    assert!(most < 4 << 20, "{most} bytes kept");
    assert!(most < bound);
}

// behaviour: S21
#[test]
fn messages_written_piece_by_piece_go_beyond_the_buffer_one_at_a_time() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let mut writers = Vec::new();
    for _ in 0..20 {
        let now = pair.now();
        let order = Order::After(Vec::new());
        let begun = pair
            .session(Dialler)
            .begin_message(now, UNMETERED, &order, None);
        writers.push(begun.expect("taken").expect("room"));
    }
    // All of them half written, and no path that they may use.
    let body = bytes(48 << 10);
    let mut written = vec![0; writers.len()];
    let mut finished = 0;
    for round in 0.. {
        let now = pair.now();
        let mut moved = false;
        for (at, id) in writers.iter().enumerate().skip(finished) {
            let end = (written[at] + 5000).min(body.len());
            let session = pair.session(Dialler);
            let taken = session.write_message(now, *id, &body[written[at]..end]);
            written[at] += taken.expect("it lives");
            moved |= taken != Ok(0);
        }
        while finished < writers.len() && written[finished] == body.len() {
            let session = pair.session(Dialler);
            session
                .finish_message(now, writers[finished])
                .expect("it was begun");
            finished += 1;
            moved = true;
        }
        let kept = pair.session(Dialler).buffered();
        assert!(kept <= 2 * (64 << 10) + 20 * 512, "{kept} bytes");
        if finished == writers.len() {
            break;
        }
        if !moved {
            assert!(finished >= 1, "the first could be finished");
            // What was finished goes now, and the next one goes on: none waits for another for ever.
            meter(&mut pair, path, false);
            pair.run(secs(1));
            receive(&mut pair, Listener);
            pair.run(secs(1));
        }
        assert!(round < 1000, "{finished} are finished, {written:?}");
    }
    pair.run(secs(1));
    while !receive(&mut pair, Listener).is_empty() {
        pair.run(secs(1));
    }
    for id in writers {
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
    }
}

#[test]
fn a_message_that_is_given_another_urgency_as_it_is_written_stays_in_its_buffer() {
    let mut pair = pair(1);
    let path = pair.paths()[0];
    meter(&mut pair, path, true);
    let mut taken = 0;
    for _ in 0..20 {
        let now = pair.now();
        let session = pair.session(Dialler);
        let order = Order::After(Vec::new());
        let Some(id) = (session.begin_message(now, UNMETERED, &order, None)).expect("taken") else {
            break;
        };
        taken += session
            .write_message(now, id, &bytes(40_000))
            .expect("it lives");
        let label = UNMETERED.background();
        assert_eq!(session.relabel_message(now, id, label), Ok(()));
        session.finish_message(now, id).expect("it was begun");
    }
    assert!(taken > 64 << 10 && taken <= 2 * (64 << 10), "{taken} bytes");
}

// behaviour: I9
#[test]
fn messages_that_are_begun_and_not_written_keep_nobody_from_sending() {
    let mut pair = pair(1);
    let now = pair.now();
    let session = pair.session(Dialler);
    let begun = std::iter::from_fn(|| {
        let begun = session.begin_message(now, Label::ANY, &Order::Sent, None);
        begun.expect("the session lives")
    });
    let begun: Vec<MessageId> = begun.take(2 * MAX_WRITTEN).collect();
    assert_eq!(begun.len(), MAX_WRITTEN);
    let small = send(&mut pair, Label::ANY, 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [small]);
    let longest = send(&mut pair, Label::ANY, 64 << 10, Order::Sent);
    assert_eq!(arrive(&mut pair), [longest]);
    let now = pair.now();
    let session = pair.session(Dialler);
    while session.poll_event().is_some() {}
    let none = session.begin_message(now, Label::ANY, &Order::Sent, None);
    assert_eq!(none, Ok(None));
    assert_eq!(session.cancel_message(now, begun[0]), Ok(Fate::Cancelled));
    let room = std::iter::from_fn(|| session.poll_event());
    let room = room.filter(|event| *event == Event::MessageRoom(Urgency::Default));
    assert_eq!(room.count(), 1, "another may be begun");
    let another = session.begin_message(now, Label::ANY, &Order::Sent, None);
    assert!(matches!(another, Ok(Some(_))));
}
