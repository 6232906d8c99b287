//! Who is there.

use super::*;

/// What a stranger says before it knows anything: a sequence and its number.
fn announcement(number: u32) -> Vec<u8> {
    [&[8, 0, 0, 1][..], &number.to_be_bytes()].concat()
}

// behaviour: AH-24
#[test]
fn both_find_each_other_and_then_tell_no_session() {
    let now = start();
    let mut ends = [fresh(now, 1), fresh(now, 2)];
    let states = |end: &Airhook| (end.status().state, end.status().remote_state);
    assert_eq!(states(&ends[0]), (State::Pending, State::Pending));
    // They call at the same time.
    let called = [0, 1].map(|end| next(&mut ends[end], now));
    for end in 0..2 {
        give(&mut ends[1 - end], now, &called[end]);
        assert_eq!(states(&ends[1 - end]), (State::Sent, State::Pending));
    }
    let asked = next(&mut ends[0], now);
    assert_eq!(states(&ends[0]), (State::Sent, State::Sent));
    give(&mut ends[1], now, &asked);
    assert_eq!(states(&ends[1]), (State::Confirmed, State::Pending));
    exchange(&mut ends, now);
    for (end, other) in [(0, 2), (1, 1)] {
        assert_eq!(states(&ends[end]), (State::Confirmed, State::Confirmed));
        assert_eq!(ends[end].status().remote_session, Some(session(other)));
    }
    ends[0].send(now, &b"x"[..]).unwrap();
    for (_, packet) in exchange(&mut ends, now) {
        assert_eq!(packet[0] & 0x18, 0, "{packet:?}");
    }
}

// behaviour: AH-24
#[test]
fn one_that_is_alone_calls_at_the_interval() {
    let mut now = start();
    let mut core = fresh(now, 1);
    let first = next(&mut core, now);
    for _ in 0..500 {
        assert_eq!(core.poll_timeout(), Some(now + SECOND));
        now += SECOND;
        assert_eq!(next(&mut core, now), first);
    }
}

// behaviour: AH-21
#[test]
fn a_stranger_is_asked_and_changes_nothing() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let before = a.status();
    assert_eq!(give(&mut a, now, &announcement(3)), Received::Stranger);
    let asks = next(&mut a, now);
    let parts = parsed(&asks);
    assert_eq!(parts.observed_session, Some(session(3)));
    assert_eq!(parts.session, Some(before.session));
    assert_eq!((asks.len(), asks[1]), (12, 0));
    assert_eq!(due(&mut a, now), None, "it is asked once");
    assert_eq!(a.status(), before);
    assert_eq!(a.poll_event(), None);
    // The peer is not impressed, and the link goes on.
    assert_eq!(b.receive(now, &asks), Err(ReceiveError::OtherSession));
    a.send(now, &b"x"[..]).unwrap();
    let mut ends = [a, b];
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]), ["x"]);
    ends[0].send(now, &b"y"[..]).unwrap();
    let told = exchange(&mut ends, now);
    assert!(told.iter().all(|(_, packet)| packet[0] & 0x18 == 0));
}

// behaviour: AH-21
#[test]
fn a_crowd_of_strangers_changes_nothing() {
    let now = start();
    let mut ends = acquainted(now);
    for number in 100..10_100 {
        give(&mut ends[0], now, &announcement(number));
        next(&mut ends[0], now);
    }
    assert!(ends[0].sender.is_bounded(0));
    ends[0].send(now, &b"x"[..]).unwrap();
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]), ["x"]);
}

// behaviour: AH-21
#[test]
fn a_crowd_of_strangers_does_not_keep_the_first_peer_away() {
    let now = start();
    let mut a = fresh(now, 1);
    a.send(now, &b"x"[..]).unwrap();
    for number in 100..10_100 {
        give(&mut a, now, &announcement(number));
        next(&mut a, now);
    }
    assert!(a.sender.is_bounded(1));
    let mut ends = [a, fresh(now, 2)];
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]), ["x"]);
    assert_eq!(ends[0].status().remote_state, State::Confirmed);
}

// behaviour: AH-22
#[test]
fn a_packet_for_another_session_is_rejected() {
    let now = start();
    let [mut a, b] = acquainted(now);
    let sequence = b.sender.last().wrapping_add(1).to_be_bytes();
    let observed = a.sender.last().to_be_bytes()[1];
    let for_whom = |whom: u32| {
        let head = [0x10, observed, sequence[0], sequence[1]];
        [&head[..], &whom.to_be_bytes(), &[0, b'x']].concat()
    };
    let others = a.receive(now, &for_whom(0x0a0a_0a0b));
    assert_eq!(others, Err(ReceiveError::OtherSession));
    assert_eq!(a.poll_event(), None);
    assert_eq!(a.poll_timeout(), None);
    assert_eq!(give(&mut a, now, &for_whom(0x0a0a_0a0a)), Received::New);
    assert_eq!(messages(&mut a), ["x"]);
}

// behaviour: AH-23
#[test]
fn an_acknowledgement_of_what_was_never_sent_is_rejected() {
    let now = start();
    let [mut a, b] = acquainted(now);
    let sequence = b.sender.last().wrapping_add(1).to_be_bytes();
    let last = a.sender.last().to_be_bytes()[1];
    for never in 1..=255_u8 {
        let packet = [0, last.wrapping_add(never), sequence[0], sequence[1], 0, 1];
        assert_eq!(a.receive(now, &packet), Err(ReceiveError::NeverSent));
    }
    assert_eq!(a.poll_event(), None);
    let packet = [0, last, sequence[0], sequence[1], 0, 1];
    assert_eq!(give(&mut a, now, &packet), Received::New);
}

#[test]
fn a_packet_far_out_of_sequence_is_rejected() {
    let now = start();
    let [mut a, b] = acquainted(now);
    let observed = a.sender.last().to_be_bytes()[1];
    for far in [256, 1_000, 0x8000, 0xff00] {
        let sequence = b.sender.last().wrapping_add(far).to_be_bytes();
        let packet = [0, observed, sequence[0], sequence[1], 0, 1];
        assert_eq!(a.receive(now, &packet), Err(ReceiveError::OutOfSequence));
    }
    assert_eq!(a.poll_event(), None);
}

// behaviour: AH-20
#[test]
fn before_the_peer_is_known_a_packet_must_tell_its_session() {
    let now = start();
    let mut core = fresh(now, 1);
    assert_eq!(
        core.receive(now, &[0, 0, 0, 2, 0, 1]),
        Err(ReceiveError::NoSession)
    );
    assert_eq!(
        core.receive(now, &[0, 1, 0, 2]),
        Err(ReceiveError::NoSession)
    );
    let zero = [8, 0, 0, 2, 0, 0, 0, 0];
    assert_eq!(core.receive(now, &zero), Err(ReceiveError::NoSession));
    assert_eq!(core.poll_event(), None);
}

#[test]
fn our_own_packets_sent_back_are_rejected() {
    let now = start();
    let mut core = fresh(now, 1);
    let mut answers = 0;
    core.send(now, &b"x"[..]).unwrap();
    for turn in 0..10 {
        while let Some(packet) = due(&mut core, now + turn * SECOND) {
            assert_eq!(core.receive(now, &packet), Err(ReceiveError::PastSession));
            answers += 1;
        }
    }
    assert_eq!(answers, 10, "a call each interval");
    assert!(messages(&mut core).is_empty());
}
