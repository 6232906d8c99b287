//! Packets on the wire. All integers are big-endian.
//!
//! ```text
//! flags u8 | observed u8 | sequence u16
//! [0x10] observed session u32       the peer's session number, as its observer knows it
//! [0x08] session u32                the sender's own session number
//! [0x01] interval u8                sent by nobody; read and ignored
//! [0x02] first message number u8    the number of the first message in this packet
//! [0x04] missed: count-1 u8, then that many message numbers u8
//! messages until the end: length-1 u8, then the bytes
//! ```
//!
//! A field whose value is 0 or whose list is empty is left out, and so is its flag; other flags are
//! tolerated. A packet cut short anywhere is no packet.
//!
//! Between two [guarded](super::Settings#structfield.guarded) ends the flag 0x20 says that both numbers are
//! there as a proof and for nothing else: without them, it is a packet that tells no session.

use std::num::NonZeroU32;

use super::error::ReceiveError;
use crate::proto::codec::{Reader, Short};

const INTERVAL: u8 = 0x01;
const NUMBER: u8 = 0x02;
const MISSED: u8 = 0x04;
const SESSION: u8 = 0x08;
const OBSERVED_SESSION: u8 = 0x10;
const PROOF: u8 = 0x20;

/// A packet received: well-formed, and no more is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// The low 8 bits of the highest sequence that its sender received.
    pub(super) observed: u8,
    pub(super) sequence: u16,
    pub(super) observed_session: Option<NonZeroU32>,
    pub(super) session: Option<NonZeroU32>,
    /// Between guarded ends: they are told as a proof only.
    pub(super) proof: bool,
    /// Of its first message; where it has none, of the next there will be.
    pub(super) number: u8,
    pub(super) missed: &'a [u8],
    /// How many messages it has.
    pub(super) count: usize,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a whole packet.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ReceiveError> {
        Self::read(bytes).map_err(|Short| ReceiveError::Truncated)
    }

    fn read(bytes: &'a [u8]) -> Result<Self, Short> {
        let mut reader = Reader::new(bytes);
        let flags = reader.u8()?;
        let observed = reader.u8()?;
        let sequence = reader.u16()?;
        let mut number = |flag| match flags & flag {
            0 => Ok(None),
            _ => reader.u32().map(NonZeroU32::new),
        };
        let observed_session = number(OBSERVED_SESSION)?;
        let session = number(SESSION)?;
        if flags & INTERVAL != 0 {
            reader.u8()?;
        }
        let number = match flags & NUMBER {
            0 => 0,
            _ => reader.u8()?,
        };
        let missed = match flags & MISSED {
            0 => &[][..],
            _ => {
                let count = usize::from(reader.u8()?) + 1;
                reader.bytes(count)?
            }
        };
        let body = reader.rest();
        let mut count = 0;
        while !reader.rest().is_empty() {
            let length = usize::from(reader.u8()?) + 1;
            reader.bytes(length)?;
            count += 1;
        }
        Ok(Self {
            observed,
            sequence,
            observed_session,
            session,
            proof: flags & PROOF != 0,
            number,
            missed,
            count,
            body,
        })
    }

    /// A packet of the known peer between guarded ends, whose numbers, if told, were found to be right:
    /// what it says without those of a proof.
    pub(super) fn proved(self) -> Result<Self, ReceiveError> {
        if self.session.is_none() || self.observed_session.is_none() {
            return Err(ReceiveError::NoSession);
        }
        let said = |session: Option<NonZeroU32>| session.filter(|_| !self.proof);
        Ok(Self {
            observed_session: said(self.observed_session),
            session: said(self.session),
            ..self
        })
    }

    /// The messages, in their order.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.body;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (message, after) = after.split_at_checked(usize::from(*length) + 1)?;
            rest = after;
            Some(message)
        })
    }
}

/// All of a packet to be sent but its messages and the missed numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) observed: u8,
    pub(super) sequence: u16,
    pub(super) observed_session: Option<NonZeroU32>,
    pub(super) session: Option<NonZeroU32>,
    /// They are told as a proof only.
    pub(super) proof: bool,
    pub(super) number: u8,
    /// How many missed numbers will follow, at most 255.
    pub(super) missed: usize,
}

impl Header {
    /// Bytes of it, and of the missed numbers.
    pub(super) fn length(&self) -> usize {
        let sessions = [self.observed_session, self.session];
        let list = if self.missed > 0 { 1 + self.missed } else { 0 };
        4 + 4 * sessions.iter().flatten().count() + usize::from(self.number != 0) + list
    }

    /// Writes it and the missed numbers; there is room for [`length`](Self::length).
    pub(super) fn write(&self, missed: impl Iterator<Item = u8>, out: &mut Cursor<'_>) {
        let flag = |flag, given| if given { flag } else { 0 };
        let [high, low] = self.sequence.to_be_bytes();
        out.put(&[
            flag(OBSERVED_SESSION, self.observed_session.is_some())
                | flag(SESSION, self.session.is_some())
                | flag(PROOF, self.proof)
                | flag(NUMBER, self.number != 0)
                | flag(MISSED, self.missed > 0),
            self.observed,
            high,
            low,
        ]);
        for session in [self.observed_session, self.session].into_iter().flatten() {
            out.put(&session.get().to_be_bytes());
        }
        if self.number != 0 {
            out.put(&[self.number]);
        }
        if let Some(last) = self.missed.checked_sub(1) {
            out.put(&[last.to_le_bytes()[0]]);
            for number in missed.take(self.missed) {
                out.put(&[number]);
            }
        }
    }
}

/// A place in a buffer whose room was looked at before.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub(super) fn written(&self) -> usize {
        self.at
    }

    /// Whether a message of these bytes still fits.
    pub(super) fn fits(&self, message: &[u8]) -> bool {
        self.buffer.len() - self.at > message.len()
    }

    /// Writes a message of 1 to 256 bytes that fits.
    pub(super) fn put_message(&mut self, message: &[u8]) {
        self.put(&[message.len().wrapping_sub(1).to_le_bytes()[0]]);
        self.put(message);
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.buffer[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }
}
