//! Bytes by their absolute offset: what a stream has written and the peer not acknowledged, or what
//! arrived and was not read.
//!
//! Bytes are copied in once, into chunks that start small and grow to 64 KiB, or kept as the `Bytes`
//! they came in. They leave from the front. The labels stand beside them as runs. A lookup is a binary
//! search. An empty rope keeps at most one small chunk.

use std::collections::VecDeque;
use std::ops::Deref;

use bytes::Bytes;

use super::chunks::{self, CHUNK};
use crate::label::{Label, Urgency};

/// The smallest chunk that bytes are copied into.
const SMALL: usize = 1 << 10;
/// A `Bytes` below this is copied, so that there are never more chunks than bytes over this.
pub(super) const KEEP: usize = 4 << 10;

#[derive(Debug)]
enum Data {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Deref for Data {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Chunk {
    start: u64,
    data: Data,
}

/// Bytes of one label, up to `end`.
#[derive(Debug, Clone, Copy)]
struct Run {
    end: u64,
    label: Label,
}

#[derive(Debug, Default)]
pub(super) struct Rope {
    start: u64,
    end: u64,
    chunks: VecDeque<Chunk>,
    runs: VecDeque<Run>,
}

impl Rope {
    /// The offset of the first byte held.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The offset after the last byte held.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Changes of label held, plus one.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether appending bytes of this label makes one more run.
    pub(super) fn starts_run(&self, label: &Label) -> bool {
        self.runs.back().is_none_or(|run| run.label != *label)
    }

    /// The end of the n-th run.
    pub(super) fn run_end(&self, index: usize) -> Option<u64> {
        self.runs.get(index).map(|run| run.end)
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.runs.iter().map(|run| run.label)
    }

    /// The most urgent label of a byte at `offset` or behind it.
    pub(super) fn urgency_from(&self, offset: u64) -> Option<Urgency> {
        let behind = self.runs.iter().rev().take_while(|run| run.end > offset);
        behind.map(|run| run.label.urgency()).min()
    }

    /// Where the last byte ends that is at least so urgent.
    pub(super) fn reach(&self, urgency: Urgency) -> u64 {
        let mut runs = self.runs.iter().rev();
        let last = runs.find(|run| run.label.urgency() <= urgency);
        last.map_or(0, |run| run.end)
    }

    fn label_end(&mut self, label: &Label, end: u64) {
        match self.runs.back_mut() {
            Some(run) if run.label == *label => run.end = end,
            _ => self.runs.push_back(Run { end, label: *label }),
        }
        self.end = end;
    }

    /// Appends a copy.
    pub(super) fn push(&mut self, label: &Label, mut data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let mut end = self.end;
        self.label_end(label, end + data.len() as u64);
        while !data.is_empty() {
            let tail = match self.chunks.back_mut().map(|chunk| &mut chunk.data) {
                Some(Data::Own(tail)) if tail.len() < tail.capacity() => tail,
                other => {
                    let grown = other.map_or(0, |last| last.len().saturating_mul(2));
                    let capacity = data.len().max(grown).max(SMALL);
                    let fresh = match capacity > CHUNK / 2 {
                        true => chunks::take(),
                        false => Vec::with_capacity(capacity),
                    };
                    self.chunks.push_back(Chunk {
                        start: end,
                        data: Data::Own(fresh),
                    });
                    continue;
                }
            };
            let (now, later) = data.split_at(data.len().min(tail.capacity() - tail.len()));
            tail.extend_from_slice(now);
            end += now.len() as u64;
            data = later;
        }
    }

    /// Appends without a copy, unless it is small.
    pub(super) fn push_bytes(&mut self, label: &Label, data: Bytes) {
        if data.len() < KEEP {
            return self.push(label, &data);
        }
        self.chunks.push_back(Chunk {
            start: self.end,
            data: Data::Shared(data.clone()),
        });
        self.label_end(label, self.end + data.len() as u64);
    }

    /// Appends bytes that are owned already.
    pub(super) fn push_owned(&mut self, label: &Label, data: Vec<u8>) {
        if data.len() < KEEP || data.capacity() > 2 * data.len() {
            return self.push(label, &data);
        }
        self.chunks.push_back(Chunk {
            start: self.end,
            data: Data::Own(data),
        });
        let length = self.chunks.back().map_or(0, |chunk| chunk.data.len());
        self.label_end(label, self.end + length as u64);
    }

    /// Moves an empty rope on: bytes went past without being kept.
    pub(super) fn skip(&mut self, to: u64) {
        debug_assert!(self.is_empty() && to >= self.end);
        self.end = to;
        self.release(to);
    }

    /// Frees everything below `upto`.
    pub(super) fn release(&mut self, upto: u64) {
        if upto <= self.start {
            return;
        }
        debug_assert!(upto <= self.end);
        self.start = upto.min(self.end);
        while self.runs.front().is_some_and(|run| run.end <= self.start) {
            self.runs.pop_front();
        }
        if self.start == self.end {
            return self.emptied();
        }
        while let Some(front) = self.chunks.front() {
            if front.start + front.data.len() as u64 > self.start {
                break;
            }
            let_go(self.chunks.pop_front());
        }
    }

