//! Waiting for a match, and being woken for it.

use super::*;
use crate::network::Route;
use std::net::{IpAddr, Ipv4Addr};

// behaviour: W1
#[tokio::test(start_paused = true)]
async fn waits_beside_cellular_and_resolves_at_the_first_poll_after_wifi() {
    let world = World::new();
    world.up(Network::cellular("wwan0"));
    let (bell, mut waiting) = (Bell::new(), world.matching(wifi()).into_future());
    assert!(bell.poll(&mut waiting).is_pending());
    world.up(Network::wifi("wlan0"));
    let Poll::Ready(Ok(network)) = bell.poll(&mut waiting) else {
        panic!("the first poll after the publication");
    };
    assert_eq!(network.name(), "wlan0");
}

// behaviour: W3, I6
#[tokio::test(start_paused = true)]
async fn never_waits_where_a_match_exists() {
    let world = World::new();
    let mut waiting = world.matching(Label::INTERACTIVE).into_future();
    let bell = Bell::new();
    assert!(bell.poll(&mut waiting).is_pending());
    world.up(Network::wifi("wlan0"));
    // Neither with a line of its own label, not yet swept, nor without one.
    for label in [Label::INTERACTIVE, wifi()] {
        let mut late = world.matching(label).into_future();
        assert!(bell.poll(&mut late).is_ready());
    }
    assert_eq!(bell.rung(), 0);
}

// behaviour: W4
#[tokio::test(start_paused = true)]
async fn before_the_first_scan_it_waits_for_the_scout_and_is_not_offline() {
    let world = World::new();
    UNSCANNED.set(true);
    world.up(Network::wifi("wlan0"));
    let bell = Bell::new();
    let mut waiting = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    let blocked = waiting.operation().blocked().expect("it says why");
    assert_eq!(blocked.reasons, [matching::Reason::ScoutStarting]);
    UNSCANNED.set(false);
    world.up(Network::cellular("wwan0"));
    assert!(bell.poll(&mut waiting).is_ready());
}

// behaviour: W5
#[tokio::test(start_paused = true)]
async fn a_network_that_does_not_match_wakes_nobody() {
    let world = World::new();
    let bell = Bell::new();
    let mut waiting: Vec<_> = (0..1000)
        .map(|_| world.matching(wifi()).into_future())
        .collect();
    for op in &mut waiting {
        assert!(bell.poll(op).is_pending());
    }
    for turn in 0..10 {
        world.up(Network::cellular(format!("wwan{turn}")));
        world.settled().await;
    }
    assert_eq!(bell.rung(), 0);
}

#[tokio::test(start_paused = true)]
async fn ten_labels_cost_ten_evaluations_a_snapshot_however_many_wait() {
    let world = World::new();
    let bell = Bell::new();
    let labels: Vec<_> = (0..10)
        .map(|size| label(&format!("require=wifi size={}", size + 1)))
        .collect();
    let mut waiting = Vec::new();
    for turn in 0..10_000 {
        let mut op = world.matching(labels[turn % 10]).into_future();
        assert!(bell.poll(&mut op).is_pending());
        waiting.push(op);
    }
    world.settled().await;
    let before = judged();
    world.up(Network::cellular("wwan0"));
    world.settled().await;
    assert_eq!(judged() - before, 10);
}

// behaviour: W6, I10
#[tokio::test(start_paused = true)]
async fn keeps_its_place_in_line_when_the_match_vanishes_before_the_poll() {
    let world = World::new();
    let log = Arc::default();
    let bells: Vec<_> = (0..3).map(|n| Bell::numbered(n, &log)).collect();
    let mut waiting: Vec<_> = (0..3)
        .map(|_| world.matching(wifi()).into_future())
        .collect();
    for (bell, op) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(op).is_pending());
    }
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    world.down("wlan0");
    world.settled().await;
    // Polled in another order than that of the line, after the match is gone.
    for at in [1, 2, 0] {
        assert!(bells[at].poll(&mut waiting[at]).is_pending());
    }
    world.up(Network::wifi("wlan1"));
    world.settled().await;
    assert_eq!(*log.lock().unwrap(), [0, 1, 2, 0, 1, 2]);
    for (bell, op) in bells.iter().zip(&mut waiting) {
        let Poll::Ready(Ok(network)) = bell.poll(op) else {
            panic!("it matches now");
        };
        assert_eq!(network.name(), "wlan1", "no stale network");
    }
}

