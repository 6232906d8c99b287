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

use super::ProtocolError;
use crate::proto::codec::{Put, Short};

mod control;
mod data;
mod facts;
mod part;
mod put;

pub(super) use control::{Control, Sacks, control};
pub(super) use data::DataHeader;
pub(super) use facts::{facts, put_facts};
pub(super) use part::{PartHeader, first};
pub(super) use put::{
    put_ack, put_addresses, put_bare, put_close, put_facts_frame, put_label, put_lost,
    put_message_credit, put_offset, put_open, put_ranges, put_reset, put_stop, put_stream,
    put_token, put_withdraw,
};

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
        kind::MSG | kind::MSG_FIRST => part::part(input, frame, length),
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

impl From<Short> for ProtocolError {
    fn from(Short: Short) -> Self {
        Self::Malformed
    }
}

fn begin(out: &mut Vec<u8>, frame: u8, length: usize) {
    out.put_u8(frame);
    out.put_u24(length as u32);
}
