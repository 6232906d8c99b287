//! When a network may be dialled: back-offs, the bound on attempts, and mistrust of what flaps.
//!
//! - A failed attempt rests its network for a back-off that grows by 1.6 with jitter to 30 s; a change
//!   of what matches forgives every failure.
//! - At most ten attempts over networks of one name begin in any ten seconds, however often it came up.
//! - A network that went down within the last minute, n times more often than the steadiest other that
//!   matches, is dialled only once it stood for `2^n * 250 ms`, at most 30 s: where all flap, none is
//!   worth waiting for. Unless nothing else carries: then it is dialled at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::pace::backoff;
use crate::network::{Network, NetworkId, Snapshot, State};

/// Attempts over networks of one name, however often it came up anew, that may begin in [`WINDOW`].
const ATTEMPTS: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// How long a loss is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// A network that was never lost is trusted at once; each loss doubles this.
const STAND: Duration = Duration::from_millis(250);
const LONGEST_STAND: Duration = Duration::from_secs(30);
/// Losses remembered of one name (more would not make it wait longer), and of all.
const LOSSES: usize = 7;
const ALL_LOSSES: usize = 64;

/// How the last attempts over one network went.
#[derive(Debug, Clone)]
struct Rest {
    of: Of,
    failures: i32,
    until: Instant,
    why: String,
}

/// A network that matches, and since when.
#[derive(Debug)]
struct Seen {
    id: NetworkId,
    name: String,
    since: Instant,
}

/// What an attempt was for: a path of that network, or its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) id: Option<NetworkId>,
    pub(super) lane: bool,
}

#[derive(Debug, Default)]
pub(super) struct Rests {
    rests: Vec<Rest>,
    starts: VecDeque<(Option<String>, Instant)>,
    seen: Vec<Seen>,
    losses: VecDeque<(String, Instant)>,
}

impl Rests {
    /// These networks match now. What is gone since was lost; and if others match than before, every
    /// failure is forgiven.
    pub(super) fn follow(&mut self, now: Instant, matching: &[&Network], snapshot: &Snapshot) {
        let known = |seen: &Seen| matching.iter().any(|network| network.id() == seen.id);
        let gone: Vec<Seen> = self.seen.extract_if(.., |seen| !known(seen)).collect();
        let mut changed = !gone.is_empty();
        for seen in gone {
            let is_down = snapshot
                .by_id(seen.id)
                .is_none_or(|network| network.state() == State::Down);
            if is_down {
                self.lost(now, seen.name);
            }
        }
        for network in matching {
            if self.seen.iter().all(|seen| seen.id != network.id()) {
                changed = true;
                self.seen.push(Seen {
                    id: network.id(),
                    name: network.name().to_owned(),
                    since: now,
                });
            }
        }
        if changed {
            self.rests.clear();
        }
        let old = |at: &Instant| now.saturating_duration_since(*at) >= MEMORY;
        while self.losses.front().is_some_and(|(_, at)| old(at)) {
            self.losses.pop_front();
        }
        let past = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        while self.starts.front().is_some_and(|(_, at)| past(at)) {
            self.starts.pop_front();
        }
    }

    fn lost(&mut self, now: Instant, name: String) {
        let of_it = self.losses.iter().filter(|(known, _)| *known == name);
        let full = of_it.count() >= LOSSES;
        let oldest = match full {
            true => self.losses.iter().position(|(known, _)| *known == name),
            false => (self.losses.len() >= ALL_LOSSES).then_some(0),
        };
        if let Some(oldest) = oldest {
            self.losses.remove(oldest);
        }
        self.losses.push_back((name, now));
    }

