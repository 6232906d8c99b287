//! Sessions over all their networks at once: which paths are open, when, and when they go again.

use std::time::Duration;

use mancom::network::State;
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Manager, McStream, Network, NetworkSpec, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{
    Chance, Outcome, at_most, cellular, drain, exchange, joined, joined_by, millis, on, secs,
    sent_over, settle, soon, ups, wifi, world,
};

const UNMETERED: Label = Label::new().prohibit(Prop::Metered);
/// Connecting and the two questions of an attach, and some.
const DIAL: u64 = 4;

fn ethernet() -> NetworkSpec {
    Network::ethernet("eth0")
        .rtt(millis(5))
        .up(100_000_000)
        .down(100_000_000)
}

fn slow(spec: NetworkSpec) -> NetworkSpec {
    spec.up(2_000_000).down(2_000_000)
}

fn satellite() -> NetworkSpec {
    Network::satellite("sat0")
        .rtt(millis(300))
        .up(1_000_000)
        .down(1_000_000)
}

fn metered() -> NetworkSpec {
    cellular().metered(true)
}

/// When the stream's session is on exactly these, after how long.
async fn until_on(stream: &McStream, names: &[&str], limit: Duration) -> Duration {
    let began = Instant::now();
    while on(stream) != names {
        let on = on(stream);
        assert!(began.elapsed() < limit, "still on {on:?}, not on {names:?}");
        sleep(millis(1)).await;
    }
    began.elapsed()
}

fn downs(events: &[PathEvent]) -> Vec<(String, String)> {
    let down = |event: &PathEvent| match event {
        PathEvent::Down { path, why } => Some((path.name.as_deref()?.into(), why.to_string())),
        _ => None,
    };
    events.iter().filter_map(down).collect()
}

// behaviour: I6
#[mancom::test]
async fn every_network_is_joined_at_once_after_the_first(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    networks.up(ethernet());
    let (near, far) = joined("mem://all", Label::ANY).await?;
    assert_eq!(on(&near), ["eth0"]);
    // Each beside the other, without the pause that sessions take who come back.
    let took = until_on(&near, &["eth0", "wlan0", "wwan0"], secs(1)).await;
    assert!(took <= millis(60 * DIAL), "{took:?}");
    assert_eq!(far.session().paths().len(), 3);
    let numbers: Vec<u8> = near.session().paths().iter().map(|p| p.path.0).collect();
    assert!(numbers.iter().all(|id| *id < 4), "{numbers:?}");
    Ok(())
}

#[mancom::test]
async fn what_comes_up_later_is_joined_and_nothing_is_left(networks: Networks) -> Outcome {
    networks.up(cellular());
    let (near, _far) = joined("mem://later", Label::ANY).await?;
    let mut events = near.events();
    networks.up(wifi());
    let took = until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    assert!(took <= millis(20 * DIAL), "{took:?}");
    sleep(secs(600)).await;
    let events = drain(&mut events).await;
    assert_eq!(ups(&events), ["wwan0", "wlan0"]);
    assert!(downs(&events).is_empty(), "{events:?}");
    Ok(())
}

#[mancom::test]
async fn where_no_network_is_used_there_is_one_path() -> Outcome {
    let manager = Manager::builder().build().await?;
    let (near, _far) = joined_by(&manager, "mem://host", Label::ANY).await?;
    sleep(secs(5)).await;
    assert_eq!(near.session().paths().len(), 1);
    Ok(())
}

// behaviour: S1 I6
#[mancom::test]
async fn the_loss_of_one_of_two_costs_no_dial(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://loss", Label::INTERACTIVE).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    for name in ["wlan0", "wwan0"] {
        networks.down(name);
        let lost = Instant::now();
        near.write_all(b"x").await?;
        assert_eq!(far.read_u8().await?, b'x');
        assert!(lost.elapsed() <= millis(31), "{name}: {:?}", lost.elapsed());
        networks.up(if name == "wlan0" { wifi() } else { cellular() });
        until_on(&near, &["wlan0", "wwan0"], secs(10)).await;
    }
    Ok(())
}

