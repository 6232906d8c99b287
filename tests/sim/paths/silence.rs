//! Paths that fall silent.

use super::*;

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
