//! Gauges and counters of what waits.

use super::*;
use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// Keeps what is counted, by name and labels.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Kept {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!(" {}", label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    fn of(&self, name: &str) -> u64 {
        let kept = self.0.lock().unwrap();
        let cell = kept.get(&format!("mancom_operations_{name}"));
        cell.map_or(0, |cell| cell.load(Ordering::SeqCst))
    }

    fn pending(&self, kind: &str) -> f64 {
        f64::from_bits(self.of(&format!("pending {kind}")))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there is none")
    }
}

// behaviour: X6, R1
#[tokio::test(start_paused = true)]
async fn the_gauge_returns_to_zero_however_a_wait_ends() {
    const MANY: usize = 10_000;
    let kept = Kept::default();
    let _local = ::metrics::set_default_local_recorder(&kept);
    let world = World::new();
    let bell = Bell::new();
    let hour = Duration::from_secs(3600);
    let begin = || -> Vec<_> {
        let begin = |_| {
            let mut op = world.matching(wifi()).within(hour).into_future();
            assert!(bell.poll(&mut op).is_pending());
            op
        };
        let all = (0..MANY).map(begin).collect();
        assert_eq!(kept.pending("matching"), 10_000.0);
        all
    };
    let ended = |end, mut all: Vec<Op<Result<Network, MatchError>>>| {
        assert!(all.iter_mut().all(|op| bell.poll(op).is_ready()));
        assert_eq!(kept.pending("matching"), 0.0, "{end}");
        assert_eq!(kept.of(&format!("ended_total matching {end}")), MANY as u64);
    };
    drop(begin());
    assert_eq!(kept.pending("matching"), 0.0);
    assert_eq!(kept.of("ended_total matching dropped"), MANY as u64);
    let cancelled = begin();
    assert_eq!(world.registry.cancel(wifi()), MANY);
    assert_eq!(kept.pending("matching"), 0.0, "also before they are polled");
    ended("cancelled", cancelled);
    let late = begin();
    tokio::time::sleep(hour + Duration::from_secs(1)).await;
    ended("timed_out", late);
    let matched = begin();
    world.up(Network::wifi("wlan0"));
    ended("matched", matched);
    world.down("wlan0");
    let lost = begin();
    world.networks.kill();
    world.settled().await;
    ended("refused", lost);
    assert_eq!(kept.of("waited_total matching"), 5 * MANY as u64);
}

// behaviour: X6
#[tokio::test(start_paused = true)]
async fn the_gauge_is_by_kind_and_of_those_that_wait() {
    let kept = Kept::default();
    let _local = ::metrics::set_default_local_recorder(&kept);
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    world.matching(wifi()).await.unwrap();
    assert!(kept.0.lock().unwrap().is_empty(), "it never waited");
    let bell = Bell::new();
    let run = Run::new(Ok(world.registry.clone()), cellular(), |_| {
        std::future::pending::<Result<(), crate::Error>>()
    });
    let mut running = Box::pin(run.into_future());
    assert!(bell.poll(&mut running).is_pending());
    let mut waiting = world.matching(cellular()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    assert_eq!((kept.pending("run"), kept.pending("matching")), (1.0, 1.0));
    world.up(Network::cellular("wwan0"));
    assert!(bell.poll(&mut running).is_pending());
    assert_eq!((kept.pending("run"), kept.pending("matching")), (0.0, 1.0));
    drop(running);
    assert_eq!(
        kept.pending("run"),
        0.0,
        "the watch over its match is no wait"
    );
}
