//! Any sequence of sends, discards, weather and restarts against what must be true of it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::link::{Link, Weather};
use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Send {
        end: usize,
        count: u32,
        /// Each in a packet of its own, as long as there are sequences.
        apart: bool,
    },
    Discard {
        end: usize,
        back: u64,
    },
    Pass(u64),
    Dark(bool),
    Restart(usize),
}

fn send(counts: Range<u32>, apart: bool) -> impl Strategy<Value = Act> {
    (0..2_usize, counts).prop_map(move |(end, count)| Act::Send { end, count, apart })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => send(1..40, false),
        2 => (0..2_usize, 0..30_u64).prop_map(|(end, back)| Act::Discard { end, back }),
        8 => (0..4_000_u64).prop_map(Act::Pass),
        2 => any::<bool>().prop_map(Act::Dark),
        1 => (0..2_usize).prop_map(Act::Restart),
    ]
}

/// Where packets tell no session and many are under way, one of an earlier instance may be taken for its
/// successor's: so none starts anew here.
fn busy_act() -> impl Strategy<Value = Act> {
    let begun = |act: &Act| !matches!(act, Act::Restart(_));
    prop_oneof![
        3 => act().prop_filter("it goes on", begun),
        1 => send(1..400, true),
    ]
}

fn weather() -> impl Strategy<Value = Weather> {
    (
        0..=60_u64,
        0..=30_u64,
        0..100_u64,
        0..2_000_u64,
        300..2_000_usize,
    )
        .prop_map(|(loss, duplication, delay, jitter, largest)| Weather {
            loss,
            duplication,
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            largest: largest.max(MIN_BUFFER),
        })
}

proptest! {
    #![proptest_config(cases(60))]

    // behaviour: AH-02, AH-10, AH-13, AH-14, AH-16, AH-19, AH-20
    #[test]
    fn every_message_comes_once_to_each_instance_and_all_of_them_to_the_last(
        seed in any::<u64>(),
        weather in weather(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        plays(seed, weather, acts)?;
    }

    // behaviour: AH-02, AH-10, AH-13, AH-14, AH-16
    #[test]
    fn every_message_comes_once_where_sequences_and_numbers_run_out(
        seed in any::<u64>(),
        weather in weather(),
        acts in prop::collection::vec(busy_act(), 1..40),
    ) {
        plays(seed, weather, acts)?;
    }
}

fn plays(seed: u64, weather: Weather, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut link = Link::new(seed, weather);
    let mut count_sent = 0_u32;
    for act in acts {
        match act {
            Act::Send { end, count, apart } => {
                for _ in 0..count {
                    link.send(end, format!("message {count_sent} of {end}"));
                    if apart {
                        link.flush(end);
                    }
                    count_sent += 1;
                }
            }
            Act::Discard { end, back } => {
                let side = &mut link.ends[end];
                let id = side
                    .open
                    .keys()
                    .nth_back(usize::try_from(back).unwrap())
                    .copied();
                if let Some(id) = id {
                    let status = side.core.message_status(id).expect("its end was not told");
                    let again = status.state == State::Discarded;
                    prop_assert_eq!(side.core.discard(link.now, id), !again);
                    prop_assert!(!side.core.discard(link.now, id));
                }
            }
            Act::Pass(milliseconds) => link.pass(Duration::from_millis(milliseconds)),
            Act::Dark(dark) => link.dark = dark,
            Act::Restart(end) => {
                // Where neither knows the other while packets of before are under way, the wire
                // cannot tell those from their own.
                let other = link.ends[1 - end].core.status();
                if other.remote_state != State::Confirmed {
                    link.lose_what_flies();
                }
                link.restart(end);
            }
        }
        check(&link)?;
    }
    link.dark = false;
    link.settle(20_000 * SECOND);
    check(&link)?;
    for end in 0..2 {
        prop_assert!(link.ends[end].open.is_empty());
        prop_assert_eq!(link.ends[end].core.wanted(), 32_768);
    }
    Ok(())
}

/// None came twice, and nothing is beyond its bound.
fn check(link: &Link) -> Result<(), TestCaseError> {
    for end in &link.ends {
        let distinct: BTreeSet<_> = end.received.iter().collect();
        prop_assert_eq!(distinct.len(), end.received.len(), "twice");
        prop_assert!(end.core.sender.is_bounded(16_384));
        prop_assert!(end.core.receiver.missed().len() <= 255);
        prop_assert!(end.core.peer.is_bounded());
    }
    Ok(())
}
