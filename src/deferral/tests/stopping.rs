//! Work that may finish when its match is lost.

use super::running::{Failed, Notes, forever};
use super::*;
use crate::clock::Clock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const TIME: Duration = Duration::from_secs(5);

fn unmetered() -> Label {
    label("require=wifi prohibit=metered")
}

impl World {
    /// Under the same id.
    fn metered(&self, metered: bool) {
        self.networks.change("wlan0", |spec| spec.metered(metered));
    }

    /// On `wlan0`, which is up; noted.
    async fn forever(&self, notes: &Notes) -> JoinHandle<Result<u32, Failed>> {
        self.up(Network::wifi("wlan0"));
        let noted = notes.clone();
        let run = self.run(unmetered(), move |network| forever(noted.guard(&network)));
        let running = tokio::spawn(run.stop(Stop::Finish(TIME)).into_future());
        self.settled().await;
        assert_eq!(notes.all(), ["start wlan0"]);
        running
    }

    /// Work that ends as it is told to, running on `wlan0`.
    async fn told(
        &self,
        stop: Stop,
    ) -> (
        oneshot::Sender<Result<u32, Failed>>,
        JoinHandle<Result<u32, Failed>>,
    ) {
        self.up(Network::wifi("wlan0"));
        let (tell, told) = oneshot::channel();
        let mut told = Some(told);
        let run = self.run(unmetered(), move |_| {
            let told = told.take();
            async move {
                match told {
                    Some(told) => told.await.unwrap(),
                    None => Ok(2),
                }
            }
        });
        let running = tokio::spawn(run.stop(stop).into_future());
        self.settled().await;
        (tell, running)
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_within_the_time_stands() {
    let world = World::new();
    let (tell, running) = world.told(Stop::Finish(TIME)).await;
    world.down("wlan0");
    tokio::time::sleep(TIME - Duration::from_millis(10)).await;
    tell.send(Ok(1)).unwrap();
    assert_eq!(running.await.unwrap(), Ok(1));
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_word_the_work_is_dropped_at_once() {
    let world = World::new();
    let (tell, running) = world.told(Stop::default()).await;
    world.down("wlan0");
    world.settled().await;
    assert!(tell.is_closed());
    world.up(Network::wifi("wlan1"));
    assert_eq!(running.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_error_within_the_time_counts_as_stopped() {
    let world = World::new();
    let (tell, running) = world.told(Stop::Finish(TIME)).await;
    world.down("wlan0");
    world.settled().await;
    tell.send(Err(Failed::Work(1))).unwrap();
    world.settled().await;
    assert!(!running.is_finished());
    assert_eq!(world.registry.pending().len(), 1, "it waits for the next");
    world.up(Network::wifi("wlan1"));
    assert_eq!(running.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn the_work_is_dropped_when_the_time_is_over_and_starts_on_the_next_match() {
    let world = World::new();
    let notes = Notes::default();
    let running = world.forever(&notes).await;
    let lost = Instant::now();
    world.down("wlan0");
    world.up(Network::wifi("wlan1"));
    tokio::time::sleep_until(lost + TIME - Duration::from_millis(10)).await;
    world.settled().await;
    assert_eq!(
        notes.all(),
        ["start wlan0"],
        "another network changes nothing"
    );
    tokio::time::sleep_until(lost + TIME + Duration::from_millis(10)).await;
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0", "drop", "start wlan1"]);
    running.abort();
}

// behaviour: D7
#[tokio::test(start_paused = true)]
async fn the_time_to_finish_counts_time_asleep() {
    let world = World::new();
    let notes = Notes::default();
    let _running = world.forever(&notes).await;
    world.down("wlan0");
    world.settled().await;
    Clock::jump(TIME - Duration::from_secs(1));
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0"]);
    Clock::jump(Duration::from_secs(1));
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0", "drop"], "at the jump");
}

#[tokio::test(start_paused = true)]
async fn the_same_network_matching_again_cancels_the_stop() {
    let world = World::new();
    let notes = Notes::default();
    let _running = world.forever(&notes).await;
    for _ in 0..3 {
        world.metered(true);
        tokio::time::sleep(TIME - Duration::from_secs(1)).await;
        world.metered(false);
        tokio::time::sleep(3 * TIME).await;
        assert_eq!(notes.all(), ["start wlan0"]);
    }
    world.metered(true);
    tokio::time::sleep(TIME + Duration::from_secs(1)).await;
    assert_eq!(notes.all(), ["start wlan0", "drop"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_epoch_of_the_same_interface_does_not_cancel_the_stop() {
    let world = World::new();
    let notes = Notes::default();
    let _running = world.forever(&notes).await;
    world.down("wlan0");
    world.settled().await;
    world.up(Network::wifi("wlan0"));
    tokio::time::sleep(TIME + Duration::from_secs(1)).await;
    assert_eq!(notes.all(), ["start wlan0", "drop", "start wlan0"]);
}

#[tokio::test(start_paused = true)]
async fn a_return_between_two_polls_is_not_missed() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    world.up(Network::wifi("wlan0"));
    let run = world.run(unmetered(), move |network| forever(noted.guard(&network)));
    let mut running = Box::pin(run.stop(Stop::Finish(TIME)).into_future());
    let bell = Bell::new();
    assert!(bell.poll(&mut running).is_pending());
    world.metered(true);
    world.settled().await;
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(&mut running).is_pending());
    world.up(Network::wifi("wlan1"));
    world.settled().await;
    assert_eq!(bell.rung(), 1, "another network wakes nobody");
    // Both before the sweep: nothing has to be told.
    world.metered(false);
    world.metered(true);
    world.settled().await;
    assert!(bell.poll(&mut running).is_pending());
    world.metered(false);
    world.settled().await;
    assert_eq!(bell.rung(), 2);
    assert!(bell.poll(&mut running).is_pending());
    tokio::time::sleep(2 * TIME).await;
    assert_eq!((notes.all().len(), bell.rung()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_policy_may_take_the_match_and_give_it_back() {
    let world = World::new();
    let notes = Notes::default();
    let running = world.forever(&notes).await;
    let rule = matching::Rule::new("any", "wifi", "mancom.toml", 1).expect("a rule");
    let rules = [rule].into();
    world.registry.set_policy(Policy {
        rules,
        ..Policy::default()
    });
    tokio::time::sleep(TIME / 2).await;
    world.registry.set_policy(Policy::default());
    tokio::time::sleep(2 * TIME).await;
    assert_eq!(notes.all(), ["start wlan0"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_the_time_to_finish() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    world.up(Network::wifi("wlan0"));
    let start = Instant::now();
    let run = world.run(unmetered(), move |network| forever(noted.guard(&network)));
    let run = run.within(TIME).stop(Stop::Finish(Duration::MAX));
    let running = tokio::spawn(run.into_future());
    tokio::time::sleep(TIME / 2).await;
    world.down("wlan0");
    assert_eq!(running.await.unwrap(), Err(Failed::Match("overran")));
    assert_eq!(start.elapsed().as_secs(), TIME.as_secs());
    assert_eq!(notes.all(), ["start wlan0", "drop"]);
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_the_doubt_of_an_error() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let start = Instant::now();
    let run = world.run(wifi(), |_| async { Err(Failed::Work(1)) });
    let within = Duration::from_millis(100);
    assert_eq!(run.within(within).await, Err(Failed::Work(1)));
    let late = start.elapsed() - within;
    assert!(late < Duration::from_millis(2), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn no_wait_ends_the_run_after_the_time_to_finish() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let run = world.run(unmetered(), |_| std::future::pending());
    let run = run.no_wait().stop(Stop::Finish(TIME));
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    let lost = Instant::now();
    world.down("wlan0");
    assert_eq!(running.await.unwrap(), Err(Failed::Match("no match")));
    assert_eq!(lost.elapsed().as_secs(), TIME.as_secs());
}

// behaviour: R1
#[tokio::test(start_paused = true)]
async fn dropped_at_any_stage_it_leaves_nothing() {
    let stages: [fn(&World); 4] = [
        |_| {},
        |world| world.up(Network::wifi("wlan0")),
        |world| world.metered(true),
        |world| world.metered(false),
    ];
    for last in 0..stages.len() {
        let world = World::new();
        let notes = Notes::default();
        let noted = notes.clone();
        let run = world.run(unmetered(), move |network| forever(noted.guard(&network)));
        let mut running = Box::pin(run.stop(Stop::Finish(TIME)).into_future());
        let bell = Bell::new();
        for stage in &stages[..=last] {
            stage(&world);
            world.settled().await;
            assert!(bell.poll(&mut running).is_pending());
        }
        assert!(!world.is_empty());
        drop(running);
        assert!(world.is_empty());
        assert_eq!(Arc::strong_count(&bell), 1, "no waker is left");
        let dropped = notes.all().last().is_none_or(|last| last == "drop");
        assert!(dropped, "{:?}", notes.all());
    }
}

// behaviour: R5
#[tokio::test(start_paused = true)]
async fn a_panic_of_work_that_may_finish_leaves_nothing_behind() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let run = world.run(unmetered(), |_| async {
        tokio::time::sleep(TIME).await;
        panic!("in the work")
    });
    let running = tokio::spawn(run.stop(Stop::Finish(2 * TIME)).into_future());
    world.settled().await;
    world.down("wlan0");
    assert!(running.await.unwrap_err().is_panic());
    assert!(world.is_empty());
}
