//! The services on a bus: heard, gone, back again, flooding, silent.

use super::fake::{Fake, PATIENCE, TestBus, test_bus};
use super::*;
use crate::network::Fact;
use crate::scout::Scout;
use crate::scout::dbus::{PACE, listen, next_pause};
use crate::scout::hearsay::Teller;
use crate::scout::overrides::Overrides;
use crate::scout::system::Settings;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

const MODEMS: &str = "org.freedesktop.ModemManager1";
const RESOLVER: &str = "org.freedesktop.resolve1";

/// Hears this bus until it is dropped.
struct Ear {
    hearsay: Arc<Hearsay>,
    task: JoinHandle<()>,
}

impl Ear {
    fn on(bus: &TestBus) -> Self {
        Self::at(bus.address())
    }

    fn at(address: String) -> Self {
        let hearsay = Arc::new(Hearsay::new());
        let shared = hearsay.clone();
        let task = tokio::spawn(async move { match listen(Some(&address), &shared).await {} });
        Ear { hearsay, task }
    }

    /// Waits until this holds of what is said.
    async fn until(&self, what: &str, holds: impl Fn(&Hearsay) -> bool) {
        let mut changes = self.hearsay.changes();
        let held = changes.wait_for(|_| holds(&self.hearsay));
        let held = tokio::time::timeout(PATIENCE, held).await;
        held.unwrap_or_else(|_| panic!("not in time: {what}"))
            .expect("alive");
    }

    async fn until_metered(&self, fact: Fact) {
        let metered = |hearsay: &Hearsay| heard(hearsay, "eth0").metered == fact;
        self.until(fact.word(), metered).await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn metered(number_of: u32) -> Tree {
    Tree::new().device("eth0", [("Metered", number(number_of))])
}

fn settings(address: &str) -> Settings {
    let mut settings = Settings::new(Overrides::new());
    settings.bus = Some(address.to_owned());
    settings
}

// behaviour: C9
#[tokio::test]
async fn without_a_bus_nobody_is_awaited() {
    let hearsay = Hearsay::new();
    let listening = listen(Some("unix:path=/nowhere/bus"), &hearsay);
    assert!(!hearsay.is_awaiting());
    let tried = tokio::time::timeout(Duration::from_millis(50), listening).await;
    tried.expect_err("it goes on, and looks for the bus again");
    assert!(!hearsay.is_awaiting());
}

// behaviour: C9
#[tokio::test]
async fn an_address_that_is_none_is_as_good_as_no_bus() {
    let hearsay = Hearsay::new();
    let listening = listen(Some("over there"), &hearsay);
    let tried = tokio::time::timeout(Duration::from_millis(50), listening).await;
    tried.expect_err("nothing to hear");
    assert!(!hearsay.is_awaiting());
}

// behaviour: C9
#[tokio::test]
async fn a_bus_that_never_answers_holds_up_no_snapshot() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("bus");
    let silent = UnixListener::bind(&socket).expect("a socket");
    let scout = Scout::over_system(settings(&format!("unix:path={}", socket.display())));
    let mut snapshots = scout.snapshots();
    let complete = snapshots.wait_for(|snapshot| snapshot.is_complete());
    // Shorter than the bus is given for its answer.
    let complete = tokio::time::timeout(Duration::from_secs(4), complete).await;
    complete.expect("in time").expect("alive");
    let (_accepted, _) = silent.accept().await.expect("it was asked");
}

// behaviour: C9
#[tokio::test]
async fn a_bus_that_talks_garbage_is_left_and_tried_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("bus");
    let garbage = UnixListener::bind(&socket).expect("a socket");
    let ear = Ear::at(format!("unix:path={}", socket.display()));
    for _ in 0..2 {
        let accepted = tokio::time::timeout(PATIENCE, garbage.accept()).await;
        let (mut accepted, _) = accepted.expect("in time").expect("a socket");
        // It may be gone before it has taken all.
        let _ = accepted.write_all(&[0xff; 1 << 16]).await;
    }
    ear.until("nothing", |hearsay| !hearsay.is_awaiting()).await;
    assert_eq!(heard(&ear.hearsay, "eth0").metered, Fact::Unknown);
}

