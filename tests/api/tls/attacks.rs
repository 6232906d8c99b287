//! Far ends that do with TLS what they should not: thieves, recordings, those between.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mancom::proto::session::handshake::{DialAttach, HandshakeError, Security};

use mancom::Manager;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Authority, echoing, key, refused, works};
use crate::raw::{Raw, attach_to, entropy, manager, offer, soon};

/// Believes everybody.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

pub(super) type Dialled = tokio_rustls::client::TlsStream<TcpStream>;

/// As a session's dialler does.
pub(super) async fn dial(at: &str) -> Dialled {
    let stream = TcpStream::connect(at.trim_start_matches("mcs://"))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(connector(Some("mancom/1")).connect(name, stream))
        .await
        .unwrap()
}

fn connector(protocol: Option<&str>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = config.with_no_client_auth();
    let protocols = protocol.into_iter().map(|name| name.as_bytes().to_vec());
    config.alpn_protocols = protocols.collect();
    TlsConnector::from(Arc::new(config))
}

pub(super) fn exporter(stream: &Dialled) -> Vec<u8> {
    let (_, tls) = stream.get_ref();
    let bytes = tls.export_keying_material([0; 32], b"EXPORTER-mancom-path", None);
    bytes.unwrap().to_vec()
}

/// A session made by hand in TLS, its connection, and what an attach needs.
pub(super) async fn session(at: &str) -> (Raw<Dialled>, mancom::proto::session::handshake::Agreed) {
    let stream = dial(at).await;
    let offer = mancom::proto::session::handshake::Offer {
        security: Security::Tls,
        exporter: exporter(&stream),
        ..offer()
    };
    crate::raw::session_with(Raw(stream), offer).await.unwrap()
}

/// Whether the path is open, whatever was said on it.
pub(super) async fn lives(path: &mut Raw<Dialled>) -> bool {
    loop {
        match tokio::time::timeout(Duration::from_millis(50), path.frame()).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return false,
            Err(_) => return true,
        }
    }
}

pub(super) async fn certified(manager: &Manager) -> (Authority, String) {
    let authority = Authority::new();
    let server = authority.certify("localhost", |_| {});
    let at = echoing(manager, &server).await;
    (authority, at)
}

/// What the library logs on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        const FILTER: &str = "mancom::session=debug,mancom::refused=warn";
        // What is first said in a thread that nobody listens to is taken for unheard everywhere, where
        // only one listens.
        static ELSEWHERE: std::sync::Once = std::sync::Once::new();
        ELSEWHERE.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_env_filter(FILTER);
            let subscriber = subscriber.with_writer(std::io::sink).finish();
            tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one");
        });
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(FILTER)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    /// Until it is said; it is said only after the far end was answered.
    async fn says(&self, text: &str) {
        let said = async {
            while !String::from_utf8_lossy(&self.0.lock().unwrap()).contains(text) {
                tokio::task::yield_now().await;
            }
        };
        let said = tokio::time::timeout(crate::raw::PATIENCE, said).await;
        let log = self.0.lock().unwrap();
        assert!(said.is_ok(), "{}", String::from_utf8_lossy(&log));
    }
}

// behaviour: K1, K13
#[tokio::test]
async fn a_stolen_id_opens_nothing_in_tls_either() {
    let log = Log::default();
    let _logging = log.listen();
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    let mut answers = Vec::new();
    let path = crate::raw::numbers(&agreed).next_path(1);
    let (_, attach) = DialAttach::new(entropy(), &agreed.credentials, path, &offer());
    let stolen: [u8; 16] = attach[9..25].try_into().unwrap();
    for id in [stolen, [9; 16]] {
        let mut thief = Raw(dial(&at).await);
        thief.send(&attach_to(id)).await;
        let challenge = thief.message().await.unwrap();
        thief.send(&crate::raw::message(8, &[7; 32])).await;
        answers.push((challenge.len(), thief.message().await.unwrap()));
    }
    assert_eq!(answers[0], answers[1], "known and unknown look the same");
    // What the thief is not told, the listener knows.
    log.says("does not prove it: a stolen id").await;
    log.says("a session that is not known here").await;
    assert!(lives(&mut first).await, "the session notices nothing");
}

