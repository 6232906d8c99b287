//! Where an acceptor listens, and what it calls itself.

use super::*;

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
        .listen(&endpoint("mc://0.0.0.0:0?nodelay=no"), None)
        .await
        .expect("a port");
    let contact = any.contact();
    assert!(!contact.ip().expect("an address").is_unspecified());
    assert!(
        contact.port().expect("the real one") > 0 && contact.has("nodelay"),
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
