//! `mcs://` and `tls://` on real interfaces: pinned keys, networks that go, and OpenSSL at the far end.

use crate::isolation::{Case, cases, need};
use crate::lab::{Host, Lab, Link, join, mancom};
use crate::process::{Finished, Program, until};
use mancom::{Identity, PublicKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![secure:
    pinned_keys_meet_and_outlive_their_networks,
    a_wrong_pin_is_told_between_hosts,
    openssl_s_client_talks_to_a_listener,
    a_listener_lets_openssl_in_by_its_certificate,
    a_listener_tells_openssl_that_it_wants_a_certificate,
    openssl_s_server_answers_a_dialler,
];

const LIMIT: Duration = Duration::from_secs(90);
const AT: &str = "10.9.0.1:7000";

/// A client and a server, and the link between.
fn pair(lab: &Lab) -> (Host, Host, Link) {
    let (client, server) = (lab.host("client"), lab.host("server"));
    let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    server.reachable_at("10.9.0.1/32");
    (client, server, link)
}

fn until_taken(server: &Host, program: &mut Program) {
    until("the listener", LIMIT, || {
        assert!(program.is_running(), "the listener runs");
        server.run(|| std::net::TcpListener::bind(AT).is_err())
    });
}

/// Keys of two ends, made by the command: each its file and its public key.
pub(crate) fn keys(host: &Host, folder: &TempDir) -> [(String, String); 2] {
    ["alice", "bob"].map(|name| {
        let file = folder.path().join(name);
        let file = file.to_str().unwrap().to_owned();
        let made = mancom(host, &["key", "new", &file]).output().unwrap();
        assert!(made.status.success());
        let key = String::from_utf8(made.stdout).unwrap();
        (file, key.trim_end().to_owned())
    })
}

/// Bytes of which none looks like its neighbours.
pub(crate) fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ seed)
        .collect()
}

/// The command at both ends of a session, each with the other's key pinned and with as many bytes for it.
pub(crate) struct Pinned {
    connected: Program,
    listening: Program,
    keys: [String; 2],
    sent: [Vec<u8>; 2],
    _folder: TempDir,
}

impl Pinned {
    /// Listens at the server, waits until that is `taken`, and connects from the client.
    pub(crate) fn begin(
        client: &Host,
        server: &Host,
        at: &str,
        bytes: usize,
        taken: fn(&Host, &mut Program),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [alice, bob] = keys(client, &folder);
        let [there, back] = [1, 2].map(|seed| pattern(bytes, seed));
        let listen = ["cat", "--listen", at];
        let listen = [&listen[..], &["--identity", &alice.0, "--pin", &bob.1]].concat();
        let mut listening = Program::start(&mut mancom(server, &listen), back.clone());
        taken(server, &mut listening);
        let connect = ["cat", at, "--identity", &bob.0, "--pin", &alice.1];
        let connected = Program::start(&mut mancom(client, &connect), there.clone());
        Self {
            connected,
            listening,
            keys: [alice.1, bob.1],
            sent: [back, there],
            _folder: folder,
        }
    }

    pub(crate) fn goes_on(&mut self) {
        assert!(self.connected.is_running() && self.listening.is_running());
    }

    /// All of it arrived, and each said who the other is. How the client ended.
    pub(crate) fn finish(self) -> Finished {
        let ended = [self.connected, self.listening].map(|program| program.finish(LIMIT));
        for ((program, other), sent) in ended.iter().zip(&self.keys).zip(&self.sent) {
            println!("{}", program.stderr);
            assert_eq!(program.status.code(), Some(0));
            assert!(program.stdout == *sent, "what arrived is what was sent");
            let known = format!("the other side is {other}");
            assert!(program.stderr.contains(&known), "{}", program.stderr);
        }
        let [connected, _] = ended;
        connected
    }
}

/// Established connections of this host (`Documentation/networking/proc_net_tcp.rst`: state 01).
fn connections() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let states = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(3));
    states.filter(|state| *state == "01").count()
}

