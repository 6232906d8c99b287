//! The lab itself, with plain sockets: each kind of loss is what it says it is.

use crate::isolation::{Case, cases};
use crate::lab::{Direction, Host, Lab, Link, join};
use crate::process::{Program, until};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = cases![lab:
    joins_two_hosts,
    joins_two_hosts_over_ipv6,
    runs_programs_on_a_host,
    runs_a_runtime_on_a_host,
    reaches_one_address_over_two_links,
    carries_a_bound_socket_over_its_own_link,
    tells_admin_down_from_a_lost_carrier,
    takes_an_address_and_gives_it_back,
    makes_a_deleted_link_again_with_a_new_index,
    swallows_silently_and_heals,
    keeps_hosts_apart;
    measure:
    limits_a_link,
];

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), 7000);
const PATIENCE: Duration = Duration::from_secs(10);

/// A client and a server joined by one link with a default route.
fn pair(lab: &Lab) -> (Host, Host, Link) {
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(
        &client,
        "wlan0",
        "10.1.0.2/24",
        &server,
        "s0",
        "10.1.0.1/24",
    );
    link.default_route(100);
    server.reachable_at("10.9.0.1/32");
    (client, server, link)
}

/// An established connection from client to server.
fn connection(client: &Host, server: &Host) -> (TcpStream, TcpStream) {
    let listener = server.run(|| TcpListener::bind(SERVER).unwrap());
    let accepting = server.spawn(move || listener.accept().unwrap().0);
    let dialled = client.run(|| TcpStream::connect_timeout(&SERVER, PATIENCE).unwrap());
    (dialled, join(accepting))
}

fn connect_error(client: &Host) -> ErrorKind {
    client.run(|| {
        TcpStream::connect_timeout(&SERVER, Duration::from_millis(300))
            .unwrap_err()
            .kind()
    })
}

fn joins_two_hosts() {
    let lab = Lab::new();
    let (client, server, _link) = pair(&lab);
    let (mut near, mut far) = connection(&client, &server);
    assert_eq!(near.local_addr().unwrap().ip(), Ipv4Addr::new(10, 1, 0, 2));
    near.write_all(b"ping").unwrap();
    let mut question = [0; 4];
    far.read_exact(&mut question).unwrap();
    far.write_all(b"pong").unwrap();
    let mut answer = [0; 4];
    near.read_exact(&mut answer).unwrap();
    assert_eq!((&question, &answer), (b"ping", b"pong"));
    assert!(client.bytes_sent("wlan0") > 0);
}

fn joins_two_hosts_over_ipv6() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(
        &client,
        "eth0",
        "fd00:1::2/64",
        &server,
        "s0",
        "fd00:1::1/64",
    );
    link.default_route(100);
    server.reachable_at("fd00:9::1/128");
    let address: SocketAddr = "[fd00:9::1]:7000".parse().unwrap();
    let _listener = server.run(move || TcpListener::bind(address).unwrap());
    let connect = move || TcpStream::connect_timeout(&address, PATIENCE).is_ok();
    assert!(client.run(connect));
    // Admin down takes IPv6 addresses away; up gives them back.
    link.down();
    link.up();
    until("the link's return", PATIENCE, || client.is_running("eth0"));
    assert!(client.run(connect));
}

fn runs_programs_on_a_host() {
    let lab = Lab::new();
    let (client, _server, _link) = pair(&lab);
    let mut ls = client.command("ls");
    let finished = Program::start(ls.arg("/sys/class/net"), Vec::new()).finish(PATIENCE);
    assert!(finished.status.success(), "{}", finished.stderr);
    assert_eq!(finished.stdout, b"lo\nwlan0\n", "the host's own /sys");
    let begin = Instant::now();
    let copied = Program::start(&mut client.command("cat"), vec![7; 200_000]).finish(PATIENCE);
    assert!(copied.at > begin);
    assert_eq!(copied.stdout, vec![7; 200_000]);
    let mut sleeping = Program::start(client.command("sleep").arg("1000"), Vec::new());
    assert!(sleeping.is_running());
}

fn runs_a_runtime_on_a_host() {
    let lab = Lab::new();
    let (client, server, _link) = pair(&lab);
    let listener = server.run(|| TcpListener::bind(SERVER).unwrap());
    let greeting = client.spawn_async(|| async {
        let mut stream = tokio::net::TcpStream::connect(SERVER).await.unwrap();
        // Its blocking threads are on the same host.
        let blocking = tokio::task::spawn_blocking(|| TcpStream::connect(SERVER).is_ok());
        assert!(blocking.await.unwrap());
        let mut greeting = [0; 5];
        let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut greeting);
        read.await.unwrap();
        greeting
    });
    listener.accept().unwrap().0.write_all(b"hello").unwrap();
    assert_eq!(&join(greeting), b"hello");
}

