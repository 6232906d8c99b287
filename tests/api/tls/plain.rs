//! `tls://`: plain streams in TLS, to and from programs that know nothing of mancom.

use std::future::IntoFuture;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use mancom::{Manager, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Authority, contact, works};
use crate::raw::{PATIENCE, manager, soon};

async fn echoing(manager: &Manager, authority: &Authority, query: &str) -> u16 {
    let identity = authority.certify("localhost", |_| {});
    let at = format!("tls://127.0.0.1:0{query}");
    let listen = manager.listen(&at).identity(&identity);
    let listener = soon(listen.into_future()).await.unwrap();
    let port = listener.contact().port().unwrap();
    contact(listener);
    port
}

#[tokio::test]
async fn a_plain_stream_in_tls_carries_bytes_and_says_who_is_there() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let port = echoing(&manager, &authority, "").await;
    let at = format!("tls://localhost:{port}");
    let connect = manager.connect(&at).ca(authority.file());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    let peer = stream.session().peer().expect("it showed a certificate");
    assert!(peer.to_string().starts_with("sha256:"));
    assert!(matches!(
        soon(stream.session().accept()).await,
        Err(SessionError::NotMancom)
    ));
    // An end is passed on, and the other way stays open for what is still to come.
    let mut stream = soon(manager.connect(&at).ca(authority.file()).into_future())
        .await
        .unwrap();
    stream.write_all(b"the last").await.unwrap();
    soon(stream.shutdown()).await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"the last");
}

#[tokio::test]
async fn what_was_written_arrives_also_where_the_stream_is_dropped_at_once_and_a_shutdown_waits() {
    let (dialler, manager) = (manager(|_| {}).await, manager(|_| {}).await);
    let authority = Authority::new();
    let identity = authority.certify("localhost", |_| {});
    let listen = manager.listen("tls://127.0.0.1:0").identity(&identity);
    let listener = soon(listen.into_future()).await.unwrap();
    assert_eq!(listener.contact().attribute("pin"), None);
    let at = format!("tls://localhost:{}", listener.contact().port().unwrap());
    let connect = dialler.connect(&at).ca(authority.file()).into_future();
    let (near, far) = tokio::join!(soon(connect), soon(listener.accept()));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    // More than a socket takes while it is not read.
    let mut total = 0;
    let filled = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            total += near.write(&[7; 64 << 10]).await.unwrap();
        }
    });
    assert!(filled.await.is_err(), "it fills up");
    drop(near);
    let mut shutdown = pin!(dialler.shutdown(PATIENCE));
    let ended = shutdown.as_mut().now_or_never();
    assert!(ended.is_none(), "nobody has read it");
    let mut came = Vec::new();
    soon(far.read_to_end(&mut came)).await.unwrap();
    assert_eq!(came.len(), total);
    shutdown.await.unwrap();
}

/// A plain TLS server, and the protocol that was agreed on with each dialler.
async fn server(authority: &Authority) -> (u16, tokio::task::JoinHandle<Option<Vec<u8>>>) {
    let pem = authority.pem("localhost", |_| {});
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await
            .ok()?;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let mut text = [0; 6];
        stream.read_exact(&mut text).await.ok()?;
        stream.write_all(&text).await.ok()?;
        // It goes without a word.
        stream.flush().await.ok()?;
        agreed
    });
    (port, served)
}

#[tokio::test]
async fn protocols_are_agreed_on_and_a_torn_connection_is_no_end() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let (port, served) = server(&authority).await;
    let at = format!("tls://localhost:{port}?alpn=spdy/3,http/1.1");
    let connect = manager.connect(&at).ca(authority.file());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    assert_eq!(
        soon(served).await.unwrap().as_deref(),
        Some(&b"http/1.1"[..])
    );
    let error = soon(stream.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("close_notify"), "{error}");
    let all = format!("{:?}", mancom::Error::from(error));
    assert!(!all.contains("docs.rs"), "{all}");

    let (port, served) = server(&authority).await;
    let at = format!("tls://localhost:{port}?alpn=gopher");
    let connect = manager.connect(&at).ca(authority.file());
    let error = soon(connect.into_future()).await.unwrap_err();
    assert!(error.to_string().contains("(ALPN)"), "{error}");
    assert_eq!(soon(served).await.unwrap(), None);
}

#[tokio::test]
async fn an_unknown_attribute_is_refused_and_those_of_tls_are_known() {
    let manager = manager(|_| {}).await;
    let error = soon(manager.connect("tls://localhost:9?alpm=h2").into_future()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`alpm`"), "{error}");
    let error = soon(manager.connect("tls://localhost:9?pin=x").into_future()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("begins with `ed25519:`"), "{error}");
    let error = soon(
        manager
            .connect("mcs://localhost:9?name=a%20b")
            .into_future(),
    )
    .await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`a b` is no name"), "{error}");
}

#[tokio::test]
async fn attributes_that_would_not_be_heeded_are_refused() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let identity = authority.certify("localhost", |_| {});
    for (query, of, said) in [
        ("alpn=h2", "mcs", "`alpn` is of tls:// and quic://"),
        ("bare", "mcs", "`bare` is of tls:// and quic://"),
        ("name=a", "mcs", "`name` is for who dials"),
        ("name=a", "tls", "`name` is for who dials"),
        ("bare", "tls", "`bare` is for who dials"),
    ] {
        let at = format!("{of}://127.0.0.1:0?{query}");
        let listen = manager.listen(&at).identity(&identity);
        let error = soon(listen.into_future()).await.unwrap_err().to_string();
        assert!(error.contains(&at) && error.contains(said), "{error}");
    }
    for query in ["alpn=h2", "bare"] {
        let connect = manager.connect(format!("mcs://127.0.0.1:9?{query}"));
        let error = soon(connect.ca(authority.file()).into_future()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is of tls:// and quic://"), "{error}");
    }
}

#[tokio::test]
async fn a_hook_finds_its_server_again_in_tls() {
    use mancom::hooks::{Carried, Connection, Hook, Resume};

    struct Again;
    impl Hook for Again {
        async fn setup(&mut self, fresh: &mut dyn Connection, _: Carried) -> io::Result<Resume> {
            fresh.write_all(b"again ").await?;
            let mut back = [0; 6];
            fresh.read_exact(&mut back).await?;
            assert_eq!(&back, b"again ");
            Ok(Resume::ReplayFrom(0))
        }
    }

    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let identity = authority.certify("localhost", |_| {});
    let listen = manager.listen("tls://127.0.0.1:0").identity(&identity);
    let listener = soon(listen.into_future()).await.unwrap();
    let at = format!("tls://localhost:{}", listener.contact().port().unwrap());
    let connect = manager.connect(&at).ca(authority.file()).reconnect(Again);
    let mut stream = soon(connect.into_future()).await.unwrap();
    // The first connection is torn, the next one echoes.
    soon(listener.accept()).await.unwrap().abort();
    contact(listener);
    works(&mut stream).await;
}
