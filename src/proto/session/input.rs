//! Bytes off the wire.

use std::time::Instant;

use super::decoder::{Item, Place};
use super::error::{PathEnd, ProtocolError};
use super::frame::{DataHeader, HEADER, control};
use super::path::MAX_ANSWERS;
use super::stream::due;
use super::{Event, PathId, Phase, Role, Session, StreamId};
use crate::label::Label;

impl Session {
    /// Takes bytes that arrived on a path, cut anywhere. Bytes of a path that is no longer current are
    /// dropped unread.
    ///
    /// # Errors
    /// The peer broke the protocol: that path has ended (`PathClosed` says so too), the session lives on
    /// without it.
    pub fn receive(
        &mut self,
        now: Instant,
        path: PathId,
        input: &[u8],
    ) -> Result<(), ProtocolError> {
        let Some(slot) = self.slot(path) else {
            return Ok(());
        };
        let result = self.receive_at(now, slot, input);
        self.heard(now, slot);
        if let Err(error) = result
            && self.slot(path) == Some(slot)
        {
            self.end_path(now, slot, PathEnd::Protocol(error));
        }
        result
    }

    fn receive_at(
        &mut self,
        now: Instant,
        slot: usize,
        mut input: &[u8],
    ) -> Result<(), ProtocolError> {
        let Some(path) = self.paths[slot].as_mut() else {
            return Ok(());
        };
        let epoch = path.id;
        // The decoder is taken out for the while: what it yields goes to the rest of the session.
        let mut decoder = std::mem::take(&mut path.decoder);
        path.stats.control_received += input.len() as u64;
        path.outbox.tolls.all(input.len() as u64);
        while let Some(item) = decoder.next(&mut input)? {
            match item {
                Item::Data(header) => self.on_header(now, slot, &header)?,
                Item::Payload(header, payload) => self.on_payload(now, slot, &header, payload)?,
                Item::Part(header, head) => self.on_part(now, slot, &header, head.as_deref())?,
                Item::PartPayload(header, payload) => {
                    self.on_part_payload(now, slot, &header, payload)?;
                }
                Item::Control(frame, whole) => {
                    let frame = control(frame, &whole[HEADER..])?;
                    self.on_control(now, slot, frame)?;
                }
            }
            if self.slot(epoch).is_none() {
                return Ok(());
            }
        }
        if let Some(path) = &mut self.paths[slot] {
            path.decoder = decoder;
            if path.outbox.control_left() > MAX_ANSWERS {
                return Err(ProtocolError::Flood);
            }
        }
        Ok(())
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Whether a stream that is not in the table was once: nothing else may be said of it.
    pub(super) fn was_known(&self, id: StreamId) -> bool {
        let index = id.0 >> 1;
        if self.is_ours(id) {
            index < self.opened
        } else {
            index < self.peer_opened && !self.peer_gaps.contains(&index)
        }
    }

    pub(super) fn is_ours(&self, id: StreamId) -> bool {
        (id.0 & 1 == 1) == (self.role == Role::Listener)
    }

    // ---- data

    /// A data frame begins: everything about it is checked here, before its payload is looked at.
    #[inline]
    fn on_header(
        &mut self,
        now: Instant,
        slot: usize,
        header: &DataHeader,
    ) -> Result<(), ProtocolError> {
        if self.is_over() {
            return Ok(());
        }
        if let Some(path) = &self.paths[slot] {
            path.definitions.check(header.label)?;
        }
        let Some(stream) = self.streams.get_mut(&header.stream) else {
            return self.must_have_known(header.stream);
        };
        stream.receive.admit(header.offset, header.payload)?;
        stream.receive.count_frame();
        if header.payload == 0 {
            self.schedule_ack(now, header.stream, header.waiting);
        }
        Ok(())
    }

    /// Payload of a frame whose header passed.
    #[inline]
    fn on_payload(
        &mut self,
        now: Instant,
        slot: usize,
        header: &DataHeader,
        payload: &[u8],
    ) -> Result<(), ProtocolError> {
        let Some(path) = self.paths[slot].as_mut() else {
            return Ok(());
        };
        path.stats.payload_received += payload.len() as u64;
        path.fed = Some(now);
        path.stats.control_received -= payload.len() as u64;
        let label = path.definitions.get(header.label);
        if let Ok(label) = &label {
            path.payload_came(label, payload.len(), true);
        }
        if matches!(self.phase, Phase::Over(_)) {
            return Ok(());
        }
        let label = label?;
        self.notice(now, label.urgency());
        let Some(stream) = self.streams.get_mut(&header.stream) else {
            return Ok(());
        };
        let fresh = stream.receive.receive(header.offset, &label, payload)?;
        let last = header.payload as usize == payload.len();
        let now_please = !fresh || (last && header.waiting);
        self.progressed(now, header.stream, now_please);
        Ok(())
    }

    /// New bytes of a stream are in: wakes the reader, sees to acknowledgement and credit.
    pub(super) fn progressed(&mut self, now: Instant, id: StreamId, ack_now: bool) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.receive.wanted && stream.receive.readable() {
            stream.receive.wanted = false;
            self.events.push_back(Event::Readable(id));
        }
        let completed = stream.receive.complete();
        if stream.receive.credit_due() {
            self.mark(id, due::CREDIT);
        }
        self.schedule_ack(now, id, ack_now || completed);
        if completed {
            self.settle(now, id);
        }
    }

