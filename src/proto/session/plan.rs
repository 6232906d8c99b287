//! What payload goes on which path next.
//!
//! The more urgent first, streams of one urgency in turn; a stream is as urgent as the most urgent byte
//! behind its next one. Nothing is planned much before its path takes it, and what was planned and not
//! begun is overtaken by what is more urgent. Background that waited for [`STARVATION`] goes before
//! everything, one chunk at a time; so does, before the traffic of other sessions, what those of more
//! priority held back for so long.

use std::time::{Duration, Instant};

use super::choose::{Chooser, Judge, Round};
use super::frame::{DATA_HEADER, DataHeader, kind, put_offset};
use super::outbox::{Back, Push};
use super::ready::{TURNS, lower};
use super::send::{Next, Unit};
use super::{MAX_PATHS, Measure, Session, StreamId};
use crate::label::{Label, Urgency};
use crate::proto::schedule::gate::Queue;
use crate::proto::schedule::meter::Meter;
use crate::proto::schedule::{self, STARVATION};

/// Data frames are planned up to this many unwritten bytes on the only path.
const PLAN: usize = 1 << 20;
/// They are planned again when fewer than this are left.
const PLAN_AGAIN: usize = 512 << 10;
/// A frame on a path whose bandwidth nobody knows, if others wait for it.
const CHUNK_UNKNOWN: u64 = 32 << 10;
/// How often to look whether background that is overdue may go by now.
const OVERDUE: Duration = Duration::from_secs(1);
/// A second path takes copies of interactive frames up to so many unwritten bytes.
pub(super) const COPIES: usize = 64 << 10;

/// Lets so many bytes pass in any second, less what a path may have been given and take late.
pub(super) fn meter(rate: u64) -> Meter {
    Meter::new((rate - rate / 20).max(1))
}

/// Bytes that make a frame where others wait for the path: of one of which nobody knows how fast it is,
/// not many.
pub(super) fn chunk(path: &Measure) -> u64 {
    let few = schedule::chunk(path);
    match path.bandwidth {
        Some(_) => few,
        None => few.min(CHUNK_UNKNOWN),
    }
}

enum Planned {
    /// A frame, and the stream has more.
    Some,
    /// A frame, and that was all.
    Last,
    /// Nothing here; another path, or a later moment, will take it.
    Waits,
    /// Nothing so urgent.
    Lower,
    /// Nothing until credit, a path or the program changes that.
    Nothing,
}

impl Session {
    /// Payload of this urgency went or came.
    pub(super) fn notice(&mut self, now: Instant, urgency: Urgency) {
        self.had_background |= urgency == Urgency::Background;
        match urgency {
            Urgency::Interactive => self.interactive = Some(now),
            _ => self.bulk = Some(now),
        }
    }

    /// Plans data frames on a path; whether there were any.
    pub(super) fn plan_data(&mut self, now: Instant, slot: usize) -> bool {
        let carries = self.paths[slot].as_ref().is_some_and(|p| p.carries());
        if !carries || (self.ready.is_empty() && !self.messages.waits_at_all()) {
            return false;
        }
        self.sound(now, slot);
        let mut round = self.round(now);
        self.count_acknowledged(&round);
        let mut planned = false;
        for turn in TURNS {
            let starved = |at| now.saturating_duration_since(at) >= STARVATION;
            if self.held_since[turn as usize].is_some_and(starved) {
                planned |= self.feed(slot, turn, &mut round);
            }
        }
        for turn in TURNS {
            if self.waits(turn) && self.plan_turn(slot, turn, &mut round, usize::MAX) {
                planned = true;
                if turn != Urgency::Background {
                    self.held_since[turn as usize] = None;
                }
            }
        }
        self.mind_background(now, &mut round);
        self.mind_outranked(&round);
        self.pace = self.pace.into_iter().chain(round.pace).min();
        planned
    }

    /// Moves a chunk of what waited too long; whether one was planned. It is overdue until one moves: this
    /// path may not take it, or what limits it give nothing now.
    fn feed(&mut self, slot: usize, turn: Urgency, round: &mut Round) -> bool {
        if turn == Urgency::Background {
            let path = self.paths[slot].as_mut();
            if let Some(path) = path.filter(|path| path.outbox.background() > 0) {
                path.outbox.feed_background();
                self.held_since[turn as usize] = Some(round.now);
                return false;
            }
        }
        round.starved = Some(turn);
        let planned = self.plan_turn(slot, turn, round, 1);
        round.starved = None;
        if planned {
            self.held_since[turn as usize] = Some(round.now);
        }
        planned
    }

