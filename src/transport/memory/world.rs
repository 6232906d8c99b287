//! What a connection sees of the network it travels on.

use crate::network::{Network, Snapshot, State};
use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The simulated networks: what they are, and which of them silently carry nothing.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) stalls: watch::Receiver<Arc<BTreeSet<String>>>,
}

impl World {
    /// Returns when something may have changed since the last call; never, once the scout is gone.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            () = news(&mut self.snapshots) => {}
            () = news(&mut self.stalls) => {}
        }
    }
}

/// Returns when there is another value; never, once its sender is gone.
pub(super) async fn news<T>(of: &mut watch::Receiver<T>) {
    if of.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Open,
    /// Bytes neither arrive nor are lost.
    Stalled,
    /// The network of that name is down or was replaced by a later epoch.
    Gone(String),
}

/// One look at the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) bound: bool,
    pub(super) condition: Condition,
    /// One way.
    pub(super) delay: Duration,
    /// Bits a second, from dialler to listener.
    pub(super) up: Option<u64>,
    pub(super) down: Option<u64>,
}

impl Look {
    /// Of a connection that uses no network.
    pub(super) fn unbound() -> Self {
        Self {
            bound: false,
            condition: Condition::Open,
            delay: Duration::ZERO,
            up: None,
            down: None,
        }
    }
}

/// One network of the world, at the epoch it was chosen at.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) world: World,
    pub(super) network: Network,
}

impl View {
    pub(super) fn look(&self) -> Look {
        let snapshot = self.world.snapshots.borrow();
        let name = self.network.name();
        let now = snapshot
            .networks
            .iter()
            .find(|n| n.id() == self.network.id());
        let spec = &now.unwrap_or(&self.network).0.spec;
        let condition = match now.map(|n| n.0.spec.state) {
            None | Some(State::Down) => Condition::Gone(name.to_owned()),
            Some(State::Suspended | State::Dormant) => Condition::Stalled,
            Some(_) if self.world.stalls.borrow().contains(name) => Condition::Stalled,
            Some(_) => Condition::Open,
        };
        Look {
            bound: true,
            condition,
            delay: spec.rtt.unwrap_or_default() / 2,
            up: spec.up,
            down: spec.down,
        }
    }
}
