//! When a session leaves a network that works: for a better one, and because its label says so.
//!
//! A move for a better network is a matter of sessions that may not use both: with `networks = 1`.

use std::time::Duration;

use mancom::label::matching::{Policy, Rule};
use mancom::network::Fact;
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Manager, McStream, Network, NetworkSpec, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{
    Outcome, at_most, cellular, drain, joined, joined_by, millis, on, secs, sent_over, settle,
    soon, ups, wifi,
};

const UNMETERED: Label = Label::new().prohibit(Prop::Metered);

// behaviour: S5
#[mancom::test]
async fn a_better_network_is_joined_before_the_old_one_is_left() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(cellular());
    let (mut near, mut far) = joined_by(&manager, "mem://better", Label::ANY).await?;
    let mut events = near.events();
    let sending = tokio::spawn(async move {
        for _ in 0..2_000 {
            near.write_all(&[7; 1_000]).await.unwrap();
            sleep(millis(5)).await;
        }
        near.shutdown().await.unwrap();
    });
    let up = tokio::spawn(async move {
        sleep(secs(2)).await;
        networks.up(wifi());
    });
    let mut buf = [0; 4_096];
    let (mut last, mut gap, mut total) = (Instant::now(), Duration::ZERO, 0);
    loop {
        match far.read(&mut buf).await? {
            0 => break,
            n => total += n,
        }
        if total > 10_000 {
            gap = gap.max(last.elapsed());
        }
        last = Instant::now();
    }
    assert_eq!(total, 2_000_000);
    assert!(gap < millis(60), "less than a round trip: {gap:?}");
    sending.await.unwrap();
    up.await.unwrap();
    let events = drain(&mut events).await;
    assert_eq!(ups(&events), ["wwan0", "wlan0"]);
    let down = events
        .iter()
        .position(|event| matches!(event, PathEvent::Down { .. }));
    assert_eq!(down, Some(2), "up first: {events:?}");
    Ok(())
}

// behaviour: S6
#[mancom::test]
async fn a_little_better_is_not_worth_a_move() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(Network::ethernet("eth0").rtt(millis(100)));
    let (near, _far) = joined_by(&manager, "mem://little", Label::ANY).await?;
    let mut events = near.events();
    networks.up(Network::ethernet("eth1").rtt(millis(81)));
    sleep(secs(3600)).await;
    assert_eq!(on(&near), ["eth0"]);
    networks.change("eth1", |spec| spec.rtt(millis(80)));
    sleep(millis(1_900)).await;
    assert_eq!(on(&near), ["eth0"], "it must stand for 2 s");
    sleep(secs(1)).await;
    assert_eq!(on(&near), ["eth1"]);
    assert_eq!(ups(&drain(&mut events).await), ["eth0", "eth1"]);
    Ok(())
}

// behaviour: S7
#[mancom::test]
async fn a_flapping_network_beside_a_steady_one_moves_nobody_often() -> Outcome {
    let (manager, networks) = at_most(1).await;
    for (turn, up) in [500, 900].into_iter().enumerate() {
        networks.up(cellular());
        networks.up(wifi());
        let (mut near, mut far) =
            joined_by(&manager, &format!("mem://flap{turn}"), Label::ANY).await?;
        assert_eq!(on(&near), ["wlan0"]);
        let mut events = near.events();
        for _ in 0..60 {
            networks.down("wlan0");
            near.write_all(b"x").await?;
            sleep(millis(1_000 - up)).await;
            networks.up(wifi());
            near.write_all(b"x").await?;
            sleep(millis(up)).await;
        }
        let moves = ups(&drain(&mut events).await).len() - 1;
        assert!(moves <= 6, "{moves} moves");
        soon(secs(1), "every byte", far.read_exact(&mut [0; 120])).await?;
    }
    Ok(())
}

// behaviour: S7
#[mancom::test]
async fn after_losses_a_return_is_trusted_later_and_later() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(cellular());
    networks.up(wifi());
    let (mut near, _far) = joined_by(&manager, "mem://trust", Label::ANY).await?;
    let mut events = near.events();
    // Up for 4 s, gone for one: without a memory of losses it would move twice a turn.
    for _ in 0..12 {
        networks.down("wlan0");
        near.write_all(b"x").await?;
        sleep(secs(1)).await;
        networks.up(wifi());
        sleep(secs(4)).await;
    }
    let moves = ups(&drain(&mut events).await).len() - 1;
    assert!(moves <= 6, "{moves} moves");
    // Steady at last, it is used again.
    sleep(secs(120)).await;
    assert_eq!(on(&near), ["wlan0"]);
    Ok(())
}

