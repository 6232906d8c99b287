//! Datagrams: groups on real links, and sessions where there is nothing but datagrams that get lost.

use crate::isolation::{Case, cases, soak};
use crate::lab::{Direction, Host, Lab, Link, join, mancom};
use crate::process::{Program, until};
use crate::transfer::{By, Load, MIB, Transfer};
use crate::waiting::lasting;
use crate::world::World;
use mancom::proto::pair::Seeded;
use mancom::transport::{Acceptor, Bind, DatagramLink, Link as Way, Multicast, Transport, Udp};
use mancom::{Endpoint, Label};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

pub(crate) const CASES: &[Case] = cases![datagrams:
    a_damaged_datagram_is_dropped_and_the_next_delivered,
    a_group_is_heard_on_the_network_it_was_joined_on,
    a_group_is_heard_over_ipv6,
    a_session_over_airhook_goes_from_network_to_network;
    measure:
    cat_over_airhook_survives_a_fifth_lost_and_ten_seconds_of_nothing,
];

const LIMIT: Duration = Duration::from_secs(100);
/// Where the relay listens, and the listener behind it, which none but the relay can reach.
const RELAY: &str = "10.9.0.1:7001";
const BEHIND: &str = "127.0.0.1:7000";
/// In percent, each way.
const LOSS: u64 = 20;

// ---- damage

/// A UDP datagram from here to there over loopback, with its checksum (RFC 768) turned by `damage`.
fn datagram(port: u16, payload: &[u8], damage: u16) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let head = [9u16, port, len].map(u16::to_be_bytes).concat();
    let pseudo = [&[127, 0, 0, 1, 127, 0, 0, 1, 0, 17], &len.to_be_bytes()[..]].concat();
    // Lengths are even, so that words do not run over the seams.
    let words = [&pseudo[..], &head, payload].concat();
    let words = words.chunks_exact(2);
    let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.fold(0, |sum, word| {
        let sum: u32 = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    let checksum = !(sum as u16) ^ damage;
    [&head, &checksum.to_be_bytes()[..], payload].concat()
}

/// The host's checksum is the only one that a datagram has, so what passes it is whole.
// behaviour: EV-21
fn a_damaged_datagram_is_dropped_and_the_next_delivered() {
    let lab = Lab::new();
    let host = lab.host("host");
    join(host.spawn_async(move || async move {
        let at: Endpoint = "udp://127.0.0.1:0".parse().unwrap();
        let mut acceptor = Udp::new().listen(&at, None).await.unwrap();
        let to = acceptor.contact().socket_addr().unwrap();
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
        let sends = |payload: &[u8], damage| {
            let sent = raw.send_to(&datagram(to.port(), payload, damage), &to.into());
            sent.unwrap();
        };
        // Before there is a link, and on it.
        sends(b"damaged!", 0x0100);
        sends(b"whole.", 0);
        let link = poll_fn(|cx| acceptor.poll_accept(cx));
        let link = tokio::time::timeout(LIMIT, link).await.unwrap();
        let mut link = datagrams(link.unwrap());
        assert_eq!(recv(&mut *link).await, b"whole.");
        for damage in [0x0001, 0x8000, 0x4242] {
            sends(b"the same", damage);
            sends(b"the next", 0);
            assert_eq!(recv(&mut *link).await, b"the next");
        }
    }));
}

// ---- groups

/// The network of this interface, as mancom knows it here.
async fn on(interface: &str) -> Bind {
    let label: Label = format!("if={interface} scope=local").parse().unwrap();
    let network = mancom::matching(label).within(LIMIT).await.unwrap();
    let source = None;
    Bind { network, source }
}

fn datagrams(link: Way) -> Box<dyn DatagramLink> {
    match link {
        Way::Datagrams(link) => link,
        Way::Bytes(_) => panic!("a group has datagrams"),
    }
}

async fn send(link: &mut dyn DatagramLink, datagram: &[u8]) {
    poll_fn(|cx| link.poll_send(cx, datagram)).await.unwrap();
}

async fn recv(link: &mut dyn DatagramLink) -> Vec<u8> {
    let mut bytes = [0; 2048];
    let mut buf = ReadBuf::new(&mut bytes);
    let received = poll_fn(|cx| link.poll_recv(cx, &mut buf));
    tokio::time::timeout(LIMIT, received)
        .await
        .unwrap()
        .unwrap();
    buf.filled().to_vec()
}

/// Joins the group on a host's interface, and answers the first who is heard there.
fn answers(host: &Host, group: &Endpoint, interface: &'static str) -> JoinHandle<Vec<u8>> {
    let (joined, ready) = mpsc::channel();
    let group = group.clone();
    let answering = host.spawn_async(move || async move {
        let bind = on(interface).await;
        let multicast = Multicast::new();
        let acceptor = multicast.listen(&group, Some(&bind)).await;
        let mut acceptor: Box<dyn Acceptor> = acceptor.unwrap();
        joined.send(()).unwrap();
        let link = poll_fn(|cx| acceptor.poll_accept(cx));
        let link = tokio::time::timeout(LIMIT, link).await.unwrap();
        let mut link = datagrams(link.unwrap());
        let heard = recv(&mut *link).await;
        send(&mut *link, b"I am").await;
        heard
    });
    ready.recv().unwrap();
    answering
}

/// Sends to the group by one interface.
async fn asks(group: &Endpoint, interface: &str, question: &[u8]) -> Box<dyn DatagramLink> {
    let bind = on(interface).await;
    let link = Multicast::new().connect(group, Some(&bind)).await;
    let mut link = datagrams(link.unwrap());
    send(&mut *link, question).await;
    link
}

fn a_group_is_heard_on_the_network_it_was_joined_on() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let _one = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    let _two = lab.link(&client, "eth1", "10.2.0.2/24", &server, "s1", "10.2.0.1/24");
    let group: Endpoint = "multicast://239.77.9.1:7000".parse().unwrap();
    let answering = answers(&server, &group, "s1");
    let answer = join(client.spawn_async(move || async move {
        // Not by the network that the listener joined it on.
        let _other = asks(&group, "eth0", b"who hears this").await;
        let mut link = asks(&group, "eth1", b"who is there").await;
        recv(&mut *link).await
    }));
    assert_eq!(answer, b"I am");
    assert_eq!(join(answering), b"who is there");
}

