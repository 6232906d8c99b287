//! What is published: numbers for networks and snapshots, and the log of what happened.
//!
//! Sources say, again and again, the whole set of networks as they see it now. The ledger turns
//! that into ids and generations:
//!
//! - A network gets a new epoch when it comes up, whether or not anybody saw it down: a source
//!   counts its downs in [`Seen::turn`], an interface made again is another index or another
//!   turn, and a set of addresses without one in common with the last is another attachment.
//! - Epochs come from one counter for all networks, so that none is ever used twice, also if an
//!   interface goes and another takes its index, and nothing has to be remembered of the gone.
//! - Generations rise by one; a set equal to the published one is not published.
//! - `complete` and generation 0 tell the time before the first whole scan.
//!
//! A watch shows the last value only. What happened between two looks is in the log: the last 256
//! events, each with the generation in which it can first be seen. [`pace::Pace`] tells when to
//! publish. Neither has a clock, a task or a lock.

pub(crate) mod pace;
#[cfg(test)]
mod tests;
pub(crate) mod turns;

use crate::clock::Clock;
use crate::network::{
    Aspect, Network, NetworkId, NetworkSpec, Since, Snapshot, State, is_link_local,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many events the log keeps.
pub(crate) const LOG: usize = 256;
/// So many snapshots the ledger keeps, with the time of each, for explanations of the past.
pub(crate) const HISTORY: usize = 64;

/// Ages that another process tells are no better than this.
#[cfg(all(unix, feature = "daemon"))]
const SLACK: Duration = Duration::from_millis(100);

/// One interface as a source sees it now.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) index: u32,
    /// Rises with each end of the attachment that the source noticed.
    pub(crate) turn: u64,
    pub(crate) spec: NetworkSpec,
}

/// How what is seen differs from what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    /// Something went or changed, nothing became usable.
    Loss,
    /// What was usable went, and another network is: whoever used it can go on at once.
    Refuge,
    /// A network, an address or a route became usable.
    Gain,
}

/// What happened to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Happened {
    /// It became usable, under a new id.
    Up,
    /// It is no longer usable.
    Down,
    /// A fact, an address or a route of it changed.
    Changed,
    /// The interface is gone.
    Gone,
}

/// An event in the scout's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The first generation that shows it.
    pub generation: u64,
    /// The network.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// What happened.
    pub what: Happened,
    /// When the scout saw it, by the clock that counts time asleep.
    pub(crate) at: Instant,
}

impl Change {
    /// How long ago the scout saw it, time asleep counted.
    #[must_use]
    pub fn age(&self) -> Duration {
        Clock::now().saturating_duration_since(self.at)
    }
}

#[derive(Debug)]
struct Known {
    turn: u64,
    network: Network,
}

