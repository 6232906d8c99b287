//! Addresses that are silent, refuse, or are none.

use super::*;

#[cfg(target_os = "linux")]
/// A listener whose queue is full: the kernel drops what knocks.
async fn silent() -> (std::net::SocketAddr, Vec<Box<dyn std::any::Any>>) {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("listening");
    let at = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("an address");
    let mut kept: Vec<Box<dyn std::any::Any>> = vec![Box::new(socket)];
    for _ in 0..4 {
        let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        filler.set_nonblocking(true).expect("a socket");
        // In progress, or in the queue: either fills it.
        drop(filler.connect(&at.into()));
        kept.push(Box::new(filler));
    }
    (at, kept)
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_silent_host_fails_after_five_seconds() {
    // behaviour: EV-18
    let (at, _kept) = silent().await;
    let tcp = Tcp::new();
    let began = Instant::now();
    let to = endpoint(&format!("tcp://{at}"));
    let error = tcp.connect(&to, None).await.expect_err("nobody answers");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("no answer within 5s"), "{error}");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(6),
        "{took:?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn the_second_address_is_tried_a_quarter_of_a_second_later() {
    let (silent, _kept) = silent().await;
    let answers = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
    let answering = answers.local_addr().expect("bound");
    let began = Instant::now();
    let stream = connect_any(&[silent, answering], None)
        .await
        .expect("one answers");
    assert_eq!(stream.peer_addr().expect("connected"), answering);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(250) && took < Duration::from_secs(1),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_gives_way_at_once() {
    let refuses: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let answers = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let answering = answers.local_addr().expect("bound");
    let began = Instant::now();
    let stream = connect_any(&[refuses, answering], None)
        .await
        .expect("one answers");
    assert_eq!(stream.peer_addr().expect("connected"), answering);
    assert!(began.elapsed() < Duration::from_millis(250));
    let error = connect_any(&[refuses, refuses], None)
        .await
        .expect_err("none answers");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let error = connect_any(&[], None).await.expect_err("none given");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn endpoints_without_a_place_are_refused() {
    let tcp = Tcp::new();
    for text in [
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:7000-7010",
    ] {
        let error = tcp
            .connect(&endpoint(text), None)
            .await
            .expect_err("nowhere");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
    }
    let (memory, _) = unsimulated();
    let error = memory
        .connect(&endpoint("tcp://127.0.0.1:7000"), None)
        .await
        .expect_err("nowhere");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
