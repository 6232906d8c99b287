//! Windows, acknowledgements, bounds.

use super::*;

/// One frame of this payload, as it goes on the wire.
fn frame(pair: &mut Pair, path: PathId, id: StreamId, payload: &[u8]) -> Vec<u8> {
    let now = pair.now();
    let session = pair.session(End::Dialler);
    let taken = session.write(now, id, Label::ANY, payload);
    assert_eq!(taken, Ok(payload.len()));
    let mut out = [IoSlice::new(&[]); 8];
    let count = session.transmit(now, path, &mut out);
    let wire = out[..count].iter().flat_map(|slice| slice.to_vec());
    let wire: Vec<u8> = wire.collect();
    session.transmitted(now, path, wire.len());
    wire
}

#[test]
fn what_comes_next_may_go_straight_to_the_reader_although_more_came_early() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"before");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    let (path, now) = (pair.paths()[0], pair.now());
    let first = frame(&mut pair, path, id, &bytes(100));
    let second = frame(&mut pair, path, id, &bytes(50));
    let far = pair.session(End::Listener);
    assert!(far.is_between_frames(path) && !far.comes_early(path, id));
    // The second overtakes the first, which is seen before its payload is read.
    let (header, payload) = second.split_at(second.len() - 50);
    far.receive(now, path, header).expect("a header");
    assert!(far.comes_early(path, id) && !far.is_between_frames(path));
    assert_eq!(far.direct(path, id), 0);
    far.receive(now, path, payload).expect("payload");
    assert!(far.is_between_frames(path) && !far.comes_early(path, id));
    let (header, _) = first.split_at(first.len() - 100);
    far.receive(now, path, header).expect("a header");
    assert!(!far.comes_early(path, id));
    assert_eq!(far.direct(path, id), 100);
    far.received_direct(now, path, id, 60);
    assert_eq!(far.read(now, id, &mut [0; 200]), Ok(None), "40 are missing");
    far.received_direct(now, path, id, 40);
    let mut rest = [0; 200];
    assert_eq!(far.read(now, id, &mut rest), Ok(Some((50, Label::ANY))));
    assert_eq!(rest[..50], bytes(50));
}

// behaviour: S21
#[test]
fn a_stream_that_nobody_reads_stops_no_other() {
    let mut pair = pair();
    let stuck = opened(&mut pair, End::Dialler);
    let free = opened(&mut pair, End::Dialler);
    let now = pair.now();
    // More than the window: it is stuck for good.
    let mut taken = 0;
    for _ in 0..10 {
        let session = pair.session(End::Dialler);
        taken += session
            .write(now, stuck, Label::ANY, &bytes(64 << 10))
            .expect("open");
        pair.run(Duration::from_secs(1));
    }
    assert_eq!(taken, 128 << 10, "one window there, one buffer here");
    send_all(&mut pair, End::Dialler, free, &bytes(1_000_000));
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, free);
    assert_eq!(pair.sides[1].read[&free], bytes(1_000_000));
    // And it goes on when somebody reads.
    let mut total = 0;
    while let Ok(Some(n)) = pair.read(End::Listener, stuck, 10_000) {
        total += n;
        if n == 0 {
            if total == taken {
                break;
            }
            pair.step(pair.now() + LONG);
        }
    }
    assert_eq!(pair.sides[1].read[&stuck].len(), taken);
}

#[test]
fn a_blocked_writer_never_waits_for_a_delayed_acknowledgement() {
    let config = Config {
        send_buffer: 4 << 10,
        ack_delay: Duration::from_secs(1),
        ..Config::default()
    };
    let mut pair = Pair::new(3, start(), config.clone(), config);
    pair.weather.jitter = Duration::ZERO;
    let id = opened(&mut pair, End::Dialler);
    let begun = pair.now();
    send_all(&mut pair, End::Dialler, id, &bytes(64 << 10));
    // 16 buffers, a round trip of 10 ms each.
    assert!(pair.now() - begun < Duration::from_millis(200));
}

