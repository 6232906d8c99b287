//! Labels and networks of plain streams.

use super::*;

// behaviour: S16, S20
#[tokio::test(start_paused = true)]
async fn a_network_that_no_longer_fits_the_label_is_given_up() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0").metered(false));
    let _listener = manager.listen(SERVER).await.unwrap();
    let label: Label = "prohibit=metered".parse().unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let hooked = manager
        .connect(SERVER)
        .label(label)
        .reconnect(Greeter(seen.clone()));
    let hooked = hooked.await.unwrap();
    let mut bare = manager.connect(SERVER).label(label).await.unwrap();
    let mut tightened = manager.connect(SERVER).await.unwrap();
    assert_eq!(exchange.open(), 3);
    networks.change("wlan0", |wifi| wifi.metered(true));
    let error = timeout(LONG, bare.read_u8()).await.unwrap().unwrap_err();
    let text = session_error(error);
    assert!(
        text.contains("wlan0 no longer admits `prohibit=metered`"),
        "{text}"
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(exchange.open(), 1);
    assert!(hooked.session().paths().is_empty());
    tightened.set_label(label);
    assert!(timeout(LONG, tightened.read_u8()).await.unwrap().is_err());
    networks.up(Network::ethernet("eth0").metered(false));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(hooked.session().paths()[0].name.as_deref(), Some("eth0"));
    assert_eq!(seen.setups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_one_network_comes_back_on_that_alone() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    networks.up(Network::cellular("wwan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let cellular = manager
        .matching("require=cellular".parse().unwrap())
        .await
        .unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect(SERVER)
        .on(&cellular)
        .reconnect(Greeter(seen.clone()));
    let stream = connect.await.unwrap();
    assert_eq!(
        stream.label(),
        Label::ANY,
        "the interface is no part of the stream's label"
    );
    networks.down("wwan0");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.setups(), 0);
    networks.up(Network::cellular("wwan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.setups(), 1);
    assert_eq!(exchange.attempts_by_network(), [("wwan0".into(), 2)].into());
}

// behaviour: S20, I7
#[tokio::test(start_paused = true)]
async fn nothing_is_written_in_the_poll_in_which_a_flag_flips() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0").metered(false));
    let listener = manager.listen(SERVER).await.unwrap();
    let unmetered: Label = "prohibit=metered".parse().unwrap();
    let connect = || manager.connect(SERVER);
    let mut bare = connect().label(unmetered).await.unwrap();
    let mut at_bare = accept(&listener).await;
    let mut free = connect().await.unwrap();
    let mut at_free = accept(&listener).await;
    networks.change("wlan0", |wifi| wifi.metered(true));
    let error = bare.write_all(b"dear").await.unwrap_err();
    let text = session_error(error);
    assert!(text.contains("wlan0 no longer admits"), "{text}");
    assert!(free.write_labelled(unmetered, b"dear").await.is_err());
    free.write_all(b"cheap").await.unwrap();
    assert_eq!(read(&mut at_free, 5).await, "cheap");
    let rest = timeout(LONG, at_bare.read_u8()).await.unwrap();
    assert!(rest.is_err(), "not a byte: {rest:?}");
}

// behaviour: I7
#[tokio::test(start_paused = true)]
async fn a_chunk_whose_label_the_network_does_not_admit_is_not_written() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0").metered(true));
    let listener = manager.listen(SERVER).await.unwrap();
    let mut stream = manager.connect(SERVER).await.unwrap();
    let mut server = accept(&listener).await;
    let unmetered: Label = "prohibit=metered".parse().unwrap();
    let error = stream.write_labelled(unmetered, b"dear").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
    assert_eq!(
        error.to_string(),
        "network wlan0 does not admit `prohibit=metered`"
    );
    stream
        .write_labelled(Label::BACKGROUND, b"cheap")
        .await
        .unwrap();
    assert_eq!(read(&mut server, 5).await, "cheap");
}
