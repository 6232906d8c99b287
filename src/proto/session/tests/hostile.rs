//! What a broken or hostile peer sends.

use proptest::prelude::*;

use super::*;
use crate::proto::session::frame::{self, kind};

/// Sends bytes to the listener on the only path.
fn inject(pair: &mut Pair, bytes: &[u8]) -> Result<(), ProtocolError> {
    let path = pair.paths()[0];
    inject_on(pair, path, bytes)
}

fn inject_on(pair: &mut Pair, path: PathId, bytes: &[u8]) -> Result<(), ProtocolError> {
    let now = pair.now();
    pair.session(End::Listener).receive(now, path, bytes)
}

/// The path that was broken has ended, the session has not, and works by another.
fn lives_on(pair: &mut Pair, error: ProtocolError) {
    while let Some(event) = pair.session(End::Listener).poll_event() {
        pair.sides[1].events.push(event);
    }
    let ended = pair.sides[1].events.iter().any(
        |event| matches!(event, Event::PathClosed(_, PathEnd::Protocol(why)) if *why == error),
    );
    assert!(ended, "{:?}", pair.sides[1].events);
    assert_eq!(pair.session(End::Listener).closed(), None);
    for path in pair.paths() {
        pair.cut(path);
    }
    pair.run(Duration::from_millis(100));
    pair.dial(1).expect("the session lives");
    let id = opened(pair, End::Dialler);
    send_all(pair, End::Dialler, id, b"still here");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], b"still here");
}

/// An opened stream that both ends know.
fn known(pair: &mut Pair) -> StreamId {
    let id = opened(pair, End::Dialler);
    send_all(pair, End::Dialler, id, b"x");
    pair.run(Duration::from_secs(1));
    id
}

fn data(stream: StreamId, offset: u64, payload: u32) -> Vec<u8> {
    let header = frame::DataHeader {
        waiting: false,
        label: 0,
        stream,
        offset,
        payload,
    };
    header.encode().to_vec()
}

// behaviour: K4, K5
#[test]
fn a_frame_longer_than_allowed_is_refused_before_anything_is_kept() {
    for first in [kind::DATA, kind::ACK, kind::LABEL, 0x91] {
        let mut pair = pair();
        let error = inject(&mut pair, &[first, 0xff, 0xff, 0xff]).expect_err("too long");
        assert_eq!(error, ProtocolError::FrameTooLong);
        lives_on(&mut pair, error);
    }
}

#[test]
fn an_unknown_frame_is_skipped_only_if_it_says_so() {
    let mut pair = pair();
    let mut skipped = vec![0xe7, 0, 0x10, 0];
    skipped.extend_from_slice(&[9; 0x1000]);
    for piece in skipped.chunks(100) {
        inject(&mut pair, piece).expect("skipped");
    }
    let error = inject(&mut pair, &[0x67, 0, 0, 0]).expect_err("unknown");
    assert_eq!(error, ProtocolError::UnknownFrame(0x67));
    lives_on(&mut pair, error);
}

#[test]
fn frames_are_found_however_they_are_cut() {
    let mut pair = pair();
    let id = known(&mut pair);
    let mut bytes = data(id, 1, 5);
    bytes.extend_from_slice(b"hello");
    frame::put_token(&mut bytes, kind::PING, 7);
    frame::put_offset(&mut bytes, kind::FIN, id, 6);
    for byte in bytes {
        inject(&mut pair, &[byte]).expect("well formed");
    }
    assert_eq!(pair.read_all(End::Listener, id), Ok(true));
    assert_eq!(pair.sides[1].read[&id], b"xhello");
}

// behaviour: K4
#[test]
fn a_frame_beyond_its_credit_ends_the_path() {
    let mut pair = pair();
    let id = known(&mut pair);
    let error = inject(&mut pair, &data(id, (64 << 10) - 3, 4)).expect_err("beyond");
    assert_eq!(error, ProtocolError::BeyondCredit);
    lives_on(&mut pair, error);
}

#[test]
fn an_offset_that_overflows_ends_the_path() {
    let mut pair = pair();
    let id = known(&mut pair);
    let error = inject(&mut pair, &data(id, u64::MAX, 4)).expect_err("beyond");
    assert_eq!(error, ProtocolError::BeyondCredit);
    let mut fin = Vec::new();
    frame::put_offset(&mut fin, kind::FIN, id, u64::MAX);
    pair.dial(1).expect("the session lives");
    let path = pair.paths()[1];
    let error = inject_on(&mut pair, path, &fin).expect_err("beyond");
    assert_eq!(error, ProtocolError::BeyondCredit);
}

