//! A peer that does what it may not, and others who are no peer at all.

use proptest::prelude::*;

use super::super::incoming::{Incoming, PIECES, WINDOW};
use super::super::message::{Body, MAX_DATA, Message, widen};
use super::*;
use crate::proto::pair::Seeded;

/// What the dialler says, past what it may.
fn says(net: &mut Net, body: Body<'_>) {
    let tag = net.ends[0].tag;
    let message = Message { tag, body }.encode();
    net.ends[0].send(net.now, Said::Data, message);
    net.run(SECOND);
}

#[test]
fn a_message_is_read_as_it_was_written_and_nothing_else_is_one() {
    let bodies = [
        Body::Open { limit: 1 },
        Body::Accept { limit: u32::MAX },
        Body::Data {
            offset: 7,
            bytes: &[1; MAX_DATA],
        },
        Body::End { offset: 8 },
        Body::Limit { limit: 9 },
        Body::Stop,
        Body::Reset,
    ];
    for body in bodies {
        let message = Message {
            tag: 0x0102_0304,
            body,
        };
        let bytes = message.encode();
        assert!(bytes.len() <= 255);
        assert_eq!(Message::decode(&bytes), Some(message.clone()));
        let whole = if let Body::Data { .. } = message.body {
            10
        } else {
            bytes.len()
        };
        for short in 0..whole {
            assert_eq!(Message::decode(&bytes[..short]), None, "{message:?}");
        }
        if whole == bytes.len() {
            assert_eq!(Message::decode(&[&bytes[..], &[0]].concat()), None);
        }
    }
    let open = Message {
        tag: 1,
        body: Body::Open { limit: 2 },
    }
    .encode();
    assert_eq!(&open[..], [1, 0, 0, 0, 1, 1, 0, 0, 0, 2]);
    let mut other = open.to_vec();
    other[5] = 2;
    assert_eq!(Message::decode(&other), None, "a version that is not known");
    assert_eq!(Message::decode(&[0, 0, 0, 0, 1]), None);
    assert_eq!(Message::decode(&[8, 0, 0, 0, 1]), None);
}

#[test]
fn counts_of_32_bits_mean_the_nearest() {
    assert_eq!(widen(5, 0), 5);
    assert_eq!(widen(u32::MAX, 0), 0, "there is nothing below 0");
    assert_eq!(widen(5, u64::from(u32::MAX)), (1 << 32) + 5);
    assert_eq!(widen(u32::MAX, 1 << 32), u64::from(u32::MAX));
}

#[test]
fn what_goes_beyond_the_window_is_reset() {
    let mut net = Net::open(1, Air::CLEAR);
    let offset = WINDOW as u32 - 5;
    says(
        &mut net,
        Body::Data {
            offset,
            bytes: &[1; 6],
        },
    );
    assert_eq!(net.ends[1].fault(), Some(Fault::Nonsense));
    assert_eq!(net.ends[0].fault(), Some(Fault::Reset));
    assert_eq!(net.ends[1].incoming.kept(), (0, 0));
    net.run(10 * SECOND);
    assert!(net.ends.iter().all(Airstream::is_over));
}

