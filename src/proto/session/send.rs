//! The sending half of a stream: the replay buffer and what is known of each byte in it.
//!
//! A byte between the acknowledged offset and the written one is in exactly one of three places:
//! *fresh* (never sent), *flying* (sent on a path that is still there) or *lost* (sent on a path that is
//! gone, to be sent again). What the peer reported beyond its contiguous offset is remembered so that
//! it is not sent again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::MAX_RUNS;
use super::error::{ProtocolError, StreamError};
use super::ranges::Ranges;
use super::rope::{KEEP, Rope};
use crate::label::Label;

/// Ranges reported out of order that are remembered; a peer that reports more gets duplicates.
const MAX_SACKED: usize = 256;

/// Bytes on their way over one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flight {
    start: u64,
    end: u64,
    slot: u8,
}

/// How far our end has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fin {
    /// The program has not said that it is done.
    None,
    Due,
    Flying(u8),
    Acknowledged,
}

/// What a path may carry next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Data {
        offset: u64,
        length: u32,
        label: Label,
        resent: bool,
    },
    Fin {
        end: u64,
    },
}

/// The answer of [`SendHalf::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Unit(Unit),
    /// Something could go, by another path.
    Elsewhere,
    /// Nothing until credit, a path or the program changes that.
    Nothing,
}

/// Where a label may travel, as seen from one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Here,
    Elsewhere,
    Nowhere,
}

#[derive(Debug)]
pub(super) struct SendHalf {
    pub(super) rope: Rope,
    limit: usize,
    acked: u64,
    credit: u64,
    fresh: Ranges,
    lost: Ranges,
    sacked: Ranges,
    flights: VecDeque<Flight>,
    fin: Fin,
    /// Our end went out once, so the peer may acknowledge it.
    fin_told: bool,
    /// A RESET with this code is out and not answered.
    pub(super) reset: Option<u32>,
    /// What `write` and `is_shut` answer from now on.
    pub(super) failure: Option<StreamError>,
    /// Nothing more will come of this half and the peer knows.
    pub(super) done: bool,
}

