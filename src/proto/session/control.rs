//! Control frames received: what the peer says of streams, of a path, of the session.

use std::time::Instant;

use super::error::{CloseReason, PathEnd, ProtocolError, StreamError};
use super::frame::{Control, Sacks, kind, put_bare, put_close, put_stream, put_token};
use super::path::Closing;
use super::stream::due;
use super::{Event, MAX_OPENS, Phase, Session, StreamId};
use crate::label::matching::PathFacts;

impl Session {
    pub(super) fn on_control(
        &mut self,
        now: Instant,
        slot: usize,
        frame: Control<'_>,
    ) -> Result<(), ProtocolError> {
        if self.is_over() && !matches!(frame, Control::Close(_) | Control::Closed) {
            return Ok(());
        }
        match frame {
            Control::Open { stream, label } => self.on_open(now, slot, stream, label),
            Control::Fin { stream, end } => self.on_fin(now, slot, stream, end),
            Control::Reset { stream, both, code } => self.on_reset(now, slot, stream, both, code),
            Control::ResetAck { stream } => self.on_reset_ack(now, stream),
            Control::Stop { stream, code } => self.on_stop(now, slot, stream, code),
            Control::Gone { stream } => self.on_gone(now, stream),
            Control::Ack {
                stream,
                offset,
                sacks,
            } => self.on_ack(now, slot, stream, offset, sacks),
            Control::Credit { stream, highest } => self.on_credit(stream, highest),
            Control::MsgAck { .. }
            | Control::MsgHave { .. }
            | Control::MsgCredit { .. }
            | Control::Withdraw { .. }
            | Control::Withdrawn(_)
            | Control::Forget(_) => self.on_message_control(now, slot, frame),
            other => self.on_path_control(now, slot, other),
        }
    }