    /// What arrived by paths whose link does not tell: the more, the more they are given.
    fn count_acknowledged(&mut self, round: &Round) {
        if !round.several && !self.waits_at_gates(round.lively) {
            return;
        }
        for (slot, path) in self.paths.iter_mut().enumerate() {
            if let Some(path) = path.as_mut().filter(|path| !path.trust.measured) {
                let given = path.stats.payload_sent + path.stats.payload_resent;
                let flown = round.flown[slot].saturating_sub(path.outbox.queued() as u64);
                path.measure.acknowledged = given.saturating_sub(flown);
            }
        }
    }

    /// Whether something of this urgency waits to be sent.
    pub(super) fn waits(&self, turn: Urgency) -> bool {
        self.ready.waits(turn) || self.messages.waits(turn)
    }

    /// Whether something waits of an urgency that goes through a gate.
    pub(super) fn waits_at_gates(&self, lively: bool) -> bool {
        let gated = |turn: &Urgency| Queue::of(*turn, lively) != Queue::Any;
        TURNS
            .iter()
            .filter(|turn| gated(turn))
            .any(|turn| self.waits(*turn))
    }

    pub(super) fn round(&self, now: Instant) -> Round {
        let mut around = self.around;
        around.interactive = around.interactive.max(self.interactive);
        if self.ready.waits(Urgency::Interactive) {
            around.interactive = Some(now);
        }
        let lively = around.is_active(now);
        let carrying = || self.paths.iter().flatten().filter(|path| path.carries());
        let several = self.several_open() && carrying().count() > 1;
        let mut flown = [0; MAX_PATHS];
        if several || self.waits_at_gates(lively) {
            for (slot, path) in self.paths.iter().enumerate() {
                if path.as_ref().is_some_and(|path| !path.trust.measured) {
                    flown[slot] = self.flying_on(slot);
                }
            }
        }
        Round {
            now,
            several,
            lively,
            // What is starved is not to wait behind a long frame.
            brisk: several || lively || around.ranked || self.waits(Urgency::Background),
            starved: None,
            around,
            backlog: 0,
            flown,
            pace: None,
        }
    }

    /// Notes since when background waits, and when that is too long.
    fn mind_background(&mut self, now: Instant, round: &mut Round) {
        let planned = |path: &super::path::Path| path.outbox.background() > 0;
        let waits = self.waits(Urgency::Background)
            || (self.open_slots()).any(|slot| self.paths[slot].as_deref().is_some_and(planned));
        if !waits {
            self.held_since[Urgency::Background as usize] = None;
            return;
        }
        let since = *self.held_since[Urgency::Background as usize].get_or_insert(now);
        let due = since.checked_add(STARVATION);
        // What is overdue goes with whatever lets it: this is for what nobody tells of.
        let again = now.checked_add(OVERDUE);
        let due = due.map(|due| if due > now { due } else { again.unwrap_or(due) });
        round.pace = round.pace.into_iter().chain(due).min();
    }

    /// Notes since when the rest waits for sessions of more priority. Whoever is outranked looks again
    /// soon anyhow, so no time is asked for.
    fn mind_outranked(&mut self, round: &Round) {
        let some = round.around.outranked != [0; MAX_PATHS];
        for turn in [Urgency::Interactive, Urgency::Default] {
            let outranked = |slot| round.around.outranks(slot, turn);
            if !some || !(0..MAX_PATHS).any(outranked) || !self.waits(turn) {
                self.held_since[turn as usize] = None;
            } else {
                self.held_since[turn as usize].get_or_insert(round.now);
            }
        }
    }

