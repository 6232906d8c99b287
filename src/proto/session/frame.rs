//! Frames, byte by byte: what is on the wire after the handshake.
//!
//! A frame is `kind u8 | length u24 | body`, the length that of the body, integers big-endian. A kind
//! with the bit `0x80` may be skipped by who does not know it; any other unknown kind ends the path. A
//! length over the kind's limit ends the path before anything is reserved for it.
//!
//! | kind | name | body | limit |
//! | --- | --- | --- | --- |
//! | 01 | DATA | label u8, stream u24, offset u64, payload | 12 + [`MAX_PAYLOAD`] |
//! | 02 | DATA, and the sender waits | the same; to be acknowledged at once | the same |
//! | 03 | OPEN | stream u24, label u8 | [`MAX_CONTROL`], as all below |
//! | 04 | FIN | stream u24, final offset u64 | |
//! | 05 | RESET | stream u24, flags u8, code u32 | |
//! | 06 | RESET_ACK | stream u24 | |
//! | 07 | STOP | stream u24, code u32 | |
//! | 08 | GONE | stream u24 | |
//! | 09 | ACK | stream u24, offset u64, count u8 (0 to 8), count times start u64, end u64 | |
//! | 0a | CREDIT | stream u24, highest offset u64 | |
//! | 10 | LABEL | number u8 (0 to 63), text in UTF-8 | |
//! | 11 | FACTS | kinds u8, metered u8, roaming u8, constrained u8 | |
//! | 12, 13 | PING, PONG | token u64 | |
//! | 14 | RESUME | | |
//! | 15 | RETIRE | | |
//! | 16 | CLOSE | code u32 | |
//! | 17 | CLOSED | | |
//! | 18 | LOST | path u8, epoch u32: its network went | |
//! | 20 | MSG | flags u8, label u8, number u64, length u32, offset u32, payload | 18 + [`MAX_PAYLOAD`] |
//! | 21 | MSG, its head | flags u8, label u8, number u64, length u32, id u64, count u8 (0 to 64), with flag 2 below u64, count times number u64, payload | [`MAX_HEAD`] + [`MAX_PAYLOAD`] |
//! | 22 | MSG_ACK | all below u64, count u8 (0 to 62), count times from u64, to u64 | [`MAX_CONTROL`], as all below |
//! | 23 | MSG_HAVE | number u64, units u64, count u8 (0 to 8), count times from u64, to u64 | |
//! | 24 | MSG_CREDIT | urgency u8, highest u64 | |
//! | 25 | WITHDRAW | number u64, urgency u8, charged u64 | |
//! | 26 | WITHDRAWN | number u64 | |
//! | 27 | FORGET | number u64 | |
//! | 28 to 2f | reserved for messages | | |
//! | 81 | ADDRESSES | up to 8 times IPv6 address (IPv4 mapped) 16 bytes, port u16 | |
//!
//! The flags of a message: 1 to be acknowledged at once, 2 it comes after all of a number below. What
//! the rest means stands in [`messages`](super::messages).
//!
//! So the header of a data frame is 16 bytes. Bytes of a control frame after its last field are
//! ignored. A set of kinds has bit n for the n-th of ethernet, wifi, bluetooth, cellular, satellite,
//! vpn, loopback, other; a fact is 0 no, 1 likely no, 2 unknown, 3 likely yes, 4 yes.

use std::net::SocketAddr;

use super::{PathId, ProtocolError, StreamId, addresses};
use crate::label::matching::PathFacts;
use crate::network::{Fact, Kinds};
use crate::proto::codec::{Put, Reader, Short};

/// Bytes of a data frame before its payload.
pub const DATA_HEADER: usize = 16;
/// Bytes of any frame before its body.
pub const HEADER: usize = 4;
/// The most payload one data frame may carry, whatever a peer's configuration.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// The longest body of any other frame.
pub const MAX_CONTROL: usize = 1024;
/// Ranges one acknowledgement reports beyond the contiguous offset.
pub const MAX_SACKS: usize = 8;
/// Numbers of labels alive in one direction of one path.
pub const MAX_LABELS: usize = 64;

/// Bytes of a frame with a later part of a message before its payload.
pub const PART_HEADER: usize = HEADER + 18;
/// Messages that a message names of those it comes after; if it comes after more, it says of a number
/// that it comes after all below.
pub const MAX_NAMED: usize = 64;
/// The longest body of a frame with the head of a message, payload apart.
pub const MAX_HEAD: usize = FIRST_BODY + 8 + 8 * MAX_NAMED;
/// Ranges of messages that one acknowledgement tells.
pub const MAX_CLOSED: usize = 62;

