//! What a broken or hostile peer sends. Everything ends its path, and the session goes on.

use proptest::prelude::*;

use super::*;
use crate::proto::cases::cases;
use crate::proto::session::frame::{self, PartHeader, kind, put_label, put_ranges, put_withdraw};
use crate::proto::session::{PathEnd, ProtocolError};

fn inject_at(pair: &mut Pair, end: End, bytes: &[u8]) -> Result<(), ProtocolError> {
    let (now, path) = (pair.now(), pair.paths()[0]);
    pair.session(end).receive(now, path, bytes)
}

/// At the listener, after a definition of label 9 (default), 10 (interactive).
fn inject(pair: &mut Pair, bytes: &[u8]) -> Result<(), ProtocolError> {
    let mut all = Vec::new();
    put_label(&mut all, 9, &Label::ANY.to_string());
    put_label(&mut all, 10, &Label::INTERACTIVE.to_string());
    all.extend_from_slice(bytes);
    inject_at(pair, Listener, &all)
}

/// The path that was broken has ended, the session has not, and works by another.
fn lives_on(pair: &mut Pair, end: End, error: ProtocolError) {
    pair.run(millis(1));
    let events = &pair.sides[end as usize].events;
    let ended = events.iter().any(
        |event| matches!(event, Event::PathClosed(_, PathEnd::Protocol(why)) if *why == error),
    );
    assert!(ended, "{error:?} of {events:?}");
    assert_eq!(pair.session(end).closed(), None);
    for path in pair.paths() {
        pair.cut(path);
    }
    pair.run(millis(100));
    pair.dial(3).expect("the session lives");
    if end == Listener {
        // What was injected there, the dialler never sent: it may not like what it is told of that.
        assert_eq!(pair.session(Listener).paths().len(), 1);
        return;
    }
    let now = pair.now();
    let stream = pair.session(Dialler).open(now, Label::ANY).expect("room");
    let _ = pair
        .session(Dialler)
        .write(now, stream, Label::ANY, b"still here");
    pair.run(secs(1));
    let _ = pair.read_all(Listener, stream);
    assert_eq!(pair.sides[1].read[&stream], b"still here");
}

fn header(seq: u64, length: u32, offset: u32, payload: u32) -> PartHeader {
    PartHeader {
        waiting: false,
        label: 9,
        seq,
        length,
        offset,
        payload,
    }
}

fn first(seq: u64, length: u32, below: u64, after: &[u64]) -> Vec<u8> {
    let mut out = header(seq, length, 0, length).encode_first(seq, below, after);
    out.extend_from_slice(&bytes(length as usize));
    out
}

fn part(seq: u64, length: u32, offset: u32, payload: u32) -> Vec<u8> {
    let mut out = header(seq, length, offset, payload).encode();
    out.extend_from_slice(&bytes(length as usize)[offset as usize..][..payload as usize]);
    out
}

fn token(frame: u8, seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_token(&mut out, frame, seq);
    out
}

fn withdraw(seq: u64, charge: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_withdraw(&mut out, seq, 1, charge);
    out
}

fn refused(bytes: &[u8], expected: ProtocolError) {
    let mut pair = pair(1);
    let error = inject(&mut pair, bytes).expect_err("it breaks the protocol");
    assert_eq!(error, expected);
    lives_on(&mut pair, Listener, error);
}

// behaviour: K4
#[test]
fn what_comes_after_a_later_message_or_itself_ends_the_path() {
    refused(&first(3, 1, 0, &[1, 3]), ProtocolError::BadOrder);
    refused(&first(3, 1, 0, &[u64::MAX]), ProtocolError::BadOrder);
    refused(&first(3, 1, 4, &[]), ProtocolError::BadOrder);
}

