//! A policy and names that change while operations wait.

use super::*;
use crate::label::matching::{Rule, Shift};
use std::net::IpAddr;

/// `forbid background on wifi`.
fn no_background_on_wifi() -> Policy {
    let rule = Rule::new("background", "wifi", "/etc/mancom.toml", 7).expect("a rule");
    Policy {
        rules: [rule].into(),
        ..Policy::default()
    }
}

// behaviour: G4
#[tokio::test(start_paused = true)]
async fn a_new_policy_judges_each_line_once_and_wakes_whom_it_admits() {
    let world = World::new();
    world.registry.set_policy(no_background_on_wifi());
    world.up(Network::wifi("wlan0"));
    let labels: Vec<_> = (0..10)
        .map(|size| match size % 2 {
            0 => label(&format!("background require=wifi size={}", size + 1)),
            _ => label(&format!("background require=cellular size={}", size + 1)),
        })
        .collect();
    let bells: Vec<_> = (0..1000).map(|_| Bell::new()).collect();
    let mut waiting: Vec<_> = (0..1000)
        .map(|turn| world.matching(labels[turn % 10]).into_future())
        .collect();
    for (bell, op) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(op).is_pending());
    }
    world.settled().await;
    let before = judged();
    world.registry.set_policy(Policy::default());
    world.settled().await;
    assert_eq!(judged() - before, 10, "each line once");
    for (turn, bell) in bells.iter().enumerate() {
        assert_eq!(bell.rung(), usize::from(turn % 2 == 0));
    }
    for (turn, (bell, op)) in bells.iter().zip(&mut waiting).enumerate() {
        assert_eq!(bell.poll(op).is_ready(), turn % 2 == 0);
    }
    assert_eq!(judged() - before, 10, "and by nobody again");
}

// behaviour: G4
#[tokio::test(start_paused = true)]
async fn an_equal_policy_judges_and_wakes_nobody() {
    let world = World::new();
    world.registry.set_policy(no_background_on_wifi());
    let bell = Bell::new();
    let mut waiting = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    world.settled().await;
    let before = judged();
    world.registry.set_policy(no_background_on_wifi());
    world.settled().await;
    assert_eq!((judged(), bell.rung()), (before, 0));
    assert_eq!(world.registry.policy(), no_background_on_wifi());
}

// behaviour: G4
#[tokio::test(start_paused = true)]
async fn policies_in_quick_succession_are_judged_by_the_last_alone() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    world.registry.set_policy(no_background_on_wifi());
    let bell = Bell::new();
    let mut waiting = world.matching(Label::BACKGROUND).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    world.settled().await;
    let before = judged();
    world.registry.set_policy(Policy::default());
    world.registry.set_policy(no_background_on_wifi());
    world.up(Network::wifi("wlan1"));
    world.settled().await;
    assert_eq!((judged() - before, bell.rung()), (1, 0));
    assert!(bell.poll(&mut waiting).is_pending());
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_the_change_is_judged_by_the_new_policy() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let bell = Bell::new();
    let look = || world.matching(Label::BACKGROUND).into_future();
    assert!(bell.poll(&mut look()).is_ready());
    world.registry.set_policy(no_background_on_wifi());
    let mut waiting = look();
    assert!(bell.poll(&mut waiting).is_pending());
    let blocked = waiting.operation().blocked().expect("it says why");
    assert!(
        blocked.to_string().contains("/etc/mancom.toml"),
        "{blocked}"
    );
    world.registry.set_policy(Policy::default());
    // Before the registry's task had its turn.
    assert!(bell.poll(&mut look()).is_ready());
    assert!(bell.poll(&mut waiting).is_ready());
}

#[tokio::test(start_paused = true)]
async fn destinations_that_share_a_verdict_get_the_new_one() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    world.registry.set_policy(no_background_on_wifi());
    let bell = Bell::new();
    let mut waits: Vec<_> = (0..100_u8)
        .map(|n| {
            let want = Want {
                destination: Destination::of([IpAddr::from([192, 0, 2, n])]),
                ..Want::new(Label::BACKGROUND)
            };
            world.registry.wait(want, &Operation::new())
        })
        .collect();
    for wait in &mut waits {
        assert!(bell.poll(wait).is_pending());
    }
    world.settled().await;
    let before = judged();
    world.registry.set_policy(Policy::default());
    world.settled().await;
    assert_eq!((judged() - before, bell.rung()), (1, 100));
}

// behaviour: G4
#[tokio::test(start_paused = true)]
async fn work_on_a_network_that_is_forbidden_now_stops() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    world.up(Network::cellular("wwan0"));
    let starts: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = starts.clone();
    let run = Run::new(
        Ok(world.registry.clone()),
        Label::BACKGROUND,
        move |network: Network| {
            noted.lock().unwrap().push(network.name().to_owned());
            std::future::pending::<Result<(), crate::Error>>()
        },
    );
    let mut running = Box::pin(run.into_future());
    let bell = Bell::new();
    assert!(bell.poll(&mut running).is_pending());
    world.registry.set_policy(no_background_on_wifi());
    world.settled().await;
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(&mut running).is_pending());
    assert_eq!(*starts.lock().unwrap(), ["wlan0", "wwan0"]);
}

