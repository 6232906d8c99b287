//! How each refusal reads.

use super::*;

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
        #[cfg(not(feature = "tls"))]
        ("mcs://127.0.0.1:80", &["TLS", "the feature `tls`"]),
        #[cfg(feature = "tls")]
        ("mcs://127.0.0.1:80?name=-", &["`-` is no name", "TLS"]),
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
    let error = mancom::connect("mc://127.0.0.1:1?nodely")
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`nodely`") && text.contains("`nodelay`"),
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

// behaviour: EV-17
#[mancom::test(real)]
async fn an_attribute_of_another_kind_is_refused_before_anything_is_tried() {
    for (endpoint, wrong) in [
        ("mc://127.0.0.1:1?nodelay=maybe", "nodelay=maybe"),
        ("mc+unix:/nowhere?mode=0999", "mode=0999"),
        ("mc+unix:/nowhere?type=raw", "type=raw"),
        ("mc+airhook://127.0.0.1:1?max=0", "max=0"),
    ] {
        let dialled = mancom::connect(endpoint).plaintext().await.map(drop);
        let listened = mancom::listen(endpoint).plaintext().await.map(drop);
        let dialled = mancom::Error::from(dialled.unwrap_err());
        for error in [dialled, listened.unwrap_err().into()] {
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("`{endpoint}`")) && text.contains(wrong),
                "{text}"
            );
            let kind = std::io::Error::from(error).kind();
            assert_eq!(kind, std::io::ErrorKind::InvalidInput);
        }
    }
}

#[mancom::test(real)]
async fn a_stream_over_datagrams_is_refused_by_the_endpoint() {
    let error = mancom::connect("udp://127.0.0.1:1").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`udp://127.0.0.1:1`") && text.contains("datagrams"),
        "{text}"
    );
    let kind = std::io::Error::from(error).kind();
    assert_eq!(kind, std::io::ErrorKind::InvalidInput);
}
