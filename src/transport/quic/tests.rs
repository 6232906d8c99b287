//! Two ends over loopback, and those who do not keep to it.

use super::hello::Choosing;
use super::*;
use crate::transport::{ByteLink, Link};
use proptest::prelude::*;
use quinn::crypto::ServerConfig;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime, UdpPoller};
use quinn_proto::Side;
use quinn_proto::transport_parameters::TransportParameters;
use rcgen::{CertificateParams, KeyPair};
use std::future::poll_fn;
use std::io::IoSliceMut;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("in time")
}

fn byte_link(link: Link) -> Box<dyn ByteLink> {
    match link {
        Link::Bytes(link) => link,
        Link::Datagrams(_) => unreachable!("streams were asked for"),
    }
}

async fn accepted(acceptor: &mut dyn Acceptor) -> Box<dyn ByteLink> {
    byte_link(
        soon(poll_fn(|cx| acceptor.poll_accept(cx)))
            .await
            .expect("a link"),
    )
}

/// A listener, and a transport that believes it.
struct Ends {
    listener: Quic,
    dialler: Quic,
    acceptor: Box<dyn Acceptor>,
    at: Endpoint,
}

async fn ends(at: &str) -> Ends {
    let server = Identity::generate().expect("entropy");
    let listener = Quic::new().identity(&server);
    let acceptor = listener.listen(&endpoint(at), None).await;
    let acceptor = acceptor.expect("a listener");
    Ends {
        at: acceptor.contact(),
        dialler: Quic::new().pin(server.public_key()),
        listener,
        acceptor,
    }
}

const HERE: &str = "quic://127.0.0.1:0";

impl Ends {
    async fn dial(&self) -> io::Result<Box<dyn ByteLink>> {
        let dialled = soon(self.dialler.connect(&self.at, None)).await;
        dialled.map(byte_link)
    }

    async fn linked(&mut self) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
        let near = self.dial().await.expect("dialled");
        (near, accepted(&mut *self.acceptor).await)
    }

    fn hub(&self) -> Arc<Hub> {
        let hubs = self.listener.shared.hubs.lock().expect("no panic");
        let hub = hubs.values().next().and_then(Weak::upgrade);
        hub.expect("it listens")
    }
}

fn quic(link: &dyn ByteLink) -> &QuicLink {
    let link: &dyn std::any::Any = link;
    link.downcast_ref().expect("made by it")
}

#[tokio::test]
async fn what_was_written_arrives_also_where_the_link_is_dropped_at_once() {
    let mut ends = ends(HERE).await;
    let (mut near, mut far) = ends.linked().await;
    // More than there is room for at first.
    let all: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 3) as u8).collect();
    let writing = async {
        near.write_all(&all).await.expect("written");
        drop(near);
    };
    let mut came = Vec::new();
    let reading = far.read_to_end(&mut came);
    soon(async { tokio::join!(writing, reading) })
        .await
        .1
        .expect("to its end");
    assert!(came == all, "{} bytes of {}", came.len(), all.len());
    // Nothing is left of it: the parting is over once the far end has it all.
    drop(far);
    let hub = ends.hub();
    soon(hub.endpoint().wait_idle()).await;
    assert_eq!(hub.connections(), 0);
}

// behaviour: K8
#[tokio::test]
async fn both_ends_have_one_exporter_and_each_connection_another() {
    let mut ends = ends(HERE).await;
    let mut exporters = Vec::new();
    for _ in 0..3 {
        let (near, far) = ends.linked().await;
        let [one, other] = [&near, &far].map(|link| quic(&**link).channel().clone());
        assert!(one.security.is_some() && one.exporter.len() == 32);
        assert_eq!(one.exporter, other.exporter);
        assert!(one.peer.is_some() && other.peer.is_none());
        exporters.push(one.exporter);
    }
    exporters.sort();
    exporters.dedup();
    assert_eq!(exporters.len(), 3);
}