/// The body of a frame with the head of a message up to what it comes after.
const FIRST_BODY: usize = 23;
/// What a data frame's length says beyond its payload.
const DATA_BODY: usize = DATA_HEADER - HEADER;
/// Frames of an unknown kind with this bit are skipped.
const SKIPPABLE: u8 = 0x80;

pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x01;
    pub(crate) const DATA_WAITING: u8 = 0x02;
    pub(crate) const OPEN: u8 = 0x03;
    pub(crate) const FIN: u8 = 0x04;
    pub(crate) const RESET: u8 = 0x05;
    pub(crate) const RESET_ACK: u8 = 0x06;
    pub(crate) const STOP: u8 = 0x07;
    pub(crate) const GONE: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x09;
    pub(crate) const CREDIT: u8 = 0x0a;
    pub(crate) const MSG: u8 = 0x20;
    pub(crate) const MSG_FIRST: u8 = 0x21;
    pub(crate) const MSG_ACK: u8 = 0x22;
    pub(crate) const MSG_HAVE: u8 = 0x23;
    pub(crate) const MSG_CREDIT: u8 = 0x24;
    pub(crate) const WITHDRAW: u8 = 0x25;
    pub(crate) const WITHDRAWN: u8 = 0x26;
    pub(crate) const FORGET: u8 = 0x27;
    pub(crate) const LABEL: u8 = 0x10;
    pub(crate) const FACTS: u8 = 0x11;
    pub(crate) const PING: u8 = 0x12;
    pub(crate) const PONG: u8 = 0x13;
    pub(crate) const RESUME: u8 = 0x14;
    pub(crate) const RETIRE: u8 = 0x15;
    pub(crate) const CLOSE: u8 = 0x16;
    pub(crate) const CLOSED: u8 = 0x17;
    pub(crate) const LOST: u8 = 0x18;
    pub(crate) const ADDRESSES: u8 = 0x81;
}

/// The header of a data frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DataHeader {
    pub(super) waiting: bool,
    pub(super) label: u8,
    pub(super) stream: StreamId,
    pub(super) offset: u64,
    pub(super) payload: u32,
}

impl DataHeader {
    pub(super) fn encode(&self) -> [u8; DATA_HEADER] {
        let mut out = [0; DATA_HEADER];
        let length = (self.payload + DATA_BODY as u32).to_be_bytes();
        out[0] = if self.waiting {
            kind::DATA_WAITING
        } else {
            kind::DATA
        };
        out[1..4].copy_from_slice(&length[1..]);
        out[4] = self.label;
        out[5..8].copy_from_slice(&self.stream.0.to_be_bytes()[1..]);
        out[8..].copy_from_slice(&self.offset.to_be_bytes());
        out
    }

    fn decode(header: &[u8; DATA_HEADER], waiting: bool, payload: u32) -> Self {
        let [_, _, _, _, label, s0, s1, s2, offset @ ..] = *header;
        Self {
            waiting,
            label,
            stream: StreamId(u32::from_be_bytes([0, s0, s1, s2])),
            offset: u64::from_be_bytes(offset),
            payload,
        }
    }
}

/// Bits of a message's flags.
mod flag {
    pub(super) const WAITING: u8 = 1;
    pub(super) const BELOW: u8 = 2;
}

/// What stands before the payload of a part of a message, its head or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartHeader {
    pub(super) waiting: bool,
    pub(super) label: u8,
    pub(super) seq: u64,
    /// Of the whole message.
    pub(super) length: u32,
    pub(super) offset: u32,
    pub(super) payload: u32,
}

impl PartHeader {
    fn put(&self, out: &mut Vec<u8>, extra: u8) {
        out.put_u8(extra | if self.waiting { flag::WAITING } else { 0 });
        out.put_u8(self.label);
        out.put_u64(self.seq);
        out.put_u32(self.length);
    }

