//! The messages of a stream, as Airhook carries them.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::airhook::MAX_MESSAGE;
use super::super::codec::Reader;

const VERSION: u8 = 1;

/// The most bytes of the stream in one message.
pub(super) const MAX_DATA: usize = MAX_MESSAGE - 9;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) tag: u32,
    pub(super) body: Body<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body<'a> {
    Open { limit: u32 },
    Accept { limit: u32 },
    Data { offset: u32, bytes: &'a [u8] },
    End { offset: u32 },
    Limit { limit: u32 },
    Stop,
    Reset,
}

impl<'a> Message<'a> {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(MAX_MESSAGE);
        out.put_u8(match self.body {
            Body::Open { .. } => 1,
            Body::Accept { .. } => 2,
            Body::Data { .. } => 3,
            Body::End { .. } => 4,
            Body::Limit { .. } => 5,
            Body::Stop => 6,
            Body::Reset => 7,
        });
        out.put_u32(self.tag);
        match self.body {
            Body::Open { limit } | Body::Accept { limit } => {
                out.put_u8(VERSION);
                out.put_u32(limit);
            }
            Body::Data { offset, bytes } => {
                out.put_u32(offset);
                out.put_slice(bytes);
            }
            Body::End { offset: number } | Body::Limit { limit: number } => out.put_u32(number),
            Body::Stop | Body::Reset => {}
        }
        out.freeze()
    }

    /// `None` for what is no message of a stream.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8().ok()?;
        let tag = reader.u32().ok()?;
        if matches!(kind, 1 | 2) && reader.u8().ok()? != VERSION {
            return None;
        }
        let body = match kind {
            1 => Body::Open {
                limit: reader.u32().ok()?,
            },
            2 => Body::Accept {
                limit: reader.u32().ok()?,
            },
            3 => {
                let offset = reader.u32().ok()?;
                let bytes = reader.bytes(reader.rest().len()).ok()?;
                if bytes.is_empty() {
                    return None;
                }
                Body::Data { offset, bytes }
            }
            4 => Body::End {
                offset: reader.u32().ok()?,
            },
            5 => Body::Limit {
                limit: reader.u32().ok()?,
            },
            6 => Body::Stop,
            7 => Body::Reset,
            _ => return None,
        };
        reader.rest().is_empty().then_some(Self { tag, body })
    }
}

/// The count nearest to `near` that has these low 32 bits; never below 0.
pub(super) fn widen(low: u32, near: u64) -> u64 {
    let ahead = low.wrapping_sub(near as u32);
    if ahead < 1 << 31 {
        near + u64::from(ahead)
    } else {
        near.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}
