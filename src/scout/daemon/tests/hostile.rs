//! A daemon that is none, or lies.

use super::*;
use crate::scout::daemon::wire::{LONGEST, Line, VERSION};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

/// Sends these bytes to everybody who comes, and then nothing; `close` says whether it hangs up.
fn tell(path: &Path, bytes: Vec<u8>, close: bool) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a free path");
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // A subscriber hangs up on what is too long.
            let _ = stream.write_all(&bytes).await;
            if !close {
                open.push(stream);
            }
        }
    })
}

fn hello() -> Line {
    Line {
        mancom_scout: Some(VERSION),
        instance: Some("0123456789abcdef".to_owned()),
        network_namespace: wire::network_namespace(),
        ..Line::default()
    }
}

fn and(mut first: Vec<u8>, then: &[u8]) -> Vec<u8> {
    first.extend_from_slice(then);
    first
}

/// A subscriber of such a daemon says why it does not hear it, and takes nothing for known.
async fn is_refused(bytes: Vec<u8>, close: bool, why: &str) {
    let place = Place::new();
    let telling = tell(&place.socket(), bytes, close);
    let scout = subscriber(&place.socket());
    let snapshots = scout.snapshots();
    says(&scout, why).await;
    assert!(!snapshots.borrow().is_complete());
    assert!(snapshots.has_changed().is_ok(), "the scout lives");
    telling.abort();
}

// behaviour: K10
#[tokio::test]
async fn a_daemon_that_talks_nonsense_is_refused_by_name() {
    let other = Line {
        mancom_scout: Some(VERSION + 1),
        ..hello()
    };
    is_refused(other.encode(), false, "it speaks version 2, not 1").await;
    let elsewhere = Line {
        network_namespace: Some("0:0".to_owned()),
        ..hello()
    };
    is_refused(elsewhere.encode(), false, "another network namespace").await;
    is_refused(
        b"{\"hello\": 1}\n".to_vec(),
        false,
        "it is no scout's socket",
    )
    .await;
    is_refused(
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        false,
        "cannot be read",
    )
    .await;
    is_refused(vec![0xff, 0, b'\n'], false, "cannot be read").await;
    is_refused(Vec::new(), true, "it closed the connection").await;
    let half = hello().encode();
    is_refused(half[..half.len() / 2].to_vec(), true, "it closed").await;
    let refused = Line {
        refused: Some("not today".to_owned()),
        ..Line::default()
    };
    is_refused(refused.encode(), true, "it refused: not today").await;
}

#[tokio::test]
async fn a_snapshot_that_contradicts_itself_is_refused() {
    let twice = br#"{"snapshot": {"generation": 1, "complete": true, "networks": [{"id": "1.1", "name": "a"}, {"id": "1.2", "name": "b"}]}}"#;
    let bytes = and(and(hello().encode(), twice), b"\n");
    is_refused(bytes, false, "two networks of one index").await;
    let half = and(hello().encode(), &twice[..60]);
    is_refused(half, true, "it closed").await;
}

#[tokio::test]
async fn a_line_without_an_end_is_refused() {
    let bytes = and(hello().encode(), &vec![b' '; LONGEST + (1 << 20)]);
    is_refused(bytes, false, "a line of more than 16777216 bytes").await;
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_away() {
    is_refused(Vec::new(), false, "it says nothing").await;
}

#[tokio::test]
async fn a_daemon_that_never_has_a_whole_picture_is_away() {
    let starting = br#"{"snapshot": {"generation": 0, "complete": false, "networks": []}}"#;
    let bytes = and(and(hello().encode(), starting), b"\n");
    is_refused(bytes, false, "it says nothing").await;
}

#[tokio::test]
async fn a_daemon_that_only_ever_says_that_it_lives_is_away() {
    for line in [&b"\n"[..], b"{\"looked\":7}\n"] {
        let bytes = and(hello().encode(), &line.repeat(200_000));
        is_refused(bytes, false, "it chatters").await;
    }
}

// behaviour: C9
#[tokio::test]
async fn a_daemon_that_begins_to_chatter_is_left_for_the_fallback() {
    let place = Place::new();
    let whole = br#"{"snapshot": {"generation": 1, "complete": true, "networks": []}}"#;
    let whole = and(whole.to_vec(), b"\n");
    for endless in [b"\n".repeat(200_000), whole.repeat(20_000)] {
        let bytes = and(and(hello().encode(), &whole), &endless);
        let telling = tell(&place.socket(), bytes, false);
        let scout = Scout::daemon(place.socket());
        once(&mut scout.snapshots(), |all| all.is_complete()).await;
        says(&scout, "it chatters").await;
        telling.abort();
        std::fs::remove_file(place.socket()).expect("its file");
    }
}

#[tokio::test]
async fn a_daemon_that_ends_each_time_is_not_asked_without_a_pause() {
    let place = Place::new();
    let whole = br#"{"snapshot": {"generation": 1, "complete": true, "networks": []}}"#;
    let bytes = and(and(hello().encode(), whole), b"\n");
    let listener = UnixListener::bind(place.socket()).expect("a free path");
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    let mut times = Vec::new();
    while times.len() < 5 {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept())
            .await
            .expect("it is asked again")
            .expect("a subscriber");
        times.push(std::time::Instant::now());
        stream.write_all(&bytes).await.expect("room");
    }
    once(&mut snapshots, |all| all.is_complete()).await;
    // 50, 100, 200 and 400 ms.
    let all = times[4] - times[0];
    assert!(all >= Duration::from_millis(700), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_falls_silent_is_away_after_30_s() {
    let place = Place::new();
    let whole = br#"{"snapshot": {"generation": 1, "complete": true, "networks": []}}"#;
    let bytes = and(and(hello().encode(), whole), b"\n");
    let _telling = tell(&place.socket(), bytes, false);
    let scout = subscriber(&place.socket());
    once(&mut scout.snapshots(), |all| all.is_complete()).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(!scout.source().contains("reconnecting"));
    says(&scout, "reconnecting: it says nothing").await;
}