    /// Frames that are about a path or the session.
    fn on_path_control(
        &mut self,
        now: Instant,
        slot: usize,
        frame: Control<'_>,
    ) -> Result<(), ProtocolError> {
        let Some(path) = self.paths[slot].as_mut() else {
            return Ok(());
        };
        match frame {
            Control::Label { number, text } => path.definitions.define(number, text)?,
            Control::Facts(facts) => self.on_facts(now, slot, facts),
            Control::Addresses(body) => self.on_addresses(body),
            Control::Ping(token) => put_token(&mut path.outbox.control, kind::PONG, token),
            Control::Pong(token) => self.on_pong(now, slot, token),
            Control::Lost(path) => self.on_lost(now, path),
            Control::Resume => {
                let first = !std::mem::replace(&mut path.resume_heard, true);
                path.resumed = true;
                path.alone = false;
                if first {
                    self.events.push_back(Event::PathCarries(path.id));
                    self.progressed_on(now, slot);
                    self.rescue_all();
                    self.all_ready();
                    self.check_stalls(now);
                }
            }
            Control::Retire => {
                path.peer_retired = true;
                self.progressed_on(now, slot);
                self.tell_waiting_acks();
                self.retire_slot(now, slot);
                self.check_retired(now, slot);
            }
            Control::Close(code) => self.on_close(now, slot, code),
            Control::Closed if self.phase == Phase::Saying || self.is_over() => {
                self.end(now, CloseReason::Finished);
                self.end_path(now, slot, PathEnd::SessionClosed);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_open(
        &mut self,
        now: Instant,
        slot: usize,
        id: StreamId,
        number: u8,
    ) -> Result<(), ProtocolError> {
        let Some(path) = &self.paths[slot] else {
            return Ok(());
        };
        let label = path.definitions.get(number)?;
        let index = id.0 >> 1;
        if self.is_ours(id) || index >= MAX_OPENS {
            return Err(ProtocolError::UnknownStream);
        }
        if self.streams.contains_key(&id) || self.was_known(id) {
            return Ok(());
        }
        if self.phase == Phase::Saying {
            return Ok(());
        }
        let missing = index.saturating_sub(self.peer_opened) as usize;
        let known = self.peer_alive + self.peer_gaps.len() + missing;
        if index >= self.peer_opened && known >= usize::from(self.max_streams) {
            return Err(ProtocolError::TooManyStreams);
        }
        if index >= self.peer_opened {
            self.peer_gaps.extend(self.peer_opened..index);
            self.peer_opened = index + 1;
        } else {
            self.peer_gaps.remove(&index);
        }
        self.peer_alive += 1;
        self.insert(id, label, false);
        self.schedule_ack(now, id, false);
        if self.phase == Phase::Open {
            self.incoming.push_back(id);
            if self.events.back() != Some(&Event::Incoming) {
                self.events.push_back(Event::Incoming);
            }
        } else {
            // Nobody is left to take it.
            self.reset(now, id, 0);
            self.release(now, id);
        }
        Ok(())
    }

    fn on_fin(
        &mut self,
        now: Instant,
        slot: usize,
        id: StreamId,
        end: u64,
    ) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.answer(slot, id, kind::GONE);
        };
        stream.receive.finish(end)?;
        self.progressed(now, id, true);
        Ok(())
    }

    fn on_reset(
        &mut self,
        now: Instant,
        slot: usize,
        id: StreamId,
        both: bool,
        code: u32,
    ) -> Result<(), ProtocolError> {
        self.answer(slot, id, kind::RESET_ACK)?;
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        let error = StreamError::Reset(code);
        stream.known = true;
        stream.receive.fail(error, false);
        if both && !stream.send.done && stream.send.reset.is_none() {
            for path in self.paths.iter_mut().flatten() {
                path.outbox.abandon(id, &stream.send);
            }
            stream.send.abandon(error, Some(code));
            self.mark(id, due::RESET);
        }
        self.wake(id);
        self.settle(now, id);
        Ok(())
    }

    fn on_reset_ack(&mut self, now: Instant, id: StreamId) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.must_have_known(id);
        };
        if stream.send.reset.take().is_some() {
            stream.known = true;
            stream.send.done = true;
            stream.due &= !due::RESET;
        }
        self.wake(id);
        self.settle(now, id);
        Ok(())
    }

    fn on_stop(
        &mut self,
        now: Instant,
        slot: usize,
        id: StreamId,
        code: u32,
    ) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.answer(slot, id, kind::GONE);
        };
        stream.known = true;
        // Of those that nobody took so many may be over; the rest stay alive at the peer too, or it could
        // open, fill and stop one after the other.
        let waiting = self.incoming.len();
        if waiting > usize::from(self.max_streams) && self.incoming.contains(&id) {
            stream.stopped = Some(code);
            return Ok(());
        }
        self.stop(id, code);
        self.settle(now, id);
        Ok(())
    }

    /// The peer reads nothing of this stream any more.
    pub(super) fn stop(&mut self, id: StreamId, code: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // Who has written all keeps the promise of `shutdown`: the peer counts the rest and drops it.
        if stream.send.is_open() {
            for path in self.paths.iter_mut().flatten() {
                path.outbox.abandon(id, &stream.send);
            }
            stream.send.abandon(StreamError::Stopped, Some(code));
            self.mark(id, due::RESET);
            self.wake(id);
        }
    }

    fn on_gone(&mut self, now: Instant, id: StreamId) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.must_have_known(id);
        };
        if stream.send.done {
            return Ok(());
        }
        if stream.send.reset.take().is_some() {
            stream.send.done = true;
        } else if stream.send.fin_sent() {
            for path in self.paths.iter_mut().flatten() {
                path.outbox.abandon(id, &stream.send);
            }
            stream.send.acknowledge_all();
        } else {
            return Err(ProtocolError::AckOfUnsent);
        }
        self.wake(id);
        self.settle(now, id);
        Ok(())
    }

    fn on_ack(
        &mut self,
        now: Instant,
        slot: usize,
        id: StreamId,
        offset: u64,
        sacks: Sacks<'_>,
    ) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.must_have_known(id);
        };
        if stream.send.reset.is_some() || (stream.send.done && !stream.send.is_acknowledged()) {
            return Ok(());
        }
        if offset < stream.acked_by[slot] {
            return Err(ProtocolError::AckWentBack);
        }
        stream.send.check_ack(offset)?;
        stream.acked_by[slot] = offset;
        stream.known = true;
        let alone = self.paths[slot].as_ref().is_some_and(|path| path.alone);
        if alone && offset < stream.send.acked() {
            self.end(now, CloseReason::PeerRolledBack);
            return Ok(());
        }
        let flew = stream.send.flying();
        let result = (sacks.iter()).try_for_each(|(start, end)| stream.send.sack(start, end));
        let news = offset > stream.send.acked();
        if news {
            for path in self.paths.iter_mut().flatten() {
                path.outbox.detach(id, offset, &stream.send);
            }
            stream.send.ack(offset);
        }
        let flies = stream.send.flying();
        let (wake, done) = (stream.write_wanted && stream.send.roomy(), stream.send.done);
        for (slot, (flew, flies)) in flew.into_iter().zip(flies).enumerate() {
            if flies < flew {
                self.arrived_on(now, slot, flew - flies);
            }
        }
        result?;
        if !news {
            return Ok(());
        }
        if wake || done {
            self.wake(id);
        }
        if done {
            self.settle(now, id);
        }
        self.check_all_retired(now);
        Ok(())
    }

    /// Whatever was acknowledged may have been the last on a path that is being retired.
    pub(super) fn check_all_retired(&mut self, now: Instant) {
        for slot in 0..self.paths.len() {
            if self.paths[slot]
                .as_ref()
                .is_some_and(|path| path.peer_retired)
            {
                self.check_retired(now, slot);
            }
        }
    }

    fn on_credit(&mut self, id: StreamId, highest: u64) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.must_have_known(id);
        };
        stream.known = true;
        if stream.send.credit(highest) {
            self.make_ready(id);
        }
        Ok(())
    }

    fn on_facts(&mut self, now: Instant, slot: usize, facts: PathFacts) {
        if let Some(path) = &mut self.paths[slot]
            && path.sides.remote != facts
        {
            path.sides.remote = facts;
            let event = Event::PathFacts(path.id);
            if !self.events.contains(&event) {
                self.events.push_back(event);
            }
            self.facts_changed(now, slot);
        }
    }

    /// The peer says that all is over.
    fn on_close(&mut self, now: Instant, slot: usize, code: u32) {
        if let Some(path) = &mut self.paths[slot]
            && path.closing != Closing::Answered
        {
            path.closing = Closing::Answered;
            put_bare(&mut path.outbox.control, kind::CLOSED);
        }
        match code {
            0 => self.end(now, CloseReason::Finished),
            _ => self.end(now, CloseReason::PeerClosed(code)),
        }
    }

    /// Answers a frame about a stream on the path it came by.
    fn answer(&mut self, slot: usize, id: StreamId, frame: u8) -> Result<(), ProtocolError> {
        if !self.streams.contains_key(&id) {
            self.must_have_known(id)?;
        }
        if let Some(path) = &mut self.paths[slot] {
            put_stream(&mut path.outbox.control, frame, id);
        }
        Ok(())
    }

    /// A frame for a stream that is not here is fine if the stream was, or if the session is past
    /// taking new ones.
    pub(super) fn must_have_known(&self, id: StreamId) -> Result<(), ProtocolError> {
        if self.was_known(id) || self.phase == Phase::Saying || self.is_over() {
            Ok(())
        } else {
            Err(ProtocolError::UnknownStream)
        }
    }

    /// Lets a stream go whose both directions ended, when nobody holds it and nothing is left to tell.
    pub(super) fn settle(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.finished() {
            return;
        }
        if std::mem::take(&mut stream.counted) {
            if stream.ours {
                self.alive -= 1;
            } else {
                self.peer_alive -= 1;
            }
        }
        // A stream that was cut off before anybody took it is never shown.
        if stream.receive.failure.is_some() && self.incoming.contains(&id) {
            self.incoming.retain(|waiting| *waiting != id);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.released = true;
            }
        }
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if stream.released && stream.quiet() {
            for path in self.paths.iter_mut().flatten() {
                path.outbox.abandon(id, &stream.send);
            }
            self.streams.remove(&id);
            self.gone.push_back(id);
            if self.gone.len() > 2 * usize::from(self.max_streams) {
                self.gone.pop_front();
            }
        }
        self.check_drained(now);
    }

    /// Streams that went lately are told to be gone, on the path that tells.
    pub(super) fn tell_gone(&mut self) {
        let Some(slot) = self.telling_slot() else {
            return;
        };
        if let Some(path) = &mut self.paths[slot] {
            for id in &self.gone {
                put_stream(&mut path.outbox.control, kind::GONE, *id);
            }
        }
    }

    /// Says CLOSE on a path that joined after it was said elsewhere.
    pub(super) fn repeat_close(&mut self, slot: usize) {
        if self.phase == Phase::Saying
            && let Some(path) = &mut self.paths[slot]
        {
            put_close(&mut path.outbox.control, CloseReason::Finished.code());
        }
    }
}
