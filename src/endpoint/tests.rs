use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Endpoint {
    text.parse().expect(text)
}

fn fault(text: &str) -> (usize, EndpointFault) {
    let error = Endpoint::from_str(text).expect_err(text);
    (
        error.column().expect("read from text"),
        error.fault().clone(),
    )
}

#[test]
fn hosts_ports_and_ranges_are_read() {
    let one = read("tcp://Photos.Example:7000?nodelay");
    assert_eq!((one.scheme(), one.host()), ("tcp", Some("photos.example")));
    assert_eq!((one.port(), one.ports()), (Some(7000), Some(7000..=7000)));
    assert_eq!(one.ip(), None);
    assert!(one.has("nodelay"));

    let range = read("tcp://0.0.0.0:7000-7010");
    assert_eq!((range.port(), range.ports()), (None, Some(7000..=7010)));

    let six = read("mcs+airhook://[2001:db8::7]:443");
    assert_eq!(six.host(), Some("2001:db8::7"));
    assert_eq!(six.socket_addr(), "[2001:db8::7]:443".parse().ok());
    assert_eq!(read("mc://host").port(), None);
}

#[test]
fn paths_and_names_are_read() {
    for text in ["unix:/run/x.sock", "unix:///run/x.sock", "UNIX:/run/x.sock"] {
        let unix = read(text);
        assert_eq!(unix.path(), Some(Path::new("/run/x.sock")));
        assert_eq!(unix.to_string(), "unix:/run/x.sock");
    }
    assert_eq!(read("mc+unix:/a%20b").path(), Some(Path::new("/a b")));
    assert_eq!(read("mem://echo").name(), Some("echo"));
    assert_eq!(read("mem:echo").to_string(), "mem://echo");
    assert_eq!(read("channel:photos").name(), Some("photos"));
    assert_eq!(read("ws://h:1/a/b?c").path(), Some(Path::new("/a/b")));
}

#[test]
fn attributes_are_typed_by_name_and_decoded() {
    let at = read("mcs://h:1?pin=a%2Fb%3D%26&flag&empty=&plus=1+1");
    assert_eq!(at.attribute("pin"), Some("a/b=&"));
    assert_eq!(at.attribute("flag"), Some(""));
    assert_eq!(at.attribute("plus"), Some("1+1"));
    assert_eq!(at.attribute("none"), None);
    let names: Vec<_> = at.attributes().map(|(name, _)| name).collect();
    assert_eq!(names, ["empty", "flag", "pin", "plus"]);
    assert_eq!(read("tcp://h?b&a"), read("tcp://h?a&b"));
}

#[test]
fn schemes_tell_session_security_and_carrier() {
    for (text, session, secure, carrier) in [
        ("mc://h:1", true, false, "tcp"),
        ("mcs://h:1", true, true, "tcp"),
        ("mc+unix:/x", true, false, "unix"),
        ("mcs+airhook://h:1", true, true, "airhook"),
        ("mem://x", true, false, "mem"),
        ("tcp://h:1", false, false, "tcp"),
        ("tls://h:1", false, true, "tcp"),
        ("unix:/x", false, false, "unix"),
        ("quic://h:1", false, true, "quic"),
        ("mc+quic://h:1", true, true, "quic"),
    ] {
        let at = read(text);
        assert_eq!(
            (at.is_session(), at.is_secure(), at.carrier()),
            (session, secure, carrier),
            "{text}"
        );
    }
}

#[test]
fn a_session_is_over_one_transport_and_nothing_else() {
    for text in [
        "mc+mcs://h:1",
        "mcs+mc://h:1",
        "mc+tls://h:1",
        "MC+mc+unix:/x",
    ] {
        let (column, fault) = fault(text);
        assert!(
            matches!(fault, EndpointFault::Layers { .. }),
            "{text}: {fault}"
        );
        assert_eq!(column, 1);
    }
}

#[test]
fn only_what_cannot_leave_this_host_is_of_host_scope() {
    for text in [
        "tcp://127.0.0.1:1",
        "tcp://127.9.9.9:1",
        "mc://[::1]:1",
        "mc://[::ffff:127.0.0.1]:1",
        "mc://localhost:1",
        "mc://LocalHost.:1",
        "unix:/x",
        "mc+unix:/x",
    ] {
        assert!(read(text).is_host_scope(), "{text}");
    }
    for text in [
        "tcp://0.0.0.0:1",
        "tcp://[::]:1",
        "mem://x",
        "mc://localhost.example:1",
        "channel:x",
    ] {
        assert!(!read(text).is_host_scope(), "{text}");
    }
}