// behaviour: T2
fn pinned_keys_meet_and_outlive_their_networks() {
    let lab = Lab::new();
    let (client, server, link) = pair(&lab);
    link.limit("200mbit");
    let at = format!("mcs://{AT}");
    let mut session = Pinned::begin(&client, &server, &at, 20_000_000, until_taken);
    for part in [5_000_000, 10_000_000] {
        until("a part of the bytes", LIMIT, || {
            session.goes_on();
            client.bytes_sent("eth0") > part
        });
        // Without its address the path is given up, and the next is proved again.
        link.down();
        link.remove_address();
        until("the path is given up", LIMIT, || {
            session.goes_on();
            client.run(connections) == 0
        });
        link.up();
        link.restore_address();
    }
    let connected = session.finish();
    let ups = connected.stderr.matches("up").count();
    assert!(ups > 1, "more than one path came");
}

// behaviour: K7
fn a_wrong_pin_is_told_between_hosts() {
    let lab = Lab::new();
    let (client, server, _link) = pair(&lab);
    let folder = tempfile::tempdir().unwrap();
    let [alice, bob] = keys(&client, &folder);
    let at = format!("mcs://{AT}");
    let listen = ["cat", "--listen", &at, "--identity", &alice.0];
    let mut listening = Program::start(&mut mancom(&server, &listen), Vec::new());
    until_taken(&server, &mut listening);
    let connect = ["cat", &at, "--pin", &bob.1];
    let refused = Program::start(&mut mancom(&client, &connect), Vec::new()).finish(LIMIT);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    let shown = format!("eth0: the far end shows the key {}", alice.1);
    assert!(refused.stderr.contains(&shown), "{}", refused.stderr);
    assert!(listening.is_running(), "the listener goes on");
    let connect = ["cat", &at, "--pin", &alice.1];
    let fine = Program::start(&mut mancom(&client, &connect), Vec::new()).finish(LIMIT);
    assert_eq!(fine.status.code(), Some(0), "{}", fine.stderr);
    assert_eq!(listening.finish(LIMIT).status.code(), Some(0));
}

/// An authority, and a key with a certificate of it for a server and for a client, as files.
struct Certified {
    _folder: TempDir,
    authority: String,
    server: String,
    client: String,
}

impl Certified {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes who has the issuer's name for the issuer.
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| {
            let path: PathBuf = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certify = |name: &str| {
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            write(
                name,
                format!("{}{}", key.serialize_pem(), certificate.pem()),
            )
        };
        let (server, client) = (certify("server.example"), certify("client.example"));
        let authority = write("authority", issuer.pem());
        Self {
            _folder: folder,
            authority,
            server,
            client,
        }
    }
}

fn openssl(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command("openssl");
    command.args(arguments);
    command
}

/// What `openssl s_client` does with a listener there.
fn s_client(client: &Host, certified: &Certified, more: &[&str]) -> Finished {
    let asks = format!(
        "s_client -connect {AT} -servername server.example -verify_return_error \
         -verify_hostname server.example -CAfile {} -alpn mancom-test -ign_eof",
        certified.authority
    );
    let arguments: Vec<&str> = asks
        .split_whitespace()
        .chain(more.iter().copied())
        .collect();
    Program::start(&mut openssl(client, &arguments), QUESTION.to_vec()).finish(LIMIT)
}

const QUESTION: &[u8] = b"a question\n";

/// One stream of a listener: the question, answered, and who asked.
fn answers(
    server: &Host,
    identity: String,
    clients: Option<String>,
) -> JoinHandle<(Vec<u8>, Option<PublicKey>)> {
    let (listening, told) = std::sync::mpsc::channel();
    let answering = server.spawn_async(move || async move {
        let at = format!("tls://{AT}?alpn=mancom-test");
        let identity = Identity::from_file(identity).unwrap();
        let mut listen = mancom::listen(at).identity(&identity);
        if let Some(clients) = clients {
            listen = listen.ca(clients);
        }
        let listener = listen.await.unwrap();
        listening.send(()).unwrap();
        let mut stream = listener.accept().await.unwrap();
        let mut question = vec![0; QUESTION.len()];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"an answer\n").await.unwrap();
        stream.shutdown().await.unwrap();
        (question, stream.session().peer())
    });
    told.recv_timeout(LIMIT).expect("it listens");
    answering
}

