//! Paths that fall silent.

use mancom::stream::Settings;

use super::*;
use crate::support::with;

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

// behaviour: I11 S10
#[mancom::test]
async fn a_path_that_moves_again_before_another_is_there_stays(networks: Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://again", Label::ANY).await?;
    until_on(&near, &["wlan0"], secs(1)).await;
    let mut events = near.events();
    drain(&mut events).await;
    networks.stall("wlan0", true);
    near.write_all(&[1; 100_000]).await?;
    sleep(secs(4)).await;
    networks.stall("wlan0", false);
    soon(
        secs(5),
        "by the old path",
        far.read_exact(&mut [0; 100_000]),
    )
    .await?;
    sleep(secs(5)).await;
    let seen = drain(&mut events).await;
    let suspect = |event: &PathEvent| matches!(event, PathEvent::Suspect(_));
    assert!(
        seen.iter().any(suspect),
        "long enough to be missed: {seen:?}"
    );
    assert!(downs(&seen).is_empty(), "{seen:?}");
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

/// Two networks, of which the wifi falls silent after 10 s while nothing is said for a minute: what is
/// told of paths, each at what time since then, and the networks in use at the end.
async fn silent_while_idle(
    probe_idle: Option<Duration>,
) -> Result<(Vec<(Duration, PathEvent)>, Vec<String>), mancom::Error> {
    let mut settings = Settings::default();
    settings.probe_idle = probe_idle;
    let (manager, networks) = with(settings).await;
    networks.up(wifi());
    networks.up(cellular());
    let (mut near, mut far) = joined_by(&manager, "mem://idle", Label::ANY).await?;
    until_on(&near, &["wlan0", "wwan0"], secs(1)).await;
    let mut events = near.events();
    sleep(secs(10)).await;
    drain(&mut events).await;
    networks.stall("wlan0", true);
    let (silent, mut seen) = (Instant::now(), Vec::new());
    while let Ok(event) = tokio::time::timeout_at(silent + secs(60), events.next()).await {
        let event = event.expect("the session lives");
        seen.push((silent.elapsed(), event));
    }
    let on = on(&near);
    // Known or not, what is said then arrives by the other.
    near.write_all(b"x").await?;
    assert_eq!(soon(secs(5), "by the other", far.read_u8()).await?, b'x');
    Ok((seen, on))
}

// behaviour: I11
#[mancom::test]
async fn a_network_that_falls_silent_while_nothing_is_said_is_found_by_a_probe_alone() -> Outcome {
    let (seen, on) = silent_while_idle(None).await?;
    assert!(seen.is_empty(), "nobody asked: {seen:?}");
    assert_eq!(on, ["wlan0", "wwan0"]);

    let (seen, on) = silent_while_idle(Some(secs(5))).await?;
    let of_wifi = |(_, event): &(Duration, PathEvent)| event.to_string().contains("wlan0");
    assert!(seen.iter().all(of_wifi), "the other answers: {seen:?}");
    let (doubted, first) = &seen[0];
    assert!(matches!(first, PathEvent::Suspect(_)), "{seen:?}");
    assert!(*doubted < secs(6), "{seen:?}");
    let (ended, second) = &seen[1];
    assert!(matches!(second, PathEvent::Down { .. }), "{seen:?}");
    assert!(*ended < secs(7), "after `stall`: {seen:?}");
    assert_eq!(on, ["wwan0"]);
    Ok(())
}

// behaviour: I11 S10
#[mancom::test]
async fn who_only_receives_goes_on_by_another_network_after_a_pause(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(metered());
    let (mut near, mut far) = joined("mem://receives", Label::ANY).await?;
    assert_eq!(on(&near), ["wlan0"], "the metered one is not woken");
    far.write_all(b"x").await?;
    assert_eq!(near.read_u8().await?, b'x');
    sleep(secs(5)).await;
    networks.stall("wlan0", true);
    // Nobody says anything more; asked is when the pause has doubled.
    until_on(&near, &["wwan0"], secs(8)).await;
    far.write_all(b"y").await?;
    assert_eq!(soon(secs(1), "by the other", near.read_u8()).await?, b'y');
    Ok(())
}

// behaviour: I11
#[mancom::test]
async fn a_listener_that_only_receives_doubts_a_silent_network_too(networks: Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://listens", Label::ANY).await?;
    near.write_all(b"x").await?;
    assert_eq!(far.read_u8().await?, b'x');
    let mut events = far.events();
    drain(&mut events).await;
    sleep(secs(5)).await;
    networks.stall("wlan0", true);
    sleep(secs(13)).await;
    let seen = drain(&mut events).await;
    let suspect = |event: &PathEvent| matches!(event, PathEvent::Suspect(_));
    assert!(seen.iter().any(suspect), "{seen:?}");
    networks.stall("wlan0", false);
    far.write_all(b"y").await?;
    assert_eq!(
        soon(secs(35), "once it can be", near.read_u8()).await?,
        b'y'
    );
    Ok(())
}
