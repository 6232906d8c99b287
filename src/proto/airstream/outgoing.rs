//! What is to go: bytes written, cut into pieces as far as the peer allows.

use std::collections::{BTreeMap, VecDeque};

use super::WriteError;
use super::message::{MAX_DATA, widen};

/// Bytes written and not cut.
pub(super) const OUTBOX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Outgoing {
    outbox: VecDeque<u8>,
    /// How many of them are taken.
    room: usize,
    /// Bytes cut.
    cut: u64,
    /// Bytes that may be cut.
    limit: u64,
    /// Pieces under way, by the number of their message: where they begin, and how long they are.
    pieces: BTreeMap<u64, (u64, usize)>,
    /// Bytes of those that are.
    under_way: u64,
    ended: bool,
    /// The peer was told the end.
    told: bool,
    stopped: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            outbox: VecDeque::new(),
            room: OUTBOX,
            cut: 0,
            limit: 0,
            pieces: BTreeMap::new(),
            under_way: 0,
            ended: false,
            told: false,
            stopped: false,
        }
    }
}

impl Outgoing {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        if self.ended {
            return Err(WriteError::Ended);
        }
        if self.stopped {
            return Err(WriteError::Stopped);
        }
        let room = self.room.saturating_sub(self.outbox.len());
        let taken = &bytes[..room.min(bytes.len())];
        self.outbox.extend(taken);
        Ok(taken.len())
    }

    pub(super) fn is_writable(&self) -> bool {
        self.ended || self.stopped || self.outbox.len() < self.room
    }

    pub(super) fn limit(&mut self, bytes: usize) {
        self.room = match bytes {
            0 => OUTBOX,
            few => few.min(OUTBOX),
        };
    }

    /// The peer allows so many bytes in all; a limit never falls.
    pub(super) fn allow(&mut self, limit: u32) {
        self.limit = self.limit.max(widen(limit, self.limit.max(self.cut)));
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The peer throws away what it gets.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.outbox = VecDeque::new();
    }

    /// The next piece, its offset first.
    pub(super) fn next(&mut self) -> Option<(u32, Vec<u8>)> {
        let allowed = self.limit.saturating_sub(self.cut);
        let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
        let n = self.outbox.len().min(allowed).min(MAX_DATA);
        if n == 0 {
            return None;
        }
        let offset = self.cut as u32;
        self.cut += n as u64;
        Some((offset, self.outbox.drain(..n).collect()))
    }

    /// The message of this number has the last so many bytes that were cut.
    pub(super) fn sent(&mut self, number: u64, bytes: usize) {
        let piece = (self.cut - bytes as u64, bytes);
        self.pieces.insert(number, piece);
        self.under_way += bytes as u64;
    }

    pub(super) fn confirm(&mut self, number: u64) {
        if let Some((_, bytes)) = self.pieces.remove(&number) {
            self.under_way -= bytes as u64;
        }
    }

    /// Bytes that the peer's end has, up to the first that it may not have.
    pub(super) fn confirmed(&self) -> u64 {
        let first = self.pieces.first_key_value();
        first.map_or(self.cut, |(_, (offset, _))| *offset)
    }

    /// Bytes that the peer's end has, in order or not.
    pub(super) fn arrived(&self) -> u64 {
        self.cut - self.under_way
    }

    /// Bytes that it may not have.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way
    }

    /// Bytes that wait to be cut.
    pub(super) fn uncut(&self) -> u64 {
        self.outbox.len() as u64
    }

    /// Whether the peer allows no more of those.
    pub(super) fn lacks_credit(&self) -> bool {
        !self.outbox.is_empty() && self.limit <= self.cut
    }

    /// The end, once it is due; once.
    pub(super) fn say_end(&mut self) -> Option<u32> {
        let due = self.ended && !self.told && self.outbox.is_empty();
        due.then(|| {
            self.told = true;
            self.cut as u32
        })
    }

    /// Everything was said.
    pub(super) fn is_done(&self) -> bool {
        self.told && self.outbox.is_empty()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.outbox.len(), self.pieces.len())
    }
}
