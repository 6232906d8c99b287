//! UDP over the loopback interface.

use super::table::{BYTES, DATAGRAMS, SOURCES, TOTAL, Table, Taken, UNACCEPTED};
use super::*;
use crate::transport::DatagramLink;
use crate::transport::tests::{bound, network};
use std::future::poll_fn;
use std::task::Waker;
use std::time::Duration;
use tokio::io::ReadBuf;

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

pub(in crate::transport) fn datagrams(link: Link) -> Box<dyn DatagramLink> {
    match link {
        Link::Datagrams(link) => link,
        Link::Bytes(_) => unreachable!("datagrams were asked for"),
    }
}

pub(in crate::transport) async fn send(
    link: &mut dyn DatagramLink,
    datagram: &[u8],
) -> io::Result<()> {
    poll_fn(|cx| link.poll_send(cx, datagram)).await
}

pub(in crate::transport) async fn recv(link: &mut dyn DatagramLink) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MAX_DATAGRAM];
    let mut buf = ReadBuf::new(&mut bytes);
    let received = poll_fn(|cx| link.poll_recv(cx, &mut buf));
    tokio::time::timeout(Duration::from_secs(10), received)
        .await
        .expect("a datagram")?;
    Ok(buf.filled().to_vec())
}

pub(in crate::transport) async fn accept(acceptor: &mut dyn Acceptor) -> Box<dyn DatagramLink> {
    let link = poll_fn(|cx| acceptor.poll_accept(cx));
    let link = tokio::time::timeout(Duration::from_secs(10), link).await;
    datagrams(link.expect("a link in time").expect("a link"))
}

async fn listening(udp: &Udp) -> Box<dyn Acceptor> {
    let at = endpoint("udp://127.0.0.1:0");
    udp.listen(&at, None).await.expect("a port")
}

async fn dialled(udp: &Udp, to: &Endpoint) -> Box<dyn DatagramLink> {
    datagrams(udp.connect(to, None).await.expect("a socket"))
}

#[tokio::test]
async fn small_messages_go_there_and_back() {
    // behaviour: EV-33
    let udp = Udp::new();
    let mut acceptor = listening(&udp).await;
    let mut near = dialled(&udp, &acceptor.contact()).await;
    send(&mut *near, b"are you there").await.expect("loopback");
    let mut far = accept(&mut *acceptor).await;
    assert_eq!(recv(&mut *far).await.expect("a datagram"), b"are you there");
    for n in 0..50u8 {
        send(&mut *far, &[n; 24]).await.expect("loopback");
        assert_eq!(recv(&mut *near).await.expect("a datagram"), [n; 24]);
    }
    assert_eq!(near.peer(), Some(acceptor.contact()));
    let back = far.peer().expect("a peer");
    assert_eq!((back.host(), back.scheme()), (Some("127.0.0.1"), "udp"));
}