// behaviour: S1 S3
#[mancom::test]
async fn a_connection_that_is_cut_is_dialled_anew_beside_the_others() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    networks.up(cellular());
    faults.cut_next_after(20_000);
    faults.cut_next_after(20_000);
    let (near, far) = joined_by(&manager, "mem://cut", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    let (mut events, session) = (near.events(), near.session());
    drain(&mut events).await;
    exchange(near, far, 12, 1 << 20).await;
    let events = drain(&mut events).await;
    let cut = downs(&events);
    assert!(
        !cut.is_empty() && cut.len() == ups(&events).len(),
        "{events:?}"
    );
    assert_eq!(session.paths().len(), 2);
    Ok(())
}

// behaviour: I11 S10
#[mancom::test]
async fn what_is_silent_is_dialled_anew_once_it_can_be(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://silent", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    networks.stall("wlan0", true);
    networks.stall("wwan0", true);
    near.write_all(&[1; 100_000]).await?;
    sleep(secs(20)).await;
    networks.stall("wwan0", false);
    soon(secs(5), "by the one", far.read_exact(&mut [0; 100_000])).await?;
    networks.stall("wlan0", false);
    until_on(&near, &["wlan0", "wwan0"], secs(40)).await;
    Ok(())
}

#[mancom::test]
async fn traffic_that_nobody_waits_for_wakes_no_metered_network(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    for (n, label) in [Label::ANY, Label::BACKGROUND].into_iter().enumerate() {
        let (mut near, mut far) = joined(&format!("mem://free{n}"), label).await?;
        let mut events = near.events();
        for _ in 0..60 {
            near.write_all(&[1; 10_000]).await?;
            soon(secs(5), "bytes", far.read_exact(&mut [0; 10_000])).await?;
            sleep(secs(60)).await;
        }
        // Not after a loss either: the free one comes back and is tried first.
        networks.down("wlan0");
        networks.down("wwan0");
        sleep(secs(5)).await;
        networks.up(metered());
        networks.up(wifi());
        near.write_all(&[1; 10_000]).await?;
        soon(secs(5), "bytes", far.read_exact(&mut [0; 10_000])).await?;
        sleep(secs(60)).await;
        assert_eq!(ups(&drain(&mut events).await), ["wlan0", "wlan0"]);
    }
    Ok(())
}

#[mancom::test]
async fn without_the_free_one_the_metered_one_is_used_until_it_is_back(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://fallback", Label::ANY).await?;
    assert_eq!(on(&near), ["wlan0"]);
    networks.down("wlan0");
    near.write_all(&[1; 10_000]).await?;
    soon(secs(1), "bytes", far.read_exact(&mut [0; 10_000])).await?;
    assert_eq!(on(&near), ["wwan0"]);
    networks.up(wifi());
    until_on(&near, &["wlan0", "wwan0"], secs(2)).await;
    // Kept for a while, for the free one may go again.
    sleep(secs(29)).await;
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    until_on(&near, &["wlan0"], secs(2)).await;
    Ok(())
}

// behaviour: S15
#[mancom::test]
async fn a_metered_network_is_opened_before_a_free_one_goes(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://losing", Label::ANY).await?;
    sleep(secs(5)).await;
    assert_eq!(on(&near), ["wlan0"]);
    networks.change("wlan0", |spec| spec.losing(true));
    until_on(&near, &["wlan0", "wwan0"], millis(60 * DIAL)).await;
    near.write_all(&[1; 10_000]).await?;
    soon(secs(1), "bytes", far.read_exact(&mut [0; 10_000])).await?;
    assert_eq!(sent_over(&near, "wlan0"), 0, "live streams leave it");
    networks.down("wlan0");
    near.write_all(b"x").await?;
    assert_eq!(soon(millis(31), "no gap", far.read_u8()).await?, b'x');
    Ok(())
}

// behaviour: I11
#[mancom::test]
async fn a_metered_network_is_opened_while_the_free_one_is_silent(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://stalled", Label::ANY).await?;
    sleep(secs(5)).await;
    networks.stall("wlan0", true);
    near.write_all(&[1; 10_000]).await?;
    let stalled = Instant::now();
    soon(secs(3), "bytes", far.read_exact(&mut [0; 10_000])).await?;
    assert!(stalled.elapsed() < millis(1_000 + 60 * 5));
    networks.stall("wlan0", false);
    until_on(&near, &["wlan0"], secs(60)).await;
    Ok(())
}