    /// The frame up to its payload, of a part that is not the head.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PART_HEADER);
        let body = PART_HEADER - HEADER + self.payload as usize;
        begin(&mut out, kind::MSG, body);
        self.put(&mut out, 0);
        out.put_u32(self.offset);
        out
    }

    /// The same of the head.
    pub(super) fn encode_first(&self, id: u64, below: u64, after: &[u64]) -> Vec<u8> {
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
pub(super) fn first(frame: &[u8]) -> Result<(u64, u64, Vec<u64>), ProtocolError> {
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
fn part(input: &[u8], frame: u8, length: usize) -> Result<Head, ProtocolError> {
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

/// What stands at the front of some input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// This many bytes from the start of the frame are needed to say more.
    Need(usize),
    /// A data frame; its payload follows the 16 bytes of its header.
    Data(DataHeader),
    /// A part of a message: its payload follows so many bytes, which say more if it is the head.
    Part(PartHeader, usize, bool),
    /// A whole control frame of this kind; its body is the bytes from [`HEADER`] to this end.
    Control(u8, usize),
    /// A frame to be skipped: so many bytes of body follow the 4 of its header.
    Skip(u32),
}

/// Looks at the front of `input`, which begins with a frame.
#[inline]
pub(super) fn head(input: &[u8]) -> Result<Head, ProtocolError> {
    let Some(&[frame, l0, l1, l2]) = input.first_chunk::<HEADER>() else {
        return Ok(Head::Need(HEADER));
    };
    let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    match frame {
        kind::DATA | kind::DATA_WAITING => {
            if length > DATA_BODY + MAX_PAYLOAD {
                return Err(ProtocolError::FrameTooLong);
            }
            if length < DATA_BODY {
                return Err(ProtocolError::Malformed);
            }
            let Some(header) = input.first_chunk::<DATA_HEADER>() else {
                return Ok(Head::Need(DATA_HEADER));
            };
            let payload = (length - DATA_BODY) as u32;
            Ok(Head::Data(DataHeader::decode(
                header,
                frame == kind::DATA_WAITING,
                payload,
            )))
        }
        kind::MSG | kind::MSG_FIRST => part(input, frame, length),
        kind::OPEN..=kind::CREDIT | kind::LABEL..=kind::LOST | kind::MSG_ACK..=kind::FORGET => {
            if length > MAX_CONTROL {
                return Err(ProtocolError::FrameTooLong);
            }
            let end = HEADER + length;
            if input.len() < end {
                return Ok(Head::Need(end));
            }
            Ok(Head::Control(frame, end))
        }
        kind::ADDRESSES if length <= MAX_CONTROL => match input.len() < HEADER + length {
            true => Ok(Head::Need(HEADER + length)),
            false => Ok(Head::Control(frame, HEADER + length)),
        },
        _ if frame & SKIPPABLE != 0 => {
            if length > DATA_BODY + MAX_PAYLOAD {
                return Err(ProtocolError::FrameTooLong);
            }
            Ok(Head::Skip(length as u32))
        }
        _ => Err(ProtocolError::UnknownFrame(frame)),
    }
}

/// A control frame received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control<'a> {
    Open {
        stream: StreamId,
        label: u8,
    },
    Fin {
        stream: StreamId,
        end: u64,
    },
    Reset {
        stream: StreamId,
        both: bool,
        code: u32,
    },
    ResetAck {
        stream: StreamId,
    },
    Stop {
        stream: StreamId,
        code: u32,
    },
    Gone {
        stream: StreamId,
    },
    Ack {
        stream: StreamId,
        offset: u64,
        sacks: Sacks<'a>,
    },
    Credit {
        stream: StreamId,
        highest: u64,
    },
    Label {
        number: u8,
        text: &'a [u8],
    },
    MsgAck {
        watermark: u64,
        ranges: Sacks<'a>,
    },
    MsgHave {
        seq: u64,
        units: u64,
        ranges: Sacks<'a>,
    },
    MsgCredit {
        urgency: u8,
        highest: u64,
    },
    Withdraw {
        seq: u64,
        urgency: u8,
        charge: u64,
    },
    Withdrawn(u64),
    Forget(u64),
    Facts(PathFacts),
    Ping(u64),
    Pong(u64),
    Resume,
    Retire,
    Close(u32),
    Closed,
    Lost(PathId),
    Addresses(&'a [u8]),
}

/// The ranges of an acknowledgement, as received.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Sacks<'a>(&'a [u8]);

impl Sacks<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + Clone + '_ {
        self.0.chunks_exact(16).map(|range| {
            let mut reader = Reader::new(range);
            let mut next = || reader.u64().expect("a range is 16 bytes");
            (next(), next())
        })
    }
}

impl From<Short> for ProtocolError {
    fn from(Short: Short) -> Self {
        Self::Malformed
    }
}

