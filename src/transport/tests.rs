use super::conformance::{self, Subject};
use super::memory::tests::unsimulated;
use super::*;
use crate::network::{Address, Binding, Kind, NetworkId, NetworkSpec};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

async fn accepted(acceptor: &mut dyn Acceptor) -> io::Result<Link> {
    poll_fn(|cx| acceptor.poll_accept(cx)).await
}

fn at_host(contact: &Endpoint, host: &str) -> Endpoint {
    contact.clone().with_host(host).expect("a host")
}

fn byte_link(link: Link) -> Box<dyn ByteLink> {
    match link {
        Link::Bytes(link) => link,
        Link::Datagrams(_) => unreachable!("these transports have byte links"),
    }
}

/// Tiny answers keep the reader on the edge between drained and ready, with a writer on another thread.
async fn never_loses_a_wake_up(transport: &dyn Transport, at: Endpoint) {
    let mut acceptor = transport.listen(&at, None).await.expect("a place");
    let near = transport.connect(&acceptor.contact(), None).await;
    let mut near = byte_link(near.expect("a connection"));
    let mut far = byte_link(accepted(&mut *acceptor).await.expect("a link"));
    let writer = tokio::spawn(async move {
        for round in 0..20_000u32 {
            let len = 1 + round.wrapping_mul(2_654_435_761) as usize % 97;
            near.write_all(&vec![round as u8; len]).await?;
            if round % 3 == 0 {
                near.read_exact(&mut [0; 1]).await?;
            }
        }
        io::Result::Ok(())
    });
    let (mut one, mut two) = ([0; 7], [0; 64]);
    for round in 0..20_000u32 {
        let mut left = 1 + round.wrapping_mul(2_654_435_761) as usize % 97;
        while left > 0 {
            let (n, m) = (left.min(7), left.saturating_sub(7).min(64));
            let read = poll_fn(|cx| {
                let mut bufs = [
                    IoSliceMut::new(&mut one[..n]),
                    IoSliceMut::new(&mut two[..m]),
                ];
                Pin::new(&mut *far).poll_read_vectored(cx, &mut bufs)
            });
            let waited = tokio::time::timeout(Duration::from_secs(20), read).await;
            let read = waited.expect("a wake-up").expect("a connection");
            assert!(read > 0 && one[..n.min(read)].iter().all(|b| *b == round as u8));
            left -= read;
        }
        if round % 3 == 0 {
            far.write_all(&[0]).await.expect("a connection");
        }
    }
    writer.await.expect("no panic").expect("a connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn vectored_reads_lose_no_wake_up() {
    never_loses_a_wake_up(&Tcp::new(), endpoint("tcp://127.0.0.1:0")).await;
    never_loses_a_wake_up(&unsimulated().0, endpoint("mem://edge")).await;
    #[cfg(unix)]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let at = endpoint(&format!("unix:{}", dir.path().join("edge").display()));
        never_loses_a_wake_up(&Unix::new(), at).await;
    }
}

/// A network as the scout would describe it.
pub(super) fn network(name: &str, addresses: &[&str]) -> NetworkSpec {
    let mut spec = NetworkSpec::new(name, Kind::Wifi);
    spec.binding = Binding::Device;
    spec.addresses = addresses
        .iter()
        .map(|ip| Address {
            ip: ip.parse().expect("an address"),
            prefix: 8,
        })
        .collect();
    spec
}

pub(super) fn bound(spec: NetworkSpec, index: u32, epoch: u32) -> Bind {
    let id = NetworkId { index, epoch };
    Bind {
        network: Network::new(id, spec),
        source: None,
    }
}

fn tcp_subject(here: &str) -> Subject {
    Subject {
        dialler: Arc::new(Tcp::new()),
        listener: Arc::new(Tcp::new()),
        here: endpoint(here),
        there: endpoint("tcp://127.0.0.1:0"),
        nobody: endpoint("tcp://127.0.0.1:1"),
        knows_dialler: false,
    }
}

#[tokio::test]
async fn tcp_conforms() {
    conformance::all(&tcp_subject("tcp://127.0.0.1:0")).await;
}

#[tokio::test]
async fn tcp_conforms_under_another_scheme_and_by_name() {
    conformance::all(&tcp_subject("mc://localhost:0?nagle")).await;
}

#[tokio::test]
async fn tcp_conforms_on_every_address() {
    // behaviour: EV-13
    conformance::all(&tcp_subject("tcp://0.0.0.0")).await;
}

#[tokio::test]
async fn memory_conforms() {
    let (dialler, listener) = unsimulated();
    let subject = Subject {
        dialler: Arc::new(dialler),
        listener: Arc::new(listener),
        here: endpoint("mem://here"),
        there: endpoint("mem://there"),
        nobody: endpoint("mem://nobody"),
        knows_dialler: true,
    };
    conformance::all(&subject).await;
}