// behaviour: I11
#[mancom::test]
async fn a_free_network_that_does_not_answer_holds_a_metered_one_back_for_a_second(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://held", Label::BACKGROUND).await?;
    networks.down("wlan0");
    networks.down("wwan0");
    sleep(secs(100)).await;
    networks.stall("wlan0", true);
    networks.up(wifi());
    networks.up(metered());
    near.write_all(b"x").await?;
    let up = Instant::now();
    assert_eq!(soon(secs(3), "by the metered", far.read_u8()).await?, b'x');
    // The pause of who comes back, a second, and the dial.
    let took = up.elapsed();
    assert!(
        took >= secs(1) && took < millis(200 + 1_000 + 60 * DIAL),
        "{took:?}"
    );
    Ok(())
}

#[mancom::test]
async fn interactive_traffic_has_a_metered_standby_for_as_long_as_it_goes(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://standby", Label::ANY).await?;
    sleep(secs(60)).await;
    assert_eq!(on(&near), ["wlan0"]);
    near.set_label(Label::INTERACTIVE);
    until_on(&near, &["wlan0", "wwan0"], millis(60 * DIAL)).await;
    near.write_all(&[1; 10_000]).await?;
    soon(secs(1), "bytes", far.read_exact(&mut [0; 10_000])).await?;
    assert_eq!(sent_over(&near, "wwan0"), 0, "it stands by");
    near.set_label(Label::ANY);
    sleep(secs(25)).await;
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    until_on(&near, &["wlan0"], secs(40)).await;
    // One interactive chunk of a stream that is not wakes it too.
    near.write_labelled(Label::INTERACTIVE, b"now").await?;
    until_on(&near, &["wlan0", "wwan0"], millis(60 * DIAL)).await;
    until_on(&near, &["wlan0"], secs(70)).await;
    Ok(())
}

#[mancom::test]
async fn what_a_label_avoids_is_not_woken_for_it_beside_another(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let avoiding = Label::ANY.avoid(Prop::Cellular);
    let (near, _far) = joined("mem://avoid", avoiding).await?;
    sleep(secs(60)).await;
    assert_eq!(on(&near), ["wlan0"]);
    networks.down("wlan0");
    until_on(&near, &["wwan0"], secs(1)).await;
    Ok(())
}

#[mancom::test]
async fn each_label_alive_has_a_network_that_admits_it(networks: Networks) -> Outcome {
    const WIFI: Label = Label::new().require(Prop::Wifi);
    const CELLULAR: Label = Label::new().require(Prop::Cellular);
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://labels", WIFI).await?;
    sleep(secs(5)).await;
    assert_eq!(on(&near), ["wlan0"], "no live label admits the other");
    let mut other = near.session().open(CELLULAR).await?;
    until_on(&near, &["wlan0", "wwan0"], millis(60 * DIAL)).await;
    other.write_all(b"by the other").await?;
    let mut accepted = soon(secs(1), "a stream", far.session().accept()).await?;
    soon(secs(1), "it", accepted.read_exact(&mut [0; 12])).await?;
    assert_eq!(sent_over(&near, "wwan0"), 12);
    other.shutdown().await?;
    accepted.shutdown().await?;
    drop((other, accepted));
    near.write_all(b"x").await?;
    assert_eq!(far.read_u8().await?, b'x');
    // No live label admits it any more; the next look, at the latest with any change, gives it up.
    networks.up(ethernet());
    until_on(&near, &["wlan0"], secs(1)).await;
    Ok(())
}

// behaviour: X1 I7
#[mancom::test]
async fn a_chunk_that_waits_for_its_network_is_listed_while_others_go_on(
    networks: Networks,
) -> Outcome {
    let manager = Manager::current()?;
    networks.up(metered());
    let (mut near, mut far) = joined("mem://chunk", Label::ANY).await?;
    near.write_labelled(UNMETERED, b"waits").await?;
    settle().await;
    let pending = manager.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!((pending[0].label, pending[0].deadline), (UNMETERED, None));
    far.write_all(b"meanwhile").await?;
    soon(secs(1), "the others", near.read_exact(&mut [0; 9])).await?;
    networks.up(wifi());
    soon(secs(1), "the chunk", far.read_exact(&mut [0; 5])).await?;
    settle().await;
    assert!(manager.pending().is_empty());
    assert_eq!(sent_over(&near, "wwan0"), 0);
    Ok(())
}