    /// An acknowledgement goes at once, or with the next data, or after the delay.
    pub(super) fn schedule_ack(&mut self, now: Instant, id: StreamId, at_once: bool) {
        let threshold = self.config.ack_threshold(self.window);
        let delay = self.ack_delay(now);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if at_once || stream.receive.ack_now(threshold) {
            self.mark(id, due::ACK);
        } else if !stream.ack_waits && stream.due & due::ACK == 0 {
            stream.ack_waits = true;
            self.ack_waits.push(id);
            let deadline = now + delay;
            self.ack_deadline = Some(self.ack_deadline.map_or(deadline, |at| at.min(deadline)));
        }
    }

    /// Payload bytes that come next on this path and may go straight into a reader's buffer, for
    /// this stream: it has nothing to read, and the path stands inside a data frame at its offset.
    pub fn direct(&self, path: PathId, stream: StreamId) -> usize {
        let Some(Place::Payload(header)) = self.place(path) else {
            return 0;
        };
        let bypass = |id| {
            let stream = self.streams.get(&id)?;
            let half = &stream.receive;
            half.bypass_at(header.offset, header.payload).then_some(())
        };
        if header.stream == stream && bypass(stream).is_some() {
            header.payload as usize
        } else {
            0
        }
    }

    /// Whether what comes next on this path is payload of this stream behind a gap.
    pub fn comes_early(&self, path: PathId, stream: StreamId) -> bool {
        let Some(Place::Payload(header)) = self.place(path) else {
            return false;
        };
        let stream = (self.streams.get(&stream)).filter(|_| header.stream == stream);
        header.payload > 0 && stream.is_some_and(|s| header.offset > s.receive.next())
    }

    /// Whether a frame, or nothing yet, comes next on this path.
    pub fn is_between_frames(&self, path: PathId) -> bool {
        match self.place(path) {
            Some(Place::Head) => true,
            Some(Place::Payload(header)) => header.payload == 0,
            _ => false,
        }
    }

    fn place(&self, path: PathId) -> Option<Place> {
        let slot = self.slot(path)?;
        Some(self.paths[slot].as_ref()?.decoder.place)
    }

    /// `n <= direct(..)` such bytes were put into the reader's buffer; their label.
    ///
    /// # Panics
    /// If `n` is more than [`direct`](Self::direct) gives: those bytes would be lost.
    pub fn received_direct(
        &mut self,
        now: Instant,
        path: PathId,
        stream: StreamId,
        n: usize,
    ) -> Label {
        assert!(
            n <= self.direct(path, stream),
            "more bytes than `direct` gave"
        );
        let slot = usize::from(path.id);
        let (Some(state), Some(half)) = (self.paths[slot].as_mut(), self.streams.get_mut(&stream))
        else {
            return Label::ANY;
        };
        let Place::Payload(header) = &mut state.decoder.place else {
            return half.label;
        };
        header.offset += n as u64;
        header.payload -= n as u32;
        let (last, waiting, number) = (header.payload == 0, header.waiting, header.label);
        state.stats.payload_received += n as u64;
        state.fed = Some(now);
        state.heard(now);
        let label = state.definitions.get(number).unwrap_or(half.label);
        state.payload_came(&label, n, false);
        half.receive.bypassed(n);
        self.notice(now, label.urgency());
        self.progressed(now, stream, last && waiting);
        label
    }
}