/// Reads a control frame that [`head`] found whole.
pub(super) fn control(frame: u8, body: &[u8]) -> Result<Control<'_>, ProtocolError> {
    let mut reader = Reader::new(body);
    let mut stream = || reader.u24().map(StreamId);
    Ok(match frame {
        kind::OPEN => Control::Open {
            stream: stream()?,
            label: reader.u8()?,
        },
        kind::FIN => Control::Fin {
            stream: stream()?,
            end: reader.u64()?,
        },
        kind::RESET => Control::Reset {
            stream: stream()?,
            both: reader.u8()? & 1 != 0,
            code: reader.u32()?,
        },
        kind::RESET_ACK => Control::ResetAck { stream: stream()? },
        kind::STOP => Control::Stop {
            stream: stream()?,
            code: reader.u32()?,
        },
        kind::GONE => Control::Gone { stream: stream()? },
        kind::ACK => {
            let stream = stream()?;
            let offset = reader.u64()?;
            let count = usize::from(reader.u8()?);
            if count > MAX_SACKS {
                return Err(ProtocolError::Malformed);
            }
            let sacks = Sacks(reader.bytes(count * 16)?);
            Control::Ack {
                stream,
                offset,
                sacks,
            }
        }
        kind::CREDIT => Control::Credit {
            stream: stream()?,
            highest: reader.u64()?,
        },
        kind::LABEL => {
            let number = reader.u8()?;
            if usize::from(number) >= MAX_LABELS {
                return Err(ProtocolError::BadLabel);
            }
            Control::Label {
                number,
                text: reader.rest(),
            }
        }
        kind::MSG_ACK => {
            let watermark = reader.u64()?;
            let ranges = ranges(&mut reader, MAX_CLOSED)?;
            Control::MsgAck { watermark, ranges }
        }
        kind::MSG_HAVE => Control::MsgHave {
            seq: reader.u64()?,
            units: reader.u64()?,
            ranges: ranges(&mut reader, MAX_SACKS)?,
        },
        kind::MSG_CREDIT => Control::MsgCredit {
            urgency: urgency(reader.u8()?)?,
            highest: reader.u64()?,
        },
        kind::WITHDRAW => Control::Withdraw {
            seq: reader.u64()?,
            urgency: urgency(reader.u8()?)?,
            charge: reader.u64()?,
        },
        kind::WITHDRAWN => Control::Withdrawn(reader.u64()?),
        kind::FORGET => Control::Forget(reader.u64()?),
        kind::FACTS => Control::Facts(facts(&mut reader)?),
        kind::PING => Control::Ping(reader.u64()?),
        kind::PONG => Control::Pong(reader.u64()?),
        kind::RESUME => Control::Resume,
        kind::RETIRE => Control::Retire,
        kind::CLOSE => Control::Close(reader.u32()?),
        kind::CLOSED => Control::Closed,
        kind::LOST => Control::Lost(PathId {
            id: reader.u8()?,
            epoch: reader.u32()?,
        }),
        kind::ADDRESSES => Control::Addresses(reader.rest()),
        other => return Err(ProtocolError::UnknownFrame(other)),
    })
}

fn ranges<'a>(reader: &mut Reader<'a>, most: usize) -> Result<Sacks<'a>, ProtocolError> {
    let count = usize::from(reader.u8()?);
    if count > most {
        return Err(ProtocolError::Malformed);
    }
    Ok(Sacks(reader.bytes(count * 16)?))
}

fn urgency(byte: u8) -> Result<u8, ProtocolError> {
    match byte {
        0..=2 => Ok(byte),
        _ => Err(ProtocolError::Malformed),
    }
}

fn begin(out: &mut Vec<u8>, frame: u8, length: usize) {
    out.put_u8(frame);
    out.put_u24(length as u32);
}

/// A frame whose body is a stream and nothing else.
pub(super) fn put_stream(out: &mut Vec<u8>, frame: u8, stream: StreamId) {
    begin(out, frame, 3);
    out.put_u24(stream.0);
}

/// A frame whose body is a stream and an offset.
pub(super) fn put_offset(out: &mut Vec<u8>, frame: u8, stream: StreamId, offset: u64) {
    begin(out, frame, 11);
    out.put_u24(stream.0);
    out.put_u64(offset);
}

pub(super) fn put_open(out: &mut Vec<u8>, stream: StreamId, label: u8) {
    begin(out, kind::OPEN, 4);
    out.put_u24(stream.0);
    out.put_u8(label);
}