// behaviour: S16 I7
#[mancom::test]
async fn a_network_that_a_label_forbids_is_dropped_and_one_it_does_not_admit_retired(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    networks.up(ethernet());
    let (mut near, mut far) = joined("mem://forbid", Label::ANY).await?;
    until_on(&near, &["eth0", "wlan0", "wwan0"], secs(1)).await;
    let mut events = near.events();
    drain(&mut events).await;
    networks.change("wwan0", |spec| spec.metered(true));
    near.set_label(UNMETERED);
    until_on(&near, &["eth0", "wlan0"], millis(1)).await;
    let (name, why) = downs(&drain(&mut events).await).remove(0);
    assert_eq!((&*name, &*why), ("wwan0", "no label permits it any more"));
    // Make before break: the one path that is left stays, whatever the label says of it.
    near.set_label(Label::new().require(Prop::Cellular));
    sleep(secs(60)).await;
    assert_eq!(on(&near), ["wwan0"]);
    near.write_all(b"x").await?;
    assert_eq!(soon(secs(1), "by it", far.read_u8()).await?, b'x');
    Ok(())
}

// behaviour: S9
#[mancom::test]
async fn a_suspended_network_keeps_its_path_beside_another(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (near, _far) = joined("mem://suspended", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    let mut events = near.events();
    drain(&mut events).await;
    networks.change("wwan0", |spec| spec.state(State::Suspended));
    sleep(secs(300)).await;
    networks.change("wwan0", |spec| spec.state(State::Up));
    sleep(secs(5)).await;
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    let events = drain(&mut events).await;
    assert!(events.is_empty(), "the same connections: {events:?}");
    Ok(())
}

// behaviour: S5 S6
#[mancom::test]
async fn beyond_the_setting_a_better_network_replaces_the_worst_once_it_stood() -> Outcome {
    let (manager, networks) = at_most(2).await;
    networks.up(cellular());
    networks.up(satellite());
    let (near, far) = joined_by(&manager, "mem://two", Label::ANY).await?;
    until_on(&near, &["sat0", "wwan0"], secs(5)).await;
    let mut events = near.events();
    // Little better is not worth it.
    networks.up(Network::satellite("sat1").rtt(millis(250)));
    sleep(secs(60)).await;
    let seen = drain(&mut events).await;
    assert_eq!(ups(&seen), ["wwan0", "sat0"], "{seen:#?}");
    networks.up(wifi());
    let exchanging = tokio::spawn(exchange(near, far, 2, 8 << 20));
    sleep(millis(1_900)).await;
    assert!(drain(&mut events).await.is_empty(), "it must stand for 2 s");
    sleep(secs(5)).await;
    let events = drain(&mut events).await;
    assert_eq!(ups(&events), ["wlan0"]);
    let gone: Vec<String> = downs(&events).into_iter().map(|(name, _)| name).collect();
    assert_eq!(gone, ["sat0"]);
    soon(secs(600), "every byte", exchanging).await.unwrap();
    Ok(())
}

// behaviour: S5
#[mancom::test]
async fn a_fifth_network_that_is_better_takes_the_place_of_the_worst_of_four(
    networks: Networks,
) -> Outcome {
    for n in 0..4 {
        let spec = Network::satellite(format!("sat{n}")).rtt(millis(200 + n * 50));
        networks.up(spec.up(500_000).down(500_000));
    }
    let (near, far) = joined("mem://five", Label::ANY).await?;
    until_on(&near, &["sat0", "sat1", "sat2", "sat3"], secs(5)).await;
    let mut events = near.events();
    drain(&mut events).await;
    let session = near.session();
    let exchanging = tokio::spawn(exchange(near, far, 5, 1 << 20));
    networks.up(wifi());
    sleep(secs(3)).await;
    let events = drain(&mut events).await;
    assert_eq!(ups(&events), ["wlan0"]);
    assert_eq!(downs(&events)[0].0, "sat3");
    let general = session.paths().iter().filter(|path| !path.lane).count();
    assert_eq!(general, 4);
    soon(secs(600), "every byte", exchanging).await.unwrap();
    Ok(())
}

// behaviour: S7
#[mancom::test]
async fn a_flapping_network_beside_a_steady_one_is_joined_less_and_less_often(
    networks: Networks,
) -> Outcome {
    for (turn, up) in [500, 900].into_iter().enumerate() {
        networks.up(cellular());
        networks.up(wifi());
        let (mut near, mut far) = joined(&format!("mem://flap{turn}"), Label::ANY).await?;
        until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
        let mut events = near.events();
        drain(&mut events).await;
        for _ in 0..60 {
            networks.down("wlan0");
            near.write_all(b"x").await?;
            sleep(millis(1_000 - up)).await;
            networks.up(wifi());
            near.write_all(b"x").await?;
            sleep(millis(up)).await;
        }
        let joined = ups(&drain(&mut events).await);
        assert!(joined.len() <= 6, "{joined:?}");
        soon(secs(1), "every byte", far.read_exact(&mut [0; 120])).await?;
        // Steady at last, it is used again.
        until_on(&near, &["wlan0", "wwan0"], secs(31)).await;
    }
    Ok(())
}

// behaviour: S7 S1
#[mancom::test]
async fn mistrust_of_a_flapping_network_ends_when_nothing_else_carries(
    networks: Networks,
) -> Outcome {
    networks.up(cellular());
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://needed", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    for _ in 0..6 {
        networks.down("wlan0");
        sleep(millis(500)).await;
        networks.up(wifi());
        sleep(millis(500)).await;
    }
    assert_eq!(on(&near), ["wwan0"]);
    networks.down("wwan0");
    let lost = Instant::now();
    near.write_all(b"x").await?;
    assert_eq!(soon(secs(1), "by it", far.read_u8()).await?, b'x');
    // The pause of who comes back, and the dial.
    assert!(lost.elapsed() <= millis(200 + 20 * DIAL));
    Ok(())
}