#[tokio::test]
async fn further_connections_are_resumed_and_still_say_who_is_there() {
    // A certificate so long that it is seen whether it was sent.
    let names: Vec<String> = (0..200).map(|n| format!("name-{n:020}.example")).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.self_signed(&key).expect("signed");
    let server = format!("{}{}", key.serialize_pem(), certificate.pem());
    let server = Identity::from_pem(&server).expect("a key and its certificate");
    let listener = Quic::new().identity(&server);
    let at = endpoint("quic://127.0.0.1:0?alpn=x");
    let mut acceptor = listener.listen(&at, None).await.expect("a listener");
    let at = acceptor.contact();
    let wish = Wish {
        identity: None,
        trust: crate::tls::Trust {
            pins: vec![server.public_key()],
            ..Default::default()
        },
    };
    let keys = Dialling::new(&at, wish, &Defaults::default()).expect("keys");
    let dialler = Quic::new().with_dialling(&Arc::new(keys));
    let mut heard = Vec::new();
    for _ in 0..3 {
        let mut near = byte_link(soon(dialler.connect(&at, None)).await.expect("dialled"));
        near.write_all(b"x").await.expect("written");
        let mut far = accepted(&mut *acceptor).await;
        far.write_all(b"y").await.expect("written");
        // The tickets come before what is read.
        soon(near.read_u8()).await.expect("read");
        assert!(quic(&*near).channel().peer.is_some());
        heard.push(quic(&*near).received());
    }
    assert!(heard[0] > 6_000, "{heard:?}");
    assert!(
        heard[1] < heard[0] / 2 && heard[2] < heard[0] / 2,
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_link_has_one_stream_and_the_far_end_opens_none() {
    let mut ends = ends(HERE).await;
    let (near, far) = ends.linked().await;
    for link in [&near, &far] {
        let connection = quic(&**link).connection();
        let mut cx = Context::from_waker(Waker::noop());
        let mut both = std::pin::pin!(connection.open_bi());
        assert!(both.as_mut().poll(&mut cx).is_pending());
        let mut one = std::pin::pin!(connection.open_uni());
        assert!(one.as_mut().poll(&mut cx).is_pending());
        assert!(connection.max_datagram_size().is_none(), "nor datagrams");
    }
}

#[tokio::test]
async fn another_protocol_is_carried_as_it_is_and_accepted_at_its_first_bytes() {
    let mut ends = ends("quic://127.0.0.1:0?alpn=theirs").await;
    let mut near = {
        let at = ends.at.clone().with_attribute("bare", "").expect("short");
        byte_link(
            soon(ends.dialler.connect(&at, None))
                .await
                .expect("dialled"),
        )
    };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        ends.acceptor.poll_accept(&mut cx).is_pending(),
        "no byte yet"
    );
    near.write_all(b"theirs alone").await.expect("written");
    let mut far = accepted(&mut *ends.acceptor).await;
    near.shutdown().await.expect("ended");
    let mut came = Vec::new();
    soon(far.read_to_end(&mut came)).await.expect("read");
    assert_eq!(came, b"theirs alone");
    // Who speaks mancom's own is told.
    let at = ends.at.clone().without_attributes();
    let refused = soon(ends.dialler.connect(&at, None)).await;
    let refused = refused.map(drop).expect_err("another protocol");
    // The words stand alone, once in the text and once among the causes, and no name of programmers does.
    let words =
        "the far end speaks none of the protocols asked for (ALPN), and nothing without one";
    assert_eq!(refused.to_string(), format!("{at}: {words}"));
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(&refused);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert_eq!(causes, [words]);
}

#[tokio::test]
async fn what_nobody_accepted_is_not_told_as_read_to_its_end() {
    let mut ends = ends(HERE).await;
    let mut near = ends.dial().await.expect("dialled");
    near.write_all(&[7; 32 << 10]).await.expect("there is room");
    let hub = ends.hub();
    let queued = async {
        while hub.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(queued).await;
    let elsewhere = ends.listener.listen(&endpoint(HERE), None).await;
    ends.acceptor = elsewhere.expect("free");
    let lost = soon(near.shutdown()).await.expect_err("nobody read it");
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset, "{lost}");
    let lost = soon(near.read_u8()).await.expect_err("nobody ended it");
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset, "{lost}");
}

