//! TLS on the listener's connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{AlwaysResolvesServerRawPublicKeys, ClientHello, NoServerSessionStorage};
use rustls::server::{CertificateType, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;

use super::alpn;
use super::below::Below;
use super::explain::unspoken;
use super::link::TlsLink;
use super::verify::{OfDiallers, Refused};
use super::wish::{Defaults, Wish};
use super::{Identity, PublicKey, TlsError, attributes, provider};
use crate::endpoint::Endpoint;
use crate::transport::ByteLink;

/// For so long somebody who was refused may read why.
const PARTING: Duration = Duration::from_millis(500);

/// The record of a fatal alert, `no_application_protocol`, in answer to a first message (RFC 8446, sections 5.1
/// and 6; RFC 7301, section 3.2).
const NO_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// What every connection of one listener is made with: which of them, the dialler's first message says.
#[derive(Debug)]
pub(crate) struct Listening {
    /// With a certificate, if there is one: a dialler that shows one, and one that shows a bare key.
    certified: Option<[Arc<ServerConfig>; 2]>,
    /// The same with a bare key.
    pub(super) bare: [Arc<ServerConfig>; 2],
    #[cfg(feature = "quic")]
    pub(super) refused: Arc<Refused>,
    /// Its connections are to carry sessions.
    session: bool,
    own: PublicKey,
}

impl Listening {
    /// What an endpoint, a builder and its manager ask for. Reads files.
    pub(crate) fn new(
        endpoint: &Endpoint,
        wish: Wish,
        defaults: &Defaults,
    ) -> Result<Self, TlsError> {
        attributes::check(endpoint, true)?;
        let wish = wish.over(defaults, &defaults.diallers, endpoint)?;
        let Some(identity) = wish.identity.clone() else {
            let endpoint = endpoint.to_string();
            return Err(TlsError::NoIdentity { endpoint });
        };
        let refused = Arc::default();
        let pair = |bare| {
            let theirs =
                |bare_dialler| config(endpoint, &wish, &identity, [bare, bare_dialler], &refused);
            Ok::<_, TlsError>([theirs(false)?, theirs(true)?])
        };
        let certified = identity.is_certified().then(|| pair(false)).transpose()?;
        Ok(Self {
            certified,
            bare: pair(true)?,
            #[cfg(feature = "quic")]
            refused,
            session: endpoint.is_session(),
            own: identity.public_key(),
        })
    }

    /// And whether this dialler shows a bare key.
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, bool) {
        let knows = |types: Option<&[CertificateType]>, wanted| {
            types.is_some_and(|types| types.contains(&wanted))
        };
        let theirs = hello.server_cert_types();
        let certificates = theirs.is_none() || knows(theirs, CertificateType::X509);
        let pair = match &self.certified {
            Some(certified) if certificates => certified,
            _ => &self.bare,
        };
        let bare_dialler = knows(hello.client_cert_types(), CertificateType::RawPublicKey);
        (Arc::clone(&pair[usize::from(bare_dialler)]), bare_dialler)
    }

    /// The key that this end proves.
    pub(crate) fn own(&self) -> PublicKey {
        self.own
    }

    /// Puts TLS upon a fresh connection.
    ///
    /// # Errors
    /// What the dialler shows is not let in, it does not believe this end, it does not speak TLS, or not
    /// mancom's sessions where those are listened for.
    pub(crate) async fn secure(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        let acceptor = rustls::server::Acceptor::default();
        let started = LazyConfigAcceptor::new(acceptor, Below::new(link)).await;
        let started = started.map_err(unspoken)?;
        if self.session && !alpn::asks_for_session(&started.client_hello()) {
            // With who asks for nothing TLS itself would go on, and what it sent seem to be taken.
            let mut below = started.io;
            let _ = below.write_all(&NO_PROTOCOL).await;
            part(below).await;
            return Err(alpn::no_session());
        }
        let (config, bare) = self.choose(&started.client_hello());
        match started.into_stream(config).into_fallible().await {
            Ok(stream) => {
                let (below, tls) = stream.into_inner();
                Ok(Box::new(TlsLink::new(tls.into(), below, bare, true)?))
            }
            Err((error, below)) => {
                part(below).await;
                Err(unspoken(error))
            }
        }
    }
}

/// Until the other side has read the alert: what it sent beside that would else reset the connection, and the
/// reason might never be seen.
async fn part(mut link: impl AsyncRead + AsyncWrite + Unpin) {
    let parting = async {
        link.shutdown().await?;
        let mut rest = [0; 512];
        while link.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    let _ = tokio::time::timeout(PARTING, parting).await;
}

fn config(
    endpoint: &Endpoint,
    wish: &Wish,
    identity: &Identity,
    [bare, bare_dialler]: [bool; 2],
    refused: &Arc<Refused>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let asks = endpoint.is_session() || wish.trust.required || !wish.trust.is_unsaid();
    let verifier: Arc<dyn ClientCertVerifier> = match asks {
        true => Arc::new(OfDiallers::new(
            &wish.trust,
            bare_dialler,
            refused,
            &provider,
        )?),
        false => WebPkiClientVerifier::no_client_auth(),
    };
    let resolver: Arc<dyn ResolvesServerCert> = match bare {
        true => Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.bare())),
        false => Arc::new(SingleCertAndKey::from(identity.certified())),
    };
    let versions: &[_] = match endpoint.is_session() || bare || bare_dialler {
        true => &[&TLS13],
        false => &[&TLS13, &TLS12],
    };
    let failed = |error| TlsError::content(None, error);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(failed)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = alpn::asked(endpoint);
    // A ticket of one of these is worth nothing to another: each has a key of its own.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(failed)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}
