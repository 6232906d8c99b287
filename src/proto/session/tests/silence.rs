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
