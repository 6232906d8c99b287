//! Lanes for interactive traffic beside other traffic.

use super::*;

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
async fn after_silence_a_network_has_one_general_path_and_the_lane_beside_it(
    networks: Networks,
) -> Outcome {
    networks.up(wifi().up(20_000_000).down(20_000_000));
    networks.up(metered());
    let (mut near, mut far) = joined("mem://orphan", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let mut talk = here.open(Label::INTERACTIVE).await?;
    talk.write_all(b"hi").await?;
    let mut hearing = there.accept().await?;
    let sinks = tokio::spawn(async move {
        let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let one = async { while far.read(&mut one).await.is_ok_and(|n| n > 0) {} };
        let other = async { while hearing.read(&mut other).await.is_ok_and(|n| n > 0) {} };
        let messages = async { while there.recv().await.is_ok() {} };
        tokio::join!(one, other, messages)
    });
    near.set_label(UNMETERED);
    let bulk = tokio::spawn(async move { while near.write_all(&[0; 20_000]).await.is_ok() {} });
    let labels = [UNMETERED, UNMETERED.interactive(), UNMETERED.background()];
    let sending = here.clone();
    let messages = tokio::spawn(async move {
        for label in labels.into_iter().cycle() {
            if sending.send(label, vec![1; 2000]).await.is_err() {
                break;
            }
            sleep(millis(10)).await;
        }
    });
    for tenth in 0..60 {
        talk.write_all(&[1; 100]).await?;
        sleep(millis(100)).await;
        match tenth {
            20 => networks.stall("wlan0", true),
            35 => networks.stall("wlan0", false),
            _ => {}
        }
    }
    let mut paths = here.paths();
    paths.retain(|path| path.name.as_deref() == Some("wlan0"));
    let mut ids: Vec<u8> = paths.iter().map(|path| path.path.0).collect();
    ids.sort_unstable();
    let [general, lane] = ids[..] else {
        panic!("not one and its lane: {ids:?}")
    };
    assert_eq!(general + 4, lane);
    for task in [bulk, messages] {
        task.abort();
    }
    sinks.abort();
    Ok(())
}
