//! Connecting and listening on this host's real sockets, and how each refusal reads.

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

#[mancom::test(real)]
async fn an_error_that_is_unwrapped_reads_like_one_that_is_told() {
    let networks = [Network::wifi("wlan0"), Network::cellular("wwan0")];
    let manager = Manager::builder().scout(Scout::fixed(networks));
    let manager = manager.build().await.unwrap();
    let connect = manager.connect("tcp://192.0.2.1:80");
    let label = "require=ethernet".parse().unwrap();
    let error = connect.label(label).no_wait().await.unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    // What a source adds comes after it.
    let refused = refused("tcp://127.0.0.1:1").await;
    let (told, printed) = (refused.to_string(), format!("{refused:?}"));
    assert!(printed.starts_with(&told), "{printed}");
    assert!(!printed.contains("Attempt {"), "{printed}");
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

// behaviour: K6
#[mancom::test(real)]
async fn clear_sessions_stay_on_this_host_unless_asked_for() {
    for near in [
        "mc://127.0.0.1:1",
        "mc://[::1]:1",
        "mc://[::ffff:127.0.0.1]:1",
        "mc://localhost:1",
    ] {
        let error = refused(near).await;
        assert!(
            matches!(error, ConnectError::Failed { .. }),
            "{near}: {error}"
        );
    }
    if let Some(name) = own_name() {
        let error = refused(&format!("mc://{name}:1")).await;
        assert!(matches!(error, ConnectError::Failed { .. }), "{error}");
    }
    for beyond in [
        "mc://192.0.2.77:7000",
        "mc://photos.example:7000",
        "mc://[2001:db8::1]:7000",
        "mc+tcp://10.0.0.1:7",
    ] {
        let text = refused(beyond).await.to_string();
        for part in [beyond, ".plaintext()", "--plaintext", "mcs://"] {
            assert!(text.contains(part), "`{part}` in {text}");
        }
    }
    for beyond in ["mc://0.0.0.0:0", "mc://[::]:0", "mc://192.0.2.77:0"] {
        let error = unheard(beyond).await;
        let text = error.to_string();
        assert!(matches!(error, ListenError::Plaintext { .. }), "{text}");
        for part in [beyond, ".plaintext()", "--plaintext", "mcs://"] {
            assert!(text.contains(part), "`{part}` in {text}");
        }
    }
    for near in [
        "mc://127.0.0.1:0",
        "mc://localhost:0",
        "mc://[::1]:0",
        "mem://here",
        "tcp://0.0.0.0:0",
    ] {
        mancom::listen(near)
            .await
            .unwrap_or_else(|error| panic!("{near}: {error}"));
    }
    mancom::listen("mc://[::]:0").plaintext().await.unwrap();
}

// behaviour: D4
#[mancom::test(real)]
async fn nobody_there_is_told_within_two_seconds() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for scheme in ["tcp", "mc"] {
        let start = Instant::now();
        let endpoint = format!("{scheme}://127.0.0.1:{port}");
        let error = refused(&endpoint).await;
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        let text = error.to_string();
        assert_eq!(text.matches(&endpoint).count(), 1, "{text}");
        assert!(
            text.contains("Connection refused") && text.contains("3 times"),
            "{text}"
        );
        let told = format!("{:?}", Error::from(error));
        assert!(!told.contains("because"), "said twice: {told}");
    }
}

// behaviour: D4
#[mancom::test(real)]
async fn a_server_that_is_not_mancom_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let start = Instant::now();
    let error = refused(&format!("mc://127.0.0.1:{port}")).await;
    assert!(
        error.to_string().contains("does not speak mancom"),
        "{error}"
    );
    assert!(
        start.elapsed() < Duration::from_millis(300),
        "another try helps nobody"
    );
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidData);
}

