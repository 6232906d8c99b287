//! QUIC: an ordered byte stream over UDP, encrypted and proved from its first packet on (RFC 9000, 9001).
//!
//! ```text
//!   mc+quic://host:7000   quic://host:7000
//!        │ keys and trust: src/tls
//!        ▼
//!   dialler   a socket, an endpoint of quinn's and a connection a link, bound to the network
//!   listener  one socket and endpoint ── task ──> [handshakes, each in a task] ──> queue ──> accept
//! ```
//!
//! # Rules
//!
//! * A link is one connection with one stream in it, which the dialler opens. Sessions have streams of
//!   their own, and paths are told apart by their congestion and their loss: two links in one connection
//!   would share both. A listener lets nobody open a second stream.
//! * It is TLS 1.3 as of `mcs://`: [`identity`](crate::Connect::identity), pins, authorities and trust on
//!   first use are those of [`tls`](crate::tls), and so are the words of a refusal. What a session's proofs
//!   cover is the exporter of this very connection, so there is no second TLS upon it: `mc+quic://` and
//!   `mcs+quic://` are the same. Tickets make further connections cheap; 0-RTT is neither sent nor taken.
//! * A listener tells of those whom it refuses, and of those who refuse it, as every other that speaks TLS:
//!   as a warning of the target `mancom::refused`, eight at once and then one each ten seconds.
//! * What is agreed on (ALPN, RFC 7301) is `mancom/1` for sessions and `mancom-stream/1` for plain
//!   streams. In these the dialler's stream begins with one byte, 0, that is not part of it: QUIC tells
//!   nobody of a stream that nothing was sent in. With `alpn=NAME` the protocol is somebody else's, there
//!   is no such byte, and a link is accepted when its first bytes are there.
//! * The socket of a dialled link is bound as every other to the network of its [`Bind`]: a path is a
//!   network, and no connection moves to another one. Listeners follow a dialler whose NAT forgot it.
//! * All links of a listener share its socket and its buffer in the kernel: where the administrator allows
//!   no more than Linux does by default (`net.core.wmem_max`), two neighbours that vanish at once under full
//!   load hold up the others for the seconds in which the kernel looks for them.
//! * A link that ends well ends both directions, and its end is told once all of it arrived. Dropped, it
//!   tells the far end that nobody reads any more, and lives on for at most 30 s until what was written was
//!   acknowledged. What closes a connection says whether its program read to the end (3), went before that
//!   (2), or broke off or never accepted it (1); 0 is said by nobody on purpose, and counts as broken off.
//!
//! * Nobody tells that a program was killed but its system, to the next datagram (ICMP; Linux alone). While
//!   it shakes hands a dialler believes it at once: who deceives it stops one attempt. A link believes it
//!   when it was said three times at least, over 3 s at least, each time after something was sent, and
//!   nothing came in between: who is not on the way can guess a port, and cannot keep the answers back. So a
//!   killed listener is noticed 3 to 7 s after the first datagram that it missed, and a dialler sends one
//!   each 20 s. A listener's own socket is told nothing: that a dialler was killed it notices after 60 s.
//!
//! # Limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | dialling one address | 5 s | `TimedOut` |
//! | handshakes of a listener | 1,024, 5 s each | the oldest of the /24 or /56 with most is dropped |
//! | handshakes without a proof that the source hears us | 64 | it has to come again with a token (Retry) |
//! | connections that are neither a link nor in the queue | 4,096 | one more is refused |
//! | links that wait to be accepted | 1,024, of 64 KiB unread each | one more is closed |
//! | bytes of a link that are unread | 4 MiB | the far end waits |
//! | and unsent or unacknowledged | 64 KiB and twice what the path holds, at most 16 MiB | `write` waits |
//! | silence | 60 s; a dialler speaks after 20 s | `TimedOut` |
//! | silence where its system says that nobody listens | 3 times over 3 s | `ConnectionReset` |
//!
//! # Why this crate
//!
//! quinn is the QUIC of most of the field's Rust, over the same rustls and ring. Its fork `noq` moves one
//! connection over several networks at once, which sessions do here, above every transport and with labels:
//! a connection a network is what is asked of QUIC.

