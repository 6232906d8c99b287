//! Ends of streams and of their servers.

use super::*;

#[tokio::test(start_paused = true)]
async fn without_a_hook_a_loss_is_one_error_the_same_ever_after() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let mut stream = manager.connect(SERVER).await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "hello");
    let mut events = stream.events();
    networks.down("wlan0");
    let first = timeout(LONG, stream.read_u8())
        .await
        .expect("not silence")
        .unwrap_err();
    assert_ne!(first.kind(), io::ErrorKind::UnexpectedEof);
    let first = session_error(first);
    assert!(
        first.contains("the connection was lost") && first.contains("wlan0"),
        "{first}"
    );
    for _ in 0..3 {
        assert_eq!(session_error(stream.read_u8().await.unwrap_err()), first);
        assert_eq!(
            session_error(stream.write_all(b"x").await.unwrap_err()),
            first
        );
        assert_eq!(session_error(stream.shutdown().await.unwrap_err()), first);
    }
    assert!(matches!(events.next().await, Some(PathEvent::Up(_))));
    let mut last = None;
    while let Some(event) = timeout(LONG, events.next()).await.expect("the events end") {
        last = Some(event);
    }
    assert!(matches!(last, Some(PathEvent::Closed { .. })), "{last:?}");
}

// behaviour: S4
#[tokio::test(start_paused = true)]
async fn an_orderly_end_by_the_server_is_an_end_with_and_without_a_hook() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    for hooked in [false, true] {
        let connect = manager.connect(SERVER);
        let connect = if hooked {
            connect.reconnect(Greeter(seen.clone()))
        } else {
            connect
        };
        let mut stream = connect.await.unwrap();
        let mut server = accept(&listener).await;
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        let mut all = String::new();
        timeout(LONG, stream.read_to_string(&mut all))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all, "bye");
        // Our direction is still open.
        stream.write_all(b"thanks").await.unwrap();
        assert_eq!(read(&mut server, 6).await, "thanks");
        drop(server);
        networks.down("wlan0");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(
            stream.read(&mut [0]).await.unwrap(),
            0,
            "the end stays the end"
        );
        assert!(stream.write_all(b"more").await.is_err());
        networks.up(Network::wifi("wlan0"));
    }
    assert_eq!(
        (seen.setups(), seen.teardowns().len(), exchange.tried()),
        (0, 0, 2)
    );
}

// behaviour: S18
#[tokio::test(start_paused = true)]
async fn our_end_is_told_again_on_the_next_connection() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Answer(Resume::ReplayFrom(0)));
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen))
        .await
        .unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut request = String::new();
    server.read_to_string(&mut request).await.unwrap();
    assert_eq!(request, "request");
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let answering = tokio::spawn(async move {
        let mut server = accept(&listener).await;
        let mut request = String::new();
        server.read_to_string(&mut request).await.unwrap();
        assert_eq!(request, "HELLOrequest");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        server
    });
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(
        stream.write(b"x").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    answering.await.unwrap();
}

// behaviour: S18
#[tokio::test(start_paused = true)]
async fn an_end_said_while_there_is_no_connection_is_told_to_the_next() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Answer(Resume::Continue));
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen))
        .await
        .unwrap();
    networks.down("wlan0");
    let ending = tokio::spawn(async move { stream.shutdown().await.map(|()| stream) });
    sleep(Duration::from_secs(5)).await;
    assert!(!ending.is_finished());
    networks.up(Network::wifi("wlan0"));
    ending.await.unwrap().unwrap();
    accept(&listener).await;
    let mut said = String::new();
    accept(&listener)
        .await
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert_eq!(said, "HELLO");
}

// behaviour: R4, S19
#[tokio::test(start_paused = true)]
async fn dropping_the_stream_ends_its_hook_and_its_connection() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for does in [Does::ReplayAcknowledged, Does::Hang] {
        let seen = Seen::doing(does);
        let stream = manager
            .connect(SERVER)
            .reconnect(Greeter(seen.clone()))
            .await
            .unwrap();
        cut(&networks, "wlan0").await;
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((seen.setups(), exchange.open()), (1, 1));
        drop(stream);
        tokio::task::yield_now().await;
        assert_eq!(
            (seen.gone.load(Ordering::SeqCst), exchange.open()),
            (1, 0),
            "{does:?}"
        );
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(), before);
}

// behaviour: S1, S2
#[tokio::test(start_paused = true)]
async fn reads_and_writes_wait_for_the_grace_and_then_fail_alike() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect(SERVER)
        .label("require=wifi".parse().unwrap());
    let connect = connect
        .grace(Duration::from_secs(30))
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    networks.down("wlan0");
    networks.up(Network::cellular("wwan0"));
    let start = Instant::now();
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let error = mancom::Error::from(error);
    let text = error.to_string();
    assert!(text.contains("wwan0: is cellular, not wifi"), "{text}");
    assert!(error.is_timed_out() && error.blocked().is_some());
    let again = session_error(stream.write_all(b"x").await.unwrap_err());
    assert_eq!(again, text);
    assert_eq!((seen.setups(), seen.teardowns().len()), (0, 1));
}

// behaviour: D9
#[test]
fn the_loss_of_a_plain_stream_is_told_by_its_own_error() {
    let lost: io::Error = io::Error::from_raw_os_error(104);
    let error = io::Error::from(SessionError::Lost(lost.into()));
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
