//! What is asked and answered over a socket, and whatever else may come over it.

use std::fs::{self, Permissions};
use std::future::IntoFuture;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

use super::super::server::{self, Seen};
use super::super::wire::{self, CONNECTIONS, LONGEST_QUESTION, MOST_OPERATIONS};
use super::super::{InspectError, Process, nudge_all, ops, processes};
use super::{LIMIT, World, said};
use crate::account::{Limit, Period};
use crate::deferral::{MatchError, OperationId, Pending};
use crate::label::{Label, Prop};
use crate::manager::Manager;
use crate::network::Network;
use crate::scout::Scout;
use crate::stream::tracker::Tracker;

const WIFI: Label = Label::new().require(Prop::Wifi);

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
async fn a_status_tells_what_went_where_and_what_is_spent() {
    let scout = Scout::fixed([Network::cellular("wwan0").metered(true)]);
    let limit = Limit::new("any", "if=wwan*").unwrap();
    let limit = limit.bytes(5_000_000, Period::Month);
    let about = limit.to_string();
    let manager = Manager::builder().scout(scout).limit(limit).build();
    let world = World::of(manager.await.unwrap()).await;
    let process = world.process().await;
    let before = process.status().await.unwrap();
    assert_eq!((before.traffic, before.spending), (json!([]), json!([])));
    let listener = world.manager.listen("mem://told").await.unwrap();
    let connect = world.manager.connect("mem://told").label(Label::BACKGROUND);
    let mut near = connect.await.unwrap();
    let mut far = listener.accept().await.unwrap();
    near.write_all(&[7; 1000]).await.unwrap();
    far.read_exact(&mut [0; 1000]).await.unwrap();
    let status = process.status().await.unwrap();
    let traffic = status.traffic.as_array().unwrap();
    // Whoever accepts in memory knows of no network.
    let of = |urgency: Value| {
        let mut rows = traffic.iter();
        let row = rows.find(|row| row["network"] == "wwan0" && row["urgency"] == urgency);
        row.unwrap_or_else(|| panic!("{urgency} in {traffic:?}"))
    };
    assert_eq!(
        *of(json!("background")),
        json!({ "network": "wwan0", "metered": true, "urgency": "background",
                "sent": 1000, "received": 0 })
    );
    let rest = of(Value::Null);
    assert!(rest["sent"].as_u64() > Some(0), "headers: {rest}");
    let [spent] = &status.spending.as_array().unwrap()[..] else {
        panic!("one limit, one network: {}", status.spending)
    };
    assert_eq!(spent["limit"], about);
    assert_eq!(
        (&spent["network"], &spent["bytes"]),
        (&json!("wwan0"), &json!(5_000_000))
    );
    assert!(spent["used"].as_u64() >= Some(1000), "{spent}");
    assert!(spent["renewed"].as_u64() > Some(0));
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
        serde_json::json!({"ops": [], "explanations": [], "truncated": false})
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

#[tokio::test]
async fn an_explanation_is_told_once_for_all_whom_it_concerns_and_each_has_it_again() {
    let world = World::new().await;
    let ethernet = Label::new().require(Prop::Ethernet);
    let mut waiting = Vec::new();
    for n in 0..1_000 {
        let label = if n % 2 == 0 { WIFI } else { ethernet };
        let mut one = world.manager.matching(label).into_future();
        assert!(futures::poll!(&mut one).is_pending());
        waiting.push(one);
    }
    let line = server::answer(b"{\"ask\":\"ops\"}", &world.seen()).unwrap();
    let told: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(told["explanations"].as_array().unwrap().len(), 2);
    assert_eq!(told["ops"][999]["blocked"], 1);
    // So ten thousand are told, whatever else an operation says of itself.
    assert!(line.len() / 1_000 * MOST_OPERATIONS < wire::LONGEST_ANSWER as usize / 2);
    let listed = world.process().await.ops().await.unwrap();
    let pending = world.manager.pending();
    assert!(!listed.truncated && listed.ops.len() == pending.len());
    for (there, here) in listed.ops.iter().zip(&pending) {
        let (there, here) = (serde_json::to_value(there), serde_json::to_value(here));
        let (there, here) = (there.unwrap(), here.unwrap());
        for key in ["id", "label", "to", "priority"] {
            assert_eq!(there[key], here[key]);
        }
        assert_eq!(there["blocked"]["hint"], here["blocked"]["hint"]);
        let reason = |one: &Value| one["blocked"]["networks"][0]["reasons"][0]["text"].clone();
        assert!(reason(&there).is_string() && reason(&there) == reason(&here));
        assert_eq!(
            there.as_object().unwrap().len(),
            here.as_object().unwrap().len()
        );
    }
}

#[tokio::test]
async fn of_a_crowd_the_first_are_listed_and_the_rest_cost_no_explanation() {
    let world = World::new().await;
    let mut waiting = Vec::new();
    for n in 0..1_500 {
        let label: Label = format!("if=nosuch{n}").parse().unwrap();
        let mut one = world.manager.matching(label).into_future();
        assert!(futures::poll!(&mut one).is_pending());
        waiting.push(one);
    }
    let registry = &world.manager.0.registry;
    assert_eq!(registry.waiting(), 1_500);
    let ids = |listed: Vec<Pending>| -> Vec<OperationId> {
        listed.into_iter().map(|one| one.id).collect()
    };
    let all = ids(registry.pending());
    assert!(all.len() == 1_500 && all.is_sorted());
    assert_eq!(ids(registry.first_pending(700)), all[..700]);
    waiting.drain(..1_400);
    assert_eq!(ids(registry.first_pending(700)), all[1_400..]);
    assert_eq!(registry.waiting(), 100);
}

#[test]
fn a_listing_is_made_beside_the_runtime_and_a_nudge_is_at_once() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let world = World::new().await;
        let mut stream = world.dial().await;
        let (busy, held) = std::sync::mpsc::channel::<()>();
        let held = tokio::task::spawn_blocking(move || held.recv());
        stream
            .write_all(b"{\"ask\":\"nudge\",\"op\":\"all\"}\n")
            .await
            .unwrap();
        assert_eq!(said(&mut stream).await["nudged"], 0);
        stream.write_all(b"{\"ask\":\"ops\"}\n").await.unwrap();
        let mut line = String::new();
        let early = timeout(Duration::from_millis(50), stream.read_line(&mut line)).await;
        assert!(early.is_err(), "{line}");
        drop(busy);
        assert!(held.await.unwrap().is_err());
        assert_eq!(said(&mut stream).await["truncated"], false);
    });
}