use super::contact::contact;
use super::error::{explain, fail, place};
use super::resolve::{connect_by_name, own_addresses_of};
use super::tcp::{Live, Place, first_free, refused};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport, race};
use crate::endpoint::Endpoint;
use crate::network::NetworkId;
use crate::tls::{Defaults, Dialling, Identity, Listening, PublicKey, TlsError, Wish};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

mod acceptor;
mod config;
mod crowd;
mod dial;
mod doubt;
mod error;
mod hello;
mod hub;
mod link;
mod socket;
#[cfg(test)]
mod tests;

use acceptor::QuicAcceptor;
use hub::{Door, Hub};
pub use link::QuicLink;

/// QUIC: `quic://host:port`, sessions `mc+quic://host:port`; `quic://host:7000-7010` to listen on the first
/// free port.
///
/// Its links are ordered and reliable byte streams that nobody on the way can read or change, and whose far
/// end is who it was to be. A link is an ordinary connection of QUIC with one stream. Dialling where nobody
/// listens fails at once on Linux, elsewhere after 5 s.
///
/// Beneath [`connect`](crate::connect) and [`listen`](crate::listen) it has the keys and the trust of those;
/// used by itself, those given here: a listener needs an [`identity`](Self::identity).
///
/// Attributes: `advertise=HOST`, the host that a listener's contact names; those of TLS (`alpn`, `bare`,
/// `name`, `pin`).
#[derive(Debug, Clone, Default)]
pub struct Quic {
    keys: Keys,
    shared: Arc<Shared>,
}

/// What links are made with.
#[derive(Debug, Clone)]
enum Keys {
    /// What is asked for here; the endpoint's attributes are to be read yet.
    Asked(Box<Wish>),
    Dialling(Arc<Dialling>),
    Listening(Arc<Listening>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Asked(Box::default())
    }
}

#[derive(Debug, Default)]
struct Shared {
    live: Arc<Live>,
    /// Sockets that listen or did, for as long as links of theirs are left.
    hubs: Mutex<BTreeMap<At, Weak<Hub>>>,
}

/// Where a socket listens: an address, and the network that it is bound to.
type At = (SocketAddr, Option<NetworkId>);

