//! The registry: one lock around the table, and the task that sweeps it.

use super::line::{Judge, View};
use super::operation::{Chosen, Operation, OperationId, Which};
use super::table::{BATCH, Footprint, Table, Unmatched};
use super::wait::{Hold, Wait, Want};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::{self, Blocked, Destination, Policy};
use crate::network::{Network, NetworkId, Snapshot};
use crate::scout::Scout;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// An entry's number in the table.
pub(super) type Key = u32;

/// What a label was matched to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Matched {
    /// Every admitted network, best first; empty where no network is used (scope host).
    pub networks: Vec<Network>,
    /// The label that matched: the one asked for, or the looser one that took over.
    pub label: Label,
    /// The snapshot in which it matched.
    pub generation: u64,
}

/// One waiting operation, as listed by [`Registry::pending`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pending {
    /// Its number.
    pub id: OperationId,
    /// The label in force.
    pub label: Label,
    /// Where it goes.
    pub destination: Destination,
    /// How long it has waited.
    pub age: Duration,
    /// What is left of its `within`.
    pub deadline: Option<Duration>,
    /// Why it waits, one value for all of a label and destination; `None` if it was just matched.
    pub blocked: Option<Arc<Blocked>>,
}

/// Everything of one manager that waits for a network.
#[doc(hidden)]
pub struct Registry {
    scout: Scout,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    policy: Policy,
    judge: Judge,
    table: Mutex<Table>,
    /// Told when something is due sooner than the task believes.
    rearmed: Arc<Notify>,
    runtime: Handle,
    tasks: OnceLock<[AbortHandle; 2]>,
}

