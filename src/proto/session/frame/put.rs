//! Control frames, as written.

use std::net::SocketAddr;

use super::{begin, kind, put_facts};
use crate::label::matching::PathFacts;
use crate::proto::codec::Put;
use crate::proto::session::{PathId, StreamId, addresses};

/// A frame whose body is a stream and nothing else.
pub(in crate::proto::session) fn put_stream(out: &mut Vec<u8>, frame: u8, stream: StreamId) {
    begin(out, frame, 3);
    out.put_u24(stream.0);
}

/// A frame whose body is a stream and an offset.
pub(in crate::proto::session) fn put_offset(
    out: &mut Vec<u8>,
    frame: u8,
    stream: StreamId,
    offset: u64,
) {
    begin(out, frame, 11);
    out.put_u24(stream.0);
    out.put_u64(offset);
}

pub(in crate::proto::session) fn put_open(out: &mut Vec<u8>, stream: StreamId, label: u8) {
    begin(out, kind::OPEN, 4);
    out.put_u24(stream.0);
    out.put_u8(label);
}

pub(in crate::proto::session) fn put_reset(
    out: &mut Vec<u8>,
    stream: StreamId,
    both: bool,
    code: u32,
) {
    begin(out, kind::RESET, 8);
    out.put_u24(stream.0);
    out.put_u8(u8::from(both));
    out.put_u32(code);
}

pub(in crate::proto::session) fn put_stop(out: &mut Vec<u8>, stream: StreamId, code: u32) {
    begin(out, kind::STOP, 7);
    out.put_u24(stream.0);
    out.put_u32(code);
}

pub(in crate::proto::session) fn put_ack(
    out: &mut Vec<u8>,
    stream: StreamId,
    offset: u64,
    sacks: &[(u64, u64)],
) {
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
pub(in crate::proto::session) fn put_ranges(
    out: &mut Vec<u8>,
    frame: u8,
    numbers: &[u64],
    ranges: &[(u64, u64)],
) {
    begin(out, frame, 8 * numbers.len() + 1 + 16 * ranges.len());
    numbers.iter().for_each(|number| out.put_u64(*number));
    out.put_u8(ranges.len() as u8);
    for (start, end) in ranges {
        out.put_u64(*start);
        out.put_u64(*end);
    }
}

pub(in crate::proto::session) fn put_message_credit(out: &mut Vec<u8>, urgency: u8, highest: u64) {
    begin(out, kind::MSG_CREDIT, 9);
    out.put_u8(urgency);
    out.put_u64(highest);
}

pub(in crate::proto::session) fn put_withdraw(
    out: &mut Vec<u8>,
    seq: u64,
    urgency: u8,
    charge: u64,
) {
    begin(out, kind::WITHDRAW, 17);
    out.put_u64(seq);
    out.put_u8(urgency);
    out.put_u64(charge);
}

pub(in crate::proto::session) fn put_label(out: &mut Vec<u8>, number: u8, text: &str) {
    begin(out, kind::LABEL, 1 + text.len());
    out.put_u8(number);
    out.put(text.as_bytes());
}

pub(in crate::proto::session) fn put_facts_frame(out: &mut Vec<u8>, told: &PathFacts) {
    begin(out, kind::FACTS, 4);
    put_facts(out, told);
}

/// A frame whose body is a token.
pub(in crate::proto::session) fn put_token(out: &mut Vec<u8>, frame: u8, token: u64) {
    begin(out, frame, 8);
    out.put_u64(token);
}

/// A frame without a body.
pub(in crate::proto::session) fn put_bare(out: &mut Vec<u8>, frame: u8) {
    begin(out, frame, 0);
}

pub(in crate::proto::session) fn put_addresses(out: &mut Vec<u8>, told: &[SocketAddr]) {
    begin(out, kind::ADDRESSES, addresses::length(told.len()));
    for entry in addresses::entries(told) {
        out.put(&entry);
    }
}

pub(in crate::proto::session) fn put_lost(out: &mut Vec<u8>, path: PathId) {
    begin(out, kind::LOST, 5);
    out.put_u8(path.id);
    out.put_u32(path.epoch);
}

pub(in crate::proto::session) fn put_close(out: &mut Vec<u8>, code: u32) {
    begin(out, kind::CLOSE, 4);
    out.put_u32(code);
}
