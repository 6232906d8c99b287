//! The socket's file, and what subscribers may cost.

use super::*;
use crate::network::Route;
use crate::scout::daemon::wire::{Line, Lines};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

// behaviour: K10
#[tokio::test]
async fn a_live_socket_is_not_stolen() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let error = Server::bind(place.socket()).await.expect_err("in use");
    assert!(matches!(error, DaemonError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use"), "{error}");
    let scout = subscriber(&place.socket());
    once(&mut scout.snapshots(), |all| all.is_complete()).await;
    daemon.end().await;
    assert!(!place.socket().exists(), "the file goes with it");
}

// behaviour: K10
#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.socket()).expect("a free path"));
    assert!(place.socket().exists(), "as a killed process leaves it");
    let server = Server::bind(place.socket()).await.expect("replaced");
    assert_eq!(server.path(), place.socket());
    drop(server);
    assert!(!place.socket().exists());
}

// behaviour: K10
#[tokio::test]
async fn a_socket_of_another_user_is_left_alone() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.socket()).expect("a free path"));
    let owner = std::fs::metadata(place.socket()).expect("there").uid();
    let listening = socket::listen_as(owner + 1, &place.socket()).await;
    let error = listening.expect_err("another's");
    assert!(
        matches!(error, DaemonError::Foreign { owner: of, .. } if of == owner),
        "{error}"
    );
    assert!(place.socket().exists());
}

// behaviour: K10
#[tokio::test]
async fn only_root_and_our_own_user_are_believed() {
    connection::believe(0, 1000).expect("root");
    connection::believe(1000, 1000).expect("ourselves");
    let error = connection::believe(1001, 1000).expect_err("another");
    assert!(
        error.to_string().contains("belongs to user 1001"),
        "{error}"
    );
    let error = connection::believe(1001, 0).expect_err("another, though we are root");
    assert!(error.to_string().contains("only root"), "{error}");
    assert_eq!(
        socket::own_user().expect("a pair"),
        std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
    );
}