    /// Until when this one is not to be dialled, if it is not. `carried`: another path carries.
    pub(super) fn resting(
        &self,
        now: Instant,
        way: Option<&Network>,
        lane: bool,
        carried: bool,
    ) -> Option<Instant> {
        let id = way.map(Network::id);
        let name = way.map(Network::name);
        let starts = self.starts.iter().filter(|(of, _)| of.as_deref() == name);
        // One more is allowed once this one lies beyond the window.
        let crowded = starts
            .rev()
            .nth(ATTEMPTS - 1)
            .map(|(_, start)| *start + WINDOW);
        let failed = self.rest_of(Of { id, lane }).map(|rest| rest.until);
        let mistrusted = way.filter(|_| carried).and_then(|way| self.stands_at(way));
        [crowded, failed, mistrusted]
            .into_iter()
            .flatten()
            .filter(|until| *until > now)
            .max()
    }

    /// When a network that was lost of late will have stood long enough.
    fn stands_at(&self, network: &Network) -> Option<Instant> {
        let of = |name: &str| self.losses.iter().filter(|(of, _)| of == name).count();
        let losses = of(network.name());
        let others = self.seen.iter().filter(|seen| seen.name != network.name());
        let steadiest = others.map(|seen| of(&seen.name)).min();
        let more = losses.saturating_sub(steadiest.unwrap_or(0));
        let seen = self.seen.iter().find(|seen| seen.id == network.id())?;
        let stand = STAND * 2_u32.pow(u32::try_from(more).unwrap_or(u32::MAX).min(LOSSES as u32));
        (losses > 0).then(|| seen.since + stand.min(LONGEST_STAND))
    }

    fn rest_of(&self, of: Of) -> Option<&Rest> {
        self.rests.iter().find(|rest| rest.of == of)
    }

    /// What was met the last time, for people.
    pub(super) fn why(&self, id: Option<NetworkId>) -> Option<&str> {
        let rest = self.rest_of(Of { id, lane: false });
        rest.map(|rest| rest.why.as_str())
    }

    /// An attempt begins then.
    pub(super) fn begin(&mut self, now: Instant, way: Option<&Network>) {
        let name = way.map(|network| network.name().to_owned());
        self.starts.push_back((name, now));
    }

    pub(super) fn succeeded(&mut self, of: Of) {
        self.rests.retain(|rest| rest.of != of);
    }

    pub(super) fn failed(&mut self, now: Instant, of: Of, why: String) {
        let failures = self.rest_of(of).map_or(0, |rest| rest.failures);
        self.succeeded(of);
        self.rests.push(Rest {
            of,
            failures: (failures + 1).min(20),
            until: now + backoff(failures),
            why,
        });
    }

