//! The listener's states.

use super::keys::{
    CookieKey, Credentials, Entropy, Exchange, Key, LEN, Schedule, Transcript, hash_hellos,
};
use super::message::{
    Kind, REFUSED_LEVEL, REFUSED_PEER, REFUSED_SPLICED, REFUSED_UNKNOWN, Terms, begin, carrying,
    expect, framed, open, read_path, refused,
};
use super::{Agreed, FIRST_PATH, HandshakeError, MAX_COOKIE, Offer, agree};
use crate::label::matching::PathFacts;
use crate::proto::codec::{Put, Reader};
use crate::proto::session::frame::{facts, put_facts};
use crate::proto::session::{PathId, Role, SessionId};

/// The first message of a fresh connection.
#[derive(Debug)]
pub enum Greeting {
    /// Somebody wants a new session.
    New(NewHello),
    /// Somebody says a session is theirs.
    Attach(AttachHello),
    /// Somebody proves that, on a path in TLS.
    Proved(ProvedHello),
}

impl Greeting {
    /// Reads the body of a first message, without its length.
    ///
    /// # Errors
    /// `NotMancom`, `Version` or `Malformed`: close the connection, and answer nothing.
    pub fn parse(message: &[u8]) -> Result<Self, HandshakeError> {
        let (kind, mut reader) = open(message)?;
        if kind == Kind::Hello as u8 {
            let terms = Terms::read(&mut reader)?;
            let length = usize::from(reader.u8()?);
            if length > MAX_COOKIE {
                return Err(HandshakeError::Malformed);
            }
            Ok(Self::New(NewHello {
                terms,
                cookie: reader.bytes(length)?.to_vec(),
                hello: message.to_vec(),
            }))
        } else if kind == Kind::Attach as u8 {
            Ok(Self::Attach(AttachHello::read(&mut reader)?))
        } else if kind == Kind::Proved as u8 {
            let hello = AttachHello::read(&mut reader)?;
            let proof = reader.array()?;
            Ok(Self::Proved(ProvedHello { hello, proof }))
        } else {
            Err(HandshakeError::Malformed)
        }
    }
}

/// A dialler's hello.
#[derive(Debug)]
pub struct NewHello {
    terms: Terms,
    cookie: Vec<u8>,
    /// As received, for the hash of both hellos.
    hello: Vec<u8>,
}

impl NewHello {
    /// Whether it carries a cookie this key made for this source within its lifetime: `minute` is a
    /// coarse clock that counts in steps of that lifetime; a cookie serves in the next step as well.
    pub fn has_cookie(&self, key: &CookieKey, source: &[u8], minute: u64) -> bool {
        let mut times = [Some(minute), minute.checked_sub(1)].into_iter().flatten();
        times.any(|time| key.verify(source, time, &self.bound(), &self.cookie))
    }

    /// The stateless answer that asks for one, framed.
    pub fn ask_cookie(&self, key: &CookieKey, source: &[u8], minute: u64) -> Vec<u8> {
        let mut body = begin(Kind::Cookie);
        body.put_u8(LEN as u8);
        body.put(&key.cookie(source, minute, &self.bound()));
        framed(&body)
    }

    /// What of the hello a cookie is made over.
    fn bound(&self) -> [u8; 2 * LEN] {
        let mut bound = [0; 2 * LEN];
        bound[..LEN].copy_from_slice(&self.terms.nonce);
        bound[LEN..].copy_from_slice(&self.terms.public);
        bound
    }