#[tokio::test]
async fn who_speaks_tls_and_asks_for_no_session_is_refused_and_told_of() {
    let log = Log::default();
    let _logging = log.listen();
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let to = at.strip_prefix("mcs://").unwrap();
    let mut stranger = TcpStream::connect(to).await.unwrap();
    let from = stranger.local_addr().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = connector(None).connect(name, &mut stranger);
    let refused = soon(connecting).await.unwrap_err().to_string();
    // A goodbye would tell it that what it sent was taken.
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    log.says(&format!(
        "refused mcs://{from}: the far end speaks TLS, but not mancom's sessions"
    ))
    .await;
}

// behaviour: K8
#[tokio::test]
async fn an_attach_bound_to_another_connection_is_refused() {
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    let (one, other) = (dial(&at).await, dial(&at).await);
    for (stream, bound, expected) in [
        (one, None, Err(HandshakeError::UnknownSession)),
        (other, Some(()), Ok(())),
    ] {
        let own = exporter(&stream);
        let foreign = exporter(&dial(&at).await);
        let offer = mancom::proto::session::handshake::Offer {
            security: Security::Tls,
            exporter: if bound.is_some() { own } else { foreign },
            ..offer()
        };
        let path = crate::raw::numbers(&agreed).next_path(1);
        let (state, message) = DialAttach::new(entropy(), &agreed.credentials, path, &offer);
        let mut raw = Raw(stream);
        raw.send(&message).await;
        let (state, message) = state.challenge(&raw.message().await.unwrap()).unwrap();
        raw.send(&message).await;
        let ended = state.accepted(&raw.message().await.unwrap());
        assert_eq!(ended.map(drop), expected);
    }
    assert!(lives(&mut first).await);
}

