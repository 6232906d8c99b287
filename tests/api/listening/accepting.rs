//! Who is accepted, and who waits.

use super::*;

#[tokio::test]
async fn an_accept_that_is_dropped_loses_no_stream() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let mut streams = Vec::new();
    for n in 0..8 {
        let connecting = tokio::spawn(manager.connect(format!("mc://{at}")).into_future());
        for _ in 0..20 {
            let accept = listener.accept();
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                stream = accept => streams.push((n, stream.unwrap())),
            }
        }
        let stream = soon(connecting).await.unwrap().unwrap();
        if streams.last().is_none_or(|(of, _)| *of != n) {
            streams.push((n, soon(listener.accept()).await.unwrap()));
        }
        drop(stream);
    }
    assert_eq!(streams.len(), 8);
}

#[tokio::test]
async fn plain_connections_beyond_the_backlog_wait_in_the_system() {
    let manager = manager(|settings| settings.backlog = 2).await;
    let listener = manager.listen("tcp://127.0.0.1:0").await.unwrap();
    let mut near = Vec::new();
    for n in 0..9 {
        let mut raw = Raw::dial(address(&listener)).await;
        raw.send(&[n]).await;
        near.push(raw);
    }
    let mut told = Vec::new();
    for _ in 0..9 {
        let mut stream = soon(listener.accept()).await.unwrap();
        told.push(soon(stream.read_u8()).await.unwrap());
    }
    assert_eq!(told, (0..9).collect::<Vec<u8>>());
    listener.stop();
    deaf(address(&listener)).await;
}

#[tokio::test]
async fn sessions_beyond_the_backlog_wait_in_their_handshake() {
    let manager = manager(|settings| settings.backlog = 2).await;
    let (listener, at) = listen(&manager).await;
    let mut shown = Vec::new();
    for _ in 0..2 {
        let (mut raw, _) = session(Raw::dial(at).await).await.unwrap();
        raw.send(&[opening(0), data(0, 0, b"x")].concat()).await;
        // Its acknowledgement tells that the stream is there.
        raw.frame_of(&[9]).await;
        shown.push(raw);
    }
    tokio::task::yield_now().await;
    let mut waiting = tokio::spawn(async move { session(Raw::dial(at).await).await });
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "there is no room");
    let first = soon(listener.accept()).await.unwrap();
    soon(waiting).await.unwrap().expect("there is room now");
    drop(first);
}

#[tokio::test]
async fn sessions_that_open_no_stream_crowd_out_each_other() {
    let manager = manager(|settings| settings.backlog = 3).await;
    let (listener, at) = listen(&manager).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(session(Raw::dial(at).await).await.unwrap().0);
    }
    for raw in &mut silent[..7] {
        raw.frame_of(&[0x16]).await;
    }
    let mut last = silent.pop().unwrap();
    last.send(&[opening(0), data(0, 0, b"at last")].concat())
        .await;
    let mut served = soon(listener.accept()).await.unwrap();
    let mut text = [0; 7];
    soon(served.read_exact(&mut text)).await.unwrap();
    // They do not hold the listener's sockets either.
    drop((listener, served));
    last.send(&frame(0x16, &[0, 0, 0, 1])).await;
    last.frame_of(&[0x17]).await;
    drop((last, silent));
    deaf(at).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_opens_no_stream_is_given_up_after_half_a_minute() {
    let scout = Scout::fixed([]);
    let transports = mancom::transport::Registry::built_in(&scout);
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let listener = manager.listen("mem://silence").await.unwrap();
    let to = "mem://silence".parse().unwrap();
    let Ok(Link::Bytes(link)) = transports.get("mem").unwrap().connect(&to, None).await else {
        panic!("a pipe");
    };
    let (raw, _) = session(Raw(link)).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut said = Vec::new();
    let mut link = raw.0;
    let told = tokio::time::timeout(Duration::from_secs(40), link.read_to_end(&mut said)).await;
    assert!(
        told.is_ok() && began.elapsed() >= Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    let accepted = tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
    assert!(accepted.is_err(), "and was never shown");
    drop(listener);
    manager.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_descriptors_accepting_pauses_and_goes_on() {
    use crate::raw::{descriptors, in_a_process_of_its_own};
    use rustix::process::{Resource, getrlimit, setrlimit};
    if !in_a_process_of_its_own(
        "listening::accepting::without_descriptors_accepting_pauses_and_goes_on",
    ) {
        return;
    }
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    let served = soon(listener.accept()).await.unwrap();
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(served);
        tokio::io::copy(&mut read, &mut write).await
    });
    // Made before, connected when nothing is left.
    let sockets: Vec<_> = (0..8)
        .map(|_| tokio::net::TcpSocket::new_v4().unwrap())
        .collect();
    let half_open = Raw::dial(at).await;
    until(|| descriptors() > 0).await;
    ask(&mut stream, b"before").await;
    let mut limit = getrlimit(Resource::Nofile);
    let was = limit.current;
    limit.current = Some(descriptors() as u64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut connected = Vec::new();
    for socket in sockets {
        connected.push(Raw(soon(socket.connect(at)).await.unwrap()));
    }
    let error = soon(listener.accept()).await.unwrap_err();
    assert!(
        matches!(&error, AcceptError::Io(_)) && !error.is_closed(),
        "{error}"
    );
    ask(&mut stream, b"during").await;
    // The oldest handshake made room for the next, and so on: only the last is left.
    let mut oldest = half_open;
    oldest.ended().await;
    for raw in &mut connected[..7] {
        raw.ended().await;
    }
    let told_again = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(told_again.is_err(), "told once: {told_again:?}");
    limit.current = was;
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fresh = manager.connect(format!("mc://{at}")).await.unwrap();
    echo(listener);
    ask(&mut fresh, b"after").await;
    ask(&mut stream, b"after").await;
}