/// A process that says this to everybody, at its socket.
async fn says(folder: &Path, words: &'static [u8]) -> Process {
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(folder.join("5-0.sock")).unwrap();
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

#[tokio::test(start_paused = true)]
async fn however_many_hang_the_others_answer_and_all_of_it_takes_the_time_of_one() {
    let world = World::new().await;
    let folder = world.folder.path();
    let bind = |pid| UnixListener::bind(folder.join(format!("{pid}-0.sock"))).unwrap();
    let _hanging: Vec<UnixListener> = (1..=100).map(bind).collect();
    let is_silent = |error: &InspectError| matches!(error, InspectError::Silent { .. });
    let began = Instant::now();
    let asked = ops(folder, None).await.unwrap();
    let (answered, silent): (Vec<_>, Vec<_>) = asked.iter().partition(|one| one.answer.is_ok());
    assert_eq!((answered.len(), silent.len()), (1, 100));
    assert_eq!(answered[0].process.pid(), std::process::id());
    for one in silent {
        let error = one.answer.as_ref().unwrap_err();
        assert!(is_silent(error), "{error}");
    }
    assert!(
        asked.is_sorted_by_key(|one| one.process.pid()),
        "in their order"
    );
    let nudged = nudge_all(folder, Some(std::process::id())).await.unwrap();
    assert!(matches!(&nudged[..], [one] if one.process.name().is_some()));
    let nudged = nudge_all(folder, Some(7)).await.unwrap();
    assert!(nudged[0].answer.as_ref().is_err_and(is_silent));
    assert_eq!(nudged.len(), 1);
    let took = began.elapsed();
    assert!(took < 3 * Duration::from_millis(2100), "{took:?}");
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
        let seen = Seen { registry: std::sync::Weak::new(), sessions: Tracker::new(), limits: std::sync::Weak::new() };
        let line = server::answer(&bytes, &seen).unwrap();
        prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let answer: Value = serde_json::from_slice(&line).unwrap();
        prop_assert!(answer["error"].is_string());
    }
}