#[test]
fn a_far_end_s_words_are_cut_and_nothing_in_them_is_for_a_terminal() {
    let words = format!("\u{1b}]0;owned\u{7}\r\n{}", "x".repeat(1_000));
    let program = quinn::ConnectionError::ApplicationClosed(quinn::ApplicationClose {
        error_code: 77_u32.into(),
        reason: words.clone().into(),
    });
    let system = quinn::ConnectionError::ConnectionClosed(quinn::ConnectionClose {
        error_code: quinn::TransportErrorCode::INTERNAL_ERROR,
        frame_type: None,
        reason: words.into(),
    });
    for closed in [program, system] {
        let error = error::of_connection(&closed);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        for text in causes.map(ToString::to_string) {
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(text.contains("\\u{1b}]0;owned\\u{7}\\r\\nx"), "{text}");
            assert!(text.ends_with("x...") && text.len() < 250, "{text}");
        }
    }
}

#[test]
fn what_quinn_closes_when_it_is_dropped_was_not_read_to_its_end() {
    let closed = |code: quinn::VarInt| {
        quinn::ConnectionError::ApplicationClosed(quinn::ApplicationClose {
            error_code: code,
            reason: Default::default(),
        })
    };
    let ended = |code| error::of_end(Err(quinn::StoppedError::ConnectionLost(closed(code))));
    let lost = ended(0_u32.into()).expect_err("nobody said that it was read");
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
    ended(error::DONE).expect("it was read");
}

#[tokio::test]
async fn an_accepted_link_waits_for_its_own_end_and_for_no_other() {
    let mut ends = ends(HERE).await;
    let (_other, _stays) = ends.linked().await;
    let (near, far) = ends.linked().await;
    let far: Box<dyn std::any::Any> = far;
    let far: Box<QuicLink> = far.downcast().expect("made by it");
    let (guard, gone) = tokio::sync::oneshot::channel::<()>();
    let began = std::time::Instant::now();
    drop(near);
    far.part(guard);
    soon(gone).await.expect_err("nothing is said");
    assert!(began.elapsed() < link::GOODBYE, "{:?}", began.elapsed());
}

// On Linux alone a socket is told of it.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_was_killed_is_noticed_soon_and_one_that_lives_is_believed_to() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        runtime.expect("a runtime")
    };
    let (here, there) = (runtime(), runtime());
    let mut ends = there.block_on(ends(HERE));
    let dialler = ends.dialler.clone();
    let at = ends.at.clone();
    let dialled = here.spawn(async move { soon(dialler.connect(&at, None)).await });
    let mut far = there.block_on(accepted(&mut *ends.acceptor));
    let dialled = here.block_on(dialled).expect("no panic");
    let mut near = byte_link(dialled.expect("dialled"));
    // Somebody else says so, a thousand times at once.
    let fault = quic(&*near).fault().expect("it was dialled");
    for _ in 0..1_000 {
        fault.note(&rustix::io::Errno::CONNREFUSED.into());
    }
    here.block_on(near.write_all(b"!")).expect("it lives");
    there.block_on(soon(far.read_u8())).expect("it lives");
    // Nothing is said by what is killed.
    there.shutdown_timeout(PATIENCE);
    drop((far, ends));
    let began = std::time::Instant::now();
    let lost = here.block_on(async {
        near.write_all(b"?").await.expect("not known yet");
        soon(near.read_u8()).await.expect_err("nobody is there")
    });
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset, "{lost}");
    assert!(lost.to_string().contains("nobody listens"), "{lost}");
    assert!(began.elapsed() >= Duration::from_secs(3));
    let lost = here.block_on(near.write_all(b"?"));
    assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// What the library logs on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }

    async fn says(&self, text: &str) {
        let said = async {
            while !self.text().contains(text) {
                tokio::task::yield_now().await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, said).await;
        assert!(said.is_ok(), "{text}: {}", self.text());
    }
}

