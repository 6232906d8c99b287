//! A peer that starts anew, and packets of the one it was.

use super::link::{Link, Weather};
use super::*;

// behaviour: AH-19, AH-21
#[test]
fn a_new_instance_gets_what_was_not_confirmed() {
    let mut link = Link::new(19, Weather::FINE);
    for text in ["a", "b", "c"] {
        link.send(0, text);
    }
    link.settle(10 * SECOND);
    link.dark = true;
    for text in ["d", "e"] {
        link.send(0, text);
    }
    link.pass(SECOND / 2);
    link.restart(1);
    link.dark = false;
    link.send(1, "hello");
    link.settle(20 * SECOND);
    let number = link.ends[1].core.status().session;
    assert_eq!(link.ends[0].sessions.len(), 2);
    assert_eq!(link.ends[0].sessions[1], number, "the new number is told");
    assert_eq!(
        link.ends[1].received,
        ["d", "e"],
        "only what was not confirmed"
    );
    assert_eq!(link.ends[0].received, ["hello"]);
    assert_eq!(link.ends[0].confirmed.len(), 5);
    assert!(
        link.ends
            .iter()
            .all(|end| end.core.poll_timeout().is_none())
    );
}

// behaviour: AH-19
#[test]
fn an_instance_after_another_is_found() {
    let mut link = Link::new(20, Weather::FINE);
    for round in 0..100 {
        let end = round % 2;
        link.send(1 - end, format!("{round} to the old or the new one"));
        link.pass(SECOND / 100 * u32::try_from(round % 7).unwrap());
        link.restart(end);
        link.send(end, format!("{round} from the new one"));
        link.settle(20 * SECOND);
        assert!(link.ends[1 - end].open.is_empty());
        assert!(link.ends[end].open.is_empty());
    }
}

// behaviour: AH-12, AH-19
#[test]
fn a_restart_makes_sent_messages_pending_and_keeps_their_counts() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    let id = a.send(now, &b"x"[..]).unwrap();
    next(&mut a, now);
    b = fresh(now, b.status().session.get() + 1);
    give(&mut a, now, &next(&mut b, now));
    give(&mut b, now, &next(&mut a, now));
    assert_eq!(a.message_status(id).unwrap().state, State::Sent);
    give(&mut a, now, &next(&mut b, now));
    let status = a.message_status(id).unwrap();
    assert_eq!((status.state, status.transmit_count), (State::Pending, 1));
    let again = next(&mut a, now);
    assert_eq!((count(&again), parsed(&again).number), (1, 0));
    give(&mut b, now, &again);
    assert_eq!(messages(&mut b), ["x"]);
}

/// Two ends that talked, packets of theirs that are under way still, and the second one anew.
fn restarted(now: Instant, talk: u32) -> ([Airhook; 2], [Vec<Vec<u8>>; 2]) {
    let mut ends = acquainted(now);
    for number in 0..talk {
        for end in &mut ends {
            end.send(now, format!("told {number}")).unwrap();
        }
        exchange(&mut ends, now);
    }
    for end in &mut ends {
        while end.poll_event().is_some() {}
    }
    let mut under_way = [Vec::new(), Vec::new()];
    for number in 0..3 {
        for (end, delayed) in ends.iter_mut().zip(&mut under_way) {
            end.send(now, format!("delayed {number}")).unwrap();
            delayed.push(next(end, now));
        }
    }
    ends[1] = fresh(now, 0x0c0c_0c0c);
    (ends, under_way)
}

// behaviour: AH-13, AH-20
#[test]
fn a_delayed_packet_of_the_old_session_never_counts() {
    let now = start();
    for talk in [0, 1, 2, 3, 40, 130, 300] {
        // After so many packets of the new acquaintance all that were under way arrive, each way.
        for turns in 0..12 {
            let ([mut a, mut b], [from_a, from_old_b]) = restarted(now, talk);
            let mut carried = 0;
            let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
            let late = |carried, a: &mut Airhook, b: &mut Airhook| {
                if carried == turns {
                    for packet in &from_old_b {
                        let _ = a.receive(now, packet);
                    }
                    for packet in &from_a {
                        let _ = b.receive(now, packet);
                    }
                }
            };
            late(carried, &mut a, &mut b);
            let knows = a.status().remote_session;
            for round in 0..30_u32 {
                let now = now + round * SECOND;
                while let Some(packet) = due(&mut b, now) {
                    let _ = a.receive(now, &packet);
                    carried += 1;
                    late(carried, &mut a, &mut b);
                }
                while let Some(packet) = due(&mut a, now) {
                    let _ = b.receive(now, &packet);
                    carried += 1;
                    late(carried, &mut a, &mut b);
                }
                let mut known = knows;
                while let Some(event) = a.poll_event() {
                    match event {
                        Event::Session(session) => known = Some(session),
                        // Before the new one is known, the old one's are good.
                        Event::Message(message) => to_a.push((known, message)),
                        Event::Status(_, status) => {
                            let confirmed = status.state == State::Confirmed;
                            to_b.extend(messages(&mut b));
                            assert!(!confirmed || !to_b.is_empty(), "by nobody");
                        }
                    }
                }
                to_b.extend(messages(&mut b));
            }
            let case = format!("{talk} told, {turns} turns");
            // The new one got what the old one did not confirm, each once.
            let expected = ["delayed 0", "delayed 1", "delayed 2"].map(Bytes::from);
            to_b.sort();
            assert_eq!(to_b, expected, "{case}");
            let new = Some(session(0x0c0c_0c0c));
            assert!(
                to_a.iter().all(|(from, _)| *from != new),
                "{case}: {to_a:?}"
            );
            // And they go on.
            let mut ends = [a, b];
            let later = now + 60 * SECOND;
            for end in &mut ends {
                end.send(later, &b"on"[..]).unwrap();
            }
            exchange(&mut ends, later);
            for end in &mut ends {
                assert_eq!(messages(end), ["on"], "{case}");
                assert_eq!(end.status().remote_state, State::Confirmed);
            }
        }
    }
}

