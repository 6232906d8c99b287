//! What a hook answers: replay, continue, give up.

use super::*;

/// A stream that has written `written`, its network lost and back, its hook answering so.
async fn after_a_loss(written: &[u8], does: Does) -> (Manager, mancom::McStream, mancom::Listener) {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let connect = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(does)));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(written).await.unwrap();
    read(&mut server, written.len()).await;
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    (manager, stream, listener)
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn continuing_resends_nothing() {
    let (_manager, mut stream, listener) =
        after_a_loss(b"hello", Does::Answer(Resume::Continue)).await;
    let mut server = accept(&listener).await;
    stream.write_all(b"world").await.unwrap();
    assert_eq!(read(&mut server, 10).await, "HELLOworld");
}

#[tokio::test(start_paused = true)]
async fn a_replay_needs_nobody_who_writes() {
    let (_manager, mut stream, listener) =
        after_a_loss(b"what time is it?", Does::Answer(Resume::ReplayFrom(0))).await;
    let mut server = accept(&listener).await;
    let asked = tokio::spawn(async move {
        assert_eq!(read(&mut server, 21).await, "HELLOwhat time is it?");
        server.write_all(b"noon").await.unwrap();
        server
    });
    assert_eq!(read(&mut stream, 4).await, "noon");
    asked.await.unwrap();
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_longer_kept_are_an_error_not_a_gap() {
    let (scout, networks) = mancom::testing::scripted();
    let mut settings = mancom::stream::Settings::default();
    settings.send_buffer = 8;
    let line = crate::line::transport(&scout);
    let builder = Manager::builder()
        .scout(scout)
        .transport(line)
        .settings(settings);
    let manager = builder.build().await.unwrap();
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    // This transport does not tell what was acknowledged: the hook has to ask for everything.
    let connect = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::ReplayAcknowledged)));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"twenty bytes of it..").await.unwrap();
    read(&mut server, 20).await;
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    let text = session_error(error);
    assert!(text.contains("byte 0") && text.contains("last 8"), "{text}");
    let mut server = accept(&listener).await;
    let mut got = String::new();
    server.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "HELLO", "not one byte of the stream");
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn an_offset_beyond_what_was_written_fails_the_stream() {
    let (_manager, mut stream, _listener) =
        after_a_loss(b"hello", Does::Answer(Resume::ReplayFrom(6))).await;
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_gives_up_fails_the_stream() {
    let (_manager, mut stream, _listener) =
        after_a_loss(b"hello", Does::Answer(Resume::Fail)).await;
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert!(session_error(error).contains("the hook gave up"));
    assert!(stream.write_all(b"x").await.is_err());
}