#[tokio::test]
async fn a_message_above_the_largest_is_an_error_and_not_sent() {
    // behaviour: EV-33
    let udp = Udp::new();
    let at = endpoint("udp://127.0.0.1:0?max=100");
    let mut acceptor = udp.listen(&at, None).await.expect("a port");
    let mut near = dialled(&udp, &acceptor.contact()).await;
    let error = send(&mut *near, &[1; 101]).await.expect_err("too large");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("101 bytes"), "{error}");
    send(&mut *near, &[2; 100])
        .await
        .expect("as large as it may be");
    let mut far = accept(&mut *acceptor).await;
    assert_eq!(recv(&mut *far).await.expect("a datagram"), [2; 100]);
    let error = send(&mut *far, &[1; 101]).await.expect_err("too large");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let without = listening(&udp).await;
    let mut near = dialled(&udp, &without.contact()).await;
    let max = udp.characteristics().max_datagram.expect("datagrams");
    send(&mut *near, &vec![0; max]).await.expect("the largest");
    let error = send(&mut *near, &vec![0; max + 1])
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    for wrong in ["max=0", "max=65508", "max=many"] {
        let to = endpoint(&format!("udp://127.0.0.1:9?{wrong}"));
        let error = udp.connect(&to, None).await.expect_err("no such size");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`max="), "{error}");
    }
}

#[tokio::test]
async fn one_socket_serves_many_sources_and_keeps_them_apart() {
    let udp = Udp::new();
    let mut acceptor = listening(&udp).await;
    let mut links = Vec::new();
    for n in 0..20u8 {
        let mut near = dialled(&udp, &acceptor.contact()).await;
        send(&mut *near, &[n]).await.expect("loopback");
        let far = accept(&mut *acceptor).await;
        links.push((near, far));
    }
    for (n, (near, far)) in links.iter_mut().enumerate() {
        assert_eq!(recv(&mut **far).await.expect("the first"), [n as u8]);
        send(&mut **far, &[n as u8, 1]).await.expect("loopback");
        assert_eq!(recv(&mut **near).await.expect("its own"), [n as u8, 1]);
    }
}

#[tokio::test]
async fn links_outlive_their_acceptor_and_its_place_can_be_taken_again() {
    let (udp, other) = (Udp::new(), Udp::new());
    let mut acceptor = listening(&udp).await;
    let contact = acceptor.contact();
    assert!(udp.is_self(&contact) && !other.is_self(&contact));
    let again = udp.listen(&contact, None).await.map(drop);
    let error = again.expect_err("there is one already");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let mut near = dialled(&other, &contact).await;
    send(&mut *near, b"1").await.expect("loopback");
    let mut far = accept(&mut *acceptor).await;
    drop(acceptor);
    assert!(!udp.is_self(&contact));
    assert_eq!(recv(&mut *far).await.expect("it came before"), b"1");
    send(&mut *far, b"2").await.expect("loopback");
    assert_eq!(recv(&mut *near).await.expect("a live link"), b"2");
    // The same transport takes the socket over; what was there stays.
    let mut acceptor = udp.listen(&contact, None).await.expect("it is free");
    let mut second = dialled(&other, &contact).await;
    send(&mut *second, b"3").await.expect("loopback");
    let mut new = accept(&mut *acceptor).await;
    assert_eq!(recv(&mut *new).await.expect("a new source"), b"3");
    send(&mut *near, b"4").await.expect("loopback");
    assert_eq!(recv(&mut *far).await.expect("the old link"), b"4");
    drop((acceptor, far, new));
    tokio::task::yield_now().await;
    let freed = other.listen(&contact, None).await;
    assert!(freed.is_ok(), "the socket closes with its last link");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_at_every_address_answers_from_the_one_it_was_asked_at() {
    let udp = Udp::new();
    let any = [
        ("udp://0.0.0.0:0", "127.0.0.5"),
        ("udp://[::]:0", "127.0.0.6"),
        ("udp://[::]:0", "::1"),
    ];
    for (at, asked) in any {
        let mut acceptor = udp.listen(&endpoint(at), None).await.expect("a port");
        let to = acceptor.contact().with_host(asked).expect("a host");
        let mut near = dialled(&udp, &to).await;
        send(&mut *near, b"?").await.expect("loopback");
        let mut far = accept(&mut *acceptor).await;
        assert_eq!(far.local().expect("known").to_string(), asked);
        // A connected socket takes an answer from there alone.
        send(&mut *far, b"!").await.expect("loopback");
        assert_eq!(recv(&mut *near).await.expect("an answer"), b"!");
    }
}

#[tokio::test]
async fn a_dialled_link_leads_where_it_was_dialled() {
    let udp = Udp::new();
    let (one, two) = (listening(&udp).await, listening(&udp).await);
    let near = udp.connect(&one.contact(), None).await.expect("a socket");
    assert!(udp.same_peer(&one.contact(), &near));
    assert!(!udp.same_peer(&two.contact(), &near));
    for wrong in ["udp://127.0.0.1", "udp://127.0.0.1:0"] {
        let error = udp.connect(&endpoint(wrong), None).await;
        assert_eq!(
            error.expect_err("no port").kind(),
            io::ErrorKind::InvalidInput
        );
    }
}

#[tokio::test]
async fn a_bound_link_leaves_with_the_address_of_its_network() {
    let udp = Udp::new();
    let mut acceptor = listening(&udp).await;
    let lo = bound(network("lo", &["127.0.0.3"]), 1, 1);
    let near = udp.connect(&acceptor.contact(), Some(&lo)).await;
    let mut near = datagrams(near.expect("loopback"));
    assert_eq!(near.local().expect("an address").to_string(), "127.0.0.3");
    send(&mut *near, b"!").await.expect("loopback");
    let far = accept(&mut *acceptor).await;
    assert_eq!(far.peer().expect("a peer").host(), Some("127.0.0.3"));
    if cfg!(target_os = "linux") {
        let gone = bound(network("nosuch0", &["127.0.0.1"]), 77, 1);
        let error = udp.connect(&acceptor.contact(), Some(&gone)).await;
        let error = error.expect_err("no device");
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        assert!(error.to_string().contains("nosuch0"), "{error}");
    }
}

fn source(n: usize) -> SocketAddr {
    let [_, _, a, b] = (n as u32).to_be_bytes();
    SocketAddr::new([10, 0, a, b].into(), 7)
}

#[test]
fn a_flood_of_sources_stays_within_the_table() {
    let mut table = Table::opened();
    table.hear((source(0), None), b"first");
    let kept = table.accept(Waker::noop()).expect("it waits");
    for n in 1..3 * SOURCES {
        table.hear((source(n), None), b"hello");
        let (sources, waiting, bytes) = table.sizes();
        assert!(sources <= SOURCES && waiting <= 2 * SOURCES && bytes <= TOTAL);
    }
    // One that was accepted goes after all that were not, although it was silent for longest.
    assert_eq!(
        table.take(kept, Waker::noop()),
        Taken::Datagram(b"first".to_vec())
    );
    let next = table.accept(Waker::noop()).expect("some wait");
    assert_eq!(
        next.source,
        source(2 * SOURCES + 1),
        "the oldest that is left"
    );
}

#[test]
fn of_accepted_sources_the_one_silent_for_longest_goes() {
    let mut table = Table::opened();
    let keys: Vec<_> = (0..SOURCES)
        .map(|n| {
            table.hear((source(n), None), b"hello");
            table.accept(Waker::noop()).expect("it waits")
        })
        .collect();
    table.hear((source(0), None), b"still here");
    table.hear((source(SOURCES), None), b"one more");
    assert_eq!(table.take(keys[1], Waker::noop()), Taken::Gone);
    assert!(matches!(
        table.take(keys[0], Waker::noop()),
        Taken::Datagram(_)
    ));
    assert_eq!(table.sizes().0, SOURCES);
    // Heard again it is another link, and the old one has no part in it.
    table.hear((source(1), None), b"back");
    assert_eq!(table.take(keys[1], Waker::noop()), Taken::Gone);
    table.forget(keys[1]);
    assert_eq!(table.sizes().0, SOURCES);
}

#[test]
fn what_nobody_reads_stays_within_its_bounds() {
    let mut table = Table::opened();
    for _ in 0..2 * UNACCEPTED {
        table.hear((source(1), None), b"hello");
    }
    assert_eq!(table.sizes().2, 5 * UNACCEPTED);
    let one = table.accept(Waker::noop()).expect("it waits");
    for _ in 0..2 * DATAGRAMS {
        table.hear((source(1), None), b"hello");
    }
    assert_eq!(table.sizes().2, 5 * DATAGRAMS);
    let large = vec![0; 60_000];
    for n in 0..2 * TOTAL / BYTES {
        for _ in 0..4 {
            table.hear((source(100 + n), None), &large);
        }
        table.accept(Waker::noop());
        assert!(table.sizes().2 <= TOTAL);
    }
    table.forget(one);
    table.close();
    assert!(
        table
            .hear((source(9), None), b"nobody accepts")
            .iter()
            .all(Option::is_none)
    );
    assert!(table.sizes().1 == 0);
}

#[tokio::test]
async fn a_shared_socket_tells_its_sizes() {
    let udp = Udp::new();
    let hub = udp
        .open("127.0.0.1:0".parse().expect("an address"), None)
        .expect("a port");
    assert_eq!(hub.sizes(), (0, 0, 0));
}