/// How long after payload under this label came its reader acknowledges it, unasked.
fn acknowledged_after(label: Label, paths: u8) -> Duration {
    let config = Config {
        ack_delay: Duration::from_millis(200),
        ..Config::default()
    };
    let mut pair = Pair::new(3, start(), config.clone(), config);
    pair.weather.jitter = Duration::ZERO;
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"a");
    for slot in 1..paths {
        pair.dial(slot).expect("the session lives");
    }
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    let begun = pair.now();
    let wrote = pair.session(End::Dialler).write(begun, id, label, b"b");
    assert_eq!(wrote, Ok(1));
    let acknowledged = |pair: &mut Pair| {
        let offsets = pair.session(End::Dialler).offsets(id);
        offsets.map(|o| o.acknowledged)
    };
    assert_eq!(acknowledged(&mut pair), Some(1));
    while acknowledged(&mut pair) != Some(2) {
        assert!(pair.step(begun + LONG), "never");
    }
    pair.now() - begun
}

#[test]
fn interactive_payload_is_acknowledged_after_a_quarter_of_the_delay_where_there_are_several_paths()
{
    let delay = Duration::from_millis(200);
    // And a round trip.
    let about = |took: Duration, delay: Duration| {
        assert!(
            took >= delay && took <= delay + Duration::from_millis(40),
            "{took:?} for {delay:?}"
        );
    };
    about(acknowledged_after(Label::INTERACTIVE, 2), delay / 4);
    about(acknowledged_after(Label::INTERACTIVE, 1), delay);
    about(acknowledged_after(Label::BACKGROUND, 2), delay);
}

#[test]
fn a_blocked_writer_is_woken_once_there_is_room_to_speak_of() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    assert_eq!(
        session.write(now, id, Label::ANY, &bytes(80_000)),
        Ok(64 << 10)
    );
    assert_eq!(session.writable(id), Ok(0));
    while session.poll_event().is_some() {}
    pair.run(Duration::from_secs(1));
    let writable = Event::Writable(id);
    let count = pair.sides[0]
        .events
        .iter()
        .filter(|e| **e == writable)
        .count();
    assert_eq!(count, 1);
}

#[test]
fn a_small_exchange_sends_one_write_each_way_and_no_bare_acknowledgement() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"a");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    let path = pair.paths()[0];
    let control = |pair: &mut Pair| {
        let stats = pair.session(End::Dialler).path_stats(path).expect("open");
        stats.control_sent
    };
    let before = control(&mut pair);
    for _ in 0..100 {
        for end in End::BOTH {
            let now = pair.now();
            let session = pair.session(end);
            assert_eq!(session.write(now, id, Label::ANY, b"x"), Ok(1));
            pair.run(Duration::from_millis(12));
            assert_eq!(pair.read(end.other(), id, 10), Ok(Some(1)));
        }
    }
    // An acknowledgement of 16 bytes and a header of 16; the first had nothing to acknowledge.
    assert_eq!(control(&mut pair) - before, 100 * 32 - 16);
}

#[test]
fn an_acknowledgement_without_company_goes_after_the_delay() {
    let mut pair = pair();
    pair.weather.jitter = Duration::ZERO;
    let id = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    let session = pair.session(End::Dialler);
    assert_eq!(session.write(now, id, Label::ANY, b"x"), Ok(1));
    pair.run(Duration::from_millis(6));
    let (deadline, wake) = pair.session(End::Listener).poll_timeout().expect("one");
    assert_eq!(wake, Wake::AckDelay);
    assert_eq!(deadline - now, Duration::from_millis(25));
    assert_eq!(pair.session(End::Dialler).streams[&id].send.acked(), 0);
    pair.run(Duration::from_millis(30));
    assert_eq!(pair.session(End::Dialler).streams[&id].send.acked(), 1);
    pair.run(Duration::from_secs(90));
    assert_eq!(pair.session(End::Listener).poll_timeout(), None);
}