    /// Makes the session's id and keys; gives the reply to send, framed.
    ///
    /// # Errors
    /// `WeakKey` when the dialler's public key is one of the few that agree on nothing.
    pub fn reply(
        self,
        entropy: Entropy,
        offer: Offer,
    ) -> Result<(AwaitConfirm, Vec<u8>), HandshakeError> {
        let exchange = Exchange::new(entropy.part(1));
        let ours = Terms::new(entropy.part(0), exchange.public(), &offer);
        let mut id = SessionId([0; 16]);
        id.0.copy_from_slice(&entropy.part(2)[..16]);

        let mut reply = begin(Kind::Reply);
        ours.put(&mut reply);
        reply.put(&id.0);

        let hellos = hash_hellos(&self.hello, &reply);
        let keys = exchange.agree(self.terms.public, &hellos)?;
        let transcript = Transcript {
            id,
            path: FIRST_PATH,
            dialler_nonce: self.terms.nonce,
            listener_nonce: ours.nonce,
            hellos,
            dialler_facts: self.terms.facts,
            listener_facts: ours.facts,
            exporter: offer.exporter.clone(),
        };
        let Schedule {
            dialler_confirm,
            listener_confirm,
            dialler_attach,
            listener_attach,
        } = keys;
        let credentials = Credentials {
            role: Role::Listener,
            id,
            hellos,
            security: offer.level(),
            peer: offer.peer.clone(),
            dialler: dialler_attach,
            listener: listener_attach,
        };
        let state = AwaitConfirm {
            agreed: agree(&ours, &self.terms, credentials),
            transcript,
            dialler_confirm,
            listener_confirm,
        };
        Ok((state, framed(&reply)))
    }
}

/// Why a confirmation is none, and what is answered.
type Unconfirmed = (HandshakeError, Option<Vec<u8>>);

/// The reply is out; the dialler's confirmation comes next.
#[derive(Debug)]
pub struct AwaitConfirm {
    agreed: Agreed,
    transcript: Transcript,
    dialler_confirm: Key,
    listener_confirm: Key,
}

impl AwaitConfirm {
    /// What an attach may already name: the session exists from the reply on, though nobody is shown
    /// it.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Takes the confirmation; gives the framed `accepted` to send.
    ///
    /// # Errors
    /// `Spliced`, with the framed refusal to send, when the dialler does not hold the keys, or not of this
    /// connection; `Malformed` and its like, which are not answered.
    pub fn confirm(self, message: &[u8]) -> Result<(Agreed, Vec<u8>), Unconfirmed> {
        let unanswered = |error| (error, None);
        let mut reader = expect(message, Kind::Confirm).map_err(unanswered)?;
        let proof = (reader.array()).map_err(|short| unanswered(short.into()))?;
        if !self.transcript.verify(&self.dialler_confirm, &proof) {
            return Err((HandshakeError::Spliced, Some(refused(REFUSED_SPLICED))));
        }
        let accepted = carrying(
            Kind::Accepted,
            &self.transcript.prove(&self.listener_confirm),
        );
        Ok((self.agreed, accepted))
    }
}

/// A dialler's claim to a session.
#[derive(Debug)]
pub struct AttachHello {
    session: SessionId,
    path: PathId,
    nonce: [u8; LEN],
    facts: PathFacts,
}

impl AttachHello {
    fn read(reader: &mut Reader<'_>) -> Result<Self, HandshakeError> {
        let (session, path) = read_path(reader)?;
        Ok(Self {
            session,
            path,
            nonce: reader.array()?,
            facts: facts(reader).map_err(|_| HandshakeError::Malformed)?,
        })
    }

    /// The session it names.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The path, and the epoch it is to begin.
    pub fn path(&self) -> PathId {
        self.path
    }

    /// Gives the challenge to send, framed.
    ///
    /// `None` for an unknown session: the same form and the same work, under keys made of `entropy`
    /// that nobody holds; [`AwaitProof::proof`] then always fails.
    pub fn challenge(
        self,
        entropy: Entropy,
        credentials: Option<&Credentials>,
        offer: Offer,
    ) -> (AwaitProof, Vec<u8>) {
        let told = offer.told_facts();
        let state = self.awaiting(&entropy, credentials, &offer, entropy.part(0), told);
        let mut body = begin(Kind::Challenge);
        body.put(&state.transcript.listener_nonce);
        put_facts(&mut body, &told);
        (state, framed(&body))
    }

