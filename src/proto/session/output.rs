//! What goes on which path, and when it was written.

use std::time::Instant;

use super::choose::Judge;
use super::error::PathEnd;
use super::frame::{DataHeader, kind, put_offset};
use super::path::{Closing, Path};
use super::send::{Next, Unit};
use super::stream::due;
use super::{PathId, Phase, Role, Session, StreamId};

/// Data frames are planned up to this many unwritten bytes on a path..
const PLAN: usize = 1 << 20;
/// ..and again when fewer than this are left.
const PLAN_AGAIN: usize = 512 << 10;
/// With so many control bytes unwritten nothing more is told: it stays due, and what is due of a stream
/// is told once, however often it changes meanwhile.
const TELL: usize = 8 << 10;

/// Received bytes whose acknowledgement goes with the next frame, however fresh.
const COMPANY: u64 = 4096;

impl Session {
    /// The link took `n` bytes of what [`transmit`](Self::transmit) gave last.
    pub fn transmitted(&mut self, now: Instant, path: PathId, n: usize) {
        let Some(slot) = self.slot(path) else {
            return;
        };
        let Some(path) = self.paths[slot].as_mut() else {
            return;
        };
        let before = path.stats.payload_sent + path.stats.payload_resent;
        path.outbox.written(n, &mut path.stats);
        let payload = path.stats.payload_sent + path.stats.payload_resent > before;
        if payload {
            path.owes_since.get_or_insert(now);
        }
        if !path.outbox.is_empty() {
            return;
        }
        if path.closing == Closing::Answered {
            self.end_path(now, slot, PathEnd::SessionClosed);
        } else if path.peer_retired {
            self.check_retired(now, slot);
        }
    }

    /// Whether a path may have something to write, which most calls after a read do not.
    pub fn wants_transmit(&self, path: PathId) -> bool {
        let Some(slot) = self.slot(path) else {
            return false;
        };
        self.has_plans(slot) || (self.paths[slot].as_ref()).is_some_and(|p| !p.outbox.is_empty())
    }

    fn has_plans(&self, slot: usize) -> bool {
        let resuming = || self.paths[slot].as_ref().is_some_and(|p| p.resume_due);
        !self.ready.is_empty() || !self.telling.is_empty() || resuming()
    }