    /// Keeps one small chunk for what comes next, so that a ping-pong allocates nothing.
    fn emptied(&mut self) {
        while self.chunks.len() > 1 {
            let_go(self.chunks.pop_back());
        }
        match self.chunks.front_mut() {
            Some(Chunk {
                start,
                data: Data::Own(data),
            }) if data.capacity() <= SMALL => {
                data.clear();
                *start = self.end;
            }
            _ => {
                let_go(self.chunks.pop_back());
                self.chunks = VecDeque::new();
            }
        }
        if self.runs.capacity() > 16 {
            self.runs = VecDeque::new();
        }
    }

    /// Bytes reserved, bookkeeping included.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn capacity(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| match &chunk.data {
            Data::Own(data) => data.capacity(),
            Data::Shared(data) => data.len(),
        });
        chunks.sum::<usize>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.runs.capacity() * size_of::<Run>()
    }

    /// Throws everything away.
    pub(super) fn discard(&mut self) {
        self.release(self.end);
    }

    fn chunk_at(&self, offset: u64) -> usize {
        if self.chunks.len() == 1 {
            return 0;
        }
        self.chunks
            .partition_point(|chunk| chunk.start <= offset)
            .saturating_sub(1)
    }

    /// The label at `offset` and where its run ends; `None` outside.
    pub(super) fn label_at(&self, offset: u64) -> Option<(Label, u64)> {
        if offset < self.start {
            return None;
        }
        let index = match self.runs.front() {
            Some(run) if offset < run.end => 0,
            _ => self.runs.partition_point(|run| run.end <= offset),
        };
        self.runs.get(index).map(|run| (run.label, run.end))
    }

    /// The pieces that hold `length` bytes from `offset`, which must be held.
    pub(super) fn pieces(&self, offset: u64, length: usize) -> impl Iterator<Item = &[u8]> {
        debug_assert!(offset >= self.start && offset + length as u64 <= self.end);
        let mut index = self.chunk_at(offset);
        let mut at = offset;
        let mut left = length;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let chunk = self.chunks.get(index)?;
            let from = (at - chunk.start) as usize;
            let piece = &chunk.data[from..chunk.data.len().min(from + left)];
            index += 1;
            at += piece.len() as u64;
            left -= piece.len();
            Some(piece)
        })
    }

    /// Moves bytes of the first run into `buf`: how many, and their label. `None` when empty.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Option<(usize, Label)> {
        let (label, end) = self.label_at(self.start)?;
        let wanted = buf.len().min((end - self.start) as usize);
        let mut filled = 0;
        for piece in self.pieces(self.start, wanted) {
            buf[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        self.release(self.start + filled as u64);
        Some((filled, label))
    }
}

fn let_go(chunk: Option<Chunk>) {
    if let Some(Data::Own(data)) = chunk.map(|chunk| chunk.data) {
        chunks::give(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rope: &Rope) -> Vec<u8> {
        rope.pieces(rope.start(), rope.len())
            .flatten()
            .copied()
            .collect()
    }

    #[test]
    fn gives_back_by_offset_what_was_appended_copied_or_not() {
        let mut rope = Rope::default();
        let mut model = Vec::new();
        for round in 0..40usize {
            let data: Vec<u8> = (0..round * 317).map(|i| (i * 7 + round) as u8).collect();
            model.extend_from_slice(&data);
            if round % 3 == 0 {
                rope.push_bytes(&Label::ANY, Bytes::from(data));
            } else {
                rope.push(&Label::ANY, &data);
            }
        }
        assert_eq!(all(&rope), model);
        for cut in [1, 500, 70_000, 100_000] {
            rope.release(cut);
            assert_eq!(all(&rope), model[cut as usize..]);
        }
        let middle: Vec<u8> = rope.pieces(120_000, 5_000).flatten().copied().collect();
        assert_eq!(middle, model[120_000..125_000]);
    }

    #[test]
    fn an_emptied_rope_keeps_at_most_one_small_chunk() {
        let mut rope = Rope::default();
        rope.push(&Label::ANY, &[7; 300_000]);
        rope.release(300_000);
        assert!(rope.chunks.is_empty());
        rope.push(&Label::ANY, b"ping");
        rope.release(300_004);
        assert_eq!(rope.chunks.len(), 1);
        rope.push(&Label::ANY, b"pong");
        assert_eq!(all(&rope), b"pong");
    }

    #[test]
    fn small_writes_share_chunks() {
        let mut rope = Rope::default();
        for _ in 0..100_000 {
            rope.push_bytes(&Label::ANY, Bytes::from_static(b"xy"));
        }
        assert!(rope.chunks.len() < 12, "{}", rope.chunks.len());
        assert_eq!(rope.runs(), 1);
    }
}
