//! How long a `connect` waits, how often it tries, and what it says when it gives up.

use std::error::Error;
use std::io;
use std::time::Duration;

use mancom::{ConnectError, Label, MatchError, Network};
use tokio::time::{Instant, sleep, timeout};

use crate::line::world;

const LONG: Duration = Duration::from_secs(3600);
const SERVER: &str = "line://server";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn refuse(exchange: &crate::line::Exchange, network: &str) {
    exchange.refusing.lock().unwrap().insert(network.into());
}

fn silence(exchange: &crate::line::Exchange, network: &str) {
    exchange.silent.lock().unwrap().insert(network.into());
}

// behaviour: D1
#[tokio::test(start_paused = true)]
async fn a_deadline_tells_every_network_and_its_reasons() {
    let (manager, networks, _) = world().await;
    networks.up(Network::cellular("wwan0").metered(true));
    networks.up(Network::ethernet("eth0"));
    let label: Label = "require=wifi prohibit=metered".parse().unwrap();
    let start = Instant::now();
    let error = manager
        .connect(SERVER)
        .label(label)
        .within(secs(7))
        .await
        .unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 7);
    assert!(error.is_timed_out());
    let blocked = error.blocked().expect("an explanation");
    assert_eq!(blocked.networks.len(), 2);
    assert_eq!(blocked.waited.map(|waited| waited.as_secs()), Some(7));
    let text = error.to_string();
    for part in [
        "require=wifi",
        "wwan0: ",
        "is metered",
        "eth0: is ethernet, not wifi",
        "7.0 s",
        "snapshot 3",
    ] {
        assert!(text.contains(part), "`{part}` in {text}");
    }
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
}

// behaviour: D2
#[tokio::test(start_paused = true)]
async fn waiting_and_connecting_share_one_budget() {
    let (manager, networks, exchange) = world().await;
    silence(&exchange, "wlan0");
    let connecting = tokio::spawn(manager.connect(SERVER).within(secs(10)).into_future());
    sleep(secs(8)).await;
    let start = Instant::now();
    networks.up(Network::wifi("wlan0"));
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 2);
    assert!(error.is_timed_out());
    let text = error.to_string();
    assert!(
        text.contains("line://server") && text.contains("10.0 s"),
        "{text}"
    );
    assert!(
        text.contains("wlan0: no answer before the deadline"),
        "{text}"
    );
}

// behaviour: D2
#[tokio::test(start_paused = true)]
async fn a_handshake_nobody_answers_is_in_the_budget_and_bounded_without_one() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    // A plain listener: it takes the connection and never says a word.
    let _listener = manager.listen(SERVER).await.unwrap();
    let start = Instant::now();
    let connect = manager.connect("mc+line://server").plaintext();
    let error = connect.within(secs(3)).await.unwrap_err();
    assert!(
        error.is_timed_out() && start.elapsed().as_secs() == 3,
        "{error}"
    );
    let start = Instant::now();
    let error = manager
        .connect("mc+line://server")
        .plaintext()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no answer to the handshake"), "{text}");
    assert!(
        text.contains("(3 times)") && text.contains("wlan0"),
        "{text}"
    );
    assert!(start.elapsed() < secs(20), "{:?}", start.elapsed());
}

// behaviour: D4
#[tokio::test(start_paused = true)]
async fn refused_on_the_only_match_is_an_error_within_two_seconds() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    refuse(&exchange, "wlan0");
    let start = Instant::now();
    let error = timeout(LONG, manager.connect(SERVER))
        .await
        .unwrap()
        .unwrap_err();
    assert!(start.elapsed() < secs(2) && start.elapsed() > Duration::from_millis(500));
    assert_eq!(exchange.tried(), 3);
    assert!(!error.is_timed_out());
    assert_eq!(
        error.to_string(),
        "no connection to line://server: wlan0: connection refused (3 times)"
    );
    let source = error
        .source()
        .and_then(Error::source)
        .expect("the system's error");
    assert!(source.is::<io::Error>());
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::ConnectionRefused
    );
}

// behaviour: D5
#[tokio::test(start_paused = true)]
async fn refused_on_one_network_the_next_is_tried() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::ethernet("eth0"));
    networks.up(Network::wifi("wlan0"));
    refuse(&exchange, "eth0");
    let _listener = manager.listen(SERVER).await.unwrap();
    let stream = manager.connect(SERVER).await.unwrap();
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("wlan0"));
    drop(stream);

    // Both in the report where neither answers.
    refuse(&exchange, "wlan0");
    let error = manager.connect(SERVER).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("eth0: connection refused (3 times); wlan0: connection refused (3 times)"),
        "{text}"
    );
    let ConnectError::Failed { attempts, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(attempts.len(), 6);
}

// behaviour: D4, D5
#[tokio::test(start_paused = true)]
async fn what_was_tried_is_told_when_the_network_goes_and_the_deadline_passes() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    refuse(&exchange, "wlan0");
    let connecting = tokio::spawn(manager.connect(SERVER).within(secs(5)).into_future());
    sleep(Duration::from_millis(100)).await;
    networks.down("wlan0");
    let error = connecting.await.unwrap().unwrap_err();
    let text = error.to_string();
    assert!(error.is_timed_out() && error.blocked().is_some());
    assert!(
        text.contains("wlan0: connection refused") && text.contains("wlan0: is down"),
        "{text}"
    );
}

