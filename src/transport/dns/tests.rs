use super::*;
use crate::network::{Network, NetworkId, NetworkSpec};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpListener;

/// What a server of these tests does with a question.
#[derive(Clone, Copy)]
enum Manner {
    Answers(&'static [IpAddr]),
    /// In a datagram it cuts short, over TCP it answers.
    Cuts(&'static [IpAddr]),
    NoName,
    Refuses,
    Silent,
    /// The first so many questions are lost.
    Loses(u32, &'static [IpAddr]),
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

fn reply(asked: &[u8], flags: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let section = &asked[12..];
    let kind = section[section.len() - 3];
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), 1) => Some(ip.octets().to_vec()),
            (IpAddr::V6(ip), 28) => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut message = asked[..2].to_vec();
    for word in [flags, 1, records.len() as u16, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(section);
    for data in records {
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        message.extend(data);
    }
    message
}

/// The same free port for datagrams and for TCP: another program may have the one that was found first.
async fn both() -> (UdpSocket, TcpListener, SocketAddr) {
    for _ in 0..64 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        if let Ok(listener) = TcpListener::bind(at).await {
            return (socket, listener, at);
        }
    }
    panic!("no port is free for both");
}

/// A name server on loopback, and how many datagrams it has got.
async fn server(manner: Manner) -> (SocketAddr, Arc<AtomicU32>) {
    let (socket, listener, at) = both().await;
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let before = counted.fetch_add(1, Ordering::SeqCst);
            let asked = &buffer[..length];
            let message = match manner {
                Manner::Answers(addresses) => reply(asked, 0x8180, addresses),
                Manner::Loses(lost, addresses) if before >= lost => reply(asked, 0x8180, addresses),
                Manner::Cuts(_) => reply(asked, 0x8380, &[]),
                Manner::NoName => reply(asked, 0x8183, &[]),
                Manner::Refuses => reply(asked, 0x8185, &[]),
                Manner::Silent | Manner::Loses(..) => continue,
            };
            // A stranger's word first, which must not count.
            let mut forged = reply(asked, 0x8180, &[Ipv4Addr::new(203, 0, 113, 1).into()]);
            forged[0] ^= 1;
            socket.send_to(&forged, from).await.unwrap();
            socket.send_to(&message, from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let (Ok((mut stream, _)), Manner::Cuts(addresses)) = (listener.accept().await, manner)
        {
            let mut asked = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut asked).await.unwrap();
            let message = reply(&asked, 0x8180, addresses);
            stream.write_u16(message.len() as u16).await.unwrap();
            stream.write_all(&message).await.unwrap();
        }
    });
    (at, count)
}

async fn asked(manners: &[Manner]) -> io::Result<Vec<IpAddr>> {
    let mut servers = Vec::new();
    for manner in manners {
        servers.push(server(*manner).await.0);
    }
    ask("photos.example", &servers, None).await
}

#[tokio::test]
async fn both_families_are_told_the_newer_first() {
    let found = asked(&[Manner::Answers(&[V4, V6])]).await.unwrap();
    assert_eq!(found, [V6, V4]);
    assert_eq!(asked(&[Manner::Answers(&[V4])]).await.unwrap(), [V4]);
    assert!(asked(&[Manner::NoName]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_long_answer_is_fetched_over_tcp() {
    let found = asked(&[Manner::Cuts(&[V4; 64])]).await.unwrap();
    assert_eq!(found.len(), MOST);
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_refuses_or_is_not_there() {
    let (answers, _) = server(Manner::Answers(&[V4])).await;
    let (refuses, _) = server(Manner::Refuses).await;
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let gone = nobody.local_addr().unwrap();
    drop(nobody);
    let found = ask("photos.example", &[gone, refuses, answers], None).await;
    assert_eq!(found.unwrap(), [V4]);
    let error = ask("photos.example", &[gone, refuses], None)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("would not answer (code 5)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_server_is_passed_over_and_asked_again() {
    let (silent, asked) = server(Manner::Silent).await;
    let (losing, _) = server(Manner::Loses(2, &[V4, V6])).await;
    let found = ask("photos.example", &[silent, losing], None).await;
    assert!(found.unwrap().contains(&V4));
    assert!(asked.load(Ordering::SeqCst) >= 2, "in each round");
}

#[tokio::test]
async fn a_family_that_the_network_lacks_is_not_asked_for() {
    let spec = Network::wifi("wlan0").address((Ipv4Addr::new(192, 0, 2, 9), 24));
    let on = bind(spec.detached());
    let (at, count) = server(Manner::Answers(&[V4, V6])).await;
    assert_eq!(ask("photos.example", &[at], Some(&on)).await.unwrap(), [V4]);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

fn bind(spec: NetworkSpec) -> Bind {
    let network = Network::new(NetworkId::new(1, 1), spec);
    Bind {
        network,
        source: None,
    }
}

#[test]
fn a_resolver_of_this_host_knows_more_than_all_others() {
    let far: IpAddr = "192.0.2.53".parse().unwrap();
    let wifi = || Network::wifi("wlan0").address((Ipv4Addr::new(192, 0, 2, 9), 24));
    assert_eq!(servers(&bind(wifi())), []);
    assert_eq!(
        servers(&bind(wifi().dns(far))),
        [SocketAddr::new(far, PORT)]
    );
    for local in ["127.0.0.53", "::1", "0.0.0.0", "192.0.2.9"] {
        let spec = wifi().dns(far).dns(local.parse().unwrap());
        assert_eq!(servers(&bind(spec)), [], "{local}");
    }
    let many = (0..40).fold(wifi(), |spec, _| spec.dns(far));
    assert_eq!(servers(&bind(many)).len(), SERVERS);
}

#[test]
fn names_that_are_not_the_dns_s_are_the_system_s() {
    assert!(is_plain_name("photos.example") && is_plain_name("photos.example."));
    for name in [
        "printer",
        "printer.local",
        "printer.LOCAL.",
        "b\u{fc}cher.example",
        "127.1",
        "a..b",
    ] {
        assert!(!is_plain_name(name), "{name}");
    }
}
