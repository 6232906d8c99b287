//! The stream over a simulated link.

use std::time::Duration;

use proptest::prelude::*;

use super::incoming::{PIECES, WINDOW};
use super::outgoing::OUTBOX;
use super::*;
use crate::proto::cases::cases;
use net::{Air, Net, noise, session};

mod figures;
mod hostile;
mod net;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bytes_arrive_in_order_both_ways() {
    // behaviour: EV-03
    let mut net = Net::open(1, Air::CLEAR);
    let took = net.carry([&noise(1, 200_000), &noise(2, 300_000)], 10 * SECOND);
    // Some 60 kB a round trip of 10 ms.
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn a_counter_of_a_megabyte_survives_every_loss() {
    // behaviour: AH-29
    for (loss, twice) in [(20, 0), (40, 20), (60, 30)] {
        let air = Air {
            loss,
            twice,
            jitter: Duration::from_millis(20),
            ..Air::CLEAR
        };
        let mut net = Net::open(loss, air);
        let counter: Vec<u8> = (0..250_000u32).flat_map(u32::to_be_bytes).collect();
        let took = net.carry([&counter, &[]], 3_000 * SECOND);
        let rate = counter.len() as f64 / took.as_secs_f64();
        assert!(rate > 20_000.0, "{rate} B/s at {loss} %");
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn whatever_the_link_does_the_bytes_are_the_same(
        seed in any::<u64>(),
        loss in 0u64..60,
        twice in 0u64..30,
        jitter in 0u64..2_000,
        lengths in (0usize..40_000, 0usize..40_000),
    ) {
        let air = Air { loss, twice, jitter: Duration::from_millis(jitter), ..Air::CLEAR };
        let mut net = Net::new(seed, air);
        net.run_until(900 * SECOND, |net| net.ends.iter().all(Airstream::is_open));
        net.carry([&noise(seed, lengths.0), &noise(!seed, lengths.1)], 3_000 * SECOND);
        for end in 0..2 {
            let now = net.now;
            net.ends[end].close(now);
        }
        net.run_until(LINGER * 2, |net| net.ends.iter().all(Airstream::is_over));
        // The last word of all may be lost, and whoever said it gone.
        let ends = net.ends.iter().map(Airstream::fault);
        prop_assert!(ends.into_iter().all(|fault| matches!(fault, None | Some(Fault::Silent))));
    }
}

#[test]
fn a_slow_reader_bounds_memory_and_hurries_nobody() {
    let mut net = Net::open(3, Air::CLEAR);
    let bytes = noise(3, 64 << 10);
    let mut written = 0;
    for _ in 0..200 {
        written += net.ends[0].write(net.now, &bytes).expect("it is open");
        net.run(SECOND / 10);
    }
    assert_eq!(written as u64, WINDOW + OUTBOX as u64);
    assert_eq!(net.ends[1].incoming.kept(), (WINDOW as usize, 0));
    assert_eq!(net.ends[0].outgoing.kept(), (OUTBOX, 0));
    assert!(!net.ends[0].is_writable());
    // Nothing is owed, so nothing is said and nobody is missed.
    let sent = net.sent;
    net.run(3_600 * SECOND);
    assert_eq!(net.sent, sent);
    assert!(net.ends.iter().all(Airstream::is_open));
    let mut buf = vec![0; WINDOW as usize];
    let read = net.ends[1].read(net.now, &mut buf).expect("no fault");
    assert_eq!(read, Some(WINDOW as usize));
    net.run(10 * SECOND);
    assert!(net.ends[0].is_writable());
    let read = net.ends[1].read(net.now, &mut buf).expect("no fault");
    assert_eq!(read, Some(OUTBOX));
}

#[test]
fn little_waits_unsent_where_that_is_asked() {
    let mut net = Net::open(3, Air::CLEAR);
    net.ends[0].limit_unsent(1_000);
    net.air.dark = true;
    let bytes = noise(3, 64 << 10);
    while net.ends[0].write(net.now, &bytes).expect("it is open") > 0 {}
    assert_eq!(net.ends[0].outgoing.kept().0, 1_000);
}

#[test]
fn one_way_ends_and_the_other_goes_on() {
    let mut net = Net::open(4, Air::CLEAR);
    let mut buf = [0; 100];
    net.ends[0].write(net.now, b"last words").expect("room");
    net.ends[0].shutdown(net.now);
    assert_eq!(net.ends[0].write(net.now, b"!"), Err(WriteError::Ended));
    net.run(SECOND);
    assert_eq!(net.ends[1].read(net.now, &mut buf), Ok(Some(10)));
    assert_eq!(net.ends[1].read(net.now, &mut buf), Ok(Some(0)));
    net.ends[1].write(net.now, b"and mine").expect("room");
    net.ends[1].shutdown(net.now);
    net.run(SECOND);
    assert_eq!(net.ends[0].read(net.now, &mut buf), Ok(Some(8)));
    assert_eq!(net.ends[0].read(net.now, &mut buf), Ok(Some(0)));
    for end in 0..2 {
        net.ends[end].close(net.now);
    }
    net.run(2 * SECOND);
    assert!(net.ends.iter().all(Airstream::is_over));
    assert!(net.ends.iter().all(|end| end.fault().is_none()));
}

#[test]
fn what_was_written_before_a_close_arrives_and_then_nothing_can_be_written() {
    // behaviour: EV-14, EV-15
    for loss in [0, 30] {
        let mut net = Net::open(5, Air { loss, ..Air::CLEAR });
        let bytes = noise(5, 50_000);
        assert_eq!(net.ends[0].write(net.now, &bytes), Ok(bytes.len()));
        net.ends[0].close(net.now);
        net.run(20 * SECOND);
        let mut buf = vec![0; 60_000];
        assert_eq!(net.ends[1].read(net.now, &mut buf), Ok(Some(bytes.len())));
        assert!(buf.starts_with(&bytes));
        assert_eq!(net.ends[1].read(net.now, &mut buf), Ok(Some(0)));
        assert_eq!(net.ends[1].write(net.now, b"!"), Err(WriteError::Stopped));
        assert!(net.ends[0].is_over());
        net.ends[1].close(net.now);
        net.run(3 * SECOND);
        assert!(net.ends[1].is_over());
    }
}

#[test]
fn a_closed_stream_whose_peer_never_reads_ends_and_says_so() {
    let mut net = Net::open(6, Air::CLEAR);
    let bytes = noise(6, OUTBOX);
    for _ in 0..20 {
        net.ends[0].write(net.now, &bytes).expect("it is open");
        net.run(SECOND);
    }
    net.ends[0].close(net.now);
    net.run(LINGER - SECOND);
    assert!(!net.ends[0].is_over());
    net.run(10 * SECOND);
    assert_eq!(net.ends[0].fault(), Some(Fault::Lingered));
    assert!(net.ends[0].is_over());
    // What came before can still be read.
    let mut buf = vec![0; WINDOW as usize];
    let read = net.ends[1].read(net.now, &mut buf);
    assert_eq!(read, Ok(Some(WINDOW as usize)));
    assert_eq!(net.ends[1].read(net.now, &mut buf), Err(Fault::Reset));
}

#[test]
fn silence_is_the_end_only_while_something_is_owed() {
    let mut net = Net::open(7, Air::CLEAR);
    net.run(SECOND);
    net.air.dark = true;
    let sent = net.sent;
    net.run(3_600 * SECOND);
    assert_eq!(net.sent, sent, "silent when idle");
    assert!(net.ends.iter().all(Airstream::is_open));
    net.ends[0].write(net.now, b"are you there").expect("room");
    net.run(SILENCE - SECOND);
    assert_eq!(net.ends[0].fault(), None);
    // A second between two questions, once none was answered.
    assert!((net.sent - sent) < 50, "{} packets", net.sent - sent);
    net.run(2 * SECOND);
    assert_eq!(net.ends[0].fault(), Some(Fault::Silent));
    assert!(net.ends[0].is_over() && net.ends[1].is_open());
    let mut buf = [0; 10];
    assert_eq!(net.ends[0].read(net.now, &mut buf), Err(Fault::Silent));
    let written = net.ends[0].write(net.now, b"!");
    assert_eq!(written, Err(WriteError::Fault(Fault::Silent)));
}

#[test]
fn a_blackout_that_ends_in_time_costs_no_more_than_itself_and_a_second() {
    let mut net = Net::open(8, Air::CLEAR);
    let bytes = noise(8, 50_000);
    net.ends[0].write(net.now, &bytes).expect("room");
    net.air.dark = true;
    net.run(SILENCE - 5 * SECOND);
    net.air.dark = false;
    net.run(SECOND + SECOND / 2);
    let mut buf = vec![0; 60_000];
    assert_eq!(net.ends[1].read(net.now, &mut buf), Ok(Some(50_000)));
    assert!(buf.starts_with(&bytes));
}

#[test]
fn another_instance_of_the_peer_ends_the_stream() {
    for restarted in 0..2 {
        let mut net = Net::open(9, Air::CLEAR);
        let session = session(&mut net.chance);
        net.ends[restarted] = match restarted {
            0 => Airstream::dial(net.now, session, 77),
            _ => Airstream::listen(net.now, session),
        };
        net.ends[1 - restarted]
            .write(net.now, b"hello")
            .expect("room");
        net.run(5 * SECOND);
        let left = &net.ends[1 - restarted];
        assert_eq!(left.fault(), Some(Fault::Restarted));
        assert!(left.is_over());
        // Its bytes are of another stream than what the new instance may open.
        assert!(!net.ends[restarted].is_readable());
    }
}

#[test]
fn a_listener_that_restarts_while_it_is_dialled_is_asked_anew() {
    let mut net = Net::new(10, Air::CLEAR);
    // The first instance confirms what it got, and is gone before its answer arrives.
    net.run_until(SECOND, |net| net.ends[1].is_open());
    net.flush();
    net.air.dark = true;
    net.run(SECOND / 20);
    let session = session(&mut net.chance);
    net.ends[1] = Airstream::listen(net.now, session);
    net.air.dark = false;
    net.run(10 * SECOND);
    let opened = net.ends.iter().all(Airstream::is_open);
    let told = net.ends[0].fault() == Some(Fault::Restarted);
    assert!(opened || told, "{:?}", net.ends[0]);
}

#[test]
fn only_the_pace_s_pieces_are_under_way() {
    let mut net = Net::open(11, Air::CLEAR);
    net.air.dark = true;
    for _ in 0..40 {
        net.ends[0]
            .write(net.now, &noise(1, OUTBOX))
            .expect("it is open");
        net.run(SECOND / 10);
        assert!(net.ends[0].owed.len() <= pace::MOST_PIECES + 8);
    }
}

#[test]
fn a_slow_link_s_queue_stays_short() {
    // 100 kB a second: a round trip over 10 ms is its queue.
    let mut net = Net::open(12, Air::CLEAR);
    let bytes = noise(12, OUTBOX);
    let mut free = net.now;
    let mut longest = Duration::ZERO;
    let mut buf = [0; PACKET];
    let mut read = vec![0; OUTBOX];
    let mut line: std::collections::VecDeque<(Instant, Vec<u8>)> = Default::default();
    let until = net.now + 60 * SECOND;
    let begin = net.now;
    while net.now < until {
        net.ends[0].write(net.now, &bytes).expect("it is open");
        while let Some(n) = net.ends[0].transmit(net.now, &mut buf) {
            free = free.max(net.now) + Duration::from_micros(10 * n as u64);
            line.push_back((free + Duration::from_millis(5), buf[..n].to_vec()));
            if net.now > begin + 20 * SECOND {
                longest = longest.max(free - net.now);
            }
        }
        let timeout = net.ends[0].poll_timeout();
        let arrives = line.front().map(|(at, _)| *at);
        net.now = arrives
            .into_iter()
            .chain(timeout)
            .min()
            .expect("it goes on")
            .max(net.now);
        while line.front().is_some_and(|(at, _)| *at <= net.now) {
            let (_, packet) = line.pop_front().expect("it is there");
            net.ends[1].receive(net.now, &packet);
            while matches!(net.ends[1].read(net.now, &mut read), Ok(Some(n)) if n > 0) {}
            while let Some(n) = net.ends[1].transmit(net.now, &mut buf) {
                net.ends[0].receive(net.now, &buf[..n]);
            }
        }
        net.ends[0].handle_timeout(net.now);
    }
    assert!(longest < Duration::from_millis(250), "{longest:?}");
}

#[test]
fn pieces_after_a_gap_are_no_more_than_the_peer_keeps() {
    const { assert!(pace::MOST_PIECES < PIECES) };
    let mut net = Net::open(
        13,
        Air {
            loss: 40,
            ..Air::CLEAR
        },
    );
    // One byte a piece, for each is written alone.
    for n in 0..3_000u32 {
        net.ends[0].write(net.now, &[n as u8]).expect("it is open");
        net.run(Duration::from_millis(1));
        assert!(net.ends[1].incoming.kept().1 <= PIECES);
        assert_eq!(net.ends[1].fault(), None);
    }
    net.run(30 * SECOND);
    assert_eq!(net.ends[1].incoming.kept(), (3_000, 0));
}

#[test]
fn a_torn_stream_is_no_end_to_its_peer_whatever_gets_lost() {
    for (seed, loss) in [(31, 0), (32, 60)] {
        let mut net = Net::open(seed, Air { loss, ..Air::CLEAR });
        net.ends[0]
            .write(net.now, &noise(seed, OUTBOX))
            .expect("it is open");
        net.ends[0].tear(net.now);
        net.ends[0].close(net.now);
        assert_eq!(net.ends[0].fault(), Some(Fault::Torn));
        net.run(10 * SECOND);
        assert!(net.ends.iter().all(Airstream::is_over));
        let mut buf = vec![0; WINDOW as usize];
        // Of what is not said to its end some may have come.
        while net.ends[1]
            .read(net.now, &mut buf)
            .is_ok_and(|n| n.is_some())
        {}
        let read = net.ends[1].read(net.now, &mut buf);
        assert_eq!(read, Err(Fault::Reset));
    }
}
