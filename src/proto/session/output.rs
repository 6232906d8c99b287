//! What is told on which path, and when it was written.

use std::time::Instant;

use super::error::PathEnd;
use super::frame::kind;
use super::path::{Closing, Path};
use super::stream::due;
use super::{PathId, Phase, Session, StreamId};
use crate::label::Urgency;

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
        let several = self.several_open();
        let Some(path) = self.paths[slot].as_mut() else {
            return;
        };
        let before = path.stats.payload_sent + path.stats.payload_resent;
        let background = path.outbox.background();
        path.outbox.written(n, &mut path.stats);
        for id in path.outbox.begun_messages.drain(..) {
            self.messages.written(id);
        }
        if path.outbox.background() < background {
            self.held_since[Urgency::Background as usize] = Some(now);
        }
        let payload = path.stats.payload_sent + path.stats.payload_resent > before;
        path.took(now, n, payload, several);
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
        !self.ready.is_empty()
            || !self.telling.is_empty()
            || self.messages.has_plans()
            || resuming()
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
        let planned = self.plan_data(now, slot);
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
        let company = planned || !self.telling.is_empty() || self.messages.wants_tell();
        if company && (pause || self.acks_press(now)) {
            self.tell_waiting_acks();
        }
        self.tell_messages(slot, TELL);
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

    /// Where acknowledgements, credit and the like go: any path will do. One that is trusted and where
    /// something came last is best known to work; one that is being retired is used only if there is no
    /// other.
    pub(super) fn telling_slot(&self) -> Option<usize> {
        let open = self.open_slots();
        open.filter_map(|slot| Some((slot, self.paths[slot].as_ref()?)))
            .filter(|(_, path)| path.closing == Closing::No)
            .max_by_key(|(_, path)| {
                let staying = !path.retiring && !path.peer_retired;
                (staying, !path.trust.suspect, path.heard_at, path.serial)
            })
            .map(|(slot, _)| slot)
    }

    /// Tells what is due of one stream on a path.
    fn tell(&mut self, now: Instant, slot: usize, id: StreamId) {
        let stream = self.streams.get(&id);
        let withheld = stream.is_some_and(|stream| self.withholds(&stream.label));
        let (Some(path), Some(stream)) = (self.paths[slot].as_mut(), self.streams.get_mut(&id))
        else {
            return;
        };
        if stream.must_open_on(slot) {
            stream.open_on(slot, path);
        }
        if withheld {
            stream.due &= !due::CREDIT;
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
        self.messages.tell_again();
        self.tell_messages(slot, 4 * TELL);
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