fn openssl_s_client_talks_to_a_listener() {
    need("openssl");
    let (lab, certified) = (Lab::new(), Certified::new());
    let (client, server, _link) = pair(&lab);
    let answering = answers(&server, certified.server.clone(), None);
    let connected = s_client(&client, &certified, &[]);
    let said = String::from_utf8_lossy(&connected.stdout);
    println!("{said}\n{}", connected.stderr);
    assert!(said.contains("an answer"));
    assert!(said.contains("Verify return code: 0 (ok)"));
    assert!(said.contains("TLSv1.3") && said.contains("ALPN protocol: mancom-test"));
    assert_eq!(join(answering), (QUESTION.to_vec(), None));
}

// behaviour: K7
fn a_listener_lets_openssl_in_by_its_certificate() {
    need("openssl");
    let (lab, certified) = (Lab::new(), Certified::new());
    let (client, server, _link) = pair(&lab);
    let authority = Some(certified.authority.clone());
    let answering = answers(&server, certified.server.clone(), authority);
    let own = ["-cert", &certified.client, "-key", &certified.client];
    let connected = s_client(&client, &certified, &own);
    println!("{}", connected.stderr);
    let key = Identity::from_file(&certified.client).unwrap().public_key();
    assert_eq!(join(answering), (QUESTION.to_vec(), Some(key)));
}

// behaviour: K7
fn a_listener_tells_openssl_that_it_wants_a_certificate() {
    need("openssl");
    let (lab, certified) = (Lab::new(), Certified::new());
    let (client, server, _link) = pair(&lab);
    let at = format!("tls://{AT}?alpn=mancom-test");
    let ca = [
        "--identity",
        &certified.server,
        "--ca",
        &certified.authority,
    ];
    let listen = [&["cat", "--listen", &at][..], &ca].concat();
    let mut listening = Program::start(&mut mancom(&server, &listen), Vec::new());
    until_taken(&server, &mut listening);
    let connected = s_client(&client, &certified, &[]);
    assert!(
        connected.stderr.contains("certificate required"),
        "{}",
        connected.stderr
    );
    assert!(listening.is_running(), "nobody came in");
    listening.signal("TERM");
    assert!(listening.finish(LIMIT).stdout.is_empty());
}

fn openssl_s_server_answers_a_dialler() {
    need("openssl");
    let lab = Lab::new();
    let (client, server, _link) = pair(&lab);
    let certified = Certified::new();
    for version in ["-tls1_3", "-tls1_2"] {
        let serve = [
            "s_server",
            "-accept",
            AT,
            "-cert",
            &certified.server,
            "-key",
            &certified.server,
            "-rev",
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
            &certified.authority,
            version,
        ];
        let mut serving = Program::start(&mut openssl(&server, &serve), Vec::new());
        until_taken(&server, &mut serving);
        let at = format!("tls://{AT}?name=server.example");
        let talk = |arguments: &[&str]| {
            let cat = [&["cat", &at], arguments].concat();
            Program::start(&mut mancom(&client, &cat), b"drawer\n".to_vec()).finish(LIMIT)
        };
        let own = [
            "--identity",
            &certified.client,
            "--ca",
            &certified.authority,
        ];
        let answered = talk(&own);
        assert_eq!(answered.status.code(), Some(0), "{}", answered.stderr);
        assert_eq!(answered.stdout, b"reward\n", "{}", answered.stderr);
        // The same authority, as one of the host's own.
        let mut cat = mancom(&client, &["cat", &at, "--identity", &certified.client]);
        cat.env("SSL_CERT_FILE", &certified.authority);
        let answered = Program::start(&mut cat, b"drawer\n".to_vec()).finish(LIMIT);
        assert_eq!(answered.stdout, b"reward\n", "{}", answered.stderr);
        let unproved = talk(&["--ca", &certified.authority]);
        assert_eq!(unproved.status.code(), Some(1), "{}", unproved.stderr);
        println!("{}", unproved.stderr);
        let stranger = talk(&["--identity", &certified.client]);
        let said = "of an authority that is not trusted here";
        assert!(stranger.stderr.contains(said), "{}", stranger.stderr);
        serving.signal("TERM");
        serving.finish(LIMIT);
        until("the port", LIMIT, || {
            server.run(|| std::net::TcpListener::bind(AT).is_ok())
        });
    }
}
