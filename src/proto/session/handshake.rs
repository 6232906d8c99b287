//! The handshake: each state consumes itself.
use super::{PathId, Role, SessionId};
use crate::label::matching::PathFacts;
use std::time::Duration;

/// Each message is a u16 length and that many bytes, at most this in all.
pub const MAX_MESSAGE: usize = 512;

/// How safe a path is; a session refuses paths below the level it was born with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Security {
    Clear,
    Tls,
    TlsMutual,
}

/// What a side asks for in the first handshake.
#[derive(Debug, Clone)]
pub struct Offer {
    pub grace: Duration,
    pub receive_window: u32,
    pub max_streams: u16,
    pub facts: PathFacts,
    pub anonymous: bool,
    pub security: Security,
    pub exporter: Vec<u8>,
}

/// Fresh randomness from the driver, for one handshake.
#[derive(Clone)]
pub struct Entropy(pub [u8; 96]);

/// Secrets and names of a session; `Debug` shows no secret; zeroed on drop.
#[derive(Clone)]
pub struct Credentials {
    _p: (),
}

/// What both sides agreed on.
#[derive(Debug, Clone)]
pub struct Agreed {
    pub role: Role,
    pub id: SessionId,
    pub grace: Duration,
    pub peer_receive_window: u32,
    pub max_streams: u16,
    pub remote: PathFacts,
    pub path: PathId,
    pub credentials: Credentials,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    #[error("the far end does not speak mancom")]
    NotMancom,
    #[error("the far end speaks version {0}, this one {VERSION}")]
    Version(u16),
    #[error("a handshake message cut short or too long")]
    Malformed,
    #[error("a proof that does not verify")]
    BadProof,
    #[error("the far end does not know this session")]
    UnknownSession,
    #[error("the far end refused: {0}")]
    Refused(u16),
    #[error("a weak key")]
    WeakKey,
}
/// The protocol's version.
pub const VERSION: u16 = 1;

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}
impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

// ---- dialler, new session: hello -> (cookie -> hello) -> reply -> confirm -> accepted
#[derive(Debug)]
pub struct DialHello {
    _p: (),
}
#[derive(Debug)]
pub struct DialConfirm {
    _p: (),
}
#[derive(Debug)]
pub enum Replied {
    /// Send these bytes and wait for another reply.
    Again(DialHello, Vec<u8>),
    /// Send these bytes and wait for `accepted`.
    Confirm(DialConfirm, Vec<u8>),
}
impl DialHello {
    /// The first message, framed.
    pub fn new(entropy: Entropy, offer: Offer) -> (Self, Vec<u8>) {
        todo!()
    }
    /// `message`: the body without its length.
    pub fn reply(self, message: &[u8]) -> Result<Replied, HandshakeError> {
        todo!()
    }
}
impl DialConfirm {
    pub fn accepted(self, message: &[u8]) -> Result<Agreed, HandshakeError> {
        todo!()
    }
}

// ---- dialler, one more path: attach -> challenge -> proof -> accepted
#[derive(Debug)]
pub struct DialAttach {
    _p: (),
}
#[derive(Debug)]
pub struct DialProof {
    _p: (),
}
impl DialAttach {
    pub fn new(
        entropy: Entropy,
        credentials: &Credentials,
        path: PathId,
        offer: &Offer,
    ) -> (Self, Vec<u8>) {
        todo!()
    }
    pub fn challenge(self, message: &[u8]) -> Result<(DialProof, Vec<u8>), HandshakeError> {
        todo!()
    }
}
impl DialProof {
    /// The facts of the listener's network on this path.
    pub fn accepted(self, message: &[u8]) -> Result<PathFacts, HandshakeError> {
        todo!()
    }
}

// ---- listener
/// The first message of a fresh connection.
#[derive(Debug)]
pub enum Greeting {
    New(NewHello),
    Attach(AttachHello),
}
#[derive(Debug)]
pub struct NewHello {
    _p: (),
}
#[derive(Debug)]
pub struct AttachHello {
    _p: (),
}
#[derive(Debug)]
pub struct AwaitConfirm {
    _p: (),
}
#[derive(Debug)]
pub struct AwaitProof {
    _p: (),
}
impl Greeting {
    pub fn parse(message: &[u8]) -> Result<Self, HandshakeError> {
        todo!()
    }
}
/// The key and time that stateless cookies are made under.
#[derive(Clone)]
pub struct CookieKey(pub [u8; 32]);
impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieKey")
    }
}
impl NewHello {
    /// Whether it carries a cookie this key made for this source within its lifetime (`minute` is a coarse clock).
    pub fn has_cookie(&self, key: &CookieKey, source: &[u8], minute: u64) -> bool {
        todo!()
    }
    /// The stateless answer that asks for one.
    pub fn ask_cookie(&self, key: &CookieKey, source: &[u8], minute: u64) -> Vec<u8> {
        todo!()
    }
    pub fn reply(
        self,
        entropy: Entropy,
        offer: Offer,
    ) -> Result<(AwaitConfirm, Vec<u8>), HandshakeError> {
        todo!()
    }
}
impl AwaitConfirm {
    /// What an attach may already name: the session exists from the reply on, though nobody is shown it.
    pub fn agreed(&self) -> &Agreed {
        todo!()
    }
    pub fn confirm(self, message: &[u8]) -> Result<(Agreed, Vec<u8>), HandshakeError> {
        todo!()
    }
}
impl AttachHello {
    pub fn session(&self) -> SessionId {
        todo!()
    }
    pub fn path(&self) -> PathId {
        todo!()
    }
    /// `None` for an unknown session: the same form, the same work; `proof` then always fails.
    pub fn challenge(
        self,
        entropy: Entropy,
        credentials: Option<&Credentials>,
        offer: Offer,
    ) -> (AwaitProof, Vec<u8>) {
        todo!()
    }
}
impl AwaitProof {
    /// The dialler's facts and the framed `accepted`, or the framed refusal beside the error.
    pub fn proof(self, message: &[u8]) -> Result<(PathFacts, Vec<u8>), (HandshakeError, Vec<u8>)> {
        todo!()
    }
}