impl Quic {
    /// A transport that listens nowhere yet, proves nothing and believes the authorities of the host.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, proving itself with this.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.asked().identity = Some(identity.clone());
        self
    }

    /// The same, believing a far end that proves this key; as [`Connect::pin`](crate::Connect::pin).
    #[must_use]
    pub fn pin(mut self, key: PublicKey) -> Self {
        self.asked().trust.pins.push(key);
        self
    }

    /// The same, believing who has a certificate of an authority in this file; as
    /// [`Connect::ca`](crate::Connect::ca).
    #[must_use]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.asked().trust.authorities.push(file.into());
        self
    }

    fn asked(&mut self) -> &mut Wish {
        if !matches!(self.keys, Keys::Asked(_)) {
            self.keys = Keys::default();
        }
        match &mut self.keys {
            Keys::Asked(wish) => wish,
            Keys::Dialling(_) | Keys::Listening(_) => unreachable!("made an `Asked`"),
        }
    }

    /// The same transport, dialling with these keys.
    pub(crate) fn with_dialling(&self, keys: &Arc<Dialling>) -> Self {
        Self {
            keys: Keys::Dialling(Arc::clone(keys)),
            shared: Arc::clone(&self.shared),
        }
    }

    /// The same transport, listening with these keys.
    pub(crate) fn with_listening(&self, keys: &Arc<Listening>) -> Self {
        Self {
            keys: Keys::Listening(Arc::clone(keys)),
            shared: Arc::clone(&self.shared),
        }
    }

    async fn dialling(&self, to: &Endpoint) -> io::Result<Arc<Dialling>> {
        let wish = match &self.keys {
            Keys::Dialling(keys) => return Ok(Arc::clone(keys)),
            Keys::Asked(wish) => (**wish).clone(),
            Keys::Listening(_) => Wish::default(),
        };
        let to = to.clone();
        reading(move || Dialling::new(&to, wish, &Defaults::default())).await
    }

    async fn listening(&self, at: &Endpoint) -> io::Result<Arc<Listening>> {
        let wish = match &self.keys {
            Keys::Listening(keys) => return Ok(Arc::clone(keys)),
            Keys::Asked(wish) => (**wish).clone(),
            Keys::Dialling(_) => Wish::default(),
        };
        let at = at.clone();
        reading(move || Listening::new(&at, wish, &Defaults::default())).await
    }

    /// A socket of its own, or one whose acceptor went and whose links live on.
    fn open(&self, at: SocketAddr, on: Option<&Bind>, door: &Door) -> io::Result<Arc<Hub>> {
        let network = on.map(|on| on.network.id());
        let hubs = self.shared.hubs.lock();
        let mut hubs = hubs.unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        match Hub::open(at, on, door) {
            Ok(hub) => {
                hubs.insert((hub.local(), network), Arc::downgrade(&hub));
                Ok(hub)
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                let known = hubs.iter().find(|((local, bound), _)| {
                    local.port() == at.port()
                        && *bound == network
                        && (local.ip() == at.ip() || on.is_some() && at.ip().is_unspecified())
                });
                match known.and_then(|(_, hub)| hub.upgrade()) {
                    Some(hub) if hub.adopt(door) => Ok(hub),
                    _ => Err(e),
                }
            }
            Err(e) => Err(e),
        }
    }
}

/// Keys, which may be in files.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, TlsError> + Send + 'static,
) -> io::Result<Arc<T>> {
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(io::Error::other)?;
    read.map(Arc::new)
        .map_err(|error| io::Error::new(error.kind(), error))
}

impl Transport for Quic {
    fn scheme(&self) -> &'static str {
        "quic"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["advertise", "alpn", "bare", "name", "pin"])
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics {
            secure: true,
            ..Characteristics::stream()
        }
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(connect_by_name(self, to, on))
    }

    /// Each address gets a quarter of a second before the next is tried beside it.
    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let keys = self.dialling(to).await.map_err(|e| explain(e, to))?;
            let dialled = race::first(addresses, |at| dial::dial(&keys, to, at, on)).await;
            let link = dialled.map_err(|e| place(e, to))?;
            Ok(Link::Bytes(Box::new(link)))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let keys = self.listening(at).await.map_err(|e| explain(e, at))?;
            let addresses = own_addresses_of(at, on).await?;
            let ports = at.ports().unwrap_or(0..=0);
            let (door, queue) = Door::new(&keys, at)?;
            let hub = first_free(&addresses, &ports, |at| self.open(at, on, &door))
                .map_err(|e| refused(e, at, &ports))?;
            let local = hub.local();
            // Whom it lets in is nothing for those who dial it.
            let at = at.clone().without(&["bare", "pin"]);
            let contact = contact(&at, local, on)?;
            let host = contact.host().map(str::to_owned);
            let listed = self.shared.live.add(Place { local, host });
            let acceptor = QuicAcceptor::new(hub, queue, at, contact, listed);
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    /// As of TCP: of a live acceptor's own contact, its address, and any of this host's at a wildcard.
    fn is_self(&self, contact: &Endpoint) -> bool {
        self.shared.live.leads_here(contact)
    }

    /// Known of links that were dialled, as of TCP. One that was accepted comes from a port that says
    /// nothing of where its dialler listens, until its peer named itself.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        link.downcast_ref::<QuicLink>()
            .is_some_and(|link| link.leads_to(contact))
    }
}
