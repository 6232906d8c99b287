//! A million pending operations of ten labels, beside the plain way: a million futures that await
//! `watch::Receiver::changed` and look for themselves.
//!
//! Nine labels want a satellite network, one is content with a cellular one. So a wifi that comes
//! matches none, a cellular network one label, and a satellite all that are left.
//!
//! `cargo bench --bench deferral` prints medians of five rounds, in which the two take turns.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait's implementation"
)]

use mancom::deferral::{MatchError, Matching, Op, Registry};
use mancom::label::matching::Policy;
use mancom::network::{Kind, Kinds};
use mancom::scout::{Networks, scripted};
use mancom::{Label, Network, Prop, Snapshot};
use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;

const OPERATIONS: usize = 1_000_000;
const LABELS: usize = 10;
const ROUNDS: usize = 5;

/// Half of those that one label's match leaves: so many are dropped, and so many woken at once.
const LEFT: usize = OPERATIONS / LABELS * (LABELS - 1) / 2;

/// The system's allocator, counting the bytes handed out.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts how often it is called.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One round's figures, the same for both ways.
#[derive(Default, Clone)]
struct Figures {
    create: Duration,
    bytes: usize,
    /// A snapshot that matches none, until everything it wakes has looked.
    none: Duration,
    none_woken: usize,
    /// A snapshot that matches one label, until all of it is woken.
    one: Duration,
    one_woken: usize,
    /// Until those that match have completed and the rest waits again.
    complete: Duration,
    /// A snapshot that matches every operation left, until all of them are woken.
    all: Duration,
    all_woken: usize,
    /// Until all of them have completed.
    complete_all: Duration,
    drop: Duration,
    left: usize,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Without tokio's budget, which would make a poll of so many futures wake them all.
        ours.push(runtime.block_on(unconstrained(deferred())));
        plain.push(runtime.block_on(unconstrained(awaiting_changed())));
    }
    report(&ours, &plain);
}

/// The label that a cellular network matches.
const CHOSEN: usize = 3;

fn labels() -> Vec<Label> {
    let label = |number| {
        let label = Label::new().bytes(number as u64 + 1);
        match number {
            CHOSEN => label.require(Prop::Satellite).require(Prop::Cellular),
            _ => label.require(Prop::Satellite),
        }
    };
    (0..LABELS).map(label).collect()
}