    /// Somebody asks for an attempt now.
    pub(super) fn nudge(&mut self, now: Instant) {
        for rest in &mut self.rests {
            rest.until = rest.until.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wifi(epoch: u32) -> Network {
        Network::new(NetworkId::new(1, epoch), Network::wifi("wlan0"))
    }

    fn snapshot(networks: &[&Network]) -> Snapshot {
        let networks = networks.iter().map(|network| (*network).clone());
        Snapshot::new(1, true, networks.collect())
    }

    fn follow(rests: &mut Rests, now: Instant, networks: &[&Network]) {
        rests.follow(now, networks, &snapshot(networks));
    }

    // behaviour: S7
    #[test]
    fn each_loss_within_a_minute_doubles_how_long_it_must_stand() {
        let (mut rests, mut now) = (Rests::default(), Instant::now());
        follow(&mut rests, now, &[&wifi(0)]);
        assert_eq!(rests.resting(now, Some(&wifi(0)), false, true), None);
        for (turn, stand) in [500, 1_000, 2_000, 4_000].into_iter().enumerate() {
            now += SECOND;
            follow(&mut rests, now, &[]);
            let back = wifi(turn as u32 + 1);
            follow(&mut rests, now, &[&back]);
            let until = now + Duration::from_millis(stand);
            assert_eq!(rests.resting(now, Some(&back), false, true), Some(until));
            assert_eq!(rests.resting(until, Some(&back), false, true), None);
            let alone = rests.resting(now, Some(&back), false, false);
            assert_eq!(alone, None, "nothing else carries");
        }
        for _ in 0..100 {
            follow(&mut rests, now, &[]);
            follow(&mut rests, now, &[&wifi(9)]);
        }
        let until = now + LONGEST_STAND;
        assert_eq!(rests.resting(now, Some(&wifi(9)), false, true), Some(until));
        assert_eq!(rests.losses.len(), LOSSES);
        // A minute later nothing of it is left.
        now += MEMORY;
        follow(&mut rests, now, &[&wifi(9)]);
        assert_eq!(rests.resting(now, Some(&wifi(9)), false, true), None);
        assert!(rests.losses.is_empty());
    }

    // behaviour: S7
    #[test]
    fn where_all_networks_flap_none_is_kept_waiting_for() {
        let (mut rests, mut now) = (Rests::default(), Instant::now());
        let cellular = |epoch| Network::new(NetworkId::new(2, epoch), Network::cellular("wwan0"));
        let mut here = [wifi(0), cellular(0)];
        follow(&mut rests, now, &[&here[0], &here[1]]);
        for turn in 0..20 {
            let (at, other) = (turn % 2, 1 - turn % 2);
            follow(&mut rests, now, &[&here[other]]);
            now += SECOND;
            let epoch = turn as u32 + 1;
            here[at] = [wifi(epoch), cellular(epoch)][at].clone();
            follow(&mut rests, now, &[&here[0], &here[1]]);
            let until = rests.resting(now, Some(&here[at]), false, true);
            assert!(until <= Some(now + STAND * 2), "turn {turn}: {until:?}");
            now += SECOND;
        }
        // Beside a third that is steady, either is one that flaps.
        let steady = Network::new(NetworkId::new(3, 1), Network::ethernet("eth0"));
        follow(&mut rests, now, &[&here[0], &here[1], &steady]);
        let until = rests.resting(now, Some(&here[0]), false, true);
        assert!(until > Some(now + STAND * 30), "{until:?}");
    }

    #[test]
    fn what_no_label_admits_any_more_was_not_lost() {
        let (mut rests, now) = (Rests::default(), Instant::now());
        let there = wifi(1);
        rests.follow(now, &[&there], &snapshot(&[&there]));
        rests.follow(now, &[], &snapshot(&[&there]));
        assert!(rests.losses.is_empty());
    }

    #[test]
    fn however_many_names_come_and_go_the_memory_is_bounded() {
        let (mut rests, now) = (Rests::default(), Instant::now());
        for turn in 0..1_000 {
            let tunnel = Network::vpn(format!("tun{turn}"));
            let tunnel = Network::new(NetworkId::new(turn, 1), tunnel);
            follow(&mut rests, now, &[&tunnel]);
        }
        assert_eq!(rests.losses.len(), ALL_LOSSES);
        assert_eq!(rests.seen.len(), 1);
    }

    // behaviour: S11 S13
    #[test]
    fn a_failure_rests_its_network_until_something_else_matches() {
        let (mut rests, now) = (Rests::default(), Instant::now());
        let network = wifi(1);
        follow(&mut rests, now, &[&network]);
        let of = |lane| Of {
            id: Some(network.id()),
            lane,
        };
        rests.failed(now, of(true), "no".into());
        assert_eq!(rests.resting(now, Some(&network), false, true), None);
        rests.failed(now, of(false), "no".into());
        assert!(rests.resting(now, Some(&network), false, false).is_some());
        assert_eq!(rests.why(Some(network.id())), Some("no"));
        follow(&mut rests, now, &[&wifi(2)]);
        assert_eq!(rests.resting(now, Some(&network), false, false), None);
    }

    // behaviour: S13
    #[test]
    fn no_eleventh_attempt_in_ten_seconds_under_whatever_epoch() {
        let (mut rests, now) = (Rests::default(), Instant::now());
        for epoch in 0..10 {
            let network = wifi(epoch);
            assert_eq!(rests.resting(now, Some(&network), false, false), None);
            rests.begin(now, Some(&network));
        }
        let until = Some(now + WINDOW);
        assert_eq!(rests.resting(now, Some(&wifi(10)), false, false), until);
        assert_eq!(rests.resting(now, None, false, false), None);
    }
}
