//! Facts that change at run time: the configuration's, and what sessions measure.

use super::*;
use crate::network::{Aspect, Fact};

fn metered(pattern: &str) -> Overrides {
    let mut overrides = Overrides::new();
    let facts = Facts {
        metered: Some(true),
        rtt: Some(Duration::from_millis(60)),
        ..Facts::default()
    };
    overrides.push(pattern, facts);
    overrides
}

fn rtt(ms: u64) -> Sample {
    Sample {
        rtt: Some(Duration::from_millis(ms)),
        ..Sample::default()
    }
}

async fn changed(snapshots: &mut Receiver<Arc<Snapshot>>) -> Network {
    let changed = tokio::time::timeout(Duration::from_secs(10), snapshots.changed()).await;
    changed.expect("in time").expect("a living scout");
    snapshots.borrow_and_update().networks()[0].clone()
}

/// Nothing is published for as long as anything could be on its way.
async fn stays(snapshots: &Receiver<Arc<Snapshot>>) {
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!snapshots.has_changed().expect("a living scout"));
}

fn sources(network: &Network, aspect: Aspect) -> Vec<&str> {
    network.sources(aspect).collect()
}

// behaviour: C2
#[tokio::test(start_paused = true)]
async fn what_is_stated_anew_is_one_snapshot_of_the_same_networks() {
    let scout = Scout::over_system(settings::blind());
    let mut snapshots = scout.snapshots();
    complete(&mut snapshots).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = snapshots.borrow_and_update().networks()[0].clone();
    let generation = snapshots.borrow().generation();

    scout.set_overrides(metered("def*"));
    let stated = changed(&mut snapshots).await;
    assert_eq!(stated.metered(), Fact::Yes);
    assert_eq!(sources(&stated, Aspect::Metered), ["override"]);
    assert_eq!(stated.id(), before.id(), "the same attachment");
    assert_eq!(snapshots.borrow().generation(), generation + 1);
    let age = |aspect| stated.age(aspect).expect("a published network");
    assert!(age(Aspect::Metered) < Duration::from_secs(1));
    assert!(age(Aspect::State) >= Duration::from_secs(60));
    assert!(age(Aspect::Roaming) >= Duration::from_secs(60));
    scout.set_overrides(metered("def*"));
    stays(&snapshots).await;

    scout.set_overrides(Overrides::new());
    let restored = changed(&mut snapshots).await;
    assert_eq!(restored, before);
    assert_eq!(snapshots.borrow().generation(), generation + 2);
    stays(&snapshots).await;
}

/// Scouts of each source, with one network each.
fn scouts() -> Vec<(Scout, &'static str)> {
    let (scripted, networks) = scripted();
    networks.up(Network::wifi("net"));
    vec![
        (scripted, "scripted"),
        (Scout::fixed([Network::wifi("net")]), "fixed"),
        (Scout::over_system(settings::blind()), "system"),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_measured_is_shown_in_steps_until_it_is_ten_minutes_old() {
    for (scout, source) in scouts() {
        let mut snapshots = scout.snapshots();
        let id = complete(&mut snapshots).await.networks()[0].id();
        snapshots.mark_unchanged();
        scout.report(id, rtt(100));
        let shown = changed(&mut snapshots).await;
        assert_eq!(shown.id(), id, "{source}: the same attachment");
        assert_eq!(shown.rtt(), Some(Duration::from_millis(100)), "{source}");
        assert_eq!(sources(&shown, Aspect::Rtt), ["measured"], "{source}");
        for _ in 0..100 {
            scout.report(id, rtt(115));
        }
        stays(&snapshots).await;
        let estimate = &scout.estimates()[0];
        assert_eq!(estimate.network, shown.name(), "{source}");
        assert_eq!(estimate.samples, 101, "{source}");
        assert_eq!(estimate.age, Duration::from_secs(60), "{source}");
        assert!(estimate.rtt > Some(Duration::from_millis(114)), "{source}");

        let forgotten = tokio::time::timeout(Duration::from_secs(541), snapshots.changed());
        forgotten.await.expect("in time").expect("a living scout");
        assert_eq!(snapshots.borrow_and_update().networks()[0].rtt(), None);
        assert!(scout.estimates().is_empty(), "{source}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_estimate_outlives_the_epoch_of_its_network() {
    let (scout, networks) = scripted();
    let first = networks.up(Network::wifi("wlan0").rtt(Duration::from_millis(7)));
    let snapshots = scout.snapshots();
    let rtt_now = || snapshots.borrow().networks()[0].rtt();
    assert_eq!(rtt_now(), Some(Duration::from_millis(7)), "a hint");
    scout.report(first, rtt(100));
    networks.down("wlan0");
    let second = networks.up(Network::wifi("wlan0"));
    assert_ne!(first, second);
    assert_eq!(rtt_now(), Some(Duration::from_millis(100)));
    scout.report(first, rtt(1));
    assert_eq!(rtt_now(), Some(Duration::from_millis(100)), "of the past");
    scout.report(second, rtt(50));
    assert_eq!(rtt_now(), Some(Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn samples_by_the_thousand_give_few_snapshots() {
    let scout = Scout::over_system(settings::blind());
    let mut snapshots = scout.snapshots();
    let id = complete(&mut snapshots).await.networks()[0].id();
    let before = snapshots.borrow().generation();
    // A second in which the round trip swings between 1 ms and 1 s as badly as it can.
    for n in 0..1000_u32 {
        let sample = rtt(if (n / 50).is_multiple_of(2) { 1 } else { 1000 });
        scout.report(id, sample);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let news = snapshots.borrow().generation() - before;
    assert!((1..=20).contains(&news), "{news}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_scout_that_had_an_estimate() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for (scout, _) in scouts() {
        let mut snapshots = scout.snapshots();
        let id = complete(&mut snapshots).await.networks()[0].id();
        scout.report(id, rtt(100));
        assert!(tasks() > before);
    }
    let gone = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
    gone.expect("every task ends with its scout");
}
