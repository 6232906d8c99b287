//! How streams and sessions end.

use super::*;
use crate::proto::pair::{Seeded, anywhere, handshake, offer};

/// A stream that both ends know, and both have read what was written.
fn talked() -> (Pair, StreamId) {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"hello");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Listener).accept(), Some((id, Label::ANY)));
    let _ = pair.read_all(End::Listener, id);
    (pair, id)
}

// behaviour: S19
#[test]
fn shutdown_is_done_only_when_the_peer_has_everything() {
    let (mut pair, id) = talked();
    let path = pair.paths()[0];
    pair.silence(path);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    assert_eq!(session.write(now, id, Label::ANY, b"last"), Ok(4));
    session.shutdown(now, id);
    assert_eq!(
        session.write(now, id, Label::ANY, b"x"),
        Err(StreamError::Shutdown)
    );
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(false));
    pair.cut(path);
    pair.run(Duration::from_secs(1));
    pair.dial(0).expect("the session lives");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(true));
    assert_eq!(pair.read_all(End::Listener, id), Ok(true));
    assert!(pair.sides[1].read[&id].ends_with(b"last"));
}

// behaviour: S19
#[test]
fn a_dropped_stream_still_delivers_what_was_written() {
    let (mut pair, id) = talked();
    let now = pair.now();
    let session = pair.session(End::Dialler);
    assert_eq!(
        session.write(now, id, Label::ANY, &bytes(60_000)),
        Ok(60_000)
    );
    session.release(now, id);
    session.close(now);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.read_all(End::Listener, id), Ok(true));
    assert_eq!(pair.sides[1].read[&id].len(), 60_005);
    let now = pair.now();
    assert_eq!(
        pair.session(End::Listener).write(now, id, Label::ANY, b"x"),
        Err(StreamError::Stopped),
        "nobody reads any more"
    );
}

#[test]
fn an_abort_fails_both_directions_at_both_ends() {
    let (mut pair, id) = talked();
    let now = pair.now();
    let session = pair.session(End::Dialler);
    assert_eq!(session.write(now, id, Label::ANY, &bytes(1000)), Ok(1000));
    session.reset(now, id, 42);
    pair.run(Duration::from_secs(1));
    let error = StreamError::Reset(42);
    let now = pair.now();
    for end in End::BOTH {
        assert_eq!(pair.read(end, id, 10), Err(error), "{end:?}");
        let session = pair.session(end);
        assert_eq!(session.write(now, id, Label::ANY, b"x"), Err(error));
        assert_eq!(session.is_shut(id), Err(error));
        assert!(session.streams[&id].finished());
        session.release(now, id);
        assert!(session.streams.is_empty());
        assert_eq!(session.closed(), None);
    }
}

#[test]
fn an_abort_reaches_the_peer_over_a_later_path() {
    let (mut pair, id) = talked();
    let path = pair.paths()[0];
    pair.cut(path);
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    pair.session(End::Listener).reset(now, id, 5);
    pair.dial(0).expect("the session lives");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.read(End::Dialler, id, 10), Err(StreamError::Reset(5)));
}

#[test]
fn an_abort_after_the_end_was_acknowledged_refuses_what_still_comes() {
    let (mut pair, id) = talked();
    let now = pair.now();
    pair.session(End::Dialler).shutdown(now, id);
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    pair.session(End::Dialler).reset(now, id, 9);
    assert_eq!(pair.read(End::Dialler, id, 10), Err(StreamError::Reset(9)));
    pair.session(End::Dialler).release(now, id);
    pair.run(Duration::from_secs(1));
    assert_eq!(
        pair.session(End::Listener).write(now, id, Label::ANY, b"x"),
        Err(StreamError::Stopped)
    );
    assert!(pair.session(End::Dialler).streams.is_empty());
}