async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// The median of several snapshots that match none.
async fn median<F: Future<Output = ()>>(mut snapshot: impl FnMut(usize) -> F) -> Duration {
    let mut times = Vec::new();
    for turn in 0..9 {
        let start = Instant::now();
        snapshot(turn).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

async fn deferred() -> Figures {
    let (scout, networks) = scripted();
    let registry = Registry::new(scout, Policy::default());
    settle().await;
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    let mut figures = Figures::default();
    let labels = labels();

    let (start, before) = (Instant::now(), BYTES.load(Ordering::Relaxed));
    let mut waiting: Vec<Option<Op<Result<Network, MatchError>>>> = Vec::new();
    waiting.reserve_exact(OPERATIONS);
    for number in 0..OPERATIONS {
        let label = labels[number % LABELS];
        let mut op = Matching::new(Ok(registry.clone()), label).into_future();
        assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
        waiting.push(Some(op));
    }
    figures.create = start.elapsed();
    figures.bytes = BYTES.load(Ordering::Relaxed) - before;

    let publish = |networks: Networks, turn| async move {
        networks.up(Network::wifi(format!("other{turn}")));
        settle().await;
    };
    figures.none = median(|turn| publish(networks.clone(), turn)).await;
    figures.none_woken = bell.0.swap(0, Ordering::Relaxed);

    let start = Instant::now();
    networks.up(Network::cellular("wwan0"));
    while bell.0.load(Ordering::Relaxed) < OPERATIONS / LABELS {
        tokio::task::yield_now().await;
    }
    figures.one = start.elapsed();
    settle().await;
    figures.one_woken = bell.0.load(Ordering::Relaxed);
    let mut complete = |op: &mut Option<Op<_>>| {
        let waiting = op.as_mut().expect("it waits");
        assert!(Pin::new(waiting).poll(&mut cx).is_ready());
        *op = None;
    };
    for at in (CHOSEN..OPERATIONS).step_by(LABELS) {
        complete(&mut waiting[at]);
    }
    figures.complete = start.elapsed();

    // One half is dropped while it waits, the other waits for the next network.
    let rest = waiting.split_off(OPERATIONS / 2);
    let start = Instant::now();
    drop(rest);
    figures.drop = start.elapsed();

    waiting.retain(Option::is_some);
    bell.0.store(0, Ordering::Relaxed);
    let start = Instant::now();
    networks.up(Network::satellite("sat0"));
    while bell.0.load(Ordering::Relaxed) < waiting.len() {
        tokio::task::yield_now().await;
    }
    figures.all = start.elapsed();
    settle().await;
    figures.all_woken = bell.0.load(Ordering::Relaxed);
    waiting.iter_mut().for_each(complete);
    figures.complete_all = start.elapsed();
    drop(waiting);
    assert_eq!(registry.footprint().entries, 0);
    figures.left = BYTES.load(Ordering::Relaxed).saturating_sub(before);
    figures
}

type Looking = Pin<Box<dyn Future<Output = Network> + Send>>;

/// The plain way: each looks at every snapshot for itself.
fn looking(mut snapshots: watch::Receiver<Arc<Snapshot>>, kinds: Kinds) -> Looking {
    Box::pin(async move {
        loop {
            let fits = |network: &&Network| network.kinds().intersects(kinds);
            if let Some(network) = snapshots.borrow_and_update().networks().iter().find(fits) {
                return network.clone();
            }
            snapshots.changed().await.expect("the scout lives");
        }
    })
}

async fn awaiting_changed() -> Figures {
    let (scout, networks) = scripted();
    let snapshots = scout.snapshots();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    let mut figures = Figures::default();
    let satellite = Kinds::of(Kind::Satellite);
    let kinds = |number| match number {
        CHOSEN => satellite.with(Kind::Cellular),
        _ => satellite,
    };

    let (start, before) = (Instant::now(), BYTES.load(Ordering::Relaxed));
    let mut waiting: Vec<Option<Looking>> = Vec::new();
    waiting.reserve_exact(OPERATIONS);
    for number in 0..OPERATIONS {
        let mut op = looking(snapshots.clone(), kinds(number % LABELS));
        assert!(op.as_mut().poll(&mut cx).is_pending());
        waiting.push(Some(op));
    }
    figures.create = start.elapsed();
    figures.bytes = BYTES.load(Ordering::Relaxed) - before;

    // Everything is woken by every snapshot, so everything is polled.
    let mut poll_all = |waiting: &mut Vec<Option<Looking>>| {
        for slot in waiting {
            if let Some(op) = slot
                && let Poll::Ready(network) = op.as_mut().poll(&mut cx)
            {
                black_box(network);
                *slot = None;
            }
        }
    };
    let mut times = Vec::new();
    for turn in 0..3 {
        bell.0.store(0, Ordering::Relaxed);
        let start = Instant::now();
        networks.up(Network::wifi(format!("other{turn}")));
        figures.none_woken = bell.0.load(Ordering::Relaxed);
        poll_all(&mut waiting);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    figures.none = times[1];

    bell.0.store(0, Ordering::Relaxed);
    let start = Instant::now();
    networks.up(Network::cellular("wwan0"));
    figures.one = start.elapsed();
    figures.one_woken = bell.0.load(Ordering::Relaxed);
    poll_all(&mut waiting);
    figures.complete = start.elapsed();

    let rest = waiting.split_off(OPERATIONS / 2);
    let start = Instant::now();
    drop(rest);
    figures.drop = start.elapsed();

    waiting.retain(Option::is_some);
    bell.0.store(0, Ordering::Relaxed);
    let start = Instant::now();
    networks.up(Network::satellite("sat0"));
    figures.all = start.elapsed();
    figures.all_woken = bell.0.load(Ordering::Relaxed);
    poll_all(&mut waiting);
    figures.complete_all = start.elapsed();
    assert!(waiting.iter().all(Option::is_none));
    drop(waiting);
    figures.left = BYTES.load(Ordering::Relaxed).saturating_sub(before);
    figures
}

fn report(ours: &[Figures], plain: &[Figures]) {
    println!("{OPERATIONS} pending operations of {LABELS} labels; medians of {ROUNDS} rounds");
    println!(
        "{:<44}{:>14}{:>14}{:>10}",
        "", "mancom", "plain watch", "ratio"
    );
    let line = |what: &str, unit: &str, figure: &dyn Fn(&Figures) -> f64| {
        let [a, b] = [ours, plain].map(|rounds| {
            let mut all: Vec<f64> = rounds.iter().map(figure).collect();
            all.sort_unstable_by(f64::total_cmp);
            all[all.len() / 2]
        });
        let ratio = if a > 0.0 {
            format!("{:.3}", b / a)
        } else {
            "-".to_owned()
        };
        println!("{what:<44}{a:>11.2} {unit:<2}{b:>11.2} {unit:<2}{ratio:>10}");
    };
    let each = |time: Duration| time.as_secs_f64() * 1e9 / OPERATIONS as f64;
    let each_left = |time: Duration| time.as_secs_f64() * 1e9 / LEFT as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    line("create and first poll, each", "ns", &|f| each(f.create));
    line("memory, each", "B", &|f| f.bytes as f64 / OPERATIONS as f64);
    line("a snapshot that matches none", "us", &|f| micros(f.none));
    line("  it wakes", "", &|f| f.none_woken as f64);
    line("a snapshot that matches one label", "us", &|f| {
        micros(f.one)
    });
    line("  it wakes", "", &|f| f.one_woken as f64);
    line("  until all of that label are complete", "us", &|f| {
        micros(f.complete)
    });
    line("wake all that are left, each", "ns", &|f| each_left(f.all));
    line("  it wakes", "", &|f| f.all_woken as f64);
    line("  until all are complete, each", "ns", &|f| {
        each_left(f.complete_all)
    });
    line("drop, each", "ns", &|f| each_left(f.drop));
    line("memory left afterwards", "B", &|f| f.left as f64);

    for round in ours {
        assert_eq!(
            round.none_woken, 0,
            "a snapshot that matches none wakes none"
        );
        assert_eq!(
            round.one_woken,
            OPERATIONS / LABELS,
            "exactly its waiters are woken"
        );
        assert_eq!(round.all_woken, LEFT, "each is woken, once");
    }
    let medians = |rounds: &[Figures]| {
        let mut all: Vec<_> = rounds.iter().map(|figures| figures.none).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    assert!(
        medians(plain) >= 50 * medians(ours),
        "a snapshot that matches none is at least 50 times cheaper"
    );
    println!("ratio: plain by mancom; above 1 mancom is better");
}