    /// How many unwritten bytes may be planned on a path, and whether it is time for more.
    fn room(&self, slot: usize, turn: Urgency, round: &Round) -> (usize, bool) {
        let Some(path) = &self.paths[slot] else {
            return (0, false);
        };
        let queued = path.outbox.before(turn);
        if self.meter.is_some() {
            // What was let go must not pile up before a link that takes nothing.
            return (PLAN, queued == 0);
        }
        // Nor what limits of the process let go.
        let piled = !path.outbox.tolls.is_empty() && queued > 0;
        // What is planned goes, whatever other sessions have to send meanwhile.
        let yields = round.around.ranked || turn == Urgency::Background;
        if !round.several && !yields {
            return (PLAN, queued < PLAN_AGAIN && !piled);
        }
        let chunk = usize::try_from(round.chunk(path, turn)).unwrap_or(PLAN);
        let limit = chunk.saturating_mul(2).min(PLAN);
        (limit, queued < limit && !piled)
    }

    /// Plans what is of one urgency, streams in turn, at most so many frames.
    fn plan_turn(
        &mut self,
        slot: usize,
        turn: Urgency,
        round: &mut Round,
        mut most: usize,
    ) -> bool {
        let (limit, due) = self.room(slot, turn, round);
        if !due && round.starved.is_none() {
            return false;
        }
        round.backlog = 0;
        if round.several || turn == Urgency::Background {
            let streams = self.ready.iter(turn).filter_map(|id| self.streams.get(&id));
            let unsent = self.messages.unsent(turn);
            round.backlog = streams.fold(unsent, |sum, s| sum.saturating_add(s.send.unsent()));
        }
        // Messages and streams in turn: there may always be more of either.
        let mut planned = false;
        let first = self.streams_first[turn as usize];
        for streams in [first, !first] {
            let some = match streams {
                true => self.plan_streams(slot, turn, round, limit, &mut most),
                false => self.plan_messages(slot, turn, round, limit, &mut most),
            };
            if some && !planned {
                self.streams_first[turn as usize] = !streams;
            }
            planned |= some;
        }
        planned
    }

    /// Plans streams of an urgency in turn, at most so many frames and up to so many unwritten bytes.
    fn plan_streams(
        &mut self,
        slot: usize,
        turn: Urgency,
        round: &mut Round,
        limit: usize,
        most: &mut usize,
    ) -> bool {
        let mut planned = false;
        let mut passed_over = 0;
        let queued = |session: &Self| {
            let path = session.paths[slot].as_ref();
            path.map_or(usize::MAX, |path| path.outbox.before(turn))
        };
        while *most > 0
            && passed_over < self.ready.len(turn)
            && (queued(self) < limit || round.starved.is_some())
        {
            let Some(id) = self.ready.pop(turn) else {
                break;
            };
            match self.plan_unit(slot, id, turn, round) {
                Planned::Some => {
                    self.ready.push(turn, id);
                    (planned, passed_over, *most) = (true, 0, *most - 1);
                }
                Planned::Last => {
                    self.stand(id, None);
                    (planned, passed_over, *most) = (true, 0, *most - 1);
                }
                Planned::Waits => {
                    passed_over += 1;
                    self.ready.push(turn, id);
                }
                Planned::Lower => self.stand(id, lower(turn)),
                Planned::Nothing => self.stand(id, None),
            }
        }
        planned
    }

    /// How long a frame may be now; `None` while the rate is used up.
    pub(super) fn metered(&mut self, round: &mut Round) -> Option<usize> {
        let limit = self.config.frame_limit();
        let Some(meter) = &mut self.meter else {
            return Some(limit);
        };
        let room = usize::try_from(meter.room(round.now)).unwrap_or(usize::MAX);
        let room = room.saturating_sub(DATA_HEADER);
        if room == 0 {
            round.pace = round.pace.into_iter().chain(meter.next(round.now)).min();
            return None;
        }
        Some(limit.min(room))
    }

    /// A frame of so much payload was planned, perhaps twice.
    pub(super) fn spend(&mut self, now: Instant, length: u64, twice: bool) {
        if let Some(meter) = &mut self.meter {
            for _ in 0..1 + u8::from(twice) {
                meter.spend(now, length + DATA_HEADER as u64);
            }
        }
    }