// behaviour: K4
#[test]
fn payload_of_a_stream_that_is_over_may_claim_any_offset() {
    let mut pair = pair();
    let id = known(&mut pair);
    for end in End::BOTH {
        let now = pair.now();
        pair.session(end).shutdown(now, id);
        pair.session(end).release(now, id);
    }
    pair.run(Duration::from_secs(1));
    assert!(!pair.session(End::Listener).streams.contains_key(&id));
    let late = [&data(id, u64::MAX, 4)[..], b"late"].concat();
    for piece in late.chunks(17) {
        assert_eq!(inject(&mut pair, piece), Ok(()));
    }
    assert_eq!(pair.session(End::Listener).paths().len(), 1);
}

// behaviour: K9
#[test]
fn an_acknowledgement_of_what_was_never_sent_ends_the_path() {
    for (offset, sacks) in [(2, vec![]), (0, vec![(5, 9)]), (u64::MAX, vec![])] {
        let mut pair = pair();
        let id = known(&mut pair);
        let mut ack = Vec::new();
        frame::put_ack(&mut ack, id, offset, &sacks);
        let error = inject(&mut pair, &ack).expect_err("never sent");
        assert_eq!(error, ProtocolError::AckOfUnsent);
        lives_on(&mut pair, error);
    }
}

/// The listener has sent 100 bytes, and they are acknowledged.
fn acknowledged() -> (Pair, StreamId) {
    let mut pair = pair();
    let id = known(&mut pair);
    send_all(&mut pair, End::Listener, id, &[1; 100]);
    pair.run(Duration::from_secs(1));
    (pair, id)
}

fn ack(id: StreamId, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put_ack(&mut bytes, id, offset, &[]);
    bytes
}

// behaviour: K9
#[test]
fn a_lower_acknowledgement_ends_its_own_path_and_is_ignored_on_another() {
    let (mut pair, id) = acknowledged();
    let path = pair.dial(1).expect("the session lives");
    inject_on(&mut pair, path, &ack(id, 50)).expect("an older word by another path");
    let first = pair.paths()[0];
    let error = inject_on(&mut pair, first, &ack(id, 99)).expect_err("it went back");
    assert_eq!(error, ProtocolError::AckWentBack);
    lives_on(&mut pair, error);
}

// behaviour: K9
#[test]
fn a_peer_that_forgot_what_it_acknowledged_ends_the_session() {
    let (mut pair, id) = acknowledged();
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(Duration::from_millis(100));
    let path = pair.dial(0).expect("the session lives");
    inject_on(&mut pair, path, &ack(id, 99)).expect("the path itself is fine");
    let reason = CloseReason::PeerRolledBack;
    assert_eq!(pair.session(End::Listener).closed(), Some(reason));
    let now = pair.now();
    assert_eq!(
        pair.session(End::Listener)
            .write(now, id, Label::ANY, b"more"),
        Err(StreamError::Closed(reason))
    );
    pair.run(Duration::from_secs(1));
    let told = CloseReason::PeerClosed(reason.code());
    assert_eq!(pair.session(End::Dialler).closed(), Some(told));
}

#[test]
fn frames_for_streams_that_nobody_opened_end_the_path() {
    // The dialler's second, and the listener's own first.
    for stranger in [StreamId(2), StreamId(1)] {
        let mut frames = vec![data(stranger, 0, 1), ack(stranger, 0)];
        for frame in [kind::FIN, kind::CREDIT] {
            frames.push(Vec::new());
            frame::put_offset(frames.last_mut().expect("pushed"), frame, stranger, 1);
        }
        for frame in [kind::GONE, kind::RESET_ACK] {
            frames.push(Vec::new());
            frame::put_stream(frames.last_mut().expect("pushed"), frame, stranger);
        }
        let mut reset = Vec::new();
        frame::put_reset(&mut reset, stranger, true, 0);
        frames.push(reset);
        let mut stop = Vec::new();
        frame::put_stop(&mut stop, stranger, 0);
        frames.push(stop);
        for bytes in frames {
            let mut pair = pair();
            known(&mut pair);
            let error = inject(&mut pair, &bytes).expect_err("nobody opened it");
            assert_eq!(error, ProtocolError::UnknownStream, "{bytes:?}");
        }
    }
}