#[tokio::test]
async fn a_file_that_is_no_socket_and_a_folder_that_is_not_there_are_errors() {
    let place = Place::new();
    std::fs::write(place.socket(), "a letter").expect("a file");
    let error = Server::bind(place.socket()).await.expect_err("no socket");
    assert!(matches!(error, DaemonError::NoSocket { .. }), "{error}");
    assert_eq!(std::fs::read(place.socket()).expect("there"), b"a letter");
    let nowhere = place.folder.path().join("no/scout.sock");
    let error = Server::bind(nowhere).await.expect_err("no folder");
    assert!(matches!(error, DaemonError::NoFolder { .. }), "{error}");
    let long = place.folder.path().join("x".repeat(200));
    let error = Server::bind(long).await.expect_err("too long");
    assert!(matches!(error, DaemonError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn the_socket_is_for_all_if_it_is_roots_and_else_for_its_user() {
    let place = Place::new();
    let _server = Server::bind(place.socket()).await.expect("a free path");
    let found = std::fs::metadata(place.socket()).expect("there");
    let expected = if found.uid() == 0 { 0o666 } else { 0o600 };
    assert_eq!(found.permissions().mode() & 0o777, expected);
}

#[tokio::test]
async fn one_subscriber_too_many_is_refused_with_the_reason_and_the_others_stay() {
    let place = Place::new();
    let (scout, networks) = scripted();
    let mut server = Server::bind(place.socket()).await.expect("a free path");
    server.limits.subscribers = 2;
    tokio::spawn(server.serve(scout));
    let (one, two) = (subscriber(&place.socket()), subscriber(&place.socket()));
    let (mut first, mut second) = (one.snapshots(), two.snapshots());
    once(&mut first, |all| all.is_complete()).await;
    once(&mut second, |all| all.is_complete()).await;
    let three = subscriber(&place.socket());
    let mut third = three.snapshots();
    says(&three, "2 subscribers are the most").await;
    networks.up(Network::wifi("wlan0"));
    up(&mut first, "wlan0").await;
    up(&mut second, "wlan0").await;
    // The place of one that went is free again.
    drop((one, first));
    up(&mut third, "wlan0").await;
}

#[tokio::test]
async fn a_snapshot_that_is_too_long_is_refused_by_who_would_send_it() {
    let place = Place::new();
    let (scout, networks) = scripted();
    networks.up(Network::wifi("wlan0"));
    let mut server = Server::bind(place.socket()).await.expect("a free path");
    server.limits.longest = 100;
    tokio::spawn(server.serve(scout));
    let scout = subscriber(&place.socket());
    let snapshots = scout.snapshots();
    says(&scout, "it refused: a snapshot of ").await;
    assert!(!snapshots.borrow().is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_with_nothing_to_say_says_that() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let scout = subscriber(&place.socket());
    once(&mut scout.snapshots(), |all| all.is_complete()).await;
    let path = format!("daemon {}", place.socket().display());
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(scout.source(), path);
    }
    daemon.end().await;
}

/// A network that takes long to tell.
fn large(metric: u32) -> crate::NetworkSpec {
    let to = |n: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
    let routes = (0..4000).map(|n| Route::to((to(n), 32)).metric(metric));
    routes.fold(Network::wifi("wlan0"), crate::NetworkSpec::route)
}

#[tokio::test]
async fn who_never_reads_is_left_and_holds_up_nobody() {
    let place = Place::new();
    let (scout, networks) = scripted();
    let mut server = Server::bind(place.socket()).await.expect("a free path");
    server.limits.patience = Duration::from_millis(300);
    tokio::spawn(server.serve(scout));
    let mut idle = UnixStream::connect(place.socket()).await.expect("a daemon");
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    networks.up(large(0));
    for metric in 1..8 {
        networks.change("wlan0", |_| large(metric));
        let seen = |all: &Arc<Snapshot>| {
            let wlan0 = all.by_name("wlan0");
            wlan0.is_some_and(|n| n.routes().iter().any(|r| r.metric == metric))
        };
        once(&mut snapshots, seen).await;
    }
    // Its connection ends; what it would read is one snapshot at most.
    let left = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if idle.write_all(b"\n").await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("left");
}

#[tokio::test]
async fn a_subscriber_that_talks_nonsense_or_too_much_is_left_and_the_others_stay() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    once(&mut snapshots, |all| all.is_complete()).await;
    for nonsense in [
        &b"nonsense\n"[..],
        &[b'x'; 5000],
        b"\xff\xfe\n",
        b"{\"look\":-1}\n",
    ] {
        let mut stream = UnixStream::connect(place.socket()).await.expect("a daemon");
        stream.write_all(nonsense).await.expect("room");
        let mut lines = Lines::new(stream, wire::LONGEST);
        let ended = async { while let Ok(Some(_)) = lines.next().await {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("left");
    }
    daemon.networks.up(Network::wifi("wlan0"));
    up(&mut snapshots, "wlan0").await;
}

#[tokio::test]
async fn the_last_of_several_questions_is_answered_after_a_snapshot() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let mut stream = UnixStream::connect(place.socket()).await.expect("a daemon");
    let question = |number| Line {
        look: Some(number),
        ..Line::default()
    };
    for number in 1..=5 {
        let bytes = question(number).encode();
        stream.write_all(&bytes).await.expect("room");
    }
    let mut lines = Lines::new(stream, wire::LONGEST);
    let mut heard = Vec::new();
    while heard.last() != Some(&Some(5)) {
        let line = tokio::time::timeout(PATIENCE, lines.next()).await;
        heard.push(
            line.expect("in time")
                .expect("a line")
                .expect("more")
                .looked,
        );
    }
    let answers: Vec<u64> = heard.into_iter().flatten().collect();
    assert!(answers.is_sorted(), "{answers:?}");
    daemon.end().await;
}

// behaviour: C6
#[tokio::test]
async fn nobody_is_served_what_nobody_keeps_true() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    once(&mut snapshots, |all| all.is_complete()).await;
    daemon.networks.kill();
    let ended = tokio::time::timeout(PATIENCE, daemon.serving).await;
    let ended = ended.expect("in time").expect("no panic");
    assert!(matches!(ended, Err(DaemonError::ScoutGone)), "{ended:?}");
    says(&scout, "reconnecting: ").await;
    assert!(!place.socket().exists());
}
