//! Frames are found the same however they are cut, and read as they were written.

use crate::proto::session::addresses;
use crate::proto::session::decoder::{Decoder, Item};
use crate::proto::session::error::ProtocolError;
use crate::proto::session::frame::{self, Control, DataHeader, HEADER, PartHeader, Sacks, kind};

/// Takes bytes as what a path brings.
///
/// # Panics
/// If the frames in them depend on where they are cut, or say something else once they are written
/// again.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((cut, wire)) = bytes.split_first() else {
        return;
    };
    let (found, end) = find(wire, usize::MAX);
    assert_eq!(find(wire, 1 + usize::from(*cut)), (found.clone(), end));
    let again: Vec<u8> = found.iter().flat_map(Found::encode).collect();
    assert_eq!(find(&again, usize::MAX), (found, Ok(())));
}

/// What was found, payload in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Data(DataHeader, Vec<u8>),
    Part(PartHeader, Option<(u64, u64, Vec<u64>)>, Vec<u8>),
    /// As we would write it.
    Control(Vec<u8>),
}

impl Found {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Data(header, payload) => [&header.encode()[..], payload].concat(),
            Self::Part(header, None, payload) => [&header.encode()[..], payload].concat(),
            Self::Part(header, Some((id, below, after)), payload) => {
                [&header.encode_first(*id, *below, after)[..], payload].concat()
            }
            Self::Control(frame) => frame.clone(),
        }
    }
}

/// Everything before the first fault, and that.
fn find(wire: &[u8], cut: usize) -> (Vec<Found>, Result<(), ProtocolError>) {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for mut piece in wire.chunks(cut.min(wire.len()).max(1)) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(item)) => {
                    if let Err(fault) = take(&mut found, item) {
                        return (found, Err(fault));
                    }
                }
                Ok(None) => break,
                Err(fault) => return (found, Err(fault)),
            }
            assert!(decoder.kept() <= 2 * (HEADER + frame::MAX_CONTROL));
        }
    }
    (found, Ok(()))
}

fn take(found: &mut Vec<Found>, item: Item<'_>) -> Result<(), ProtocolError> {
    match (item, found.last_mut()) {
        (Item::Data(header), _) => found.push(Found::Data(header, Vec::new())),
        (Item::Payload(at, bytes), Some(Found::Data(header, payload))) => {
            let so_far = payload.len() as u64;
            assert_eq!(at.offset, header.offset.wrapping_add(so_far));
            payload.extend_from_slice(bytes);
            assert!(payload.len() <= header.payload as usize);
        }
        (Item::Part(header, None), _) => found.push(Found::Part(header, None, Vec::new())),
        (Item::Part(header, Some(head)), _) => {
            let (id, below, after) = frame::first(&head)?;
            let first = Some((id, below, after));
            found.push(Found::Part(header, first, Vec::new()));
        }
        (Item::PartPayload(at, bytes), Some(Found::Part(header, _, payload))) => {
            let so_far = payload.len() as u32;
            assert_eq!(at.offset, header.offset.wrapping_add(so_far));
            payload.extend_from_slice(bytes);
            assert!(payload.len() <= header.payload as usize);
        }
        (Item::Control(kind, whole), _) => {
            let control = frame::control(kind, &whole[HEADER..])?;
            let mut written = Vec::new();
            if !put(kind, &control, &mut written) {
                return Err(ProtocolError::BadLabel);
            }
            // A set flag may be any bit; nothing else has two forms of one length.
            if written.len() == whole.len() && kind != kind::RESET {
                assert_eq!(written, &whole[..]);
            }
            found.push(Found::Control(written));
        }
        (item, last) => panic!("{item:?} after {last:?}"),
    }
    Ok(())
}

/// Whether it can be written.
fn put(kind: u8, control: &Control<'_>, out: &mut Vec<u8>) -> bool {
    let list = |ranges: &Sacks<'_>| ranges.iter().collect::<Vec<_>>();
    match control {
        Control::Open { stream, label } => frame::put_open(out, *stream, *label),
        Control::Fin { stream, end: to }
        | Control::Credit {
            stream,
            highest: to,
        } => frame::put_offset(out, kind, *stream, *to),
        Control::Reset { stream, both, code } => frame::put_reset(out, *stream, *both, *code),
        Control::ResetAck { stream } | Control::Gone { stream } => {
            frame::put_stream(out, kind, *stream);
        }
        Control::Stop { stream, code } => frame::put_stop(out, *stream, *code),
        Control::Ack {
            stream,
            offset,
            sacks,
        } => frame::put_ack(out, *stream, *offset, &list(sacks)),
        Control::Label { number, text } => match std::str::from_utf8(text) {
            Ok(text) => frame::put_label(out, *number, text),
            Err(_) => return false,
        },
        Control::MsgAck { watermark, ranges } => {
            frame::put_ranges(out, kind, &[*watermark], &list(ranges));
        }
        Control::MsgHave { seq, units, ranges } => {
            frame::put_ranges(out, kind, &[*seq, *units], &list(ranges));
        }
        Control::MsgCredit { urgency, highest } => {
            frame::put_message_credit(out, *urgency, *highest);
        }
        Control::Withdraw {
            seq,
            urgency,
            charge,
        } => frame::put_withdraw(out, *seq, *urgency, *charge),
        Control::Withdrawn(token)
        | Control::Forget(token)
        | Control::Ping(token)
        | Control::Pong(token) => frame::put_token(out, kind, *token),
        Control::Facts(facts) => frame::put_facts_frame(out, facts),
        Control::Resume | Control::Retire | Control::Closed => frame::put_bare(out, kind),
        Control::Close(code) => frame::put_close(out, *code),
        Control::Lost(path) => frame::put_lost(out, *path),
        Control::Addresses(told) => frame::put_addresses(out, &addresses::parse(told)),
    }
    true
}
