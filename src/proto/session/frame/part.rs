//! What stands before the payload of a part of a message.

use super::{FIRST_BODY, HEADER, Head, MAX_HEAD, MAX_NAMED, MAX_PAYLOAD, PART_HEADER, begin, kind};
use crate::proto::codec::{Put, Reader, Short};
use crate::proto::session::ProtocolError;

/// Bits of a message's flags.
mod flag {
    pub(super) const WAITING: u8 = 1;
    pub(super) const BELOW: u8 = 2;
}

/// What stands before the payload of a part of a message, its head or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::session) struct PartHeader {
    pub(in crate::proto::session) waiting: bool,
    pub(in crate::proto::session) label: u8,
    pub(in crate::proto::session) seq: u64,
    /// Of the whole message.
    pub(in crate::proto::session) length: u32,
    pub(in crate::proto::session) offset: u32,
    pub(in crate::proto::session) payload: u32,
}

impl PartHeader {
    fn put(&self, out: &mut Vec<u8>, extra: u8) {
        out.put_u8(extra | if self.waiting { flag::WAITING } else { 0 });
        out.put_u8(self.label);
        out.put_u64(self.seq);
        out.put_u32(self.length);
    }

    /// The frame up to its payload, of a part that is not the head.
    pub(in crate::proto::session) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PART_HEADER);
        let body = PART_HEADER - HEADER + self.payload as usize;
        begin(&mut out, kind::MSG, body);
        self.put(&mut out, 0);
        out.put_u32(self.offset);
        out
    }

    /// The same of the head.
    pub(in crate::proto::session) fn encode_first(
        &self,
        id: u64,
        below: u64,
        after: &[u64],
    ) -> Vec<u8> {
        let extra = FIRST_BODY + 8 * usize::from(below > 0) + 8 * after.len();
        let mut out = Vec::with_capacity(HEADER + extra);
        begin(&mut out, kind::MSG_FIRST, extra + self.payload as usize);
        self.put(&mut out, if below > 0 { flag::BELOW } else { 0 });
        out.put_u64(id);
        out.put_u8(after.len() as u8);
        if below > 0 {
            out.put_u64(below);
        }
        for seq in after {
            out.put_u64(*seq);
        }
        out
    }

    fn decode(reader: &mut Reader<'_>) -> Result<(Self, u8), Short> {
        let flags = reader.u8()?;
        let (label, seq, length) = (reader.u8()?, reader.u64()?, reader.u32()?);
        let part = Self {
            waiting: flags & flag::WAITING != 0,
            label,
            seq,
            length,
            offset: 0,
            payload: 0,
        };
        Ok((part, flags))
    }
}

/// Reads what a head says beyond what every part does, from the frame that [`head`] found: its id, the
/// number below which it comes after all, and those it names.
pub(in crate::proto::session) fn first(
    frame: &[u8],
) -> Result<(u64, u64, Vec<u64>), ProtocolError> {
    let mut reader = Reader::new(frame.get(HEADER..).unwrap_or_default());
    let (_, flags) = PartHeader::decode(&mut reader)?;
    let (id, count) = (reader.u64()?, reader.u8()?);
    let below = match flags & flag::BELOW {
        0 => 0,
        _ => reader.u64()?,
    };
    let after: Result<Vec<u64>, Short> = (0..count).map(|_| reader.u64()).collect();
    Ok((id, below, after?))
}

/// Looks at a frame with a part of a message.
pub(super) fn part(input: &[u8], frame: u8, length: usize) -> Result<Head, ProtocolError> {
    let fixed = match frame {
        kind::MSG => PART_HEADER - HEADER,
        _ => FIRST_BODY,
    };
    if length > MAX_HEAD + MAX_PAYLOAD {
        return Err(ProtocolError::FrameTooLong);
    }
    if length < fixed {
        return Err(ProtocolError::Malformed);
    }
    let Some(body) = input.get(HEADER..HEADER + fixed) else {
        return Ok(Head::Need(HEADER + fixed));
    };
    let mut reader = Reader::new(body);
    let (mut part, flags) = PartHeader::decode(&mut reader)?;
    let mut before = fixed;
    if frame == kind::MSG {
        part.offset = reader.u32()?;
    } else {
        let _id = reader.u64()?;
        let count = usize::from(reader.u8()?);
        if count > MAX_NAMED {
            return Err(ProtocolError::Malformed);
        }
        before += 8 * count + 8 * usize::from(flags & flag::BELOW != 0);
    }
    let payload = length.checked_sub(before);
    let payload = payload.ok_or(ProtocolError::Malformed)?;
    if payload > MAX_PAYLOAD {
        return Err(ProtocolError::FrameTooLong);
    }
    if input.len() < HEADER + before {
        return Ok(Head::Need(HEADER + before));
    }
    part.payload = payload as u32;
    Ok(Head::Part(part, HEADER + before, frame == kind::MSG_FIRST))
}
