//! The sending half of a stream: the replay buffer and what is known of each byte in it.
//!
//! A byte between the acknowledged offset and the written one is in exactly one of three places: *fresh*
//! (never sent), *flying* (sent on a path that is still there) or *lost* (sent on a path that is gone or
//! no longer trusted, to be sent again). What the peer reported beyond its contiguous offset is
//! remembered so that it is not sent again.
//!
//! Each direction of a stream counts its bytes from 0. The end of a direction takes one offset more, so
//! that an acknowledgement of `final + 1` acknowledges the end. What is written stays in the replay
//! buffer until the peer's library has it. Payload carries its offset, so it may come twice, by two
//! paths, in any order; the receiver takes each byte once.

use bytes::Bytes;

use super::error::{ProtocolError, StreamError};
use super::flights::{Flight, Flights};
use super::ranges::Ranges;
use super::rope::{KEEP, Rope};
use super::{MAX_PATHS, MAX_RUNS};
use crate::label::{Label, Urgency};

/// Ranges reported out of order that are remembered; a peer that reports more gets duplicates.
const MAX_SACKED: usize = 256;

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
        /// As what they go: at least as urgent as any byte behind them.
        urgency: Urgency,
        /// The path that carries them too.
        copy: Option<u8>,
    },
    Fin {
        end: u64,
    },
}

/// The answer of [`SendHalf::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Unit(Unit),
    /// Something could go, by another path or a little later.
    Elsewhere,
    /// Nothing as urgent as was asked for, but what is less so.
    Lower,
    /// Nothing until credit, a path or the program changes that.
    Nothing,
}

/// Where a label may travel, as seen from one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Here {
        /// Bytes at most, so that what is more urgent does not wait long behind them.
        chunk: u64,
        /// The path that is to carry them too.
        copy: Option<u8>,
    },
    /// By another path, or later.
    Elsewhere,
    Nowhere,
}