#[test]
fn the_limit_of_streams_holds_and_ended_streams_make_room() {
    let mut pair = pair();
    let ids: Vec<StreamId> = (0..8).map(|_| opened(&mut pair, End::Dialler)).collect();
    let now = pair.now();
    let full = Err(StreamError::TooMany(8));
    assert_eq!(pair.session(End::Dialler).open(now, Label::ANY), full);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Listener).open(now, Label::ANY), full);
    for id in ids {
        let now = pair.now();
        pair.session(End::Dialler).release(now, id);
        pair.session(End::Listener).release(now, id);
    }
    pair.run(Duration::from_secs(1));
    for end in End::BOTH {
        assert!(pair.session(end).streams.is_empty());
        opened(&mut pair, end);
    }
}

#[test]
fn changes_of_label_are_bounded_at_the_writer() {
    let config = Config::default();
    let mut pair = Pair::new(1, start(), config.clone(), config);
    let id = opened(&mut pair, End::Dialler);
    let labels = [Label::ANY, Label::INTERACTIVE];
    let mut total = 0;
    for _ in 0..20 {
        let mut taken = 0;
        let now = pair.now();
        let session = pair.session(End::Dialler);
        while session.write(now, id, labels[total % 2], b"x") == Ok(1) {
            taken += 1;
            total += 1;
            assert!(taken <= MAX_RUNS);
        }
        pair.run(Duration::from_secs(1));
    }
    // The reader has read nothing: it keeps count of so many changes and no more.
    assert!(total <= 2 * MAX_RUNS + 1, "{total}");
    while let Ok(Some(n)) = pair.read(End::Listener, id, 100) {
        if n == 0 && pair.sides[1].read[&id].len() == total {
            break;
        }
        if n == 0 {
            pair.run(Duration::from_secs(1));
        }
    }
    let now = pair.now();
    pair.run(Duration::from_secs(1));
    let session = pair.session(End::Dialler);
    assert_eq!(session.write(now, id, labels[total % 2], b"x"), Ok(1));
}

#[test]
fn events_are_bounded_by_what_was_asked() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let path = pair.paths()[0];
    send_all(&mut pair, End::Dialler, id, b"x");
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    let mut frames = Vec::new();
    for offset in 1..10_000u64 {
        let header = frame::DataHeader {
            waiting: false,
            label: 0,
            stream: id,
            offset,
            payload: 1,
        };
        frames.extend_from_slice(&header.encode());
        frames.push(1);
    }
    let session = pair.session(End::Listener);
    session.receive(now, path, &frames).expect("well formed");
    assert!(session.events.len() <= 1);
}

#[test]
fn an_idle_session_keeps_little() {
    let config = Config::default();
    let mut pair = Pair::new(1, start(), config.clone(), config);
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, &bytes(10 << 20));
    for _ in 0..5 {
        pair.run(Duration::from_secs(1));
        let _ = pair.read_all(End::Listener, id);
    }
    send_all(&mut pair, End::Listener, id, b"ok");
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Dialler, id);
    for end in End::BOTH {
        let session = pair.session(end);
        let fixed = size_of::<Session>() + size_of::<Stream>() + size_of::<path::Path>();
        let stream = &session.streams[&id];
        let kept = stream.send.rope.capacity() + stream.receive.capacity();
        let path = session.paths[0]
            .as_ref()
            .expect("open")
            .outbox
            .control
            .capacity();
        assert!(fixed + kept + path < 8 << 10, "{fixed} + {kept} + {path}");
    }
}

#[test]
fn the_worst_case_is_the_sum_of_its_parts() {
    let config = Config::default();
    let mib = config.worst_case_memory() >> 20;
    assert!((3_000..4_000).contains(&mib), "{mib} MiB");
    let tiny = Config {
        max_streams: 1,
        send_buffer: 16 << 10,
        receive_window: 16 << 10,
        max_frame: 16 << 10,
        ..Config::default()
    };
    assert!(tiny.worst_case_memory() < 12 << 20);
}

