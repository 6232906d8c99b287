//! The dialler's states.

use super::keys::{Credentials, Entropy, Exchange, Key, LEN, Transcript, hash_hellos};
use super::message::{Kind, Terms, begin, carrying, expect, framed, open, put_path};
use super::{Agreed, FIRST_PATH, HandshakeError, MAX_COOKIE, Offer, agree};
use crate::label::matching::PathFacts;
use crate::proto::codec::Put;
use crate::proto::session::frame::facts;
use crate::proto::session::{PathId, Role, SessionId};

/// A hello is out; a reply or a request for a cookie comes next.
#[derive(Debug)]
pub struct DialHello {
    exchange: Exchange,
    terms: Terms,
    offer: Offer,
    /// The hello as sent last, without its length.
    hello: Vec<u8>,
    cookie_given: bool,
}

/// The reply is in and the confirmation out; the listener's own comes next.
#[derive(Debug)]
pub struct DialConfirm {
    agreed: Agreed,
    transcript: Transcript,
    listener_confirm: Key,
}

/// What to do after a message that answered a hello.
#[derive(Debug)]
pub enum Replied {
    /// Send these bytes and wait for another reply.
    Again(DialHello, Vec<u8>),
    /// Send these bytes and wait for `accepted`.
    Confirm(DialConfirm, Vec<u8>),
}

impl DialHello {
    /// Starts a new session: the state and the first message, framed.
    pub fn new(entropy: Entropy, offer: Offer) -> (Self, Vec<u8>) {
        let exchange = Exchange::new(entropy.part(1));
        let terms = Terms::new(entropy.part(0), exchange.public(), &offer);
        let hello = hello(&terms, &[]);
        let message = framed(&hello);
        let state = Self {
            exchange,
            terms,
            offer,
            hello,
            cookie_given: false,
        };
        (state, message)
    }

    /// Takes the answer: the body without its length.
    ///
    /// # Errors
    /// The far end is no mancom of this version, refused, or sent what makes no sense here; the
    /// attempt is over.
    pub fn reply(mut self, message: &[u8]) -> Result<Replied, HandshakeError> {
        let (kind, mut reader) = open(message)?;
        if kind == Kind::Cookie as u8 && !self.cookie_given {
            let length = usize::from(reader.u8()?);
            if length > MAX_COOKIE {
                return Err(HandshakeError::Malformed);
            }
            self.hello = hello(&self.terms, reader.bytes(length)?);
            self.cookie_given = true;
            let message = framed(&self.hello);
            return Ok(Replied::Again(self, message));
        }
        let mut reader = expect(message, Kind::Reply)?;
        let theirs = Terms::read(&mut reader)?;
        let id = SessionId(reader.array()?);
        let hellos = hash_hellos(&self.hello, message);
        let keys = self.exchange.agree(theirs.public, &hellos)?;
        let transcript = Transcript {
            id,
            path: FIRST_PATH,
            dialler_nonce: self.terms.nonce,
            listener_nonce: theirs.nonce,
            hellos,
            dialler_facts: self.terms.facts,
            listener_facts: theirs.facts,
            exporter: self.offer.exporter.clone(),
        };
        let confirm = carrying(Kind::Confirm, &transcript.prove(&keys.dialler_confirm));
        let credentials = Credentials {
            role: Role::Dialler,
            id,
            hellos,
            security: self.offer.level(),
            peer: self.offer.peer.clone(),
            dialler: keys.dialler_attach,
            listener: keys.listener_attach,
        };
        let state = DialConfirm {
            agreed: agree(&self.terms, &theirs, credentials),
            transcript,
            listener_confirm: keys.listener_confirm,
        };
        Ok(Replied::Confirm(state, confirm))
    }
}

impl DialConfirm {
    /// What the listener may already hold: if the path ends before `accepted`, an attach with these
    /// credentials finds the session, and nothing is made twice.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Takes the listener's confirmation.
    ///
    /// # Errors
    /// As [`DialHello::reply`], `Spliced` when the listener found our confirmation to be of another
    /// connection, and `BadProof` when it does not hold the keys.
    pub fn accepted(self, message: &[u8]) -> Result<Agreed, HandshakeError> {
        let proof = expect(message, Kind::Accepted)?.array()?;
        if self.transcript.verify(&self.listener_confirm, &proof) {
            Ok(self.agreed)
        } else {
            Err(HandshakeError::BadProof)
        }
    }
}

/// An attach is out; the listener's challenge comes next.
#[derive(Debug)]
pub struct DialAttach {
    credentials: Credentials,
    path: PathId,
    nonce: [u8; LEN],
    facts: PathFacts,
    offer: Offer,
}

/// The proof is out; the listener's own comes next. Nothing of the session is sent before it.
#[derive(Debug)]
pub struct DialProof {
    transcript: Transcript,
    listener: Key,
    facts: PathFacts,
}