#[tokio::test]
async fn every_transport_reports_what_it_is() {
    let (memory, _) = unsimulated();
    assert_eq!(memory.characteristics(), Characteristics::stream());
    assert_eq!(Tcp::new().characteristics(), Characteristics::stream());
    let datagrams = Characteristics::datagrams(1200);
    assert!(!datagrams.reliable && datagrams.messages);
    assert_eq!(datagrams.max_datagram, Some(1200));
}

#[test]
fn an_unknown_scheme_is_an_error_that_names_the_nearest() {
    // behaviour: EV-16
    let mut registry = Registry::new();
    assert!(registry.register(Arc::new(Tcp::new())).is_none());
    assert!(registry.register(Arc::new(unsimulated().0)).is_none());
    assert_eq!(registry.get("tcp").expect("registered").scheme(), "tcp");
    let error = registry.get("tpc").expect_err("not registered");
    assert_eq!(error.nearest, Some("tcp"));
    assert_eq!(error.known, ["mc", "mcs", "mem", "tcp"]);
    assert_eq!(
        error.to_string(),
        "no transport for `tpc`, did you mean `tcp`?; known: mc, mcs, mem, tcp"
    );
    assert_eq!(
        registry.get("quic").expect_err("not registered").nearest,
        None
    );
    assert_eq!(registry.get("").expect_err("not registered").nearest, None);
}

#[test]
fn a_scheme_registered_again_is_replaced() {
    let mut registry = Registry::new();
    registry.register(Arc::new(Tcp::new()));
    assert!(registry.register(Arc::new(Tcp::new())).is_some());
    assert_eq!(registry.schemes().collect::<Vec<_>>(), ["tcp"]);
}

