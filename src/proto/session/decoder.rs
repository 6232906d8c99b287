//! Finds the frames in what arrives, however it is cut.

use std::borrow::Cow;

use super::error::ProtocolError;
use super::frame::{self, DATA_HEADER, DataHeader, Head, PartHeader};

/// Where the decoder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// At the front of a frame, or inside a header or a control frame (then `partial` has its bytes).
    #[default]
    Head,
    /// Inside the payload of a data frame; `header` moves along.
    Payload(DataHeader),
    /// Inside the payload of a part of a message; the same.
    Part(PartHeader),
    /// Inside a frame that is skipped.
    Skip(u32),
}

/// Finds the frames in what arrives, however it is cut.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pub(super) place: Place,
    partial: Vec<u8>,
}

/// What the decoder found at the front of some input.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Data(DataHeader),
    Payload(DataHeader, &'a [u8]),
    /// A part of a message begins, with all before its payload if it is the head.
    Part(PartHeader, Option<Cow<'a, [u8]>>),
    PartPayload(PartHeader, &'a [u8]),
    /// Its kind and the frame, header included.
    Control(u8, Cow<'a, [u8]>),
}

impl Decoder {
    /// Takes the next item off the front of `input`; `None` when that is used up.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<Item<'a>>, ProtocolError> {
        loop {
            match &mut self.place {
                Place::Payload(header) => {
                    if header.payload == 0 {
                        self.place = Place::Head;
                        continue;
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let (payload, rest) = input.split_at(input.len().min(header.payload as usize));
                    *input = rest;
                    let at = *header;
                    // What overflows here was refused with the header, or is of a stream that is over.
                    header.offset = header.offset.wrapping_add(payload.len() as u64);
                    header.payload -= payload.len() as u32;
                    return Ok(Some(Item::Payload(at, payload)));
                }
                Place::Part(header) => {
                    if header.payload == 0 {
                        self.place = Place::Head;
                        continue;
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let (payload, rest) = input.split_at(input.len().min(header.payload as usize));
                    *input = rest;
                    let at = *header;
                    // What overflows here was refused with the header.
                    header.offset = header.offset.wrapping_add(payload.len() as u32);
                    header.payload -= payload.len() as u32;
                    return Ok(Some(Item::PartPayload(at, payload)));
                }
                Place::Skip(left) => {
                    let skipped = input.len().min(*left as usize);
                    *input = &input[skipped..];
                    *left -= skipped as u32;
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.place = Place::Head;
                }
                Place::Head if self.partial.is_empty() => match frame::head(input)? {
                    Head::Need(_) if input.is_empty() => return Ok(None),
                    Head::Need(_) => {
                        self.partial.extend_from_slice(input);
                        *input = &[];
                        return Ok(None);
                    }
                    Head::Data(header) => {
                        *input = &input[DATA_HEADER..];
                        self.place = Place::Payload(header);
                        return Ok(Some(Item::Data(header)));
                    }
                    Head::Part(header, end, first) => {
                        let (before, rest) = input.split_at(end);
                        *input = rest;
                        self.place = Place::Part(header);
                        let before = first.then_some(Cow::Borrowed(before));
                        return Ok(Some(Item::Part(header, before)));
                    }
                    Head::Control(kind, end) => {
                        let (whole, rest) = input.split_at(end);
                        *input = rest;
                        return Ok(Some(Item::Control(kind, Cow::Borrowed(whole))));
                    }
                    Head::Skip(length) => {
                        *input = &input[frame::HEADER..];
                        self.place = Place::Skip(length);
                    }
                },
                Place::Head => match frame::head(&self.partial)? {
                    Head::Need(bytes) => {
                        if input.is_empty() {
                            return Ok(None);
                        }
                        let missing = (bytes - self.partial.len()).min(input.len());
                        self.partial.extend_from_slice(&input[..missing]);
                        *input = &input[missing..];
                    }
                    Head::Data(header) => {
                        self.partial.clear();
                        self.place = Place::Payload(header);
                        return Ok(Some(Item::Data(header)));
                    }
                    Head::Part(header, _, first) => {
                        let before = std::mem::take(&mut self.partial);
                        self.place = Place::Part(header);
                        let before = first.then_some(Cow::Owned(before));
                        return Ok(Some(Item::Part(header, before)));
                    }
                    Head::Control(kind, _) => {
                        let whole = std::mem::take(&mut self.partial);
                        return Ok(Some(Item::Control(kind, Cow::Owned(whole))));
                    }
                    Head::Skip(length) => {
                        self.partial.clear();
                        self.place = Place::Skip(length);
                    }
                },
            }
        }
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn kept(&self) -> usize {
        self.partial.capacity()
    }
}
