//! Groups on the loopback interface.

use super::*;
use crate::transport::DatagramLink;
use crate::transport::tests::{bound, network};
use crate::transport::udp::tests::{accept, datagrams, recv, send};

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

/// A port that nothing else of this host uses at the moment.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("it is bound").port()
}

async fn dialled(to: &Endpoint, on: Option<&Bind>) -> Box<dyn DatagramLink> {
    datagrams(Multicast::new().connect(to, on).await.expect("a socket"))
}

#[tokio::test]
async fn everybody_who_listens_to_a_group_hears_it_and_answers_the_sender() {
    let at = endpoint(&format!("multicast://239.77.1.2:{}", free_port()));
    let transports = [Multicast::new(), Multicast::new()];
    let mut acceptors = Vec::new();
    for transport in &transports {
        acceptors.push(transport.listen(&at, None).await.expect("a group"));
    }
    assert_eq!(acceptors[0].contact(), at);
    assert!(transports[0].is_self(&at));
    let mut near = dialled(&at, None).await;
    send(&mut *near, b"who is there").await.expect("loopback");
    for (n, acceptor) in acceptors.iter_mut().enumerate() {
        let mut far = accept(&mut **acceptor).await;
        assert_eq!(
            recv(&mut *far).await.expect("the question"),
            b"who is there"
        );
        send(&mut *far, &[n as u8]).await.expect("loopback");
        assert_eq!(recv(&mut *near).await.expect("the answer"), [n as u8]);
    }
    drop(acceptors);
    assert!(!transports[0].is_self(&at));
}

#[tokio::test]
async fn two_groups_of_one_port_are_kept_apart() {
    let port = free_port();
    let (one, two) = (
        endpoint(&format!("multicast://239.77.2.1:{port}")),
        endpoint(&format!("multicast://239.77.2.2:{port}")),
    );
    let transport = Multicast::new();
    let mut first = transport.listen(&one, None).await.expect("a group");
    let mut second = transport.listen(&two, None).await.expect("a group");
    send(&mut *dialled(&one, None).await, b"1")
        .await
        .expect("loopback");
    send(&mut *dialled(&two, None).await, b"2")
        .await
        .expect("loopback");
    let mut far = accept(&mut *first).await;
    assert_eq!(recv(&mut *far).await.expect("its own"), b"1");
    let mut far = accept(&mut *second).await;
    assert_eq!(recv(&mut *far).await.expect("its own"), b"2");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_group_is_joined_and_left_by_the_network_given() {
    let at = endpoint(&format!("multicast://239.77.3.1:{}", free_port()));
    let lo = bound(network("lo", &["127.0.0.1"]), 1, 1);
    let transport = Multicast::new();
    let mut acceptor = transport.listen(&at, Some(&lo)).await.expect("a group");
    let mut near = dialled(&at, Some(&lo)).await;
    send(&mut *near, b"here").await.expect("loopback");
    let mut far = accept(&mut *acceptor).await;
    assert_eq!(recv(&mut *far).await.expect("a datagram"), b"here");
    let gone = bound(network("nosuch0", &["127.0.0.1"]), 77, 1);
    let error = transport
        .connect(&at, Some(&gone))
        .await
        .expect_err("no device");
    assert!(error.to_string().contains("nosuch0"), "{error}");
    assert!(transport.listen(&at, Some(&gone)).await.is_err());
}

#[tokio::test]
async fn what_is_no_group_or_no_size_is_refused() {
    let transport = Multicast::new();
    for wrong in [
        "multicast://127.0.0.1:7000",
        "multicast://example.org:7000",
        "multicast://239.1.1.1",
        "multicast://239.1.1.1:7000?ttl=256",
        "multicast://239.1.1.1:7000?max=0",
    ] {
        let error = transport.connect(&endpoint(wrong), None).await;
        let error = error.expect_err("nothing to send to");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong}");
        assert!(error.to_string().contains(wrong), "{error}");
        assert!(transport.listen(&endpoint(wrong), None).await.is_err());
    }
}
