//! Every transport by every statement: the table that the suite prints.

use mancom::Scout;
use mancom::testing::conformance::{self, Cell, Column, STATEMENTS, Subject, Table};
use mancom::transport::{Memory, Multicast, Registry, Tcp, Transport, Udp};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;

fn subject<T: Transport>(new: impl Fn() -> T, [here, there, nobody]: [&str; 3]) -> Subject {
    Subject {
        dialler: Arc::new(new()),
        listener: Arc::new(new()),
        here: here.parse().unwrap(),
        there: there.parse().unwrap(),
        nobody: nobody.parse().unwrap(),
        knows_dialler: false,
        unnamed: None,
    }
}

async fn memory() -> Column {
    let scout = Scout::fixed([]);
    let places = ["mem://here", "mem://there", "mem://nobody"];
    conformance::column(&Subject {
        knows_dialler: true,
        ..subject(|| Memory::new(&scout), places)
    })
    .await
}

fn over_tcp() -> Subject {
    let places = [
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:1",
    ];
    subject(Tcp::new, places)
}

async fn tcp() -> Column {
    conformance::column(&over_tcp()).await
}

/// What is beneath `mcs://` and `tls://`.
#[cfg(feature = "tls")]
async fn tls() -> Column {
    let subject = conformance::in_tls(&over_tcp());
    conformance::column(&subject).await.called("tls over tcp")
}

async fn udp() -> Column {
    let places = [
        "udp://127.0.0.1:0",
        "udp://127.0.0.1:0",
        "udp://127.0.0.1:1",
    ];
    conformance::column(&subject(Udp::new, places)).await
}

#[cfg(feature = "airhook")]
async fn airhook() -> Column {
    let places = [
        "airhook://127.0.0.1:0",
        "airhook://127.0.0.1:0",
        "airhook://127.0.0.1:1",
    ];
    conformance::column(&subject(mancom::transport::Airhook::new, places)).await
}

#[cfg(feature = "airhook")]
async fn lossy_airhook() -> Column {
    let places = [
        "air://127.0.0.1:0",
        "air://127.0.0.1:0",
        "air://127.0.0.1:1",
    ];
    let over = || mancom::transport::Airhook::over("air", Arc::new(crate::lossy::Lossy::new(20)));
    let column = conformance::column(&subject(over, places)).await;
    column.called("airhook, 20% lost")
}

#[cfg(feature = "quic")]
async fn quic() -> Column {
    use mancom::transport::Quic;
    let places = [
        "quic://127.0.0.1:0",
        "quic://127.0.0.1:0",
        "quic://127.0.0.1:1",
    ];
    let me = mancom::Identity::generate().unwrap();
    let new = || Quic::new().identity(&me).pin(me.public_key());
    conformance::column(&subject(new, places)).await
}

async fn multicast() -> Column {
    let free = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let sockets = [free(), free(), free()];
    let at = sockets.map(|socket| {
        let port = socket.local_addr().unwrap().port();
        format!("multicast://239.77.9.1:{port}")
    });
    conformance::column(&subject(Multicast::new, at.each_ref().map(String::as_str))).await
}

#[cfg(unix)]
async fn unix(query: &str) -> Column {
    let folder = tempfile::tempdir().unwrap();
    let places = ["here", "there", "nobody"].map(|name| {
        let path = folder.path().join(name);
        format!("unix:{}{query}", path.display())
    });
    let places = places.each_ref().map(String::as_str);
    conformance::column(&subject(mancom::transport::Unix::new, places)).await
}

/// Where the statements of the layers above are proved: a file, and a test in it that cites the number.
const PROVED_ABOVE: [(u8, &str, &str); 13] = [
    (
        1,
        "tests/sim/messages/mod.rs",
        "a_message_arrives_whole_with_its_label_and_its_number",
    ),
    (
        9,
        "tests/api/reuse.rs",
        "a_server_that_dials_its_client_gets_the_session_that_there_is",
    ),
    (
        10,
        "tests/api/reuse.rs",
        "a_reused_session_that_one_drops_is_the_other_s_still",
    ),
    (
        16,
        "tests/api/connect/refusals.rs",
        "a_wrong_endpoint_is_told_before_anything_is_tried",
    ),
    (
        17,
        "src/endpoint/tests.rs",
        "attributes_are_read_as_numbers_flags_and_addresses",
    ),
    (
        19,
        "tests/sim/messages/ends.rs",
        "a_session_that_dies_says_what_may_have_arrived",
    ),
    (
        20,
        "tests/sim/evpath.rs",
        "what_happened_is_told_at_once_and_again_and_what_never_was_is_an_error",
    ),
    (
        21,
        "tests/netns/datagrams.rs",
        "a_damaged_datagram_is_dropped_and_the_next_delivered",
    ),
    (
        22,
        "tests/api/hostile/garbage.rs",
        "garbage_ends_a_handshake_at_every_state_and_nothing_else",
    ),
    (
        25,
        "src/proto/pull/tests.rs",
        "what_lies_beyond_the_period_overlaps_or_runs_backwards_is_refused",
    ),
    (
        26,
        "src/proto/pull/tests.rs",
        "windows_may_be_told_in_any_order_and_touch",
    ),
    (
        31,
        "tests/api/listening/ending.rs",
        "shutdown_of_the_manager_stops_listeners_and_drains_sessions",
    ),
    (
        32,
        "src/endpoint/tests.rs",
        "attributes_are_set_and_merged_within_their_bounds",
    ),
];

