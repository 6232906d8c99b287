//! Airhook over UDP as it is; `tests/api` has it with a loss put in between.

use super::acceptor::HALF_OPEN;
use super::*;
use crate::transport::ByteLink;
use crate::transport::conformance::{self, Subject};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

fn byte_link(link: Link) -> Box<dyn ByteLink> {
    match link {
        Link::Bytes(link) => link,
        Link::Datagrams(_) => unreachable!("streams were asked for"),
    }
}

async fn accepted(acceptor: &mut dyn Acceptor) -> Box<dyn ByteLink> {
    let link = poll_fn(|cx| acceptor.poll_accept(cx));
    let link = tokio::time::timeout(Duration::from_secs(10), link).await;
    byte_link(link.expect("a link in time").expect("a link"))
}

fn subject(here: &str) -> Subject {
    Subject {
        dialler: Arc::new(Airhook::new()),
        listener: Arc::new(Airhook::new()),
        here: endpoint(here),
        there: endpoint("airhook://127.0.0.1:0"),
        nobody: endpoint("airhook://127.0.0.1:1"),
        knows_dialler: false,
        unnamed: None,
    }
}

#[tokio::test]
async fn airhook_conforms() {
    conformance::all(&subject("airhook://127.0.0.1:0")).await;
}

#[tokio::test]
async fn airhook_conforms_under_another_scheme_and_by_name() {
    conformance::all(&subject("mc+airhook://localhost:0?max=600")).await;
}

#[tokio::test]
async fn nobody_who_answers_is_waited_for_five_seconds() {
    // behaviour: EV-18
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let to = endpoint(&format!("airhook://127.0.0.1:{port}"));
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    let error = Airhook::new().connect(&to, None).await;
    let error = error.expect_err("nobody answers");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains(&to.to_string()), "{error}");
    assert_eq!(begin.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("it is bound");
    let airhook = Airhook::new();
    let at = endpoint(&format!("airhook://127.0.0.2:{}", silent.port()));
    let mut acceptor = airhook.listen(&at, None).await.expect("a port");
    let to = endpoint(&format!("airhook://ship.example:{}", silent.port()));
    let addresses = [silent, at.socket_addr().expect("an address")];
    let near = airhook.connect_resolved(&to, &addresses, None).await;
    let near = byte_link(near.expect("the second answers"));
    assert_eq!(near.peer().host(), Some("127.0.0.2"));
    accepted(&mut *acceptor).await;
    let error = airhook.connect_resolved(&to, &[], None).await;
    let error = error.expect_err("no address");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn who_opens_nothing_does_not_keep_others_out() {
    // behaviour: EV-24
    let airhook = Airhook::new();
    let at = endpoint("udp://127.0.0.1:0");
    let beneath = Udp::new().listen(&at, None).await.expect("a port");
    let to = endpoint(&format!(
        "airhook://{}",
        beneath.contact().socket_addr().expect("one")
    ));
    let mut acceptor = AirhookAcceptor::new(beneath, &at);
    let flood: Vec<_> = (0..HALF_OPEN + 50)
        .map(|n| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
            let session = (n as u32 + 1).to_be_bytes();
            let hello = [&[8, 0, 0, 1], &session[..]].concat();
            socket
                .send_to(&hello, to.socket_addr().expect("one"))
                .expect("loopback");
            socket
        })
        .collect();
    let near = airhook.connect(&to, None).await.expect("room for one more");
    let mut near = byte_link(near);
    near.write_all(b"hello").await.expect("it is open");
    let mut far = accepted(&mut acceptor).await;
    let mut heard = [0; 5];
    far.read_exact(&mut heard).await.expect("a link");
    assert_eq!(&heard, b"hello");
    let half_open = acceptor.half_open();
    assert!((1..=HALF_OPEN).contains(&half_open), "{half_open}");
    drop(flood);
}

#[tokio::test]
async fn a_peer_that_does_not_read_bounds_what_is_written() {
    let (dialler, listener) = (Airhook::new(), Airhook::new());
    let at = endpoint("airhook://127.0.0.1:0");
    let mut acceptor = listener.listen(&at, None).await.expect("a port");
    let near = dialler.connect(&acceptor.contact(), None).await;
    let mut near = byte_link(near.expect("a listener"));
    let mut far = accepted(&mut *acceptor).await;
    let mut written = 0;
    let piece = vec![7; 16 << 10];
    let writing = async {
        loop {
            written += near.write(&piece).await.expect("it is open");
        }
    };
    let stuck = tokio::time::timeout(Duration::from_secs(2), writing).await;
    assert!(stuck.is_err());
    assert!(written <= (256 + 64 + 64) << 10, "{written} bytes");
    assert!(near.acknowledged().is_some_and(|n| n <= 256 << 10));
    let mut read = vec![0; written];
    far.read_exact(&mut read).await.expect("all of it");
    assert!(read.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn datagrams_that_are_too_small_or_none_are_refused() {
    let to = endpoint("airhook://127.0.0.1:9?max=524");
    let error = Airhook::new().connect(&to, None).await;
    let error = error.expect_err("too small");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("525 bytes"), "{error}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("it is bound");
    let over_tcp = Airhook::over("radio", Arc::new(crate::transport::Tcp::new()));
    assert_eq!(over_tcp.scheme(), "radio");
    let to = endpoint(&format!("radio://{at}"));
    let error = over_tcp.connect(&to, None).await.expect_err("bytes");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_link_whose_runtime_is_gone_fails() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut near = runtime.block_on(async {
        let airhook = Airhook::new();
        let at = endpoint("airhook://127.0.0.1:0");
        let acceptor = airhook.listen(&at, None).await.expect("a port");
        let near = airhook.connect(&acceptor.contact(), None).await;
        byte_link(near.expect("a listener"))
    });
    drop(runtime);
    let mut cx = Context::from_waker(Waker::noop());
    let mut near = std::pin::Pin::new(&mut *near);
    let written = tokio::io::AsyncWrite::poll_write(near.as_mut(), &mut cx, b"!");
    match written {
        Poll::Ready(Err(e)) => assert_eq!(e.kind(), io::ErrorKind::ConnectionAborted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_link_measured_of_its_way_is_told() {
    let (dialler, listener) = (Airhook::new(), Airhook::new());
    let at = endpoint("airhook://127.0.0.1:0");
    let mut acceptor = listener.listen(&at, None).await.expect("a port");
    let near = dialler.connect(&acceptor.contact(), None).await;
    let mut near = byte_link(near.expect("a listener"));
    let mut far = accepted(&mut *acceptor).await;
    let mut read = vec![0; 300_000];
    let bytes = vec![7; read.len()];
    tokio::try_join!(near.write_all(&bytes), far.read_exact(&mut read)).expect("it is open");
    near.flush().await.expect("it is open");
    // What the far end answers confirms what came before it.
    far.write_all(b"!").await.expect("it is open");
    near.read_exact(&mut [0]).await.expect("it is open");
    let told = near.measure().expect("it measures");
    let outstanding = told.outstanding.expect("it is counted");
    assert_eq!(told.acknowledged + outstanding, bytes.len() as u64);
    assert!(told.acknowledged > 0 && told.unsent == Some(0));
    assert!(told.least_rtt.is_some() && told.least_rtt <= told.rtt);
    assert!(told.busy > Duration::ZERO && told.segments > 0, "{told:?}");
}
