//! Deadlines, withdrawals, drops and a dead scout.

use super::*;
use crate::clock::Clock;
use tokio::time::Instant;

// behaviour: D1
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_with_its_explanation() {
    let world = World::new();
    world.up(Network::cellular("wwan0"));
    let snapshot = world.registry.snapshot();
    let start = Instant::now();
    let error = world
        .matching(wifi())
        .within(Duration::from_secs(30))
        .await
        .unwrap_err();
    assert!(error.is_timed_out());
    let blocked = error.blocked().expect("it says why");
    assert_eq!(
        (blocked.generation, blocked.networks.len()),
        (snapshot.generation(), 1)
    );
    assert!(!blocked.networks[0].reasons.is_empty());
    assert!(blocked.waited >= Some(Duration::from_secs(30)));
    assert!(error.to_string().contains("wwan0"), "{error}");
    let late = start.elapsed() - Duration::from_secs(30);
    assert!(late < Duration::from_millis(2), "{late:?}");
    assert_eq!(
        std::io::Error::from(error).kind(),
        std::io::ErrorKind::TimedOut
    );
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_match_in_the_poll_of_the_deadline_wins() {
    let world = World::new();
    let bell = Bell::new();
    let mut op = world
        .matching(wifi())
        .within(Duration::from_secs(1))
        .into_future();
    assert!(bell.poll(&mut op).is_pending());
    tokio::time::advance(Duration::from_secs(2)).await;
    world.up(Network::wifi("wlan0"));
    assert!(matches!(bell.poll(&mut op), Poll::Ready(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn the_shortest_deadlines_end_first_whatever_the_order_of_arrival() {
    let world = World::new();
    let start = Instant::now();
    let waits = [9, 3, 7, 1, 5].map(|seconds| {
        let op = world.matching(wifi()).within(Duration::from_secs(seconds));
        tokio::spawn(async move {
            op.await.unwrap_err();
            (seconds, start.elapsed().as_secs())
        })
    });
    for wait in waits {
        let (asked, got) = wait.await.unwrap();
        assert_eq!(asked, got);
    }
}

#[tokio::test(start_paused = true)]
async fn deadlines_too_far_and_past_are_no_panic() {
    let world = World::new();
    let bell = Bell::new();
    let mut forever = world.matching(wifi()).within(Duration::MAX).into_future();
    assert!(bell.poll(&mut forever).is_pending());
    let mut never = world.matching(wifi()).within(Duration::ZERO).into_future();
    assert!(matches!(
        bell.poll(&mut never),
        Poll::Ready(Err(MatchError::TimedOut(_)))
    ));
    let relaxed = world
        .matching(wifi())
        .relax_after(Duration::MAX, cellular());
    assert!(bell.poll(&mut relaxed.into_future()).is_pending());
}

// behaviour: D7
#[tokio::test(start_paused = true)]
async fn a_deadline_counts_time_asleep() {
    let world = World::new();
    let op = world.matching(wifi()).within(Duration::from_secs(3600));
    let waiting = tokio::spawn(op.into_future());
    world.settled().await;
    Clock::jump(Duration::from_secs(3500));
    world.settled().await;
    assert!(!waiting.is_finished());
    let start = Instant::now();
    assert!(waiting.await.unwrap().unwrap_err().is_timed_out());
    assert_eq!(start.elapsed().as_secs(), 100);
    let waiting = tokio::spawn(
        world
            .matching(wifi())
            .within(Duration::from_secs(60))
            .into_future(),
    );
    world.settled().await;
    Clock::jump(Duration::from_secs(61));
    world.settled().await;
    assert!(waiting.is_finished(), "at the jump, not at the timer");
}

// behaviour: D7 D8
#[tokio::test(start_paused = true)]
async fn the_looser_label_takes_over_at_the_jump_if_its_time_came_asleep() {
    let world = World::new();
    world.up(Network::cellular("wwan0"));
    let hour = Duration::from_secs(3600);
    let op = world.matching(wifi()).relax_after(hour, cellular());
    let waiting = tokio::spawn(op.into_future());
    world.settled().await;
    Clock::jump(hour - Duration::from_secs(1));
    world.settled().await;
    assert!(!waiting.is_finished());
    Clock::jump(Duration::from_secs(1));
    world.settled().await;
    assert!(waiting.is_finished());
    assert_eq!(waiting.await.unwrap().unwrap().name(), "wwan0");
}

// behaviour: D8
#[tokio::test(start_paused = true)]
async fn the_looser_label_takes_over_exactly_then() {
    let world = World::new();
    world.up(Network::cellular("wwan0"));
    let start = Instant::now();
    let after = Duration::from_secs(20);
    let network = world
        .matching(wifi())
        .relax_after(after, cellular())
        .await
        .unwrap();
    assert_eq!(network.name(), "wwan0");
    let late = start.elapsed() - after;
    assert!(late < Duration::from_millis(2), "{late:?}");
}

// behaviour: D8
#[tokio::test(start_paused = true)]
async fn a_relaxed_wait_is_found_by_both_labels_and_explained_by_both() {
    let world = World::new();
    let bell = Bell::new();
    let after = Duration::from_secs(20);
    let mut op = world
        .matching(wifi())
        .relax_after(after, cellular())
        .into_future();
    assert!(bell.poll(&mut op).is_pending());
    assert_eq!(world.registry.pending()[0].label, wifi());
    tokio::time::sleep(after + Duration::from_millis(1)).await;
    world.settled().await;
    assert_eq!(world.registry.pending()[0].label, cellular());
    assert_eq!(bell.rung(), 0, "nothing matches that either");
    let blocked = op.operation().blocked().expect("it says why");
    assert_eq!(blocked.label, cellular());
    assert_eq!(blocked.relaxed.expect("and why before").label, wifi());
    assert_eq!(world.registry.cancel(wifi()), 1);
    assert!(matches!(
        bell.poll(&mut op),
        Poll::Ready(Err(MatchError::Cancelled))
    ));
    let mut same = world
        .matching(wifi())
        .relax_after(Duration::ZERO, wifi())
        .into_future();
    assert!(bell.poll(&mut same).is_pending());
    assert_eq!(world.registry.cancel(wifi()), 1);
}

#[tokio::test(start_paused = true)]
async fn cancel_withdraws_by_label_number_and_handle() {
    let world = World::new();
    let bell = Bell::new();
    let mut ops: Vec<_> = [wifi(), wifi(), cellular(), cellular(), wifi()]
        .map(|label| world.matching(label).into_future())
        .into();
    for op in &mut ops {
        assert!(bell.poll(op).is_pending());
    }
    assert_eq!(world.registry.cancel(&ops[2].operation()), 1);
    assert_eq!(world.registry.cancel(&ops[2].operation()), 0, "once only");
    assert_eq!(world.registry.cancel(ops[3].operation().id()), 1);
    assert_eq!(world.registry.cancel(ops[3].operation().id()), 0);
    assert_eq!(world.registry.cancel(cellular()), 0);
    assert_eq!(world.registry.cancel(wifi()), 3);
    assert_eq!(bell.rung(), 5);
    assert!(world.registry.pending().is_empty());
    for op in &mut ops {
        assert!(matches!(
            bell.poll(op),
            Poll::Ready(Err(MatchError::Cancelled))
        ));
    }
    assert!(world.is_empty());
}

// behaviour: R1, I9
#[tokio::test(start_paused = true)]
async fn a_million_created_and_dropped_leave_the_registry_as_it_was() {
    let world = World::new();
    let bell = Bell::new();
    let mut stays = world.matching(cellular()).into_future();
    assert!(bell.poll(&mut stays).is_pending());
    let before = world.registry.footprint();
    for round in 0..10 {
        let mut ops: Vec<_> = (0..100_000)
            .map(|n| match n % 2 {
                0 => world
                    .matching(wifi())
                    .within(Duration::from_secs(60))
                    .into_future(),
                _ => world.matching(wifi()).into_future(),
            })
            .collect();
        for op in &mut ops {
            assert!(bell.poll(op).is_pending());
        }
        if round % 2 == 0 {
            ops.reverse();
        }
        drop(ops);
    }
    let after = world.registry.footprint();
    assert_eq!(after.entries, before.entries);
    assert!(after.capacity <= before.capacity, "{before:?} {after:?}");
    assert_eq!(Arc::strong_count(&bell), 2, "one waker is left");
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    assert_eq!(bell.rung(), 0);
}

// behaviour: R2
#[tokio::test(start_paused = true)]
async fn a_losing_branch_of_a_select_takes_no_wake_up_with_it() {
    let world = World::new();
    let other = tokio::spawn(world.matching(wifi()).into_future());
    for _ in 0..10 {
        tokio::select! {
            _ = world.matching(wifi()) => panic!("nothing matches"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    assert_eq!(world.registry.pending().len(), 1);
    world.up(Network::wifi("wlan0"));
    other.await.unwrap().unwrap();
}

// behaviour: C6
#[tokio::test(start_paused = true)]
async fn a_dead_scout_is_an_error_for_every_waiter() {
    let world = World::new();
    let waiting: Vec<_> = (0..100)
        .map(|_| tokio::spawn(world.matching(wifi()).into_future()))
        .collect();
    world.settled().await;
    world.networks.kill();
    for task in waiting {
        assert!(matches!(task.await.unwrap(), Err(MatchError::ScoutGone)));
    }
    assert!(matches!(
        world.matching(wifi()).await,
        Err(MatchError::ScoutGone)
    ));
}

// behaviour: C6
#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(async { World::new() });
    let bell = Bell::new();
    let mut op = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut op).is_pending());
    drop(runtime);
    assert_eq!(bell.rung(), 1);
    assert!(matches!(
        bell.poll(&mut op),
        Poll::Ready(Err(MatchError::ScoutGone))
    ));
}

#[tokio::test(start_paused = true)]
async fn outside_a_runtime_the_error_says_so() {
    let op = Matching::new(Err(MatchError::NoRuntime), wifi());
    assert!(matches!(op.await, Err(MatchError::NoRuntime)));
}

// behaviour: X1
#[tokio::test(start_paused = true)]
async fn what_waits_can_be_listed_from_another_task() {
    let world = World::new();
    let bell = Bell::new();
    let mut first = world
        .matching(wifi())
        .within(Duration::from_secs(60))
        .into_future();
    let mut second = world.matching(cellular()).into_future();
    assert!(bell.poll(&mut first).is_pending());
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(bell.poll(&mut second).is_pending());
    let registry = world.registry.clone();
    let listed = tokio::spawn(async move { registry.pending() })
        .await
        .unwrap();
    let [one, two] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!((one.id, one.label), (first.operation().id(), wifi()));
    assert!(near(one.age, Duration::from_secs(10)));
    assert!(near(one.deadline.unwrap(), Duration::from_secs(50)));
    assert_eq!((two.id, two.deadline), (second.operation().id(), None));
    assert!(listed.iter().all(|pending| pending.blocked.is_some()));
}

// behaviour: R4
#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_tasks_with_it() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let world = World::new();
    let bell = Bell::new();
    let mut op = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut op).is_pending());
    let World { registry, networks } = world;
    drop((registry, networks));
    assert!(tasks() > before, "an operation keeps what it needs");
    drop(op);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), before);
}