// behaviour: S1 S3 S4 S7
#[mancom::test]
async fn every_byte_arrives_once_while_four_networks_come_go_and_stall(
    networks: Networks,
) -> Outcome {
    let other = Network::wifi("wlan1").rtt(millis(40));
    let all = [wifi(), metered(), ethernet(), other].map(slow);
    let all = move || all.clone();
    for spec in all() {
        networks.up(spec);
    }
    let (near, far) = joined("mem://storm", Label::INTERACTIVE).await?;
    let mut events = near.events();
    let storm = tokio::spawn(async move {
        let mut chance = Chance(44);
        loop {
            let which = chance.below(4) as usize;
            let [name, spec] = [&all()[which], &all()[which]].map(Clone::clone);
            let name = name.name().to_owned();
            match chance.below(3) {
                0 => networks.stall(&name, true),
                _ => networks.down(&name),
            }
            sleep(chance.millis(0, 800)).await;
            networks.stall(&name, false);
            networks.up(spec);
            sleep(chance.millis(0, 300)).await;
        }
    });
    soon(secs(900), "6 MB", exchange(near, far, 44, 6 << 20)).await;
    storm.abort();
    let seen = drain(&mut events).await;
    let lost = downs(&seen).len();
    assert!(lost > 10, "it was stormy: {lost}");
    Ok(())
}

#[mancom::test]
async fn a_connect_reports_what_it_tried_and_how_long_it_took(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let listener = mancom::listen("mem://report").await?;
    networks.stall("wlan0", true);
    let near = mancom::connect("mem://report").await?;
    let far = listener.accept().await?;
    let report = near.connect_report().expect("it was dialled");
    assert_eq!(report.endpoint, "mem://report");
    let [first, second] = &report.tries[..] else {
        panic!("two tries: {report}")
    };
    assert_eq!(first.network.as_deref(), Some("wlan0"));
    assert!(first.error.is_some());
    assert_eq!(first.phases.connect, Some(secs(5)));
    assert_eq!(first.phases.handshake, None);
    assert_eq!(second.network.as_deref(), Some("wwan0"));
    assert!(second.error.is_none() && second.began >= secs(5));
    assert_eq!(second.phases.connect, Some(millis(60)));
    // Two questions and their answers.
    let handshake = second.phases.handshake.expect("it was proved");
    assert!(handshake.abs_diff(millis(120)) < millis(5), "{handshake:?}");
    assert!(report.took.abs_diff(second.began + second.phases.total()) < millis(1));
    let text = report.to_string();
    assert!(text.starts_with("wlan0: failed at 5.0 s: "), "{text}");
    assert!(text.contains("\nwwan0: connected at 5.2 s (connect 60 ms, handshake 12"));
    assert!(near.session().connect_report().is_some());
    assert!(far.connect_report().is_none(), "it dialled nobody");
    Ok(())
}

