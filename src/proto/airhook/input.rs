//! Packets that come.

use std::time::Instant;

use bytes::Bytes;

use super::error::ReceiveError;
use super::packet::Packet;
use super::receiver::{MAX_NUMBERS, MAX_UNTOLD, Place, Receiver};
use super::session::Whose;
use super::types::{Event, Received};
use super::{Airhook, MAX_INCOMING};

impl Airhook {
    /// Takes a packet off the wire, whatever it is. Then [`poll_event`](Self::poll_event) has what came
    /// of it, and [`poll_timeout`](Self::poll_timeout) may be another.
    ///
    /// # Errors
    ///
    /// Why it was rejected whole. None ends anything: the next packet may be good.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> Result<Received, ReceiveError> {
        let mut packet = Packet::parse(packet)?;
        self.advance(now);
        let seen = self.sender.seen(packet.observed);
        let whose = self.peer.whose(self.session, &packet, seen)?;
        if self.settings.guarded && whose == Whose::Peer {
            packet = packet.proved()?;
        }
        match whose {
            Whose::Peer => self.of_the_peer(&packet),
            Whose::Stranger(session) => {
                self.peer.meet(session, self.sender.last());
                self.answer = true;
                Ok(Received::Stranger)
            }
            Whose::First(session) => {
                let newly = self.sender.newly(packet.observed);
                let newly = newly.ok_or(ReceiveError::NeverSent)?;
                let receiver = Receiver::at(packet.sequence);
                self.admit(&receiver, newly, &packet)?;
                self.receiver = receiver;
                self.peer.join(session);
                self.sender.found();
                self.incoming.push_back(Event::Session(session));
                self.take(newly, &packet);
                Ok(Received::New)
            }
            Whose::Next(session) => {
                let receiver = Receiver::at(packet.sequence);
                self.admit(&receiver, 0, &packet)?;
                self.receiver = receiver;
                self.peer.join(session);
                self.sender.restart(self.now, packet.observed);
                self.incoming.push_back(Event::Session(session));
                self.take(0, &packet);
                Ok(Received::New)
            }
        }
    }

    fn of_the_peer(&mut self, packet: &Packet<'_>) -> Result<Received, ReceiveError> {
        let place = self.receiver.place(packet.sequence);
        match place {
            Place::Old => return Ok(Received::Old),
            Place::Far => return Err(ReceiveError::OutOfSequence),
            Place::New | Place::Repeated => {}
        }
        let newly = match place {
            Place::Repeated => self.sender.newly_of_repeated(packet.observed),
            _ => self.sender.newly(packet.observed),
        };
        let Some(newly) = newly else {
            // A duplicate that was overtaken by a probe, which told a later one.
            return match place {
                Place::Repeated => Ok(Received::Old),
                _ => Err(ReceiveError::NeverSent),
            };
        };
        if packet.session.is_none() && !self.peer.admits(self.sender.acknowledged(newly)) {
            return Err(ReceiveError::NoSession);
        }
        if place == Place::New {
            self.admit(&self.receiver, newly, packet)?;
            self.take(newly, packet);
            return Ok(Received::New);
        }
        self.hear(newly, packet);
        // A peer that lacks something of ours may wait for just that.
        if self.sender.open() > 0 {
            self.owe();
        }
        Ok(Received::Repeated)
    }

    /// Whether there is room for what a new packet has, and for what it lacks.
    fn admit(
        &self,
        receiver: &Receiver,
        newly: usize,
        packet: &Packet<'_>,
    ) -> Result<(), ReceiveError> {
        let gap = receiver.gap(packet.number);
        let missed = receiver.remaining(self.sender.acknowledged(newly)) + gap;
        if missed > MAX_NUMBERS || gap + packet.count > MAX_NUMBERS {
            return Err(ReceiveError::TooMany);
        }
        match self.incoming.len() < MAX_INCOMING {
            true => Ok(()),
            false => Err(ReceiveError::Full),
        }
    }

    /// Takes a new packet that was admitted.
    fn take(&mut self, newly: usize, packet: &Packet<'_>) {
        self.sender.advance();
        self.hear(newly, packet);
        let gap = self.receiver.gap(packet.number);
        self.receiver
            .advance(packet.sequence, packet.number, packet.count);
        let messages = packet.messages().map(Bytes::copy_from_slice);
        self.incoming.extend(messages.map(Event::Message));
        // What says nothing but an acknowledgement needs none, until there is much of it: each takes a
        // sequence, and who has none left cannot send.
        let says = packet.session.is_some() || !packet.missed.is_empty();
        let says = says || self.receiver.untold() >= MAX_UNTOLD;
        if says || packet.count > 0 || gap > 0 {
            self.owe();
        }
    }

    /// What a packet says of ours.
    fn hear(&mut self, newly: usize, packet: &Packet<'_>) {
        let made = self.sender.acknowledge(self.now, newly, packet.missed);
        self.last_response = made.or(self.last_response);
        let acknowledged = self.sender.acknowledged(0);
        self.receiver.acknowledged(acknowledged);
        self.peer.acknowledged(acknowledged);
        self.last_received = Some(self.now);
        self.answer |= !self.peer.is_confirmed();
    }

    /// An answer is due at once, in a packet of its own sequence if there may be one.
    fn owe(&mut self) {
        self.news = true;
        self.answer = true;
    }
}
