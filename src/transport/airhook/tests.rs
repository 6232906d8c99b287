//! Airhook over UDP, as it is and with a loss put in between.

use super::acceptor::HALF_OPEN;
use super::*;
use crate::proto::pair::Seeded;
use crate::transport::conformance::{self, Subject};
use crate::transport::{ByteLink, DatagramLink};
use std::sync::Mutex;
use std::task::{Context, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

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

/// UDP that loses every so-many-th datagram by chance, both ways.
#[derive(Debug)]
struct Lossy {
    udp: Udp,
    /// In percent.
    loss: u64,
    chance: Arc<Mutex<Seeded>>,
}

struct LossyLink {
    link: Box<dyn DatagramLink>,
    loss: u64,
    chance: Arc<Mutex<Seeded>>,
}

impl DatagramLink for LossyLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        if self.chance.lock().expect("no panic").below(100) < self.loss {
            return Poll::Ready(Ok(()));
        }
        self.link.poll_send(cx, datagram)
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.link.poll_recv(cx, buf)
    }

    fn peer(&self) -> Option<Endpoint> {
        self.link.peer()
    }

    fn max_datagram(&self) -> usize {
        self.link.max_datagram()
    }
}

struct LossyAcceptor {
    beneath: Box<dyn Acceptor>,
    loss: u64,
    chance: Arc<Mutex<Seeded>>,
}

fn lossy(link: Link, loss: u64, chance: &Arc<Mutex<Seeded>>) -> Link {
    match link {
        Link::Datagrams(link) => Link::Datagrams(Box::new(LossyLink {
            link,
            loss,
            chance: Arc::clone(chance),
        })),
        Link::Bytes(_) => unreachable!("UDP has datagrams"),
    }
}

impl Acceptor for LossyAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let (loss, chance) = (self.loss, &self.chance);
        self.beneath
            .poll_accept(cx)
            .map_ok(|link| lossy(link, loss, chance))
    }

    fn contact(&self) -> Endpoint {
        self.beneath.contact()
    }
}

impl Transport for Lossy {
    fn scheme(&self) -> &'static str {
        "udp"
    }

    fn characteristics(&self) -> Characteristics {
        self.udp.characteristics()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let link = self.udp.connect(to, on).await?;
            Ok(lossy(link, self.loss, &self.chance))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let beneath = self.udp.listen(at, on).await?;
            let (loss, chance) = (self.loss, Arc::clone(&self.chance));
            Ok(Box::new(LossyAcceptor {
                beneath,
                loss,
                chance,
            }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.udp.is_self(contact)
    }

    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        self.udp.same_peer(contact, link)
    }
}

fn over_loss(loss: u64) -> Airhook {
    let (udp, chance) = (Udp::new(), Arc::new(Mutex::new(Seeded::new(loss))));
    Airhook::over("airhook", Arc::new(Lossy { udp, loss, chance }))
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
async fn airhook_conforms_where_a_third_of_all_is_lost() {
    let subject = Subject {
        dialler: Arc::new(over_loss(33)),
        listener: Arc::new(over_loss(33)),
        ..subject("airhook://127.0.0.1:0")
    };
    conformance::echoes(&subject).await;
    conformance::carries_messages_whole_and_in_order(&subject).await;
    conformance::reads_into_several_buffers(&subject).await;
    conformance::sees_a_half_close(&subject).await;
    conformance::sees_the_peer_close_once(&subject).await;
    conformance::knows_its_peer(&subject).await;
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