#[test]
fn a_bad_text_is_told_with_its_place() {
    use EndpointFault as F;
    let s = |text: &str| text.to_owned();
    for (text, column, expected) in [
        ("", 1, F::NoScheme),
        ("photos.example", 1, F::NoScheme),
        ("1tcp://h", 1, F::NoScheme),
        ("mc+://h", 1, F::NoScheme),
        ("localhost:7000", 1, F::NoScheme),
        ("localhost:%37000", 1, F::NoScheme),
        ("tcp:h:1", 5, F::NoSlashes { scheme: s("tcp") }),
        ("tcp://", 7, F::NoHost),
        ("tcp://:80", 7, F::NoHost),
        ("tcp://a_b..c", 7, F::Host(s("a_b..c"))),
        ("tcp://1.2.3:80", 7, F::Host(s("1.2.3"))),
        ("tcp://[::1", 7, F::Host(s("[::1"))),
        ("tcp://[fe80::1%25eth0]:1", 7, F::Zone),
        ("tcp://h:99999", 9, F::Port(s("99999"))),
        ("tcp://h:", 9, F::Port(s(""))),
        ("tcp://h:+1", 9, F::Port(s("+1"))),
        ("tcp://h:9-8", 9, F::Port(s("9-8"))),
        ("tcp://h:1/path", 10, F::Path { scheme: s("tcp") }),
        ("tcp://me@h:1", 9, F::User),
        ("unix:", 6, F::NoPath),
        ("unix://run/x", 8, F::HostBeforePath { scheme: s("unix") }),
        ("mem://", 7, F::Name { scheme: s("mem") }),
        (
            "channel:a/b",
            9,
            F::Name {
                scheme: s("channel"),
            },
        ),
        ("tcp://h:1 ", 10, F::Blank),
        ("tcp://h:1#x", 10, F::Fragment),
        ("tcp://h:1?a=%zz", 13, F::Encoding),
        ("unix:/a%00", 6, F::Encoding),
        ("unix:/a%ff", 6, F::Encoding),
        ("tcp://h:1?=v", 11, F::NoAttributeName),
        ("tcp://h:1?a&a=1", 13, F::Repeated(s("a"))),
    ] {
        assert_eq!(fault(text), (column, expected), "{text}");
    }
}

#[test]
fn texts_and_attributes_are_bounded() {
    let long = format!("unix:/{}", "x".repeat(MAX_TEXT));
    let error = Endpoint::from_str(&long).expect_err("too long");
    assert_eq!(*error.fault(), EndpointFault::TooLong);
    assert!(error.to_string().len() < 200);

    let many = (0..=MAX_ATTRIBUTES)
        .map(|i| i.to_string())
        .collect::<Vec<_>>();
    let (_, fault) = fault(&format!("tcp://h?{}", many.join("&")));
    assert_eq!(fault, EndpointFault::TooManyAttributes);

    let grown = read("tcp://h").with_attribute("a", &"é".repeat(MAX_TEXT / 6));
    assert_eq!(
        *grown.expect_err("too long").fault(),
        EndpointFault::TooLong
    );
}

// behaviour: G1, for endpoints
#[test]
fn what_would_be_too_long_to_be_read_when_printed_is_not_read_at_all() {
    let fits = format!("unix:/{}", "é".repeat((MAX_TEXT - 6) / 6));
    assert_eq!(read(&read(&fits).to_string()), read(&fits));
    let grows = format!("{fits}é");
    let error = Endpoint::from_str(&grows).expect_err("6 bytes of text each");
    assert_eq!(*error.fault(), EndpointFault::TooLong);
    let attributes = format!("name={}", "é".repeat(MAX_TEXT / 6));
    let error = Attributes::from_str(&attributes).expect_err("too long");
    assert_eq!(*error.fault(), EndpointFault::TooLong);
}

