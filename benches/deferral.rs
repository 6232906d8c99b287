//! A million pending operations of ten labels, beside the plain way: a million futures that await
//! `watch::Receiver::changed` and look for themselves.
//!
//! `cargo bench --bench deferral` prints medians of five rounds, in which the two take turns.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait's implementation"
)]

use mancom::deferral::{MatchError, Matching, Op, Registry};
use mancom::label::matching::Policy;
use mancom::scout::{Networks, scripted};
use mancom::{Label, Network, Snapshot};
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

fn label(number: usize) -> Label {
    Label::new().interface(&format!("wlan{number}"))
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

    let (start, before) = (Instant::now(), BYTES.load(Ordering::Relaxed));
    let mut waiting: Vec<Option<Op<Result<Network, MatchError>>>> = Vec::new();
    waiting.reserve_exact(OPERATIONS);
    for number in 0..OPERATIONS {
        let label = label(number % LABELS);
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
    networks.up(Network::wifi("wlan3"));
    while bell.0.load(Ordering::Relaxed) < OPERATIONS / LABELS {
        tokio::task::yield_now().await;
    }
    figures.one = start.elapsed();
    settle().await;
    figures.one_woken = bell.0.load(Ordering::Relaxed);
    for at in (3..OPERATIONS).step_by(LABELS) {
        let op = waiting[at].as_mut().expect("it waits");
        assert!(Pin::new(op).poll(&mut cx).is_ready());
        waiting[at] = None;
    }
    figures.complete = start.elapsed();

    let start = Instant::now();
    drop(waiting);
    figures.drop = start.elapsed();
    assert_eq!(registry.footprint().entries, 0);
    figures.left = BYTES.load(Ordering::Relaxed).saturating_sub(before);
    figures
}

type Looking = Pin<Box<dyn Future<Output = Network> + Send>>;

/// The plain way: each looks at every snapshot for itself.
fn looking(mut snapshots: watch::Receiver<Arc<Snapshot>>, name: Arc<str>) -> Looking {
    Box::pin(async move {
        loop {
            if let Some(network) = snapshots.borrow_and_update().by_name(&name) {
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
    let names: Vec<Arc<str>> = (0..LABELS).map(|n| format!("wlan{n}").into()).collect();

    let (start, before) = (Instant::now(), BYTES.load(Ordering::Relaxed));
    let mut waiting: Vec<Option<Looking>> = Vec::new();
    waiting.reserve_exact(OPERATIONS);
    for number in 0..OPERATIONS {
        let mut op = looking(snapshots.clone(), names[number % LABELS].clone());
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
    networks.up(Network::wifi("wlan3"));
    figures.one = start.elapsed();
    figures.one_woken = bell.0.load(Ordering::Relaxed);
    poll_all(&mut waiting);
    figures.complete = start.elapsed();

    let start = Instant::now();
    drop(waiting);
    figures.drop = start.elapsed();
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
    line("drop, each", "ns", &|f| each(f.drop));
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
    }
    println!("ratio: plain by mancom; above 1 mancom is better");
}
