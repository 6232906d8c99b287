//! Folders that are refused, and sockets that are not stolen.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net as std_net;
use std::path::Path;
use std::sync::Weak;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::server;
use super::super::{InspectError, Wish, folder, processes};
use super::{LIMIT, World, socket};
use crate::deferral::Registry;
use crate::label::matching::Policy;
use crate::manager::config::Monitor;
use crate::scout::Scout;
use crate::stream::tracker::Tracker;

#[test]
fn the_folder_is_the_configured_one_or_the_first_that_the_system_offers() {
    let user = folder::user();
    let temporary = std::env::temp_dir().join(format!("mancom-{user}"));
    let run = format!("/run/user/{user}");
    let configured = Monitor {
        folder: Some("/srv/look".into()),
        ..Monitor::default()
    };
    let choose = |monitor: &Monitor, xdg: Option<&str>, has_run: bool| {
        let xdg = xdg.map(OsString::from);
        folder::choose(
            monitor,
            |name| xdg.clone().filter(|_| name == "XDG_RUNTIME_DIR"),
            |path| has_run && path == Path::new(&run),
        )
    };
    let unsaid = Monitor::default();
    let run = Path::new(&run).join("mancom");
    assert_eq!(
        choose(&configured, Some("/x"), true),
        Path::new("/srv/look")
    );
    assert_eq!(choose(&unsaid, Some("/x"), true), Path::new("/x/mancom"));
    assert_eq!(choose(&unsaid, Some("x"), true), run);
    assert_eq!(choose(&unsaid, None, true), run);
    assert_eq!(choose(&unsaid, None, false), temporary);
}

// behaviour: K10
#[tokio::test]
async fn a_folder_that_others_may_touch_is_refused_at_both_ends() {
    let place = tempfile::tempdir().unwrap();
    let refused = async |folder: &Path, why: &str| {
        let made = folder::make(folder).map(drop).unwrap_err();
        let listed = processes(folder).await.map(drop).unwrap_err();
        for error in [made, listed] {
            assert!(matches!(error, InspectError::Unsafe { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    };
    let open = place.path().join("open");
    fs::create_dir(&open).unwrap();
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
        refused(&open, "others may write").await;
    }
    fs::set_permissions(&open, Permissions::from_mode(0o700)).unwrap();
    folder::make(&open).unwrap();
    let link = place.path().join("link");
    symlink(&open, &link).unwrap();
    refused(&link, "a link").await;
    refused(&place.path().join("link/"), "a link").await;
    refused(&place.path().join("link/."), "a link").await;
    fs::write(place.path().join("file"), "").unwrap();
    refused(&place.path().join("file"), "a file").await;
}

// behaviour: K10
#[test]
fn a_folder_of_another_user_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let other = if folder::user() == 0 {
        std::os::unix::fs::chown(place.path(), Some(65534), None).unwrap();
        place.path()
    } else {
        Path::new("/")
    };
    let error = folder::make(other).unwrap_err();
    assert!(error.to_string().contains("belongs to user"), "{error}");
}

// behaviour: K10
#[test]
fn the_same_user_and_root_may_ask_and_nobody_else() {
    for (peer, own, may) in [
        (Some(7), 7, true),
        (Some(0), 7, true),
        (Some(8), 7, false),
        (Some(7), 0, false),
        (None, 7, false),
    ] {
        assert_eq!(server::may_ask(peer, own), may, "{peer:?} of {own}");
    }
}

// behaviour: K10
#[tokio::test]
async fn a_live_socket_is_not_stolen_and_a_stale_one_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("made");
    let first = server::open(&folder).await.unwrap();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&socket(&folder, 0)), 0o600);
    let second = server::open(&folder).await.unwrap();
    assert!(socket(&folder, 1).exists());
    drop((first, second));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // As a process that was killed leaves it.
    drop(std_net::UnixListener::bind(socket(&folder, 0)).unwrap());
    let third = server::open(&folder).await.unwrap();
    UnixStream::connect(socket(&folder, 0)).await.unwrap();
    assert!(!socket(&folder, 1).exists());
    drop(third);
}

// behaviour: K10
#[tokio::test]
async fn listing_sweeps_out_the_dead_and_leaves_all_else() {
    let world = World::new().await;
    let folder = world.folder.path();
    drop(std_net::UnixListener::bind(folder.join("999999999-0.sock")).unwrap());
    drop(std_net::UnixListener::bind(folder.join("other.sock")).unwrap());
    fs::write(folder.join("77-0.sock"), "no socket").unwrap();
    fs::write(folder.join("notes"), "").unwrap();
    let found = processes(folder).await.unwrap();
    let own = found
        .iter()
        .find(|process| process.pid() == std::process::id());
    assert!(own.unwrap().name().is_some());
    assert_eq!(own.unwrap().socket(), world.socket());
    let mut left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    let own = world.socket().file_name().unwrap().to_owned();
    let mut lock = own.clone();
    lock.push(".lock");
    let mut expected = vec![own, lock];
    expected.extend(["77-0.sock", "notes", "other.sock"].map(Into::into));
    expected.sort();
    assert_eq!(left, expected);
    assert!(processes(&folder.join("none")).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_socket_goes_with_its_manager_and_failing_to_open_it_is_no_error() {
    let place = tempfile::tempdir().unwrap();
    let monitor = |folder: &str| Monitor {
        enabled: None,
        folder: Some(place.path().join(folder)),
    };
    let registry = Registry::new(Scout::fixed([]), Policy::default());
    let grant = |wish: Wish, monitor: &Monitor| {
        wish.grant(monitor, &registry, &Tracker::new(), Weak::new())
    };
    let (said, of_main) = (
        |said| Wish {
            said: Some(said),
            of_main: true,
        },
        Wish {
            said: None,
            of_main: true,
        },
    );
    let (on, off) = (
        Monitor {
            enabled: Some(true),
            ..monitor("on")
        },
        Monitor {
            enabled: Some(false),
            ..monitor("off")
        },
    );
    for (wish, monitor, granted) in [
        (Wish::default(), &monitor("a"), false),
        (Wish::default(), &on, true),
        (of_main, &monitor("a"), true),
        (of_main, &off, false),
        (said(true), &off, true),
        (said(false), &on, false),
    ] {
        assert_eq!(
            grant(wish, monitor).is_some(),
            granted,
            "{wish:?} {monitor:?}"
        );
    }
    let server = grant(of_main, &monitor("here")).unwrap();
    let at = socket(&place.path().join("here"), 0);
    let until = async |there: bool| {
        let wait = async {
            while at.exists() != there {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.expect("soon");
    };
    until(true).await;
    drop(server);
    until(false).await;
    // A folder below one that is not there.
    let failed = server::open(&place.path().join("no/such")).await;
    assert_eq!(failed.err().unwrap().kind(), std::io::ErrorKind::NotFound);
}