impl DialAttach {
    /// Starts one more path of a session: the state and the first message, framed.
    ///
    /// Of the offer only the facts, the security level and the exporter count.
    pub fn new(
        entropy: Entropy,
        credentials: &Credentials,
        path: PathId,
        offer: &Offer,
    ) -> (Self, Vec<u8>) {
        let state = Self {
            credentials: credentials.clone(),
            path,
            nonce: entropy.part(0),
            facts: offer.told_facts(),
            offer: offer.clone(),
        };
        let mut body = begin(Kind::Attach);
        put_path(&mut body, credentials.id, path);
        body.put(&state.nonce);
        crate::proto::session::frame::put_facts(&mut body, &state.facts);
        (state, framed(&body))
    }

    /// Takes the challenge; gives the proof to send, framed.
    ///
    /// # Errors
    /// As [`DialHello::reply`]; `LessSafe` when this path is below the session's level, and `OtherPeer`
    /// when it leads to somebody else.
    pub fn challenge(self, message: &[u8]) -> Result<(DialProof, Vec<u8>), HandshakeError> {
        let mut reader = expect(message, Kind::Challenge)?;
        let listener_nonce = reader.array()?;
        let theirs = facts(&mut reader).map_err(|_| HandshakeError::Malformed)?;
        self.credentials.admit(&self.offer)?;
        let transcript = Transcript {
            id: self.credentials.id,
            path: self.path,
            dialler_nonce: self.nonce,
            listener_nonce,
            hellos: self.credentials.hellos,
            dialler_facts: self.facts,
            listener_facts: theirs,
            exporter: self.offer.exporter,
        };
        let proof = carrying(Kind::Proof, &transcript.prove(&self.credentials.dialler));
        let state = DialProof {
            transcript,
            listener: self.credentials.listener.clone(),
            facts: theirs,
        };
        Ok((state, proof))
    }
}

/// An attach with its proof is out; the listener's own comes next.
#[derive(Debug)]
pub struct DialProved {
    transcript: Transcript,
    listener: Key,
}

impl DialProved {
    /// Starts one more path of a session in TLS, in one flight: the state and the message, framed.
    ///
    /// Of the offer only the facts, the security level, the exporter and the peer count.
    ///
    /// # Errors
    /// `LessSafe` when this path is below the session's level or in clear, and `OtherPeer` when it leads
    /// to somebody else.
    pub fn new(
        entropy: Entropy,
        credentials: &Credentials,
        path: PathId,
        offer: &Offer,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        credentials.admit(offer)?;
        if offer.exporter.is_empty() {
            return Err(HandshakeError::LessSafe);
        }
        let transcript = Transcript {
            id: credentials.id,
            path,
            dialler_nonce: entropy.part(0),
            listener_nonce: [0; LEN],
            hellos: credentials.hellos,
            dialler_facts: offer.told_facts(),
            listener_facts: PathFacts::default(),
            exporter: offer.exporter.clone(),
        };
        let mut body = begin(Kind::Proved);
        put_path(&mut body, credentials.id, path);
        body.put(&transcript.dialler_nonce);
        crate::proto::session::frame::put_facts(&mut body, &transcript.dialler_facts);
        body.put(&transcript.prove(&credentials.dialler));
        let listener = credentials.listener.clone();
        Ok((
            Self {
                transcript,
                listener,
            },
            framed(&body),
        ))
    }

    /// Takes the listener's proof; gives the facts of its network on this path.
    ///
    /// # Errors
    /// As [`DialProof::accepted`].
    pub fn accepted(mut self, message: &[u8]) -> Result<PathFacts, HandshakeError> {
        let mut reader = expect(message, Kind::AcceptedAtOnce)?;
        self.transcript.listener_nonce = reader.array()?;
        let theirs = facts(&mut reader).map_err(|_| HandshakeError::Malformed)?;
        self.transcript.listener_facts = theirs;
        let proof = reader.array()?;
        match self.transcript.verify(&self.listener, &proof) {
            true => Ok(theirs),
            false => Err(HandshakeError::BadProof),
        }
    }
}

impl DialProof {
    /// Takes the listener's proof; gives the facts of its network on this path.
    ///
    /// # Errors
    /// `UnknownSession` when it refused ours, `BadProof` when it does not hold the keys: a rogue.
    pub fn accepted(self, message: &[u8]) -> Result<PathFacts, HandshakeError> {
        let proof = expect(message, Kind::Accepted)?.array()?;
        if self.transcript.verify(&self.listener, &proof) {
            Ok(self.facts)
        } else {
            Err(HandshakeError::BadProof)
        }
    }
}

fn hello(terms: &Terms, cookie: &[u8]) -> Vec<u8> {
    let mut body = begin(Kind::Hello);
    terms.put(&mut body);
    body.put_u8(u8::try_from(cookie.len()).expect("a cookie is within its limit"));
    body.put(cookie);
    body
}
