//! Packets that go.

use std::num::NonZeroU32;
use std::time::Instant;

use super::Airhook;
use super::error::BufferTooSmall;
use super::packet::{Cursor, Header};
use super::types::State;

impl Airhook {
    /// Makes the packet that is due, in `buffer`: its length, or `None` if none is due. Ask again until
    /// then: there may be more messages than fit into one.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`] if the first message does not fit; nothing changes.
    pub fn transmit(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        self.advance(now);
        match self.poll_timeout() {
            Some(at) if at <= self.now => self.make(buffer).map(Some),
            _ => Ok(None),
        }
    }

    /// Makes a packet whether one is due or not, as a sign of life or to keep a binding of a NAT.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`], as of [`transmit`](Self::transmit).
    pub fn probe(&mut self, now: Instant, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        self.advance(now);
        self.make(buffer)
    }

    /// When [`transmit`](Self::transmit) will have a packet; a time that has come already if it has one
    /// now. `None` while everything is said and confirmed: then nothing is sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Some(last) = self.last_transmit else {
            return Some(self.now);
        };
        if self.answer || self.peer.asks().is_some() || self.is_novel() {
            return Some(self.now);
        }
        let waits = self.sender.is_waiting() || self.receiver.missed().len() > 0;
        let waits = waits || !self.peer.is_confirmed();
        waits.then(|| last + self.settings.retransmit())
    }

    fn has_data(&self) -> bool {
        self.sender
            .has_data(self.peer.flight(), self.peer.is_cautious())
    }

    /// Whether the next packet has something to say that none has said before.
    fn is_novel(&self) -> bool {
        let missed = self.receiver.missed().len() > self.receiver.carried();
        let news = self.news || missed || self.peer.introduces();
        self.has_data() || news && self.sender.has_room(self.receiver.untold() > 0)
    }

    fn make(&mut self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        match (self.is_novel(), self.peer.asks()) {
            (true, _) => self.make_novel(buffer),
            (false, Some(stranger)) => self.make_question(stranger, buffer),
            (false, None) => self.make_probe(buffer),
        }
    }

    /// To one that is not the peer, as if it were our first: what we know is of another. It must be newer
    /// than everything the peer's earlier instance may be sent still.
    fn make_question(
        &mut self,
        stranger: NonZeroU32,
        buffer: &mut [u8],
    ) -> Result<usize, BufferTooSmall> {
        let mut header = Header {
            observed: 0,
            sequence: self.sender.last(),
            observed_session: Some(stranger),
            session: Some(self.session),
            proof: false,
            number: self.sender.base(),
            missed: 0,
        };
        let mut out = room(buffer, header.length())?;
        if self.peer.doubts(header.sequence) {
            self.sender.skip(self.now);
            header.sequence = self.sender.last();
        }
        header.write(std::iter::empty(), &mut out);
        self.peer.asked();
        self.answer = false;
        Ok(out.written())
    }

    fn header(&self) -> Header {
        let proof = self.settings.guarded && !self.peer.tells();
        let tells = proof || self.peer.tells();
        Header {
            observed: self.receiver.observed(),
            sequence: self.sender.last().wrapping_add(1),
            observed_session: self.peer.observed().filter(|_| tells),
            session: tells.then_some(self.session),
            proof,
            number: self.sender.next_number(),
            missed: self.receiver.missed().len(),
        }
    }

    /// A packet of a sequence of its own.
    fn make_novel(&mut self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let header = self.header();
        let first = self.sender.first().filter(|_| self.has_data());
        let first_length = first.map_or(0, |message| 1 + message.len());
        let mut out = room(buffer, header.length() + first_length)?;
        header.write(self.receiver.missed(), &mut out);
        let (data, cautious) = (first_length > 0, self.peer.is_cautious());
        self.sender.fill(self.now, data, cautious, &mut out);
        self.receiver.carry(header.sequence);
        self.peer.introduce(header.sequence);
        self.news = false;
        Ok(self.made(out.written()))
    }

    /// The last packet once more, without its messages. What was missed since is left out, for the peer
    /// may have the packet without it; then nothing later may be acknowledged either, or it would count
    /// as having come.
    fn make_probe(&mut self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let mut header = self.header();
        header.sequence = self.sender.last();
        header.missed = self.receiver.carried();
        header.observed = self.receiver.observed_safely();
        let mut out = room(buffer, header.length())?;
        header.write(self.receiver.missed(), &mut out);
        Ok(self.made(out.written()))
    }

    fn made(&mut self, length: usize) -> usize {
        self.answer = false;
        self.last_transmit = Some(self.now);
        length
    }

    pub(super) fn remote_state(&self) -> State {
        match (self.peer.is_confirmed(), self.peer.was_introduced()) {
            (true, _) => State::Confirmed,
            (false, true) => State::Sent,
            (false, false) => State::Pending,
        }
    }
}

fn room(buffer: &mut [u8], needed: usize) -> Result<Cursor<'_>, BufferTooSmall> {
    match buffer.len() >= needed {
        true => Ok(Cursor::new(buffer)),
        false => Err(BufferTooSmall { needed }),
    }
}