// behaviour: W7
#[tokio::test(start_paused = true)]
async fn ten_thousand_complete_at_one_publication_each_woken_once() {
    let world = World::new();
    let bells: Vec<_> = (0..10_000).map(|_| Bell::new()).collect();
    let mut waiting: Vec<_> = bells
        .iter()
        .map(|bell| {
            let mut op = world.matching(wifi()).into_future();
            assert!(bell.poll(&mut op).is_pending());
            op
        })
        .collect();
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    world.registry.rearm();
    world.settled().await;
    assert!(bells.iter().all(|bell| bell.rung() == 1));
    for (bell, op) in bells.iter().zip(&mut waiting) {
        assert!(matches!(bell.poll(op), Poll::Ready(Ok(_))));
    }
    assert!(world.is_empty());
}

// behaviour: W8
#[tokio::test(start_paused = true)]
async fn a_wait_without_deadline_has_no_timer_and_costs_nothing_while_nothing_changes() {
    let world = World::new();
    let bell = Bell::new();
    let mut forever = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut forever).is_pending());
    assert_eq!(world.registry.footprint().alarms, 0);
    world.settled().await;
    let before = judged();
    tokio::time::sleep(Duration::from_secs(30 * 24 * 3600)).await;
    assert_eq!((bell.rung(), judged()), (0, before));
    let mut limited = world
        .matching(wifi())
        .within(Duration::from_secs(5))
        .into_future();
    assert!(bell.poll(&mut limited).is_pending());
    assert_eq!(world.registry.footprint().alarms, 1);
}

// behaviour: W9
#[tokio::test(start_paused = true)]
async fn the_best_of_several_is_given() {
    let world = World::new();
    let bell = Bell::new();
    let mut waiting = world.matching(Label::ANY).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    world.up(Network::cellular("wwan0"));
    world.up(Network::wifi("wlan0"));
    let best = world
        .registry
        .candidates(&Label::ANY, &Destination::Unnamed)
        .unwrap();
    assert_eq!(best.len(), 2);
    let Poll::Ready(Ok(network)) = bell.poll(&mut waiting) else {
        panic!("two match");
    };
    assert_eq!((&network, network.name()), (&best[0], "wlan0"));
}

// behaviour: W10, I10
#[tokio::test(start_paused = true)]
async fn wakes_by_priority_and_first_come_first_served_within_it() {
    let world = World::new();
    let log = Arc::default();
    let mut waiting = Vec::new();
    for (number, priority) in [0, 5, 0, -1, 5, 0].into_iter().enumerate() {
        let want = Want {
            priority,
            ..Want::new(wifi())
        };
        let mut wait = world.registry.wait(want, &Operation::new());
        assert!(Bell::numbered(number, &log).poll(&mut wait).is_pending());
        waiting.push(wait);
    }
    // One in the middle leaves.
    drop(waiting.remove(2));
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    assert_eq!(*log.lock().unwrap(), [1, 4, 0, 5, 3]);
}

// behaviour: I10
#[tokio::test(start_paused = true)]
async fn tasks_of_one_label_complete_in_order_of_arrival_after_flaps() {
    let world = World::new();
    let done = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..2_000 {
        let (waiting, done) = (world.matching(wifi()).into_future(), done.clone());
        tasks.push(tokio::spawn(async move {
            waiting.await.unwrap();
            done.lock().unwrap().push(number);
        }));
    }
    world.settled().await;
    for _ in 0..10 {
        world.up(Network::wifi("wlan0"));
        world.down("wlan0");
        world.settled().await;
    }
    world.up(Network::wifi("wlan0"));
    for task in tasks {
        task.await.unwrap();
    }
    let done = done.lock().unwrap();
    assert!(done.is_sorted());
}

// behaviour: I10, W6
#[tokio::test(start_paused = true)]
async fn nobody_is_lost_when_the_network_flaps_while_they_wake() {
    let world = World::new();
    let tasks: Vec<_> = (0..2_000)
        .map(|_| tokio::spawn(world.matching(wifi()).into_future()))
        .collect();
    world.settled().await;
    for turn in 0..20 {
        world.up(Network::wifi(format!("wlan{turn}")));
        tokio::task::yield_now().await;
        world.down(&format!("wlan{turn}"));
        tokio::task::yield_now().await;
    }
    world.up(Network::wifi("wlan0"));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(world.is_empty());
}

// behaviour: W11
#[tokio::test(start_paused = true)]
async fn told_not_to_wait_it_ends_in_the_same_poll() {
    let world = World::new();
    let bell = Bell::new();
    let mut op = world.matching(wifi()).no_wait().into_future();
    assert!(matches!(
        bell.poll(&mut op),
        Poll::Ready(Err(MatchError::NoMatch(_)))
    ));
    assert!(world.is_empty());
    world.up(Network::wifi("wlan0"));
    let mut op = world.matching(wifi()).no_wait().into_future();
    assert!(matches!(bell.poll(&mut op), Poll::Ready(Ok(_))));
}

