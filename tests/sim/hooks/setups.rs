//! Setups that hang, fail, panic, or come too often.

use super::*;

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_setup_is_dropped_when_a_better_network_appears() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Hang);
    let label: Label = "prefer=ethernet".parse().unwrap();
    let connect = manager
        .connect(SERVER)
        .label(label)
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.setups(), seen.running.load(Ordering::SeqCst)), (1, 1));
    // A network that is no better changes nothing.
    networks.up(Network::cellular("wwan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.setups(), 1);
    seen.now_do(Does::ReplayAcknowledged);
    networks.up(Network::ethernet("eth0"));
    stream.write_all(b"on").await.unwrap();
    let at_server = async {
        loop {
            let mut server = accept(&listener).await;
            let mut got = [0; 7];
            if server.read_exact(&mut got).await.is_ok() && &got == b"HELLOon" {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), at_server).await.unwrap();
    assert_eq!(
        seen.most.load(Ordering::SeqCst),
        1,
        "one instance at a time"
    );
    assert_eq!(
        (seen.setups(), seen.teardowns().len()),
        (2, 1),
        "one teardown a loss"
    );
    assert_eq!(
        exchange.attempts_by_network(),
        [("eth0".into(), 1), ("wlan0".into(), 2)].into()
    );
}

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_setup_that_fails_is_tried_again_ever_later() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Fail);
    let connect = manager.connect(SERVER).reconnect(Greeter(seen.clone()));
    let mut stream = connect.grace(Duration::from_secs(120)).await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let text = session_error(error);
    assert!(text.contains("wrong password"), "{text}");
    let times: Vec<Instant> = seen
        .setups
        .lock()
        .unwrap()
        .iter()
        .map(|(at, _)| *at)
        .collect();
    assert!(
        (10..=20).contains(&times.len()),
        "{} attempts in 120 s",
        times.len()
    );
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[0] >= Duration::from_millis(75) && gaps[0] <= Duration::from_millis(126),
        "{gaps:?}"
    );
    assert!(gaps.last().unwrap() > &Duration::from_secs(10), "{gaps:?}");
    assert_eq!(seen.teardowns().len(), 1);
}

// behaviour: S13
#[tokio::test(start_paused = true)]
async fn flapping_makes_no_more_than_ten_attempts_in_ten_seconds() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Fail);
    let _stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen.clone()))
        .await
        .unwrap();
    for _ in 0..600 {
        networks.down("wlan0");
        sleep(Duration::from_millis(50)).await;
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_millis(50)).await;
    }
    assert_at_most_ten_in_ten_seconds(&exchange);
    assert!(
        exchange.tried() > 30,
        "it did not give up either: {}",
        exchange.tried()
    );
}

fn assert_at_most_ten_in_ten_seconds(exchange: &Exchange) {
    let attempts = exchange.attempts.lock().unwrap();
    // The first is the `connect`'s own.
    for eleven in attempts[1..].windows(11) {
        assert!(eleven[10].0 - eleven[0].0 >= Duration::from_secs(10));
    }
}

// behaviour: S12
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_is_an_error_of_that_stream_alone() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let bad = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::Panic)));
    let mut bad = bad.await.unwrap();
    let good = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::ReplayAcknowledged)));
    let mut good = good.await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, bad.read_u8()).await.unwrap().unwrap_err();
    assert!(session_error(error).contains("the hook panicked: no such user"));
    good.write_all(b"fine").await.unwrap();
    let served = async {
        loop {
            let mut server = accept(&listener).await;
            let mut got = [0; 9];
            if server.read_exact(&mut got).await.is_ok() {
                assert_eq!(&got, b"HELLOfine");
                return;
            }
        }
    };
    timeout(LONG, served).await.unwrap();
}
