//! What a stream tells of its way.

use super::net::{Air, Net, noise};
use super::*;

const WAY: Air = Air {
    delay: Duration::from_millis(25),
    loss: 20,
    ..Air::CLEAR
};

#[test]
fn what_is_told_of_a_way_is_what_the_way_is() {
    let mut net = Net::open(7, WAY);
    let before = net.ends[0].figures(net.now);
    assert!(before.app_limited && before.acknowledged == 0 && before.busy == Duration::ZERO);
    let took = net.carry([&noise(7, 1_000_000), &[]], 100 * SECOND);
    let told = net.ends[0].figures(net.now);
    let way = Duration::from_millis(50);
    assert_eq!(told.least_rtt, Some(way));
    assert!(told.rtt.is_some_and(|rtt| rtt >= way && rtt < way * 2));
    assert!(told.deviation.is_some_and(|deviation| deviation < way));
    assert_eq!((told.acknowledged, told.outstanding), (1_000_000, 0));
    assert!(told.busy > took / 2 && told.busy <= took, "{told:?}");
    assert!(told.held_back <= told.busy, "{told:?}");
    // A fifth of the packets carried a piece in vain.
    let again = told.resent * 1_000 / told.segments;
    assert!((150..=260).contains(&again), "{again} of 1,000");
}

#[test]
fn what_came_after_a_gap_is_acknowledged_and_nothing_is_lost_count_of() {
    let mut net = Net::open(8, WAY);
    let bytes = noise(8, 300_000);
    let (mut written, mut read, mut gaps) = (0, 0, 0);
    let mut buf = vec![0; 16 << 10];
    while read < bytes.len() {
        written += net.ends[0]
            .write(net.now, &bytes[written..])
            .expect("it is open");
        while let Some(n) = net.ends[1].read(net.now, &mut buf).expect("no fault") {
            read += n;
        }
        let told = net.ends[0].figures(net.now);
        assert_eq!(told.acknowledged + told.outstanding, written as u64);
        assert!(told.unsent <= told.outstanding && told.unsent <= OUTBOX as u64);
        let confirmed = net.ends[0].confirmed();
        assert!(confirmed <= told.acknowledged);
        gaps += usize::from(confirmed < told.acknowledged);
        net.step(net.now + 10 * SECOND);
    }
    assert!(gaps > 10, "{gaps} looks at a gap");
}

#[test]
fn little_that_was_all_says_nothing_of_the_way_and_bulk_does() {
    let air = Air { loss: 0, ..WAY };
    let mut net = Net::open(9, air);
    net.ends[0].write(net.now, b"a word").expect("it is open");
    net.run(SECOND);
    assert!(net.ends[0].figures(net.now).app_limited);
    let bytes = noise(9, OUTBOX);
    let mut seen = false;
    for _ in 0..200 {
        net.ends[0].write(net.now, &bytes).expect("it is open");
        net.step(net.now + SECOND);
        seen |= !net.ends[0].figures(net.now).app_limited;
    }
    assert!(seen, "there was more to send");
    // Nobody reads, so it is the peer's credit that ends it, and nothing is under way.
    net.run(10 * SECOND);
    let told = net.ends[0].figures(net.now);
    assert_eq!(told.unsent, told.outstanding);
    net.run(10 * SECOND);
    assert_eq!(net.ends[0].figures(net.now).busy, told.busy);
}
