//! What a program asks of a session's messages.

use std::time::Instant;

use bytes::Bytes;

use super::record::State;
use super::{Fate, MessageId, Order, Received, Refused};
use crate::label::Label;
use crate::proto::session::outbox::Back;
use crate::proto::session::{CloseReason, Phase, Session};

impl Session {
    fn takes_messages(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Over(reason) => Err(Refused::Closed(reason)),
            Phase::Draining | Phase::Saying => Err(Refused::Closed(CloseReason::Finished)),
        }
    }

    fn lives(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Over(reason) => Err(Refused::Closed(reason)),
            _ => Ok(()),
        }
    }

    /// Takes a message whole; `None` while there is no room for one of its urgency
    /// (`MessageRoom` follows).
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn send_message(
        &mut self,
        _now: Instant,
        label: Label,
        bytes: &Bytes,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        let longest = self.messages.out.longest;
        if bytes.len() as u64 > longest {
            return Err(Refused::TooLong(longest));
        }
        self.takes_messages()?;
        let out = &mut self.messages.out;
        if let Order::After(ids) = order {
            out.named(ids)?;
        }
        if !out.has_room(label.urgency(), bytes.len()) {
            return Ok(None);
        }
        let id = out.next_id;
        out.next_id += 1;
        let placed = out.place(id, label.urgency(), order)?;
        let lane = label.urgency() as usize;
        out.insert(id, (label, lane), bytes.clone(), placed, expires);
        self.raise_planned();
        Ok(Some(MessageId(id)))
    }

    /// Begins a message that is written piece by piece; `None` as above.
    ///
    /// It takes its place in the order when it is finished, and is sent from then on.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn begin_message(
        &mut self,
        _now: Instant,
        label: Label,
        order: &Order,
        expires: Option<Instant>,
    ) -> Result<Option<MessageId>, Refused> {
        self.takes_messages()?;
        let out = &mut self.messages.out;
        if let Order::After(ids) = order {
            out.named(ids)?;
        }
        if !out.has_room_to_write(label.urgency()) {
            return Ok(None);
        }
        let id = out.begin_writing(label, order.clone(), expires);
        Ok(Some(MessageId(id)))
    }

    /// Takes what fits of the next piece; 0 while there is no room (`MessageRoom` follows).
    ///
    /// # Errors
    /// `TooLong`, `Unknown`, `Closed`; the message's own end as the fate says.
    pub fn write_message(
        &mut self,
        _now: Instant,
        id: MessageId,
        piece: &[u8],
    ) -> Result<usize, Refused> {
        self.lives()?;
        self.messages.out.write(id.0, piece)
    }

    /// The message is complete.
    ///
    /// # Errors
    /// `Unknown`, `Closed`; `TooLong` once a piece was refused as that, and it stays begun;
    /// `DependencyLost` where what it comes after was given up meanwhile, and it
    /// with that.
    pub fn finish_message(&mut self, now: Instant, id: MessageId) -> Result<(), Refused> {
        self.lives()?;
        let finished = self.messages.out.finish_writing(id.0);
        self.raise_planned();
        self.settle_messages(now);
        finished
    }

    /// The next message in order: the most urgent whose predecessors were all handed out.
    pub fn recv_message(&mut self, now: Instant) -> Option<Received> {
        let received = self.messages.inn.take();
        match &received {
            Some(_) if self.lives().is_ok() => self.return_credit(now),
            Some(_) => {}
            None => self.messages.wanted = true,
        }
        received
    }

    /// What became of it so far (`MessageSettled` tells when that is final).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn message_fate(&self, id: MessageId) -> Result<Fate, Refused> {
        let out = &self.messages.out;
        match out.records.get(&id.0) {
            Some(record) if record.settled() => out.settled_fate(id.0).ok_or(Refused::Unknown),
            Some(record) if record.written => Ok(Fate::Sent),
            Some(_) => Ok(Fate::Pending),
            None if out.writing.contains_key(&id.0) => Ok(Fate::Pending),
            None if id.0 >= out.next_id => Err(Refused::Unknown),
            None => out.settled_fate(id.0).ok_or(Refused::Unknown),
        }
    }

    /// Gives it up. Final at once if not a byte was sent; else the peer decides (`MessageSettled`).
    ///
    /// # Errors
    /// `Unknown`.
    pub fn cancel_message(&mut self, now: Instant, id: MessageId) -> Result<Fate, Refused> {
        self.give_up(id.0, Fate::Cancelled);
        self.settle_messages(now);
        self.message_fate(id)
    }

    /// Gives a message up, for this reason.
    pub(super) fn give_up(&mut self, id: u64, cause: Fate) {
        self.take_back(id);
        let out = &mut self.messages.out;
        if out.stop_writing(id, cause) {
            return;
        }
        let Some(record) = out.records.get(&id) else {
            return;
        };
        let lost = matches!(cause, Fate::DependencyLost(_));
        match record.state {
            State::Live if !record.written => out.discard(id, cause),
            _ => out.withdraw(id, cause, lost),
        }
    }

    /// Takes the frames of a message of which nothing was written out of every outbox.
    fn take_back(&mut self, id: u64) {
        let (paths, messages) = (&mut self.paths, &mut self.messages);
        let record = messages.out.records.get(&id);
        if record.is_none_or(|record| record.seq.is_none()) {
            return;
        }
        for (slot, path) in paths.iter_mut().enumerate() {
            let Some(path) = path else { continue };
            path.outbox.unplan_message(id, |start, end, back| {
                if back != Back::Copy {
                    messages.untake(id, start, end, back, slot);
                }
            });
        }
    }

    /// Gives it another label. Of another urgency, one sent without `after` joins the end of that one's
    /// order, unless it has a number on the wire already.
    ///
    /// # Errors
    /// `Sent` once a byte of it was sent, or of what comes after it while the peer has no room for another
    /// of the new urgency; `Unknown`.
    pub fn relabel_message(
        &mut self,
        _now: Instant,
        id: MessageId,
        label: Label,
    ) -> Result<(), Refused> {
        let out = &mut self.messages.out;
        if out.relabel_writing(id.0, label) {
            return Ok(());
        }
        match out.records.get(&id.0).ok_or(Refused::Unknown)? {
            record if record.settled() => return Err(Refused::Unknown),
            record if record.written || !record.is_live() => return Err(Refused::Sent),
            _ => {}
        }
        self.take_back(id.0);
        if !self.messages.out.relabel(id.0, label) {
            return Err(Refused::Sent);
        }
        self.raise_planned();
        Ok(())
    }
}
