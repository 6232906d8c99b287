//! The scout.
use crate::network::Snapshot;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The task that keeps the snapshot true.
#[derive(Debug, Clone)]
pub struct Scout {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stalls: watch::Receiver<Arc<BTreeSet<String>>>,
    shared: Arc<Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>>,
}

// A stand-in: the scout module replaces these three.
impl Scout {
    /// What all holders of this scout share, one of each type.
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut all = self.shared.lock().expect("no holder panics");
        let one = all
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::<T>::default());
        Arc::clone(one).downcast().expect("keyed by its type")
    }
    /// Names of networks that carry nothing, silently.
    pub fn stalls(&self) -> watch::Receiver<Arc<BTreeSet<String>>> {
        self.stalls.clone()
    }
    /// Whether the networks are scripted or fixed.
    pub fn is_simulated(&self) -> bool {
        false
    }
}

impl Scout {
    /// The snapshots.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}