// behaviour: EV-16, T4
#[mancom::test(real)]
async fn a_wrong_endpoint_is_told_before_anything_is_tried() {
    for (endpoint, parts) in [
        (
            "tpc://127.0.0.1:80",
            &["tpc", "did you mean `tcp`?", "unix"][..],
        ),
        ("mcx://127.0.0.1:80", &["mcx", "did you mean `mc`?"]),
        ("mc+unx:/run/x", &["unx", "did you mean `unix`?"]),
        ("http://127.0.0.1:80", &["no transport for `http`", "known"]),
        (
            "localhost:80",
            &["localhost:80", "scheme", "tcp://host:port"],
        ),
        (
            "127.0.0.1:80",
            &["127.0.0.1:80", "scheme", "tcp://host:port"],
        ),
        (
            "mc://127.0.0.1",
            &["mc://127.0.0.1", "name one port", "mc://host:7000"],
        ),
        ("tcp://127.0.0.1:0", &["name one port"]),
        ("tcp://127.0.0.1:70-80", &["name one port"]),
        ("tcp://", &["column 7", "host is missing"]),
        ("mcs://127.0.0.1:80", &["TLS", "part 4"]),
    ] {
        let start = Instant::now();
        let error = refused(endpoint).await;
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{endpoint}: `{part}` in {text}");
        }
        assert!(start.elapsed() < Duration::from_millis(300), "{endpoint}");
        let kind = io::Error::from(error).kind();
        assert!(
            matches!(
                kind,
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ),
            "{kind:?}"
        );
    }
    let text = unheard("tpc://127.0.0.1:80").await.to_string();
    assert!(text.contains("did you mean `tcp`?"), "{text}");
}

// behaviour: D9, EV-16
#[mancom::test(real)]
async fn addresses_in_use_and_missing_ones_are_told_with_what_to_do() {
    let listener = mancom::listen("tcp://127.0.0.1:0").await.unwrap();
    let port = listener.contact().port().unwrap();
    for (endpoint, kind, part) in [
        (
            format!("mc://127.0.0.1:{port}"),
            io::ErrorKind::AddrInUse,
            "another program listens there",
        ),
        (
            "tcp://192.0.2.77:0".into(),
            io::ErrorKind::AddrNotAvailable,
            "no such address",
        ),
    ] {
        let error = unheard(&endpoint).await;
        let told = format!("{:?}", Error::from(error));
        assert!(told.contains(part) && told.contains(&endpoint), "{told}");
        assert_eq!(io::Error::from(unheard(&endpoint).await).kind(), kind);
    }
}

// behaviour: D2
#[mancom::test(real)]
async fn a_server_that_accepts_and_says_nothing_is_in_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = Instant::now();
    let connect = mancom::connect(format!("mc://127.0.0.1:{port}"));
    let error = connect
        .within(Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(
        error.is_timed_out() && start.elapsed() < Duration::from_secs(2),
        "{error}"
    );
    assert!(
        error.to_string().contains("no answer before the deadline"),
        "{error}"
    );
}

#[cfg(unix)]
mod unix {
    use super::*;

    fn at(scheme: &str, dir: &tempfile::TempDir, name: &str) -> String {
        format!("{scheme}:{}", dir.path().join(name).display())
    }

    // behaviour: K6, LW-14
    #[mancom::test(real)]
    async fn unix_sockets_carry_sessions_and_plain_streams() {
        let dir = tempfile::tempdir().unwrap();
        for scheme in ["unix", "mc+unix"] {
            let place = at(scheme, &dir, scheme);
            echo(mancom::listen(&place).await.unwrap());
            round_trip(&place).await;
        }
    }

    // behaviour: LW-15, D9
    #[mancom::test(real)]
    async fn a_socket_that_cannot_be_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let place = at("unix", &dir, "missing/x.sock");
        let told = format!("{:?}", Error::from(unheard(&place).await));
        assert!(
            told.contains("make the directory") && told.contains("missing"),
            "{told}"
        );
        assert_eq!(
            io::Error::from(unheard(&place).await).kind(),
            io::ErrorKind::NotFound
        );

        let error = refused(&place).await;
        assert!(error.to_string().contains("No such file"), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);

        let long = at("unix", &dir, &"x".repeat(200));
        let start = Instant::now();
        assert_eq!(
            io::Error::from(refused(&long).await).kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(start.elapsed() < Duration::from_millis(300));
    }

    // behaviour: K10
    #[mancom::test(real)]
    async fn a_live_listener_is_not_stolen_and_a_dead_ones_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let place = at("mc+unix", &dir, "x.sock");
        let live = mancom::listen(&place).await.unwrap();
        let told = format!("{:?}", Error::from(unheard(&place).await));
        assert!(
            told.contains("in use") && told.contains("not stolen"),
            "{told}"
        );
        echo(live);
        round_trip(&place).await;

        let stale = dir.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let place = at("mc+unix", &dir, "stale.sock");
        echo(mancom::listen(&place).await.unwrap());
        round_trip(&place).await;
    }
}

