//! Where a plain `TcpStream` connects, mancom does: in containers, beside bridges, without netlink.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link, join};
use crate::netlink;
use crate::waiting::lasting;
use crate::world::{SERVER, echo, serve_echo};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = cases![plain:
    connects_from_a_container,
    connects_beside_bridges_that_lead_nowhere,
    connects_where_one_route_covers_the_destination,
    connects_over_ipv6_alone,
    connects_with_netlink_refused,
    connects_with_netlink_unknown,
    reports_a_refused_connection,
    reads_from_a_plain_server,
    connects_to_its_own_address,
    a_plain_stream_outlasts_a_pulled_cable,
    a_plain_stream_is_told_that_its_address_went,
];

/// A plain connection here takes well under a millisecond.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A container with one interface, and the world behind its gateway.
fn container(lab: &Lab) -> (Host, Host, Link) {
    let (container, server) = (lab.host("container"), lab.host("server"));
    let link = lab.link(
        &container,
        "eth0",
        "172.17.0.2/16",
        &server,
        "v0",
        "172.17.0.1/16",
    );
    server.reachable_at("10.9.0.1/32");
    (container, server, link)
}

fn gateway(container: &Host) {
    container.ip("route add default via 172.17.0.1 dev eth0");
}

/// A plain stream gets through, and then so does mancom, with nothing said about networks.
fn connects_at_once(host: &Host, server: &Host, at: &'static str) {
    serve_echo(server, at);
    let address = at.trim_start_matches("mc://").to_owned();
    host.run(move || TcpStream::connect(&address).expect("a plain stream connects"));
    join(host.spawn_async(move || connect_and_echo(at)));
}

async fn connect_and_echo(at: &'static str) {
    let begin = Instant::now();
    let connect = mancom::connect(at).plaintext();
    let stream = connect.within(Duration::from_secs(10)).await.unwrap();
    assert!(begin.elapsed() < AT_ONCE, "after {:?}", begin.elapsed());
    echo(stream, b"as a plain stream would").await;
}

// behaviour: M19, C9
fn connects_from_a_container() {
    let lab = Lab::new();
    let (container, server, _link) = container(&lab);
    gateway(&container);
    connects_at_once(&container, &server, SERVER);
}

// behaviour: M19
fn connects_beside_bridges_that_lead_nowhere() {
    let lab = Lab::new();
    let (host, server, _link) = container(&lab);
    gateway(&host);
    for (bridge, address) in [("docker0", "172.18.0.1/16"), ("br-1", "172.19.0.1/16")] {
        host.ip(&format!("link add {bridge} type bridge"));
        host.ip(&format!("address add {address} dev {bridge}"));
        host.ip(&format!("link set {bridge} up"));
    }
    connects_at_once(&host, &server, SERVER);
}

// behaviour: M19
fn connects_where_one_route_covers_the_destination() {
    let lab = Lab::new();
    let (host, server, _link) = container(&lab);
    host.ip("route add 10.9.0.0/24 via 172.17.0.1 dev eth0");
    connects_at_once(&host, &server, SERVER);
}

// behaviour: M19
fn connects_over_ipv6_alone() {
    let lab = Lab::new();
    let (host, server) = (lab.host("host"), lab.host("server"));
    let _link = lab.link(&host, "eth0", "fd00:1::2/64", &server, "v0", "fd00:1::1/64");
    host.ip("route add default via fd00:1::1 dev eth0");
    server.reachable_at("fd00:9::1/128");
    connects_at_once(&host, &server, "mc://[fd00:9::1]:7000");
}

// behaviour: C9
fn connects_with_netlink_refused() {
    connects_without_netlink(libc::EPERM);
}

// behaviour: C9
fn connects_with_netlink_unknown() {
    connects_without_netlink(libc::EAFNOSUPPORT);
}

fn connects_without_netlink(errno: i32) {
    let lab = Lab::new();
    let (container, server, _link) = container(&lab);
    gateway(&container);
    serve_echo(&server, SERVER);
    join(container.spawn(move || {
        netlink::refuse(errno);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(connect_and_echo(SERVER));
    }));
}

// behaviour: D4
fn reports_a_refused_connection() {
    let lab = Lab::new();
    let (container, _server, _link) = container(&lab);
    gateway(&container);
    let error = join(container.spawn_async(|| async {
        let connect = mancom::connect(SERVER).plaintext();
        let error = connect.within(Duration::from_secs(60)).await.unwrap_err();
        mancom::Error::from(error)
    }));
    assert!(!error.is_timed_out(), "{error:?}");
    assert!(format!("{error:?}").contains("eth0"), "{error:?}");
}

// behaviour: C9
fn reads_from_a_plain_server() {
    use tokio::io::AsyncReadExt;

    let lab = Lab::new();
    let (container, server, _link) = container(&lab);
    gateway(&container);
    let listener = server.run(|| std::net::TcpListener::bind("10.9.0.1:80").unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"220 ready\n").unwrap();
    });
    let greeting = join(container.spawn_async(|| async {
        let connect = mancom::connect("tcp://10.9.0.1:80");
        let mut stream = connect.within(Duration::from_secs(10)).await.unwrap();
        let mut greeting = String::new();
        stream.read_to_string(&mut greeting).await.unwrap();
        greeting
    }));
    assert_eq!(greeting, "220 ready\n");
}

// behaviour: M19
fn connects_to_its_own_address() {
    let lab = Lab::new();
    let (container, _server, _link) = container(&lab);
    gateway(&container);
    // A socket bound to the device would send this out, and nobody would answer.
    connects_at_once(&container, &container, "mc://172.17.0.2:7000");
}

/// A plain stream that is open, what becomes of its link meanwhile, and whether bytes come after.
fn plain_stream_through(cut: impl FnOnce(&Link)) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt;

    let lab = Lab::new();
    let (container, server, link) = container(&lab);
    gateway(&container);
    let listener = server.run(|| std::net::TcpListener::bind("10.9.0.1:80").unwrap());
    let (opened, is_open) = std::sync::mpsc::channel();
    let reading = container.spawn_async(move || async move {
        let connect = mancom::connect("tcp://10.9.0.1:80");
        let mut stream = connect.within(Duration::from_secs(10)).await.unwrap();
        opened.send(()).unwrap();
        let mut line = String::new();
        let read = stream.read_to_string(&mut line);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        read.expect("neither bytes nor an error").map(|_| line)
    });
    let (mut stream, _) = listener.accept().unwrap();
    is_open.recv().unwrap();
    cut(&link);
    std::io::Write::write_all(&mut stream, b"still here").unwrap();
    drop(stream);
    join(reading)
}

// behaviour: S9
fn a_plain_stream_outlasts_a_pulled_cable() {
    let line = plain_stream_through(|link| {
        link.lose_carrier();
        lasting(Duration::from_millis(500));
        link.regain_carrier();
    });
    assert_eq!(line.unwrap(), "still here");
}

// behaviour: S9
fn a_plain_stream_is_told_that_its_address_went() {
    let error = plain_stream_through(Link::remove_address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkDown);
    assert!(error.to_string().contains("network eth0 went"), "{error}");
}
