//! TLS beneath sessions (`mcs://`) and plain streams (`tls://`): who is who, and who is believed.
//!
//! ```text
//!   connect("mcs://..").identity(&me).pin(them)          listen("mcs://..").identity(&me).pin(them)
//!            │ Dialling: a ClientConfig                            │ Listening: up to four ServerConfigs
//!            ▼                                                     ▼
//!   any ByteLink ──► TlsLink ◄═══════ TLS 1.3, no 0-RTT ═══════► TlsLink ◄── any ByteLink
//!                     │ exporter, security level, the far end's key (`channel_of`)
//!                     ▼
//!               the session's handshake, whose proofs cover the exporter
//! ```
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use mancom::{Identity, Manager, Scout};
//!
//! let manager = Manager::builder().scout(Scout::fixed([])).build().await?;
//! let (server, client) = (Identity::generate()?, Identity::generate()?);
//! let listen = manager.listen("mcs://127.0.0.1:0").identity(&server);
//! let listener = listen.pin(client.public_key()).await?;       // this client and nobody else
//! let connect = manager.connect(listener.contact()).identity(&client);
//! let stream = connect.pin(server.public_key()).await?;        // this server and no other
//! assert_eq!(stream.session().peer(), Some(server.public_key()));
//! let accepted = listener.accept().await?;
//! assert_eq!(accepted.session().peer(), Some(client.public_key()));
//! # Ok::<_, mancom::Error>(()) }).unwrap();
//! ```
//!
//! # Rules
//!
//! * Every path of an `mcs://` session is a TLS 1.3 connection of its own. The proofs of the session's
//!   handshake cover 32 bytes that the connection exports (RFC 8446, section 7.5) under a label of ours,
//!   `EXPORTER-mancom-path`, as channel bindings do (RFC 9266, whose label is another), so that a path
//!   spliced onto another connection fails; a session keeps the level and the far end's key that it was
//!   born with.
//! * A listener has an [`Identity`]. A dialler may have one; `mcs://` listeners ask for it, `tls://`
//!   ones if they were told whom to let in.
//! * Whom a dialler believes: keys pinned, authorities given, keys known since the first use, and if
//!   none of these was said the authorities of the host. Whom a listener lets in: keys pinned and
//!   authorities given, and if none was said everybody, by the key they prove
//!   ([`Session::peer`](crate::Session::peer)).
//! * Keys are shown bare (RFC 7250) where the dialler of an `mcs://` or `quic://` trusts keys alone, and
//!   by diallers that have no certificate; else in a certificate. A listener with a certificate shows
//!   either, one without none but the key. What is pinned is the key in both cases, and then nothing else
//!   of a certificate counts, its dates included.
//! * Both ends of a session's connection insist on its protocol, `mancom/1` (RFC 7301): who speaks TLS
//!   and means something else is refused before a word of the session.
//! * Tickets make further connections cheap (no signature, no chain); they bind the far end as it was
//!   proved, and the exporter is another each time. Early data is neither sent nor taken.
//! * Nothing of a certificate is asked of its authority: there is no revocation but by trust.
//!
//! # Attributes
//!
//! | attribute | of | is |
//! | --- | --- | --- |
//! | `name=HOST` | diallers | the name to ask for, and to be in a certificate; default: the host |
//! | `pin=KEY,KEY` | both | as `.pin()` of the builders; a listener's contact is without it |
//! | `alpn=NAME,NAME` | `tls`, `quic` | the protocols to agree on, best first; sessions have their own |
//! | `bare` | diallers, `tls`, `quic` | a bare key (RFC 7250); sessions have it where keys alone count |
//!
//! What stands where it would not be heeded is refused.
//!
//! # Limits
//!
//! A handshake counts among the listener's half-open ones and has their time. It takes at most some
//! 72 KiB, most of it for a peer that sends a chain as long as TLS lets it be; the certificates of this
//! end are at most 30,000 bytes. A connection holds up to 50 KiB to write and 40 KiB read while bulk goes,
//! a few without. Eight tickets are kept for each `connect`. The lock of the list of keys known is waited
//! for 3 s. Of those it refuses a listener tells eight at once and one more each 10 s, as warnings of the
//! target `mancom::refused`.
//!
//! # Why these crates
//!
//! rustls with ring: one well-kept implementation in Rust, no C beyond ring's. Authorities are those of
//! the host (`rustls-native-certs`): what its administrator added and withdrew counts, and no bundle of
//! ours grows old.

mod alpn;
mod attributes;
mod below;
mod dial;
mod error;
mod explain;
mod files;
mod identity;
mod io;
mod key;
mod known;
mod link;
mod listen;
#[cfg(feature = "quic")]
mod quic;
mod trust;
mod verify;
mod wish;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use error::{Changed, TlsError};
pub use identity::Identity;
pub use key::{KeyError, PublicKey};

pub(crate) use attributes::ATTRIBUTES;
pub(crate) use dial::Dialling;
#[cfg(any(test, feature = "quic"))]
pub(crate) use link::Channel;
pub(crate) use link::{beneath, channel_of, finish};
pub(crate) use listen::Listening;
#[cfg(feature = "quic")]
pub(crate) use quic::{alerted, exporter};
pub(crate) use trust::Trust;
pub use wish::Defaults;
pub(crate) use wish::{Kept, Wish};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