// behaviour: W6
#[tokio::test(start_paused = true)]
async fn a_network_that_goes_while_connecting_costs_no_attempt() {
    let (manager, networks, exchange) = world().await;
    silence(&exchange, "wlan0");
    let _listener = manager.listen(SERVER).await.unwrap();
    let connecting = tokio::spawn(manager.connect(SERVER).into_future());
    for _ in 0..5 {
        networks.up(Network::wifi("wlan0"));
        sleep(secs(2)).await;
        networks.down("wlan0");
        sleep(secs(2)).await;
        assert!(!connecting.is_finished());
    }
    networks.up(Network::cellular("wwan0"));
    let stream = timeout(secs(1), connecting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("wwan0"));
}

// behaviour: S13
#[tokio::test(start_paused = true)]
async fn a_connect_under_flapping_makes_at_most_ten_attempts_in_ten_seconds() {
    let (manager, networks, exchange) = world().await;
    silence(&exchange, "wlan0");
    let _connecting = tokio::spawn(manager.connect(SERVER).into_future());
    for _ in 0..600 {
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_millis(50)).await;
        networks.down("wlan0");
        sleep(Duration::from_millis(50)).await;
    }
    let attempts = exchange.attempts.lock().unwrap();
    assert!(attempts.len() > 30, "it goes on: {}", attempts.len());
    assert!(
        attempts
            .windows(11)
            .all(|eleven| eleven[10].0 - eleven[0].0 >= secs(10))
    );
}

// behaviour: D1, W11
#[tokio::test(start_paused = true)]
async fn on_a_network_that_is_gone_a_connect_waits_for_it_alone() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let wifi = manager.matching(Label::ANY).await.unwrap();
    networks.down("wlan0");
    networks.up(Network::ethernet("eth0"));
    let error = manager
        .connect(SERVER)
        .on(&wifi)
        .within(secs(5))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("eth0: is not wlan0") && text.contains("needs wlan0"),
        "{text}"
    );
    let error = manager
        .connect(SERVER)
        .on(&wifi)
        .no_wait()
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::Match(MatchError::NoMatch(_))),
        "{error}"
    );
    assert_eq!(exchange.tried(), 0);

    let connecting = tokio::spawn(manager.connect(SERVER).on(&wifi).into_future());
    sleep(secs(60)).await;
    networks.up(Network::wifi("wlan0"));
    let stream = connecting.await.unwrap().unwrap();
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("wlan0"));
    assert_eq!(stream.label(), Label::ANY);

    let other: Label = "if=eth0".parse().unwrap();
    let error = manager
        .connect(SERVER)
        .label(other)
        .on(&wifi)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::Match(MatchError::Label(_))),
        "{error}"
    );
}

// behaviour: D8
#[tokio::test(start_paused = true)]
async fn the_looser_label_takes_over_once_however_often_the_wait_begins_anew() {
    let (manager, networks, exchange) = world().await;
    refuse(&exchange, "wlan0");
    let _listener = manager.listen(SERVER).await.unwrap();
    networks.up(Network::cellular("wwan0"));
    let wifi: Label = "require=wifi".parse().unwrap();
    let connect = manager
        .connect(SERVER)
        .label(wifi)
        .relax_after(secs(10), Label::BACKGROUND);
    let connecting = tokio::spawn(connect.into_future());
    let start = Instant::now();
    sleep(secs(6)).await;
    // Refused there once, and gone again: the ten seconds go on.
    networks.up(Network::wifi("wlan0"));
    sleep(Duration::from_millis(100)).await;
    networks.down("wlan0");
    let stream = connecting.await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(stream.label(), Label::BACKGROUND);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_time_is_none() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let connect = manager
        .connect(SERVER)
        .within(Duration::MAX)
        .grace(Duration::MAX);
    connect.await.unwrap();
}

// behaviour: S13
#[tokio::test(start_paused = true)]
async fn a_session_under_flapping_makes_at_most_ten_attempts_in_ten_seconds() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager
        .listen("mc+line://server")
        .plaintext()
        .await
        .unwrap();
    let connect = manager.connect("mc+line://server").plaintext();
    let _stream = connect.label(Label::INTERACTIVE).await.unwrap();
    let _server = crate::line::accept(&listener).await;
    for _ in 0..600 {
        networks.down("wlan0");
        sleep(Duration::from_millis(50)).await;
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_millis(50)).await;
    }
    let attempts = exchange.attempts.lock().unwrap();
    assert!(attempts.len() > 30, "it goes on: {}", attempts.len());
    let again = &attempts[1..];
    assert!(
        again
            .windows(11)
            .all(|eleven| eleven[10].0 - eleven[0].0 >= secs(10))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_on_one_network_comes_back_on_that_alone() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    networks.up(Network::cellular("wwan0"));
    let listener = manager
        .listen("mc+line://server")
        .plaintext()
        .await
        .unwrap();
    let cellular = manager
        .matching("require=cellular".parse().unwrap())
        .await
        .unwrap();
    let connect = manager.connect("mc+line://server").plaintext();
    let stream = connect.on(&cellular).await.unwrap();
    let _server = crate::line::accept(&listener).await;
    networks.down("wwan0");
    sleep(secs(60)).await;
    assert!(stream.session().paths().is_empty());
    networks.up(Network::cellular("wwan0"));
    sleep(secs(60)).await;
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("wwan0"));
    assert_eq!(exchange.attempts_by_network(), [("wwan0".into(), 2)].into());
}