// behaviour: K7
#[tokio::test]
async fn a_listener_tells_whom_it_refuses_in_words_and_a_flood_of_them_once() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("mancom::refused=warn")
        .with_ansi(false)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        });
    // With one alone, a line that the thread of another test reaches first is taken for unheard.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let [server, friend, stranger] = [(); 3].map(|()| Identity::generate().expect("entropy"));
    let listener = Quic::new().identity(&server).pin(friend.public_key());
    let acceptor = listener.listen(&endpoint(HERE), None).await;
    let at = acceptor.as_ref().expect("a listener").contact();
    let dialler = Quic::new().pin(server.public_key());
    // Each may think that it is let in: the listener judges last.
    let unnamed = soon(dialler.connect(&at, None)).await;
    log.says("shows neither a certificate nor a key").await;
    let known = dialler.clone().identity(&stranger);
    let unknown = soon(known.connect(&at, None)).await;
    let text = format!("the key {}", stranger.public_key());
    log.says(&text).await;
    let other = at.clone().with_attribute("alpn", "theirs").expect("short");
    soon(dialler.connect(&other, None))
        .await
        .map(drop)
        .expect_err("another protocol");
    log.says("protocol").await;
    drop((unnamed, unknown));
    for _ in 0..20 {
        // It hears of it by reading, and then the listener has told.
        if let Ok(link) = soon(dialler.connect(&at, None)).await {
            soon(byte_link(link).read_u8()).await.expect_err("refused");
        }
    }
    let said = log.text();
    assert_eq!(said.lines().count(), 8, "{said}");
    let from = format!("WARN mancom::refused: {HERE} refused quic://127.0.0.1:");
    assert!(said.lines().all(|line| line.contains(&from)), "{said}");
    assert!(!said.contains("Other("), "no forms for programmers: {said}");
}

#[tokio::test]
async fn who_listens_there_again_takes_the_socket_over() {
    let mut ends = ends(HERE).await;
    let (mut near, mut far) = ends.linked().await;
    let taken = ends.listener.listen(&ends.at, None).await;
    let taken = taken.map(drop).expect_err("it is listened there").kind();
    assert_eq!(taken, io::ErrorKind::AddrInUse);
    ends.acceptor = {
        let elsewhere = endpoint(HERE);
        ends.listener.listen(&elsewhere, None).await.expect("free")
    };
    let refused = ends.dial().await.map(drop).expect_err("nobody accepts");
    assert_eq!(
        refused.kind(),
        io::ErrorKind::ConnectionRefused,
        "{refused}"
    );
    ends.acceptor = ends
        .listener
        .listen(&ends.at, None)
        .await
        .expect("taken over");
    let (_near, _far) = ends.linked().await;
    near.write_all(b"!").await.expect("the old one lives");
    soon(far.read_u8()).await.expect("read");
}

// behaviour: EV-18
#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up_after_five_seconds() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = format!("quic://{}", silent.local_addr().expect("bound"));
    let began = tokio::time::Instant::now();
    let error = Quic::new().connect(&endpoint(&at), None).await;
    let error = error.map(drop).expect_err("nobody speaks QUIC");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains(&at), "{error}");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6));
}

// behaviour: K4
#[tokio::test]
async fn garbage_harms_nobody() {
    let mut ends = ends(HERE).await;
    let (mut near, mut far) = ends.linked().await;
    let hostile = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = ends.at.socket_addr().expect("an address");
    for n in 0..2_000_u32 {
        let length = (n % 1_300) as usize;
        let mut datagram: Vec<u8> = (0..length).map(|i| (i as u32 ^ n) as u8).collect();
        // Long headers of version 1, Initial among them (RFC 9000, section 17.2).
        if let [first, a, b, c, d, id, ..] = &mut *datagram {
            *first = 0xc0 | n as u8 & 0x3f;
            [*a, *b, *c, *d, *id] = [0, 0, 0, 1, n as u8 % 24];
        }
        // What finds no room in the socket's buffer is lost.
        let _ = hostile.send_to(&datagram, to);
    }
    near.write_all(b"!").await.expect("written");
    soon(far.read_u8()).await.expect("read");
    let (_near, _far) = ends.linked().await;
    assert!(ends.hub().connections() < 1_000);
}

/// A socket that hears nothing: whoever dials with it stays half open.
#[derive(Debug)]
struct Deaf(Arc<dyn AsyncUdpSocket>, Arc<AtomicUsize>);

impl AsyncUdpSocket for Deaf {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)?;
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