/// What a user without privileges is told. Run by the test below, as such a user.
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn as_a_user_without_privileges() {
    let Ok(place) = std::env::var("MANCOM_TEST_UNPRIVILEGED") else {
        return;
    };
    let told = format!("{:?}", Error::from(unheard("tcp://127.0.0.1:80").await));
    assert!(
        told.contains("127.0.0.1:80") && told.contains("may not listen on that port"),
        "{told}"
    );
    let inside = format!("unix:{place}/mine.sock");
    let told = format!("{:?}", Error::from(unheard(&inside).await));
    assert!(
        told.contains("may not make files in") && told.contains(&place),
        "{told}"
    );
    let start = Instant::now();
    let error = refused(&format!("unix:{place}/other.sock")).await;
    assert!(error.to_string().contains("Permission denied"), "{error}");
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::PermissionDenied
    );
    assert!(
        start.elapsed() < Duration::from_millis(300),
        "another try helps nobody"
    );
}

// behaviour: D9
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn what_is_not_permitted_is_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let lowest = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if lowest.is_ok_and(|port| port.trim().parse().is_ok_and(|port: u16| port <= 80)) {
        eprintln!("skipped: every user may listen on port 80 here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path(), permissions).unwrap();
    let _listener = mancom::listen(format!("unix:{}/other.sock", dir.path().display()))
        .await
        .unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let tried = std::process::Command::new("setpriv")
        .args(nobody)
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user cannot become another with setpriv");
        return;
    }
    let child = std::process::Command::new("setpriv")
        .args(nobody)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "connect::as_a_user_without_privileges",
            "--nocapture",
        ])
        .env("MANCOM_TEST_UNPRIVILEGED", dir.path())
        .env("HOME", dir.path())
        .env_remove("XDG_CONFIG_HOME")
        .output();
    let Ok(child) = child else {
        eprintln!("skipped: another user cannot run this program");
        return;
    };
    let told = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    if child.status.code().is_some_and(|code| code >= 126) {
        eprintln!("skipped: another user cannot run this program: {told}");
        return;
    }
    assert!(
        child.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

/// Every error keeps what caused it, and has a kind that programs know. behaviour: D9
#[mancom::test(real)]
async fn the_causes_of_errors_are_reached() {
    fn reaches_io(error: &(dyn StdError + 'static)) -> bool {
        std::iter::successors(Some(error), |&error| error.source())
            .any(|error| error.is::<io::Error>())
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = refused(&format!("tcp://127.0.0.1:{port}")).await;
    assert!(reaches_io(&refused));
    let system = std::iter::successors(refused.source(), |&error| error.source());
    let codes: Vec<i32> = system
        .filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
        .collect();
    assert_eq!(
        codes,
        [io::Error::from(io::ErrorKind::ConnectionRefused)
            .raw_os_error()
            .unwrap_or(111)]
    );
    assert!(reaches_io(&unheard("tcp://192.0.2.77:0").await));
    let lost = io::Error::from(io::ErrorKind::ConnectionReset);
    assert!(reaches_io(&mancom::SessionError::Lost(lost.into())));
    let broken = io::Error::from(io::ErrorKind::BrokenPipe);
    assert!(reaches_io(&mancom::SessionError::Hook(broken.into())));
    let many = io::Error::other("too many open files");
    assert!(reaches_io(&mancom::AcceptError::Io(many.into())));
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

// behaviour: W11
#[tokio::test]
async fn a_name_nobody_can_resolve_without_a_network_is_told_as_such() {
    let manager = Manager::builder()
        .scout(mancom::Scout::fixed([]))
        .build()
        .await
        .unwrap();
    let error = manager
        .connect("tcp://photos.example:80")
        .no_wait()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is no network"), "{error}");
}

// An attribute that the transport does not know is told with the nearest one, and nothing is dialled.
#[mancom::test(real)]
async fn an_unknown_attribute_is_refused_by_name() {
    let error = mancom::connect("mc://127.0.0.1:1?nagel").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`nagel`") && text.contains("`nagle`"),
        "{text}"
    );
    let error = mancom::listen("mc://127.0.0.1:0?mode=0600")
        .await
        .unwrap_err();
    assert_eq!(
        std::io::Error::from(error).kind(),
        std::io::ErrorKind::InvalidInput
    );
}
