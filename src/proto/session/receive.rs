//! The receiving half of a stream: what arrived and was not read, and what arrived too early.
//!
//! Acknowledgements say the contiguous offset and up to 8 ranges beyond it. They go with the next
//! payload; alone after 256 KiB or a quarter of the window, after 256 frames, or after 20 ms; at once for
//! an end, for a duplicate, and for a frame whose sender waits (kind 02: its buffer is over three
//! quarters full). One that acknowledges what was never sent, or less than an earlier one on the same
//! path, ends that path; a lower one by another path is late, and ignored. Of the ranges the lowest
//! and the highest are told, for what comes by a quick path lies high. They, and all else that is told, go
//! by the trusted path where something came last.
//!
//! Credit is per stream: the receiver names the highest offset it takes, first its window, and names
//! a higher one when half a window was read. Payload beyond it ends the path. There is no window over
//! the session: the bound is streams times window. Control frames need no credit.

use std::collections::BTreeMap;

use super::error::{ProtocolError, StreamError};
use super::frame::MAX_SACKS;
use super::rope::Rope;
use super::{MAX_RUNS, MAX_SEGMENTS};
use crate::label::Label;

/// Data frames since the last acknowledgement that are acknowledged at once, however small: a sender
/// may wait for its count of label changes.
const ACK_FRAMES: u32 = 256;

/// Bytes that arrived before something in front of them.
#[derive(Debug)]
struct Segment {
    data: Vec<u8>,
    label: Label,
}

#[derive(Debug)]
pub(super) struct ReceiveHalf {
    /// In order and unread; its end is the contiguous offset.
    rope: Rope,
    early: BTreeMap<u64, Segment>,
    fin: Option<u64>,
    window: u64,
    /// The offset up to which the peer may send.
    granted: u64,
    /// Received since the last acknowledgement, bytes and frames.
    since_ack: u64,
    frames_since_ack: u32,
    /// Nobody reads any more.
    stopped: bool,
    /// The direction was cut off: what `read` answers once the rope is empty.
    pub(super) failure: Option<StreamError>,
    /// The program wants no more of it, with this answer to whoever still reads.
    refused: Option<StreamError>,
    /// A `read` came back empty-handed.
    pub(super) wanted: bool,
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Bytes(usize, Label),
    End,
    Nothing,
}

impl ReceiveHalf {
    pub(super) fn new(window: u64) -> Self {
        Self {
            rope: Rope::default(),
            early: BTreeMap::new(),
            fin: None,
            window,
            granted: window,
            since_ack: 0,
            frames_since_ack: 0,
            stopped: false,
            failure: None,
            refused: None,
            wanted: true,
        }
    }

    /// The contiguous offset.
    pub(super) fn next(&self) -> u64 {
        self.rope.end()
    }

    /// Whether nothing more will come: everything up to the end is here, or it was cut off.
    pub(super) fn done(&self) -> bool {
        self.failure.is_some() || self.complete()
    }

    pub(super) fn complete(&self) -> bool {
        self.fin == Some(self.next())
    }

    /// Something to read, an end or a failure.
    pub(super) fn readable(&self) -> bool {
        !self.rope.is_empty() || self.done() || self.refused.is_some()
    }

    /// What is acknowledged: everything contiguous, the end as one more offset, but not what lies
    /// beyond so many unread changes of label that keeping count of them would have no bound.
    pub(super) fn acknowledgeable(&self) -> u64 {
        if self.rope.runs() > MAX_RUNS
            && let Some(end) = self.rope.run_end(MAX_RUNS - 1)
        {
            return end;
        }
        self.next() + u64::from(self.complete())
    }

    /// Ranges beyond the contiguous offset, as many as an acknowledgement takes: the lowest and the
    /// highest, for what came by a fast path lies high, and what a slow one fills lies low.
    pub(super) fn early_ranges(&self, out: &mut [(u64, u64); MAX_SACKS]) -> usize {
        const LOW: usize = MAX_SACKS / 2;
        let range =
            |(start, segment): (&u64, &Segment)| (*start, *start + segment.data.len() as u64);
        let mut count = 0;
        for (start, end) in self.early.iter().map(range) {
            if count > 0 && out[count - 1].1 == start {
                out[count - 1].1 = end;
            } else if count < LOW {
                out[count] = (start, end);
                count += 1;
            } else {
                break;
            }
        }
        let told = count.checked_sub(1).map_or(0, |last| out[last].1);
        let low = count;
        for (start, end) in self.early.iter().rev().map(range) {
            if start < told {
                break;
            }
            if count > low && out[count - 1].0 == end {
                out[count - 1].0 = start;
            } else if count < MAX_SACKS {
                out[count] = (start, end);
                count += 1;
            } else {
                break;
            }
        }
        count
    }

