//! The registry: one lock around the table, and the task that sweeps it.

use super::explain::Histories;
use super::line::{Judge, Role, View};
use super::metrics::{self, End};
use super::operation::{Chosen, Operation, OperationId, Which};
use super::settings::{Names, Settings};
use super::table::{BATCH, Footprint, Table};
use super::wait::{Hold, Wait, Want};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::{self, Blocked, Destination, Policy};
use crate::network::{Network, Snapshot};
use crate::scout::Scout;
use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::task::Waker;
use std::time::Instant;
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

/// Everything of one manager that waits for a network.
#[doc(hidden)]
pub struct Registry {
    scout: Scout,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Replaced under the table's lock.
    settings: RwLock<Arc<Settings>>,
    /// Told of each other policy.
    revised: watch::Sender<()>,
    judge: Judge,
    table: Mutex<Table>,
    pub(super) histories: Mutex<Histories>,
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
            settings: RwLock::new(Arc::new(Settings::new(policy))),
            revised: watch::Sender::new(()),
            judge,
            table: Mutex::default(),
            histories: Mutex::default(),
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

    /// What the system says of unknown facts, and what it forbids.
    pub fn policy(&self) -> Policy {
        self.settings().policy.clone()
    }

    /// Judges by this policy from now on. What waits or holds a match is judged again once: those
    /// for whom a network matches now are woken, those who lost their match are told. An equal
    /// policy changes nothing.
    pub fn set_policy(&self, policy: Policy) {
        let table = self.table();
        let Some(settings) = self.settings().with_policy(policy) else {
            return;
        };
        self.set(settings);
        drop(table);
        self.revised.send_replace(());
        self.rearm();
    }

    /// Whoever follows the policy looks at what else stands beside it.
    #[cfg(feature = "config")]
    pub(crate) fn revise(&self) {
        self.revised.send_replace(());
    }

    /// Changes when [`policy`](Self::policy) does: what is open is then judged again, too.
    pub(crate) fn revised(&self) -> watch::Receiver<()> {
        self.revised.subscribe()
    }

    /// The configuration's names of labels, for explanations and listings; of several for equal
    /// labels the first counts. They take the place of those set before, and wake nobody.
    pub fn set_names(&self, names: impl IntoIterator<Item = (String, Label)>) {
        // The caller's iterator runs without the lock.
        let names = Names::new(names);
        let table = self.table();
        self.set(self.settings().with_names(names));
        drop(table);
    }

    /// The configuration's name of this label.
    pub fn name(&self, label: &Label) -> Option<Arc<str>> {
        self.settings().name(label)
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
    /// The explanation, without ages and history, if there is none; [`why`](Registry::why) has them.
    pub fn candidates(
        &self,
        label: &Label,
        to: &Destination,
    ) -> Result<Vec<Network>, Box<Blocked>> {
        let snapshot = self.snapshot();
        let view = self.view(&snapshot);
        let looked = view.look(label, to);
        looked.map_err(|mut blocked| {
            blocked.name = view.settings.name(label);
            blocked
        })
    }

    /// Waits for a match; see [`Wait`].
    pub fn wait(self: &Arc<Self>, want: Want, operation: &Operation) -> Wait {
        Wait::new(self.clone(), want, None, operation.clone())
    }

    /// As [`wait`](Registry::wait), but takes no match before this instant.
    pub(crate) fn wait_from(
        self: &Arc<Self>,
        not_before: Option<Instant>,
        want: Want,
        operation: &Operation,
    ) -> Wait {
        Wait::new(self.clone(), want, not_before, operation.clone())
    }

    /// Resolves when the match turns that the role is about, or at `deadline`; see [`Hold`].
    pub(super) fn hold(
        self: &Arc<Self>,
        label: Label,
        role: Role,
        deadline: Option<Instant>,
    ) -> Hold {
        Hold::new(self.clone(), label, role, deadline)
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
            Chosen::Id(id) => table
                .wait_with(id)
                .map(|(key, _)| key)
                .into_iter()
                .collect(),
            Chosen::Operation(operation) => place
                .filter(|key| table.waits(*key, &operation))
                .into_iter()
                .collect(),
        };
        let cancelled: Vec<_> = keys.iter().map(|key| table.cancel(*key)).collect();
        drop(table);
        for (kind, waker) in cancelled {
            metrics::ended(kind, End::Cancelled);
            waker.into_iter().for_each(Waker::wake);
        }
        keys.len()
    }

    /// The handle of the operation with this number, if it waits for a network.
    pub fn find(&self, id: OperationId) -> Option<Operation> {
        let table = self.table();
        let found = table.wait_with(id);
        found.map(|(_, operation)| operation.clone())
    }

    /// [Nudges](Operation::nudge) everything that waits for a network; returns how many.
    pub fn nudge_all(&self) -> usize {
        self.look_again();
        let (wakers, waiting) = self.table().nudge_all();
        wakers.into_iter().for_each(Waker::wake);
        waiting
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
        let (unmatched, snapshot, settings) = {
            let table = self.table();
            if !table.waits(key, operation) {
                return None;
            }
            (table.unmatched(key), self.snapshot(), self.settings())
        };
        self.try_explain(&self.view_with(&snapshot, settings), &unmatched)
    }

    /// What to judge and explain with. Under the table's lock it only gets newer.
    pub(super) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        // Each write is a whole value: a panic elsewhere leaves nothing half done.
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, settings: Settings) {
        let place = self.settings.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    pub(super) fn view<'a>(&self, snapshot: &'a Snapshot) -> View<'a> {
        self.view_with(snapshot, self.settings())
    }

    pub(super) fn view_with<'a>(
        &self,
        snapshot: &'a Snapshot,
        settings: Arc<Settings>,
    ) -> View<'a> {
        View {
            snapshot,
            settings,
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