impl SendHalf {
    pub(super) fn new(limit: usize, credit: u64) -> Self {
        Self {
            rope: Rope::default(),
            limit,
            acked: 0,
            credit,
            fresh: Ranges::default(),
            lost: Ranges::default(),
            sacked: Ranges::default(),
            flights: VecDeque::new(),
            fin: Fin::None,
            fin_told: false,
            reset: None,
            failure: None,
            done: false,
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.rope.end()
    }

    /// What the peer acknowledged, its end included.
    pub(super) fn acked(&self) -> u64 {
        self.acked + u64::from(self.fin == Fin::Acknowledged)
    }

    /// Everything below was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acked
    }

    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.rope.len())
    }

    /// Enough has come free to wake a writer, who would rather copy much at once.
    pub(super) fn roomy(&self) -> bool {
        self.room() >= self.limit / 4 && self.rope.runs() <= MAX_RUNS / 2
    }

    /// The program waits, or soon will, for an acknowledgement.
    pub(super) fn pressed(&self) -> bool {
        self.room() < self.limit / 16 || self.rope.runs() > MAX_RUNS / 2
    }

    pub(super) fn is_open(&self) -> bool {
        self.fin == Fin::None && self.failure.is_none() && !self.done
    }

    fn writable(&self, label: &Label) -> Result<usize, StreamError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.fin != Fin::None {
            return Err(StreamError::Shutdown);
        }
        if self.rope.runs() >= MAX_RUNS && self.rope.starts_run(label) {
            return Ok(0);
        }
        Ok(self.room())
    }

    pub(super) fn write(&mut self, label: &Label, data: &[u8]) -> Result<usize, StreamError> {
        let taken = self.writable(label)?.min(data.len());
        let start = self.written();
        self.rope.push(label, &data[..taken]);
        self.fresh.insert(start, self.written());
        Ok(taken)
    }

    pub(super) fn write_bytes(
        &mut self,
        label: &Label,
        data: &mut Bytes,
    ) -> Result<usize, StreamError> {
        let room = self.writable(label)?;
        let taken = room.min(data.len());
        let start = self.written();
        // A splinter of a large buffer is not worth a reference to the whole of it.
        if taken < KEEP {
            self.rope.push(label, &data[..taken]);
            *data = data.split_off(taken);
        } else {
            self.rope.push_bytes(label, data.split_to(taken));
        }
        self.fresh.insert(start, self.written());
        Ok(taken)
    }

    /// Says that nothing more will be written; `false` if that was said or does not matter.
    pub(super) fn finish(&mut self) -> bool {
        let first = self.is_open();
        if first {
            self.fin = Fin::Due;
        }
        first
    }

    /// Throws away what is not acknowledged; `code` is told to the peer.
    pub(super) fn abandon(&mut self, failure: StreamError, code: Option<u32>) {
        if self.done {
            return;
        }
        self.rope.discard();
        self.fresh.clear();
        self.lost.clear();
        self.sacked.clear();
        self.flights = VecDeque::new();
        self.fin = Fin::None;
        self.failure.get_or_insert(failure);
        match code {
            Some(code) => self.reset = Some(code),
            None => self.done = true,
        }
    }

    /// Whether every byte and the end were acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.fin == Fin::Acknowledged
    }

    /// Whether the end is said and the peer may know it.
    pub(super) fn fin_sent(&self) -> bool {
        self.fin_told
    }

    /// The peer has everything, by its own word, if we ever sent all of it.
    pub(super) fn acknowledge_all(&mut self) {
        self.acked = self.written();
        self.settle_acked();
        self.fin = Fin::Acknowledged;
        self.done = true;
    }

    pub(super) fn credit(&mut self, highest: u64) -> bool {
        let more = highest > self.credit;
        self.credit = self.credit.max(highest);
        more
    }

    /// Whether something waits to be sent, credit and paths aside.
    pub(super) fn wants_to_send(&self) -> bool {
        !self.fresh.is_empty() || !self.lost.is_empty() || self.fin == Fin::Due
    }

    /// Whether something sent on this path is not acknowledged yet.
    pub(super) fn flies_on(&self, slot: u8) -> bool {
        self.fin == Fin::Flying(slot) || self.flights.iter().any(|flight| flight.slot == slot)
    }

    /// Bytes sent on this path that are not acknowledged yet.
    pub(super) fn flying_on(&self, slot: u8) -> u64 {
        let flights = self.flights.iter().filter(|flight| flight.slot == slot);
        flights.map(|flight| flight.end - flight.start).sum()
    }

    /// What may go next: lost bytes before fresh ones, each label where `verdict` lets it; a forbidden
    /// run is passed over, not waited for.
    pub(super) fn next(&self, limit: usize, mut verdict: impl FnMut(&Label) -> Verdict) -> Next {
        let mut elsewhere = false;
        for (ranges, resent) in [(&self.lost, true), (&self.fresh, false)] {
            for (start, end) in ranges.iter() {
                let end = if resent { end } else { end.min(self.credit) };
                let mut at = start;
                while at < end {
                    let (label, run) = self.rope.label_at(at).expect("unsent bytes are kept");
                    let run = run.min(end);
                    match verdict(&label) {
                        Verdict::Here => {
                            return Next::Unit(Unit::Data {
                                offset: at,
                                length: (run - at).min(limit as u64) as u32,
                                label,
                                resent,
                            });
                        }
                        Verdict::Elsewhere => elsewhere = true,
                        Verdict::Nowhere => {}
                    }
                    at = run;
                }
            }
        }
        if self.fin == Fin::Due && self.fresh.is_empty() {
            return Next::Unit(Unit::Fin {
                end: self.written(),
            });
        }
        if elsewhere {
            Next::Elsewhere
        } else {
            Next::Nothing
        }
    }

    /// Records that a unit goes out on a path.
    pub(super) fn take(&mut self, unit: &Unit, slot: u8) {
        match *unit {
            Unit::Fin { .. } => {
                self.fin = Fin::Flying(slot);
                self.fin_told = true;
            }
            Unit::Data {
                offset,
                length,
                resent,
                ..
            } => {
                let end = offset + u64::from(length);
                if resent {
                    self.lost.remove(offset, end);
                } else {
                    self.fresh.remove(offset, end);
                }
                self.fly(offset, end, slot);
            }
        }
    }

    fn fly(&mut self, start: u64, end: u64, slot: u8) {
        if let Some(last) = self.flights.back_mut()
            && last.slot == slot
            && last.end == start
        {
            last.end = end;
            return;
        }
        let index = self.flights.partition_point(|f| f.start < start);
        self.flights.insert(index, Flight { start, end, slot });
    }

    /// Takes back bytes that were meant for a path and of which none went out.
    pub(super) fn untake(&mut self, start: u64, end: u64, resent: bool) {
        let start = start.max(self.acked);
        if start >= end {
            return;
        }
        let mut rest = Vec::new();
        self.flights.retain_mut(|flight| {
            if flight.end <= start || flight.start >= end {
                return true;
            }
            if flight.end > end {
                rest.push(Flight {
                    start: end,
                    ..*flight
                });
            }
            flight.end = start;
            flight.start < flight.end
        });
        for flight in rest {
            self.fly(flight.start, flight.end, flight.slot);
        }
        if resent {
            self.lose_range(start, end);
        } else {
            self.fresh.insert(start, end);
        }
    }

    fn lose_range(&mut self, start: u64, end: u64) {
        self.lost.insert(start, end);
        for (s, e) in self.sacked.iter() {
            self.lost.remove(s, e);
        }
    }

    /// A path is gone, but what flew on it arrived: it counts as flying on another.
    pub(super) fn hand_over(&mut self, slot: u8, heir: u8) {
        for flight in self.flights.iter_mut().filter(|flight| flight.slot == slot) {
            flight.slot = heir;
        }
        if self.fin == Fin::Flying(slot) {
            self.fin = Fin::Flying(heir);
        }
    }

    /// A path is gone: what flew on it is to be sent again.
    pub(super) fn lose(&mut self, slot: u8) {
        let flights = std::mem::take(&mut self.flights);
        for flight in flights {
            if flight.slot == slot {
                self.lose_range(flight.start, flight.end);
            } else {
                self.flights.push_back(flight);
            }
        }
        if self.fin == Fin::Flying(slot) {
            self.fin = Fin::Due;
        }
    }

    /// Whether an acknowledgement of this offset is of something sent.
    ///
    /// # Errors
    /// `AckOfUnsent`.
    pub(super) fn check_ack(&self, offset: u64) -> Result<(), ProtocolError> {
        let sent = match self.fresh.first() {
            Some((start, _)) => start,
            None => self.written() + u64::from(self.fin_sent()),
        };
        if offset > sent {
            return Err(ProtocolError::AckOfUnsent);
        }
        Ok(())
    }

    /// The peer has everything below `offset`, which [`check_ack`](Self::check_ack) passed.
    pub(super) fn ack(&mut self, offset: u64) {
        if offset > self.written() {
            self.fin = Fin::Acknowledged;
            self.done = true;
        }
        self.acked = self.acked.max(offset.min(self.written()));
        self.settle_acked();
    }

    fn settle_acked(&mut self) {
        let acked = self.acked;
        self.rope.release(acked);
        self.fresh.remove_below(acked);
        self.lost.remove_below(acked);
        self.sacked.remove_below(acked);
        while let Some(front) = self.flights.front_mut() {
            if front.end > acked {
                front.start = front.start.max(acked);
                break;
            }
            self.flights.pop_front();
        }
    }

    /// The peer has this range too.
    ///
    /// # Errors
    /// `AckOfUnsent`, `Malformed` for a range that is none.
    pub(super) fn sack(&mut self, start: u64, end: u64) -> Result<(), ProtocolError> {
        if start >= end {
            return Err(ProtocolError::Malformed);
        }
        if end > self.written() || self.fresh.intersects(start, end) {
            return Err(ProtocolError::AckOfUnsent);
        }
        let start = start.max(self.acked);
        if start < end && (self.sacked.len() < MAX_SACKED || self.sacked.intersects(start, end)) {
            self.sacked.insert(start, end);
            self.lost.remove(start, end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(length: usize, slots: &[u8]) -> SendHalf {
        let mut half = SendHalf::new(1 << 20, 1 << 20);
        half.write(&Label::ANY, &vec![0; length]).expect("open");
        for slot in slots {
            let piece = length / slots.len();
            let Next::Unit(unit) = half.next(piece, |_| Verdict::Here) else {
                panic!("something to send");
            };
            half.take(&unit, *slot);
        }
        half
    }

    fn next(half: &SendHalf) -> Option<(u64, u32, bool)> {
        match half.next(1 << 20, |_| Verdict::Here) {
            Next::Unit(Unit::Data {
                offset,
                length,
                resent,
                ..
            }) => Some((offset, length, resent)),
            _ => None,
        }
    }

    #[test]
    fn what_was_reported_out_of_order_is_not_sent_again() {
        let mut half = sent(300, &[0]);
        half.sack(100, 200).expect("it was sent");
        half.lose(0);
        assert_eq!(next(&half), Some((0, 100, true)));
        half.ack(100);
        assert_eq!(next(&half), Some((200, 100, true)));
        half.ack(300);
        assert_eq!(next(&half), None);
    }

    #[test]
    fn only_what_flew_on_the_lost_path_is_lost() {
        let mut half = sent(300, &[0, 1, 0]);
        half.lose(1);
        assert_eq!(next(&half), Some((100, 100, true)));
        assert!(half.flies_on(0) && !half.flies_on(1));
        half.lose(0);
        assert_eq!(next(&half), Some((0, 300, true)));
    }

    #[test]
    fn what_was_planned_and_not_sent_is_as_it_was() {
        let mut half = sent(300, &[0, 0, 0]);
        half.untake(100, 200, false);
        assert_eq!(next(&half), Some((100, 100, false)));
        assert_eq!(half.check_ack(101), Err(ProtocolError::AckOfUnsent));
        assert_eq!(half.check_ack(100), Ok(()));
    }

    #[test]
    fn reports_out_of_order_are_remembered_up_to_a_bound() {
        let mut half = sent(10_000, &[0]);
        for index in 0..5_000 {
            half.sack(2 * index, 2 * index + 1).expect("it was sent");
        }
        assert!(half.sacked.len() <= MAX_SACKED);
    }
}