    fn awaiting(
        self,
        entropy: &Entropy,
        credentials: Option<&Credentials>,
        offer: &Offer,
        listener_nonce: [u8; LEN],
        listener_facts: PathFacts,
    ) -> AwaitProof {
        let known = credentials.is_some_and(|credentials| credentials.id == self.session);
        let (dialler, listener, hellos, admitted) = match credentials {
            Some(c) => {
                let admitted = c.admit(offer);
                (c.dialler.clone(), c.listener.clone(), c.hellos, admitted)
            }
            None => (
                Key::new(entropy.part(1)),
                Key::new(entropy.part(2)),
                [0; LEN],
                Ok(()),
            ),
        };
        let transcript = Transcript {
            id: self.session,
            path: self.path,
            dialler_nonce: self.nonce,
            listener_nonce,
            hellos,
            dialler_facts: self.facts,
            listener_facts,
            exporter: offer.exporter.clone(),
        };
        AwaitProof {
            transcript,
            dialler,
            listener,
            known,
            admitted,
        }
    }
}

/// A dialler's claim to a session, and its proof.
#[derive(Debug)]
pub struct ProvedHello {
    hello: AttachHello,
    proof: [u8; LEN],
}

impl ProvedHello {
    /// The session it names.
    pub fn session(&self) -> SessionId {
        self.hello.session
    }

    /// The path, and the epoch it is to begin.
    pub fn path(&self) -> PathId {
        self.hello.path
    }

    /// Judges it: the dialler's facts and the framed answer to send. `None` for an unknown session, as of
    /// [`AttachHello::challenge`].
    ///
    /// # Errors
    /// As [`AwaitProof::proof`]; on a path in clear, where it is as good as a recording, `BadProof`.
    pub fn answer(
        self,
        entropy: Entropy,
        credentials: Option<&Credentials>,
        offer: &Offer,
    ) -> Result<(PathFacts, Vec<u8>), (HandshakeError, Vec<u8>)> {
        let unknown = PathFacts::default();
        let fresh = !offer.exporter.is_empty();
        let mut state = (self.hello).awaiting(&entropy, credentials, offer, [0; LEN], unknown);
        state.known &= fresh;
        state.judge(&self.proof)?;
        let (nonce, told) = (entropy.part(0), offer.told_facts());
        state.transcript.listener_nonce = nonce;
        state.transcript.listener_facts = told;
        let mut body = begin(Kind::AcceptedAtOnce);
        body.put(&nonce);
        put_facts(&mut body, &told);
        body.put(&state.transcript.prove(&state.listener));
        Ok((state.transcript.dialler_facts, framed(&body)))
    }
}

/// The challenge is out; the dialler's proof comes next.
#[derive(Debug)]
pub struct AwaitProof {
    transcript: Transcript,
    dialler: Key,
    listener: Key,
    known: bool,
    /// Whether the path is as safe as the session, and its dialler the session's.
    admitted: Result<(), HandshakeError>,
}

impl AwaitProof {
    /// Takes the proof: the dialler's facts and the framed `accepted` to send.
    ///
    /// # Errors
    /// The error and the framed refusal to send. An unknown session and a bad proof are one error and
    /// one code; that a path is less safe than its session, or somebody else's, is told only to who
    /// proved the session.
    pub fn proof(self, message: &[u8]) -> Result<(PathFacts, Vec<u8>), (HandshakeError, Vec<u8>)> {
        let bad = |error| Err((error, refused(REFUSED_UNKNOWN)));
        let proof = match expect(message, Kind::Proof).map(|mut reader| reader.array()) {
            Ok(Ok(proof)) => proof,
            Ok(Err(short)) => return bad(short.into()),
            Err(error) => return bad(error),
        };
        self.judge(&proof)?;
        let accepted = carrying(Kind::Accepted, &self.transcript.prove(&self.listener));
        Ok((self.transcript.dialler_facts, accepted))
    }

    fn judge(&self, proof: &[u8; LEN]) -> Result<(), (HandshakeError, Vec<u8>)> {
        // Both are worked out before either is looked at: an unknown session takes as long.
        let verified = self.transcript.verify(&self.dialler, proof);
        if !(verified & self.known) {
            return Err((HandshakeError::BadProof, refused(REFUSED_UNKNOWN)));
        }
        if let Err(error) = &self.admitted {
            let code = match error {
                HandshakeError::OtherPeer => REFUSED_PEER,
                _ => REFUSED_LEVEL,
            };
            return Err((error.clone(), refused(code)));
        }
        Ok(())
    }
}
