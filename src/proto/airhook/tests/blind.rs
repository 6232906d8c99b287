//! Packets of somebody who sees none of ours and forges the peer's address.

use super::link::{Link, Weather};
use super::*;
use crate::proto::pair::Seeded;

fn guard(core: &mut Airhook) {
    let guarded = true;
    core.set_settings(Settings {
        guarded,
        ..Settings::default()
    });
}

/// Two that know each other, each with messages under way.
fn busy(now: Instant, guarded: bool) -> [Airhook; 2] {
    let mut ends = [fresh(now, 0x0a0a_0a0a), fresh(now, 0x0b0b_0b0b)];
    if guarded {
        ends.iter_mut().for_each(guard);
    }
    exchange(&mut ends, now);
    for end in &mut ends {
        while end.poll_event().is_some() {}
        for n in 0..100u8 {
            end.send(now, vec![n; 200]).expect("room");
        }
        while due(end, now).is_some() {}
    }
    ends
}

/// Any packet of up to 40 bytes that does not tell a session without telling another: that is a stranger,
/// who is asked.
fn forged(chance: &mut Seeded) -> Vec<u8> {
    let length = match chance.below(2) {
        0 => 4,
        _ => chance.below(40),
    };
    let mut packet: Vec<u8> = (0..length).map(|_| chance.draw() as u8).collect();
    if let Some(flags) = packet.first_mut() {
        match chance.below(3) {
            0 => *flags = 0,
            1 => *flags &= 0x37,
            _ => *flags |= 0x18,
        }
    }
    packet
}

// behaviour: AH-28
#[test]
fn a_million_blind_packets_change_nothing_between_guarded_ends() {
    let now = start();
    let mut ends = busy(now, true);
    let before = format!("{ends:?}");
    let mut chance = Seeded::new(1);
    for _ in 0..500_000 {
        let packet = forged(&mut chance);
        for end in &mut ends {
            let taken = end.receive(now, &packet);
            assert!(taken.is_err(), "{packet:02x?}: {taken:?}");
        }
    }
    assert_eq!(format!("{ends:?}"), before);
}

// behaviour: AH-28
#[test]
fn blind_packets_of_every_kind_take_nothing_from_a_guarded_link() {
    let weather = Weather {
        loss: 20,
        duplication: 5,
        ..Weather::FINE
    };
    let mut link = Link::new(7, weather);
    link.ends.iter_mut().for_each(|end| guard(&mut end.core));
    link.settle(60 * SECOND);
    let mut chance = Seeded::new(2);
    let expected = [0, 1].map(|end| {
        let lines = (0..600).map(|n| Bytes::from(format!("{n} of {end}")));
        lines.collect::<Vec<_>>()
    });
    for (end, lines) in expected.iter().enumerate() {
        for line in lines {
            link.send(end, line.clone());
        }
    }
    for _ in 0..400 {
        for _ in 0..100 {
            let mut packet = forged(&mut chance);
            if chance.below(4) == 0 {
                // A stranger.
                packet = [&[8, 0, 0, 1][..], &(chance.draw() as u32).to_be_bytes()].concat();
            }
            let end = usize::from(chance.below(2) == 0);
            let _ = link.ends[end].core.receive(link.now, &packet);
        }
        link.pass(SECOND / 20);
    }
    link.settle(60 * SECOND);
    for (end, lines) in expected.iter().enumerate() {
        assert!(link.ends[1 - end].has_exactly(lines.clone()), "end {end}");
        assert_eq!(link.ends[end].confirmed.len(), lines.len());
        assert_eq!(link.ends[end].sessions.len(), 1, "one peer");
    }
}

#[test]
fn without_a_guard_the_odds_are_those_of_the_essay() {
    let now = start();
    let quiet = acquainted(now).into_iter().next().expect("one of two");
    let busy = busy(now, false).into_iter().next().expect("one of two");
    for core in [quiet, busy] {
        let sequences = (0..=u16::MAX).filter(|sequence| {
            let place = core.receiver.place(*sequence);
            matches!(place, receiver::Place::New | receiver::Place::Repeated)
        });
        assert_eq!(sequences.count(), 256);
        let fits = |observed: &u8| core.sender.newly(*observed).is_some();
        let acknowledgements = (0..=u8::MAX).filter(fits).count();
        assert_eq!(acknowledgements, core.sender.open() + 1);
        assert!(core.sender.open() <= sender::MAX_PACKETS);
    }
}

#[test]
fn a_guarded_packet_is_longer_by_both_sessions_and_needs_no_answer_for_them() {
    let now = start();
    let mut ends = [fresh(now, 0x0a0a_0a0a), fresh(now, 0x0b0b_0b0b)];
    ends.iter_mut().for_each(guard);
    exchange(&mut ends, now);
    for end in &ends {
        assert_eq!(end.status().remote_state, State::Confirmed);
        assert_eq!(end.poll_timeout(), None, "silence");
    }
    ends[0].send(now, &b"hi"[..]).expect("room");
    let packet = next(&mut ends[0], now);
    assert_eq!(packet[0] & 0x38, 0x38);
    assert_eq!(packet[4..12], [[0x0b; 4], [0x0a; 4]].concat());
    assert_eq!(give(&mut ends[1], now, &packet), Received::New);
    let answer = next(&mut ends[1], now);
    assert_eq!(answer.len(), 12);
    assert_eq!(give(&mut ends[0], now, &answer), Received::New);
    assert_eq!(due(&mut ends[0], now), None);
    // Without either number, or with another, it is nobody's.
    ends[0].send(now, &b"ho"[..]).expect("room");
    let packet = next(&mut ends[0], now);
    let without = [&[packet[0] & 0x07][..], &packet[1..4], &packet[12..]].concat();
    let half = [&[packet[0] & 0x17][..], &packet[1..8], &packet[12..]].concat();
    for forged in [without, half] {
        let rejected = ends[1].receive(now, &forged);
        assert_eq!(rejected, Err(ReceiveError::NoSession), "{forged:02x?}");
    }
    assert_eq!(give(&mut ends[1], now, &packet), Received::New);
    assert_eq!(messages(&mut ends[1]).len(), 2);
}

// behaviour: AH-13, AH-20
#[test]
fn a_guarded_end_that_starts_anew_is_found_again() {
    let mut link = Link::new(3, Weather::FINE);
    link.ends.iter_mut().for_each(|end| guard(&mut end.core));
    link.send(0, "before");
    link.settle(10 * SECOND);
    link.restart(1);
    guard(&mut link.ends[1].core);
    link.send(0, "after");
    link.settle(10 * SECOND);
    assert!(link.ends[1].has_exactly(vec!["after".into()]));
    assert_eq!(link.ends[0].sessions.len(), 2);
}
