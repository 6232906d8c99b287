//! Networks that somebody else knows, and no task watches: those of fixed and scripted scouts.
//!
//! Every change is published in the call that makes it. The one thing that happens by itself is that
//! an estimate grows old: a task that sleeps until then exists while there is an estimate.

use super::estimates::{Estimate, Estimates, Sample};
use super::publish::{Ledger, Seen};
use crate::clock::Clock;
use crate::network::{NetworkId, Snapshot};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Debug)]
pub(super) struct Held(Mutex<Holding>);

#[derive(Debug)]
pub(super) struct Holding {
    pub(super) ledger: Ledger,
    /// `None` once a test killed the scout.
    pub(super) out: Option<watch::Sender<Arc<Snapshot>>>,
    /// By index, in order of naming.
    pub(super) networks: BTreeMap<u32, Seen>,
    estimates: Estimates,
    expiry: Option<JoinHandle<()>>,
}

impl Held {
    /// Holds these, complete from the start.
    pub(super) fn new(networks: impl IntoIterator<Item = Seen>) -> Self {
        let networks = networks.into_iter().map(|seen| (seen.index, seen));
        let mut holding = Holding {
            ledger: Ledger::new(),
            out: None,
            networks: networks.collect(),
            estimates: Estimates::default(),
            expiry: None,
        };
        holding.publish();
        let (out, _) = watch::channel(holding.ledger.published());
        holding.out = Some(out);
        Held(Mutex::new(holding))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Holding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        let holding = self.lock();
        match &holding.out {
            Some(out) => out.subscribe(),
            None => watch::channel(holding.ledger.published()).1,
        }
    }

    pub(super) fn with_ledger<R>(&self, f: impl FnOnce(&Ledger) -> R) -> R {
        f(&self.lock().ledger)
    }

    /// What a session measured of a network.
    pub(super) fn report(self: &Arc<Self>, network: NetworkId, sample: Sample) {
        let mut holding = self.lock();
        let snapshot = holding.ledger.published();
        let Some(network) = snapshot.by_id(network) else {
            return;
        };
        if holding.estimates.report(Clock::now(), network, sample) {
            holding.publish();
        }
        let expires = holding
            .expiry
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        // Without a runtime what is old is left out of the next snapshot.
        if let (false, Some(out), Ok(runtime)) = (expires, &holding.out, Handle::try_current()) {
            let expiry = expire(Arc::downgrade(self), out.subscribe());
            holding.expiry = Some(runtime.spawn(expiry));
        }
    }

    pub(super) fn estimates(&self) -> Vec<Estimate> {
        self.lock().estimates.list(Clock::now())
    }
}

impl Holding {
    /// Publishes what is held, if it differs from what is published.
    pub(super) fn publish(&mut self) {
        let now = Clock::now();
        let seen = self.networks.values().cloned().map(|mut seen| {
            self.estimates.apply(now, seen.index, &mut seen.spec);
            seen
        });
        self.ledger.see(now, seen, true);
        if let (Some(snapshot), Some(out)) = (self.ledger.publish(), &self.out) {
            out.send_replace(snapshot);
        }
    }
}

/// Forgets estimates as they grow old, until there is none or `alive` ends with what is held.
async fn expire(held: Weak<Held>, mut alive: watch::Receiver<Arc<Snapshot>>) {
    loop {
        let next = {
            let Some(held) = held.upgrade() else {
                return;
            };
            let mut holding = held.lock();
            if holding.estimates.forget(Clock::now()) {
                holding.publish();
            }
            let next = holding.estimates.stale_at();
            if next.is_none() {
                // Under the lock: a report that comes now starts another.
                holding.expiry = None;
                return;
            }
            next
        };
        tokio::select! {
            _ = alive.wait_for(|_| false) => return,
            () = Clock::reached(next) => {}
        }
    }
}