#[tokio::test]
async fn a_bus_without_services_holds_up_no_snapshot() {
    let Some(bus) = test_bus().await else { return };
    let ear = Ear::on(&bus);
    ear.until("an answer", |hearsay| !hearsay.is_awaiting())
        .await;
    assert_eq!(heard(&ear.hearsay, "eth0").metered, Fact::Unknown);
}

// behaviour: C9
#[tokio::test]
async fn a_service_that_never_answers_holds_up_no_snapshot() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    manager.be_silent();
    let scout = Scout::over_system(settings(&bus.address()));
    let mut snapshots = scout.snapshots();
    let complete = snapshots.wait_for(|snapshot| snapshot.is_complete());
    // Shorter than a service is given for its answer.
    let complete = tokio::time::timeout(Duration::from_secs(4), complete).await;
    complete.expect("in time").expect("alive");
}

#[tokio::test]
async fn a_service_that_is_merely_slow_keeps_what_it_said() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    manager.be_silent();
    let before = manager.asked();
    // The second question is asked when the first has had its time.
    let asked_twice = async {
        while manager.asked() < before + 2 {
            manager.signal().await;
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked_twice)
        .await
        .expect("in time");
    assert_eq!(heard(&ear.hearsay, "eth0").metered, Fact::Yes);
}