// behaviour: W12
#[tokio::test(start_paused = true)]
async fn a_nudge_retries_at_once_and_does_nothing_to_one_that_does_not_wait() {
    let world = World::new();
    let bell = Bell::new();
    let builder = world.matching(wifi());
    let operation = builder.operation();
    operation.nudge();
    let mut op = builder.into_future();
    assert_eq!(op.operation().id(), operation.id());
    assert!(operation.blocked().is_none());
    assert!(bell.poll(&mut op).is_pending());
    assert!(operation.blocked().is_some());
    operation.nudge();
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(&mut op).is_pending());
    world.up(Network::wifi("wlan0"));
    assert!(bell.poll(&mut op).is_ready());
    operation.nudge();
    assert_eq!(bell.rung(), 1);
    assert!(operation.blocked().is_none());
}

// behaviour: W12
#[tokio::test(start_paused = true)]
async fn a_nudge_ends_a_back_off() {
    let operation = Operation::new();
    let mut nudged = operation.nudged();
    let bell = Bell::new();
    operation.nudge();
    assert!(bell.poll(&mut nudged).is_pending(), "it did not wait then");
    operation.nudge();
    operation.nudge();
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(&mut nudged).is_ready());
    drop(nudged);
    assert!(bell.poll(&mut operation.nudged()).is_pending());
}

// behaviour: R6
/// The check and the registration happen under one lock, and the sweep of a later generation
/// takes the same lock after reading that generation; so the interleavings left are those of
/// whole critical sections, which threads on a real scheduler go through by the thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_look_and_registration() {
    let world = World::new();
    for round in 0..300 {
        let tasks: Vec<_> = (0..16)
            .map(|_| tokio::spawn(world.matching(wifi()).into_future()))
            .collect();
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        world.up(Network::wifi("wlan0"));
        for task in tasks {
            let network = tokio::time::timeout(Duration::from_secs(20), task).await;
            network.expect("woken").unwrap().unwrap();
        }
        world.down("wlan0");
    }
    assert!(world.is_empty());
}

// behaviour: R8
#[tokio::test(start_paused = true)]
async fn two_worlds_do_not_see_each_other() {
    let (one, other) = (World::new(), World::new());
    let bell = Bell::new();
    let mut waiting = other.matching(wifi()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    one.up(Network::wifi("wlan0"));
    one.settled().await;
    assert_eq!(bell.rung(), 0);
    assert!(bell.poll(&mut waiting).is_pending());
    assert_eq!(one.registry.cancel(&waiting.operation()), 0);
}

#[tokio::test(start_paused = true)]
async fn destinations_are_lines_of_their_own() {
    let world = World::new();
    let bell = Bell::new();
    let there = Destination::Addresses(Arc::from(["192.0.2.1".parse().unwrap()]));
    let mut waits = Vec::new();
    for destination in [
        there.clone(),
        Destination::Name,
        there,
        Destination::Unnamed,
    ] {
        let want = Want {
            destination,
            ..Want::new(wifi())
        };
        let mut wait = world.registry.wait(want, &Operation::new());
        assert!(bell.poll(&mut wait).is_pending());
        waits.push(wait);
    }
    world.settled().await;
    let before = judged();
    world.up(Network::cellular("wwan0"));
    world.settled().await;
    assert_eq!(judged() - before, 3);
}

#[tokio::test(start_paused = true)]
async fn destinations_that_no_route_tells_apart_share_an_evaluation() {
    let world = World::new();
    let bell = Bell::new();
    let mut waits = Vec::new();
    for n in 0..1000_u32 {
        let want = Want {
            destination: Destination::of([IpAddr::from(n.to_be_bytes())]),
            ..Want::new(cellular())
        };
        let mut wait = world.registry.wait(want, &Operation::new());
        assert!(bell.poll(&mut wait).is_pending());
        waits.push(wait);
    }
    world.settled().await;
    let before = judged();
    let mut lan = Network::wifi("wlan0");
    lan.routes = vec![Route::to((Ipv4Addr::new(0, 0, 1, 0), 24)).connected()];
    world.up(lan);
    world.settled().await;
    let cost = judged() - before;
    assert!(
        (2..20).contains(&cost),
        "{cost} evaluations of 1000 destinations"
    );
    world.up(Network::cellular("wwan0"));
    world.settled().await;
    assert_eq!(bell.rung(), 1000);
}
