//! The payload of one message as it comes in, in any order.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::MAX_PIECES;
use crate::proto::session::ProtocolError;

/// Room is made for so many bytes at most before they came.
const AHEAD: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// From the start, without a gap.
    data: Vec<u8>,
    early: BTreeMap<u32, Vec<u8>>,
    /// Bytes in `early`.
    held: usize,
}

impl Assembly {
    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        self.data.len() + self.held
    }

    /// Bytes from the start without a gap.
    pub(super) fn contiguous(&self) -> u32 {
        self.data.len() as u32
    }

    /// Pieces kept because they came early.
    pub(super) fn pieces(&self) -> usize {
        self.early.len()
    }

    /// The ranges beyond the contiguous ones, the first few.
    pub(super) fn early(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let pieces = self.early.iter();
        pieces.map(|(start, data)| (*start, start + data.len() as u32))
    }

    /// Takes payload of a message of `length` bytes, within which it lies; whether any of it was new.
    /// `pieces` is how many the whole session keeps of this urgency.
    ///
    /// # Errors
    /// `TooManyPieces`.
    pub(super) fn take(
        &mut self,
        offset: u32,
        data: &[u8],
        length: u32,
        pieces: &mut usize,
    ) -> Result<bool, ProtocolError> {
        let next = self.contiguous();
        let end = offset + data.len() as u32;
        if end <= next {
            return Ok(data.is_empty());
        }
        if offset > next {
            return self.take_early(offset, data, pieces);
        }
        let data = &data[(next - offset) as usize..];
        if self.data.capacity() - self.data.len() < data.len() {
            let missing = length as usize - self.data.len();
            let ahead = self.data.len().max(AHEAD).min(missing);
            self.data.reserve_exact(ahead.max(data.len()));
        }
        self.data.extend_from_slice(data);
        let before = self.early.len();
        self.join();
        *pieces -= before - self.early.len();
        Ok(true)
    }

    fn take_early(
        &mut self,
        offset: u32,
        data: &[u8],
        pieces: &mut usize,
    ) -> Result<bool, ProtocolError> {
        let end = offset + data.len() as u32;
        let mut at = offset;
        let mut fresh = false;
        if let Some((start, before)) = self.early.range(..=offset).next_back() {
            at = at.max(start + before.len() as u32);
        }
        while at < end {
            let following = self.early.range(at..end).next();
            let (hole, after) = match following {
                Some((start, piece)) => (*start, start + piece.len() as u32),
                None => (end, end),
            };
            if at < hole {
                let part = &data[(at - offset) as usize..(hole - offset) as usize];
                self.keep(at, part, pieces)?;
                fresh = true;
            }
            at = after;
        }
        Ok(fresh)
    }

    fn keep(&mut self, at: u32, part: &[u8], pieces: &mut usize) -> Result<(), ProtocolError> {
        self.held += part.len();
        if let Some((start, before)) = self.early.range_mut(..at).next_back()
            && start + before.len() as u32 == at
        {
            before.extend_from_slice(part);
            return Ok(());
        }
        if *pieces >= MAX_PIECES {
            return Err(ProtocolError::TooManyPieces);
        }
        *pieces += 1;
        self.early.insert(at, part.to_vec());
        Ok(())
    }

    /// Takes over what is no longer early.
    fn join(&mut self) {
        while let Some(entry) = self.early.first_entry() {
            let next = self.data.len();
            let start = *entry.key() as usize;
            if start > next {
                return;
            }
            let piece = entry.remove();
            self.held -= piece.len();
            if let Some(rest) = piece.get(next - start..) {
                self.data.extend_from_slice(rest);
            }
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from(self.data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_in_any_order_and_twice_make_the_whole(
            length in 1..200u32,
            cuts in prop::collection::vec((0..200u32, 1..60u32), 0..60),
        ) {
            let whole: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (mut assembly, mut pieces) = (Assembly::default(), 0);
            let mut seen = vec![false; length as usize];
            let rest = std::iter::once((0, length));
            for (start, count) in cuts.into_iter().chain(rest) {
                let start = start.min(length);
                let end = (start + count).min(length);
                let range = start as usize..end as usize;
                let fresh = assembly.take(start, &whole[range.clone()], length, &mut pieces);
                let new = seen[range.clone()].iter().any(|seen| !seen) || range.is_empty();
                seen[range.clone()].fill(true);
                prop_assert!(fresh == Ok(new) || range.is_empty());
                prop_assert_eq!(pieces, assembly.pieces());
                let contiguous = seen.iter().take_while(|seen| **seen).count();
                prop_assert_eq!(assembly.contiguous() as usize, contiguous);
                prop_assert_eq!(assembly.held(), seen.iter().filter(|seen| **seen).count());
            }
            prop_assert_eq!(&assembly.into_bytes()[..], &whole[..]);
        }
    }

    #[test]
    fn room_is_not_made_for_what_is_only_claimed() {
        let (mut assembly, mut pieces) = (Assembly::default(), 0);
        assembly.take(0, &[1], 1 << 30, &mut pieces).expect("taken");
        assert!(assembly.data.capacity() <= AHEAD);
    }
}