impl Registry {
    /// A registry over this scout, and the task that serves it until it is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(scout: Scout, policy: Policy) -> Arc<Self> {
        Self::judging(scout, policy, matching::candidates)
    }

    pub(super) fn judging(scout: Scout, policy: Policy, judge: Judge) -> Arc<Self> {
        let registry = Arc::new(Registry {
            snapshots: scout.snapshots(),
            scout,
            policy,
            judge,
            table: Mutex::default(),
            rearmed: Arc::new(Notify::new()),
            runtime: Handle::current(),
            tasks: OnceLock::new(),
        });
        let service = serve(
            Closing(Arc::downgrade(&registry)),
            registry.scout.snapshots(),
            registry.rearmed.clone(),
        );
        // In a task of its own: a runtime without I/O then lacks this timer and nothing else.
        let watch = async {
            if let Err(error) = Clock::watch().await {
                tracing::debug!(target: "mancom::deferral", %error, "cannot see the machine wake");
            }
        };
        let tasks = [
            registry.runtime.spawn(service).abort_handle(),
            registry.runtime.spawn(watch).abort_handle(),
        ];
        registry.tasks.set(tasks).expect("set once, here");
        registry
    }

    /// What the system says of unknown facts.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The scout it listens to.
    pub fn scout(&self) -> &Scout {
        &self.scout
    }

    /// The networks as last published.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// The networks as they come to be published.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Every network that admits this label now, best first, without waiting.
    ///
    /// # Errors
    /// The explanation, if there is none.
    pub fn candidates(
        &self,
        label: &Label,
        to: &Destination,
    ) -> Result<Vec<Network>, Box<Blocked>> {
        self.view(&self.snapshot()).look(label, to)
    }

    /// Waits for a match; see [`Wait`].
    pub fn wait(self: &Arc<Self>, want: Want, operation: &Operation) -> Wait {
        Wait::new(self.clone(), want, None, operation.clone())
    }

    /// As [`wait`](Registry::wait), but takes no match before this instant.
    pub(super) fn wait_from(
        self: &Arc<Self>,
        not_before: Option<Instant>,
        want: Want,
        operation: &Operation,
    ) -> Wait {
        Wait::new(self.clone(), want, not_before, operation.clone())
    }

    /// Resolves when `network` no longer admits the label, or at `deadline`; see [`Hold`].
    pub(crate) fn hold(
        self: &Arc<Self>,
        label: Label,
        to: &Destination,
        network: NetworkId,
        deadline: Option<Instant>,
    ) -> Hold {
        Hold::new(self.clone(), label, to, network, deadline)
    }

    /// Withdraws what waits: each resolves with [`MatchError::Cancelled`](super::MatchError::Cancelled). Returns how many.
    pub fn cancel(&self, which: impl Into<Which>) -> usize {
        let which = which.into().0;
        // Asked before the lock is taken: an operation's lock is never taken under it.
        let place = match &which {
            Chosen::Operation(operation) => operation.key_in(self),
            _ => None,
        };
        let mut table = self.table();
        let keys: Vec<Key> = match which {
            Chosen::Label(label) => table.waits_of(&label),
            Chosen::Id(id) => table.wait_with(id).into_iter().collect(),
            Chosen::Operation(operation) => place
                .filter(|key| table.waits(*key, &operation))
                .into_iter()
                .collect(),
        };
        let wakers: Vec<_> = keys.iter().map(|key| table.cancel(*key)).collect();
        drop(table);
        wakers.into_iter().flatten().for_each(Waker::wake);
        keys.len()
    }

    /// Everything that waits, in order of its number. Costs a look at each.
    pub fn pending(&self) -> Vec<Pending> {
        let (listed, snapshot) = {
            let table = self.table();
            (table.list(), self.snapshot())
        };
        let view = self.view(&snapshot);
        let mut reasons: HashMap<Key, Option<Arc<Blocked>>> = HashMap::new();
        let explain = |listed: super::table::Listed| {
            let blocked = reasons
                .entry(listed.line)
                .or_insert_with(|| view.look(&listed.label, &listed.to).err().map(Arc::from));
            Pending {
                blocked: blocked.clone(),
                id: listed.id,
                label: listed.label,
                destination: listed.to,
                age: view.now().saturating_duration_since(listed.since),
                deadline: listed
                    .deadline
                    .map(|deadline| deadline.saturating_duration_since(view.now())),
            }
        };
        listed.into_iter().map(explain).collect()
    }

    /// What it holds memory for.
    pub fn footprint(&self) -> Footprint {
        self.table().footprint()
    }

    /// Asks the scout to look at the system once more; what it finds is published.
    pub(super) fn look_again(&self) {
        let scout = self.scout.clone();
        self.runtime.spawn(async move { scout.look_again().await });
    }

    pub(super) fn nudge(&self, key: Key, operation: &Operation) {
        self.look_again();
        let waker = {
            let mut table = self.table();
            let waits = table.waits(key, operation);
            waits.then(|| table.take_waker(key)).flatten()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Why this operation waits, if it still does.
    pub(super) fn blocked(&self, key: Key, operation: &Operation) -> Option<Box<Blocked>> {
        let (unmatched, snapshot) = {
            let table = self.table();
            if !table.waits(key, operation) {
                return None;
            }
            (table.unmatched(key), self.snapshot())
        };
        self.try_explain(&snapshot, &unmatched)
    }

    /// The explanation for one that did not match in this snapshot.
    pub(super) fn explain(&self, snapshot: &Snapshot, what: &Unmatched) -> Box<Blocked> {
        self.try_explain(snapshot, what)
            .expect("matching is a pure function of the snapshot, which did not match")
    }

    fn try_explain(&self, snapshot: &Snapshot, what: &Unmatched) -> Option<Box<Blocked>> {
        let view = self.view(snapshot);
        let mut blocked = view.look(&what.label, &what.to).err()?;
        let strict = what.strict.as_ref();
        blocked.waited = Some(view.now().saturating_duration_since(what.since));
        blocked.relaxed = strict.and_then(|label| view.look(label, &what.to).err());
        Some(blocked)
    }

    pub(super) fn view<'a>(&'a self, snapshot: &'a Snapshot) -> View<'a> {
        View {
            snapshot,
            policy: &self.policy,
            judge: self.judge,
            now: OnceCell::new(),
        }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // Only an evaluation could panic under it, and that leaves the table whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the task that something may be due sooner than it believes.
    pub(super) fn rearm(&self) {
        self.rearmed.notify_one();
    }

    /// One batch: the wakers to call now, and whether more are to come.
    fn sweep(&self) -> (Vec<Waker>, bool) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut table = self.table();
        // Read under the lock, so that generations never go back under it.
        let snapshot = self.snapshot();
        let more = table.sweep(&self.view(&snapshot), &mut batch);
        (batch, more)
    }

    fn close(&self) {
        let wakers = self.table().close();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// Closes the registry when its task ends in whatever way: nobody waits for a dead task.
struct Closing(Weak<Registry>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(registry) = self.0.upgrade() {
            registry.close();
        }
    }
}

async fn serve(
    // An argument, so that it is dropped also where the task is never polled.
    closing: Closing,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    rearmed: Arc<Notify>,
) {
    let registry = &closing.0;
    let mut scouted = true;
    loop {
        // Made before the look: a jump during it is not missed.
        let jumped = Clock::jumped();
        let next = loop {
            let Some(registry) = registry.upgrade() else {
                return;
            };
            let (batch, more) = registry.sweep();
            let next = registry.table().next_alarm();
            drop(registry);
            batch.into_iter().for_each(Waker::wake);
            if !more {
                break next;
            }
            tokio::task::yield_now().await;
        };
        let due = async {
            match next {
                Some(at) => Clock::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = snapshots.changed(), if scouted => {
                if changed.is_err() {
                    scouted = false;
                    let Some(registry) = registry.upgrade() else { return };
                    registry.close();
                }
            }
            () = due => {}
            () = rearmed.notified() => {}
            () = jumped => {}
        }
    }
}
