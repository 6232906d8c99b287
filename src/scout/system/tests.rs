//! The task's side: whom the first snapshot waits for, and who is not heard.

use super::*;
use crate::network::Fact;
use crate::scout::hearsay::{Saying, Sayings, Teller};

fn blind() -> System {
    blind_but(|_| ())
}

fn blind_but(set: impl FnOnce(&mut Settings)) -> System {
    let mut settings = Settings::new(Overrides::new());
    #[cfg(target_os = "linux")]
    {
        settings.open = || Err(io::ErrorKind::PermissionDenied.into());
    }
    // This machine's own bus has no say here: no address of one is heard.
    #[cfg(all(target_os = "linux", feature = "dbus"))]
    {
        settings.bus = Some("nowhere".to_owned());
    }
    settings.watch = || Err(io::ErrorKind::PermissionDenied.into());
    // Else nobody is awaited where there is no bus.
    #[cfg(all(target_os = "linux", feature = "dbus"))]
    {
        settings.bus = Some("no address".to_owned());
    }
    set(&mut settings);
    System::new(settings)
}

async fn complete_after(system: &System) -> Duration {
    let begin = tokio::time::Instant::now();
    let mut snapshots = system.snapshots();
    let complete = snapshots.wait_for(|snapshot| snapshot.is_complete());
    complete.await.expect("a living scout");
    begin.elapsed()
}

// behaviour: C1
#[tokio::test(start_paused = true)]
async fn the_first_snapshot_waits_for_nobody_who_was_not_asked() {
    assert_eq!(complete_after(&blind()).await, Duration::ZERO);
}

// behaviour: C1
#[tokio::test(start_paused = true)]
async fn the_first_snapshot_waits_for_who_was_asked_but_not_for_ever() {
    let system = blind();
    system.shared.hearsay.await_first(Teller::NetworkManager);
    assert_eq!(complete_after(&system).await, HEARING, "it is silent");

    let system = Arc::new(blind());
    system.shared.hearsay.await_first(Teller::NetworkManager);
    system.shared.hearsay.await_first(Teller::ModemManager);
    let told = system.clone();
    tokio::spawn(async move {
        for (after, teller) in [(30, Teller::NetworkManager), (20, Teller::ModemManager)] {
            tokio::time::sleep(Duration::from_millis(after)).await;
            told.shared.hearsay.unsay(teller);
        }
    });
    let both = Duration::from_millis(50);
    assert_eq!(complete_after(&system).await, both);
}

// behaviour: C2
#[tokio::test(start_paused = true)]
async fn what_others_say_of_interfaces_that_nobody_sees_is_no_news() {
    let system = blind();
    complete_after(&system).await;
    let snapshots = system.snapshots();
    let generation = snapshots.borrow().generation();
    let metered = Saying {
        metered: Some(Fact::Yes),
        ..Saying::default()
    };
    let sayings = Sayings::from([("eth0".to_owned(), metered)]);
    system.shared.hearsay.say(Teller::NetworkManager, sayings);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(snapshots.borrow().generation(), generation);
    assert!(!system.shared.hearsay.is_awaiting());
}

// behaviour: C9
#[cfg(all(unix, feature = "daemon"))]
#[tokio::test(start_paused = true)]
async fn what_a_daemon_said_stays_until_those_are_heard_that_it_heard() {
    use crate::scout::daemon::{Fallback, Server, Subscription};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scout.sock");
    let (scout, networks) = crate::scout::scripted();
    networks.up(crate::Network::wifi("wlan0").metered(true));
    let server = Server::bind(&path).await.expect("a free path");
    let serving = tokio::spawn(server.serve(scout));
    let system = blind_but(|settings| {
        settings.daemon = Some(Subscription::new(path.clone(), Fallback::Own));
    });
    let mut snapshots = system.snapshots();
    let complete = snapshots.wait_for(|snapshot| snapshot.is_complete());
    assert_eq!(complete.await.expect("alive").networks()[0].name(), "wlan0");

    system.shared.hearsay.await_first(Teller::NetworkManager);
    serving.abort();
    let lost = tokio::time::Instant::now();
    let own = snapshots.wait_for(|snapshot| snapshot.by_name("default").is_some());
    drop(own.await.expect("alive"));
    // A second of patience with the daemon, and then with whom it heard.
    assert!(lost.elapsed() >= Duration::from_secs(1) + HEARING);
}

/// How often a subscriber without a daemon is woken within 20 s.
#[cfg(all(unix, feature = "daemon"))]
async fn wakes_without_a_daemon(socket: std::path::PathBuf) -> u32 {
    use crate::scout::daemon::{self, Fallback, Subscription};

    let system = blind();
    let (out, _snapshots) = watch::channel(lock(&system.shared.ledger).published());
    let (_asks, looks) = mpsc::channel(1);
    let mut feed = Feed::new(system.shared.clone(), out, looks);
    let daemon = Subscription::new(socket, Fallback::None);
    let mut watching = std::pin::pin!(daemon::watch(&daemon, &system.settings, &mut feed));
    let mut wakes = 0;
    let counted = std::future::poll_fn(|cx| {
        wakes += 1;
        assert!(wakes < 200, "it spins");
        watching.as_mut().poll(cx)
    });
    let waited = tokio::time::timeout(Duration::from_secs(20), counted).await;
    assert!(waited.is_err(), "nobody answers");
    wakes
}

// behaviour: W8
#[cfg(all(unix, feature = "daemon"))]
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_daemon_that_is_not_there_or_silent_sleeps_between_its_tries() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scout.sock");
    let absent = wakes_without_a_daemon(path.clone()).await;
    assert!(absent > 5, "it tries: {absent}");
    let _silent = std::os::unix::net::UnixListener::bind(&path).expect("a free path");
    let silent = wakes_without_a_daemon(path).await;
    assert!(silent > 5, "it tries: {silent}");
}
