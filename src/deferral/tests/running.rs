//! Work that runs while a match holds.

use super::*;
use crate::clock::Clock;
use std::collections::VecDeque;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Notes when each start was and on what, and when the work was dropped.
#[derive(Default, Clone)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn guard(&self, network: &Network) -> Note {
        self.add(format!("start {}", network.name()));
        Note(self.clone())
    }
}

pub(super) struct Note(Notes);

impl Drop for Note {
    fn drop(&mut self) {
        self.0.add("drop");
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Failed {
    Work(u32),
    Match(&'static str),
}

impl From<crate::Error> for Failed {
    fn from(error: crate::Error) -> Self {
        let error = error.downcast::<MatchError>();
        Failed::Match(match error.expect("a match that failed") {
            MatchError::TimedOut(_) => "timed out",
            MatchError::Overran { .. } => "overran",
            MatchError::NoMatch(_) => "no match",
            MatchError::Cancelled => "cancelled",
            MatchError::ScoutGone => "scout gone",
            _ => "other",
        })
    }
}

impl World {
    pub(super) fn run<F, Fut>(&self, label: Label, f: F) -> Run<F, Fut>
    where
        F: FnMut(Network) -> Fut,
        Fut: Future<Output = Result<u32, Failed>>,
    {
        Run::new(Ok(self.registry.clone()), label, f)
    }
}

/// Runs until it is dropped.
pub(super) async fn forever(_guard: Note) -> Result<u32, Failed> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn stops_when_the_match_is_lost_and_starts_again_on_the_next() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    let run = world.run(wifi(), move |network| forever(noted.guard(&network)));
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    assert!(notes.all().is_empty());
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    world.up(Network::wifi("wlan1"));
    world.up(Network::cellular("wwan0"));
    world.settled().await;
    assert_eq!(
        notes.all(),
        ["start wlan0"],
        "another network stops nothing"
    );
    world.down("wlan0");
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0", "drop", "start wlan1"]);
    world.down("wlan1");
    world.settled().await;
    assert_eq!(notes.all().len(), 4);
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_epoch_of_the_same_interface_is_another_match() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    world.up(Network::wifi("wlan0"));
    let run = world.run(wifi(), move |network| forever(noted.guard(&network)));
    let _running = tokio::spawn(run.into_future());
    world.settled().await;
    // Down and up, and nobody saw the down.
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0", "drop", "start wlan0"]);
}

// behaviour: W5
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_leaves_the_match_alone_does_not_wake_the_work() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let run = world.run(wifi(), |_| std::future::pending());
    let mut running = Box::pin(run.into_future());
    let bell = Bell::new();
    assert!(bell.poll(&mut running).is_pending());
    for turn in 0..10 {
        world.up(Network::wifi(format!("wlan{}", turn + 1)));
        world.settled().await;
    }
    assert_eq!(bell.rung(), 0);
    world.down("wlan0");
    world.settled().await;
    assert_eq!(bell.rung(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_function_may_change_what_it_captured() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let mut count = 0;
    let run = world.run(wifi(), |_| {
        count += 1;
        std::future::ready(Ok(7))
    });
    assert_eq!(run.await, Ok(7));
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_result_in_the_poll_in_which_the_match_ends_stands() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let (end, ended) = oneshot::channel();
    let mut ended = VecDeque::from([ended]);
    let run = world.run(wifi(), move |_| {
        let ended = ended.pop_front().expect("started once");
        async move { Ok(ended.await.unwrap()) }
    });
    let mut running = Box::pin(run.into_future());
    let bell = Bell::new();
    assert!(bell.poll(&mut running).is_pending());
    world.down("wlan0");
    end.send(42).unwrap();
    assert_eq!(bell.poll(&mut running), Poll::Ready(Ok(42)));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_network_that_stays_is_given_after_half_a_second() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let start = Instant::now();
    let result = world.run(wifi(), |_| async { Err(Failed::Work(1)) }).await;
    assert_eq!(result, Err(Failed::Work(1)));
    let late = start.elapsed() - Duration::from_millis(500);
    assert!(late < Duration::from_millis(2), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_network_that_goes_within_half_a_second_counts_as_stopped() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let mut starts = 0;
    let run = world.run(wifi(), move |network| {
        starts += 1;
        let starts = starts;
        async move {
            match network.name() {
                "wlan0" => Err(Failed::Work(starts)),
                _ => Ok(starts),
            }
        }
    });
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    tokio::time::sleep(Duration::from_millis(499)).await;
    assert!(!running.is_finished());
    world.down("wlan0");
    world.settled().await;
    assert!(!running.is_finished());
    world.up(Network::wifi("wlan1"));
    assert_eq!(running.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_poll_in_which_the_network_goes_counts_as_stopped() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let (cut, is_cut) = oneshot::channel::<()>();
    let mut is_cut = Some(is_cut);
    let run = world.run(wifi(), move |_| {
        let is_cut = is_cut.take();
        async move {
            match is_cut {
                Some(is_cut) => {
                    let _ = is_cut.await;
                    Err(Failed::Work(1))
                }
                None => Ok(2),
            }
        }
    });
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    world.down("wlan0");
    cut.send(()).unwrap();
    world.settled().await;
    world.up(Network::wifi("wlan1"));
    assert_eq!(running.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn at_most_ten_starts_in_ten_seconds() {
    let world = World::new();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let noted = starts.clone();
    let run = world.run(wifi(), move |_| {
        noted.lock().unwrap().push(Instant::now());
        std::future::pending()
    });
    let operation = run.operation();
    let running = tokio::spawn(run.into_future());
    for turn in 0..600 {
        let name = format!("wlan{turn}");
        world.up(Network::wifi(&name));
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.down(&name);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if turn == 20 {
            let listed = world.registry.pending();
            assert_eq!(listed[0].id, operation.id(), "held back, and listed");
        }
    }
    let starts = starts.lock().unwrap().clone();
    for eleven in starts.windows(11) {
        assert!(eleven[10] - eleven[0] >= Duration::from_secs(10));
    }
    assert!(starts.len() >= 55, "{} in a minute", starts.len());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_held_back_start_begins_by_itself_once_it_may() {
    let world = World::new();
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    let run = world.run(wifi(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    let _running = tokio::spawn(run.into_future());
    let begin = Instant::now();
    for turn in 0..11 {
        world.up(Network::wifi(format!("wlan{turn}")));
        world.settled().await;
        if turn < 10 {
            world.down(&format!("wlan{turn}"));
            world.settled().await;
        }
    }
    assert_eq!(starts.load(Ordering::SeqCst), 10);
    tokio::time::sleep_until(begin + Duration::from_millis(9_990)).await;
    assert_eq!(starts.load(Ordering::SeqCst), 10);
    tokio::time::sleep_until(begin + Duration::from_millis(10_010)).await;
    assert_eq!(starts.load(Ordering::SeqCst), 11);
}

// behaviour: D6
#[tokio::test(start_paused = true)]
async fn a_start_held_back_beyond_its_time_is_late_and_says_why() {
    let world = World::new();
    let (until, want) = (Clock::now() + Duration::from_secs(9), Want::new(wifi()));
    let deadline = Some(Clock::now() + Duration::from_secs(2));
    let want = Want { deadline, ..want };
    let wait = world
        .registry
        .wait_from(Some(until), want, &Operation::new());
    world.up(Network::wifi("wlan0"));
    let Err(MatchError::TimedOut(blocked)) = wait.await else {
        panic!("it is held back for longer than it has");
    };
    assert_eq!(blocked.reasons, [matching::Reason::HeldBack]);
    let text = blocked.to_string();
    assert!(
        text.starts_with("a network matches `require=wifi`"),
        "{text}"
    );
    assert!(near(blocked.waited.unwrap(), Duration::from_secs(2)));
    assert!(world.is_empty());
}

// behaviour: D7
#[tokio::test(start_paused = true)]
async fn a_held_back_start_counts_time_asleep() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    let run = world.run(wifi(), move |network| forever(noted.guard(&network)));
    let _running = tokio::spawn(run.into_future());
    for turn in 0..11 {
        world.up(Network::wifi(format!("wlan{turn}")));
        world.settled().await;
        if turn < 10 {
            world.down(&format!("wlan{turn}"));
            world.settled().await;
        }
    }
    assert_eq!(notes.all().len(), 20, "ten came and went");
    Clock::jump(Duration::from_secs(11));
    world.settled().await;
    assert_eq!(notes.all()[20..], ["start wlan10"], "at the jump");
}

#[tokio::test(start_paused = true)]
async fn the_budget_covers_waiting_and_work() {
    let world = World::new();
    let within = Duration::from_secs(60);
    let run = world.run(wifi(), |_| std::future::pending()).within(within);
    assert_eq!(run.await, Err(Failed::Match("timed out")));
    world.up(Network::wifi("wlan0"));
    let start = Instant::now();
    let run = world.run(wifi(), |_| std::future::pending()).within(within);
    assert_eq!(run.await, Err(Failed::Match("overran")));
    assert_eq!(start.elapsed().as_secs(), 60);
    let run = world.run(wifi(), |_| std::future::pending()).within(within);
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    Clock::jump(within);
    world.settled().await;
    assert!(running.is_finished(), "time asleep counts");
}

#[tokio::test(start_paused = true)]
async fn no_wait_holds_at_the_start_and_after_a_loss() {
    let world = World::new();
    let run = || world.run(wifi(), |_| std::future::pending()).no_wait();
    assert_eq!(run().await, Err(Failed::Match("no match")));
    let run = |world: &World| world.run(wifi(), |_| std::future::pending()).no_wait();
    world.up(Network::wifi("wlan0"));
    let running = tokio::spawn(run(&world).into_future());
    world.settled().await;
    world.down("wlan0");
    assert_eq!(running.await.unwrap(), Err(Failed::Match("no match")));
}

// behaviour: D8
#[tokio::test(start_paused = true)]
async fn the_looser_label_serves_every_match_after_its_time() {
    let world = World::new();
    let notes = Notes::default();
    let noted = notes.clone();
    world.up(Network::cellular("wwan0"));
    world.up(Network::wifi("wlan0"));
    let run = world.run(wifi(), move |network| forever(noted.guard(&network)));
    let run = run.relax_after(Duration::from_secs(5), cellular());
    let _running = tokio::spawn(run.into_future());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(notes.all(), ["start wlan0"]);
    world.down("wlan0");
    world.settled().await;
    assert_eq!(notes.all(), ["start wlan0", "drop", "start wwan0"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_can_be_cancelled_a_working_one_not() {
    let world = World::new();
    let run = world.run(wifi(), |_| std::future::pending());
    let operation = run.operation();
    let running = tokio::spawn(run.into_future());
    world.settled().await;
    world.up(Network::wifi("wlan0"));
    world.settled().await;
    assert_eq!(world.registry.cancel(wifi()), 0);
    assert!(operation.blocked().is_none());
    world.down("wlan0");
    world.settled().await;
    assert_eq!(world.registry.cancel(&operation), 1);
    assert_eq!(running.await.unwrap(), Err(Failed::Match("cancelled")));
}

// behaviour: R5
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_work_leaves_nothing_behind() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let run = world.run(wifi(), |_| async { panic!("in the work") });
    assert!(
        tokio::spawn(run.into_future())
            .await
            .unwrap_err()
            .is_panic()
    );
    assert!(world.is_empty());
}