/// Sits between: TLS with the dialler under its own key, TLS with the listener, and passes on what is
/// said inside.
async fn between(authority: &Authority, to: String) -> String {
    let pem = authority.pem("localhost", |_| {});
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.unwrap();
    config.alpn_protocols = vec![b"mancom/1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut near = acceptor.accept(stream).await.unwrap();
            let mut far = dial(&to).await;
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    format!("mcs://{at}?name=localhost")
}

// behaviour: K8
#[tokio::test]
async fn a_channel_spliced_by_somebody_who_is_believed_fails() {
    let manager = manager(|_| {}).await;
    let (authority, at) = certified(&manager).await;
    let at = between(&authority, at).await;
    let text = refused(manager.connect(&at).ca(authority.file())).await;
    assert!(
        text.contains("the two ends do not see the same connection"),
        "{text}"
    );
}

// behaviour: K2
#[tokio::test]
async fn what_was_recorded_is_worth_nothing_on_another_connection() {
    let log = Log::default();
    let _logging = log.listen();
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    // What a proved attach said inside.
    let stream = dial(&at).await;
    let offer = mancom::proto::session::handshake::Offer {
        security: Security::Tls,
        exporter: exporter(&stream),
        ..offer()
    };
    let path = crate::raw::numbers(&agreed).next_path(1);
    let (state, attach) = DialAttach::new(entropy(), &agreed.credentials, path, &offer);
    let mut raw = Raw(stream);
    raw.send(&attach).await;
    let (state, proof) = state.challenge(&raw.message().await.unwrap()).unwrap();
    raw.send(&proof).await;
    state.accepted(&raw.message().await.unwrap()).unwrap();
    let mut again = Raw(dial(&at).await);
    again.send(&attach).await;
    again.message().await.unwrap();
    again.send(&proof).await;
    let answer = again.message().await.unwrap();
    assert_eq!(
        answer[6..],
        [9, 0, 1],
        "refused: unknown session or bad proof"
    );
    log.says("proved on another connection: a recording").await;
    assert!(lives(&mut first).await);
}

// behaviour: K3, K4
#[tokio::test]
async fn half_open_handshakes_are_counted_and_end_and_garbage_harms_nobody() {
    let manager = manager(|settings| {
        settings.half_open = 16;
        settings.handshake = Duration::from_secs(2);
    })
    .await;
    let server = key();
    let at = echoing(&manager, &server).await;
    let address = at.trim_start_matches("mcs://");
    // More than there is room for, silent, or in the middle of a first message.
    let mut silent = Vec::new();
    for n in 0..64 {
        let mut stream = soon(TcpStream::connect(address)).await.unwrap();
        if n % 2 == 0 {
            let begun: &[u8] = &[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
            soon(stream.write_all(begun)).await.unwrap();
        }
        silent.push(stream);
    }
    let mut stream = soon(manager.connect(&at).pin(server.public_key()).into_future())
        .await
        .unwrap();
    works(&mut stream).await;
    // Each of them ends, the last ones by their time.
    for mut stream in silent {
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    let mut noise = crate::raw::Noise(7);
    for _ in 0..64 {
        let mut raw = Raw(soon(TcpStream::connect(address)).await.unwrap());
        raw.throw(&noise.bytes(4096)).await;
        let _ = raw.0.shutdown().await;
        raw.ended().await;
    }
    works(&mut stream).await;
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_of_first_messages_as_long_as_they_may_be_is_bounded() {
    use crate::raw::{descriptors, in_a_process_of_its_own, resident};
    use rustix::process::{Resource, getrlimit, setrlimit};
    const NAME: &str = "tls::attacks::a_flood_of_first_messages_as_long_as_they_may_be_is_bounded";
    const FLOOD: usize = 1_500;
    const BOUND: usize = 1_024;
    const EACH: usize = 100 << 10;
    if !in_a_process_of_its_own(NAME) {
        return;
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let manager = manager(|_| {}).await;
    let server = key();
    let at = echoing(&manager, &server).await;
    let address = at.trim_start_matches("mcs://");
    let connect = manager.connect(&at).pin(server.public_key());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    // A ClientHello of 65,280 bytes, of which the last four thousand never come.
    let mut begun = Vec::new();
    for payload in [16_384_u16, 16_384, 16_384, 12_000] {
        begun.extend([0x16, 3, 1]);
        begun.extend(payload.to_be_bytes());
        begun.resize(begun.len() + usize::from(payload), 0);
    }
    begun[5..9].copy_from_slice(&[1, 0, 0xff, 0]);
    let (fds, before) = (descriptors(), resident());
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        let mut raw = Raw(soon(TcpStream::connect(address)).await.unwrap());
        raw.throw(&begun).await;
        flood.push(raw);
    }
    let most = descriptors() - fds - FLOOD;
    assert!(most <= BOUND + 8, "{most} open at the listener");
    works(&mut stream).await;
    let mut peak = 0;
    for mut raw in flood {
        peak = peak.max(resident().saturating_sub(before));
        raw.ended().await;
    }
    println!("{} bytes a handshake", peak / BOUND);
    assert!(peak < BOUND * EACH, "{} KiB more", peak >> 10);
    works(&mut stream).await;
}

// behaviour: K12
#[tokio::test]
async fn a_session_has_no_path_to_another_listener_that_is_believed_too() {
    let manager = manager(|_| {}).await;
    let (one, two) = (key(), key());
    let own = echoing(&manager, &one).await;
    let other = manager.listen("mcs://127.0.0.1:0").identity(&two);
    let other = soon(other.into_future()).await.unwrap();
    let places = [own, other.contact().to_string()];
    let (to, target) = watch::channel(0);
    let (counted, mut seen) = watch::channel(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("mcs://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (mut target, counted) = (target.clone(), counted.clone());
            let now = *target.borrow_and_update();
            let place = places[now].trim_start_matches("mcs://").to_owned();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(place).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = target.changed() => {}
                }
                counted.send_modify(|ends| *ends += now);
            });
        }
    });
    let connect = manager
        .connect(&at)
        .pin(one.public_key())
        .pin(two.public_key());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    // Somebody else answers: TLS is fine with that, the session is not.
    to.send(1).unwrap();
    soon(seen.wait_for(|ends| *ends > 0)).await.unwrap();
    to.send(0).unwrap();
    works(&mut stream).await;
    assert_eq!(stream.session().peer(), Some(one.public_key()));
    let stranger = tokio::time::timeout(Duration::from_millis(50), other.accept());
    assert!(stranger.await.is_err(), "the other was shown nothing");
}
