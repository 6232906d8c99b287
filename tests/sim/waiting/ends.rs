//! How a wait ends without a stream, or with a looser label: deadlines, refusals, explanations.

use std::io::ErrorKind;
use std::time::Duration;

use mancom::{ConnectError, Label, Manager, Network, Prop};
use tokio::time::{Instant, sleep};

use super::WIFI;
use crate::support::{Outcome, cellular, millis, on, secs, wifi};

/// A port at which nobody listens.
const CLOSED: &str = "mem://nobody";

// behaviour: D1 X2
#[mancom::test]
async fn a_deadline_while_waiting_lists_every_network(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    networks.up(Network::ethernet("eth0"));
    networks.up(Network::wifi("wlan0"));
    networks.down("wlan0");
    let began = Instant::now();
    let error = mancom::connect(CLOSED)
        .label(WIFI)
        .within(secs(7))
        .await
        .unwrap_err();
    assert_eq!(began.elapsed(), secs(7));
    assert!(error.is_timed_out());
    let blocked = error.blocked().expect("the reasons");
    let waited = blocked.waited.expect("it waited");
    assert!(waited.abs_diff(secs(7)) < millis(2), "{waited:?}");
    assert_eq!(
        blocked.generation,
        Manager::current()?.snapshot().generation()
    );
    let names: Vec<_> = blocked
        .networks
        .iter()
        .map(|refusal| refusal.network.name())
        .collect();
    assert_eq!(names, ["wwan0", "eth0", "wlan0"]);
    assert!(
        blocked
            .networks
            .iter()
            .all(|refusal| !refusal.reasons.is_empty())
    );
    let changes: Vec<_> = blocked
        .history
        .iter()
        .map(|shift| (shift.network.as_str(), shift.was.word(), shift.now.word()))
        .collect();
    assert_eq!(
        changes,
        [
            ("wwan0", "absent", "refused"),
            ("eth0", "absent", "refused"),
            ("wlan0", "absent", "admitted"),
            ("wlan0", "admitted", "refused"),
        ]
    );
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
    Ok(())
}

// behaviour: D2
#[mancom::test]
async fn one_budget_covers_waiting_dialling_and_the_handshake(
    networks: mancom::testing::Networks,
) -> Outcome {
    let _listener = mancom::listen("mem://budget").await?;
    let began = Instant::now();
    let connecting = tokio::spawn(
        mancom::connect("mem://budget")
            .within(secs(4))
            .into_future(),
    );
    sleep(secs(3)).await;
    networks.up(wifi());
    // It matches, is dialled, and says nothing.
    networks.stall("wlan0", true);
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), secs(4));
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    assert!(error.is_timed_out());
    Ok(())
}

// behaviour: D4
#[mancom::test]
async fn a_refusal_is_tried_again_a_few_times_and_then_told(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let began = Instant::now();
    let error = mancom::connect(CLOSED).await.unwrap_err();
    assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    assert!(
        began.elapsed() > millis(300),
        "not in haste: {:?}",
        began.elapsed()
    );
    let ConnectError::Failed { attempts, .. } = &error else {
        panic!("{error}")
    };
    assert!(attempts.len() > 1, "more than once: {error}");
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.network.as_deref() == Some("wlan0"))
    );
    assert_eq!(
        std::io::Error::from(error).kind(),
        ErrorKind::ConnectionRefused
    );
    Ok(())
}

// behaviour: D5
#[mancom::test]
async fn where_one_network_refuses_another_that_matches_is_tried(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let error = mancom::connect(CLOSED).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("wlan0: ") && text.contains("wwan0: "),
        "both outcomes: {text}"
    );

    // Listened at on one of them alone.
    let listener = mancom::listen("mem://one")
        .label(Label::new().require(Prop::Cellular))
        .await?;
    let near = mancom::connect("mem://one").await?;
    assert_eq!(on(&near), ["wwan0"]);
    drop((near, listener));
    Ok(())
}

// behaviour: D8
#[mancom::test]
async fn the_looser_label_of_a_connect_takes_over_exactly_then(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular().rtt(Duration::ZERO));
    let _listener = mancom::listen("mem://relaxed").await?;
    let began = Instant::now();
    let near = mancom::connect("mem://relaxed")
        .label(WIFI)
        .relax_after(secs(20), Label::BACKGROUND)
        .await?;
    assert_eq!(began.elapsed().as_millis() / 10, 2_000);
    assert_eq!(near.label(), Label::BACKGROUND);

    let ethernet = Label::new().require(Prop::Ethernet);
    let connect = mancom::connect("mem://relaxed")
        .label(WIFI)
        .relax_after(secs(20), ethernet)
        .within(secs(30));
    let error = connect.await.unwrap_err();
    let blocked = error.blocked().expect("the reasons");
    assert_eq!(blocked.label, ethernet);
    assert_eq!(
        blocked
            .relaxed
            .as_ref()
            .expect("the first label's too")
            .label,
        WIFI
    );
    Ok(())
}
