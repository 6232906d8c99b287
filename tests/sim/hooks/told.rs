//! What a hook is told.

use super::*;

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_hook_is_told_true_figures_at_each_loss() {
    let (manager, networks, exchange) = world().await;
    exchange.tells.store(true, Ordering::SeqCst);
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen.clone()))
        .await
        .unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"0123456789").await.unwrap();
    assert_eq!(read(&mut server, 10).await, "0123456789");
    server.write_all(b"abc").await.unwrap();
    assert_eq!(read(&mut stream, 3).await, "abc");

    // The last four were not acknowledged: they come again, after the greeting.
    exchange.unacknowledged.store(4, Ordering::SeqCst);
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    exchange.unacknowledged.store(0, Ordering::SeqCst);
    networks.up(Network::cellular("wwan0"));
    let mut server = accept(&listener).await;
    assert_eq!(read(&mut server, 9).await, "HELLO6789");

    // And after a second loss: the greeting counts for nothing, nothing is asked for twice.
    stream.write_all(b"XY").await.unwrap();
    assert_eq!(read(&mut server, 2).await, "XY");
    cut(&networks, "wwan0").await;
    networks.up(Network::wifi("wlan0"));
    let mut server = accept(&listener).await;
    assert_eq!(read(&mut server, 5).await, "HELLO");
    stream.write_all(b"Z").await.unwrap();
    assert_eq!(read(&mut server, 1).await, "Z");

    let told: Vec<_> = seen
        .teardowns()
        .iter()
        .map(|c| (c.written, c.acknowledged, c.read))
        .collect();
    assert_eq!(told, [(10, Some(6), 3), (12, Some(12), 3)]);
    let setups = seen
        .setups
        .lock()
        .unwrap()
        .iter()
        .map(|(_, carried)| *carried)
        .collect::<Vec<_>>();
    assert_eq!(setups, seen.teardowns());
    let stats = stream.stats();
    assert_eq!((stats.written, stats.read, stats.resent()), (13, 3, 4));
    assert_eq!(seen.most.load(Ordering::SeqCst), 1);
}

// behaviour: S12
#[tokio::test(start_paused = true)]
async fn a_hook_on_a_session_observes_its_paths() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen("mem://echo").await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect("mem://echo")
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "hello");
    server.write_all(b"you").await.unwrap();
    assert_eq!(read(&mut stream, 3).await, "you");
    sleep(Duration::from_secs(1)).await;
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 0));
    networks.up(Network::wifi("wlan0"));
    stream.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "again");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 1));
    let told = seen.teardowns()[0];
    assert_eq!(
        (told.written, told.acknowledged, told.read),
        (5, Some(5), 3)
    );

    // One more beside it is no change; the loss of the one it was told of is, and the other was there.
    networks.up(Network::ethernet("eth0"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stream.session().paths().len(), 2);
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 1));
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("eth0"));
    assert_eq!((seen.teardowns().len(), seen.setups()), (2, 2));

    // A panic there is that stream's error.
    seen.now_do(Does::Panic);
    networks.down("eth0");
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    assert!(stream.write_all(b"x").await.is_err());
}

/// The peer's close is what a hook is there for; one's own is nobody's news.
// behaviour: EV-14
#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_is_told_once_and_who_closes_himself_is_told_nothing() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    for at in [SERVER, "mem://session"] {
        let connect = async |seen: &Arc<Seen>, number: usize| {
            let at = format!("{at}-{number}");
            let listener = manager.listen(&at[..]).await.unwrap();
            let connect = manager.connect(&at[..]).reconnect(Greeter(seen.clone()));
            let mut near = connect.await.unwrap();
            let mut far = accept(&listener).await;
            near.write_all(b"hello").await.unwrap();
            assert_eq!(read(&mut far, 5).await, "hello");
            (near, far, listener)
        };
        let told = |seen: &Seen| (seen.setups(), seen.teardowns().len());

        // The connection goes: once, however long nothing comes in its place.
        let seen = Seen::doing(Does::ReplayAcknowledged);
        let (near, far, _listener) = connect(&seen, 0).await;
        networks.down("wlan0");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(told(&seen), (0, 1), "{at}");
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_secs(30)).await;
        assert_eq!(told(&seen), (1, 1), "{at}");
        drop((near, far));

        // In good order, aborted, and dropped as it is.
        for way in 1..=3 {
            let seen = Seen::doing(Does::ReplayAcknowledged);
            let (mut near, far, _listener) = connect(&seen, way).await;
            match way {
                1 => timeout(LONG, near.shutdown()).await.unwrap().unwrap(),
                2 => near.abort(),
                _ => drop(near),
            }
            drop(far);
            sleep(Duration::from_secs(60)).await;
            assert_eq!(told(&seen), (0, 0), "{at}: {way}");
        }
    }
}
