//! TLS beneath paths and plain streams, as far as this build has it.

use std::io;
use std::sync::Arc;

use super::context::Context;
use crate::endpoint::Endpoint;
use crate::proto::session::handshake::{Peer, Security};
use crate::transport::ByteLink;

/// What is put upon the connections of one `connect` or `listen`; nothing, in clear.
#[derive(Debug, Clone, Default)]
pub(super) struct Secure {
    #[cfg(feature = "tls")]
    dialling: Option<Arc<crate::tls::Dialling>>,
    #[cfg(feature = "tls")]
    listening: Option<Arc<crate::tls::Listening>>,
}

#[cfg(feature = "tls")]
pub(super) use crate::tls::{TlsError, Wish};

/// Nothing can be asked for, and nothing is wrong with it.
#[cfg(not(feature = "tls"))]
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {}
#[cfg(not(feature = "tls"))]
pub(super) type TlsError = std::convert::Infallible;

/// Endpoints that run in TLS are refused before this, where this build has none.
#[cfg(not(feature = "tls"))]
impl Secure {
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn to_dial(
        _: &Arc<dyn Context>,
        _: &Endpoint,
        _: Wish,
    ) -> Result<Self, TlsError> {
        Ok(Self::default())
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn to_listen(
        _: &Arc<dyn Context>,
        _: &Endpoint,
        _: Wish,
    ) -> Result<Self, TlsError> {
        Ok(Self::default())
    }

    pub(super) fn is_clear(&self) -> bool {
        true
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn dialled(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        Ok(link)
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn accepted(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        Ok(link)
    }
}

#[cfg(feature = "tls")]
impl Secure {
    /// What to dial this endpoint with; reads the files that it takes.
    pub(super) async fn to_dial(
        context: &Arc<dyn Context>,
        endpoint: &Endpoint,
        wish: Wish,
    ) -> Result<Self, TlsError> {
        let dialling = made(context, endpoint, wish, crate::tls::Dialling::new).await?;
        Ok(Self {
            dialling,
            listening: None,
        })
    }

    /// What to listen at this endpoint with; reads the files that it takes.
    pub(super) async fn to_listen(
        context: &Arc<dyn Context>,
        endpoint: &Endpoint,
        wish: Wish,
    ) -> Result<Self, TlsError> {
        let listening = made(context, endpoint, wish, crate::tls::Listening::new).await?;
        Ok(Self {
            dialling: None,
            listening,
        })
    }

    pub(super) fn is_clear(&self) -> bool {
        self.dialling.is_none() && self.listening.is_none()
    }

    /// A connection that was dialled.
    pub(super) async fn dialled(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        match &self.dialling {
            Some(dialling) => dialling.secure(link).await,
            None => Ok(link),
        }
    }

    /// A connection that was accepted.
    pub(super) async fn accepted(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        match &self.listening {
            Some(listening) => listening.secure(link).await,
            None => Ok(link),
        }
    }
}

/// One side's, where the endpoint is to be secure, made where reading files holds up nobody.
#[cfg(feature = "tls")]
async fn made<T: Send + 'static>(
    context: &Arc<dyn Context>,
    endpoint: &Endpoint,
    wish: Wish,
    make: fn(&Endpoint, Wish, &crate::tls::Defaults) -> Result<T, TlsError>,
) -> Result<Option<Arc<T>>, TlsError> {
    if !endpoint.is_secure() {
        return Ok(None);
    }
    let (endpoint, defaults) = (endpoint.clone(), context.tls());
    let made = tokio::task::spawn_blocking(move || make(&endpoint, wish, &defaults)).await;
    Ok(Some(Arc::new(made.expect("it does not panic")?)))
}

/// Says goodbye on a connection that nobody holds any more: a far end in TLS takes one that ends without
/// a word for torn.
pub(super) fn finish(link: Box<dyn ByteLink>) {
    #[cfg(feature = "tls")]
    crate::tls::finish(link);
    #[cfg(not(feature = "tls"))]
    drop(link);
}

/// How safe a connection is, its exporter, and who is at its far end.
pub(super) fn channel(link: &dyn ByteLink) -> (Security, Vec<u8>, Option<Peer>) {
    #[cfg(feature = "tls")]
    {
        let channel = crate::tls::channel_of(link);
        let security = channel.security.unwrap_or(Security::Clear);
        (security, channel.exporter, channel.peer)
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = link;
        (Security::Clear, Vec::new(), None)
    }
}