#[tokio::test]
async fn literals_and_localhost_are_resolved_without_asking() {
    let found = resolve("::1", 7, None).await.expect("a literal");
    assert_eq!(found, ["[::1]:7".parse::<SocketAddr>().expect("a literal")]);
    for name in ["localhost", "LocalHost.", "a.localhost"] {
        let found = resolve(name, 7, None).await.expect("loopback");
        assert!(
            found.len() == 2 && found.iter().all(|a| a.ip().is_loopback()),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_network_without_the_family_is_an_error_that_says_so() {
    let v4 = bound(network("wlan0", &["192.0.2.7"]), 3, 1);
    let found = resolve("localhost", 7, Some(&v4))
        .await
        .expect("one family fits");
    assert!(found.len() == 1 && found[0].is_ipv4(), "{found:?}");
    let error = resolve("2001:db8::1", 7, Some(&v4))
        .await
        .expect_err("no IPv6");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("wlan0"), "{error}");
    let unknown = bound(network("default", &[]), 3, 1);
    resolve("2001:db8::1", 7, Some(&unknown))
        .await
        .expect("nothing known against it");
    let local = bound(network("eth0", &["fe80::1"]), 3, 1);
    let found = resolve("fe80::2", 7, Some(&local))
        .await
        .expect("a literal");
    assert_eq!(found[0].to_string(), "[fe80::2%3]:7");
}

#[tokio::test]
async fn a_range_listens_on_its_first_free_port() {
    let tcp = Tcp::new();
    // Two ports of this host, the first taken.
    let (taken, port) = loop {
        let taken = tcp
            .listen(&endpoint("tcp://127.0.0.1:0"), None)
            .await
            .expect("a free port");
        let port = taken.contact().port().expect("the real one");
        if port < u16::MAX && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            break (taken, port);
        }
    };
    let range = endpoint(&format!("tcp://127.0.0.1:{port}-{}", port + 1));
    let next = tcp.listen(&range, None).await.expect("the second is free");
    assert_eq!(next.contact().port(), Some(port + 1));
    let error = tcp
        .listen(&range, None)
        .await
        .map(drop)
        .expect_err("both taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(
        text.contains(&range.to_string()) && text.contains("every port"),
        "{text}"
    );
    drop(taken);
}

#[tokio::test]
async fn an_address_in_use_or_not_ours_says_what_to_do() {
    let tcp = Tcp::new();
    let taken = tcp
        .listen(&endpoint("tcp://127.0.0.1:0"), None)
        .await
        .expect("a free port");
    let error = tcp
        .listen(&taken.contact(), None)
        .await
        .map(drop)
        .expect_err("taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(
        error.to_string().contains("another program listens there"),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
    let error = tcp
        .listen(&endpoint("tcp://192.0.2.1:0"), None)
        .await
        .map(drop)
        .expect_err("not an address of this host");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("tcp://192.0.2.1:0"), "{error}");
}

#[tokio::test]
async fn a_wildcard_contact_is_an_address_or_what_is_advertised() {
    let tcp = Tcp::new();
    let any = tcp
        .listen(&endpoint("mc://0.0.0.0:0?nagle"), None)
        .await
        .expect("a port");
    let contact = any.contact();
    assert!(!contact.ip().expect("an address").is_unspecified());
    assert!(
        contact.port().expect("the real one") > 0 && contact.has("nagle"),
        "{contact}"
    );
    let loopback = at_host(&contact, "127.0.0.1");
    assert!(tcp.is_self(&loopback) && tcp.is_self(&at_host(&contact, "localhost")));
    assert!(
        !tcp.is_self(&at_host(&contact, "192.0.2.1")),
        "no address of this host"
    );
    let at = endpoint("tcp://0.0.0.0:0?advertise=ship.example");
    let named = tcp.listen(&at, None).await.expect("a port");
    assert_eq!(named.contact().host(), Some("ship.example"));
    assert!(tcp.is_self(&named.contact()));
    assert!(
        !tcp.is_self(&at_host(&contact, "ship.example")),
        "of the other port"
    );
}

#[tokio::test]
async fn a_bound_link_leaves_with_the_address_of_its_network() {
    let tcp = Tcp::new();
    let mut acceptor = tcp
        .listen(&endpoint("tcp://127.0.0.1:0"), None)
        .await
        .expect("a port");
    let mut lo = bound(network("lo", &["127.0.0.3"]), 1, 1);
    for (source, expected) in [(None, "127.0.0.3"), (Some("127.0.0.2"), "127.0.0.2")] {
        lo.source = source.map(|ip| ip.parse().expect("an address"));
        let near = tcp
            .connect(&acceptor.contact(), Some(&lo))
            .await
            .expect("loopback");
        let near = byte_link(near);
        let far = byte_link(accepted(&mut *acceptor).await.expect("a link"));
        assert_eq!(near.local().expect("an address").to_string(), expected);
        assert_eq!(far.peer().host(), Some(expected));
        assert_eq!(near.peer(), acceptor.contact());
    }
}

#[tokio::test]
async fn an_address_that_is_not_known_is_left_to_the_kernel() {
    // behaviour: C9
    let tcp = Tcp::new();
    let at = endpoint("tcp://127.0.0.1:0");
    let acceptor = tcp.listen(&at, None).await.expect("a port");
    let lo = bound(network("lo", &["0.0.0.0", "::"]), 1, 1);
    let near = tcp
        .connect(&acceptor.contact(), Some(&lo))
        .await
        .expect("loopback");
    assert_eq!(
        byte_link(near).local().expect("an address").to_string(),
        "127.0.0.1"
    );
}

#[tokio::test]
async fn a_network_that_is_gone_or_cannot_be_bound_is_an_error_that_names_it() {
    let tcp = Tcp::new();
    let acceptor = tcp
        .listen(&endpoint("tcp://127.0.0.1:0"), None)
        .await
        .expect("a port");
    if cfg!(target_os = "linux") {
        let gone = bound(network("nosuch0", &["127.0.0.1"]), 77, 1);
        let error = tcp
            .connect(&acceptor.contact(), Some(&gone))
            .await
            .expect_err("no device");
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        assert!(error.to_string().contains("nosuch0"), "{error}");
    }
    let mut spec = network("wlan0", &["127.0.0.1"]);
    spec.binding = Binding::Refused("a firewall says no".into());
    let refused = bound(spec, 3, 1);
    let error = tcp
        .connect(&acceptor.contact(), Some(&refused))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("a firewall says no"), "{error}");
}

#[tokio::test]
async fn the_rungs_below_the_device_need_no_device() {
    // behaviour: M19, C9
    let tcp = Tcp::new();
    let mut acceptor = tcp
        .listen(&endpoint("tcp://127.0.0.1:0"), None)
        .await
        .expect("a port");
    for (binding, expected) in [
        (Binding::Address, "127.0.0.4"),
        (Binding::Unbound, "127.0.0.1"),
    ] {
        let mut spec = network("nosuch0", &["127.0.0.4"]);
        spec.binding = binding;
        let on = bound(spec, 77, 1);
        let near = tcp
            .connect(&acceptor.contact(), Some(&on))
            .await
            .expect("loopback");
        assert_eq!(
            byte_link(near).local().expect("an address").to_string(),
            expected
        );
        accepted(&mut *acceptor).await.expect("a link");
    }
    let mut spec = network("nosuch0", &["127.0.0.4"]);
    spec.binding = Binding::Address;
    let on = bound(spec, 77, 1);
    let held = tcp
        .listen(&endpoint("tcp://0.0.0.0:0"), Some(&on))
        .await
        .expect("a port");
    assert_eq!(
        held.contact().host(),
        Some("127.0.0.4"),
        "a wildcard would take other networks'"
    );
}