/// What asks for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking<'a> {
    /// So many bytes of a label.
    Bytes(&'a Label, u64),
    /// The end of a stream, which any path may tell.
    End,
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
    flights: Flights,
    /// The urgency of what was written last.
    latest: Urgency,
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
            flights: Flights::default(),
            latest: Urgency::Default,
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
        self.latest = label.urgency();
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
        self.latest = label.urgency();
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
        self.flights = Flights::default();
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
        self.fin == Fin::Flying(slot) || self.flying_on(slot) > 0
    }

    /// Bytes sent on this path that are not acknowledged yet.
    pub(super) fn flying_on(&self, slot: u8) -> u64 {
        self.flights.by_slot()[usize::from(slot)]
    }

    /// The same of every path, the end counted as one more.
    pub(super) fn flying(&self) -> [u64; MAX_PATHS] {
        let mut flying = *self.flights.by_slot();
        if let Fin::Flying(slot) = self.fin {
            flying[usize::from(slot)] += 1;
        }
        flying
    }

    /// Those of them that nobody waits for.
    pub(super) fn background_on(&self, slot: usize) -> u64 {
        self.flights.background()[slot]
    }

    /// Whether there are such on any path.
    pub(super) fn has_background(&self) -> bool {
        *self.flights.background() != [0; MAX_PATHS]
    }

    /// How urgent the next byte to be sent is: as the most urgent one behind it.
    pub(super) fn urgency(&self) -> Urgency {
        let first = |ranges: &Ranges| ranges.first().map_or(u64::MAX, |(start, _)| start);
        let first = first(&self.lost).min(first(&self.fresh));
        self.rope.urgency_from(first).unwrap_or(self.latest)
    }

    /// Bytes that could be sent now if a path took them.
    pub(super) fn unsent(&self) -> u64 {
        let lost = self.lost.iter().map(|(start, end)| end - start);
        let fresh = self.fresh.iter();
        let fresh = fresh.map(|(start, end)| end.min(self.credit).saturating_sub(start));
        lost.chain(fresh).fold(0, u64::saturating_add)
    }

    /// What may go next of what is at least as urgent as `turn`: lost bytes before fresh ones, each
    /// label where `verdict` lets it; a forbidden run is passed over, not waited for.
    pub(super) fn next(
        &self,
        limit: usize,
        turn: Urgency,
        mut verdict: impl FnMut(Asking<'_>) -> Verdict,
    ) -> Next {
        let reach = self.rope.reach(turn);
        let mut elsewhere = false;
        let mut lower = false;
        for (ranges, resent) in [(&self.lost, true), (&self.fresh, false)] {
            for (start, end) in ranges.iter() {
                let end = if resent { end } else { end.min(self.credit) };
                lower |= end > reach.max(start);
                let end = end.min(reach);
                let mut at = start;
                while at < end {
                    let (label, run) = self.rope.label_at(at).expect("unsent bytes are kept");
                    let run = run.min(end);
                    match verdict(Asking::Bytes(&label, run - at)) {
                        Verdict::Here { chunk, copy } => {
                            let most = chunk.clamp(1, limit as u64);
                            return Next::Unit(Unit::Data {
                                offset: at,
                                length: (run - at).min(most) as u32,
                                label,
                                resent,
                                urgency: turn,
                                copy,
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
            if matches!(verdict(Asking::End), Verdict::Here { .. }) {
                return Next::Unit(Unit::Fin {
                    end: self.written(),
                });
            }
            elsewhere = true;
        }
        match (elsewhere, lower) {
            (true, _) => Next::Elsewhere,
            (false, true) => Next::Lower,
            (false, false) => Next::Nothing,
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
                urgency,
                ..
            } => {
                let end = offset + u64::from(length);
                if resent {
                    self.lost.remove(offset, end);
                } else {
                    self.fresh.remove(offset, end);
                }
                self.flights.fly(Flight {
                    start: offset,
                    end,
                    slot,
                    background: urgency == Urgency::Background,
                });
            }
        }
    }

    /// Takes back bytes that were meant for a path and of which none went out.
    pub(super) fn untake(&mut self, start: u64, end: u64, resent: bool) {
        let start = start.max(self.acked);
        if start >= end {
            return;
        }
        self.flights.ground(start, end);
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

    /// A path is gone, or not trusted to deliver: what flew on it is to be sent again.
    pub(super) fn lose(&mut self, slot: u8) {
        if !self.flies_on(slot) {
            return;
        }
        for flight in self.flights.lose(slot) {
            self.lose_range(flight.start, flight.end);
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
        self.flights.settle(acked);
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
            self.flights.ground(start, end);
        }
        Ok(())
    }
}

#[cfg(test)]
impl SendHalf {
    /// Every byte that is not acknowledged is fresh, flying, lost or reported, and no more than one of the
    /// first three; what is counted is what there is.
    pub(super) fn check(&self) {
        let mut places = self.flights.check();
        places.extend(self.fresh.iter().chain(self.lost.iter()));
        places.sort_unstable();
        assert!(
            places.windows(2).all(|two| two[0].1 <= two[1].0),
            "{self:?}"
        );
        if self.failure.is_some() || self.done {
            return;
        }
        let mut all = Ranges::default();
        for (start, end) in places.into_iter().chain(self.sacked.iter()) {
            all.insert(start, end);
        }
        let whole = (self.acked < self.written()).then_some((self.acked, self.written()));
        assert_eq!(
            all.iter().collect::<Vec<_>>(),
            Vec::from_iter(whole),
            "{self:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Verdict = Verdict::Here {
        chunk: u64::MAX,
        copy: None,
    };

    fn sent(length: usize, slots: &[u8]) -> SendHalf {
        let mut half = SendHalf::new(1 << 20, 1 << 20);
        half.write(&Label::ANY, &vec![0; length]).expect("open");
        for slot in slots {
            let piece = length / slots.len();
            let Next::Unit(unit) = half.next(piece, Urgency::Default, |_| HERE) else {
                panic!("something to send");
            };
            half.take(&unit, *slot);
        }
        half
    }

    fn next(half: &SendHalf) -> Option<(u64, u32, bool)> {
        match half.next(1 << 20, Urgency::Default, |_| HERE) {
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
