//! What becomes of single messages.

use super::*;

fn id_of(core: &mut Airhook, now: Instant, text: &'static str) -> MessageId {
    core.send(now, text).unwrap()
}

// behaviour: AH-06
#[test]
fn silence_when_everything_is_confirmed() {
    let now = start();
    let mut ends = acquainted(now);
    id_of(&mut ends[0], now, "once");
    exchange(&mut ends, now);
    let later = now + 1_000 * SECOND;
    for end in &mut ends {
        assert_eq!(end.poll_timeout(), None);
        assert_eq!(due(end, later), None);
    }
}

// behaviour: AH-07, AH-12
#[test]
fn a_lost_message_is_asked_for_after_a_probe_and_sent_again() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let id = id_of(&mut a, now, "lost");
    let lost = next(&mut a, now);
    assert_eq!(a.poll_timeout(), Some(now + SECOND));
    assert_eq!(due(&mut a, now + SECOND * 99 / 100), None);
    let now = now + SECOND;
    let probe = next(&mut a, now);
    assert_eq!((count(&probe), &probe[2..4]), (0, &lost[2..4]));
    assert_eq!(parsed(&probe).number, parsed(&lost).number + 1);
    give(&mut b, now, &probe);
    let asks = next(&mut b, now);
    assert_eq!(parsed(&asks).missed, [parsed(&lost).number]);
    give(&mut a, now, &asks);
    let status = a.message_status(id).unwrap();
    assert_eq!((status.state, status.transmit_count), (State::Pending, 1));
    assert_eq!(status.last_change, now);
    let again = next(&mut a, now);
    assert_eq!(
        parsed(&again).number,
        parsed(&lost).number + 1,
        "a new number"
    );
    give(&mut b, now, &again);
    assert_eq!(messages(&mut b), ["lost"]);
    give(&mut a, now, &next(&mut b, now));
    let status = a.message_status(id).unwrap();
    assert_eq!((status.state, status.transmit_count), (State::Confirmed, 2));
}

// behaviour: AH-08
#[test]
fn probes_go_at_the_interval_and_never_slower() {
    let mut now = start();
    let [mut a, _] = acquainted(now);
    id_of(&mut a, now, "unheard");
    next(&mut a, now);
    for _ in 0..100 {
        assert_eq!(a.poll_timeout(), Some(now + SECOND));
        now += SECOND;
        next(&mut a, now);
    }
    let quick = SECOND / 5;
    a.set_settings(Settings {
        retransmit: quick,
        ..a.settings().clone()
    });
    assert_eq!(a.poll_timeout(), Some(now + quick), "the next one already");
    next(&mut a, now + quick);
    assert_eq!(a.poll_timeout(), Some(now + 2 * quick));
    a.set_settings(Settings {
        retransmit: Duration::ZERO,
        ..a.settings().clone()
    });
    assert!(a.poll_timeout() > Some(now + quick), "it never spins");
}

// behaviour: AH-09
#[test]
fn a_duplicate_delivers_nothing_and_an_older_packet_is_ignored() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    id_of(&mut a, now, "one");
    let one = next(&mut a, now);
    id_of(&mut a, now, "two");
    let two = next(&mut a, now);
    give(&mut b, now, &one);
    assert_eq!(give(&mut b, now, &one), Received::Repeated);
    give(&mut b, now, &two);
    assert_eq!(give(&mut b, now, &two), Received::Repeated);
    assert_eq!(give(&mut b, now, &one), Received::Old);
    assert_eq!(messages(&mut b), ["one", "two"]);
}

// behaviour: AH-09
#[test]
fn a_duplicate_that_a_probe_overtook_is_ignored() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    id_of(&mut a, now, "one");
    let one = next(&mut a, now);
    give(&mut b, now, &one);
    give(&mut a, now, &next(&mut b, now));
    let mut probe = [0; MIN_BUFFER];
    let length = a.probe(now, &mut probe).unwrap();
    assert_eq!(probe[2..4], one[2..4], "the same sequence");
    assert_ne!(probe[1], one[1], "but a later acknowledgement");
    assert_eq!(give(&mut b, now, &probe[..length]), Received::Repeated);
    assert_eq!(give(&mut b, now, &one), Received::Old);
    assert_eq!(messages(&mut b), ["one"]);
}

// behaviour: AH-10
#[test]
fn lost_acknowledgements_cause_no_second_delivery() {
    let mut now = start();
    let [mut a, mut b] = acquainted(now);
    let id = id_of(&mut a, now, "once");
    give(&mut b, now, &next(&mut a, now));
    for _ in 0..300 {
        assert!(due(&mut b, now).is_some(), "each probe is answered");
        now += SECOND;
        give(&mut b, now, &next(&mut a, now));
        assert_eq!(a.message_status(id).unwrap().state, State::Sent);
    }
    give(&mut a, now, &next(&mut b, now));
    assert_eq!(a.message_status(id).unwrap().state, State::Confirmed);
    assert_eq!(messages(&mut b), ["once"]);
    // So many answers are worth one, so that those that were lost do not keep their sequences.
    let mut ends = [a, b];
    assert!(!exchange(&mut ends, now).is_empty());
    assert!(ends.iter().all(|end| end.poll_timeout().is_none()));
    assert!(ends[1].sender.open() < 2);
}