    /// Puts into a path's outbox what should go on it now.
    pub(super) fn plan(&mut self, now: Instant, slot: usize) {
        if matches!(self.phase, Phase::Over(_)) || !self.has_plans(slot) {
            return;
        }
        let telling = self.telling_slot() == Some(slot);
        if self.paths[slot].as_ref().is_some_and(|p| p.resume_due) {
            self.tell_all(now, slot);
        }
        let planned = self.plan_data(slot);
        let brisk = self.config.ack_delay / 8;
        let pause = self
            .planned
            .is_none_or(|last| now.saturating_duration_since(last) > brisk);
        if planned {
            self.planned = Some(now);
        }
        let control = |path: &Path| path.outbox.control_left();
        if !telling || self.paths[slot].as_deref().map_or(0, control) >= TELL {
            return;
        }
        let company = planned || !self.telling.is_empty();
        if company && (pause || self.acks_press(now)) {
            self.tell_waiting_acks();
        }
        while let Some(id) = self.telling.pop_front() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.listed = false;
                self.tell(now, slot, id);
            }
        }
    }

    /// Whether acknowledgements that wait go with the next frame also in a brisk conversation. Small
    /// fresh ones wait there for more, which spares both ends half their frames; after a pause they go
    /// along, for the next frame may come too late to carry them.
    fn acks_press(&self, now: Instant) -> bool {
        let soon = now + self.config.ack_delay / 2;
        self.ack_deadline.is_some_and(|at| at <= soon)
            || self.ack_waits.iter().any(|id| {
                let stream = self.streams.get(id);
                stream.is_some_and(|stream| stream.receive.unacknowledged() >= COMPANY)
            })
    }

    /// Where acknowledgements, credit and the like go: any path will do, the latest is best known to
    /// work; one that is being retired only if there is no other.
    pub(super) fn telling_slot(&self) -> Option<usize> {
        let open = self.paths.iter().enumerate();
        open.filter_map(|(slot, path)| Some((slot, path.as_ref()?)))
            .filter(|(_, path)| path.closing == Closing::No)
            .max_by_key(|(_, path)| (!path.retiring && !path.peer_retired, path.serial))
            .map(|(slot, _)| slot)
    }

    /// Plans data frames on a path, streams in turn; whether there were any.
    fn plan_data(&mut self, slot: usize) -> bool {
        let carries = |session: &Self| session.paths[slot].as_ref().is_some_and(|p| p.carries());
        let queued = |session: &Self| {
            session.paths[slot]
                .as_ref()
                .map_or(0, |p| p.outbox.queued())
        };
        if self.ready.is_empty() || !carries(self) || queued(self) >= PLAN_AGAIN {
            return false;
        }
        let mut planned = false;
        let mut passed_over = 0;
        while passed_over < self.ready.len() && queued(self) < PLAN {
            let Some(id) = self.ready.pop_front() else {
                break;
            };
            match self.plan_unit(slot, id) {
                Planned::Some => {
                    planned = true;
                    passed_over = 0;
                    self.ready.push_back(id);
                }
                Planned::Last => {
                    planned = true;
                    passed_over = 0;
                    self.unready(id);
                }
                Planned::Waits => {
                    passed_over += 1;
                    self.ready.push_back(id);
                }
                Planned::Nothing => self.unready(id),
            }
        }
        planned
    }

    fn unready(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ready = false;
        }
    }

    fn plan_unit(&mut self, slot: usize, id: StreamId) -> Planned {
        let judge = Judge {
            policy: &self.policy,
            dialler: self.role == Role::Dialler,
        };
        let limit = self.config.frame_limit();
        let Some(stream) = self.streams.get_mut(&id) else {
            return Planned::Nothing;
        };
        let paths = &mut self.paths;
        let next = (stream.send).next(limit, |label| judge.verdict(paths, slot, label));
        let unit = match next {
            Next::Nothing => return Planned::Nothing,
            Next::Elsewhere => return Planned::Waits,
            Next::Unit(unit) => unit,
        };
        let Some(path) = self.paths[slot].as_mut() else {
            return Planned::Waits;
        };
        let opening = stream.must_open_on(slot);
        if path.outbox.has_frames() {
            // A number that a waiting frame uses cannot be given another meaning before it is sent.
            let numbers = &mut path.numbers;
            let mut redefines = opening && numbers.would_redefine(&stream.label);
            if let Unit::Data { label, .. } = &unit {
                redefines |= numbers.would_redefine(label);
            }
            if redefines {
                return Planned::Waits;
            }
        }
        if opening {
            stream.open_on(slot, path);
        }
        let out = &mut path.outbox;
        match unit {
            Unit::Fin { end } => put_offset(&mut out.control, kind::FIN, id, end),
            Unit::Data {
                offset,
                length,
                label,
                resent,
            } => {
                let header = DataHeader {
                    waiting: stream.send.pressed(),
                    label: path.numbers.number(&label, &mut out.control),
                    stream: id,
                    offset,
                    payload: length,
                };
                out.push(header, &label, resent);
            }
        }
        stream.send.take(&unit, slot as u8);
        if stream.send.wants_to_send() {
            Planned::Some
        } else {
            Planned::Last
        }
    }

    /// Tells what is due of one stream on a path.
    fn tell(&mut self, now: Instant, slot: usize, id: StreamId) {
        let (Some(path), Some(stream)) = (self.paths[slot].as_mut(), self.streams.get_mut(&id))
        else {
            return;
        };
        if stream.must_open_on(slot) {
            stream.open_on(slot, path);
        }
        let acknowledges = stream.due & due::ACK != 0;
        if acknowledges && stream.ack_waits {
            self.ack_waits.retain(|waiting| *waiting != id);
            if self.ack_waits.is_empty() {
                self.ack_deadline = None;
            }
        }
        stream.tell(&mut path.outbox.control);
        if stream.finished() {
            self.settle(now, id);
        }
    }

    /// The whole state, as the first thing on a path: OPEN of what the peer may not know, what we have
    /// of each stream, what it may send, and RESUME.
    fn tell_all(&mut self, now: Instant, slot: usize) {
        for stream in self.streams.values_mut() {
            let Some(path) = self.paths[slot].as_mut() else {
                return;
            };
            if stream.must_open_on(slot) {
                stream.open_on(slot, path);
            }
            let bits = stream.due_again();
            stream.due = bits;
            stream.tell(&mut path.outbox.control);
        }
        self.ack_waits.clear();
        self.ack_deadline = None;
        if let Some(path) = self.paths[slot].as_mut() {
            path.resume_due = false;
            path.outbox.push_bare(kind::RESUME);
        }
        let finished: Vec<StreamId> = (self.streams.values())
            .filter_map(|stream| stream.finished().then_some(stream.id))
            .collect();
        for id in finished {
            self.settle(now, id);
        }
        self.repeat_close(slot);
    }
}

enum Planned {
    /// A frame, and the stream has more.
    Some,
    /// A frame, and that was all.
    Last,
    /// Nothing here; another path, or a later moment, will take it.
    Waits,
    /// Nothing until credit, a path or the program changes that.
    Nothing,
}
