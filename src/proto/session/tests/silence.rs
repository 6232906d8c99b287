//! Paths that carry nothing more, and say nothing.

use super::*;

/// Sends on a path that is silent, then joins another; what is to be told of the first.
fn recovers(pair: &mut Pair, sender: End, retire: bool) -> StreamId {
    let id = opened(pair, End::Dialler);
    pair.run(Duration::from_millis(500));
    let first = pair.paths()[0];
    pair.silence(first);
    let now = pair.now();
    let taken = pair
        .session(sender)
        .write(now, id, Label::ANY, &bytes(50_000));
    assert_eq!(taken, Ok(50_000));
    pair.run(Duration::from_millis(100));
    pair.dial(1).expect("the session lives");
    if retire {
        let now = pair.now();
        pair.session(End::Dialler).retire(now, first);
    }
    pair.run(Duration::from_secs(3));
    let silent = Event::PathClosed(first, PathEnd::Silent);
    assert!(pair.sides.iter().any(|side| side.saw(silent)));
    for end in End::BOTH {
        assert_eq!(pair.session(end).paths().len(), 1);
    }
    id
}

// behaviour: I11, S10
#[test]
fn what_flew_on_a_silent_path_goes_again_from_either_end() {
    for sender in End::BOTH {
        for retire in [false, true] {
            let mut pair = pair();
            let id = recovers(&mut pair, sender, retire);
            assert_eq!(pair.read(sender.other(), id, 60_000), Ok(Some(50_000)));
            assert_eq!(
                pair.sides[sender as usize]
                    .session
                    .offsets(id)
                    .map(|o| o.acknowledged),
                Some(50_000)
            );
        }
    }
}

#[test]
fn an_idle_path_that_answers_stays_beside_a_newer_one() {
    let mut pair = pair();
    pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(30));
    for end in End::BOTH {
        assert_eq!(pair.session(end).paths().len(), 2);
    }
}

// A silent path must not keep a session that nobody can reach from running out of grace.
#[test]
fn the_grace_runs_out_although_an_older_path_fell_silent() {
    let mut pair = pair();
    let first = pair.paths()[0];
    pair.silence(first);
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_secs(3));
    pair.cut(second);
    pair.run(Duration::from_secs(700));
    for end in End::BOTH {
        assert_eq!(pair.session(end).closed(), Some(CloseReason::GraceExpired));
    }
}

// behaviour: I11, S10
#[test]
fn a_dialler_that_only_receives_notices_the_silence() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_millis(500));
    send_all(&mut pair, End::Listener, id, &bytes(50_000));
    pair.run(Duration::from_millis(100));
    let path = pair.paths()[0];
    pair.silence(path);
    pair.run(Duration::from_millis(1_100));
    assert!(pair.sides[0].saw(Event::PathStalled(path)));
}

/// How long it takes until an end says that a path is silent which fell so, so long after payload last
/// came to it from the other end.
fn noticed_after(receiver: End, quiet: Duration) -> Duration {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    pair.run(Duration::from_millis(500));
    send_all(&mut pair, receiver.other(), id, b"a little");
    pair.run(quiet);
    let path = pair.paths()[0];
    pair.silence(path);
    // Whoever is left alone with it: the other end says nothing of itself any more.
    let step = Duration::from_millis(10);
    let mut took = Duration::ZERO;
    while !pair.sides[receiver as usize].saw(Event::PathStalled(path)) {
        pair.run(step);
        took += step;
        assert!(
            took < quiet * 3 + Duration::from_secs(3),
            "{receiver:?} {quiet:?}"
        );
    }
    took
}

// behaviour: I11, S10
#[test]
fn either_end_that_only_receives_notices_a_silence_within_about_the_time_it_was_quiet() {
    for quiet in [50, 400, 1_000, 3_000, 10_000, 25_000].map(Duration::from_millis) {
        for (receiver, times) in [(End::Dialler, 1), (End::Listener, 2)] {
            let took = noticed_after(receiver, quiet);
            let most = (quiet + Duration::from_secs(1)) * times + Duration::from_millis(500);
            assert!(took <= most, "{receiver:?} {quiet:?}: {took:?}");
        }
    }
}

// behaviour: I11
#[test]
fn the_quiet_after_payload_costs_a_few_questions_of_one_end_and_then_nothing() {
    for sender in End::BOTH {
        let mut pair = pair();
        let id = opened(&mut pair, End::Dialler);
        pair.run(Duration::from_millis(500));
        send_all(&mut pair, sender, id, b"a little");
        let path = pair.paths()[0];
        let said = |pair: &mut Pair| {
            End::BOTH.map(|end| {
                let stats = pair.session(end).path_stats(path).expect("it is open");
                stats.control_sent
            })
        };
        pair.run(Duration::from_millis(150));
        let first = said(&mut pair);
        pair.run(Duration::from_secs(90));
        let then = said(&mut pair);
        for (first, then) in first.into_iter().zip(then) {
            // 12 bytes each, and who is asked answers.
            assert!(
                (3 * 12..=10 * 12).contains(&(then - first)),
                "{first} {then}"
            );
        }
        pair.run(Duration::from_secs(600));
        assert_eq!(said(&mut pair), then);
        for end in End::BOTH {
            assert_eq!(pair.session(end).poll_timeout(), None);
        }
    }
}

#[test]
fn a_doubted_path_is_avoided_but_never_the_last_that_is_trusted() {
    let mut pair = pair();
    let id = opened(&mut pair, End::Dialler);
    let first = pair.paths()[0];
    let second = pair.dial(1).expect("the session lives");
    pair.run(Duration::from_millis(500));
    pair.silence(first);
    let now = pair.now();
    let session = pair.session(End::Dialler);
    for path in [first, second] {
        session.doubt(now, path);
    }
    let suspect = |path| session.path_state(path).map(|state| state.suspect);
    assert_eq!([first, second].map(suspect), [Some(true), Some(false)]);
    send_all(&mut pair, End::Dialler, id, &bytes(500));
    pair.run(Duration::from_millis(50));
    assert_eq!(pair.read(End::Listener, id, 600), Ok(Some(500)));
}
