//! Links that are bound to a network.

use super::*;

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