#[test]
fn a_label_number_without_a_definition_ends_the_path() {
    let mut pair = pair();
    let id = known(&mut pair);
    let mut frame = data(id, 1, 1);
    frame[4] = 63;
    let error = inject(&mut pair, &frame).expect_err("not defined");
    assert_eq!(error, ProtocolError::BadLabel);
    lives_on(&mut pair, error);

    let mut pair = super::pair();
    let mut nonsense = Vec::new();
    frame::put_label(&mut nonsense, 3, "wildly");
    let error = inject(&mut pair, &nonsense).expect_err("no label");
    assert_eq!(error, ProtocolError::BadLabel);
    lives_on(&mut pair, error);
}

#[test]
fn two_different_ends_and_data_behind_the_end_end_the_path() {
    for bad in [10, 0] {
        let mut pair = pair();
        let id = known(&mut pair);
        let mut fin = Vec::new();
        frame::put_offset(&mut fin, kind::FIN, id, 5);
        inject(&mut pair, &fin).expect("an end");
        let mut fin = Vec::new();
        frame::put_offset(&mut fin, kind::FIN, id, bad);
        let error = inject(&mut pair, &fin).expect_err("another end");
        assert_eq!(error, ProtocolError::BeyondEnd);
        lives_on(&mut pair, error);
    }
    let mut pair = pair();
    let id = known(&mut pair);
    let mut fin = Vec::new();
    frame::put_offset(&mut fin, kind::FIN, id, 5);
    inject(&mut pair, &fin).expect("an end");
    let error = inject(&mut pair, &data(id, 3, 3)).expect_err("behind the end");
    assert_eq!(error, ProtocolError::BeyondEnd);
}

#[test]
fn a_peer_that_opens_more_streams_than_agreed_loses_the_path() {
    let mut pair = pair();
    known(&mut pair);
    let mut error = None;
    for index in 1..20u32 {
        let mut open = Vec::new();
        frame::put_open(&mut open, StreamId(index << 1), 0);
        if let Err(why) = inject(&mut pair, &open) {
            error = Some((index, why));
            break;
        }
    }
    assert_eq!(error, Some((8, ProtocolError::TooManyStreams)));
    let mut far = Vec::new();
    frame::put_open(&mut far, StreamId(0xff_fffe), 0);
    let path = pair.dial(1).expect("the session lives");
    let mut define = Vec::new();
    frame::put_label(&mut define, 0, "any");
    inject_on(&mut pair, path, &define).expect("a label");
    let error = inject_on(&mut pair, path, &far).expect_err("far too many");
    assert_eq!(error, ProtocolError::TooManyStreams);
}

// behaviour: K4
#[test]
fn streams_that_are_over_before_anybody_took_them_are_bounded() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let mut define = Vec::new();
    frame::put_label(&mut define, 0, "any");
    inject(&mut pair, &define).expect("a label");
    let mut error = None;
    for index in 0..100u32 {
        // It comes whole, and the peer wants nothing back: to the peer it is over.
        let stream = StreamId(index << 1);
        let mut frames = Vec::new();
        frame::put_open(&mut frames, stream, 0);
        frames.extend([&data(stream, 0, 1)[..], b"x"].concat());
        frame::put_offset(&mut frames, kind::FIN, stream, 1);
        frame::put_stop(&mut frames, stream, 0);
        frame::put_stream(&mut frames, kind::RESET_ACK, stream);
        if let Err(why) = inject_on(&mut pair, path, &frames) {
            error = Some((index, why));
            break;
        }
    }
    let most = 2 * u32::from(small().max_streams);
    assert_eq!(error, Some((most, ProtocolError::TooManyStreams)));
    assert_eq!(pair.session(End::Listener).incoming.len(), most as usize);
}

