//! What came: pieces in any order, bytes in one.

use std::collections::{BTreeMap, VecDeque};

use super::message::widen;

/// Bytes received and not read.
pub(super) const WINDOW: u64 = 256 << 10;
/// Pieces that came too early. An honest peer has no more under way.
pub(super) const PIECES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// In order, not read.
    inbox: VecDeque<u8>,
    /// Bytes read.
    read: u64,
    /// Pieces after a gap, by their offsets.
    early: BTreeMap<u64, Vec<u8>>,
    /// How many bytes there are in all, once that is known.
    end: Option<u64>,
    /// What the peer was told.
    told: u64,
    /// Nobody reads: what comes is thrown away.
    stopped: bool,
}

impl Incoming {
    /// Bytes in order so far.
    pub(super) fn front(&self) -> u64 {
        self.read + self.inbox.len() as u64
    }

    /// A piece; false if the peer may not have sent it.
    pub(super) fn data(&mut self, offset: u32, bytes: &[u8]) -> bool {
        if self.stopped {
            return true;
        }
        let front = self.front();
        let offset = widen(offset, front);
        let last = offset + bytes.len() as u64;
        if last > self.told || self.end.is_some_and(|end| last > end) {
            return false;
        }
        if offset > front {
            // Airhook brings nothing twice, so what overlaps was made to.
            let before = self.early.range(..=offset).next_back();
            let overlaps = before.is_some_and(|(at, piece)| at + piece.len() as u64 > offset)
                || self.early.range(offset..last).next().is_some();
            if overlaps || self.early.len() >= PIECES {
                return false;
            }
            self.early.insert(offset, bytes.to_vec());
            return true;
        }
        if offset < front || self.early.range(..last).next().is_some() {
            return false;
        }
        self.inbox.extend(bytes);
        while let Some(piece) = self.early.remove(&self.front()) {
            self.inbox.extend(piece);
        }
        true
    }

    /// The peer's end; false if it cannot be there.
    pub(super) fn end(&mut self, offset: u32) -> bool {
        let offset = widen(offset, self.front());
        let last = match self.early.last_key_value() {
            Some((at, piece)) => at + piece.len() as u64,
            None => self.front(),
        };
        if !self.stopped && (last > offset || offset > self.told) {
            return false;
        }
        match self.end {
            Some(end) => self.stopped || end == offset,
            None => {
                self.end = Some(offset);
                true
            }
        }
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let (head, tail) = self.inbox.as_slices();
        let first = head.len().min(buf.len());
        buf[..first].copy_from_slice(&head[..first]);
        let second = tail.len().min(buf.len() - first);
        buf[first..first + second].copy_from_slice(&tail[..second]);
        let n = first + second;
        self.inbox.drain(..n);
        self.read += n as u64;
        n
    }

    /// Everything came, and everything was read.
    pub(super) fn is_ended(&self) -> bool {
        self.end == Some(self.read)
    }

    /// Everything came.
    pub(super) fn is_complete(&self) -> bool {
        self.end == Some(self.front())
    }

    pub(super) fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.is_ended()
    }

    /// Nobody reads any more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.inbox = VecDeque::new();
        self.early = BTreeMap::new();
    }

    /// Whether the peer is to be told a new limit: once a quarter of the window was read.
    pub(super) fn is_stale(&self) -> bool {
        !self.stopped && self.end.is_none() && self.read + WINDOW >= self.told + WINDOW / 4
    }

    /// The limit to tell now.
    pub(super) fn tell(&mut self) -> u32 {
        self.told = self.read + WINDOW;
        self.told as u32
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn kept(&self) -> (usize, usize) {
        let early: usize = self.early.values().map(Vec::len).sum();
        (self.inbox.len() + early, self.early.len())
    }
}
