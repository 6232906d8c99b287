//! The scout.
use crate::network::{Attached, Kind, Network, NetworkId, NetworkSpec, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The task that keeps the snapshot true.
#[derive(Debug, Clone)]
pub struct Scout {
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Scout {
    /// The snapshots.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}

#[allow(missing_docs)]
mod stand_in {
    use super::*;
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Facts {
        pub kind: Option<Kind>,
        pub metered: Option<bool>,
        pub roaming: Option<bool>,
        pub constrained: Option<bool>,
        pub bypass_vpn: Option<bool>,
        pub rtt: Option<Duration>,
        pub up: Option<u64>,
        pub down: Option<u64>,
    }
    #[derive(Debug, Clone, Default)]
    pub struct Overrides(Vec<(String, Facts)>);
    impl Overrides {
        pub fn push(&mut self, pattern: &str, facts: Facts) {
            self.0.push((pattern.into(), facts));
        }
    }
    #[derive(Debug, Clone)]
    pub struct Networks(Arc<watch::Sender<Arc<Snapshot>>>);
    impl Networks {
        pub fn up(&self, spec: NetworkSpec) -> NetworkId {
            let id = NetworkId { index: 1, epoch: 1 };
            self.0.send_modify(|s| {
                *s = Arc::new(Snapshot {
                    generation: s.generation + 1,
                    complete: true,
                    networks: vec![Network(Arc::new(Attached { id, spec }))],
                })
            });
            id
        }
    }
    pub fn scripted() -> (Scout, Networks) {
        let sender = watch::Sender::new(Arc::new(Snapshot {
            generation: 1,
            complete: true,
            networks: vec![],
        }));
        let snapshots = sender.subscribe();
        (Scout { snapshots }, Networks(Arc::new(sender)))
    }
    impl Scout {
        pub fn system() -> Self {
            Scout::system_with(Overrides::default())
        }
        pub fn system_with(_overrides: Overrides) -> Self {
            let (scout, networks) = scripted();
            tokio::spawn(async move { networks.0.closed().await });
            scout
        }
        pub fn fixed(_networks: impl IntoIterator<Item = NetworkSpec>) -> Self {
            let (scout, networks) = scripted();
            tokio::spawn(async move { networks.0.closed().await });
            scout
        }
    }
}
pub use stand_in::*;
