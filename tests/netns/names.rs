//! Names are asked of the servers of the network that is tried, through that network.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link, join};
use crate::world::PATIENCE;
use mancom::{ConnectError, Manager, McStream, Network, NetworkSpec, Scout};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

pub(crate) const CASES: &[Case] = cases![names:
    each_network_asks_its_own_servers,
    a_network_that_does_not_know_the_name_gives_way,
    a_silent_name_server_gives_way,
    the_deadline_covers_the_name_s_resolution,
    what_a_vpn_carries_is_not_reached_beside_it,
    an_address_of_a_family_that_the_network_lacks_is_not_tried,
    a_silent_address_does_not_hold_up_the_next_on_the_network_chosen,
];

const NAME: &str = "tcp://photos.example:80";
const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// Routed through the VPN alone.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 3);
/// Nobody has it, and nobody says so.
const SILENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 9);

/// What a name server says of every name.
#[derive(Clone)]
enum Says {
    Is(IpAddr),
    /// Two, in this order.
    Are([Ipv4Addr; 2]),
    NoName,
    Nothing,
}

/// A name server of the near end of a link.
fn name_server(host: &Host, at: &'static str, says: Says) {
    let socket = host.run(move || UdpSocket::bind((at, 53)).unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length], &says) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
}

/// See RFC 1035, section 4: the question comes back, and with it the records.
fn answer(question: &[u8], says: &Says) -> Option<Vec<u8>> {
    let section = &question[12..];
    let kind = section[section.len() - 3];
    let (code, data) = match says {
        Says::Nothing => return None,
        Says::NoName => (3, Vec::new()),
        Says::Is(IpAddr::V4(ip)) if kind == 1 => (0, vec![ip.octets().to_vec()]),
        Says::Is(IpAddr::V6(ip)) if kind == 28 => (0, vec![ip.octets().to_vec()]),
        Says::Are(ips) if kind == 1 => (0, ips.iter().map(|ip| ip.octets().to_vec()).collect()),
        Says::Is(_) | Says::Are(_) => (0, Vec::new()),
    };
    let mut message = question[..2].to_vec();
    message.extend([0x81, 0x80 | code, 0, 1, 0, data.len() as u8, 0, 0, 0, 0]);
    message.extend(section);
    for data in data {
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        message.extend(data);
    }
    Some(message)
}

/// A client on `wlan0` and `wwan0`, and a server that says at which of its addresses it was reached.
struct World {
    client: Host,
    server: Host,
    _links: [Link; 2],
}

impl World {
    fn new(lab: &Lab) -> Self {
        let (client, server) = (lab.host("client"), lab.host("server"));
        let link =
            |near, near_ip, far, far_ip| lab.link(&client, near, near_ip, &server, far, far_ip);
        let wifi = link("wlan0", "10.1.0.2/24", "s0", "10.1.0.1/24");
        let cellular = link("wwan0", "10.2.0.2/24", "s1", "10.2.0.1/24");
        wifi.default_route(100);
        cellular.default_route(200);
        for address in [HERE, THERE, INSIDE] {
            server.reachable_at(&format!("{address}/32"));
        }
        let listener = server.run(|| TcpListener::bind("0.0.0.0:80").unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let at = stream.local_addr().unwrap();
                write!(stream, "{}", at.ip()).unwrap();
            }
        });
        World {
            client,
            server,
            _links: [wifi, cellular],
        }
    }

    /// Connects to the name with a manager that knows these networks: what was reached, over which.
    fn reach(
        &self,
        networks: [NetworkSpec; 2],
        label: &'static str,
        within: Duration,
    ) -> Result<(String, String), ConnectError> {
        join(self.client.spawn_async(move || async move {
            let scout = Scout::fixed(networks);
            let manager = Manager::builder().scout(scout).build().await.unwrap();
            let connect = manager.connect(NAME).label(label.parse().unwrap());
            let stream = connect.within(within).await?;
            let over = over(&stream);
            Ok((read(stream).await, over))
        }))
    }
}