// behaviour: K4 K5
#[test]
fn what_is_beyond_the_credit_or_its_own_end_ends_the_path() {
    let window = 64 << 10;
    refused(
        &header(0, window + 1, 0, 0).encode(),
        ProtocolError::BeyondCredit,
    );
    refused(
        &header(0, u32::MAX, 0, 0).encode(),
        ProtocolError::BeyondCredit,
    );
    refused(&header(0, 10, 5, 6).encode(), ProtocolError::BeyondEnd);
    refused(
        &header(0, 10, u32::MAX, 6).encode(),
        ProtocolError::BeyondEnd,
    );
    refused(
        &header(1 << 62, 10, 0, 1).encode(),
        ProtocolError::BeyondCredit,
    );
    let two = [
        header(0, window, 0, 0).encode(),
        header(1, window, 0, 0).encode(),
    ];
    refused(&two.concat(), ProtocolError::BeyondCredit);
    // Each of the smallest takes its least.
    let many: Vec<u8> = (0..1000).flat_map(|seq| part(seq, 2, 1, 1)).collect();
    refused(&many, ProtocolError::BeyondCredit);
    let gone: Vec<u8> = (0..1000).flat_map(|seq| withdraw(seq, 70_000)).collect();
    refused(&gone, ProtocolError::BeyondCredit);
}

// behaviour: K4
#[test]
fn parts_that_contradict_each_other_end_the_path() {
    let other = [part(0, 10, 0, 2), part(0, 11, 2, 2)].concat();
    refused(&other, ProtocolError::Malformed);
    let mut label = part(0, 10, 2, 2);
    label[5] = 10;
    refused(
        &[part(0, 10, 0, 2), label].concat(),
        ProtocolError::Malformed,
    );
    let mut unknown = part(0, 10, 2, 2);
    unknown[5] = 11;
    refused(&unknown, ProtocolError::BadLabel);
}

// behaviour: K5
#[test]
fn heads_and_lists_longer_than_allowed_are_refused_before_they_are_read() {
    let mut long = vec![kind::MSG_FIRST];
    long.extend_from_slice(&[0xff, 0xff, 0xff]);
    refused(&long, ProtocolError::FrameTooLong);
    let mut named = first(9, 0, 0, &[]);
    *named.last_mut().expect("its count") = 65;
    refused(&named, ProtocolError::Malformed);
    for (frame, most) in [(kind::MSG_ACK, 63_u8), (kind::MSG_HAVE, 9)] {
        let mut bytes = vec![frame, 0, 4, 0];
        bytes.resize(1028, 0);
        bytes[if frame == kind::MSG_ACK { 12 } else { 20 }] = most;
        refused(&bytes, ProtocolError::Malformed);
    }
    refused(
        &[kind::WITHDRAW, 0, 0, 3, 1, 2, 3],
        ProtocolError::Malformed,
    );
    refused(&[0x28, 0, 0, 0], ProtocolError::UnknownFrame(0x28));
}

// behaviour: K9
#[test]
fn an_acknowledgement_of_what_was_not_sent_ends_the_path() {
    let ack = |watermark: u64, ranges: &[(u64, u64)]| {
        let mut out = Vec::new();
        put_ranges(&mut out, kind::MSG_ACK, &[watermark], ranges);
        out
    };
    let have = |seq: u64, units: u64, ranges: &[(u64, u64)]| {
        let mut out = Vec::new();
        put_ranges(&mut out, kind::MSG_HAVE, &[seq, units], ranges);
        out
    };
    // Number 0 is delivered, 1 sent in part, 2 not at all.
    let broken = [
        (ack(0, &[]), ProtocolError::AckWentBack),
        (ack(2, &[]), ProtocolError::AckOfUnsent),
        (ack(1, &[(1, 2)]), ProtocolError::AckOfUnsent),
        (ack(u64::MAX, &[]), ProtocolError::AckOfUnsent),
        (ack(1, &[(1, u64::MAX)]), ProtocolError::AckOfUnsent),
        (ack(1, &[(3, 3)]), ProtocolError::Malformed),
        (ack(1, &[(3, 2)]), ProtocolError::Malformed),
        (have(1, 40_001, &[]), ProtocolError::AckOfUnsent),
        (have(1, 0, &[(5, 5)]), ProtocolError::Malformed),
        (have(1, 0, &[(0, u64::MAX)]), ProtocolError::AckOfUnsent),
        (have(9, 1, &[]), ProtocolError::AckOfUnsent),
        (token(kind::WITHDRAWN, 1), ProtocolError::AckOfUnsent),
        (token(kind::WITHDRAWN, 9), ProtocolError::AckOfUnsent),
    ];
    for (bytes, expected) in broken {
        let mut pair = pair(1);
        let done = send(&mut pair, Label::ANY, 10, Order::Sent);
        pair.run(secs(1));
        assert_eq!(fate(&mut pair, done), Fate::Delivered);
        pair.weather.capacity = 1000;
        pair.weather.delay = secs(1);
        send(&mut pair, Label::ANY, 40_000, Order::Sent);
        send(&mut pair, Label::ANY, 10, Order::Sent);
        pair.session(Dialler).config.max_frame = 2000;
        pair.run(millis(1));
        let out = &pair.session(Dialler).messages.out;
        let sent: Vec<bool> = out.records.values().map(|r| r.sent_whole).collect();
        let error = match inject_at(&mut pair, Dialler, &bytes) {
            Err(error) => error,
            // All of it was planned at once: then it may be acknowledged.
            Ok(()) => {
                assert!(sent[0], "{bytes:?} was taken");
                continue;
            }
        };
        assert_eq!(error, expected, "{bytes:?}");
        pair.weather = Default::default();
        lives_on(&mut pair, Dialler, error);
    }
}

