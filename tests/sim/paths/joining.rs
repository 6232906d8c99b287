//! Which networks are joined, and what becomes of a path whose network goes.

use super::*;

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
    let exchanging = tokio::spawn(exchange(near, far, 2, 64 << 20));
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