#[test]
fn parts_are_replaced() {
    let contact = read("tcp://0.0.0.0:7000-7010")
        .with_port(7003)
        .with_host("photos.example")
        .and_then(|at| at.with_attribute("nodelay", ""))
        .expect("a good host");
    assert_eq!(contact.to_string(), "tcp://photos.example:7003?nodelay");
    let moved = contact.with_ip([192, 0, 2, 7].into()).without_attributes();
    assert_eq!(moved.to_string(), "tcp://192.0.2.7:7003");
    assert!(moved.with_host("a b").is_err());

    let address: SocketAddr = "[2001:db8::1]:9".parse().expect("an address");
    let at = Endpoint::at("mc", address).expect("a scheme with addresses");
    assert_eq!(
        (at.to_string().as_str(), at.socket_addr()),
        ("mc://[2001:db8::1]:9", Some(address))
    );
    assert!(Endpoint::at("mem", address).is_err());
    assert!(Endpoint::at("unix", address).is_err());

    let path = Path::new("//odd path?#");
    let at = Endpoint::at_path("unix", path).expect("a scheme with paths");
    assert_eq!(at.path(), Some(path));
    assert!(Endpoint::at_path("tcp", path).is_err());
}

#[test]
fn texts_and_endpoints_convert() {
    fn take(
        to: impl TryInto<Endpoint, Error: Into<EndpointError>>,
    ) -> Result<Endpoint, EndpointError> {
        to.try_into().map_err(Into::into)
    }
    let text = String::from("mem://x");
    let endpoint = read(&text);
    assert_eq!(take("mem://x").as_ref(), Ok(&endpoint));
    assert_eq!(take(&text).as_ref(), Ok(&endpoint));
    assert_eq!(take(text).as_ref(), Ok(&endpoint));
    assert_eq!(take(&endpoint).as_ref(), Ok(&endpoint));
    assert_eq!(take(endpoint.clone()), Ok(endpoint));
    assert!(take("").is_err());
}

#[test]
fn attributes_are_read_as_numbers_flags_and_addresses() {
    // behaviour: EV-17
    let list =
        Attributes::from_list("port=5000,reuse,from=10.0.0.7,slow=no,path=a%2Cb").expect("a list");
    assert_eq!(list.get("port"), Ok(Some(5000_u16)));
    assert_eq!(list.get::<u8>("port").expect_err("too large").wanted, "u8");
    assert_eq!(list.flag("reuse"), Ok(true));
    assert_eq!(
        (list.flag("slow"), list.flag("fast")),
        (Ok(false), Ok(false))
    );
    assert_eq!(list.get("from"), Ok(Some(IpAddr::from([10, 0, 0, 7]))));
    assert_eq!(list.get::<u16>("to"), Ok(None));
    assert_eq!(list.text("path"), Some("a,b"));
    let error = list.flag("port").expect_err("no flag");
    assert_eq!(
        error.to_string(),
        "the attribute `port=5000` is not yes or no"
    );
    // The same of an endpoint.
    let at = read("tcp://h?port=5000&reuse");
    assert_eq!(at.typed().get("port"), Ok(Some(5000_u16)));
    assert_eq!(at.typed().flag("reuse"), Ok(true));
    for (text, column, fault) in [
        ("a,,b", 3, EndpointFault::NoAttributeName),
        ("a,a=1", 3, EndpointFault::Repeated("a".into())),
        ("a b", 2, EndpointFault::Blank),
        ("a,b=%f", 3 + 2, EndpointFault::Encoding),
    ] {
        let error = Attributes::from_list(text).expect_err(text);
        assert_eq!(
            (error.column(), error.fault()),
            (Some(column), &fault),
            "{text}"
        );
    }
}

#[test]
fn attributes_are_set_and_merged_within_their_bounds() {
    // behaviour: EV-32
    let mut first = Attributes::new();
    first
        .set("b", 1)
        .and_then(|()| first.set("a", "x"))
        .expect("room");
    first.set("b", 2).expect("it replaces");
    assert_eq!(first.to_string(), "a=x&b=2");
    let second: Attributes = "c&b=3".parse().expect("attributes");
    first.merge(&second).expect("room");
    assert_eq!(first.to_string(), "a=x&b=3&c");
    assert!(first.remove("c") && !first.remove("c"));
    let at = read("tcp://h?a=1&z").with_attributes(&first).expect("room");
    assert_eq!(at.to_string(), "tcp://h?a=x&b=3&z");

    // What is too much changes nothing.
    let before = first.clone();
    assert!(first.set("", 1).is_err() && first.set("n", "\0").is_err());
    assert!(first.set("b", "é".repeat(MAX_TEXT / 6)).is_err());
    assert!(first.set("n", "é".repeat(MAX_TEXT / 6)).is_err());
    assert_eq!(first, before);
    let full: Vec<_> = (0..MAX_ATTRIBUTES).map(|i| i.to_string()).collect();
    let mut full: Attributes = full.join("&").parse().expect("as many as there may be");
    assert!(full.merge(&before).is_err() && full.text("a").is_none());
    full.set("7", "another value").expect("it is there already");
}