// behaviour: K9
#[test]
fn a_peer_that_forgot_what_it_had_ends_the_session() {
    let mut pair = pair(1);
    send(&mut pair, Label::ANY, 10, Order::Sent);
    pair.run(secs(1));
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(secs(1));
    pair.session(Listener).messages.inn = incoming::Incoming::new(64 << 10);
    pair.dial(1).expect("a path");
    pair.run(secs(1));
    assert_eq!(
        pair.session(Dialler).closed(),
        Some(CloseReason::PeerRolledBack)
    );
}

// behaviour: K4
#[test]
fn numbers_with_too_many_gaps_and_too_many_given_up_end_the_path() {
    let gaps = 3 * MAX_UNSETTLED as u64 + 2;
    let every_other: Vec<u8> = (0..gaps)
        .flat_map(|n| token(kind::FORGET, 2 * n + 1))
        .collect();
    refused(&every_other, ProtocolError::TooManyMessages);
    // Credit comes back at once for what is given up, and yet there is an end to it.
    let mut inn = incoming::Incoming::new(64 << 10);
    let mut given_up = 0;
    let error = loop {
        if let Err(error) = inn.withdraw(given_up, 1, 1) {
            break error;
        }
        inn.grant(1);
        given_up += 1;
    };
    assert_eq!(error, ProtocolError::TooManyMessages);
    assert_eq!(given_up, gaps - 1);
    refused(
        &[part(0, 10, 0, 1), token(kind::FORGET, 0)].concat(),
        ProtocolError::Malformed,
    );
}

// behaviour: K4
#[test]
fn pieces_out_of_order_are_bounded() {
    let window = 64 << 10;
    let mut pair = pair(1);
    let mut all = Vec::new();
    for offset in (1..window - 1).step_by(2) {
        all.extend(header(0, window, offset, 1).encode());
        all.push(1);
    }
    let error = inject(&mut pair, &all).expect_err("too many");
    assert_eq!(error, ProtocolError::TooManyPieces);
    lives_on(&mut pair, Listener, error);
}

#[test]
fn parts_are_found_however_they_are_cut_twice_and_overlapping() {
    let mut pair = pair(1);
    let length = 100;
    let mut all = Vec::new();
    for (offset, payload) in [(50, 50), (20, 40), (0, 30), (90, 10), (0, 100)] {
        all.extend(part(0, length, offset, payload));
    }
    all.extend(first(0, length, 0, &[]));
    all.extend(first(0, length, 0, &[]));
    all.extend(first(1, 0, 1, &[0]));
    inject(&mut pair, &[]).expect("labels");
    for byte in all {
        inject_at(&mut pair, Listener, &[byte]).expect("well formed");
    }
    let received = receive(&mut pair, Listener);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].bytes, bytes(100));
    assert!(received[1].bytes.is_empty());
}