fn a_group_is_heard_over_ipv6() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let _link = lab.link(
        &client,
        "eth0",
        "fd00:1::2/64",
        &server,
        "s0",
        "fd00:1::1/64",
    );
    let group: Endpoint = "multicast://[ff15::77]:7000".parse().unwrap();
    let answering = answers(&server, &group, "s0");
    let answer = join(client.spawn_async(move || async move {
        let mut link = asks(&group, "eth0", b"who is there").await;
        recv(&mut *link).await
    }));
    assert_eq!(answer, b"I am");
    assert_eq!(join(answering), b"who is there");
}

// ---- sessions

// behaviour: S1, S10
fn a_session_over_airhook_goes_from_network_to_network() {
    let lab = Lab::new();
    let world = World::free(&lab, ["50mbit", "50mbit"]);
    let load = Load::new(By::Up, Label::ANY, 48 * MIB).to("mc+airhook://10.9.0.1:7000");
    // It listens at every address, and answers from the one that is dialled.
    let load = load.listening_at("mc+airhook://0.0.0.0:7000");
    let transfer = Transfer::of(&world, load);
    transfer.advances(2 * MIB);
    world.wifi.down();
    transfer.advances(2 * MIB);
    world.wifi.up();
    world.cellular.silence(Direction::Both);
    transfer.advances(2 * MIB);
    world.cellular.heal();
    transfer.advances(2 * MIB);
    world.wifi.down();
    world.cellular.down();
    transfer.falls_still(Duration::from_secs(1));
    assert!(
        !transfer.is_finished(),
        "no network, no bytes, and no error"
    );
    world.cellular.up();
    transfer.end();
}

// ---- a relay that loses

/// Passes datagrams on to the listener behind it, and back, but for those that it loses.
#[derive(Clone)]
struct Relay {
    dark: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    chance: Arc<Mutex<Seeded>>,
}