#[test]
fn what_overlaps_or_passes_the_end_is_reset() {
    let data = |offset| Body::Data {
        offset,
        bytes: &[1; 10],
    };
    let cases: [&[Body<'_>]; 6] = [
        &[data(0), data(5)],
        &[data(20), data(15)],
        &[data(20), data(25)],
        &[data(5), data(0)],
        &[Body::End { offset: 5 }, data(0)],
        &[data(0), Body::End { offset: 9 }],
    ];
    for case in cases {
        let mut net = Net::open(2, Air::CLEAR);
        for body in case {
            assert_eq!(net.ends[1].fault(), None, "{case:?}");
            says(&mut net, body.clone());
        }
        assert_eq!(net.ends[1].fault(), Some(Fault::Nonsense), "{case:?}");
    }
}

#[test]
fn crumbs_after_a_gap_are_bounded() {
    let mut incoming = Incoming::default();
    incoming.tell();
    let mut taken = 0;
    while incoming.data(2 + 2 * taken, &[1]) {
        taken += 1;
    }
    assert_eq!(taken as usize, PIECES);
    assert_eq!(incoming.kept(), (PIECES, PIECES));
}

#[test]
fn messages_of_another_tag_are_nobody_s() {
    let mut net = Net::open(3, Air::CLEAR);
    let tag = net.ends[0].tag ^ 1;
    for body in [
        Body::Data {
            offset: 0,
            bytes: b"in",
        },
        Body::Reset,
        Body::Stop,
    ] {
        let message = Message { tag, body }.encode();
        net.ends[0].send(net.now, Said::Data, message);
    }
    net.run(SECOND);
    assert!(net.ends[1].is_open() && !net.ends[1].is_readable());
    assert!(net.ends[1].write(net.now, b"still").is_ok());
}

#[test]
fn blind_datagrams_neither_stop_nor_change_a_stream() {
    // behaviour: AH-28
    let air = Air {
        loss: 10,
        ..Air::CLEAR
    };
    let mut net = Net::open(8, air);
    let mut blind = Seeded::new(8);
    net.run(SECOND);
    for round in 0..50 {
        for _ in 0..2_000 {
            // The kind of every packet between plain ends that know each other.
            let [.., a, b, c] = blind.draw().to_be_bytes();
            for end in &mut net.ends {
                end.receive(net.now, &[0, a, b, c]);
            }
        }
        let piece = noise(round, 3_000);
        assert_eq!(net.ends[0].write(net.now, &piece), Ok(piece.len()));
        net.run_until(60 * SECOND, |net| net.ends[0].outgoing.under_way() == 0);
        let mut read = vec![0; 4_000];
        assert_eq!(net.ends[1].read(net.now, &mut read), Ok(Some(3_000)));
        assert!(read[..3_000] == piece, "round {round}");
    }
}

#[test]
fn a_plain_airhook_opens_nothing() {
    let mut net = Net::new(4, Air::CLEAR);
    let mut line = Airhook::new(net.now, session(&mut net.chance), Settings::default());
    line.send(net.now, &b"hello\n"[..]).expect("room");
    let mut buf = [0; 1500];
    for _ in 0..20 {
        while let Ok(Some(n)) = line.transmit(net.now, &mut buf) {
            net.ends[1].receive(net.now, &buf[..n]);
        }
        while let Some(n) = net.ends[1].transmit(net.now, &mut buf) {
            let _ = line.receive(net.now, &buf[..n]);
        }
        net.now += SECOND / 10;
    }
    assert!(!net.ends[1].is_open() && !net.ends[1].is_readable());
    assert_eq!(net.ends[1].fault(), None);
}

#[test]
fn a_stranger_is_told_little() {
    let mut net = Net::new(6, Air::CLEAR);
    // Eight bytes, whose source may be forged.
    net.ends[1].receive(net.now, &[8, 0, 0, 1, 1, 2, 3, 4]);
    let mut buf = [0; PACKET];
    let mut told = 0;
    let until = net.now + 5 * SECOND;
    while net.now < until {
        while let Some(n) = net.ends[1].transmit(net.now, &mut buf) {
            told += n;
        }
        net.now = net.ends[1].poll_timeout().unwrap_or(until).min(until);
        net.ends[1].handle_timeout(net.now);
    }
    assert!((8..=24).contains(&told), "{told} bytes");
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_comes_nothing_panics_and_nothing_grows(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..100),
        messages in prop::collection::vec(
            (0u8..9, any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..100),
    ) {
        let mut net = Net::open(5, Air::CLEAR);
        for packet in &packets {
            net.ends[1].receive(net.now, packet);
        }
        let tag = net.ends[0].tag.to_be_bytes();
        for (kind, ours, rest) in &messages {
            let mut message = vec![*kind];
            message.extend(if *ours { tag } else { [0; 4] });
            message.extend(rest);
            if !net.ends[0].is_over() {
                net.ends[0].send(net.now, Said::Data, message.into());
            }
            net.run(SECOND / 50);
            let (bytes, pieces) = net.ends[1].incoming.kept();
            prop_assert!(bytes as u64 <= WINDOW && pieces <= PIECES);
        }
    }
}
