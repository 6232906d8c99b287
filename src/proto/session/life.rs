//! Paths that come and go, time that passes, and the session's end.
//!
//! `shutdown` is done when the end is acknowledged. `release` is `shutdown` in the background and STOP.
//! A session that was told to close says CLOSE 0 once every stream is finished, and goes on answering
//! until CLOSED, or until 3 s after its last path closed; an end that it has said is not turned into an
//! error by a lost last word. CLOSE with another code ends everything at once. The grace counts from the
//! loss of the last path, at the listener 10 % longer. What ended a session is one reason, told to every
//! stream that was not finished, and the same ever after; what had arrived in order can still be read,
//! but after an abort.

use std::time::{Duration, Instant};

use super::choose::Judge;
use super::error::{AttachError, CloseReason, PathEnd, StreamError};
use super::frame::{kind, put_close, put_facts_frame, put_lost};
use super::outbox::{Back, Source};
use super::path::{Closing, Ended, Path};
use super::stream::due;
use super::{Event, MAX_PATHS, PathId, PathSides, PathStats, Phase, Role, Session, StreamId, Wake};
use crate::label::matching::PathFacts;

impl Session {
    // ---- the session's end

    /// No more opens; closes once every stream is finished.
    pub fn close(&mut self, now: Instant) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            let unclaimed: Vec<_> = self.incoming.drain(..).collect();
            for id in unclaimed {
                self.reset(now, id, 0);
                self.release(now, id);
            }
            self.check_drained(now);
        }
    }

    /// Ends at once, telling the peer on any path.
    pub fn abort(&mut self, now: Instant, reason: CloseReason) {
        self.end(now, reason);
    }

    /// Why it is over, once it is.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.phase {
            Phase::Over(reason) => Some(reason),
            _ => None,
        }
    }

    /// Says CLOSE when a closing session has nothing left to do.
    pub(super) fn check_drained(&mut self, now: Instant) {
        let open = self.streams.values().any(|s| !s.finished());
        if self.phase != Phase::Draining || open || !self.messages.is_settled() {
            return;
        }
        self.phase = Phase::Saying;
        self.finished = Some(now);
        self.tell_messages_everywhere();
        for path in self.paths.iter_mut().flatten() {
            put_close(&mut path.outbox.control, CloseReason::Finished.code());
        }
    }

    /// The session is over.
    pub(super) fn end(&mut self, now: Instant, reason: CloseReason) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        let said = self.phase == Phase::Saying;
        self.phase = Phase::Over(reason);
        self.finished = Some(now);
        (self.ack_deadline, self.pace) = (None, None);
        self.incoming.clear();
        self.ready.clear();
        self.telling.clear();
        self.ack_waits.clear();
        self.gone.clear();
        for path in self.paths.iter_mut().flatten() {
            path.outbox.unplan(|_, _, _, _| ());
            if path.closing == Closing::No {
                path.closing = Closing::Asked;
                if !said {
                    put_close(&mut path.outbox.control, reason.code());
                }
            }
        }
        self.end_streams(reason);
        self.end_messages(reason);
        self.events.push_back(Event::Closed(reason));
    }

    fn end_streams(&mut self, reason: CloseReason) {
        let error = StreamError::Closed(reason);
        let keep_unread = reason != CloseReason::Aborted;
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            for path in self.paths.iter_mut().flatten() {
                path.outbox.abandon(id, &stream.send);
            }
            if reason == CloseReason::Finished && stream.send.fin_sent() {
                // Who says that all is finished has our end.
                stream.send.acknowledge_all();
            }
            stream.send.abandon(error, None);
            stream.receive.fail(error, keep_unread);
            (stream.due, stream.listed, stream.ready) = (0, false, None);
            stream.ack_waits = false;
            if stream.released {
                self.streams.remove(&id);
            } else {
                self.wake(id);
            }
        }
    }

    // ---- paths

    /// Dialler: the id and epoch for the next attach in this slot (0 to 7; the slot is taken modulo 8).
    pub fn next_path(&mut self, slot: u8) -> PathId {
        let id = slot % MAX_PATHS as u8;
        let stranded = self.paths.iter().all(Option::is_none);
        self.dialled_alone[usize::from(id)] = stranded.then_some(self.attached);
        let issued = &mut self.issued[usize::from(id)];
        *issued = issued.saturating_add(1);
        PathId { id, epoch: *issued }
    }

    /// A proved path joins; an older epoch of the same id ends (`PathClosed(.., Replaced)`).
    ///
    /// Nothing is sent again before the peer said on it what it has, unless it is the first of all.
    ///
    /// # Errors
    /// `StaleEpoch` if the epoch was seen, `TooManyPaths` for an id over 7, `Over` when the session is.
    pub fn attach(
        &mut self,
        now: Instant,
        path: PathId,
        sides: PathSides,
    ) -> Result<(), AttachError> {
        let slot = usize::from(path.id);
        if slot >= MAX_PATHS {
            return Err(AttachError::TooManyPaths);
        }
        if matches!(self.phase, Phase::Over(_)) {
            return Err(AttachError::Over);
        }
        if path.epoch <= self.epochs[slot] {
            return Err(AttachError::StaleEpoch);
        }
        self.epochs[slot] = path.epoch;
        self.issued[slot] = self.issued[slot].max(path.epoch);
        self.drop_path(slot, PathEnd::Replaced);
        for stream in self.streams.values_mut() {
            stream.acked_by[slot] = 0;
        }
        self.messages.attached(slot);
        for other in self.paths.iter_mut().flatten() {
            other.alone = false;
        }
        (0..MAX_PATHS).for_each(|other| self.probe(now, other));
        // Before we attach the peer has said what it has, and later ones may have come by another path.
        let alone = self.role == Role::Listener || self.dialled_alone[slot] == Some(self.attached);
        self.attached += 1;
        let mut fresh = Path::new(path, self.attached, sides);
        fresh.resumed = self.attached == 1;
        fresh.alone = alone && self.paths.iter().all(Option::is_none);
        self.paths[slot] = Some(Box::new(fresh));
        self.open |= 1 << slot;
        self.stranded = None;
        self.all_ready();
        Ok(())
    }

    /// New facts of a path: what may go on it is decided again. The peer is told nothing of them; that
    /// is [`tell_facts`](Self::tell_facts).
    pub fn update_path(&mut self, now: Instant, path: PathId, sides: PathSides) {
        if let Some(slot) = self.slot(path)
            && let Some(state) = &mut self.paths[slot]
        {
            state.sides = sides;
            self.facts_changed(now, slot);
        }
    }

    /// Tells the peer the facts of our network on this path.
    pub fn tell_facts(&mut self, _now: Instant, path: PathId, facts: PathFacts) {
        if let Some(slot) = self.slot(path)
            && let Some(state) = &mut self.paths[slot]
            && state.closing == Closing::No
        {
            put_facts_frame(&mut state.outbox.control, &facts);
        }
    }

    /// Decides again what may go on a path. A frame that is half written and may not be finished takes
    /// the path with it.
    pub(super) fn facts_changed(&mut self, now: Instant, slot: usize) {
        let Some(path) = &mut self.paths[slot] else {
            return;
        };
        path.numbers.forget_classes();
        let begun = path.outbox.begun_label();
        self.unplan(slot);
        // A frame that was paid for before the budget was spent is finished.
        let policy = self.lasting.as_ref().unwrap_or(&self.policy);
        let judge = Judge::of(policy, self.role);
        let forbidden = match (begun, &self.paths[slot]) {
            (Some(label), Some(path)) => !judge.lets(path, &label),
            _ => false,
        };
        if forbidden {
            self.end_path(now, slot, PathEnd::Forbidden);
        }
        self.all_ready();
    }

    /// The link failed or ended.
    pub fn lose(&mut self, now: Instant, path: PathId) {
        if let Some(slot) = self.slot(path) {
            let end = match &self.paths[slot] {
                Some(path) if path.closing != Closing::No => PathEnd::SessionClosed,
                Some(path) if path.retiring && path.peer_retired => PathEnd::Retired,
                _ => PathEnd::Lost,
            };
            self.end_path(now, slot, end);
        }
    }

    /// Stop using a path in favour of the others, then close it in order (make before break).
    ///
    /// The dialler's alone, which decides about paths: at the listener it does nothing, so that a RETIRE
    /// from there is always an answer.
    pub fn retire(&mut self, now: Instant, path: PathId) {
        if self.role == Role::Dialler
            && let Some(slot) = self.slot(path)
        {
            self.retire_slot(now, slot);
            self.check_retired(now, slot);
        }
    }

    pub(super) fn retire_slot(&mut self, now: Instant, slot: usize) {
        let flying = self.flying_on(slot);
        if let Some(path) = &mut self.paths[slot]
            && !path.retiring
            && path.closing == Closing::No
        {
            path.retiring = true;
            path.owed = flying;
            path.owes_since.get_or_insert(now);
            self.unplan(slot);
            if let Some(path) = &mut self.paths[slot] {
                path.outbox.push_bare(kind::RETIRE);
            }
            self.all_ready();
        }
    }

    /// Closes a path that both sides retired, from the dialler's end, once everything on it was
    /// acknowledged.
    pub(super) fn check_retired(&mut self, now: Instant, slot: usize) {
        let done = self.paths[slot]
            .as_ref()
            .is_some_and(|path| path.retiring && path.peer_retired && path.outbox.is_empty());
        let flying = |session: &Self| {
            let slot = slot as u8;
            session.streams.values().any(|s| s.send.flies_on(slot))
                || session.messages.flying_on(usize::from(slot)) > 0
        };
        // Closed by the listener, it would take with it what that has and did not say yet.
        if done && self.role == Role::Dialler && !flying(self) {
            self.end_path(now, slot, PathEnd::Retired);
        }
    }

    /// Takes back the frames of which nothing was written.
    pub(super) fn unplan(&mut self, slot: usize) {
        let (streams, messages) = (&mut self.streams, &mut self.messages);
        if let Some(path) = &mut self.paths[slot] {
            path.outbox.unplan(|source, start, end, back| match source {
                _ if back == Back::Copy => {}
                Source::Message(id) => messages.untake(id, start, end, back, slot),
                Source::Stream(id) => {
                    if let Some(stream) = streams.get_mut(&id) {
                        stream.send.untake(start, end, back == Back::Lost);
                    }
                }
            });
        }
    }

    /// A path is gone: what flew on it, and whatever may have been told on it, goes again. If it was its
    /// network that went, the peer may not know yet.
    pub(super) fn end_path(&mut self, now: Instant, slot: usize, end: PathEnd) {
        let gone = self.paths[slot].as_ref().map(|path| path.id);
        self.forget_path(now, slot, end);
        if let (PathEnd::Lost | PathEnd::Silent, Some(gone)) = (end, gone)
            && !self.is_over()
            && let Some(slot) = self.telling_slot()
            && let Some(path) = &mut self.paths[slot]
        {
            put_lost(&mut path.outbox.control, gone);
        }
    }

    /// The peer says that a path's network went.
    pub(super) fn on_lost(&mut self, now: Instant, lost: PathId) {
        if let Some(slot) = self.slot(lost) {
            self.forget_path(now, slot, PathEnd::Lost);
        }
    }

    fn forget_path(&mut self, now: Instant, slot: usize, end: PathEnd) {
        self.drop_path(slot, end);
        if self.paths.iter().any(Option::is_some) {
            if !matches!(self.phase, Phase::Over(_)) {
                self.tell_again();
                self.all_ready();
            }
        } else if self.stranded.is_none() {
            self.stranded = Some(now);
            // The peer will send again whatever it has no word of, so what is gone need not be told.
            self.gone.clear();
            self.ack_deadline = None;
            if !matches!(self.phase, Phase::Over(_)) {
                self.events.push_back(Event::Stranded);
            }
        }
    }

    fn drop_path(&mut self, slot: usize, end: PathEnd) {
        // Frames planned but not begun were never sent.
        self.unplan(slot);
        let Some(mut path) = self.paths[slot].take() else {
            return;
        };
        self.open &= !(1 << slot);
        for stream in self.streams.values_mut() {
            stream.send.lose(slot as u8);
            stream.opened_on &= !(1 << slot);
        }
        self.messages.lose(slot);
        self.ended.retain(|ended| ended.id.id != path.id.id);
        self.ended.push(Ended {
            id: path.id,
            stats: path.stats,
            tally: path.tally(),
            tolls: path.outbox.tolls.take(),
        });
        self.events.push_back(Event::PathClosed(path.id, end));
    }

    /// The paths that are open, by id.
    pub fn paths(&self) -> Vec<PathId> {
        self.paths.iter().flatten().map(|path| path.id).collect()
    }

    /// What went over an open path, or over one that is gone until the next of its id is gone too.
    pub fn path_stats(&self, path: PathId) -> Option<PathStats> {
        let open = self.slot(path).and_then(|slot| self.paths[slot].as_ref());
        let gone = || self.ended.iter().find(|ended| ended.id == path);
        open.map(|path| path.stats)
            .or_else(|| gone().map(|ended| ended.stats))
    }

    /// Whether an attach of this path would be stale.
    pub fn has_seen(&self, path: PathId) -> bool {
        let highest = self.epochs.get(usize::from(path.id));
        highest.is_none_or(|highest| path.epoch <= *highest)
    }

    /// What the peer said last of its network on an open path.
    pub fn remote_facts(&self, path: PathId) -> Option<PathFacts> {
        let slot = self.slot(path)?;
        self.paths[slot].as_ref().map(|path| path.sides.remote)
    }

    // ---- time

    /// When to call [`handle_timeout`](Self::handle_timeout), and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        // Asked after every call.
        let mut first: Option<(Instant, Wake)> = None;
        let mut consider = |at: Option<Instant>, wake| {
            if let Some(at) = at
                && first.is_none_or(|(first, _)| at < first)
            {
                first = Some((at, wake));
            }
        };
        consider(self.linger_deadline(), Wake::Linger);
        consider(self.grace_deadline(), Wake::Grace);
        consider(self.ack_deadline, Wake::AckDelay);
        consider(self.stall_deadline(), Wake::Stall);
        consider(self.pace, Wake::Pace);
        if let Some((at, wake)) = self.messages.deadline() {
            consider(Some(at), wake);
        }
        consider(self.idle_deadline(), Wake::Probe);
        first
    }

    /// Acts on every deadline that is not after `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.check_stalls(now);
        self.ask_idle(now);
        if self.pace.is_some_and(|at| at <= now) {
            self.pace = None;
        }
        if self.ack_deadline.is_some_and(|at| at <= now) {
            self.tell_waiting_acks();
        }
        self.mind_messages(now);
        if self.linger_deadline().is_some_and(|at| at <= now) {
            self.end(now, CloseReason::Finished);
            for slot in 0..MAX_PATHS {
                self.drop_path(slot, PathEnd::SessionClosed);
            }
            self.stranded.get_or_insert(now);
        }
        if self.grace_deadline().is_some_and(|at| at <= now) {
            self.end(now, CloseReason::GraceExpired);
        }
    }

    /// When the grace runs out that began with the loss of the last path; `None` while there is a path,
    /// and once the session is finished or over: only an unfinished one has a grace to lose.
    pub fn grace_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open | Phase::Draining => self.stranded?.checked_add(self.grace),
            Phase::Saying | Phase::Over(_) => None,
        }
    }

    /// A finished session answers until so long after its last path closed; one that is over waits no
    /// longer for answers.
    fn linger_deadline(&self) -> Option<Instant> {
        let finished = self.finished?;
        let linger: Duration = self.config.linger;
        match self.phase {
            Phase::Saying => self.stranded?.max(finished).checked_add(linger),
            Phase::Over(_) if self.stranded.is_none() => finished.checked_add(linger),
            _ => None,
        }
    }

    /// Every acknowledgement that waited for company goes now.
    pub(super) fn tell_waiting_acks(&mut self) {
        self.messages.tell_soon();
        self.ack_deadline = None;
        // By index and cleared, so that the list keeps its memory: this happens with every reply.
        for index in 0..self.ack_waits.len() {
            let id = self.ack_waits[index];
            if self.streams.get(&id).is_some_and(|stream| stream.ack_waits) {
                self.mark(id, due::ACK);
            }
        }
        self.ack_waits.clear();
    }
}