/// Both ends of a connection over loopback.
#[cfg(target_os = "linux")]
async fn tcp_pair() -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let tcp = Tcp::new();
    let at = endpoint("tcp://127.0.0.1:0");
    let mut acceptor = tcp.listen(&at, None).await.expect("a port");
    let dialled = tcp.connect(&acceptor.contact(), None).await;
    let far = byte_link(accepted(&mut *acceptor).await.expect("a link"));
    (byte_link(dialled.expect("loopback")), far)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tells_what_the_kernel_measured() {
    let (mut near, mut far) = tcp_pair().await;
    let before = near.measure().expect("known on Linux");
    let exchange = async {
        for _ in 0..20 {
            near.write_all(&[7; 1_000]).await.unwrap();
            far.read_exact(&mut [0; 1_000]).await.unwrap();
        }
    };
    exchange.await;
    let after = near.measure().expect("known on Linux");
    assert!(after.rtt.is_some_and(|rtt| !rtt.is_zero()), "{after:?}");
    assert!(after.least_rtt <= after.rtt, "{after:?}");
    assert!(after.acknowledged >= 19_000, "{after:?}");
    assert!(after.outstanding.is_some_and(|n| n <= 1_000), "{after:?}");
    assert_eq!(after.unsent, Some(0), "{after:?}");
    assert!(after.delivery_rate.is_some(), "{after:?}");
    assert!(after.segments - before.segments >= 20, "{after:?}");
    assert!(
        after.app_limited,
        "there was nothing more to send: {after:?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn little_waits_unsent_where_that_is_asked() {
    const LIMIT: u32 = 16 << 10;
    let unsent = |link: &dyn ByteLink| link.measure().and_then(|m| m.unsent).expect("known");
    let fill = async |link: &mut Box<dyn ByteLink>| {
        let piece = [7; 4 << 10];
        let full = poll_fn(|cx| {
            while Pin::new(&mut **link).poll_write(cx, &piece)?.is_ready() {}
            Poll::Ready(Ok::<_, std::io::Error>(()))
        });
        full.await.expect("a connection");
    };
    // The buffers of both ends grow with what goes over the connection.
    let grown = async || {
        let (mut near, mut far) = tcp_pair().await;
        let bytes = vec![7; 8 << 20];
        let mut read = vec![0; bytes.len()];
        let (wrote, _) = tokio::join!(near.write_all(&bytes), far.read_exact(&mut read));
        wrote.expect("a connection");
        (near, far)
    };
    // The far ends do not read: what their kernels do not take is not sent.
    let (mut near, _far) = grown().await;
    fill(&mut near).await;
    let free = unsent(&*near);
    let (mut near, _far) = grown().await;
    near.limit_unsent(LIMIT);
    fill(&mut near).await;
    let measured = near.measure().expect("known on Linux");
    let held = unsent(&*near);
    // What is below the limit may begin one more segment, which loopback has in 64 KiB.
    assert!(held <= u64::from(LIMIT) + (64 << 10), "{measured:?}");
    assert!(free > 2 * held, "{free} without a limit: {measured:?}");
    assert!(measured.outstanding >= measured.unsent, "{measured:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tells_what_the_peers_kernel_acknowledged() {
    let (mut near, mut far) = tcp_pair().await;
    assert_eq!(near.acknowledged(), Some(0));
    near.write_all(&[1; 10_000]).await.expect("a connection");
    far.read_exact(&mut [0; 10_000])
        .await
        .expect("a connection");
    far.write_all(&[2; 1]).await.expect("a connection");
    near.read_exact(&mut [0; 1]).await.expect("a connection");
    // What came back carried the acknowledgement of all that was read before.
    assert_eq!(near.acknowledged(), Some(10_000));
    // Until the peer's buffers are full: then less than was written.
    let mut written = 10_000;
    let full = poll_fn(|cx| {
        while let Poll::Ready(n) = Pin::new(&mut *near).poll_write(cx, &[3; 65_536])? {
            written += n as u64;
        }
        Poll::Ready(io::Result::Ok(()))
    });
    full.await.expect("a connection");
    assert!(near.acknowledged().expect("known on Linux") < written);
}

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

#[test]
fn the_traits_are_object_safe_and_the_futures_send() {
    fn assert_send<T: Send + ?Sized>() {}
    fn assert_shared<T: Send + Sync + 'static>() {}
    assert_send::<Link>();
    assert_send::<dyn Acceptor>();
    assert_send::<BoxFuture<'static, io::Result<Link>>>();
    assert_shared::<Arc<dyn Transport>>();
    assert_shared::<Registry>();
    assert_shared::<Exchange>();
}

#[cfg(unix)]
mod unix_sockets;