// behaviour: S15
#[mancom::test]
async fn a_network_about_to_go_is_left_before_it_does() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(cellular());
    networks.up(wifi());
    let (mut near, mut far) = joined_by(&manager, "mem://losing", Label::ANY).await?;
    networks.change("wlan0", |spec| spec.losing(true));
    sleep(millis(500)).await;
    assert_eq!(on(&near), ["wwan0"]);
    let fresh = manager.matching(Label::ANY).await?;
    assert_eq!(fresh.name(), "wwan0");
    networks.down("wlan0");
    near.write_all(b"x").await?;
    assert_eq!(soon(millis(100), "no gap", far.read_u8()).await?, b'x');
    Ok(())
}

// behaviour: S16
#[mancom::test]
async fn a_label_tightened_on_a_live_stream_moves_it(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular().metered(true));
    let (mut near, mut far) = joined("mem://tight", Label::ANY).await?;
    near.write_all(&[1; 1_000]).await?;
    far.read_exact(&mut [0; 1_000]).await?;
    near.set_label(UNMETERED);
    near.write_all(&[2; 10_000]).await?;
    sleep(secs(60)).await;
    // It pauses: not a byte more on the metered network.
    assert_eq!(sent_over(&near, "wwan0"), 1_000);
    networks.up(wifi());
    soon(secs(5), "what waited", far.read_exact(&mut [0; 10_000])).await?;
    near.write_all(&[3; 10_000]).await?;
    soon(secs(5), "what came later", far.read_exact(&mut [0; 10_000])).await?;
    assert_eq!(sent_over(&near, "wwan0"), 1_000);
    assert_eq!(sent_over(&near, "wlan0"), 20_000);
    Ok(())
}

// behaviour: S16 I7
#[mancom::test]
async fn a_strict_chunk_never_travels_where_it_may_not(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://strict", Label::ANY).await?;
    near.write_labelled(UNMETERED, &[1; 5_000]).await?;
    // Lost on its way: to be sent again, but not on a metered network.
    networks.down("wlan0");
    networks.up(cellular().metered(true));
    near.write_labelled(Label::ANY, &[2; 5_000]).await?;
    assert!(
        tokio::time::timeout(secs(60), far.read_exact(&mut [0; 10_000]))
            .await
            .is_err()
    );
    let over = sent_over(&near, "wwan0");
    assert!(over <= 5_000, "only the second chunk: {over}");
    networks.down("wwan0");
    networks.up(wifi());
    sleep(secs(5)).await;
    assert_eq!(near.stats().acknowledged, 10_000);
    Ok(())
}

// behaviour: S20 I7
#[mancom::test]
async fn a_flag_that_flips_stops_an_unmetered_stream_both_ways(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://flag", UNMETERED).await?;
    near.write_all(&[1; 1_000]).await?;
    far.read_exact(&mut [0; 1_000]).await?;
    far.write_all(&[1; 1_000]).await?;
    near.read_exact(&mut [0; 1_000]).await?;
    networks.change("wwan0", |spec| spec.metered(true));
    settle().await;
    // The far end is told, and that takes its time on the line.
    sleep(millis(200)).await;
    near.write_all(&[2; 1_000]).await?;
    far.write_all(&[2; 1_000]).await?;
    sleep(secs(60)).await;
    assert_eq!(sent_over(&near, "wwan0"), 1_000, "upwards");
    assert_eq!(far.stats().acknowledged, 1_000, "downwards");
    networks.change("wwan0", |spec| spec.metered(false));
    soon(secs(5), "upwards again", far.read_exact(&mut [0; 1_000])).await?;
    soon(secs(5), "downwards again", near.read_exact(&mut [0; 1_000])).await?;
    Ok(())
}

// behaviour: S20 I7
#[mancom::test]
async fn not_one_byte_goes_out_in_the_poll_in_which_a_flag_flips(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://instant", UNMETERED).await?;
    let flags: [fn(NetworkSpec) -> NetworkSpec; 2] = [
        |spec| spec.metered(true).roaming(true),
        |spec| spec.metered(false).roaming(false),
    ];
    for (round, label) in [UNMETERED, Label::new().prohibit(Prop::Roaming)]
        .into_iter()
        .enumerate()
    {
        near.set_label(label);
        networks.change("wwan0", flags[0]);
        // No task of the session ran since: these writes are what sees the change first.
        near.write_all(&[2; 1_000]).await?;
        near.write_labelled(label, &[2; 1_000]).await?;
        near.flush().await?;
        sleep(secs(60)).await;
        assert_eq!(sent_over(&near, "wwan0"), round as u64 * 2_000);
        networks.change("wwan0", flags[1]);
        soon(secs(5), "what waited", far.read_exact(&mut [0; 2_000])).await?;
    }
    Ok(())
}

