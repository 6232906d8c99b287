//! The handshake's messages, byte by byte (the table stands in the essay of [`super`]).

use std::time::Duration;

use super::keys::LEN;
use super::{HandshakeError, MAX_MESSAGE, Offer, Security, VERSION};
use crate::label::matching::PathFacts;
use crate::proto::codec::{Put, Reader, Short};
use crate::proto::session::frame::{facts, put_facts};
use crate::proto::session::{MAX_PATHS, PathId, SessionId};

const MAGIC: [u8; 4] = *b"mcom";

/// The kinds of messages, in order of their flights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Cookie = 2,
    Reply = 3,
    Confirm = 4,
    Accepted = 5,
    Attach = 6,
    Challenge = 7,
    Proof = 8,
    Refused = 9,
    Proved = 10,
    AcceptedAtOnce = 11,
}

impl From<Short> for HandshakeError {
    fn from(Short: Short) -> Self {
        Self::Malformed
    }
}

/// Starts a message: magic, version, kind. [`framed`] puts the length before it.
pub(super) fn begin(kind: Kind) -> Vec<u8> {
    let mut body = Vec::with_capacity(160);
    body.put(&MAGIC);
    body.put_u16(VERSION);
    body.put_u8(kind as u8);
    body
}

/// Puts the length before a message.
pub(super) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a message is built within its limit");
    let mut message = Vec::with_capacity(2 + body.len());
    message.put_u16(length);
    message.put(body);
    debug_assert!(message.len() <= MAX_MESSAGE);
    message
}

/// Checks the head of a message and gives its kind byte and the rest.
pub(super) fn open(message: &[u8]) -> Result<(u8, Reader<'_>), HandshakeError> {
    if message.len() + 2 > MAX_MESSAGE {
        return Err(HandshakeError::Malformed);
    }
    let mut reader = Reader::new(message);
    if reader.array() != Ok(MAGIC) {
        return Err(HandshakeError::NotMancom);
    }
    match reader.u16()? {
        VERSION => Ok((reader.u8()?, reader)),
        other => Err(HandshakeError::Version(other)),
    }
}

/// [`open`] for a message that must be of one kind; a refusal is understood anywhere.
pub(super) fn expect(message: &[u8], wanted: Kind) -> Result<Reader<'_>, HandshakeError> {
    let (kind, mut reader) = open(message)?;
    if kind == wanted as u8 {
        Ok(reader)
    } else if kind == Kind::Refused as u8 {
        Err(match reader.u16()? {
            REFUSED_UNKNOWN => HandshakeError::UnknownSession,
            REFUSED_NEW => HandshakeError::Closed,
            REFUSED_LEVEL => HandshakeError::LessSafe,
            REFUSED_PEER => HandshakeError::OtherPeer,
            REFUSED_SPLICED => HandshakeError::Spliced,
            code => HandshakeError::Refused(code),
        })
    } else {
        Err(HandshakeError::Malformed)
    }
}

/// The session is unknown, or the proof bad: one code, so that nobody can ask which.
pub(super) const REFUSED_UNKNOWN: u16 = 1;
/// The proof is right, the path less safe than the session.
pub(super) const REFUSED_LEVEL: u16 = 2;
/// The listener was stopped.
pub(super) const REFUSED_NEW: u16 = 3;

/// The proof is right, and the dialler is not the one the session was born with.
pub(super) const REFUSED_PEER: u16 = 4;
/// The confirmation of a new session does not verify.
pub(super) const REFUSED_SPLICED: u16 = 5;

/// What a listener that takes no new sessions answers to a hello or its confirmation, framed.
pub fn refuse_new() -> Vec<u8> {
    refused(REFUSED_NEW)
}

pub(super) fn refused(code: u16) -> Vec<u8> {
    let mut body = begin(Kind::Refused);
    body.put_u16(code);
    framed(&body)
}

pub(super) fn carrying(kind: Kind, proof: &[u8; LEN]) -> Vec<u8> {
    let mut body = begin(kind);
    body.put(proof);
    framed(&body)
}

/// What both first messages say of a side.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) nonce: [u8; LEN],
    pub(super) public: [u8; LEN],
    pub(super) grace: Duration,
    pub(super) receive_window: u32,
    pub(super) max_streams: u16,
    pub(super) facts: PathFacts,
}

impl Terms {
    pub(super) fn new(nonce: [u8; LEN], public: [u8; LEN], offer: &Offer) -> Self {
        Self {
            nonce,
            public,
            grace: offer.grace,
            receive_window: offer.receive_window,
            max_streams: offer.max_streams,
            facts: offer.told_facts(),
        }
    }

    pub(super) fn put(&self, body: &mut Vec<u8>) {
        body.put(&self.nonce);
        body.put(&self.public);
        body.put_u64(u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX));
        body.put_u32(self.receive_window);
        body.put_u16(self.max_streams);
        put_facts(body, &self.facts);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, HandshakeError> {
        Ok(Self {
            nonce: reader.array()?,
            public: reader.array()?,
            grace: Duration::from_millis(reader.u64()?),
            receive_window: reader.u32()?,
            max_streams: reader.u16()?,
            facts: facts(reader).map_err(|_| HandshakeError::Malformed)?,
        })
    }
}

pub(super) fn put_path(body: &mut Vec<u8>, id: SessionId, path: PathId) {
    body.put(&id.0);
    body.put_u8(path.id);
    body.put_u32(path.epoch);
}

pub(super) fn read_path(reader: &mut Reader<'_>) -> Result<(SessionId, PathId), HandshakeError> {
    let session = SessionId(reader.array()?);
    let id = reader.u8()?;
    let epoch = reader.u32()?;
    if usize::from(id) >= MAX_PATHS {
        return Err(HandshakeError::Malformed);
    }
    Ok((session, PathId { id, epoch }))
}

impl Offer {
    /// What the far end is told of our network.
    pub(super) fn told_facts(&self) -> PathFacts {
        if self.anonymous {
            PathFacts::default()
        } else {
            self.facts
        }
    }

    pub(super) fn level(&self) -> Security {
        self.security
    }
}