/// The networks with a lane now.
fn lanes(stream: &McStream) -> Vec<String> {
    let mut paths = stream.session().paths();
    paths.retain(|path| path.lane);
    let names = paths.iter().filter_map(|path| path.name.as_deref());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Bulk one way on one stream and questions with their answers on another of the session, until told.
struct Mixed {
    asking: tokio::task::JoinHandle<Vec<Duration>>,
    bulk: tokio::task::JoinHandle<()>,
}

impl Mixed {
    async fn start(near: &McStream, far: &McStream) -> Result<Self, mancom::Error> {
        let mut bulk = near.session().open(Label::BACKGROUND).await?;
        bulk.write_all(&[1; 1]).await?;
        let mut sink = far.session().accept().await?;
        let mut talk = near.session().open(Label::INTERACTIVE).await?;
        talk.write_all(&[1; 1]).await?;
        let mut answering = far.session().accept().await?;
        tokio::spawn(async move {
            let mut buf = vec![0; 64 << 10];
            while sink.read(&mut buf).await.is_ok_and(|n| n > 0) {}
        });
        tokio::spawn(async move {
            while let Ok(byte) = answering.read_u8().await {
                let _ = answering.write_labelled(Label::INTERACTIVE, &[byte]).await;
            }
        });
        let bulk = tokio::spawn(async move { while bulk.write_all(&[7; 16_384]).await.is_ok() {} });
        let asking = tokio::spawn(async move {
            let _ = talk.read_u8().await;
            let mut took = Vec::new();
            for _ in 0..100 {
                let asked = Instant::now();
                talk.write_all(b"?").await.unwrap();
                talk.read_u8().await.unwrap();
                took.push(asked.elapsed());
                sleep(millis(100)).await;
            }
            took
        });
        Ok(Self { asking, bulk })
    }

    async fn end(self) -> Vec<Duration> {
        let took = self.asking.await.unwrap();
        self.bulk.abort();
        took
    }
}

#[mancom::test]
async fn interactive_beside_other_traffic_has_lanes_where_it_goes(networks: Networks) -> Outcome {
    networks.up(slow(wifi()));
    networks.up(slow(ethernet().rtt(millis(30))));
    networks.up(metered());
    let (near, far) = joined("mem://lanes", Label::ANY).await?;
    until_on(&near, &["eth0", "wlan0"], secs(1)).await;
    sleep(secs(10)).await;
    assert!(lanes(&near).is_empty(), "nothing wants one");
    let mixed = Mixed::start(&near, &far).await?;
    sleep(secs(2)).await;
    // The metered one is a standby, on which nothing interactive goes now.
    assert_eq!(on(&near), ["eth0", "wlan0", "wwan0"]);
    assert_eq!(lanes(&near), ["eth0", "wlan0"]);
    let at_far = far.session().paths().into_iter();
    assert_eq!(at_far.filter(|path| path.lane).count(), 2);
    for lane in near.session().paths().iter().filter(|path| path.lane) {
        let paths = near.session().paths();
        let beside = paths.iter().find(|path| path.path.0 == lane.path.0 - 4);
        assert_eq!(beside.expect("its path").name, lane.name);
    }
    let took = mixed.end().await;
    assert!(took[20..].iter().all(|took| *took < millis(60)), "{took:?}");
    sleep(secs(25)).await;
    assert_eq!(lanes(&near).len(), 2, "kept for a while");
    sleep(secs(60)).await;
    assert!(lanes(&near).is_empty(), "and then no more");
    assert_eq!(on(&near), ["eth0", "wlan0"]);
    Ok(())
}

#[mancom::test]
async fn a_lane_goes_with_its_network_and_comes_back_with_it(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (near, far) = joined("mem://lane", Label::ANY).await?;
    let mixed = Mixed::start(&near, &far).await?;
    sleep(secs(2)).await;
    assert_eq!(lanes(&near), ["wlan0", "wwan0"]);
    networks.down("wlan0");
    sleep(secs(1)).await;
    assert_eq!(
        (on(&near), lanes(&near)),
        (vec!["wwan0".into()], vec!["wwan0".into()])
    );
    networks.up(wifi());
    sleep(secs(2)).await;
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    assert_eq!(lanes(&near), ["wlan0", "wwan0"]);
    let took = mixed.end().await;
    assert!(took.iter().all(|took| *took < secs(1)), "{took:?}");
    Ok(())
}

#[mancom::test]
async fn one_network_at_a_time_has_its_lane_too_and_hands_both_over() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(cellular());
    let (near, far) = joined_by(&manager, "mem://one", Label::ANY).await?;
    let mixed = Mixed::start(&near, &far).await?;
    sleep(secs(2)).await;
    assert_eq!(
        (on(&near), lanes(&near)),
        (vec!["wwan0".into()], vec!["wwan0".into()])
    );
    networks.up(wifi());
    sleep(secs(5)).await;
    assert_eq!(
        (on(&near), lanes(&near)),
        (vec!["wlan0".into()], vec!["wlan0".into()])
    );
    mixed.end().await;
    Ok(())
}