#[test]
fn a_lost_bus_is_tried_after_1_s_and_then_twice_as_long_up_to_30_s() {
    let mut pause = Duration::ZERO;
    let mut next = |lasted| {
        pause = next_pause(pause, Duration::from_secs(lasted));
        pause.as_secs()
    };
    assert_eq!([0; 7].map(&mut next), [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(next(31), 1, "after one that served for a while");
}

#[tokio::test]
async fn a_service_is_heard_and_its_changes_too() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    let spec = heard(&ear.hearsay, "eth0");
    let sources = &spec.notes.sources;
    assert!(
        sources
            .iter()
            .any(|(_, source)| source == Teller::NetworkManager.word())
    );
    manager.set(metered(4));
    manager.signal().await;
    ear.until_metered(Fact::LikelyNo).await;
}

#[tokio::test]
async fn a_service_that_is_killed_says_nothing_until_it_is_back() {
    let Some(bus) = test_bus().await else { return };
    let ear = Ear::on(&bus);
    for _ in 0..3 {
        let manager = Fake::start(&bus, MANAGER, metered(1)).await;
        ear.until_metered(Fact::Yes).await;
        manager.kill().await;
        ear.until_metered(Fact::Unknown).await;
    }
}

#[tokio::test]
async fn a_bus_that_is_restarted_is_heard_again() {
    let Some(mut bus) = test_bus().await else {
        return;
    };
    let _first = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    bus.kill();
    ear.until_metered(Fact::Unknown).await;
    bus.restart().await;
    let _second = Fake::start(&bus, MANAGER, metered(2)).await;
    ear.until_metered(Fact::No).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_signals_is_read_ten_times_a_second_and_the_last_state_is_right() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    let (began, before) = (Instant::now(), manager.asked());
    for round in 0..5_000 {
        manager.set(metered(round % 2 + 1));
        manager.signal().await;
    }
    manager.set(metered(4));
    manager.signal().await;
    ear.until_metered(Fact::LikelyNo).await;
    let most = began.elapsed().as_millis() / PACE.as_millis() + 2;
    let asked = manager.asked() - before;
    assert!(asked as u128 <= most, "{asked} in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_flaps_is_read_ten_times_a_second_and_heard_in_the_end() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    let (began, before) = (Instant::now(), manager.asked());
    for _ in 0..500 {
        manager.flap(MANAGER).await;
    }
    manager.set(metered(2));
    manager.signal().await;
    ear.until_metered(Fact::No).await;
    let most = began.elapsed().as_millis() / PACE.as_millis() + 2;
    let asked = manager.asked() - before;
    assert!(asked as u128 <= most, "{asked} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_service_that_talks_nonsense_says_nothing_until_it_makes_sense() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    manager.talk_nonsense(true);
    manager.signal().await;
    ear.until_metered(Fact::Unknown).await;
    manager.talk_nonsense(false);
    manager.signal().await;
    ear.until_metered(Fact::Yes).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_looked_at() {
    let Some(bus) = test_bus().await else { return };
    let manager = Fake::start(&bus, MANAGER, metered(1)).await;
    let ear = Ear::on(&bus);
    ear.until_metered(Fact::Yes).await;
    manager.set(metered(2).device("x", [("Udi", text(&"x".repeat(20 << 20)))]));
    manager.signal().await;
    ear.until_metered(Fact::Unknown).await;
    manager.set(metered(2));
    manager.signal().await;
    ear.until_metered(Fact::No).await;
}

#[tokio::test]
async fn a_modem_tells_whose_network_it_is_in() {
    let Some(bus) = test_bus().await else { return };
    let modem = "/org/freedesktop/ModemManager1/Modem/0";
    let bearers = vec![ObjectPath::try_from("/bearer/1").expect("a path")];
    let registered = |state| {
        let quality = Variant::from((67_u32, true));
        Tree::new()
            .with(
                modem,
                "org.freedesktop.ModemManager1.Modem",
                [
                    ("Bearers", Variant::from(bearers.clone())),
                    ("SignalQuality", quality),
                ],
            )
            .with(
                modem,
                "org.freedesktop.ModemManager1.Modem.Modem3gpp",
                [("RegistrationState", number(state))],
            )
    };
    let manager = Fake::start(&bus, MODEMS, registered(5)).await;
    manager.set_all([("Interface".to_owned(), text("wwan0"))].into());
    let ear = Ear::on(&bus);
    let roaming = |fact| move |hearsay: &Hearsay| heard(hearsay, "wwan0").roaming == fact;
    ear.until("roaming", roaming(Fact::Yes)).await;
    let spec = heard(&ear.hearsay, "wwan0");
    assert_eq!(spec.signal, Some(60));
    assert!(spec.kinds.contains(Kind::Cellular));
    manager.set(registered(1));
    manager.signal().await;
    ear.until("at home", roaming(Fact::No)).await;
}

#[tokio::test]
async fn a_resolver_of_this_namespace_tells_each_links_servers() {
    let Some(bus) = test_bus().await else { return };
    let resolver = Fake::start(&bus, RESOLVER, Tree::new()).await;
    // Loopback has this index in every namespace.
    resolver.set_one(Variant::from(vec![(1_i32, 2_i32, vec![127_u8, 0, 0, 53])]));
    resolver.signal().await;
    let ear = Ear::on(&bus);
    let server = std::net::IpAddr::from([127, 0, 0, 53]);
    ear.until("a server", |hearsay| heard(hearsay, "lo").dns == [server])
        .await;
}

// behaviour: R4
#[tokio::test]
async fn the_bus_is_left_with_the_last_handle_of_the_scout() {
    let Some(bus) = test_bus().await else { return };
    let watching = bus.connect().await;
    let names = async || {
        let bus = Some("org.freedesktop.DBus");
        let (path, method) = ("/org/freedesktop/DBus", "ListNames");
        let answer = watching.call_method(bus, path, bus, method, &()).await;
        let names: Vec<String> = answer.expect("names").body().deserialize().expect("names");
        names.iter().filter(|name| name.starts_with(':')).count()
    };
    let scout = Scout::over_system(settings(&bus.address()));
    let _snapshots = scout.snapshots();
    let become_count = async |count| while names().await != count {};
    tokio::time::timeout(PATIENCE, become_count(2))
        .await
        .expect("it is there");
    drop(scout);
    tokio::time::timeout(PATIENCE, become_count(1))
        .await
        .expect("it is gone");
}