#[test]
fn what_the_peer_can_make_a_session_keep_is_within_the_worst_case() {
    let config = Config {
        max_streams: 2,
        receive_window: 128 << 10,
        ..small()
    };
    let mut pair = Pair::new(1, start(), config.clone(), config.clone());
    let path = pair.paths()[0];
    let now = pair.now();
    let mut frames = Vec::new();
    frame::put_label(&mut frames, 0, "any");
    frame::put_label(&mut frames, 1, "interactive");
    for index in 0..2u32 {
        frame::put_open(&mut frames, StreamId(index << 1), 0);
        // Every second byte, every time another label, and the first never.
        for piece in 0..MAX_SEGMENTS as u64 {
            let header = frame::DataHeader {
                waiting: false,
                label: (piece % 2) as u8,
                stream: StreamId(index << 1),
                offset: 1 + 60 * piece,
                payload: 59,
            };
            frames.extend_from_slice(&header.encode());
            frames.extend_from_slice(&[0; 59]);
        }
    }
    let session = pair.session(End::Listener);
    session
        .receive(now, path, &frames)
        .expect("within the rules");
    let kept: usize = session.streams.values().map(|s| s.receive.capacity()).sum();
    assert!(kept > 2 * 59 * MAX_SEGMENTS, "{kept}");
    assert!(kept < config.worst_case_memory());
}

#[test]
fn a_frame_half_written_is_finished_though_its_bytes_were_acknowledged_or_thrown_away() {
    let mut pair = pair();
    pair.weather.capacity = 700;
    pair.weather.jitter = Duration::ZERO;
    let id = opened(&mut pair, End::Dialler);
    let other = opened(&mut pair, End::Dialler);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    session
        .write(now, id, Label::ANY, &bytes(30_000))
        .expect("open");
    pair.step(now + LONG);
    assert!(pair.session(End::Listener).accept().is_some());
    let now = pair.now();
    pair.session(End::Dialler).reset(now, id, 3);
    pair.session(End::Dialler)
        .write(now, other, Label::ANY, b"after it")
        .expect("open");
    pair.run(Duration::from_secs(5));
    let _ = pair.read_all(End::Listener, other);
    assert_eq!(pair.sides[1].read[&other], b"after it");
    assert_eq!(pair.read(End::Listener, id, 10), Err(StreamError::Reset(3)));
}

#[test]
fn transmit_gives_the_same_front_until_it_was_written() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let id = opened(&mut pair, End::Dialler);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    session
        .write(now, id, Label::ANY, &bytes(10_000))
        .expect("open");
    let mut all = Vec::new();
    let mut seen: Vec<u8> = Vec::new();
    let mut rest = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 5];
        let count = session.transmit(now, path, &mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
        if bytes.is_empty() {
            break;
        }
        assert!(
            bytes.starts_with(&rest),
            "the unwritten part comes first again"
        );
        let n = bytes.len().min(777);
        all.extend_from_slice(&bytes[..n]);
        rest = bytes[n..].to_vec();
        seen.push(0);
        session.transmitted(now, path, n);
    }
    assert!(seen.len() > 10);
    let mut other = Pair::new(1, now, small(), small());
    let listener = other.session(End::Listener);
    listener.receive(now, path, &all).expect("well formed");
    let mut buf = vec![0; 20_000];
    let read = listener.read(now, id, &mut buf).expect("open");
    assert_eq!(read, Some((10_000, Label::ANY)));
    assert_eq!(buf[..10_000], bytes(10_000));
}

#[test]
fn a_path_that_takes_nothing_gathers_no_acknowledgements() {
    let mut pair = pair();
    let path = pair.paths()[0];
    let ids: Vec<StreamId> = (0..4).map(|_| opened(&mut pair, End::Dialler)).collect();
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    for offset in 0..20_000u64 {
        for id in &ids {
            let header = frame::DataHeader {
                waiting: true,
                label: 0,
                stream: *id,
                offset,
                payload: 1,
            };
            let mut bytes = header.encode().to_vec();
            bytes.push(1);
            let session = pair.session(End::Listener);
            session.receive(now, path, &bytes).expect("well formed");
            let mut slices = [IoSlice::new(&[]); 4];
            session.transmit(now, path, &mut slices);
        }
    }
    let session = pair.session(End::Listener);
    let path = session.paths[0].as_ref().expect("open");
    assert!(path.outbox.control_left() < 16 << 10);
}
