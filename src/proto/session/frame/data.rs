//! The header of a data frame.

use super::{DATA_BODY, DATA_HEADER, kind};
use crate::proto::session::StreamId;

/// The header of a data frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::session) struct DataHeader {
    pub(in crate::proto::session) waiting: bool,
    pub(in crate::proto::session) label: u8,
    pub(in crate::proto::session) stream: StreamId,
    pub(in crate::proto::session) offset: u64,
    pub(in crate::proto::session) payload: u32,
}

impl DataHeader {
    pub(in crate::proto::session) fn encode(&self) -> [u8; DATA_HEADER] {
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

    pub(super) fn decode(header: &[u8; DATA_HEADER], waiting: bool, payload: u32) -> Self {
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
