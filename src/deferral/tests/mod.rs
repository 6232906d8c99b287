//! What the tests share: a scripted world, and wakers that count.

mod ending;
mod listing;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod reload;
mod running;
mod stopping;
mod waiting;

use super::*;
use crate::label::Label;
use crate::label::matching::{self, Blocked, Destination, Policy};
use crate::network::{Network, NetworkSpec, Snapshot};
use crate::scout::{Networks, scripted};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

thread_local! {
    /// How many match evaluations this thread made.
    static JUDGED: Cell<usize> = const { Cell::new(0) };

    /// The scout has not finished its first scan.
    static UNSCANNED: Cell<bool> = const { Cell::new(false) };
}

fn judged() -> usize {
    JUDGED.get()
}

fn counting(
    snapshot: &Snapshot,
    label: &Label,
    to: &Destination,
    policy: &Policy,
) -> Result<Vec<Network>, Box<Blocked>> {
    JUDGED.set(JUDGED.get() + 1);
    if UNSCANNED.get() {
        let early = Snapshot::new(snapshot.generation(), false, snapshot.networks().to_vec());
        return matching::candidates(&early, label, to, policy);
    }
    matching::candidates(snapshot, label, to, policy)
}

/// A scripted world without networks, and its registry.
struct World {
    networks: Networks,
    registry: Arc<Registry>,
}

impl World {
    fn new() -> Self {
        let (scout, networks) = scripted();
        World {
            networks,
            registry: Registry::judging(scout, Policy::default(), counting),
        }
    }

    fn up(&self, spec: NetworkSpec) {
        self.networks.up(spec);
    }

    fn down(&self, name: &str) {
        self.networks.down(name);
    }

    fn matching(&self, label: Label) -> Matching {
        Matching::new(Ok(self.registry.clone()), label)
    }

    /// Nothing is left of any operation.
    fn is_empty(&self) -> bool {
        let left = self.registry.footprint();
        (left.entries, left.lines, left.alarms) == (0, 0, 0)
    }

    /// The registry's task has seen everything published.
    async fn settled(&self) {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
}

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

/// The clock of deadlines is read from two, so that paused time is exact to less than this.
fn near(time: Duration, expected: Duration) -> bool {
    time.abs_diff(expected) < Duration::from_millis(2)
}

fn wifi() -> Label {
    label("require=wifi")
}

fn cellular() -> Label {
    label("require=cellular")
}

/// A waker that counts, and logs its number where a list is given.
#[derive(Default)]
struct Bell {
    number: usize,
    rung: AtomicUsize,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        self.log.lock().expect("no panic").push(self.number);
    }
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn numbered(number: usize, log: &Arc<Mutex<Vec<usize>>>) -> Arc<Self> {
        Arc::new(Bell {
            number,
            log: log.clone(),
            ..Bell::default()
        })
    }

    fn rung(&self) -> usize {
        self.rung.load(Ordering::SeqCst)
    }

    fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(self.clone());
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }
}

static_assertions::assert_impl_all!(Registry: Send, Sync);
static_assertions::assert_impl_all!(Operation: Send, Sync, Clone);
static_assertions::assert_impl_all!(OperationId: Send, Sync, Copy, Ord);
static_assertions::assert_impl_all!(Op<Result<Network, MatchError>>: Send, Unpin);
static_assertions::assert_impl_all!(Matching: Send);
static_assertions::assert_impl_all!(MatchError: Send, Sync, std::error::Error);
// behaviour: R7
type Work = std::future::Ready<Result<(), crate::Error>>;
static_assertions::assert_impl_all!(Running<fn(Network) -> Work, Work>: Send);
