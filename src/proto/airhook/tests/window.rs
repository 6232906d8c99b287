//! How much is under way, kept and wanted.

use super::*;

// behaviour: AH-16
#[test]
fn of_400_messages_255_go_at_once_in_4_packets() {
    let now = start();
    let mut a = fresh(now, 1);
    for _ in 0..400 {
        a.send(now, vec![0; 20]).unwrap();
    }
    let packets: Vec<_> = std::iter::from_fn(|| due(&mut a, now)).collect();
    let counts: Vec<_> = packets.iter().map(|packet| count(packet)).collect();
    assert_eq!((counts.iter().sum(), counts.len()), (255_usize, 4));
    let mut ends = [a, fresh(now, 2)];
    for packet in &packets {
        give(&mut ends[1], now, packet);
    }
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]).len(), 400);
}

// behaviour: AH-16
#[test]
fn at_most_253_packets_with_messages_are_under_way() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    for _ in 0..300 {
        a.send(now, vec![0; 20]).unwrap();
    }
    let small = |core: &mut Airhook| due_within(core, now, 30);
    let packets: Vec<_> = std::iter::from_fn(|| small(&mut a)).collect();
    assert!(packets.iter().all(|packet| count(packet) == 1));
    assert_eq!(packets.len(), 253);
    // What comes is acknowledged, in sequences of their own as long as there are some.
    let mut sequences = Vec::new();
    for _ in 0..5 {
        b.send(now, &b"x"[..]).unwrap();
        give(&mut a, now, &next(&mut b, now));
        let answer = small(&mut a).unwrap();
        assert_eq!(count(&answer), 0);
        assert_eq!(answer[1], b.sender.last().to_be_bytes()[1]);
        assert_eq!(small(&mut a), None);
        sequences.push(parsed(&answer).sequence);
    }
    sequences.dedup();
    assert_eq!(a.sender.open(), 254);
    assert_eq!(sequences.len(), 1, "one was left, and it is repeated");
    // All of them are lost but the last, and everything comes in the end.
    let mut ends = [a, b];
    exchange(&mut ends, now + SECOND);
    let [a, b] = &mut ends;
    assert_eq!(messages(a).len(), 5);
    assert_eq!(messages(b).len(), 300);
    assert_eq!((a.poll_timeout(), b.poll_timeout()), (None, None));
}

// behaviour: AH-17, AH-18
#[test]
fn what_is_wanted_is_the_window_less_what_is_queued() {
    let now = start();
    let mut ends = acquainted(now);
    assert_eq!(ends[0].wanted(), 32_768);
    for _ in 0..129 {
        ends[0].send(now, vec![0; 255]).unwrap();
    }
    assert_eq!(ends[0].wanted(), 32_768 - 129 * 255);
    assert!(ends[0].wanted() < 0);
    ends[0].send(now, &b"more"[..]).expect("it only advises");
    assert_eq!(ends[0].wanted(), 32_768 - 129 * 255 - 4);
    let before = ends[0].wanted();
    ends[0].set_settings(Settings {
        window: 40_000,
        ..Settings::default()
    });
    assert_eq!(ends[0].wanted(), before + 40_000 - 32_768);
    exchange(&mut ends, now);
    assert_eq!(ends[0].wanted(), 40_000);
    assert_eq!(messages(&mut ends[1]).len(), 130);
}

#[test]
fn the_queue_is_bounded() {
    let now = start();
    let mut ends = acquainted(now);
    ends[0].set_settings(Settings {
        queue: 10,
        ..Settings::default()
    });
    let ids: Vec<_> = (0..10)
        .map(|_| ends[0].send(now, &b"x"[..]).unwrap())
        .collect();
    let refused = ends[0].send(now, &b"x"[..]);
    assert_eq!(refused, Err(SendError::QueueFull));
    exchange(&mut ends, now);
    let refused = ends[0].send(now, &b"x"[..]);
    assert_eq!(refused, Err(SendError::QueueFull), "their ends are kept");
    assert_eq!(statuses(&mut ends[0]).len(), ids.len());
    ends[0].send(now, &b"x"[..]).unwrap();
    assert!(ends[0].sender.is_bounded(10));
}

#[test]
fn what_is_not_taken_is_bounded_and_not_confirmed() {
    let mut now = start();
    let mut ends = acquainted(now);
    for _ in 0..6_000 {
        ends[0].send(now, &b"x"[..]).unwrap();
    }
    let mut refused = 0;
    for _ in 0..200 {
        let [a, b] = &mut ends;
        while let Some(packet) = due(a, now) {
            match b.receive(now, &packet) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, ReceiveError::Full);
                    refused += 1;
                }
            }
        }
        while let Some(packet) = due(b, now) {
            give(a, now, &packet);
        }
        now += SECOND;
    }
    assert!(refused > 0 && ends[1].incoming.len() < MAX_INCOMING + 255);
    let confirmed = statuses(&mut ends[0]);
    let confirmed = confirmed.iter().filter(|(_, s)| *s == State::Confirmed);
    let taken = messages(&mut ends[1]).len();
    assert_eq!(confirmed.count(), taken);
    exchange(&mut ends, now + SECOND);
    assert_eq!(taken + messages(&mut ends[1]).len(), 6_000);
}