// behaviour: G5
#[tokio::test(start_paused = true)]
async fn a_label_is_named_in_every_explanation_and_listing() {
    let world = World::new();
    let names = |names: &[(&str, Label)]| {
        let owned = names
            .iter()
            .map(|(name, label)| ((*name).to_owned(), *label));
        world.registry.set_names(owned.collect::<Vec<_>>());
    };
    names(&[("photos", wifi()), ("films", wifi()), ("mail", cellular())]);
    let bell = Bell::new();
    let mut waiting = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    let photos = Some("photos");
    let blocked = waiting.operation().blocked().expect("it says why");
    assert_eq!(blocked.name.as_deref(), photos, "the first of equal ones");
    let listed = &world.registry.pending()[0];
    assert_eq!(listed.name.as_deref(), photos);
    let shared = listed.blocked.as_ref().expect("it says why");
    assert_eq!(shared.name.as_deref(), photos);
    let asked = world.registry.candidates(&wifi(), &Destination::Unnamed);
    assert_eq!(asked.unwrap_err().name.as_deref(), photos);
    let error = world.matching(wifi()).no_wait().await.unwrap_err();
    assert_eq!(error.blocked().unwrap().name.as_deref(), photos);
    let short = Duration::from_secs(1);
    let relaxed = world.matching(wifi()).relax_after(short, cellular());
    let error = relaxed.within(2 * short).await.unwrap_err();
    let blocked = error.blocked().expect("it says why");
    assert_eq!(blocked.name.as_deref(), Some("mail"));
    assert_eq!(blocked.relaxed.as_ref().unwrap().name.as_deref(), photos);
    let rung = bell.rung();
    names(&[("films", wifi())]);
    world.settled().await;
    assert_eq!(bell.rung(), rung, "a name wakes nobody");
    let blocked = waiting.operation().blocked().expect("it says why");
    assert_eq!(blocked.name.as_deref(), Some("films"));
}

fn generations(history: &[Shift]) -> Vec<u64> {
    history.iter().map(|shift| shift.generation).collect()
}

// behaviour: X2
#[tokio::test(start_paused = true)]
async fn an_explanation_tells_the_last_sixteen_changes_and_when_they_were() {
    let world = World::new();
    let bell = Bell::new();
    let mut waiting = world.matching(cellular()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    let operation = waiting.operation();
    assert!(operation.blocked().expect("it says why").history.is_empty());
    let minute = Duration::from_secs(60);
    for _ in 0..20 {
        world.up(Network::wifi("wlan0"));
        tokio::time::sleep(minute).await;
        world.down("wlan0");
        tokio::time::sleep(minute).await;
    }
    let blocked = operation.blocked().expect("it says why");
    assert_eq!(blocked.history.len(), 16);
    assert!(generations(&blocked.history).is_sorted());
    let last = blocked.history.last().expect("sixteen");
    assert_eq!(last.generation, blocked.generation);
    assert_eq!(last.network, "wlan0");
    assert!(near(last.age(), minute));
    // One listed, one that runs out of time, and one that does not wait tell the same.
    let listed = world.registry.pending();
    let listed = listed[0].blocked.as_ref().expect("it says why");
    assert_eq!(listed.history, blocked.history);
    let asked = world.matching(cellular()).no_wait().await.unwrap_err();
    assert_eq!(asked.blocked().unwrap().history, blocked.history);
    let late = world.matching(cellular()).within(minute).await.unwrap_err();
    let late = late.blocked().expect("it says why");
    assert_eq!(late.history, blocked.history);
    assert!(near(late.waited.unwrap(), minute));
    assert!(near(blocked.waited.unwrap(), 40 * minute));
    let explained = crate::clock::Clock::now() - late.now.expect("when it was explained");
    assert!(near(explained, Duration::ZERO));
    // What came since is told too.
    world.up(Network::wifi("wlan0"));
    let newer = operation.blocked().expect("it says why");
    assert_eq!(
        generations(&newer.history)[..15],
        generations(&blocked.history)[1..]
    );
    assert_eq!(newer.history[15].generation, blocked.generation + 1);
}

#[tokio::test(start_paused = true)]
async fn a_history_is_that_of_the_policy_in_force() {
    let world = World::new();
    world.registry.set_policy(no_background_on_wifi());
    world.up(Network::wifi("wlan0"));
    let why = || {
        world
            .registry
            .why(&Label::BACKGROUND, &Destination::Unnamed)
    };
    let reasons = |blocked: &Blocked| blocked.history[0].now.reasons().len();
    assert_eq!(reasons(&why().expect("it is forbidden")), 1);
    world.down("wlan0");
    assert_eq!(why().expect("it is down").history.len(), 2);
    world.registry.set_policy(Policy::default());
    assert_eq!(
        reasons(&why().expect("it is down")),
        0,
        "it would have matched"
    );
}

#[tokio::test(start_paused = true)]
async fn few_histories_are_kept() {
    let world = World::new();
    world.up(Network::wifi("wlan0"));
    let bell = Bell::new();
    let mut waiting = Vec::new();
    for size in 1..100 {
        let label = label(&format!("require=cellular size={size}"));
        let mut op = world.matching(label).into_future();
        assert!(bell.poll(&mut op).is_pending());
        waiting.push(op);
    }
    let listed = world.registry.pending();
    let told = |pending: &Pending| !pending.blocked.as_ref().unwrap().history.is_empty();
    assert!(listed.iter().all(told));
    assert_eq!(world.registry.histories.lock().unwrap().known.len(), 32);
}