// behaviour: S20 S5
#[mancom::test]
async fn a_flag_that_flips_moves_a_stream_that_has_somewhere_to_go(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://flip", UNMETERED).await?;
    sleep(secs(1)).await;
    assert_eq!(on(&near), ["wlan0", "wwan0"]);
    networks.change("wlan0", |spec| spec.metered(true));
    settle().await;
    near.write_all(&[2; 10_000]).await?;
    soon(secs(1), "by the other", far.read_exact(&mut [0; 10_000])).await?;
    assert_eq!(sent_over(&near, "wlan0"), 0);
    assert_eq!(sent_over(&near, "wwan0"), 10_000);
    sleep(secs(1)).await;
    assert_eq!(on(&near), ["wwan0"]);
    Ok(())
}

/// A session over `wwan0` of a manager that judges by this policy. Its peer tells nothing.
async fn under(policy: Policy, spec: NetworkSpec) -> (Networks, McStream, McStream) {
    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).policy(policy);
    let manager = manager.build().await.unwrap();
    networks.up(spec);
    let listener = manager.listen("mem://policy").anonymous().await.unwrap();
    let near = manager.connect("mem://policy").await.unwrap();
    (networks, near, listener.accept().await.unwrap())
}

// behaviour: M7 I7 S20
#[mancom::test]
async fn where_unknown_is_denied_a_fact_that_is_forgotten_stops_a_stream() -> Outcome {
    let policy = Policy {
        unknown_denied: true,
        ..Policy::default()
    };
    let (networks, mut near, mut far) = under(policy, cellular().metered(false)).await;
    near.write_labelled(UNMETERED, &[1; 1_000]).await?;
    soon(
        secs(5),
        "a peer that tells nothing is no obstacle",
        far.read_exact(&mut [0; 1_000]),
    )
    .await?;
    networks.change("wwan0", |spec| spec.metered(Fact::Unknown));
    near.write_labelled(UNMETERED, &[2; 1_000]).await?;
    sleep(secs(60)).await;
    assert_eq!(sent_over(&near, "wwan0"), 1_000);
    networks.change("wwan0", |spec| spec.metered(false));
    soon(secs(5), "known again", far.read_exact(&mut [0; 1_000])).await?;
    Ok(())
}

// behaviour: M13 I7
#[mancom::test]
async fn a_rule_of_the_system_s_policy_holds_on_open_paths() -> Outcome {
    let rule = Rule::new("background", "metered", "mancom.toml", 3).unwrap();
    let policy = Policy {
        rules: [rule].into(),
        ..Policy::default()
    };
    let (networks, mut near, mut far) = under(policy, cellular().metered(true)).await;
    near.write_labelled(Label::ANY, &[1; 1_000]).await?;
    soon(
        secs(5),
        "what no rule forbids",
        far.read_exact(&mut [0; 1_000]),
    )
    .await?;
    near.write_labelled(Label::BACKGROUND, &[2; 1_000]).await?;
    sleep(secs(60)).await;
    assert_eq!(sent_over(&near, "wwan0"), 1_000);
    networks.up(wifi().metered(false));
    soon(secs(5), "by the other", far.read_exact(&mut [0; 1_000])).await?;
    assert_eq!(sent_over(&near, "wlan0"), 1_000);
    Ok(())
}

// behaviour: I7 G4
#[mancom::test]
async fn another_policy_holds_on_open_paths_at_once() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mancom.toml");
    std::fs::write(&file, "").unwrap();
    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).config_file(&file);
    let manager = manager.build().await?;
    networks.up(cellular());
    let listener = manager.listen("mem://reload").anonymous().await?;
    let mut near = manager.connect("mem://reload").await?;
    let mut far = listener.accept().await?;
    near.write_labelled(UNMETERED, &[1; 1_000]).await?;
    soon(secs(5), "unknown", far.read_exact(&mut [0; 1_000])).await?;
    std::fs::write(&file, "unknown = \"deny\"").unwrap();
    assert!(manager.reload().unwrap());
    near.write_labelled(UNMETERED, &[2; 1_000]).await?;
    sleep(secs(60)).await;
    assert_eq!(sent_over(&near, "wwan0"), 1_000);
    // Nobody writes now: the session's own task is told.
    std::fs::write(&file, "").unwrap();
    assert!(manager.reload().unwrap());
    soon(secs(1), "what waited", far.read_exact(&mut [0; 1_000])).await?;
    Ok(())
}

// behaviour: S5
#[mancom::test]
async fn the_loss_of_the_new_network_while_it_is_dialled_leaves_the_old() -> Outcome {
    let (manager, networks) = at_most(1).await;
    networks.up(cellular());
    let (mut near, mut far) = joined_by(&manager, "mem://midway", Label::ANY).await?;
    for after in 0..12 {
        networks.up(wifi());
        sleep(secs(2) + millis(after * 7)).await;
        networks.down("wlan0");
        near.write_all(b"x").await?;
        assert_eq!(soon(secs(12), "a byte", far.read_u8()).await?, b'x');
        sleep(secs(70)).await;
    }
    Ok(())
}