#[test]
fn a_confirmation_tells_when_its_packet_was_made() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    a.send(now, &b"x"[..]).unwrap();
    let packet = next(&mut a, now);
    give(&mut b, now + SECOND / 2, &packet);
    let answer = next(&mut b, now + SECOND / 2);
    give(&mut a, now + SECOND, &answer);
    let status = a.status();
    assert_eq!(status.last_response, Some(now));
    assert_eq!(status.last_transmit, Some(now));
    assert_eq!(status.last_received, Some(now + SECOND));
}

// behaviour: AH-16
#[test]
fn an_end_that_only_acknowledged_for_long_can_speak() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let packets: Vec<_> = (0..253)
        .map(|_| {
            a.send(now, &b"x"[..]).unwrap();
            next(&mut a, now)
        })
        .collect();
    // Each is acknowledged before the first acknowledgement is there.
    let answers: Vec<_> = packets
        .iter()
        .map(|packet| {
            give(&mut b, now, packet);
            next(&mut b, now)
        })
        .collect();
    for answer in &answers {
        give(&mut a, now, answer);
    }
    b.send(now, &b"y"[..]).unwrap();
    let mut ends = [a, b];
    for seconds in 0..3 {
        exchange(&mut ends, now + seconds * SECOND);
    }
    assert_eq!(messages(&mut ends[0]), ["y"]);
    assert!(ends.iter().all(|end| end.poll_timeout().is_none()));
}

// behaviour: AH-16
#[test]
fn two_ends_that_called_for_long_in_vain_find_each_other() {
    let now = start();
    let mut ends = [fresh(now, 1), fresh(now, 2)];
    let call = next(&mut ends[0], now);
    let answers = [(); 2].map(|()| {
        for end in &mut ends {
            end.send(now, &b"x"[..]).unwrap();
        }
        next(&mut ends[1], now)
    });
    for _ in 0..300 {
        for end in &mut ends {
            end.send(now, &b"x"[..]).unwrap();
            due_within(end, now, 30);
        }
    }
    // Each hears that the other is there, and then each that it is known.
    give(&mut ends[0], now, &answers[0]);
    give(&mut ends[1], now, &call);
    let introductions = ends.each_mut().map(|end| next(end, now));
    for (end, introduction) in ends.iter_mut().zip(introductions.iter().rev()) {
        give(end, now, introduction);
    }
    for seconds in 0..3 {
        exchange(&mut ends, now + seconds * SECOND);
    }
    for end in &mut ends {
        assert_eq!(messages(end).len(), 302);
        assert_eq!(end.status().remote_state, State::Confirmed);
        assert_eq!(end.poll_timeout(), None);
    }
}

// behaviour: AH-13
#[test]
fn an_acknowledgement_of_before_is_none_of_what_has_its_number_now() {
    let now = start();
    let mut ends = acquainted(now);
    ends[1].send(now, &b"x"[..]).unwrap();
    exchange(&mut ends, now);
    let [mut a, mut b] = ends;
    while a.poll_event().is_some() {}
    let fills = |end: &mut Airhook| {
        let mut packets = Vec::new();
        while end.sender.open() < 253 {
            end.send(now, &b"x"[..]).unwrap();
            packets.push(next(end, now));
        }
        packets
    };
    let packets = fills(&mut a);
    // One that has but one sequence left acknowledges the first in that, and then more in the same.
    fills(&mut b);
    give(&mut b, now, &packets[0]);
    let late = next(&mut b, now);
    for packet in &packets[1..4] {
        give(&mut b, now, packet);
        let probe = next(&mut b, now);
        assert_eq!(probe[2..4], late[2..4], "the same sequence");
        give(&mut a, now, &probe);
        a.send(now, &b"x"[..]).unwrap();
        next(&mut a, now);
    }
    fills(&mut a);
    // Taken for a later one, it would acknowledge all that is under way.
    assert_eq!(a.sender.open(), 253);
    assert_eq!(late[1], a.sender.last().to_be_bytes()[1]);
    assert_eq!(give(&mut a, now, &late), Received::Old);
    let confirmed = statuses(&mut a);
    let confirmed = confirmed.iter().filter(|(_, s)| *s == State::Confirmed);
    assert_eq!(confirmed.count(), 4, "as many as have come");
}