impl Relay {
    /// In a host's namespace, for as long as the test lasts.
    fn start(&self, host: &Host) {
        let (listening, ready) = mpsc::channel();
        let relay = self.clone();
        host.spawn_async(move || async move {
            let outer = Arc::new(UdpSocket::bind(RELAY).await.unwrap());
            listening.send(()).unwrap();
            relay.pass(outer).await;
        });
        ready.recv().unwrap();
    }

    async fn pass(self, outer: Arc<UdpSocket>) {
        let mut inner: BTreeMap<_, Arc<UdpSocket>> = BTreeMap::new();
        let mut buf = [0; 2048];
        loop {
            let (n, from) = outer.recv_from(&mut buf).await.unwrap();
            if let Entry::Vacant(place) = inner.entry(from) {
                let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                socket.connect(BEHIND).await.unwrap();
                place.insert(Arc::clone(&socket));
                let (relay, outer) = (self.clone(), Arc::clone(&outer));
                tokio::spawn(async move {
                    let mut buf = [0; 2048];
                    loop {
                        // What nobody hears behind it is no matter of the relay's.
                        if let Ok(n) = socket.recv(&mut buf).await
                            && !relay.loses()
                        {
                            let _ = outer.send_to(&buf[..n], from).await;
                        }
                    }
                });
            }
            if !self.loses() {
                self.passed.fetch_add(n as u64, Ordering::Relaxed);
                let _ = inner[&from].send(&buf[..n]).await;
            }
        }
    }

    fn loses(&self) -> bool {
        let drawn = self.chance.lock().unwrap().below(100);
        self.dark.load(Ordering::Relaxed) || drawn < LOSS
    }
}

/// Bytes in which any two that are swapped are seen.
fn counter(length: u64) -> Vec<u8> {
    (0..length / 8).flat_map(u64::to_be_bytes).collect()
}

// behaviour: AH-29
fn cat_over_airhook_survives_a_fifth_lost_and_ten_seconds_of_nothing() {
    let lab = Lab::new();
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link: Link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    server.reachable_at("10.9.0.1/32");
    let total = soak().unwrap_or(2_000_000);
    let limit = LIMIT.max(Duration::from_secs(total / 50_000));
    let (there, back) = (counter(total), counter(total / 10));
    let relay = Relay {
        dark: Arc::default(),
        passed: Arc::default(),
        chance: Arc::new(Mutex::new(Seeded::new(1))),
    };
    relay.start(&server);
    let at = format!("mc+airhook://{BEHIND}");
    let listen = ["cat", "--listen", &at];
    let mut listening = Program::start(&mut mancom(&server, &listen), back.clone());
    until("the listener", LIMIT, || {
        assert!(listening.is_running());
        // Asked this way, for a socket of ours would be in the way of the listener's.
        let sockets = server.run(|| std::fs::read_to_string("/proc/thread-self/net/udp"));
        sockets.unwrap().contains("0100007F:1B58")
    });
    let to = format!("mc+airhook://{RELAY}");
    let begin = Instant::now();
    let connect = ["cat", &to, "--plaintext"];
    let mut connected = Program::start(&mut mancom(&client, &connect), there.clone());
    until("a part of the bytes", LIMIT, || {
        assert!(connected.is_running() && listening.is_running());
        relay.passed.load(Ordering::Relaxed) > total / 4
    });
    relay.dark.store(true, Ordering::Relaxed);
    lasting(Duration::from_secs(10));
    assert!(
        connected.is_running() && listening.is_running(),
        "the middle"
    );
    relay.dark.store(false, Ordering::Relaxed);
    let (connected, listening) = (connected.finish(limit), listening.finish(limit));
    println!("{total} bytes in {:?}", begin.elapsed());
    println!("{}\n{}", connected.stderr, listening.stderr);
    assert_eq!(connected.status.code(), Some(0));
    assert_eq!(listening.status.code(), Some(0));
    assert!(connected.stdout == back, "what came back is what was sent");
    assert!(listening.stdout == there, "what went there is what arrived");
}
