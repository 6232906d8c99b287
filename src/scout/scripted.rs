//! Networks that a test brings up, changes and takes down.
//!
//! Everything happens at once and in the call: after [`Networks::down`] returns, every watcher of
//! the scout has been woken and the next look shows it. Nothing is coalesced or held back, so a
//! test in paused time sees exactly the steps it made.

use super::Scout;
use super::fixed::detached;
use super::held::{Held, Holding};
use super::publish::Seen;
use crate::network::{NetworkId, NetworkSpec, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// A scout whose networks a test scripts, and the handle that does it; none is up at first.
///
/// The snapshot is complete from the start: no network means offline, not "starting".
///
/// ```
/// let (scout, networks) = mancom::scout::scripted();
/// assert!(scout.is_simulated());
/// networks.down("wlan0"); // never up: nothing happens
/// ```
pub fn scripted() -> (Scout, Networks) {
    let script = Arc::new(Script::new());
    (Scout::over_script(script.clone()), Networks(script))
}

/// The networks of a scripted scout; a cheap clone, to be used from any thread.
#[derive(Debug, Clone)]
pub struct Networks(Arc<Script>);

#[derive(Debug)]
pub(super) struct Script {
    held: Arc<Held>,
    stalls: watch::Sender<Arc<BTreeSet<String>>>,
}

impl Networks {
    /// Brings a network up under a new id. One of that name that is up goes down first, and nobody
    /// sees it: the id tells.
    #[expect(clippy::missing_panics_doc, reason = "what was just seen has an id")]
    pub fn up(&self, network: NetworkSpec) -> NetworkId {
        let mut state = self.0.held.lock();
        let unnamed = state.networks.len() as u32 + 1;
        let old = named(&mut state, &network.name).map(|old| (old.index, old.turn + 1));
        let (index, turn) = old.unwrap_or((unnamed, 0));
        let spec = detached(network.state(State::Up));
        let seen = Seen { index, turn, spec };
        state.networks.insert(index, seen);
        state.publish();
        state.ledger.id(index).expect("it was just seen")
    }

    /// Takes a network down; its id never comes back. One that is not up stays as it is.
    pub fn down(&self, name: &str) {
        self.change(name, |mut spec| {
            spec.state = State::Down;
            spec.notes.down = vec!["taken down by the test".into()];
            spec
        });
    }

    /// Changes a network under its id: facts, addresses, routes, state. Its name stays. One never
    /// named is not there to change.
    ///
    /// As on a real host, a set of addresses without one in common with the last is a new id.
    pub fn change(&self, name: &str, change: impl FnOnce(NetworkSpec) -> NetworkSpec) {
        let known = named(&mut self.0.held.lock(), name).map(|seen| seen.spec.clone());
        let Some(spec) = known else {
            tracing::warn!(target: "mancom::scout", name, "no such scripted network");
            return;
        };
        // The caller's code runs without the lock: it may use this handle.
        let mut spec = change(spec);
        spec.name = name.to_owned();
        let mut state = self.0.held.lock();
        if let Some(seen) = named(&mut state, name) {
            seen.spec = spec;
        }
        state.publish();
    }

    /// Stalls a network silently, or lets it go on: nothing passes on its paths, no end is told,
    /// and the snapshot says nothing of it.
    pub fn stall(&self, name: &str, stalled: bool) {
        self.0.stalls.send_if_modified(|names| {
            let mut now = BTreeSet::clone(names);
            let changed = if stalled {
                now.insert(name.to_owned())
            } else {
                now.remove(name)
            };
            *names = Arc::new(now);
            changed
        });
    }

    /// Ends the scout as if its task had died: every watcher gets an error, and no later change is
    /// seen.
    pub fn kill(&self) {
        self.0.held.lock().out = None;
    }
}

impl Script {
    fn new() -> Self {
        Script {
            held: Arc::new(Held::new([])),
            stalls: watch::Sender::default(),
        }
    }

    pub(super) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    pub(super) fn stalls(&self) -> watch::Receiver<Arc<BTreeSet<String>>> {
        self.stalls.subscribe()
    }
}

fn named<'a>(state: &'a mut Holding, name: &str) -> Option<&'a mut Seen> {
    let mut all = state.networks.values_mut();
    all.find(|seen| seen.spec.name == name)
}
