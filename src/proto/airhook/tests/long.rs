//! Long runs over bad links.

use super::link::{Link, Weather};
use super::*;
use crate::proto::pair::Seeded;

fn message(from: usize, number: u32) -> Bytes {
    let length = 6 + usize::try_from(number % 40).expect("small");
    let mut bytes = vec![0; length];
    bytes[0] = from.to_le_bytes()[0];
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

/// 4,000 messages each way, kept coming as they are wanted.
fn carries_4000_each_way(loss: u64) {
    let weather = Weather {
        loss,
        duplication: 30,
        delay: Duration::from_millis(20),
        jitter: 2 * SECOND,
        largest: 1_000,
    };
    let mut link = Link::new(loss + 1, weather);
    for number in 0..4_000 {
        for end in 0..2 {
            link.send(end, message(end, number));
        }
    }
    link.settle(40_000 * SECOND);
    for end in 0..2 {
        let all = (0..4_000).map(|number| message(end, number)).collect();
        assert!(link.ends[1 - end].has_exactly(all), "none lost, none twice");
        assert_eq!(link.ends[end].confirmed.len(), 4_000);
    }
}

// behaviour: AH-02, AH-13
#[test]
fn carries_4000_messages_each_way_without_loss() {
    carries_4000_each_way(0);
}

// behaviour: AH-02, AH-13
#[test]
fn carries_4000_messages_each_way_with_a_fifth_lost() {
    carries_4000_each_way(20);
}

// behaviour: AH-02, AH-13
#[test]
fn carries_4000_messages_each_way_with_two_fifths_lost() {
    carries_4000_each_way(40);
}

// behaviour: AH-02, AH-13
#[test]
fn carries_4000_messages_each_way_with_three_fifths_lost() {
    carries_4000_each_way(60);
}

// behaviour: AH-25
#[test]
fn both_number_spaces_wrap_again_and_again() {
    let mut now = start();
    let mut chance = Seeded::new(25);
    let mut ends = acquainted(now);
    let mut buffer = [0; MIN_BUFFER];
    // What came to each end, how often its sequences wrapped, and where they are.
    let mut came = [Vec::new(), Vec::new()];
    let (mut wraps, mut last) = ([0; 2], [0; 2]);
    let (mut packets, mut sent) = (0, 0_u32);
    while packets < 400_000 {
        // One each way at a time, of which some are lost.
        now += SECOND / 1_000;
        for from in 0..2 {
            ends[from].send(now, sent.to_be_bytes().to_vec()).unwrap();
            while let Some(length) = ends[from].transmit(now, &mut buffer).unwrap() {
                packets += 1;
                let sequence = ends[from].sender.last();
                wraps[from] += u32::from(sequence < std::mem::replace(&mut last[from], sequence));
                if chance.below(100) > 0 {
                    give(&mut ends[1 - from], now, &buffer[..length]);
                    look(&mut ends[1 - from], &mut came[1 - from]);
                }
            }
        }
        sent += 1;
    }
    exchange(&mut ends, now + SECOND);
    for (end, mut came) in ends.iter_mut().zip(came) {
        look(end, &mut came);
        came.sort_unstable();
        assert!(came.into_iter().eq(0..sent), "none lost, none twice");
        assert!(wraps.iter().all(|wraps| *wraps >= 2), "{wraps:?}");
        assert_eq!(end.wanted(), 32_768, "all are confirmed");
    }
    assert!(sent > 256 * 100);
}

fn look(end: &mut Airhook, came: &mut Vec<u32>) {
    while let Some(event) = end.poll_event() {
        if let Event::Message(message) = event {
            let message = message[..].try_into().expect("four bytes");
            came.push(u32::from_be_bytes(message));
        }
    }
}

// behaviour: AH-26
#[test]
fn everything_arrives_soon_after_a_blackout() {
    let mut link = Link::new(26, Weather::FINE);
    link.settle(60 * SECOND);
    link.dark = true;
    for number in 0..100 {
        for end in 0..2 {
            link.send(end, message(end, number));
        }
        link.pass(295 * SECOND / 100);
    }
    link.dark = false;
    let back = link.now;
    link.settle(60 * SECOND);
    // A probe, what it lacks, and that: three times through.
    let limit = SECOND + 3 * Weather::FINE.delay;
    for end in 0..2 {
        let all = (0..100).map(|number| message(end, number)).collect();
        assert!(link.ends[1 - end].has_exactly(all));
        let took = link.ends[end].received_at - back;
        assert!(took <= limit, "{took:?}");
    }
}