fn reaches_one_address_over_two_links() {
    let lab = Lab::new();
    let (client, server, wifi) = pair(&lab);
    let cellular = lab.link(
        &client,
        "wwan0",
        "10.2.0.2/24",
        &server,
        "s1",
        "10.2.0.1/24",
    );
    cellular.default_route(200);
    let (first, _) = connection(&client, &server);
    assert_eq!(first.local_addr().unwrap().ip(), Ipv4Addr::new(10, 1, 0, 2));
    wifi.down();
    let (second, _) = connection(&client, &server);
    assert_eq!(
        second.local_addr().unwrap().ip(),
        Ipv4Addr::new(10, 2, 0, 2)
    );
    wifi.up();
    let (third, _) = connection(&client, &server);
    assert_eq!(third.local_addr().unwrap().ip(), Ipv4Addr::new(10, 1, 0, 2));
}

fn carries_a_bound_socket_over_its_own_link() {
    let lab = Lab::new();
    let (client, server, _wifi) = pair(&lab);
    let cellular = lab.link(
        &client,
        "wwan0",
        "10.2.0.2/24",
        &server,
        "s1",
        "10.2.0.1/24",
    );
    cellular.default_route(200);
    let _listener = server.run(|| TcpListener::bind(SERVER).unwrap());
    let source: SocketAddr = "10.2.0.2:0".parse().unwrap();
    for device in [None, Some(&b"wwan0"[..])] {
        let before = client.bytes_sent("wwan0");
        client.run(move || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            socket.bind_device(device).unwrap();
            socket.bind(&source.into()).unwrap();
            socket.connect_timeout(&SERVER.into(), PATIENCE).unwrap();
        });
        assert!(client.bytes_sent("wwan0") > before, "by {device:?}");
    }
}

fn tells_admin_down_from_a_lost_carrier() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    link.lose_carrier();
    until("the carrier's loss", PATIENCE, || {
        !client.is_running("wlan0")
    });
    assert!(client.ip("address show dev wlan0").contains("10.1.0.2/24"));
    assert!(
        client
            .ip("route")
            .contains("default via 10.1.0.1 dev wlan0")
    );
    link.regain_carrier();
    until("the carrier's return", PATIENCE, || {
        client.is_running("wlan0")
    });
    link.down();
    assert!(client.ip("-o link show dev wlan0").contains("state DOWN"));
    assert_eq!(client.ip("route"), "");
    assert_eq!(connect_error(&client), ErrorKind::NetworkUnreachable);
    link.up();
    until("the link's return", PATIENCE, || client.is_running("wlan0"));
    connection(&client, &server);
}

fn takes_an_address_and_gives_it_back() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    link.remove_address();
    assert!(client.is_running("wlan0"));
    assert!(!client.ip("address show dev wlan0").contains("10.1.0.2"));
    assert_eq!(connect_error(&client), ErrorKind::NetworkUnreachable);
    link.restore_address();
    connection(&client, &server);
}

fn makes_a_deleted_link_again_with_a_new_index() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    let before = client.index("wlan0").unwrap();
    link.delete();
    assert_eq!(client.index("wlan0"), None);
    assert_eq!(server.index("s0"), None);
    link.make();
    assert_ne!(client.index("wlan0"), Some(before));
    connection(&client, &server);
}

fn swallows_silently_and_heals() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    let (mut near, mut far) = connection(&client, &server);
    let mut buffer = [0; 5];
    link.silence(Direction::Both);
    near.write_all(b"hello").unwrap();
    far.set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let error = far.read(&mut buffer).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::WouldBlock,
        "no error, only silence"
    );
    assert!(near.take_error().unwrap().is_none());
    assert!(client.is_running("wlan0"));
    link.heal();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    far.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello", "TCP itself repeats what was swallowed");
}

fn limits_a_link() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    link.limit("80mbit");
    let (mut near, mut far) = connection(&client, &server);
    let begin = Instant::now();
    let writing = std::thread::spawn(move || near.write_all(&vec![0; 4_000_000]).unwrap());
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    join(writing);
    assert_eq!(bytes.len(), 4_000_000);
    // 4 MB at 10 MB/s, less what the queue and the bucket take at once.
    assert!(
        begin.elapsed() > Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
}

fn keeps_hosts_apart() {
    let lab = Lab::new();
    let (a, b) = (lab.host("a"), lab.host("b"));
    let listener = a.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 7000)).unwrap());
    let address = listener.local_addr().unwrap();
    b.run(move || TcpListener::bind(address).unwrap());
    let refused = b.run(move || TcpStream::connect(address).unwrap_err().kind());
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert!(a.run(move || TcpStream::connect(address).is_ok()));
}
