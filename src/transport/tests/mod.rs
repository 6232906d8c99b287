//! What every transport promises, and TCP beside it.

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

mod binding;
mod dialling;
#[cfg(target_os = "linux")]
mod kernel;
mod listening;
mod owned;
mod pulls;
#[cfg(target_os = "linux")]
mod unix_messages;
#[cfg(unix)]
mod unix_sockets;

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
        unnamed: None,
    }
}

#[tokio::test]
async fn tcp_conforms() {
    conformance::all(&tcp_subject("tcp://127.0.0.1:0")).await;
}

#[tokio::test]
async fn tcp_conforms_under_another_scheme_and_by_name() {
    conformance::all(&tcp_subject("mc://localhost:0?nodelay=no")).await;
}

#[tokio::test]
async fn tcp_conforms_on_every_address() {
    // behaviour: EV-13
    let subject = Subject {
        // What dials is known by the address it dials from, which is none of loopback's.
        there: endpoint("tcp://0.0.0.0"),
        ..tcp_subject("tcp://0.0.0.0")
    };
    conformance::all(&subject).await;
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
        unnamed: None,
    };
    conformance::all(&subject).await;
}

#[tokio::test]
async fn every_transport_reports_what_it_is() {
    let (memory, _) = unsimulated();
    let mut pulled = Characteristics::stream();
    pulled.owned_send = true;
    pulled.pull_schedule = true;
    assert_eq!(memory.characteristics(), pulled);
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
    let over_tcp: &[_] = match cfg!(feature = "tls") {
        true => &["mc", "mcs", "mem", "tcp", "tls"],
        false => &["mc", "mem", "tcp"],
    };
    assert_eq!(error.known, over_tcp);
    assert_eq!(
        error.to_string(),
        format!(
            "no transport for `tpc`, did you mean `tcp`?; known: {}",
            over_tcp.join(", ")
        )
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
