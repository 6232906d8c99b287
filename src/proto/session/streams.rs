//! What a program does with streams.
//!
//! An id is an index shifted left by one, the low bit 0 for the dialler's. OPEN goes before the first
//! frame of a stream on each path until the peer is known to have it. STOP says that nobody reads: a
//! half that is open answers RESET, one that has said its end goes on to it. RESET ends the sender's
//! half and, with flag 1, asks the same of the receiver; it is repeated on path loss until RESET_ACK. A
//! frame that wants an answer about a stream which is finished and forgotten is answered GONE: it
//! acknowledges everything, its end included.

use std::time::Instant;

use bytes::Bytes;

use super::error::{CloseReason, StreamError};
use super::receive::{Found, ReceiveHalf};
use super::send::SendHalf;
use super::stream::{Stream, due};
use super::{MAX_OPENS, Phase, Role, Session, StreamId};
use crate::label::Label;

impl Session {
    /// Opens a stream; the peer learns of it with its first bytes or at the next `transmit`.
    ///
    /// # Errors
    /// `TooMany` at the limit of streams, `Closed` once the session is closing.
    pub fn open(&mut self, _now: Instant, label: Label) -> Result<StreamId, StreamError> {
        match self.phase {
            Phase::Open => {}
            Phase::Over(reason) => return Err(StreamError::Closed(reason)),
            Phase::Draining | Phase::Saying => {
                return Err(StreamError::Closed(CloseReason::Finished));
            }
        }
        let full = self.alive + self.peer_alive >= usize::from(self.max_streams);
        if full || self.opened == MAX_OPENS {
            return Err(StreamError::TooMany(self.max_streams));
        }
        let id = StreamId(self.opened << 1 | u32::from(self.role == Role::Listener));
        self.opened += 1;
        self.alive += 1;
        self.insert(id, label, true);
        self.mark(id, due::OPEN);
        Ok(id)
    }

    pub(super) fn insert(&mut self, id: StreamId, label: Label, ours: bool) {
        let send = SendHalf::new(self.config.send_buffer, self.peer_window);
        let receive = ReceiveHalf::new(self.window);
        let stream = Stream::new(id, label, ours, send, receive);
        self.streams.insert(id, Box::new(stream));
    }

    /// The next stream the peer opened, and its label.
    pub fn accept(&mut self) -> Option<(StreamId, Label)> {
        loop {
            let id = self.incoming.pop_front()?;
            if let Some(stream) = self.streams.get_mut(&id) {
                let (label, stopped) = (stream.label, stream.stopped.take());
                if let Some(code) = stopped {
                    self.stop(id, code);
                }
                return Some((id, label));
            }
        }
    }