    /// Whether a data frame keeps within credit and end.
    ///
    /// # Errors
    /// `BeyondCredit`, `BeyondEnd`.
    pub(super) fn admit(&self, offset: u64, payload: u32) -> Result<(), ProtocolError> {
        let end = offset
            .checked_add(u64::from(payload))
            .ok_or(ProtocolError::BeyondCredit)?;
        if end > self.granted {
            return Err(ProtocolError::BeyondCredit);
        }
        if self.fin.is_some_and(|fin| end > fin) {
            return Err(ProtocolError::BeyondEnd);
        }
        Ok(())
    }

    /// Takes payload; whether it was new.
    ///
    /// # Errors
    /// `TooManyLabels`, `TooManyPieces`: bounds that only a hostile peer meets.
    pub(super) fn receive(
        &mut self,
        offset: u64,
        label: &Label,
        data: &[u8],
    ) -> Result<bool, ProtocolError> {
        if self.failure.is_some() {
            return Ok(true);
        }
        let next = self.next();
        let end = offset + data.len() as u64;
        if end <= next {
            return Ok(data.is_empty());
        }
        if offset > next {
            self.since_ack += data.len() as u64;
            return self.receive_early(offset, label, data).map(|()| true);
        }
        let data = &data[(next - offset) as usize..];
        if self.stopped {
            self.rope.skip(end);
        } else {
            if self.rope.runs() >= 2 * MAX_RUNS + 8 && self.rope.starts_run(label) {
                return Err(ProtocolError::TooManyLabels);
            }
            self.rope.push(label, data);
        }
        if !self.early.is_empty() {
            self.join_early();
        }
        self.since_ack += data.len() as u64;
        Ok(true)
    }

    /// Keeps what fills holes between what is kept already.
    fn receive_early(
        &mut self,
        offset: u64,
        label: &Label,
        data: &[u8],
    ) -> Result<(), ProtocolError> {
        let end = offset + data.len() as u64;
        let mut at = offset;
        if let Some((&start, segment)) = self.early.range(..=offset).next_back() {
            at = at.max(start + segment.data.len() as u64);
        }
        while at < end {
            let following = self.early.range(at..).next();
            let (hole, after) = match following {
                Some((&start, segment)) if start < end => {
                    (start, start + segment.data.len() as u64)
                }
                _ => (end, end),
            };
            if at < hole {
                self.keep_early(
                    at,
                    label,
                    &data[(at - offset) as usize..(hole - offset) as usize],
                )?;
            }
            at = after;
        }
        Ok(())
    }

    fn keep_early(&mut self, at: u64, label: &Label, data: &[u8]) -> Result<(), ProtocolError> {
        if let Some((&start, before)) = self.early.range_mut(..at).next_back()
            && before.label == *label
            && start + before.data.len() as u64 == at
        {
            before.data.extend_from_slice(data);
            return Ok(());
        }
        if self.early.len() >= MAX_SEGMENTS {
            return Err(ProtocolError::TooManyPieces);
        }
        self.early.insert(
            at,
            Segment {
                data: data.to_vec(),
                label: *label,
            },
        );
        Ok(())
    }

    /// Moves what has become contiguous.
    fn join_early(&mut self) {
        while let Some(first) = self.early.first_entry() {
            let next = self.rope.end();
            let start = *first.key();
            if start > next {
                return;
            }
            let Segment { data, label } = first.remove();
            let end = start + data.len() as u64;
            if end <= next {
                continue;
            }
            if self.stopped {
                self.rope.skip(end);
            } else if start == next {
                self.rope.push_owned(&label, data);
            } else {
                self.rope.push(&label, &data[(next - start) as usize..]);
            }
        }
    }

