//! Control frames, as received.

use super::{MAX_CLOSED, MAX_LABELS, MAX_SACKS, facts, kind};
use crate::label::matching::PathFacts;
use crate::proto::codec::Reader;
use crate::proto::session::{PathId, ProtocolError, StreamId};

/// A control frame received.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proto::session) enum Control<'a> {
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
pub(in crate::proto::session) struct Sacks<'a>(&'a [u8]);

impl Sacks<'_> {
    pub(in crate::proto::session) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + Clone + '_ {
        self.0.chunks_exact(16).map(|range| {
            let mut reader = Reader::new(range);
            let mut next = || reader.u64().expect("a range is 16 bytes");
            (next(), next())
        })
    }
}

/// Reads a control frame that [`head`] found whole.
pub(in crate::proto::session) fn control(
    frame: u8,
    body: &[u8],
) -> Result<Control<'_>, ProtocolError> {
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