    /// A stream that was taken from its queue stands in another, or in none.
    fn stand(&mut self, id: StreamId, urgency: Option<Urgency>) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ready = urgency;
            if let Some(urgency) = urgency {
                self.ready.push(urgency, id);
            }
        }
    }

    fn plan_unit(
        &mut self,
        slot: usize,
        id: StreamId,
        turn: Urgency,
        round: &mut Round,
    ) -> Planned {
        let Some(limit) = self.metered(round) else {
            return Planned::Waits;
        };
        let Some(stream) = self.streams.get_mut(&id) else {
            return Planned::Nothing;
        };
        let judge = Judge::of(&self.policy, self.role);
        let mut chooser = Chooser::of(judge, &mut self.paths, round, (slot, turn));
        let next = (stream.send).next(limit, turn, |asking| chooser.verdict(asking));
        let unit = match next {
            Next::Nothing => return Planned::Nothing,
            Next::Lower => return Planned::Lower,
            Next::Elsewhere => return Planned::Waits,
            Next::Unit(unit) => unit,
        };
        if !self.push(slot, id, &unit, round) {
            return Planned::Waits;
        }
        if let Unit::Data { length, copy, .. } = unit {
            self.notice(round.now, turn);
            self.spend(round.now, length.into(), copy.is_some());
            let length = u64::from(length);
            round.backlog = round.backlog.saturating_sub(length);
            round.flown[slot] += length;
            if let Some(other) = copy {
                self.push_copy(usize::from(other), id, &unit);
            }
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return Planned::Nothing;
        };
        stream.send.take(&unit, slot as u8);
        if stream.send.wants_to_send() {
            Planned::Some
        } else {
            Planned::Last
        }
    }

    /// Puts a unit into a path's outbox; `false` if its label cannot have a number there now.
    fn push(&mut self, slot: usize, id: StreamId, unit: &Unit, round: &Round) -> bool {
        let label = match unit {
            Unit::Data { label, .. } => Some(label),
            Unit::Fin { .. } => None,
        };
        if !self.introduce(slot, id, label) {
            return false;
        }
        let (Some(path), Some(stream)) = (self.paths[slot].as_mut(), self.streams.get(&id)) else {
            return false;
        };
        let out = &mut path.outbox;
        match unit {
            Unit::Fin { end } => {
                put_offset(&mut out.control, kind::FIN, id, *end);
                path.owes_since.get_or_insert(round.now);
                path.trust.since.get_or_insert(round.now);
            }
            Unit::Data {
                offset,
                length,
                label,
                resent,
                urgency,
                copy,
            } => {
                let header = DataHeader {
                    waiting: stream.send.pressed(),
                    label: path.numbers.number(label, &mut out.control),
                    stream: id,
                    offset: *offset,
                    payload: *length,
                };
                let back = match *resent || copy.is_some() {
                    true => Back::Lost,
                    false => Back::Fresh,
                };
                out.push(Push {
                    header,
                    label,
                    urgency: round.rank(*urgency),
                    resent: *resent,
                    back,
                });
            }
        }
        true
    }

    /// The same bytes go by a second path too, if that is not busy with others.
    fn push_copy(&mut self, slot: usize, id: StreamId, unit: &Unit) {
        let Unit::Data {
            offset,
            length,
            label,
            urgency,
            ..
        } = unit
        else {
            return;
        };
        let busy = |path: &super::path::Path| path.outbox.before(*urgency) >= COPIES;
        if self.paths[slot].as_deref().is_none_or(busy) || !self.introduce(slot, id, Some(label)) {
            return;
        }
        if let Some(path) = self.paths[slot].as_mut() {
            let header = DataHeader {
                waiting: false,
                label: path.numbers.number(label, &mut path.outbox.control),
                stream: id,
                offset: *offset,
                payload: *length,
            };
            path.outbox.push(Push {
                header,
                label,
                urgency: *urgency,
                resent: true,
                back: Back::Copy,
            });
        }
    }

    /// Says OPEN of a stream where a path needs it. A number that a waiting frame uses cannot be given
    /// another meaning before that is sent: `false` then.
    fn introduce(&mut self, slot: usize, id: StreamId, label: Option<&Label>) -> bool {
        let (Some(path), Some(stream)) = (self.paths[slot].as_mut(), self.streams.get_mut(&id))
        else {
            return false;
        };
        let opening = stream.must_open_on(slot);
        if path.outbox.has_frames() {
            let numbers = &mut path.numbers;
            let redefines = opening && numbers.would_redefine(&stream.label)
                || label.is_some_and(|label| numbers.would_redefine(label));
            if redefines {
                return false;
            }
        }
        if opening {
            stream.open_on(slot, path);
        }
        true
    }
}