/// A waker that uses the registry, in its wake and in its drop.
struct Nosy(Arc<Registry>, Operation);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.0.pending();
        self.1.blocked();
        self.1.nudge();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.pending();
        self.1.nudge();
    }
}

// behaviour: R5
#[tokio::test(start_paused = true)]
async fn no_lock_is_held_while_a_waker_runs_or_is_dropped() {
    let world = World::new();
    let mut ops = Vec::new();
    for _ in 0..6 {
        let mut op = world
            .matching(wifi())
            .within(Duration::from_secs(1))
            .into_future();
        for _ in 0..2 {
            let nosy = Waker::from(Arc::new(Nosy(world.registry.clone(), op.operation())));
            assert!(
                Pin::new(&mut op)
                    .poll(&mut Context::from_waker(&nosy))
                    .is_pending()
            );
        }
        ops.push(op);
    }
    world.registry.cancel(&ops[0].operation());
    ops[1].operation().nudge();
    drop(ops.remove(2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    world.networks.kill();
    world.settled().await;
    let bell = Bell::new();
    assert!(ops.iter_mut().all(|op| bell.poll(op).is_ready()));
}

#[test]
fn numbers_of_operations_are_read_as_they_are_printed() {
    let id = Operation::new().id();
    assert_eq!(id.to_string().parse::<OperationId>().unwrap(), id);
    for bad in [
        "",
        "op-",
        "op-x",
        "-1",
        "+1",
        "op-+1",
        "99999999999999999999",
    ] {
        let error = bad.parse::<OperationId>().unwrap_err();
        assert!(error.to_string().contains(bad));
    }
}