/// The numbers and the log.
#[derive(Debug)]
pub(crate) struct Ledger {
    epochs: u32,
    complete: bool,
    known: BTreeMap<u32, Known>,
    published: Arc<Snapshot>,
    log: VecDeque<Change>,
    /// When the set was last seen to be what it is.
    seen: Option<Instant>,
    history: VecDeque<(Instant, Arc<Snapshot>)>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let published = Arc::new(Snapshot::new(0, false, Vec::new()));
        Ledger {
            epochs: 0,
            complete: false,
            known: BTreeMap::new(),
            published,
            log: VecDeque::new(),
            seen: None,
            history: VecDeque::new(),
        }
    }

    /// What was published last.
    pub(crate) fn published(&self) -> Arc<Snapshot> {
        self.published.clone()
    }

    /// The log, oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.log.iter()
    }

    /// The last snapshots and when each was seen to hold, oldest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = &(Instant, Arc<Snapshot>)> {
        self.history.iter()
    }

    /// The turn and the description of the network with this index, as it was seen last.
    pub(crate) fn known(&self, index: u32) -> Option<(u64, &NetworkSpec)> {
        let known = self.known.get(&index)?;
        Some((known.turn, known.network.spec()))
    }

    /// Takes over since when it has been so from who watched for longer.
    #[cfg(all(unix, feature = "daemon"))]
    pub(crate) fn backdate(&mut self, told: &Snapshot) {
        for told in &told.networks {
            let Some(known) = self.known.get_mut(&told.id().index) else {
                continue;
            };
            let Some(mut since) = known.network.0.since.clone() else {
                continue;
            };
            let mut older = false;
            for aspect in Aspect::ALL {
                let before = told
                    .since(aspect)
                    .filter(|_| aspect.same(told.spec(), known.network.spec()));
                if let Some(before) = before
                    && before + SLACK < since.of(aspect)
                {
                    since.set(aspect, before);
                    older = true;
                }
            }
            if older {
                let spec = known.network.spec().clone();
                known.network = Network::aged(known.network.id(), spec, since);
            }
        }
    }

    /// The id of the network with this index.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn id(&self, index: u32) -> Option<NetworkId> {
        self.known.get(&index).map(|known| known.network.id())
    }

    /// Takes the whole set as it is now; `complete` once a source has looked at everything.
    pub(crate) fn see(
        &mut self,
        now: Instant,
        seen: impl IntoIterator<Item = Seen>,
        complete: bool,
    ) -> Difference {
        self.complete |= complete;
        self.seen = Some(now);
        let mut gone = std::mem::take(&mut self.known);
        for seen in seen {
            let old = gone.remove(&seen.index);
            let known = self.meet(now, old, &seen);
            self.known.insert(seen.index, known);
        }
        for known in gone.into_values() {
            if up(&known.network) {
                self.record(now, &known.network, Happened::Down);
            }
            self.record(now, &known.network, Happened::Gone);
        }
        self.difference()
    }

    /// Publishes what was seen last; `None` if that is published already.
    pub(crate) fn publish(&mut self) -> Option<Arc<Snapshot>> {
        if self.difference() == Difference::None {
            return None;
        }
        let networks = self.known.values().map(|known| known.network.clone());
        let generation = self.published.generation + 1;
        let snapshot = Snapshot::new(generation, self.complete, networks.collect());
        self.published = Arc::new(snapshot);
        if let Some(at) = self.seen {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back((at, self.published.clone()));
        }
        Some(self.published.clone())
    }

    fn meet(&mut self, now: Instant, old: Option<Known>, seen: &Seen) -> Known {
        let turn = seen.turn;
        let is_up = attached(seen.spec.state);
        let Some(old) = old else {
            let network = self.attach(seen, Since::new(now));
            if is_up {
                self.record(now, &network, Happened::Up);
            }
            return Known { turn, network };
        };
        if old.turn == turn && *old.network.spec() == seen.spec {
            return old;
        }
        let was_up = up(&old.network);
        let since = old.network.0.since.clone();
        let since = since.map_or_else(
            || Since::new(now),
            |since| since.changed(old.network.spec(), &seen.spec, now),
        );
        let again = old.turn != turn || replaced(old.network.spec(), &seen.spec);
        if is_up && (!was_up || again) {
            if was_up {
                self.record(now, &old.network, Happened::Down);
            }
            let mut since = since;
            since.set(Aspect::State, now);
            let network = self.attach(seen, since);
            self.record(now, &network, Happened::Up);
            return Known { turn, network };
        }
        if *old.network.spec() == seen.spec {
            // A turn of what is not up.
            return Known { turn, ..old };
        }
        let network = Network::aged(old.network.id(), seen.spec.clone(), since);
        let what = if was_up && !is_up {
            Happened::Down
        } else {
            Happened::Changed
        };
        self.record(now, &network, what);
        Known { turn, network }
    }

    fn attach(&mut self, seen: &Seen, since: Since) -> Network {
        self.epochs = self.epochs.wrapping_add(1);
        let id = NetworkId {
            index: seen.index,
            epoch: self.epochs,
        };
        Network::aged(id, seen.spec.clone(), since)
    }

    fn record(&mut self, now: Instant, network: &Network, what: Happened) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        let (id, name) = (network.id(), network.name().to_owned());
        tracing::debug!(target: "mancom::scout", %name, ?id, ?what);
        self.log.push_back(Change {
            generation: self.published.generation + 1,
            id,
            name,
            what,
            at: now,
        });
    }

    fn difference(&self) -> Difference {
        let old = &self.published.networks;
        if self.complete != self.published.complete {
            return Difference::Gain;
        }
        let same = old.len() == self.known.len()
            && old
                .iter()
                .zip(self.known.values())
                .all(|(a, b)| same(a, &b.network));
        if same {
            return Difference::None;
        }
        let gained = self.known.values().any(|known| {
            let before = old.binary_search_by_key(&known.network.id(), Network::id);
            gains(before.ok().map(|at| &old[at]), &known.network)
        });
        if gained {
            return Difference::Gain;
        }
        let now = |old: &Network| self.known.get(&old.id().index).map(|known| &known.network);
        let refuge = |of: &Network| {
            let mut others = self
                .known
                .iter()
                .filter(|(index, _)| **index != of.id().index);
            others.any(|(_, other)| other.network.state() == State::Up)
        };
        let mut lost = old.iter().filter(|old| loses(old, now(old)));
        match lost.any(refuge) {
            true => Difference::Refuge,
            false => Difference::Loss,
        }
    }
}

fn up(network: &Network) -> bool {
    attached(network.state())
}

/// A suspended network keeps its epoch: its sockets are kept too.
fn attached(state: State) -> bool {
    matches!(state, State::Up | State::Suspended)
}

fn same(a: &Network, b: &Network) -> bool {
    Arc::ptr_eq(&a.0, &b.0) || a == b
}

/// Whether `now` can be used for something that `before` could not.
fn gains(before: Option<&Network>, now: &Network) -> bool {
    if now.state() != State::Up || before.is_some_and(|before| same(before, now)) {
        return false;
    }
    let Some(before) = before.filter(|before| before.state() == State::Up) else {
        return true;
    };
    let (before, now) = (before.spec(), now.spec());
    has_more(&before.addresses, &now.addresses) || has_more(&before.routes, &now.routes)
}

/// Whether something that could be used `before` cannot be now.
fn loses(before: &Network, now: Option<&Network>) -> bool {
    if before.state() != State::Up || now.is_some_and(|now| same(before, now)) {
        return false;
    }
    let Some(now) = now.filter(|now| now.state() == State::Up && now.id() == before.id()) else {
        return true;
    };
    let (before, now) = (before.spec(), now.spec());
    has_more(&now.addresses, &before.addresses) || has_more(&now.routes, &before.routes)
}

/// Whether something is in `now` that was not `before`; there may be thousands.
fn has_more<T: Ord>(before: &[T], now: &[T]) -> bool {
    let before: BTreeSet<&T> = before.iter().collect();
    now.iter().any(|one| !before.contains(one))
}

/// Whether not one address is left of those that reach beyond the link.
fn replaced(old: &NetworkSpec, new: &NetworkSpec) -> bool {
    let far = |spec: &NetworkSpec| -> Vec<IpAddr> {
        let far = spec.addresses.iter().map(|a| a.ip);
        far.filter(|ip| !is_link_local(*ip)).collect()
    };
    let (old, new) = (far(old), far(new));
    !old.is_empty() && !new.is_empty() && !new.iter().any(|ip| old.contains(ip))
}