#[test]
fn a_stream_cut_off_before_accept_is_never_shown() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    send_all(&mut pair, End::Dialler, id, b"x");
    pair.run(Duration::from_secs(1));
    let now = pair.now();
    pair.session(End::Dialler).reset(now, id, 1);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Listener).accept(), None);
    assert!(pair.session(End::Listener).streams.is_empty());
}

#[test]
fn a_session_whose_handles_are_gone_closes_at_both_ends() {
    let (mut pair, id) = talked();
    let now = pair.now();
    pair.session(End::Dialler).release(now, id);
    pair.session(End::Dialler).close(now);
    pair.run(Duration::from_secs(1));
    // The listener's program holds the stream still; it was told that nobody reads.
    for end in End::BOTH {
        let side = &pair.sides[end as usize];
        assert_eq!(side.session.closed(), Some(CloseReason::Finished));
        assert!(side.saw(Event::Closed(CloseReason::Finished)));
        let path = PathId { id: 0, epoch: 1 };
        assert!(side.saw(Event::PathClosed(path, PathEnd::SessionClosed)));
    }
    assert!(pair.paths().is_empty());
    let now = pair.now();
    let session = pair.session(End::Listener);
    let stopped = Err(StreamError::Stopped);
    assert_eq!(session.write(now, id, Label::ANY, b"x"), stopped);
    assert_eq!(pair.read_all(End::Listener, id), Ok(true));
}

#[test]
fn both_ends_may_close_at_the_same_moment() {
    let (mut pair, id) = talked();
    let now = pair.now();
    for end in End::BOTH {
        pair.session(end).release(now, id);
        pair.session(end).close(now);
    }
    pair.run(Duration::from_secs(10));
    for end in End::BOTH {
        assert_eq!(pair.session(end).closed(), Some(CloseReason::Finished));
    }
}

// behaviour: S22
#[test]
fn a_lost_last_acknowledgement_does_not_turn_a_finished_stream_into_an_error() {
    let (mut pair, id) = talked();
    let now = pair.now();
    pair.session(End::Dialler).shutdown(now, id);
    pair.session(End::Listener).shutdown(now, id);
    // Both ends cross; the answers are lost with the path.
    pair.run(Duration::from_millis(9));
    let path = pair.paths()[0];
    pair.silence(path);
    pair.run(Duration::from_millis(50));
    pair.cut(path);
    pair.run(Duration::from_millis(50));
    let now = pair.now();
    for end in End::BOTH {
        let _ = pair.read_all(end, id);
    }
    pair.session(End::Listener).release(now, id);
    pair.session(End::Listener).close(now);
    pair.dial(0).expect("a finished session answers");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(true));
    assert_eq!(pair.read_all(End::Dialler, id), Ok(true));
    assert_eq!(
        pair.session(End::Listener).closed(),
        Some(CloseReason::Finished)
    );
}

// behaviour: S22
#[test]
fn a_finished_session_answers_for_three_seconds_after_its_last_path() {
    let (mut pair, id) = talked();
    let now = pair.now();
    for end in End::BOTH {
        pair.session(end).shutdown(now, id);
    }
    pair.run(Duration::from_secs(1));
    for end in End::BOTH {
        assert_eq!(pair.read_all(end, id), Ok(true));
    }
    let path = pair.paths()[0];
    pair.silence(path);
    let now = pair.now();
    pair.session(End::Listener).release(now, id);
    pair.session(End::Listener).close(now);
    pair.run(Duration::from_secs(100));
    assert_eq!(
        pair.session(End::Listener).closed(),
        None,
        "its path may still serve"
    );
    pair.cut(path);
    pair.run(Duration::from_millis(2_900));
    assert_eq!(pair.session(End::Listener).closed(), None);
    pair.run(Duration::from_millis(200));
    let finished = Some(CloseReason::Finished);
    assert_eq!(pair.session(End::Listener).closed(), finished);
    // The dialler knows everything it needs.
    assert_eq!(pair.session(End::Dialler).is_shut(id), Ok(true));
}