#[test]
fn a_peer_whose_streams_nobody_takes_waits_and_goes_on_when_they_are() {
    let mut pair = pair();
    let (mut opened, mut taken) = (0, 0);
    for _ in 0..10 {
        loop {
            let now = pair.now();
            let dialler = pair.session(End::Dialler);
            let Ok(id) = dialler.open(now, Label::ANY) else {
                break;
            };
            opened += 1;
            assert_eq!(dialler.write(now, id, Label::ANY, b"all"), Ok(3));
            dialler.release(now, id);
            pair.run(Duration::from_millis(100));
        }
        assert!(opened - taken <= 2 * usize::from(small().max_streams));
        while let Some((id, _)) = pair.session(End::Listener).accept() {
            taken += 1;
            assert_eq!(pair.read_all(End::Listener, id), Ok(true));
            assert_eq!(pair.sides[1].read[&id], b"all");
            let now = pair.now();
            pair.session(End::Listener).release(now, id);
        }
        pair.run(Duration::from_secs(1));
    }
    assert_eq!(taken, opened);
    assert!(taken > 5 * usize::from(small().max_streams), "{taken}");
    assert_eq!(pair.paths().len(), 1);
}

// behaviour: K4
#[test]
fn pieces_out_of_order_are_bounded() {
    let mut pair = Pair::new(1, start(), Config::default(), Config::default());
    let id = known(&mut pair);
    let mut result = Ok(());
    for index in 0..=MAX_SEGMENTS as u64 {
        let mut piece = data(id, 10 + 2 * index, 1);
        piece.push(1);
        result = inject(&mut pair, &piece);
        if result.is_err() {
            assert_eq!(index, MAX_SEGMENTS as u64);
        }
    }
    assert_eq!(result, Err(ProtocolError::TooManyPieces));
}

// behaviour: K4
#[test]
fn changes_of_label_are_bounded() {
    let mut pair = Pair::new(1, start(), Config::default(), Config::default());
    let id = known(&mut pair);
    let mut other = Vec::new();
    frame::put_label(&mut other, 1, "interactive");
    inject(&mut pair, &other).expect("a label");
    let mut taken = 0;
    let error = loop {
        let mut piece = data(id, 1 + taken, 1);
        piece[4] = (taken % 2) as u8 ^ 1;
        piece.push(1);
        match inject(&mut pair, &piece) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, ProtocolError::TooManyLabels);
    assert!(taken < 3 * MAX_RUNS as u64);
}

// behaviour: K4
#[test]
fn questions_faster_than_answers_end_the_path() {
    let mut pair = pair();
    let mut pings = Vec::new();
    for token in 0..100 {
        frame::put_token(&mut pings, kind::PING, token);
    }
    let mut rounds = 0;
    let error = loop {
        rounds += 1;
        if let Err(error) = inject(&mut pair, &pings) {
            break error;
        }
    };
    assert_eq!(error, ProtocolError::Flood);
    assert!(rounds < 100);
    lives_on(&mut pair, error);
}

#[test]
fn bytes_of_an_older_epoch_are_dropped_unread() {
    let mut pair = pair();
    let old = pair.paths()[0];
    let new = pair.dial(0).expect("a newer epoch");
    assert_eq!(inject_on(&mut pair, old, &[0x67, 0, 0, 0]), Ok(()));
    assert_eq!(pair.session(End::Listener).paths(), [new]);
    assert_eq!(
        pair.session(End::Listener).events.back(),
        Some(&Event::PathClosed(old, PathEnd::Replaced))
    );
    let now = pair.now();
    let stale = pair
        .session(End::Listener)
        .attach(now, old, crate::proto::pair::anywhere());
    assert_eq!(stale, Err(AttachError::StaleEpoch));
}

/// Bytes the listener keeps of what it received.
fn kept(session: &Session) -> usize {
    let streams: usize = session.streams.values().map(|s| s.receive.capacity()).sum();
    let paths: usize = (session.paths.iter().flatten())
        .map(|path| path.decoder.kept() + path.outbox.control.capacity())
        .sum();
    streams + paths
}

fn frameish() -> impl Strategy<Value = Vec<u8>> {
    let any_kind = prop_oneof![
        8 => prop_oneof![0x01..0x0bu8, 0x10..0x18u8],
        1 => any::<u8>(),
    ];
    let small = (0..20u8, 0..4u8, prop::collection::vec(0..6u8, 0..20));
    (any_kind, small, any::<bool>()).prop_map(|(kind, (length, high, body), honest)| {
        let length = if honest { body.len() as u8 } else { length };
        let mut bytes = vec![kind, 0, if honest { 0 } else { high / 3 }, length];
        bytes.extend_from_slice(&body);
        bytes
    })
}