    /// Takes what fits; 0 when the send buffer is full (`Writable` follows).
    ///
    /// # Errors
    /// The stream was reset, stopped or shut down, or the session is over.
    pub fn write(
        &mut self,
        _now: Instant,
        stream: StreamId,
        label: Label,
        data: &[u8],
    ) -> Result<usize, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let taken = state.send.write(&label, data)?;
        state.write_wanted = taken < data.len();
        self.make_ready(stream);
        Ok(taken)
    }

    /// Takes all of `data` or nothing (0; `Writable` follows); of more than the send buffer holds, as
    /// much as an empty one takes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_whole(
        &mut self,
        now: Instant,
        stream: StreamId,
        label: Label,
        data: &[u8],
    ) -> Result<usize, StreamError> {
        let room = self.writable(stream)?;
        if room < data.len().min(self.config.send_buffer) {
            if let Some(state) = self.streams.get_mut(&stream) {
                state.write_wanted = true;
            }
            return Ok(0);
        }
        self.write(now, stream, label, data)
    }

    /// Takes the front of `data` without copying it (pieces below 4 KiB are copied: a reference costs
    /// more).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_bytes(
        &mut self,
        _now: Instant,
        stream: StreamId,
        label: Label,
        data: &mut Bytes,
    ) -> Result<usize, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let taken = state.send.write_bytes(&label, data)?;
        state.write_wanted = !data.is_empty();
        self.make_ready(stream);
        Ok(taken)
    }

    /// Room in the send buffer, bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn writable(&self, stream: StreamId) -> Result<usize, StreamError> {
        let state = self.streams.get(&stream).ok_or(StreamError::Unknown)?;
        match state.send.failure {
            Some(failure) => Err(failure),
            None if !state.send.is_open() => Err(StreamError::Shutdown),
            None => Ok(state.send.room()),
        }
    }

    /// `None`: nothing yet; `Some((0, _))`: the end (or an empty `buf`). Never crosses a label boundary.
    ///
    /// # Errors
    /// The stream was reset, or the session is over; what had arrived in order is read first.
    pub fn read(
        &mut self,
        _now: Instant,
        stream: StreamId,
        buf: &mut [u8],
    ) -> Result<Option<(usize, Label)>, StreamError> {
        let state = self.streams.get_mut(&stream).ok_or(StreamError::Unknown)?;
        let held = state.receive.ack_held();
        match state.receive.read(buf)? {
            Found::Nothing => Ok(None),
            Found::End => Ok(Some((0, state.label))),
            Found::Bytes(n, label) => {
                let mut bits = 0;
                if state.receive.credit_due() {
                    bits |= due::CREDIT;
                }
                if held {
                    bits |= due::ACK;
                }
                self.mark(stream, bits);
                Ok(Some((n, label)))
            }
        }
    }

    /// Ends our direction after what was written.
    pub fn shutdown(&mut self, _now: Instant, stream: StreamId) {
        if let Some(state) = self.streams.get_mut(&stream)
            && state.send.finish()
        {
            self.make_ready(stream);
        }
    }

    /// Whether the peer acknowledged our end.
    ///
    /// # Errors
    /// The stream failed before that.
    pub fn is_shut(&self, stream: StreamId) -> Result<bool, StreamError> {
        let state = self.streams.get(&stream).ok_or(StreamError::Unknown)?;
        match state.send.failure {
            _ if state.send.is_acknowledged() => Ok(true),
            Some(failure) => Err(failure),
            None => Ok(false),
        }
    }

    /// No more handles: shutdown in the background plus "no more reads".
    pub fn release(&mut self, now: Instant, stream: StreamId) {
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        state.released = true;
        let mut bits = 0;
        if !state.receive.done() {
            state.stopping = true;
            bits |= due::STOP;
        }
        state.receive.stop();
        if state.receive.credit_due() {
            bits |= due::CREDIT;
        }
        self.mark(stream, bits);
        self.shutdown(now, stream);
        self.settle(now, stream);
    }

    /// Abort: both directions, unsent data thrown away.
    pub fn reset(&mut self, now: Instant, stream: StreamId, code: u32) {
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        if state.finished() {
            return;
        }
        let error = StreamError::Reset(code);
        for path in self.paths.iter_mut().flatten() {
            path.outbox.abandon(stream, &state.send);
        }
        let bits = if state.send.done {
            // An end that was acknowledged stands; what the peer still sends is refused.
            state.code = code;
            state.stopping = true;
            state.receive.refuse(error);
            due::STOP
        } else {
            state.reset_both = true;
            state.send.abandon(error, Some(code));
            state.receive.fail(error, false);
            due::RESET
        };
        self.mark(stream, bits);
        self.wake(stream);
        self.settle(now, stream);
    }

    /// Labels that some unacknowledged byte or message, or a stream itself, carries now: each once.
    pub fn live_labels(&self) -> Vec<Label> {
        let mut labels = Vec::new();
        for stream in self.streams.values() {
            let own = (!stream.finished()).then_some(stream.label);
            for label in own.into_iter().chain(stream.send.rope.labels()) {
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        let of_streams = labels.len();
        // Those of messages are each told once.
        for label in self.messages.labels() {
            if !labels[..of_streams].contains(&label) {
                labels.push(label);
            }
        }
        labels
    }

    /// The label of a stream's traffic from now on (for `live_labels`); each write names its own.
    pub fn set_label(&mut self, _now: Instant, stream: StreamId, label: Label) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.label = label;
        }
    }
}