async fn read(mut stream: McStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

fn over(stream: &McStream) -> String {
    let paths = stream.session().paths();
    paths[0].name.as_deref().unwrap_or("no network").to_owned()
}

fn wifi() -> NetworkSpec {
    Network::wifi("wlan0")
        .address((Ipv4Addr::new(10, 1, 0, 2), 24))
        .address_only()
        .dns(Ipv4Addr::new(10, 1, 0, 1).into())
}

fn cellular() -> NetworkSpec {
    Network::cellular("wwan0")
        .address((Ipv4Addr::new(10, 2, 0, 2), 24))
        .address_only()
        .dns(Ipv4Addr::new(10, 2, 0, 1).into())
}

fn reached(at: Ipv4Addr, over: &str) -> (String, String) {
    (at.to_string(), over.to_owned())
}

// behaviour: D10
fn each_network_asks_its_own_servers() {
    let lab = Lab::new();
    let world = World::new(&lab);
    name_server(&world.server, "10.1.0.1", Says::Is(HERE.into()));
    name_server(&world.server, "10.2.0.1", Says::Is(THERE.into()));
    let reach = |label| world.reach([wifi(), cellular()], label, PATIENCE).unwrap();
    assert_eq!(reach("require=wifi"), reached(HERE, "wlan0"));
    assert_eq!(reach("require=cellular"), reached(THERE, "wwan0"));
}

// behaviour: D10
fn a_network_that_does_not_know_the_name_gives_way() {
    let lab = Lab::new();
    let world = World::new(&lab);
    name_server(&world.server, "10.1.0.1", Says::NoName);
    name_server(&world.server, "10.2.0.1", Says::Is(THERE.into()));
    let networks = [wifi(), cellular()];
    let found = world.reach(networks, "prefer=wifi", PATIENCE).unwrap();
    assert_eq!(found, reached(THERE, "wwan0"));
}

// behaviour: D10
fn a_silent_name_server_gives_way() {
    let lab = Lab::new();
    let world = World::new(&lab);
    name_server(&world.server, "10.1.0.1", Says::Nothing);
    name_server(&world.server, "10.2.0.1", Says::Is(THERE.into()));
    let networks = [wifi(), cellular()];
    let found = world.reach(networks, "prefer=wifi", PATIENCE).unwrap();
    assert_eq!(found, reached(THERE, "wwan0"));
}

// behaviour: D2
fn the_deadline_covers_the_name_s_resolution() {
    let lab = Lab::new();
    let world = World::new(&lab);
    name_server(&world.server, "10.1.0.1", Says::Nothing);
    let begin = Instant::now();
    let within = Duration::from_secs(1);
    let error = world
        .reach([wifi(), cellular()], "require=wifi", within)
        .unwrap_err();
    assert!(error.is_timed_out(), "{error:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "one attempt has 5 s of its own"
    );
}

// behaviour: M11 M18
fn what_a_vpn_carries_is_not_reached_beside_it() {
    let lab = Lab::new();
    let world = World::new(&lab);
    for at in ["10.1.0.1", "10.2.0.1"] {
        name_server(&world.server, at, Says::Is(INSIDE.into()));
    }
    // The second link plays a VPN that carries one address and is no default route.
    let vpn = || {
        Network::vpn("wwan0")
            .address((Ipv4Addr::new(10, 2, 0, 2), 24))
            .no_default_route()
            .route(mancom::network::Route::to(INSIDE))
            .address_only()
            .dns(Ipv4Addr::new(10, 2, 0, 1).into())
    };
    let found = world.reach([wifi(), vpn()], "any", PATIENCE).unwrap();
    assert_eq!(found, reached(INSIDE, "wwan0"));
    let error = world
        .reach([wifi(), vpn()], "require=wifi", PATIENCE)
        .unwrap_err();
    let text = error.to_string();
    let reason = "10.9.0.3: wlan0 would bypass the VPN wwan0";
    assert!(text.contains(reason), "{text}");
}

// behaviour: M9
fn an_address_of_a_family_that_the_network_lacks_is_not_tried() {
    let lab = Lab::new();
    let world = World::new(&lab);
    let far = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 1);
    name_server(&world.server, "10.1.0.1", Says::Is(far.into()));
    let error = world
        .reach([wifi(), cellular()], "require=wifi", PATIENCE)
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("photos.example on wlan0: it has no address"),
        "{text}"
    );
}

/// RFC 8305: the next address is tried beside the silent one, over the same network.
// behaviour: D10
fn a_silent_address_does_not_hold_up_the_next_on_the_network_chosen() {
    let lab = Lab::new();
    let world = World::new(&lab);
    name_server(&world.server, "10.1.0.1", Says::Are([SILENT, HERE]));
    name_server(&world.server, "10.2.0.1", Says::Are([SILENT, THERE]));
    for (label, at, over) in [
        ("require=wifi", HERE, "wlan0"),
        ("require=cellular", THERE, "wwan0"),
    ] {
        let begin = Instant::now();
        let found = world.reach([wifi(), cellular()], label, PATIENCE).unwrap();
        assert_eq!(found, reached(at, over));
        let took = begin.elapsed();
        // One address alone is given up after 5 s.
        let stagger = Duration::from_millis(250);
        assert!(took >= stagger && took < Duration::from_secs(4), "{took:?}");
    }
}