// behaviour: S22
#[test]
fn a_lost_first_answer_leaves_one_session_and_no_ghost() {
    let mut seeded = Seeded::new(5);
    let [ours, theirs] = handshake(&mut seeded, offer(&small()), offer(&small()));
    let now = start();
    // The listener has the confirmation; the dialler never saw `accepted`, and attaches.
    let mut listener = Session::new(theirs.clone(), small(), now);
    listener
        .attach(now, theirs.path, anywhere())
        .expect("first");
    let mut dialler = Session::new(ours, small(), now);
    let path = dialler.next_path(0);
    assert!(path.epoch > theirs.path.epoch);
    listener
        .attach(now, path, anywhere())
        .expect("one more path");
    dialler.attach(now, path, anywhere()).expect("its first");
    assert_eq!(listener.paths(), [path]);
    assert_eq!(dialler.id(), listener.id());
    let id = dialler.open(now, Label::ANY).expect("room");
    dialler.write(now, id, Label::ANY, b"hi").expect("open");
    let mut wire = Vec::new();
    for _ in 0..2 {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = dialler.transmit(now, path, &mut slices);
        wire.clear();
        slices[..count]
            .iter()
            .for_each(|s| wire.extend_from_slice(s));
    }
    listener.receive(now, path, &wire).expect("well formed");
    assert_eq!(listener.accept(), Some((id, Label::ANY)));
    assert_eq!(listener.accept(), None);
}

#[test]
fn an_aborted_session_tells_the_peer_its_code() {
    let (mut pair, id) = talked();
    let now = pair.now();
    pair.session(End::Dialler).abort(now, CloseReason::Aborted);
    pair.run(Duration::from_secs(1));
    let ours = StreamError::Closed(CloseReason::Aborted);
    let theirs = StreamError::Closed(CloseReason::PeerClosed(1));
    assert_eq!(pair.read(End::Dialler, id, 10), Err(ours));
    assert_eq!(pair.read(End::Listener, id, 10), Err(theirs));
    assert!(pair.paths().is_empty());
}

#[test]
fn an_abort_that_nobody_answers_lets_go_after_three_seconds() {
    let (mut pair, _) = talked();
    let path = pair.paths()[0];
    pair.silence(path);
    let now = pair.now();
    pair.session(End::Dialler).abort(now, CloseReason::Evicted);
    pair.run(Duration::from_millis(2_900));
    assert_eq!(pair.session(End::Dialler).paths(), [path]);
    pair.run(Duration::from_millis(200));
    assert!(pair.session(End::Dialler).paths().is_empty());
    assert_eq!(pair.session(End::Dialler).poll_timeout(), None);
}

#[test]
fn a_closing_session_takes_no_new_streams() {
    let (mut pair, id) = talked();
    let now = pair.now();
    pair.session(End::Listener).close(now);
    assert_eq!(
        pair.session(End::Listener).open(now, Label::ANY),
        Err(StreamError::Closed(CloseReason::Finished))
    );
    let late = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_secs(1));
    assert_eq!(
        pair.read(End::Dialler, late, 10),
        Err(StreamError::Reset(0))
    );
    let now = pair.now();
    assert_eq!(
        pair.session(End::Dialler).write(now, id, Label::ANY, b"x"),
        Ok(1),
        "the old one is not touched"
    );
}

#[test]
fn unknown_streams_are_said_to_be_unknown() {
    let mut pair = pair();
    let now = pair.now();
    let id = StreamId(8);
    let session = pair.session(End::Dialler);
    assert_eq!(
        session.write(now, id, Label::ANY, b"x"),
        Err(StreamError::Unknown)
    );
    assert_eq!(
        session.read(now, id, &mut [0; 8]),
        Err(StreamError::Unknown)
    );
    assert_eq!(session.is_shut(id), Err(StreamError::Unknown));
    session.shutdown(now, id);
    session.reset(now, id, 1);
    session.release(now, id);
}
