//! The task's side: whom the first snapshot waits for, and who is not heard.

use super::*;
use crate::network::Fact;
use crate::scout::hearsay::{Saying, Sayings, Teller};

fn blind() -> System {
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