proptest! {
    #![proptest_config(cases(2_000))]

    // behaviour: K4
    #[test]
    fn garbage_at_any_state_never_panics_and_keeps_within_bounds(
        seed: u64,
        rounds in prop::collection::vec(
            (prop::collection::vec(
                prop_oneof![4 => frameish(), 1 => prop::collection::vec(any::<u8>(), 0..60)],
                1..6,
            ), 0..7u8),
            0..12,
        ),
    ) {
        let mut pair = Pair::new(seed, start(), small(), small());
        let id = opened(&mut pair, End::Dialler);
        let now = pair.now();
        let _ = pair.session(End::Listener).open(now, Label::BACKGROUND);
        let _ = pair.session(End::Dialler).write(now, id, Label::ANY, b"some");
        pair.run(Duration::from_millis(30));
        for (frames, then) in rounds {
            let now = pair.now();
            for bytes in frames {
                let paths = pair.session(End::Listener).paths();
                let Some(path) = paths.last() else { break };
                let _ = pair.session(End::Listener).receive(now, *path, &bytes);
                prop_assert!(kept(pair.session(End::Listener)) <= small().worst_case_memory());
            }
            match then {
                0 => { let _ = pair.dial((seed % 8) as u8); }
                1 => { let _ = pair.session(End::Listener).write(now, id, Label::ANY, &[7; 3000]); }
                2 => pair.session(End::Listener).shutdown(now, id),
                3 => pair.session(End::Listener).reset(now, id, 9),
                4 => pair.session(End::Listener).release(now, id),
                5 => { let _ = pair.read(End::Listener, id, 100); }
                _ => pair.session(End::Listener).close(now),
            }
            pair.run(Duration::from_millis(10));
        }
        pair.run(Duration::from_secs(3000));
    }
}

#[test]
fn word_of_a_path_that_is_not_there_is_ignored_and_of_one_that_is_ends_it() {
    let mut pair = pair();
    let id = known(&mut pair);
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_millis(100));
    for (slot, epoch) in [
        (1, second.epoch + 1),
        (1, 0),
        (7, 1),
        (200, 1),
        (255, u32::MAX),
    ] {
        let mut lost = Vec::new();
        frame::put_lost(&mut lost, PathId { id: slot, epoch });
        assert_eq!(inject(&mut pair, &lost), Ok(()));
    }
    assert_eq!(pair.session(End::Listener).paths().len(), 2);
    let mut lost = Vec::new();
    frame::put_lost(&mut lost, second);
    assert_eq!(inject(&mut pair, &lost), Ok(()));
    pair.run(Duration::from_millis(100));
    assert!(pair.sides[1].saw(Event::PathClosed(second, PathEnd::Lost)));
    send_all(&mut pair, End::Dialler, id, b"still here");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], b"xstill here");
}

#[test]
fn answers_that_were_not_asked_for_are_no_progress() {
    let mut pair = pair();
    let id = known(&mut pair);
    let first = pair.paths()[0];
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(1));
    pair.silence(first);
    pair.silence(second);
    let now = pair.now();
    let session = pair.session(End::Listener);
    session
        .write(now, id, Label::ANY, &bytes(1000))
        .expect("open");
    for _ in 0..200 {
        pair.run(Duration::from_millis(5));
        for path in [first, second] {
            let mut pong = Vec::new();
            frame::put_token(&mut pong, kind::PONG, 0);
            frame::put_token(&mut pong, kind::PONG, u64::MAX);
            let _ = inject_on(&mut pair, path, &pong);
        }
    }
    let suspected = |event: &Event| matches!(event, Event::PathSuspect(_));
    assert!(pair.sides[1].events.iter().any(suspected));
}

#[test]
fn a_peer_that_opens_paths_without_end_costs_eight_of_them() {
    let mut pair = pair();
    let id = known(&mut pair);
    for round in 0..1000_u32 {
        pair.dial((round % 8) as u8).expect("a newer epoch joins");
        if round % 7 == 0 {
            pair.run(Duration::from_millis(3));
        }
    }
    let session = pair.session(End::Listener);
    assert!(session.paths().len() <= MAX_PATHS);
    let kept: usize = (session.paths.iter().flatten())
        .map(|path| path.outbox.control.capacity())
        .sum();
    assert!(kept < 64 << 10, "{kept} bytes of control frames");
    send_all(&mut pair, End::Dialler, id, b"still here");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(pair.sides[1].read[&id], b"xstill here");
}