pub(super) fn put_reset(out: &mut Vec<u8>, stream: StreamId, both: bool, code: u32) {
    begin(out, kind::RESET, 8);
    out.put_u24(stream.0);
    out.put_u8(u8::from(both));
    out.put_u32(code);
}

pub(super) fn put_stop(out: &mut Vec<u8>, stream: StreamId, code: u32) {
    begin(out, kind::STOP, 7);
    out.put_u24(stream.0);
    out.put_u32(code);
}

pub(super) fn put_ack(out: &mut Vec<u8>, stream: StreamId, offset: u64, sacks: &[(u64, u64)]) {
    begin(out, kind::ACK, 12 + 16 * sacks.len());
    out.put_u24(stream.0);
    out.put_u64(offset);
    out.put_u8(sacks.len() as u8);
    for (start, end) in sacks {
        out.put_u64(*start);
        out.put_u64(*end);
    }
}

/// A frame whose body is numbers, then ranges with their count.
pub(super) fn put_ranges(out: &mut Vec<u8>, frame: u8, numbers: &[u64], ranges: &[(u64, u64)]) {
    begin(out, frame, 8 * numbers.len() + 1 + 16 * ranges.len());
    numbers.iter().for_each(|number| out.put_u64(*number));
    out.put_u8(ranges.len() as u8);
    for (start, end) in ranges {
        out.put_u64(*start);
        out.put_u64(*end);
    }
}

pub(super) fn put_message_credit(out: &mut Vec<u8>, urgency: u8, highest: u64) {
    begin(out, kind::MSG_CREDIT, 9);
    out.put_u8(urgency);
    out.put_u64(highest);
}

pub(super) fn put_withdraw(out: &mut Vec<u8>, seq: u64, urgency: u8, charge: u64) {
    begin(out, kind::WITHDRAW, 17);
    out.put_u64(seq);
    out.put_u8(urgency);
    out.put_u64(charge);
}

pub(super) fn put_label(out: &mut Vec<u8>, number: u8, text: &str) {
    begin(out, kind::LABEL, 1 + text.len());
    out.put_u8(number);
    out.put(text.as_bytes());
}

pub(super) fn put_facts_frame(out: &mut Vec<u8>, told: &PathFacts) {
    begin(out, kind::FACTS, 4);
    put_facts(out, told);
}

/// A frame whose body is a token.
pub(super) fn put_token(out: &mut Vec<u8>, frame: u8, token: u64) {
    begin(out, frame, 8);
    out.put_u64(token);
}

/// A frame without a body.
pub(super) fn put_bare(out: &mut Vec<u8>, frame: u8) {
    begin(out, frame, 0);
}

pub(super) fn put_addresses(out: &mut Vec<u8>, told: &[SocketAddr]) {
    begin(out, kind::ADDRESSES, addresses::length(told.len()));
    for entry in addresses::entries(told) {
        out.put(&entry);
    }
}

pub(super) fn put_lost(out: &mut Vec<u8>, path: PathId) {
    begin(out, kind::LOST, 5);
    out.put_u8(path.id);
    out.put_u32(path.epoch);
}

pub(super) fn put_close(out: &mut Vec<u8>, code: u32) {
    begin(out, kind::CLOSE, 4);
    out.put_u32(code);
}

/// The four bytes that tell a network's facts.
pub(super) fn put_facts(out: &mut Vec<u8>, told: &PathFacts) {
    let fact = |fact| match fact {
        Fact::No => 0,
        Fact::LikelyNo => 1,
        Fact::Unknown => 2,
        Fact::LikelyYes => 3,
        Fact::Yes => 4,
    };
    out.put(&[
        told.kinds.0,
        fact(told.metered),
        fact(told.roaming),
        fact(told.constrained),
    ]);
}

/// Reads what [`put_facts`] wrote.
pub(super) fn facts(reader: &mut Reader<'_>) -> Result<PathFacts, ProtocolError> {
    let [kinds, metered, roaming, constrained] = reader.array()?;
    let fact = |byte| {
        Ok(match byte {
            0 => Fact::No,
            1 => Fact::LikelyNo,
            2 => Fact::Unknown,
            3 => Fact::LikelyYes,
            4 => Fact::Yes,
            _ => return Err(ProtocolError::Malformed),
        })
    };
    Ok(PathFacts {
        kinds: Kinds(kinds),
        metered: fact(metered)?,
        roaming: fact(roaming)?,
        constrained: fact(constrained)?,
    })
}
