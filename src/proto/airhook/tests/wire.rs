//! Bytes that are known, and how messages share packets.

use super::*;

// behaviour: AH-01
#[test]
fn the_first_packet_without_a_message_is_known() {
    let now = start();
    let mut core = fresh(now, 0x0102_0304);
    assert_eq!(next(&mut core, now), [8, 0, 0, 1, 1, 2, 3, 4]);
    assert_eq!(due(&mut core, now), None, "one is enough");
}

// behaviour: AH-01
#[test]
fn the_first_packet_with_a_message_is_known() {
    let now = start();
    let mut core = fresh(now, 0x0102_0304);
    core.send(now, &b"hi"[..]).unwrap();
    let expected = [8, 0, 0, 2, 1, 2, 3, 4, 1, b'h', b'i'];
    assert_eq!(next(&mut core, now), expected);
}

// behaviour: AH-01, AH-24
#[test]
fn a_first_exchange_takes_four_packets() {
    let now = start();
    let mut ends = [fresh(now, 0x0102_0304), fresh(now, 0x0506_0708)];
    let [a, b] = &mut ends;
    let first = next(a, now);
    assert_eq!(give(b, now, &first), Received::Stranger);
    let second = next(b, now);
    assert_eq!(second, [0x18, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
    give(a, now, &second);
    let third = next(a, now);
    assert_eq!(third, [0x18, 2, 0, 2, 5, 6, 7, 8, 1, 2, 3, 4]);
    give(b, now, &third);
    let fourth = next(b, now);
    assert_eq!(fourth, [0, 2, 0, 3]);
    give(a, now, &fourth);
    assert!(exchange(&mut ends, now + SECOND).is_empty());
}

// behaviour: AH-03
#[test]
fn messages_have_one_to_255_bytes() {
    let now = start();
    let mut core = fresh(now, 1);
    assert_eq!(core.send(now, Bytes::new()), Err(SendError::Empty));
    assert_eq!(core.send(now, vec![0; 256]), Err(SendError::TooLong(256)));
    let id = core.send(now, vec![7; 255]).unwrap();
    let packet = next(&mut core, now);
    assert_eq!(packet.len(), 8 + 1 + 255);
    assert_eq!(packet[8], 254);
    assert_eq!(core.message_status(id).unwrap().state, State::Sent);
}

#[test]
fn a_message_of_256_bytes_of_another_program_is_taken() {
    let now = start();
    let [_, mut b] = acquainted(now);
    let header = [0, b.sender.last().to_be_bytes()[1], 0, 200, 255];
    let packet = [&header[..], &[9; 256]].concat();
    give(&mut b, now, &packet);
    assert_eq!(messages(&mut b), [Bytes::from(vec![9; 256])]);
}

// behaviour: AH-04
#[test]
fn a_buffer_too_small_changes_nothing() {
    let now = start();
    let mut core = fresh(now, 1);
    assert_eq!(
        core.transmit(now, &mut [0; 7]),
        Err(BufferTooSmall { needed: 8 })
    );
    let id = core.send(now, vec![1; 100]).unwrap();
    let needed = 8 + 1 + 100;
    for size in [0, 8, needed - 1] {
        let mut small = vec![0; size];
        assert_eq!(
            core.transmit(now, &mut small),
            Err(BufferTooSmall { needed })
        );
        let status = core.message_status(id).unwrap();
        assert_eq!((status.state, status.transmit_count), (State::Pending, 0));
        assert!(core.status().last_transmit.is_none());
    }
    let packet = due_within(&mut core, now, needed).unwrap();
    assert_eq!((packet.len(), packet[3]), (needed, 2));
}

// behaviour: AH-05
#[test]
fn small_messages_share_a_packet_and_none_is_split() {
    let now = start();
    let mut ends = acquainted(now);
    let sent: Vec<Bytes> = (0..40_u8).map(|n| vec![n; 30].into()).collect();
    for message in &sent {
        ends[0].send(now, message.clone()).unwrap();
    }
    let mut packets = Vec::new();
    while let Some(packet) = due_within(&mut ends[0], now, 500) {
        assert!(packet.len() <= 500);
        packets.push(packet);
    }
    // 31 bytes each; the number takes a byte of every packet but the first.
    assert_eq!(
        packets.iter().map(|p| count(p)).collect::<Vec<_>>(),
        [16, 15, 9]
    );
    for packet in &packets {
        give(&mut ends[1], now, packet);
    }
    assert_eq!(messages(&mut ends[1]), sent);
}

#[test]
fn no_packet_needs_more_than_the_least_buffer() {
    let now = start();
    let [mut a, mut b] = acquainted(now);
    for _ in 0..255 {
        a.send(now, &[1][..]).unwrap();
    }
    // All are lost, so the probe tells of 255 missed, to a peer that must be asked who it is too.
    next(&mut a, now);
    let probe = next(&mut a, now + SECOND);
    give(&mut b, now, &probe);
    b.send(now, vec![1; 255]).unwrap();
    b.sender.restart(now, b.sender.last().to_be_bytes()[1]);
    b.peer.meet(session(3), b.sender.last());
    b.peer.asked();
    for _ in 0..2 {
        b.send(now, &[1][..]).unwrap();
    }
    let error = b.transmit(now, &mut []).unwrap_err();
    assert_eq!(error.needed, MIN_BUFFER - 1, "all but the number");
    assert!(b.transmit(now, &mut [0; MIN_BUFFER]).unwrap().is_some());
}
