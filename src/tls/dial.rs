//! TLS on the dialler's connections.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsConnector;

use super::alpn::{self, is_own};
use super::below::Below;
use super::explain::unspoken;
use super::known::Known;
use super::link::{Channel, TlsLink, finish};
use super::verify::OfListeners;
use super::wish::{Defaults, Wish};
use super::{Identity, PublicKey, TlsError, attributes, provider};
use crate::endpoint::Endpoint;
use crate::transport::ByteLink;

/// Tickets kept; a listener gives two with each connection, and each serves once.
const TICKETS: usize = 8;

/// What every connection of one `connect` is made with.
#[derive(Debug)]
pub(crate) struct Dialling {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) bare: bool,
    /// Its connections are to carry a session.
    session: bool,
    pub(super) known: Option<Known>,
    own: Option<PublicKey>,
    pins: Vec<PublicKey>,
    /// Remembers why it refused.
    #[cfg(feature = "quic")]
    pub(super) verifier: Arc<OfListeners>,
}

impl Dialling {
    /// What an endpoint as given, a builder and its manager ask for. Reads files.
    pub(crate) fn new(
        endpoint: &Endpoint,
        wish: Wish,
        defaults: &Defaults,
    ) -> Result<Self, TlsError> {
        attributes::check(endpoint, false)?;
        let Wish { identity, trust } = wish.over(defaults, &defaults.listeners, endpoint)?;
        let name = endpoint.attribute("name").or(endpoint.host());
        let name = name.unwrap_or("localhost");
        let server = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name {
            name: name.to_owned(),
        })?;
        // An authority says of certificates whose they are; without one keys are all that counts.
        let keys = !trust.is_unsaid() && trust.authorities.is_empty();
        let bare = endpoint.typed().flag("bare") == Ok(true) || is_own(endpoint) && keys;
        let known = match &trust.first_use {
            Some(path) => Some(Known::read(path, place(endpoint, name))?),
            None => None,
        };
        let own = identity.as_ref().map(Identity::public_key);
        let (provider, pins) = (provider(), trust.pins.clone());
        let verifier = Arc::new(OfListeners::new(trust, known.clone(), bare, &provider)?);
        let versions: &[_] = match endpoint.is_session() || bare {
            true => &[&TLS13],
            false => &[&TLS13, &TLS12],
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::content(None, error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let resolver: Arc<dyn ResolvesClientCert> = match identity.is_certified() {
                    true => Arc::new(SingleCertAndKey::from(identity.certified())),
                    false => Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity.bare())),
                };
                builder.with_client_cert_resolver(resolver)
            }
        };
        config.alpn_protocols = alpn::asked(endpoint);
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Ok(Self {
            config: Arc::new(config),
            name: server,
            bare,
            session: endpoint.is_session(),
            known,
            own,
            pins,
            #[cfg(feature = "quic")]
            verifier,
        })
    }

    /// The key that this end proves.
    pub(crate) fn own(&self) -> Option<PublicKey> {
        self.own
    }

    /// The keys that are believed whatever else is said of them.
    pub(crate) fn pins(&self) -> &[PublicKey] {
        &self.pins
    }

    /// Puts TLS upon a fresh connection.
    ///
    /// # Errors
    /// What the far end shows is not believed, it does not believe this end, it does not speak TLS, or not
    /// mancom's sessions where one is dialled; the text says which.
    pub(crate) async fn secure(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connecting = connector.connect(self.name.clone(), Below::new(link));
        let (below, tls) = connecting.await.map_err(unspoken)?.into_inner();
        let speaks = if self.session {
            alpn::check_session(&tls)
        } else {
            Ok(())
        };
        let link = TlsLink::new(tls.into(), below, self.bare, self.proves())?;
        if let Err(error) = speaks {
            finish(Box::new(link), drop);
            return Err(error);
        }
        self.learn(link.channel()).await?;
        Ok(Box::new(link))
    }

    /// Whether this end proves itself where it is asked to.
    pub(super) fn proves(&self) -> bool {
        self.own.is_some()
    }

    /// Writes down who the far end is, where it is to be known from then on.
    pub(super) async fn learn(&self, channel: &Channel) -> io::Result<()> {
        let (Some(known), Some(peer)) = (&self.known, &channel.peer) else {
            return Ok(());
        };
        let learned = known.learn(PublicKey::of(&peer.0)).await;
        learned.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// What a far end is known as.
fn place(endpoint: &Endpoint, name: &str) -> String {
    match (endpoint.port(), endpoint.path(), endpoint.name()) {
        (Some(port), ..) => format!("{name}:{port}"),
        _ => endpoint.clone().without_attributes().to_string(),
    }
}
