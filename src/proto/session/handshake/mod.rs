//! The handshake: how a session is made and how a path joins one. Each state consumes itself.
//!
//! # Flights
//!
//! ```text
//! a new session                                one more path
//!
//! dialler                    listener          dialler                    listener
//!    | hello                    |                 | attach                   |
//!    |------------------------->| Greeting        |------------------------->| Greeting
//!    |                 [cookie] |                 |                challenge |
//!    |<-------------------------|                 |<-------------------------|  (one HMAC, no X25519)
//!    | hello with the cookie    |                 | proof                    |
//!    |------------------------->|                 |------------------------->| AwaitProof
//!    |                    reply |                 |      accepted or refused |
//!    |<-------------------------|                 |<-------------------------|
//!    | confirm                  |
//!    |------------------------->| AwaitConfirm    states of the dialler:
//!    |                 accepted |                 DialHello -> DialConfirm -> Agreed
//!    |<-------------------------|                 DialAttach -> DialProof -> facts
//! ```
//!
//! In TLS an attach takes one flight each way, for the exporter is as fresh as a listener's nonce:
//!
//! ```text
//!    | attach with a proof      |
//!    |------------------------->| Greeting        state of the dialler:
//!    |    accepted, or refused  |                 DialProved -> facts
//!    |<-------------------------|
//! ```
//!
//! The dialler proves first, and sends nothing of the session before the listener's proof verified: a
//! rogue at the listener's address learns nothing and changes nothing. Session frames follow `accepted`
//! directly.
//!
//! # Bytes
//!
//! A message is `length u16 | body`, at most [`MAX_MESSAGE`] bytes in all, integers big-endian. A body
//! is `"mcom" | version u16 | kind u8` and then
//!
//! | kind | message | fields |
//! | --- | --- | --- |
//! | 1 | hello | terms, cookie length u8 (0 to 64), cookie |
//! | 2 | cookie | length u8, cookie |
//! | 3 | reply | terms, session id 16 |
//! | 4 | confirm | proof 32 |
//! | 5 | accepted | proof 32 |
//! | 6 | attach | session id 16, path id u8 (0 to 7), epoch u32, nonce 32, facts 4 |
//! | 7 | challenge | nonce 32, facts 4 |
//! | 8 | proof | proof 32 |
//! | 9 | refused | code u16: 1 unknown session or bad proof, 2 less safe than the session, 3 no new sessions, 4 another peer than the session's, 5 a confirmation that does not verify |
//! | 10 | attach with a proof | as attach, proof 32; in TLS alone |
//! | 11 | accepted at once | nonce 32, facts 4, proof 32 |
//!
//! terms: `nonce 32 | x25519 public 32 | grace u64 in ms | receive window u32 | streams u16 | facts 4`.
//! facts: `kinds u8 | metered u8 | roaming u8 | constrained u8`, see [`super::frame`]. Bytes after the
//! last field known are ignored, so that a later revision of this version can add some; they are
//! covered by the hash of the hellos. Agreed are the smaller grace and the smaller number of streams;
//! each side says the window it grants.
//!
//! # Keys
//!
//! `H` is SHA-256 over the final hello and the reply, each behind its length as u64. HKDF-SHA256 over
//! the X25519 secret, salted with `H`, gives four keys: `mancom 1 confirm dialler`, `.. confirm
//! listener`, `.. attach dialler`, `.. attach listener`. An all-zero secret is refused. A proof is
//! HMAC-SHA256 under the prover's key over version, session id, path id, epoch, the dialler's nonce,
//! the listener's nonce, `H`, both sides' facts, and the TLS exporter behind its length (none in
//! clear); it is compared in constant time. The nonces are fresh, so that a recorded attach is worth
//! nothing, and where a dialler proves before it has heard the listener's, which then counts as zero and its
//! facts as unknown, the exporter is; the id opens nothing without the keys. The path and epoch of a first handshake are 0 and 1.
//!
//! In clear an active attacker on the path can read, change and take over.

use std::sync::Arc;
use std::time::Duration;

mod dial;
mod keys;
mod listen;
mod message;
#[cfg(test)]
mod tests;

