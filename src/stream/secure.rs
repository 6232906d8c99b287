//! TLS beneath paths and plain streams, as far as this build has it.

#[cfg(not(feature = "tls"))]
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use super::context::Context;
use super::tracker::Guard;
use crate::endpoint::Endpoint;
use crate::proto::session::handshake::{Peer, Security};
#[cfg(feature = "airhook")]
use crate::transport::AirhookLink;
use crate::transport::{ByteLink, Transport};
#[cfg(feature = "quic")]
use crate::transport::{Quic, QuicLink};

/// What is put upon the connections of one `connect` or `listen`; nothing, in clear.
#[derive(Debug, Clone, Default)]
pub(super) struct Secure {
    #[cfg(feature = "tls")]
    dialling: Option<Arc<crate::tls::Dialling>>,
    #[cfg(feature = "tls")]
    listening: Option<Arc<crate::tls::Listening>>,
}

#[cfg(feature = "tls")]
use crate::tls::PublicKey;
#[cfg(feature = "tls")]
pub(super) use crate::tls::{TlsError, Wish};

/// Nothing can be asked for, and nothing is wrong with it.
#[cfg(not(feature = "tls"))]
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {}
#[cfg(not(feature = "tls"))]
pub(super) type TlsError = Infallible;

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

    pub(super) fn beneath(&self, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
        transport
    }

    pub(super) fn is_clear(&self) -> bool {
        true
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = (Infallible, Option<Infallible>)> {
        std::iter::empty()
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

    /// The key that this end proves.
    pub(super) fn own(&self) -> Option<PublicKey> {
        match (&self.dialling, &self.listening) {
            (Some(dialling), _) => dialling.own(),
            (None, Some(listening)) => Some(listening.own()),
            (None, None) => None,
        }
    }

    /// The keys that a far end may have to be believed, each with the one that this end proves.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (PublicKey, Option<PublicKey>)> {
        let dialling = self.dialling.iter();
        dialling.flat_map(|dialling| dialling.pins().iter().map(|pin| (*pin, dialling.own())))
    }

    /// The transport to dial or listen with: one that secures its links itself is given the keys.
    pub(super) fn beneath(&self, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
        #[cfg(feature = "quic")]
        {
            let any: &dyn std::any::Any = &*transport;
            let quic = any.downcast_ref::<Quic>();
            match (quic, &self.dialling, &self.listening) {
                (Some(quic), Some(keys), _) => return Arc::new(quic.with_dialling(keys)),
                (Some(quic), _, Some(keys)) => return Arc::new(quic.with_listening(keys)),
                _ => {}
            }
        }
        transport
    }

    pub(super) fn is_clear(&self) -> bool {
        self.dialling.is_none() && self.listening.is_none()
    }

    /// A connection that was dialled.
    pub(super) async fn dialled(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        match &self.dialling {
            Some(dialling) if !is_secured(&*link) => dialling.secure(link).await,
            _ => Ok(link),
        }
    }

    /// A connection that was accepted.
    pub(super) async fn accepted(&self, link: Box<dyn ByteLink>) -> io::Result<Box<dyn ByteLink>> {
        match &self.listening {
            Some(listening) if !is_secured(&*link) => listening.secure(link).await,
            _ => Ok(link),
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

/// Whether the transport made the connection with the keys already.
#[cfg(feature = "tls")]
fn is_secured(link: &dyn ByteLink) -> bool {
    crate::tls::channel_of(link).security.is_some()
}

/// Says goodbye on a connection that nobody holds any more: a far end in TLS takes one that ends without
/// a word for torn. A shutdown waits for those that nobody's system would send the rest of.
pub(super) fn finish(link: Box<dyn ByteLink>, alive: Guard) {
    let Some((link, alive)) = parted(link, alive) else {
        return;
    };
    #[cfg(feature = "tls")]
    crate::tls::finish(link, |beneath| leave(beneath, alive));
    #[cfg(not(feature = "tls"))]
    drop((link, alive));
}

/// Drops a connection of QUIC or Airhook, and has a shutdown wait until what it took arrived; any other is
/// handed back.
#[cfg_attr(
    not(any(feature = "quic", feature = "airhook")),
    expect(clippy::unnecessary_wraps, reason = "as with the feature")
)]
pub(super) fn parted(link: Box<dyn ByteLink>, alive: Guard) -> Option<(Box<dyn ByteLink>, Guard)> {
    #[cfg(feature = "quic")]
    if (&*link as &dyn std::any::Any).is::<QuicLink>() {
        let link: Box<dyn std::any::Any> = link;
        link.downcast::<QuicLink>().expect("it is one").part(alive);
        return None;
    }
    #[cfg(feature = "airhook")]
    if (&*link as &dyn std::any::Any).is::<AirhookLink>() {
        let link: Box<dyn std::any::Any> = link;
        let link = link.downcast::<AirhookLink>().expect("it is one");
        link.part(alive);
        return None;
    }
    Some((link, alive))
}

/// Drops a path of a session that is over with it. One of TLS goes with what it has, for all is acknowledged
/// or given up; what is beneath it may have to bring that still.
pub(super) fn leave(link: Box<dyn ByteLink>, alive: Guard) {
    #[cfg(feature = "tls")]
    let link = crate::tls::beneath(link);
    drop(parted(link, alive));
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
