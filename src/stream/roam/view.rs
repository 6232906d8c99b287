//! What the roamer sees of its session, under the lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::driver::{Driver, Presence};
use super::ways::Way;
use crate::label::{Label, Urgency};
use crate::network::{Network, NetworkId};
use crate::proto::session::{MAX_PATHS, PathId, PathState};

/// Paths of ids below this are general ones; the lane beside path n has the id n plus this.
pub(super) const LANES: u8 = MAX_PATHS as u8 / 2;
/// Live labels that are looked at, the most urgent ones; the others have their turn after them.
const LABELS: usize = 64;
/// What nothing wants any more is kept for so long, for it may be wanted again.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// An open path.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) path: PathId,
    pub(super) network: Way,
    pub(super) state: PathState,
    /// Both ends' facts let some live label travel on it, spent budgets aside.
    pub(super) permitted: bool,
    pub(super) presence: Presence,
    /// It was retired or dropped, and is only not closed yet.
    pub(super) given_up: bool,
}

impl Open {
    pub(super) fn is_lane(&self) -> bool {
        self.path.id >= LANES
    }

    pub(super) fn id(&self) -> Option<NetworkId> {
        self.network.as_ref().map(Network::id)
    }

    /// A general path in use that does not owe an answer in silence.
    pub(super) fn is_well(&self) -> bool {
        let silent = self.state.silent.is_some();
        !self.is_lane() && !self.given_up && !silent && !self.is_away()
    }

    /// Its network went a moment ago.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away { .. })
    }

    /// It carries, and there is no reason to doubt that it goes on to.
    pub(super) fn is_trusted(&self) -> bool {
        let losing = self.network.as_ref().is_some_and(Network::is_losing);
        self.is_well() && !self.state.suspect && !losing
    }
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) now: Instant,
    /// Live labels, the most urgent first, and whether some open path may carry it.
    pub(super) labels: Vec<(Label, bool)>,
    pub(super) open: Vec<Open>,
    /// Interactive traffic went or came of late, or waits.
    pub(super) interactive: bool,
    /// When it will be late no more.
    pub(super) interactive_until: Option<Instant>,
    /// Traffic that wants lanes goes over the session.
    pub(super) lanes: bool,
    /// Where else the listener says it is.
    pub(super) told: Vec<SocketAddr>,
}

impl View {
    /// `None` once the session is over. What it tells is what is known from now on: the driver calls
    /// when traffic changes it.
    pub(super) fn of(driver: &Arc<Driver>, given_up: &mut Vec<PathId>) -> Option<Self> {
        driver.with(|state, now| {
            if state.core.closed().is_some() {
                return None;
            }
            let mut labels = state.core.live_labels();
            if labels.is_empty() {
                labels.push(driver.label);
            }
            state.roamer_knows(&labels);
            // Stable: of one urgency, the eldest stream's first.
            labels.sort_by_key(Label::urgency);
            labels.truncate(LABELS);
            let paths: Vec<_> = state
                .present_paths()
                .map(|(path, network, presence)| (path, network.cloned(), presence))
                .collect();
            given_up.retain(|path| paths.iter().any(|(open, ..)| open == path));
            let open: Vec<Open> = paths
                .into_iter()
                .filter_map(|(path, network, presence)| {
                    Some(Open {
                        state: state.core.path_state(path)?,
                        permitted: (labels.iter())
                            .any(|label| state.core.permits_but_for_budgets(path, label)),
                        presence,
                        given_up: given_up.contains(&path),
                        path,
                        network,
                    })
                })
                .collect();
            let carried = |label: &Label| {
                let mut paths = open.iter().filter(|open| !open.is_away());
                paths.any(|open| state.core.permits(open.path, label))
            };
            let marked: Vec<_> = labels
                .iter()
                .map(|label| (*label, carried(label)))
                .collect();
            let last = state.core.interactive_at();
            let interactive_until = last.map(|at| at + LINGER).filter(|until| *until > now);
            let waits = labels[0].urgency() == Urgency::Interactive;
            let view = Self {
                now,
                interactive: waits || interactive_until.is_some(),
                interactive_until,
                lanes: state.core.wants_lanes() && interactive_until.is_some(),
                told: state.core.peer_addresses().to_vec(),
                labels: marked,
                open,
            };
            state.roamer_knows_interactive(view.interactive);
            Some(view)
        })
    }

    /// General paths in use that are not silent.
    pub(super) fn well(&self) -> impl Iterator<Item = &Open> + Clone {
        self.open.iter().filter(|open| open.is_well())
    }

    /// Whether something carries, so that there is no hurry.
    pub(super) fn carried(&self) -> bool {
        self.well().next().is_some()
    }

    /// Whether what this network has of a general path owes an answer in silence.
    pub(super) fn is_silent(&self, id: Option<NetworkId>) -> bool {
        let mut general = self.open.iter().filter(|open| !open.is_lane());
        general.any(|open| open.state.silent.is_some() && open.id() == id)
    }

    /// Until when what this network has of a silent path is not to be dialled anew: it was away a moment
    /// ago, and the kernel may send again.
    pub(super) fn patient_until(&self, id: Option<NetworkId>) -> Option<Instant> {
        let mut silent = self
            .open
            .iter()
            .filter(|open| !open.is_lane() && !open.given_up);
        silent.find_map(|open| match open.presence {
            Presence::Back { until } if open.id() == id && until > self.now => Some(until),
            _ => None,
        })
    }

    /// No path is left whose network is there.
    pub(super) fn is_detached(&self) -> bool {
        self.open.iter().all(Open::is_away)
    }

    /// The path of this slot, given up or not.
    pub(super) fn at(&self, slot: u8) -> Option<&Open> {
        self.open.iter().find(|open| open.path.id == slot)
    }
}