pub use dial::{DialAttach, DialConfirm, DialHello, DialProof, DialProved, Replied};
pub use keys::{CookieKey, Credentials, Entropy};
pub use listen::{AttachHello, AwaitConfirm, AwaitProof, Greeting, NewHello, ProvedHello};
pub use message::refuse_new;

use super::{PathId, Role, SessionId};
use crate::label::matching::PathFacts;
use message::Terms;

/// Each message is a u16 length and that many bytes, at most this in all.
pub const MAX_MESSAGE: usize = 512;

/// The protocol's version.
pub const VERSION: u16 = 1;

/// The longest cookie a dialler gives back.
const MAX_COOKIE: usize = 64;

/// The path of a first handshake.
const FIRST_PATH: PathId = PathId { id: 0, epoch: 1 };

/// How safe a path is; a session refuses paths below the level it was born with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Security {
    /// No encryption: who is on the path can read, change and take over.
    Clear,
    /// TLS in which the listener proved who it is.
    Tls,
    /// TLS in which both did.
    TlsMutual,
}

/// What a side asks for in a handshake.
#[derive(Debug, Clone)]
pub struct Offer {
    /// How long the session is to live without a path; a listener's is its cap.
    pub grace: Duration,
    /// Bytes of each stream the peer may have in flight or unread here.
    pub receive_window: u32,
    /// Streams alive at once.
    pub max_streams: u16,
    /// Our network on this path.
    pub facts: PathFacts,
    /// Tell the peer nothing of `facts`.
    pub anonymous: bool,
    /// How safe this path is.
    pub security: Security,
    /// The TLS exporter of this path; empty in clear.
    pub exporter: Vec<u8>,
    /// Who the far end of this path proved to be, if it did.
    pub peer: Option<Peer>,
}

/// Who an end of a path proved to be: its public key, as TLS has it (SubjectPublicKeyInfo, DER).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer(pub Arc<[u8]>);

/// What both sides agreed on.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// Which end this is.
    pub role: Role,
    /// The session's name.
    pub id: SessionId,
    /// How long it lives without a path: the smaller of both.
    pub grace: Duration,
    /// Bytes of each stream we may have in flight or unread at the peer.
    pub peer_receive_window: u32,
    /// What we offered of the same.
    pub receive_window: u32,
    /// Streams alive at once: the smaller of both.
    pub max_streams: u16,
    /// The peer's network on the first path.
    pub remote: PathFacts,
    /// The first path.
    pub path: PathId,
    /// What later attaches need.
    pub credentials: Credentials,
}

/// Why a handshake failed. It ends that connection and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first bytes are not ours.
    #[error("the far end does not speak mancom")]
    NotMancom,
    /// It speaks another version.
    #[error("the far end speaks version {0}, this one {VERSION}")]
    Version(u16),
    /// A message out of place, cut short or too long.
    #[error("a handshake message out of place, cut short or too long")]
    Malformed,
    /// The other side does not hold the session's keys.
    #[error("a proof that does not verify")]
    BadProof,
    /// Both ends of a new session took part in a handshake, but not in the same one.
    #[error(
        "the two ends do not see the same connection: somebody between them joined two of his own, or changed what was said"
    )]
    Spliced,
    /// The listener does not know the session, or not our proof of it: it does not say which.
    #[error("the far end does not know this session")]
    UnknownSession,
    /// The listener was stopped; paths of its sessions may still join.
    #[error("the far end takes no new sessions")]
    Closed,
    /// Refused with another code.
    #[error("the far end refused: {0}")]
    Refused(u16),
    /// The key agreement came out all zero.
    #[error("a weak key")]
    WeakKey,
    /// The path is below the level the session was born with.
    #[error("the path is less safe than the session")]
    LessSafe,
    /// Who proved to be at the path's far end is not who the session was born with.
    #[error("the far end of the path is not the one the session began with")]
    OtherPeer,
}

fn agree(ours: &Terms, theirs: &Terms, credentials: Credentials) -> Agreed {
    Agreed {
        role: credentials.role,
        id: credentials.id,
        grace: ours.grace.min(theirs.grace),
        peer_receive_window: theirs.receive_window,
        receive_window: ours.receive_window,
        // A session begins with a stream, whatever a peer says.
        max_streams: ours.max_streams.min(theirs.max_streams).max(1),
        remote: theirs.facts,
        path: FIRST_PATH,
        credentials,
    }
}