/// Those that nothing here has a counterpart of.
const NOT_MADE: [(u8, &str); 1] = [(
    30,
    "periodic and delayed tasks are tokio's: an interval with MissedTickBehavior::Delay, a handle to abort",
)];

/// Where a test stands, and what is said of it, name the statement.
fn cites(number: u8, file: &str, test: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let Some(at) = text.find(&format!("fn {test}(")) else {
        return false;
    };
    let before = text[..at].rfind("\n\n").unwrap_or(0);
    let after = text[at..].find("\n    let ").map_or(text.len(), |n| at + n);
    text[before..after].contains(&format!("EV-{number:02}"))
}

#[test]
fn every_statement_above_the_transports_has_an_answer() {
    let answers = PROVED_ABOVE.iter().map(|(number, ..)| *number);
    let mut answered: Vec<_> = answers.chain(NOT_MADE.iter().map(|(n, _)| *n)).collect();
    answered.sort_unstable();
    let above = STATEMENTS
        .iter()
        .filter(|statement| statement.above.is_some());
    let above: Vec<_> = above.map(|statement| statement.number).collect();
    assert_eq!(answered, above);
    for (number, file, test) in PROVED_ABOVE {
        assert!(cites(number, file, test), "EV-{number:02}: {file}, {test}");
    }
    let numbers = STATEMENTS.iter().map(|statement| statement.number);
    assert!(numbers.eq(1..=33), "in order, each once");
}

#[test]
fn a_hole_is_told_and_printed() {
    let mut column = Column::new("pigeon");
    column.proved((2..=33).filter(|number| *number != 12));
    column.not_applicable(33, "a pigeon carries what it can");
    assert_eq!(
        column.cell(33),
        Some(&Cell::NotApplicable("a pigeon carries what it can".into()))
    );
    let table = Table::from(vec![column]);
    assert_eq!(
        table.holes(),
        ["EV-12 same_peer of an accepted link: pigeon"]
    );
    let text = table.to_string();
    let line = |number: &str| text.lines().find(|line| line.starts_with(number)).unwrap();
    assert!(line("EV-12").ends_with(" ?") && line("EV-11").ends_with(" yes"));
    assert!(line("EV-33").ends_with(" (1)"));
    assert!(text.ends_with("(1) n/a: a pigeon carries what it can\n"));
}

// behaviour: EV-03, EV-33
#[tokio::test]
async fn every_transport_answers_for_every_statement() {
    let mut columns = vec![memory().await];
    // The others wait for the kernel and for what gets lost, each in a task of its own.
    let mut others = vec![
        tokio::spawn(tcp()),
        tokio::spawn(udp()),
        tokio::spawn(multicast()),
    ];
    #[cfg(feature = "airhook")]
    others.extend([tokio::spawn(airhook()), tokio::spawn(lossy_airhook())]);
    #[cfg(feature = "quic")]
    others.push(tokio::spawn(quic()));
    #[cfg(feature = "tls")]
    others.push(tokio::spawn(tls()));
    #[cfg(unix)]
    others.extend(["", "?type=seqpacket"].map(|query| tokio::spawn(unix(query))));
    for column in others {
        columns.push(column.await.unwrap());
    }
    let mut table = Table::from(columns);
    for (number, file, test) in PROVED_ABOVE {
        table.answer_above(number, format!("{file}, {test}"));
    }
    for (number, why) in NOT_MADE {
        table.answer_above(number, format!("n/a: {why}"));
    }
    println!("{table}");
    assert!(table.holes().is_empty(), "holes: {:#?}", table.holes());
    let registry = Registry::built_in(&Scout::fixed([]));
    for scheme in registry.schemes() {
        let has = |column: &Column| column.name().split('?').next() == Some(scheme);
        assert!(table.columns().iter().any(has), "`{scheme}` has no column");
    }
}

#[tokio::test]
async fn a_stream_is_refused_by_name_where_only_datagrams_travel() {
    let manager = mancom::Manager::builder().scout(Scout::fixed([]));
    let manager = manager.build().await.unwrap();
    let datagrams = ["udp://127.0.0.1:9", "mc+udp://127.0.0.1:9"];
    #[cfg(unix)]
    let datagrams = datagrams.into_iter().chain([
        "unix:/nowhere?type=seqpacket",
        "mc+unix:/nowhere?type=seqpacket",
    ]);
    for endpoint in datagrams {
        let connected = manager.connect(endpoint).await.unwrap_err().to_string();
        let listened = manager.listen(endpoint).await.map(drop).unwrap_err();
        for told in [connected, listened.to_string()] {
            assert!(told.contains("datagrams"), "{endpoint}: {told}");
        }
    }
}
