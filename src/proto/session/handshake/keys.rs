//! Secrets: how they are derived, what a proof covers.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use super::{HandshakeError, Offer, Peer, Security, VERSION};
use crate::label::matching::PathFacts;
use crate::proto::codec::Put;
use crate::proto::session::frame::put_facts;
use crate::proto::session::{PathId, Role, SessionId};

/// The length of a proof, a key, a nonce and a hash.
pub(super) const LEN: usize = 32;

pub(super) type Key = Zeroizing<[u8; LEN]>;

/// Fresh randomness from the driver, for one handshake. Zeroed on drop; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Entropy(pub [u8; 96]);

impl Entropy {
    pub(super) fn part(&self, index: usize) -> [u8; LEN] {
        let mut part = [0; LEN];
        part.copy_from_slice(&self.0[index * LEN..][..LEN]);
        part
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// Secrets and names of a session; `Debug` shows no secret; zeroed on drop.
#[derive(Clone)]
pub struct Credentials {
    pub(super) role: Role,
    pub(super) id: SessionId,
    /// SHA-256 over the hello and the reply of the first handshake, lengths included.
    pub(super) hellos: [u8; LEN],
    pub(super) security: Security,
    pub(super) peer: Option<Peer>,
    pub(super) dialler: Key,
    pub(super) listener: Key,
}

impl Credentials {
    /// The session's name on the wire. Not a secret: without the keys it opens nothing.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Which end of the session this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The level the session was born with; paths below it are refused.
    pub fn security(&self) -> Security {
        self.security
    }

    /// Who the far end proved to be when the session was born, if it did; paths to others are refused.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Whether a path that is offered so may be the session's.
    pub(super) fn admit(&self, offer: &Offer) -> Result<(), HandshakeError> {
        if offer.level() < self.security {
            return Err(HandshakeError::LessSafe);
        }
        match (&self.peer, &offer.peer) {
            (Some(born), now) if now.as_ref() != Some(born) => Err(HandshakeError::OtherPeer),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("role", &self.role)
            .field("id", &self.id)
            .field("security", &self.security)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// One side's half of the key agreement.
pub(super) struct Exchange(StaticSecret);

impl Exchange {
    pub(super) fn new(secret: [u8; LEN]) -> Self {
        Self(StaticSecret::from(secret))
    }

    pub(super) fn public(&self) -> [u8; LEN] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The four keys of a session.
    pub(super) fn agree(
        &self,
        theirs: [u8; LEN],
        hellos: &[u8; LEN],
    ) -> Result<Schedule, HandshakeError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(theirs));
        if !shared.was_contributory() {
            return Err(HandshakeError::WeakKey);
        }
        let root = Hkdf::<Sha256>::new(Some(hellos), shared.as_bytes());
        let key = |purpose: &[u8]| {
            let mut key = Key::default();
            root.expand(purpose, key.as_mut_slice())
                .expect("32 bytes are within HKDF's limit");
            key
        };
        Ok(Schedule {
            dialler_confirm: key(b"mancom 1 confirm dialler"),
            listener_confirm: key(b"mancom 1 confirm listener"),
            dialler_attach: key(b"mancom 1 attach dialler"),
            listener_attach: key(b"mancom 1 attach listener"),
        })
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}

/// What the key agreement yields: one key a direction and purpose.
pub(super) struct Schedule {
    pub(super) dialler_confirm: Key,
    pub(super) listener_confirm: Key,
    pub(super) dialler_attach: Key,
    pub(super) listener_attach: Key,
}

/// The hash of the whole first handshake. The lengths keep one message from passing for two.
pub(super) fn hash_hellos(hello: &[u8], reply: &[u8]) -> [u8; LEN] {
    let mut hash = Sha256::new();
    for message in [hello, reply] {
        hash.update((message.len() as u64).to_be_bytes());
        hash.update(message);
    }
    hash.finalize().into()
}

/// What a proof covers, the same for both directions; the keys tell them apart.
#[derive(Debug, Clone)]
pub(super) struct Transcript {
    pub(super) id: SessionId,
    pub(super) path: PathId,
    pub(super) dialler_nonce: [u8; LEN],
    pub(super) listener_nonce: [u8; LEN],
    pub(super) hellos: [u8; LEN],
    pub(super) dialler_facts: PathFacts,
    pub(super) listener_facts: PathFacts,
    /// The TLS exporter that binds the proof to its connection; empty in clear.
    pub(super) exporter: Vec<u8>,
}

impl Transcript {
    fn mac(&self, key: &Key) -> Hmac<Sha256> {
        let mut bytes = Vec::with_capacity(160 + self.exporter.len());
        bytes.put_u16(VERSION);
        bytes.put(&self.id.0);
        bytes.put_u8(self.path.id);
        bytes.put_u32(self.path.epoch);
        bytes.put(&self.dialler_nonce);
        bytes.put(&self.listener_nonce);
        bytes.put(&self.hellos);
        put_facts(&mut bytes, &self.dialler_facts);
        put_facts(&mut bytes, &self.listener_facts);
        bytes.put_u64(self.exporter.len() as u64);
        bytes.put(&self.exporter);
        keyed(key.as_slice()).chain_update(&bytes)
    }

    pub(super) fn prove(&self, key: &Key) -> [u8; LEN] {
        self.mac(key).finalize().into_bytes().into()
    }

    /// In constant time.
    pub(super) fn verify(&self, key: &Key, proof: &[u8; LEN]) -> bool {
        self.mac(key).verify_slice(proof).is_ok()
    }
}

/// The key that stateless cookies are made under.
#[derive(Clone)]
pub struct CookieKey(pub [u8; 32]);

impl CookieKey {
    /// Over the source and the time, so that a cookie serves one source for at most two minutes, and
    /// over the hello, so that it serves one hello.
    pub(super) fn cookie(&self, source: &[u8], minute: u64, hello: &[u8]) -> [u8; LEN] {
        self.mac(source, minute, hello)
            .finalize()
            .into_bytes()
            .into()
    }

    pub(super) fn verify(&self, source: &[u8], minute: u64, hello: &[u8], cookie: &[u8]) -> bool {
        self.mac(source, minute, hello).verify_slice(cookie).is_ok()
    }

    fn mac(&self, source: &[u8], minute: u64, hello: &[u8]) -> Hmac<Sha256> {
        keyed(&self.0)
            .chain_update(minute.to_be_bytes())
            .chain_update((source.len() as u64).to_be_bytes())
            .chain_update(source)
            .chain_update(hello)
    }
}

impl Drop for CookieKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}