// behaviour: K3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_half_open_handshakes_take_little_and_stop_nobody() {
    let mut ends = ends(HERE).await;
    let keys = ends.dialler.dialling(&ends.at).await.expect("keys");
    let (to, sent) = (ends.at.socket_addr().expect("an address"), Arc::default());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let socket = TokioRuntime.wrap_udp_socket(socket).expect("wrapped");
    let deaf = Arc::new(Deaf(socket, Arc::clone(&sent)));
    let own = EndpointConfig::default();
    let crowd = quinn::Endpoint::new_with_abstract_socket(own, None, deaf, Arc::new(TokioRuntime));
    let crowd = crowd.expect("an endpoint");
    let mut dialling = Vec::new();
    let mut most = 0;
    for n in 0..10_000 {
        let config = config::dialling(&keys).expect("a configuration");
        dialling.push(
            crowd
                .connect_with(config, to, &keys.name())
                .expect("dialling"),
        );
        if n % 100 == 99 {
            // Each has said something before there are more.
            soon(async {
                while sent.load(Ordering::Relaxed) <= n {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            most = most.max(ends.hub().connections());
        }
        if n % 2_000 == 1_999 {
            let (mut near, mut far) = ends.linked().await;
            near.write_all(b"!").await.expect("written");
            soon(far.read_u8()).await.expect("read");
        }
    }
    assert!(most > 32, "they came: {most}");
    assert!(most < 200, "{most} connections for ten thousand");
}

#[tokio::test]
async fn a_link_tells_its_round_trip_and_takes_no_more_than_it_may() {
    let mut ends = ends(HERE).await;
    let (mut near, mut far) = ends.linked().await;
    let chunk = vec![7; 1 << 20];
    let mut taken = 0;
    let full = tokio::time::timeout(Duration::from_millis(300), async {
        loop {
            taken += near.write(&chunk).await.expect("written");
        }
    });
    assert!(full.await.is_err(), "it fills up");
    // What the far end keeps unread, and no more: it would be kept here.
    assert!((2 << 20..=4 << 20).contains(&taken), "{taken} bytes unread");
    soon(far.read_exact(&mut vec![0; taken]))
        .await
        .expect("all of it");
    let measured = near.measure().expect("it measures");
    assert!(measured.rtt.is_some_and(|rtt| rtt < Duration::from_secs(1)));
    assert!(measured.least_rtt <= measured.rtt && measured.segments > 1_000);
    assert_eq!(measured.outstanding, None);
}

/// A listener's session before it has its keys.
fn undecided(choosing: &Arc<Choosing>) -> Box<dyn quinn::crypto::Session> {
    let own = TransportParameters::read(Side::Client, &mut &[][..]).expect("none are needed");
    Arc::clone(choosing).start_session(1, &own)
}

fn choosing() -> Arc<Choosing> {
    let identity = Some(Identity::generate().expect("entropy"));
    let wish = Wish {
        identity,
        ..Wish::default()
    };
    let keys = Listening::new(&endpoint(HERE), wish, &Defaults::default()).expect("keys");
    Arc::new(Choosing::new(Arc::new(keys)).expect("its ciphers"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    // behaviour: K4
    #[test]
    fn a_first_message_of_any_bytes_is_no_panic_and_has_a_bound(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 1..12),
        hello in any::<bool>(),
    ) {
        let mut session = undecided(&choosing());
        if hello {
            // A handshake message that says to be longer than is taken.
            prop_assert!(session.read_handshake(&[1, 0, 0xff, 0xff]).is_ok());
        }
        for piece in &pieces {
            if let Err(fault) = session.read_handshake(piece) {
                prop_assert!((0x100..0x200).contains(&u64::from(fault.code)));
                break;
            }
            prop_assert!(session.is_handshaking());
        }
        let taken: usize = pieces.iter().map(Vec::len).sum();
        let over = session.read_handshake(&vec![0; 17_000]);
        prop_assert!(over.is_err(), "after {} bytes", taken);
    }
}

#[test]
fn a_session_without_keys_answers_whatever_it_is_asked() {
    let choosing = choosing();
    let mut session = undecided(&choosing);
    let id = quinn::ConnectionId::new(&[7; 8]);
    session.initial_keys(&id, Side::Server);
    assert!(session.handshake_data().is_none() && session.peer_identity().is_none());
    assert!(session.early_crypto().is_none() && session.early_data_accepted().is_none());
    assert!(session.is_handshaking());
    assert!(matches!(session.transport_parameters(), Ok(None)));
    assert!(session.write_handshake(&mut Vec::new()).is_none());
    assert!(session.next_1rtt_keys().is_none());
    assert!(!session.is_valid_retry(&id, &[], &[0; 16]));
    let exported = session.export_keying_material(&mut [0; 32], b"label", b"");
    assert!(exported.is_err());
}