// behaviour: I11
#[mancom::test]
async fn doubts_of_a_path_and_their_end_are_told(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, far) = joined("mem://doubts", Label::INTERACTIVE).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    let mut events = near.events();
    drain(&mut events).await;
    let receiving = tokio::spawn(crate::support::receive(far));
    for turn in 0..400 {
        near.write_all(&[7; 500]).await?;
        sleep(millis(5)).await;
        match turn {
            100 => networks.stall("wlan0", true),
            160 => networks.stall("wlan0", false),
            _ => {}
        }
    }
    let seen = drain(&mut events).await;
    let suspect = |event: &PathEvent| matches!(event, PathEvent::Suspect(path) if path.suspect);
    let trusted = |event: &PathEvent| matches!(event, PathEvent::Trusted(path) if !path.suspect);
    let first = seen.iter().position(suspect).expect("it was doubted");
    let last = seen.iter().position(trusted).expect("and trusted again");
    assert!(first < last, "{seen:?}");
    let of_wifi = |event: &PathEvent| event.to_string().contains("wlan0");
    assert!(seen.iter().all(of_wifi), "{seen:?}");
    assert!(downs(&seen).is_empty(), "300 ms of silence end no path");
    near.shutdown().await?;
    assert_eq!(receiving.await.unwrap().0, 400 * 500);
    Ok(())
}

// behaviour: S13
#[mancom::test]
async fn however_often_networks_come_each_is_dialled_ten_times_in_ten_seconds_at_most() -> Outcome {
    let (manager, networks, exchange) = crate::line::world().await;
    networks.up(wifi());
    networks.up(cellular());
    let listener = manager.listen("mc+line://flaps").plaintext().await?;
    let mut near = manager.connect("mc+line://flaps").plaintext().await?;
    let mut far = listener.accept().await?;
    let mut chance = Chance(13);
    for turn in 0..600 {
        let (name, spec) = match turn % 2 {
            0 => ("wlan0", wifi()),
            _ => ("wwan0", cellular()),
        };
        networks.down(name);
        sleep(chance.millis(1, 60)).await;
        networks.up(spec);
        sleep(chance.millis(1, 60)).await;
    }
    let attempts = exchange.attempts.lock().unwrap().clone();
    for name in ["wlan0", "wwan0"] {
        let of_it = attempts.iter().filter(|(_, of)| of == name);
        let times: Vec<Instant> = of_it.map(|(at, _)| *at).collect();
        assert!(times.len() > 10, "{name}: {}", times.len());
        let eleven = times.windows(11);
        let shortest = eleven.map(|all| all[10] - all[0]).min();
        assert!(shortest >= Some(secs(10)), "{name}: {shortest:?}");
    }
    sleep(secs(60)).await;
    near.write_all(b"x").await?;
    assert_eq!(soon(secs(1), "in the end", far.read_u8()).await?, b'x');
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    Ok(())
}

// behaviour: S7
#[mancom::test]
async fn after_losses_a_return_is_joined_later_and_later(networks: Networks) -> Outcome {
    networks.up(cellular());
    networks.up(wifi());
    let (mut near, _far) = joined("mem://trust", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    let mut events = near.events();
    drain(&mut events).await;
    // Up for 4 s, gone for one: without a memory of losses it would be joined at each turn.
    for _ in 0..12 {
        networks.down("wlan0");
        near.write_all(b"x").await?;
        sleep(secs(1)).await;
        networks.up(wifi());
        sleep(secs(4)).await;
    }
    let joined = ups(&drain(&mut events).await);
    assert!(joined.len() <= 6, "{joined:?}");
    until_on(&near, &["wlan0", "wwan0"], secs(31)).await;
    Ok(())
}