    /// The peer's direction ends at `end`.
    ///
    /// # Errors
    /// `BeyondEnd` when it said otherwise, or sent more.
    pub(super) fn finish(&mut self, end: u64) -> Result<(), ProtocolError> {
        let early = self.early.last_key_value();
        let seen = early.map_or(0, |(start, segment)| start + segment.data.len() as u64);
        if self.fin.is_some_and(|fin| fin != end) || end < self.next().max(seen) {
            return Err(ProtocolError::BeyondEnd);
        }
        if end > self.granted {
            return Err(ProtocolError::BeyondCredit);
        }
        self.fin = Some(end);
        Ok(())
    }

    /// Bytes given to the reader.
    pub(super) fn consumed(&self) -> u64 {
        self.rope.start()
    }

    /// Bytes kept, in order and early.
    pub(super) fn held(&self) -> usize {
        self.rope.len()
            + self
                .early
                .values()
                .map(|segment| segment.data.len())
                .sum::<usize>()
    }

    /// Whether so many bytes at this offset come next and may bypass the rope: nothing of them is here.
    pub(super) fn bypass_at(&self, offset: u64, length: u32) -> bool {
        let early = self.early.first_key_value();
        self.next() == offset
            && self.rope.is_empty()
            && early.is_none_or(|(start, _)| start.saturating_sub(offset) >= length.into())
            && !self.stopped
            && self.failure.is_none()
    }

    /// `n` bytes went to the reader directly.
    pub(super) fn bypassed(&mut self, n: usize) {
        self.rope.skip(self.next() + n as u64);
        if !self.early.is_empty() {
            self.join_early();
        }
        self.since_ack += n as u64;
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<Found, StreamError> {
        if let Some((n, label)) = self.rope.read(buf) {
            return Ok(Found::Bytes(n, label));
        }
        if self.complete() && self.refused.is_none() {
            return Ok(Found::End);
        }
        match self.refused.or(self.failure) {
            Some(failure) => Err(failure),
            None => {
                self.wanted = true;
                Ok(Found::Nothing)
            }
        }
    }

    /// Whether more is unread than the count of label changes lets us acknowledge.
    pub(super) fn ack_held(&self) -> bool {
        self.rope.runs() > MAX_RUNS
    }

    /// Nobody reads any more: what is here goes, what comes is counted and thrown away.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        // What is early stays: it was reported, so the sender will not send it again.
        self.rope.discard();
    }

    /// [`stop`](Self::stop), with an answer for whoever still reads.
    pub(super) fn refuse(&mut self, error: StreamError) {
        self.stop();
        self.refused.get_or_insert(error);
    }

    /// The direction was cut off.
    pub(super) fn fail(&mut self, failure: StreamError, keep_unread: bool) {
        if self.complete() && keep_unread {
            return;
        }
        self.failure.get_or_insert(failure);
        self.early = BTreeMap::new();
        if !keep_unread {
            self.rope.discard();
        }
    }

    /// A higher offset to grant, once half a window was consumed.
    pub(super) fn credit_due(&self) -> bool {
        self.fin.is_none()
            && self.failure.is_none()
            && (self.rope.start() + self.window).saturating_sub(self.granted)
                >= (self.window / 2).max(1)
    }

    /// Grants a window from what was consumed; the offset to tell.
    pub(super) fn grant(&mut self) -> u64 {
        self.granted = self.granted.max(self.rope.start() + self.window);
        self.granted
    }

    /// Bytes received since the last acknowledgement.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.since_ack
    }

    /// Whether to acknowledge now rather than after the delay.
    pub(super) fn ack_now(&mut self, threshold: u64) -> bool {
        self.since_ack >= threshold || self.frames_since_ack >= ACK_FRAMES
    }

    /// One more data frame has arrived.
    pub(super) fn count_frame(&mut self) {
        self.frames_since_ack += 1;
    }

    /// An acknowledgement goes out.
    pub(super) fn acknowledged(&mut self) {
        self.since_ack = 0;
        self.frames_since_ack = 0;
    }

    /// Bytes reserved, bookkeeping included.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn capacity(&self) -> usize {
        let early = self.early.values();
        let early = early.map(|s| s.data.capacity() + 2 * (size_of::<Segment>() + 8));
        self.rope.capacity() + early.sum::<usize>()
    }
}
