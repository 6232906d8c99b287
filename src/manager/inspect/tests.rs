//! Folders that are refused, sockets that are not stolen, and whatever may come over them.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::future::IntoFuture;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::server::{self, Seen};
use super::wire::{self, CONNECTIONS, LONGEST_QUESTION, MOST_OPERATIONS};
use super::{InspectError, Process, Wish, folder, processes};
use crate::deferral::{MatchError, Registry};
use crate::label::matching::Policy;
use crate::label::{Label, Prop};
use crate::manager::Manager;
use crate::manager::config::Monitor;
use crate::network::Network;
use crate::scout::Scout;
use crate::stream::tracker::Tracker;

const WIFI: Label = Label::new().require(Prop::Wifi);
const LIMIT: Duration = Duration::from_secs(30);

/// A manager on one cellular network, and its socket in a folder of its own.
struct World {
    manager: Manager,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let manager = Manager::builder().scout(Scout::fixed([Network::cellular("wwan0")]));
        let manager = manager.build().await.unwrap();
        let world = World { manager, folder };
        let acceptor = server::open(world.folder.path()).await.unwrap();
        tokio::spawn(server::serve(acceptor, world.seen()));
        world
    }

    fn seen(&self) -> Seen {
        Seen {
            registry: Arc::downgrade(&self.manager.0.registry),
            sessions: self.manager.0.tracker.clone(),
        }
    }

    fn socket(&self) -> PathBuf {
        socket(self.folder.path(), 0)
    }

    /// A connection that has been greeted.
    async fn dial(&self) -> BufReader<UnixStream> {
        let mut stream = BufReader::new(UnixStream::connect(self.socket()).await.unwrap());
        let hello = said(&mut stream).await;
        assert_eq!(
            (&hello["mancom"], &hello["pid"]),
            (&1.into(), &std::process::id().into())
        );
        stream
    }

    async fn process(&self) -> Process {
        let mut found = processes(self.folder.path()).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

fn socket(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{}-{number}.sock", std::process::id()))
}

async fn said(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    timeout(LIMIT, stream.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

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
    let mut expected = vec![own, "77-0.sock".into(), "notes".into(), "other.sock".into()];
    expected.sort();
    assert_eq!(left, expected);
    assert!(processes(&folder.join("none")).await.unwrap().is_empty());
}

// behaviour: X1 W12
#[tokio::test]
async fn what_waits_is_listed_nudged_and_withdrawn_from_outside() {
    let world = World::new().await;
    let process = world.process().await;
    assert!(process.ops().await.unwrap().ops.is_empty());
    let matching = world
        .manager
        .matching(WIFI)
        .within(Duration::from_secs(3600));
    let operation = matching.operation();
    let waiting = tokio::spawn(matching.into_future());
    let began = std::time::Instant::now();
    let listed = loop {
        let mut listed = process.ops().await.unwrap();
        if let Some(listed) = listed.ops.pop() {
            break listed;
        }
        assert!(began.elapsed() < LIMIT);
    };
    assert_eq!((listed.id(), listed.kind()), (operation.id(), "matching"));
    assert_eq!(
        (listed.label(), listed.label_name()),
        ("require=wifi", None)
    );
    assert_eq!(listed.destination(), "anywhere");
    assert!(listed.age() <= began.elapsed() && listed.deadline().is_some());
    let hint = listed.hint().unwrap();
    assert!(hint.starts_with("needs wifi; there is none"), "{hint}");
    let all = serde_json::to_value(&listed).unwrap();
    assert_eq!(all["blocked"]["networks"][0]["name"], "wwan0");
    assert_eq!(
        all["blocked"]["networks"][0]["reasons"][0]["reason"],
        "kind"
    );

    let none = "op-999999999".parse().unwrap();
    assert!(process.nudge(listed.id()).await.unwrap());
    assert!(!process.nudge(none).await.unwrap());
    assert_eq!(process.nudge_all().await.unwrap(), 1);
    let status = process.status().await.unwrap();
    assert_eq!((status.pending, status.sessions), (1, 0));
    assert_eq!((status.pid, &*status.source), (std::process::id(), "fixed"));
    assert!(!process.cancel(none).await.unwrap());
    assert!(process.cancel(listed.id()).await.unwrap());
    let ended = waiting.await.unwrap();
    assert!(matches!(ended, Err(MatchError::Cancelled)), "{ended:?}");
    assert!(!process.nudge(listed.id()).await.unwrap());
}

#[tokio::test]
async fn the_socket_goes_with_its_manager_and_failing_to_open_it_is_no_error() {
    let place = tempfile::tempdir().unwrap();
    let monitor = |folder: &str| Monitor {
        enabled: None,
        folder: Some(place.path().join(folder)),
    };
    let registry = Registry::new(Scout::fixed([]), Policy::default());
    let grant = |wish: Wish, monitor: &Monitor| wish.grant(monitor, &registry, &Tracker::new());
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

// behaviour: K4
#[tokio::test]
async fn a_bad_question_is_answered_and_a_long_one_ends_the_connection() {
    let world = World::new().await;
    let mut stream = world.dial().await;
    for bad in [
        "",
        "{}",
        "[]",
        "{\"ask\":\"frobnicate\"}",
        "{\"ask\":\"nudge\"}",
        "\u{fffd}",
        "{\"ask\":\"nudge\",\"op\":\"x\"}",
        "{\"ask\":\"cancel\",\"op\":\"all\"}",
    ] {
        stream
            .write_all(format!("{bad}\n").as_bytes())
            .await
            .unwrap();
        let answer = said(&mut stream).await;
        assert!(answer["error"].is_string(), "{bad}: {answer}");
    }
    stream
        .write_all(b"{\"ask\":\"ops\",\"more\":1}\n")
        .await
        .unwrap();
    assert_eq!(
        said(&mut stream).await,
        serde_json::json!({"ops": [], "truncated": false})
    );
    let long = vec![b'['; LONGEST_QUESTION as usize];
    // It may be closed before all is written.
    let _ = stream.write_all(&long).await;
    let mut rest = Vec::new();
    let ended = timeout(LIMIT, stream.read_to_end(&mut rest))
        .await
        .expect("it is closed");
    assert!(rest.is_empty(), "{ended:?}");
    // It goes on for others, and nesting is bounded.
    let mut stream = world.dial().await;
    let deep = [vec![b'['; LONGEST_QUESTION as usize - 1], vec![b'\n']].concat();
    stream.write_all(&deep).await.unwrap();
    assert!(said(&mut stream).await["error"].is_string());
}

#[tokio::test(start_paused = true)]
async fn who_asks_nothing_is_left_after_five_seconds() {
    let world = World::new().await;
    let began = Instant::now();
    let mut stream = world.dial().await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(
        began.elapsed() >= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn one_connection_over_the_bound_waits_for_its_turn() {
    let world = World::new().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(world.dial().await);
    }
    let mut late = BufReader::new(UnixStream::connect(world.socket()).await.unwrap());
    let mut line = String::new();
    let turn = timeout(Duration::from_millis(50), late.read_line(&mut line)).await;
    assert!(turn.is_err(), "{line}");
    drop(open.pop());
    timeout(LIMIT, late.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert!(line.contains("\"mancom\":1"), "{line}");
}

#[tokio::test]
async fn an_answer_is_bounded_in_number_and_in_bytes_and_says_so() {
    let world = World::new().await;
    let mut waiting = world.manager.matching(WIFI).into_future();
    assert!(futures::poll!(&mut waiting).is_pending());
    let one = world.manager.pending();
    let read = |line: Vec<u8>| -> (usize, bool) {
        assert_eq!(
            line.iter().position(|byte| *byte == b'\n'),
            Some(line.len() - 1)
        );
        let value: Value = serde_json::from_slice(&line).unwrap();
        (
            value["ops"].as_array().unwrap().len(),
            value["truncated"].as_bool().unwrap(),
        )
    };
    let many = vec![one[0].clone(); MOST_OPERATIONS + 1];
    let room = 64 << 20;
    assert_eq!(read(wire::operations(&one, room).unwrap()), (1, false));
    assert_eq!(
        read(wire::operations(&many[1..], room).unwrap()),
        (MOST_OPERATIONS, false)
    );
    assert_eq!(
        read(wire::operations(&many, room).unwrap()),
        (MOST_OPERATIONS, true)
    );
    let line = wire::operations(&many, 10_000).unwrap();
    assert!(line.len() <= 10_000);
    let (told, truncated) = read(line);
    assert!(told > 1 && truncated, "{told}");
    assert_eq!(read(wire::operations(&many, 0).unwrap()), (0, true));
}

/// A process that says this to everybody, at its socket.
async fn says(folder: &Path, words: &'static [u8]) -> Process {
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    let listener = tokio::net::UnixListener::bind(folder.join("5-0.sock")).unwrap();
    tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(words).await;
            all.push(stream);
        }
    });
    processes(folder).await.unwrap().remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_hangs_or_talks_nonsense_is_told_as_what_it_is() {
    type IsRight = fn(&InspectError) -> bool;
    let cases: [(&'static [u8], IsRight); 5] = [
        (b"", |error| {
            matches!(error, InspectError::Silent { pid: 5 })
        }),
        (b"what?\n", |error| {
            matches!(error, InspectError::Protocol { .. })
        }),
        (
            b"{\"mancom\":2,\"pid\":5,\"name\":\"x\",\"version\":\"9\"}\n",
            |error| matches!(error, InspectError::Protocol { .. }),
        ),
        (b"{\"error\":\"not you\"}\n", |error| {
            matches!(error, InspectError::Refused { .. })
        }),
        (
            b"{\"mancom\":1,\"pid\":5,\"name\":\"x\",\"version\":\"0\"}\n{\"nudged\":-1}\n",
            |error| matches!(error, InspectError::Protocol { .. }),
        ),
    ];
    for (words, is_right) in cases {
        let place = tempfile::tempdir().unwrap();
        let process = says(place.path(), words).await;
        assert_eq!(process.pid(), 5);
        let error = process.nudge_all().await.unwrap_err();
        assert!(
            is_right(&error),
            "{}: {error}",
            String::from_utf8_lossy(words)
        );
    }
}

proptest! {
    // behaviour: K4
    #[test]
    fn any_bytes_have_one_line_of_json_as_their_answer(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "\\{\"ask\":\"(ops|nudge|cancel|status)\",\"op\":.{0,20}\\}".prop_map(String::into_bytes),
        ],
    ) {
        let seen = Seen { registry: std::sync::Weak::new(), sessions: Tracker::new() };
        let line = server::answer(&bytes, &seen).unwrap();
        prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let answer: Value = serde_json::from_slice(&line).unwrap();
        prop_assert!(answer["error"].is_string());
    }
}
