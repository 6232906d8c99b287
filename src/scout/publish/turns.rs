//! One count of turns over several sources.
//!
//! A source counts the ends of an attachment in a way of its own, and begins anew when it is started
//! again or another takes over. Whether a network ended meanwhile nobody knows then; it is taken for
//! the same one if it was up, still is, and has kept an address.

use super::{Ledger, Seen};
use crate::network::NetworkSpec;
use std::collections::BTreeMap;

/// What the present source counted last, by interface.
#[derive(Debug, Default)]
pub(crate) struct Turns(BTreeMap<u32, u64>);

impl Turns {
    /// Another source speaks from now on, or the same one counts anew.
    pub(crate) fn begin(&mut self) {
        self.0.clear();
    }

    /// Puts the source's turns into those of the ledger.
    pub(crate) fn fit(&mut self, ledger: &Ledger, seen: &mut [Seen]) {
        let mut counted = BTreeMap::new();
        for seen in seen {
            counted.insert(seen.index, seen.turn);
            let Some((turn, spec)) = ledger.known(seen.index) else {
                continue;
            };
            let again = match self.0.get(&seen.index) {
                Some(last) => *last != seen.turn,
                None => !continues(spec, &seen.spec),
            };
            seen.turn = turn + u64::from(again);
        }
        self.0 = counted;
    }
}

fn continues(old: &NetworkSpec, new: &NetworkSpec) -> bool {
    let kept = |ip| new.addresses.iter().any(|address| address.ip == ip);
    old.addresses.iter().any(|address| kept(address.ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Address, Kind, NetworkId, State};
    use std::time::Instant;

    struct Host {
        ledger: Ledger,
        turns: Turns,
    }

    impl Host {
        fn see(&mut self, turn: u64, state: State, addresses: &[&str]) -> NetworkId {
            let mut spec = NetworkSpec::new("eth0", Kind::Ethernet).state(state);
            let parsed = addresses.iter().map(|text| text.parse::<Address>());
            spec.addresses = parsed.collect::<Result<_, _>>().expect("addresses");
            let mut seen = [Seen {
                index: 3,
                turn,
                spec,
            }];
            self.turns.fit(&self.ledger, &mut seen);
            self.ledger.see(Instant::now(), seen, true);
            self.ledger.id(3).expect("it was just seen")
        }
    }

    fn host() -> Host {
        Host {
            ledger: Ledger::new(),
            turns: Turns::default(),
        }
    }

    // behaviour: C3
    #[test]
    fn another_turn_of_one_source_is_a_new_epoch() {
        let mut host = host();
        let first = host.see(7, State::Up, &["10.0.0.2"]);
        assert_eq!(host.see(7, State::Up, &["10.0.0.2"]), first);
        let second = host.see(9, State::Up, &["10.0.0.2"]);
        assert!(second > first);
        // Also a smaller number is another turn.
        assert!(host.see(1, State::Up, &["10.0.0.2"]) > second);
    }

    // behaviour: C3
    #[test]
    fn a_source_that_begins_anew_continues_what_kept_an_address() {
        let mut host = host();
        let first = host.see(7, State::Up, &["10.0.0.2", "10.0.0.3"]);
        host.turns.begin();
        assert_eq!(host.see(0, State::Up, &["10.0.0.3", "10.0.0.4"]), first);
        assert_eq!(host.see(0, State::Up, &["10.0.0.4"]), first);
        host.turns.begin();
        let second = host.see(0, State::Up, &["10.0.0.2"]);
        assert!(second > first, "no address in common");
        host.see(0, State::Down, &[]);
        host.turns.begin();
        assert!(
            host.see(0, State::Up, &["10.0.0.2"]) > second,
            "it was down"
        );
    }
}
