//! Networks that come and go.

use super::*;

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