fn frame_of() -> impl Strategy<Value = Vec<u8>> {
    let seq = || prop_oneof![0..6u64, Just(u64::MAX), Just((1 << 62) - 1)];
    let small = || 0..40u32;
    prop_oneof![
        (seq(), small(), small(), small(), any::<bool>()).prop_map(
            |(seq, length, offset, payload, far)| {
                let offset = if far { u32::MAX } else { offset };
                let mut out = header(seq, length, offset, payload).encode();
                out.resize(out.len() + payload as usize, 7);
                out
            }
        ),
        (seq(), small(), seq(), prop::collection::vec(seq(), 0..4))
            .prop_map(|(seq, length, below, after)| first(seq, length, below, &after)),
        (seq(), 0..300u64).prop_map(|(seq, charge)| withdraw(seq, charge)),
        (
            prop_oneof![Just(kind::WITHDRAWN), Just(kind::FORGET)],
            seq()
        )
            .prop_map(|(frame, seq)| token(frame, seq)),
        (seq(), seq(), seq()).prop_map(|(watermark, start, end)| {
            let mut out = Vec::new();
            put_ranges(&mut out, kind::MSG_ACK, &[watermark], &[(start, end)]);
            out
        }),
        (seq(), seq(), seq(), seq()).prop_map(|(seq, units, start, end)| {
            let mut out = Vec::new();
            put_ranges(&mut out, kind::MSG_HAVE, &[seq, units], &[(start, end)]);
            out
        }),
        (0..4u8, seq()).prop_map(|(urgency, highest)| {
            let mut out = Vec::new();
            frame::put_message_credit(&mut out, urgency, highest);
            out
        }),
        (0x20..0x2au8, prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(kind, body)| {
            let mut out = vec![kind, 0, 0, body.len() as u8];
            out.extend(body);
            out
        }),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    // behaviour: K4
    #[test]
    fn any_frames_at_any_state_panic_nobody_and_stay_in_bounds(
        frames in prop::collection::vec((any::<bool>(), frame_of()), 1..40),
        states in prop::collection::vec(0..4u8, 0..6),
    ) {
        let mut pair = pair(1);
        for state in states {
            let id = send(&mut pair, Label::ANY, 3000, Order::Sent);
            let now = pair.now();
            match state {
                0 => pair.run(millis(1)),
                1 => pair.run(millis(30)),
                2 => drop(pair.session(Dialler).cancel_message(now, id)),
                _ => drop(receive(&mut pair, Listener)),
            }
        }
        for (to_listener, bytes) in frames {
            let Some(path) = pair.paths().first().copied() else { break };
            let end = if to_listener { Listener } else { Dialler };
            let mut all = Vec::new();
            put_label(&mut all, 9, &Label::ANY.to_string());
            all.extend(bytes);
            let now = pair.now();
            if pair.session(end).receive(now, path, &all).is_err() {
                pair.run(millis(50));
                let _ = pair.dial(1);
            }
            let _ = receive(&mut pair, Listener);
            let most = small().worst_case_memory();
            prop_assert!(pair.session(Listener).buffered() < most);
        }
        pair.run(secs(10));
    }
}

// behaviour: S1
#[test]
fn what_was_said_on_a_path_before_another_went_is_no_forgetting() {
    let mut pair = pair_of(1, Config::default());
    let (old, now) = (pair.paths()[0], pair.now());
    let path = pair.session(Dialler).next_path(1);
    let listener = pair.session(Listener);
    listener.attach(now, path, anywhere()).expect("it lives");
    let mut slices = [std::io::IoSlice::new(&[]); 16];
    let count = listener.transmit(now, path, &mut slices);
    let said: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
    listener.transmitted(now, path, said.len());
    // It is on its way while a message is acknowledged by the old path, which goes then.
    let id = send(&mut pair, Label::ANY, 100, Order::Sent);
    assert_eq!(arrive(&mut pair), [id]);
    assert_eq!(fate(&mut pair, id), Fate::Delivered);
    let now = pair.now();
    let dialler = pair.session(Dialler);
    dialler.lose(now, old);
    dialler.attach(now, path, anywhere()).expect("it lives");
    dialler.receive(now, path, &said).expect("honest");
    assert_eq!(dialler.closed(), None);
}