// behaviour: AH-20
#[test]
fn a_session_that_was_replaced_does_not_come_back() {
    let now = start();
    let mut ends = [fresh(now, 1), fresh(now, 2)];
    let first: Vec<_> = exchange(&mut ends, now);
    ends[1] = fresh(now, 3);
    exchange(&mut ends, now);
    assert_eq!(ends[0].status().remote_session, Some(session(3)));
    while ends[0].poll_event().is_some() {}
    for (_, packet) in first.iter().filter(|(from, _)| *from == 1) {
        let late = ends[0].receive(now, packet);
        // What told no session then is not new, whatever else it is.
        assert_ne!(late, Ok(Received::New), "{packet:?}");
        assert!(late.is_err() || parsed(packet).session.is_none());
        assert_eq!(ends[0].status().remote_session, Some(session(3)));
        assert_eq!(ends[0].poll_event(), None);
    }
}

// behaviour: AH-21
#[test]
fn sessions_that_were_replaced_are_bounded() {
    let now = start();
    let mut ends = [fresh(now, 1), fresh(now, 2)];
    exchange(&mut ends, now);
    for number in 3..100 {
        ends[1] = fresh(now, number);
        exchange(&mut ends, now);
        assert_eq!(ends[0].status().remote_session, Some(session(number)));
    }
    assert!(ends[0].peer.is_bounded());
    assert!(ends[0].sender.is_bounded(0));
}

// behaviour: AH-13, AH-20
#[test]
fn a_copy_of_the_last_packet_to_the_old_instance_confirms_nothing() {
    let now = start();
    // Two that know each other and whose second one's sequences a third one is about to use again.
    let mut ends = [fresh(now, 1), fresh(now, 2)];
    exchange(&mut ends, now);
    let [mut a, b] = ends;
    let observed = b.sender.last();
    a.send(now, &b"to the old one"[..]).unwrap();
    let late = next(&mut a, now);
    assert_eq!(late[1], observed.to_be_bytes()[1]);
    let mut new = fresh(now, 3);
    let id = new.send(now, &b"from the new one"[..]).unwrap();
    give(&mut a, now, &next(&mut new, now));
    let question = next(&mut a, now);
    assert_eq!(parsed(&question).sequence, parsed(&late).sequence + 1);
    give(&mut new, now, &question);
    while new.sender.last() != observed {
        next(&mut new, now);
        new.send(now, &b"more"[..]).unwrap();
    }
    assert_eq!(give(&mut new, now, &late), Received::Old);
    let status = new.message_status(id).unwrap();
    assert_eq!(status.state, State::Sent, "nobody has it");
    assert!(messages(&mut new).is_empty());
}

// behaviour: AH-20, AH-21
#[test]
fn an_instance_that_died_while_calling_does_not_keep_the_next_one_away() {
    let now = start();
    let mut b = fresh(now, 2);
    for text in ["zero", "one"] {
        b.send(now, text).unwrap();
    }
    // The first instance calls, is introduced to, answers, and is gone; its packets come twice.
    let mut dead = fresh(now, 10);
    let call = next(&mut dead, now);
    give(&mut b, now, &call);
    give(&mut dead, now, &next(&mut b, now));
    let answer = next(&mut dead, now);
    // The next one calls too, and knows us before we know it.
    let mut alive = fresh(now, 11);
    alive.send(now, &b"alive"[..]).unwrap();
    b.send(now, "two").unwrap();
    give(&mut b, now, &next(&mut alive, now));
    let introduction = next(&mut b, now);
    assert_eq!(count(&introduction), 0, "messages are for whoever it is");
    give(&mut alive, now, &introduction);
    // Then the dead one is heard, call and all.
    give(&mut b, now, &call);
    next(&mut b, now);
    assert_eq!(give(&mut b, now, &answer), Received::New);
    assert_eq!(b.status().remote_session, Some(session(10)));
    next(&mut b, now);
    let mut ends = [b, alive];
    for seconds in 0..10 {
        exchange(&mut ends, now + seconds * SECOND);
    }
    assert_eq!(ends[0].status().remote_session, Some(session(11)));
    assert_eq!(messages(&mut ends[0]), ["alive"]);
    let came = messages(&mut ends[1]);
    assert_eq!(came, ["two"], "the dead one had the others");
    assert!(ends.iter().all(|end| end.poll_timeout().is_none()));
}
