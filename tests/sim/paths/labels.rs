//! What labels ask for and forbid.

use super::*;

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
