//! Connecting and listening on this host's real sockets, and how each refusal reads.

#[cfg(target_os = "linux")]
mod privileges;
mod refusals;
#[cfg(unix)]
mod unix;

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mancom::{ConnectError, Error, ListenError, Listener, Manager, Network, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

/// A plain echo server, and its port.
async fn echo_at(address: &str) -> u16 {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut r, mut w) = stream.into_split();
                let _ = tokio::io::copy(&mut r, &mut w).await;
            });
        }
    });
    port
}

fn echo(listener: Listener) {
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            tokio::spawn(async move {
                let (mut r, mut w) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut r, &mut w).await;
            });
        }
    });
}

/// Connects, and has its bytes back.
async fn round_trip(endpoint: &str) {
    let connect = mancom::connect(endpoint).plaintext().into_future();
    let connected = timeout(SOON, connect).await;
    let connected = connected.unwrap_or_else(|_| panic!("{endpoint}: no answer"));
    let mut stream = connected.unwrap_or_else(|error| panic!("{endpoint}: {error}"));
    stream.write_all(b"hello").await.unwrap();
    let mut reply = [0; 5];
    timeout(SOON, stream.read_exact(&mut reply))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&reply, b"hello", "{endpoint}");
}

async fn refused(endpoint: &str) -> ConnectError {
    let connect = mancom::connect(endpoint).into_future();
    let connected = timeout(SOON, connect).await;
    let connected = connected.unwrap_or_else(|_| panic!("{endpoint}: no answer"));
    connected
        .err()
        .unwrap_or_else(|| panic!("{endpoint}: connected"))
}

async fn unheard(endpoint: &str) -> ListenError {
    let listening = timeout(SOON, mancom::listen(endpoint).into_future())
        .await
        .unwrap();
    listening
        .err()
        .unwrap_or_else(|| panic!("{endpoint}: listens"))
}

/// This host's own address towards the world, where it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A name of the hosts file that stands for loopback and is not localhost.
fn own_name() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    let words = hosts
        .lines()
        .filter_map(|line| line.strip_prefix("127.0.0.1"));
    let mut names = words.flat_map(str::split_whitespace).map(str::to_owned);
    names.find(|name| !name.contains("localhost"))
}

// behaviour: M19, C9
#[mancom::test(real)]
async fn plain_endpoints_connect_where_a_plain_stream_does() {
    let port = echo_at("127.0.0.1:0").await;
    let v6 = echo_at("[::1]:0").await;
    let all = echo_at("0.0.0.0:0").await;
    let mut places = vec![
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{v6}"),
        format!("127.0.0.2:{all}"),
        format!("0.0.0.0:{all}"),
    ];
    places.extend(own_name().map(|name| format!("{name}:{port}")));
    places.extend(own_address().map(|ip| SocketAddr::new(ip, all).to_string()));
    for place in places {
        TcpStream::connect(&place)
            .await
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        round_trip(&format!("tcp://{place}")).await;
    }
}

// behaviour: M19
#[mancom::test(real)]
async fn sessions_connect_where_a_plain_stream_does() {
    let listener = mancom::listen("mc://0.0.0.0:0").plaintext().await.unwrap();
    let port = listener.contact().port().unwrap();
    echo(listener);
    round_trip(&format!("mc://127.0.0.1:{port}")).await;
    round_trip(&format!("mc://localhost:{port}")).await;
    if let Some(name) = own_name() {
        round_trip(&format!("mc://{name}:{port}")).await;
    }
    if let Some(ip) = own_address() {
        round_trip(&format!("mc://{}", SocketAddr::new(ip, port))).await;
    }
}

// behaviour: S17
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn a_hook_is_told_what_the_peers_kernel_acknowledged() {
    use mancom::hooks::{Carried, Connection, Hook, Resume};
    use std::sync::{Arc, Mutex};

    struct Replay(Arc<Mutex<Vec<Carried>>>);
    impl Hook for Replay {
        async fn setup(
            &mut self,
            fresh: &mut dyn Connection,
            carried: Carried,
        ) -> io::Result<Resume> {
            self.0.lock().unwrap().push(carried);
            fresh.write_all(b"LOGIN me\n").await?;
            Ok(Resume::ReplayFrom(
                carried.acknowledged.expect("Linux tells"),
            ))
        }
    }

    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", server.local_addr().unwrap());
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut stream = mancom::connect(endpoint)
        .reconnect(Replay(told.clone()))
        .await
        .unwrap();
    for round in 1..=3_u64 {
        let (mut connection, _) = server.accept().await.unwrap();
        if round > 1 {
            let mut login = [0; 9];
            connection.read_exact(&mut login).await.unwrap();
            assert_eq!(&login, b"LOGIN me\n");
        }
        stream.write_all(b"0123456789").await.unwrap();
        let mut got = [0; 10];
        connection.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"0123456789", "nothing twice, nothing missing");
        if round == 3 {
            break;
        }
        // A reset, as after a crash.
        socket2::SockRef::from(&connection)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(connection);
        let losing = timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(losing.is_err(), "{losing:?}");
    }
    let told: Vec<_> = told
        .lock()
        .unwrap()
        .iter()
        .map(|c| (c.written, c.acknowledged))
        .collect();
    assert_eq!(told, [(10, Some(10)), (20, Some(20))]);
}