// behaviour: G6
#[cfg(feature = "serde")]
#[test]
fn the_serialized_form_is_the_text_form() {
    let at = read("mc://h:7000?b&a=1");
    let json = serde_json::to_string(&at).expect("serializes");
    assert_eq!(json, r#""mc://h:7000?a=1&b""#);
    assert_eq!(serde_json::from_str::<Endpoint>(&json).expect("parses"), at);
    let error = serde_json::from_str::<Endpoint>(r#""tcp://h:x""#).expect_err("a bad port");
    assert!(error.to_string().contains("column 9"), "{error}");
}

fn arbitrary() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-zA-Z0-9]([a-zA-Z0-9_-]{0,8}[a-z])(\\.[a-z]{1,5})?",
        any::<[u8; 4]>().prop_map(|ip| IpAddr::from(ip).to_string()),
        any::<[u16; 8]>().prop_map(|ip| format!("[{}]", IpAddr::from(ip))),
    ];
    let port = prop_oneof![
        Just(String::new()),
        any::<u16>().prop_map(|p| format!(":{p}")),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| format!(":{}-{}", a.min(b), a.max(b))),
    ];
    let scheme = prop_oneof!["tcp|udp|mc|mcs|quic|mc\\+airhook", "[a-z][a-z0-9.-]{0,6}x"];
    let query =
        proptest::collection::btree_map("[^\\x00]{1,4}", "[^\\x00]{0,6}", 0..4).prop_map(|all| {
            let term = |(name, value): (String, String)| {
                format!("{}={}", Encoded(&name, b""), Encoded(&value, b""))
            };
            let all: Vec<_> = all.into_iter().map(term).collect();
            if all.is_empty() {
                String::new()
            } else {
                format!("?{}", all.join("&"))
            }
        });
    let path = "/?[^\\x00/][^\\x00]{0,12}".prop_map(|path| Encoded(&path, PATH).to_string());
    let place = prop_oneof![
        (scheme, host, port).prop_map(|(scheme, host, port)| format!("{scheme}://{host}{port}")),
        ("unix|mc\\+unix", path).prop_map(|(scheme, path)| format!("{scheme}:{path}")),
        ("mem|channel", "[^\\x00]{1,8}")
            .prop_map(|(scheme, name)| format!("{scheme}:{}", Encoded(&name, b""))),
    ];
    (place, query).prop_map(|(place, query)| place + &query)
}

proptest! {
    // behaviour: G1, for endpoints
    #[test]
    fn what_is_printed_parses_back(text in arbitrary()) {
        let endpoint = read(&text);
        let printed = endpoint.to_string();
        prop_assert_eq!(&read(&printed), &endpoint, "{}", &printed);
        prop_assert_eq!(&read(&printed).to_string(), &printed);
    }

    // behaviour: EV-32
    #[test]
    fn the_text_of_attributes_reads_back_whatever_the_order(
        all in proptest::collection::btree_map("[^\\x00]{1,8}", "[^\\x00]{0,8}", 0..8),
    ) {
        let (mut up, mut down) = (Attributes::new(), Attributes::new());
        for (name, value) in &all {
            up.set(name, value).expect("room");
        }
        for (name, value) in all.iter().rev() {
            down.set(name, value).expect("room");
        }
        prop_assert_eq!(up.to_string(), down.to_string());
        prop_assert_eq!(&up.to_string().parse::<Attributes>().expect("its own text"), &up);
        let list = up.to_string().replace(',', "%2C").replace('&', ",");
        prop_assert_eq!(Attributes::from_list(&list).expect("a list"), up);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|(tcp|unix|mem|mc)[:/\\[\\]?&=%0-9a-f@#.-]{0,40}") {
        if let Err(error) = Endpoint::from_str(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
