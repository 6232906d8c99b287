//! Packets of anybody.

use super::link::{Link, Weather};
use super::*;
use proptest::prelude::*;

/// The two packets that wrote out of bounds in the original: after 200 messages missed, 200 more.
const HOSTILE: [[u8; 9]; 2] = [
    [0x0a, 0, 0, 2, 9, 9, 9, 9, 0xc8],
    [0x0a, 0, 0, 3, 9, 9, 9, 9, 0x90],
];

// behaviour: AH-28
#[test]
fn the_two_hostile_packets_change_nothing() {
    let now = start();
    for mut core in [fresh(now, 1), acquainted(now).into_iter().next().unwrap()] {
        let before = core.status().remote_session;
        for packet in HOSTILE {
            assert_eq!(give(&mut core, now, &packet), Received::Stranger);
        }
        assert_eq!(core.status().remote_session, before);
        assert_eq!(core.poll_event(), None);
        assert_eq!(core.receiver.missed().len(), 0);
    }
}

// behaviour: AH-28
#[test]
fn a_peer_that_knows_us_cannot_overflow_the_missed_numbers() {
    let now = start();
    let mut core = fresh(now, 1);
    next(&mut core, now);
    let echoing = |packet: [u8; 9]| {
        let echo = [0, 0, 0, 1];
        let flags = packet[0] | 0x10;
        [&[flags][..], &packet[1..4], &echo, &packet[4..]].concat()
    };
    assert_eq!(give(&mut core, now, &echoing(HOSTILE[0])), Received::New);
    assert_eq!(core.receiver.missed().len(), 200);
    let second = core.receive(now, &echoing(HOSTILE[1]));
    assert_eq!(second, Err(ReceiveError::TooMany));
    assert_eq!(core.receiver.missed().len(), 200);
    // Nor with messages that wrap around in one packet.
    let mut many = echoing([0x0a, 0, 0, 3, 9, 9, 9, 9, 0xc8]);
    many.extend([0, b'x'].repeat(256));
    assert_eq!(core.receive(now, &many), Err(ReceiveError::TooMany));
    assert!(messages(&mut core).is_empty());
    many.truncate(many.len() - 2);
    assert_eq!(give(&mut core, now, &many), Received::New);
    assert_eq!(messages(&mut core).len(), 255);
}

// behaviour: AH-28
#[test]
fn a_packet_cut_short_anywhere_is_rejected() {
    let now = start();
    let echo = [0x1f, 0, 0, 2, 0, 0, 0, 1, 9, 9, 9, 9, 0, 1, 2, 5, 6, 7];
    // The last cut before the messages is whole; so is the one between two of them.
    let packet = [&echo[..], &[1, b'a', b'b', 0, b'c']].concat();
    for end in 0..packet.len() {
        let mut core = fresh(now, 1);
        next(&mut core, now);
        let cut = core.receive(now, &packet[..end]);
        if [18, 21].contains(&end) {
            assert_eq!(cut, Ok(Received::New), "{end}");
        } else {
            assert_eq!(cut, Err(ReceiveError::Truncated), "{end}");
            assert_eq!(core.poll_event(), None);
        }
    }
    let mut core = fresh(now, 1);
    next(&mut core, now);
    give(&mut core, now, &packet);
    assert_eq!(messages(&mut core), ["ab", "c"]);
}

// behaviour: AH-28
#[test]
fn flags_that_mean_nothing_are_tolerated() {
    let now = start();
    let [mut a, b] = acquainted(now);
    let [high, low] = b.sender.last().wrapping_add(1).to_be_bytes();
    let observed = a.sender.last().to_be_bytes()[1];
    give(&mut a, now, &[0xe1, observed, high, low, 77, 0, b'x']);
    assert_eq!(messages(&mut a), ["x"]);
}

proptest! {
    #![proptest_config(cases(300))]

    // behaviour: AH-28
    #[test]
    fn random_packets_deliver_nothing_to_one_that_is_alone(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..200),
    ) {
        let now = start();
        let mut core = fresh(now, 0x7654_3210);
        for packet in &packets {
            let _ = core.receive(now, packet);
            prop_assert!(core.poll_event().is_none());
            let _ = due(&mut core, now);
        }
        prop_assert!(core.sender.is_bounded(0));
        prop_assert!(core.receiver.missed().len() == 0);
    }

    // behaviour: AH-28
    #[test]
    fn mutated_packets_never_panic_and_nothing_grows(
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..3_usize), 1..60),
    ) {
        let mut link = Link::new(seed, Weather { loss: 20, ..Weather::FINE });
        link.settle(100 * SECOND);
        let mut spare = acquainted(link.now);
        for number in 0..20_u8 {
            for end in &mut spare {
                end.send(link.now, vec![number; 9]).expect("room");
            }
        }
        let pool = exchange(&mut spare, link.now);
        let [core, _] = &mut spare;
        for (which, place, value, kind) in changes {
            let mut packet = which.get(&pool).1.clone();
            match kind {
                0 => packet.truncate(place.index(packet.len() + 1)),
                1 => *place.get_mut(&mut packet) = value,
                _ => packet.insert(place.index(packet.len() + 1), value),
            }
            let _ = core.receive(link.now, &packet);
            prop_assert!(core.incoming.len() <= MAX_INCOMING + 255);
            prop_assert!(core.receiver.missed().len() <= 255);
            prop_assert!(core.sender.is_bounded(20));
            prop_assert!(core.peer.is_bounded());
            let _ = due(core, link.now);
        }
    }
}