// behaviour: AH-11
#[test]
fn after_a_loss_a_later_message_may_come_first() {
    let now = start();
    let mut ends = acquainted(now);
    id_of(&mut ends[0], now, "one");
    next(&mut ends[0], now);
    id_of(&mut ends[0], now, "two");
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]), ["two", "one"]);
}

// behaviour: AH-12
#[test]
fn what_was_missed_goes_again_in_its_old_place() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    for text in ["one", "two"] {
        id_of(&mut a, now, text);
    }
    next(&mut a, now);
    id_of(&mut a, now, "three");
    give(&mut b, now, &next(&mut a, now));
    let asks = next(&mut b, now);
    for text in ["four", "five"] {
        id_of(&mut a, now, text);
    }
    give(&mut a, now, &asks);
    give(&mut b, now, &next(&mut a, now));
    assert_eq!(messages(&mut b), ["three", "one", "two", "four", "five"]);
}

// behaviour: AH-12
#[test]
fn a_message_is_pending_then_sent_then_confirmed() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let id = id_of(&mut a, now, "x");
    let state = |a: &Airhook| a.message_status(id).map(|status| status.state);
    assert_eq!(state(&a), Some(State::Pending));
    let packet = next(&mut a, now);
    assert_eq!(state(&a), Some(State::Sent));
    give(&mut b, now, &packet);
    let answer = next(&mut b, now);
    assert_eq!(state(&a), Some(State::Sent), "nobody told it yet");
    give(&mut a, now, &answer);
    assert_eq!(state(&a), Some(State::Confirmed));
    assert_eq!(statuses(&mut a), [(id, State::Confirmed)]);
    assert_eq!(state(&a), None, "the end was told");
}

// behaviour: AH-14
#[test]
fn a_message_discarded_before_it_went_never_goes() {
    let now = start();
    let mut ends = acquainted(now);
    let ids = ["one", "two", "three"].map(|text| id_of(&mut ends[0], now, text));
    assert!(ends[0].discard(now, ids[1]));
    assert!(!ends[0].discard(now, ids[1]), "twice is nothing");
    exchange(&mut ends, now);
    assert_eq!(messages(&mut ends[1]), ["one", "three"]);
    let discarded = (ids[1], State::Discarded);
    assert!(statuses(&mut ends[0]).contains(&discarded));
    assert!(!ends[0].discard(now, ids[1]), "nor when it is forgotten");
    assert!(!ends[0].discard(now, ids[0]), "nor when it has come");
}

// behaviour: AH-14
#[test]
fn a_message_discarded_after_it_was_lost_never_goes_again() {
    let now = start();
    let mut ends = acquainted(now);
    let ids = ["one", "two", "three"].map(|text| id_of(&mut ends[0], now, text));
    next(&mut ends[0], now);
    assert!(ends[0].discard(now, ids[1]));
    let (window, bytes) = (32_768, "one".len() + "three".len());
    assert_eq!(ends[0].wanted(), window - i64::try_from(bytes).unwrap());
    exchange(&mut ends, now + SECOND);
    assert_eq!(messages(&mut ends[1]), ["one", "three"]);
    assert_eq!(ends[0].poll_timeout(), None);
    assert_eq!(ends[0].wanted(), window);
}

// behaviour: AH-15
#[test]
fn changes_are_told_once_a_batch() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let ids = ["one", "two"].map(|text| id_of(&mut a, now, text));
    assert_eq!(statuses(&mut a), [], "being sent is no change yet");
    let packet = next(&mut a, now);
    assert_eq!(statuses(&mut a), ids.map(|id| (id, State::Sent)));
    assert_eq!(statuses(&mut a), []);
    let third = id_of(&mut a, now, "three");
    give(&mut b, now, &packet);
    give(&mut a, now, &next(&mut b, now));
    next(&mut a, now);
    let mut told = statuses(&mut a);
    told.sort_by_key(|(id, _)| *id);
    let expected = [
        (ids[0], State::Confirmed),
        (ids[1], State::Confirmed),
        (third, State::Sent),
    ];
    assert_eq!(told, expected, "each as it is now, once");
}

// behaviour: AH-27
#[test]
fn a_packet_before_its_time_changes_no_message() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let id = id_of(&mut a, now, "x");
    let packet = next(&mut a, now);
    let mut buffer = [0; MIN_BUFFER];
    let before = a.message_status(id);
    for step in 1..=5 {
        let now = now + step * SECOND / 10;
        let length = a.probe(now, &mut buffer).unwrap();
        assert_eq!(count(&buffer[..length]), 0);
        assert_eq!(buffer[2..4], packet[2..4]);
        assert_eq!(a.message_status(id), before);
        assert_eq!(a.poll_timeout(), Some(now + SECOND));
    }
    give(&mut b, now, &packet);
    give(&mut a, now, &next(&mut b, now));
    assert_eq!(messages(&mut b), ["x"]);
    // A sign of life of an end that has nothing to say needs no answer.
    let length = a.probe(now, &mut buffer).unwrap();
    assert_eq!(give(&mut b, now, &buffer[..length]), Received::Repeated);
    assert_eq!(due(&mut b, now), None);
    assert_eq!(a.poll_timeout(), None);
}
