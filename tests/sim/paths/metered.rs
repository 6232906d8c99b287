//! Networks that cost: opened beside a free one only for a reason.

use super::*;

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
