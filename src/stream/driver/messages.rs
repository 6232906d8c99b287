//! Messages: the ways in. Who waits there, and how, stands in `waits`.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::super::error::SessionError;
use super::super::message::{Fate, Message, MessageError, MessageId, Parcel};
use super::line::Ticket;
use super::sockets::READS;
use super::state::State;
use super::turn::Turn;
use super::waits::Settling;
use super::{Driver, remember};
use crate::label::Label;
use crate::proto::session::messages::{Fate as Told, MAX_AFTER, Refused};

impl Turn {
    /// Takes the message; pending while there is no room for it, or others came first.
    pub(in crate::stream) fn poll_send(
        &mut self,
        cx: &mut TaskContext<'_>,
        parcel: &Parcel,
    ) -> Poll<Result<MessageId, MessageError>> {
        let ticket = &mut self.ticket;
        let wakers = &self.driver.wakers;
        let mut look = false;
        let taken = self.driver.with(|state, now| {
            let taken = match state.offer(now, *ticket, parcel) {
                Ok(None) => {
                    let line = state.waits().senders(parcel.label.urgency());
                    line.stand(ticket, cx.waker());
                    if !state.has_readers() {
                        wakers.set_steward(cx.waker());
                    }
                    return Poll::Pending;
                }
                Ok(Some(id)) => {
                    // A timer of ours is armed by the task too.
                    look = state.wants_path(now, &parcel.label) | parcel.relax.is_some();
                    Ok(id)
                }
                Err(error) => Err(error),
            };
            let line = state.waits().senders(parcel.label.urgency());
            let next = line.leave(ticket);
            state.wake.extend(next);
            Poll::Ready(taken)
        });
        if look {
            wakers.nudge();
        }
        taken
    }

    /// The next message; pending while there is none, or others came first.
    pub(in crate::stream) fn poll_recv(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Message, SessionError>> {
        let ticket = &mut self.ticket;
        let wakers = &self.driver.wakers;
        self.driver.with(|state, now| {
            let found = match state.take_message(now, *ticket) {
                Some(message) => Ok(message),
                None => match state.core.closed() {
                    Some(reason) => Err(state.closed_error(reason)),
                    None => {
                        state.waits().receivers.stand(ticket, cx.waker());
                        wakers.set_steward(cx.waker());
                        return Poll::Pending;
                    }
                },
            };
            let next = state.waits().receivers.leave(ticket);
            state.wake.extend(next);
            Poll::Ready(found)
        })
    }
}

/// A wait for what becomes of a message, given up when this is dropped.
pub(in crate::stream) struct Outcome {
    driver: Arc<Driver>,
    id: MessageId,
    ticket: Option<Ticket>,
}

impl Outcome {
    pub(in crate::stream) fn of(driver: &Arc<Driver>, id: MessageId) -> Self {
        Self {
            driver: Arc::clone(driver),
            id,
            ticket: None,
        }
    }

    /// Resolves when it is delivered, or never will be.
    pub(in crate::stream) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), MessageError>> {
        let (id, ticket) = (self.id, &mut self.ticket);
        let wakers = &self.driver.wakers;
        self.driver.with(|state, now| {
            let told = ticket.and_then(|ticket| state.waits().told(id, ticket));
            if let Some(told) = told {
                return Poll::Ready(state.judge(told));
            }
            for last in [false, true] {
                match state.core.message_fate(id) {
                    Ok(Told::Pending | Told::Sent) => {}
                    Ok(told) => return Poll::Ready(state.judge(told)),
                    Err(refused) => return Poll::Ready(Err(state.refused(refused))),
                }
                if !last {
                    state.exchange(now);
                }
            }
            let waits = state.waits();
            let ticket = *ticket.get_or_insert_with(|| waits.ticket());
            let waiting = Settling::Waits(cx.waker().clone());
            waits.settling.insert((id, ticket), waiting);
            if !state.has_readers() {
                wakers.set_steward(cx.waker());
            }
            Poll::Pending
        })
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let key = (self.id, ticket);
            self.driver
                .with(|state, _| state.waits().settling.remove(&key));
        }
    }
}

impl Driver {
    /// Takes what fits of the next piece; pending while there is no room.
    pub(in crate::stream) fn poll_write_message(
        &self,
        cx: &mut TaskContext<'_>,
        id: MessageId,
        piece: &[u8],
    ) -> Poll<Result<usize, MessageError>> {
        self.with(|state, now| {
            for last in [false, true] {
                let taken = state.core.write_message(now, id, piece);
                state.transmit(now);
                match taken {
                    Ok(0) if !last => {
                        state.receive(now, READS);
                    }
                    Ok(0) => {
                        remember(state.waits().pieces.entry(id).or_default(), cx.waker());
                        if !state.has_readers() {
                            self.wakers.set_steward(cx.waker());
                        }
                        return Poll::Pending;
                    }
                    Ok(n) => return Poll::Ready(Ok(n)),
                    Err(refused) => return Poll::Ready(Err(state.given_up(id, refused))),
                }
            }
            Poll::Pending
        })
    }

    pub(in crate::stream) fn finish_message(&self, id: MessageId) -> Result<(), MessageError> {
        self.with(|state, now| {
            let finished = state.core.finish_message(now, id);
            state.transmit(now);
            finished.map_err(|refused| state.given_up(id, refused))
        })
    }

    /// The writer of a message is gone; what it did not finish is withdrawn.
    pub(in crate::stream) fn leave_message(&self, id: MessageId, finished: bool) {
        self.with(|state, now| {
            state.waits().pieces.remove(&id);
            if !finished {
                // Of a message that was given up already, there is nothing to withdraw.
                let _ = state.core.cancel_message(now, id);
                state.transmit(now);
            }
        });
    }

    /// Gives a message up; `None` while the peer is to say whether it has it.
    pub(in crate::stream) fn cancel_message(
        &self,
        id: MessageId,
    ) -> Result<Option<Fate>, MessageError> {
        self.with(|state, now| {
            let told = state.core.cancel_message(now, id);
            state.transmit(now);
            match told.map_err(|refused| state.refused(refused))? {
                Told::Pending | Told::Sent => Ok(None),
                told => fate(state.judge(told)).map(Some),
            }
        })
    }

    /// Gives a message another label while nothing of it was sent.
    pub(in crate::stream) fn relabel_message(
        &self,
        id: MessageId,
        label: Label,
    ) -> Result<(), MessageError> {
        self.with(|state, now| {
            state
                .core
                .relabel_message(now, id, label)
                .map_err(|refused| match state.core.message_fate(id) {
                    Ok(Told::Delivered) => MessageError::AlreadySent,
                    _ => state.given_up(id, refused),
                })?;
            state.waits().forget(id);
            state.transmit(now);
            state.unsettled = true;
            Ok(())
        })?;
        self.wakers.nudge();
        Ok(())
    }
}

/// What a cancel comes to, of what the message came to.
pub(in crate::stream) fn fate(outcome: Result<(), MessageError>) -> Result<Fate, MessageError> {
    match outcome {
        Ok(()) => Ok(Fate::Delivered),
        Err(MessageError::Cancelled | MessageError::Expired | MessageError::DependencyLost(_)) => {
            Ok(Fate::Withdrawn)
        }
        Err(error) => Err(error),
    }
}

impl State {
    /// Writes what waits, then reads what came, and answers it.
    fn exchange(&mut self, now: Instant) {
        self.transmit(now);
        self.receive(now, READS);
        self.transmit(now);
    }

    /// `None`: it must wait.
    fn offer(
        &mut self,
        now: Instant,
        ticket: Option<Ticket>,
        parcel: &Parcel,
    ) -> Result<Option<MessageId>, MessageError> {
        let Parcel {
            label,
            bytes,
            order,
            expires,
            relax,
        } = parcel;
        if expires.is_some_and(|at| at <= now) {
            return Err(MessageError::Expired);
        }
        if !self.waits().senders(label.urgency()).is_turn(ticket) {
            return Ok(None);
        }
        for last in [false, true] {
            let core = &mut self.core;
            let taken = match bytes {
                Some(bytes) => core.send_message(now, *label, bytes, order, *expires),
                None => core.begin_message(now, *label, order, *expires),
            };
            let taken = taken.map_err(|refused| self.refused(refused))?;
            self.transmit(now);
            if let (Some(id), Some((at, looser))) = (taken, relax) {
                self.waits().relax(id, *at, *looser);
            }
            if taken.is_some() || last {
                return Ok(taken);
            }
            // Full: what makes room is word from the peer, so look for it.
            self.receive(now, READS);
        }
        Ok(None)
    }

    fn take_message(&mut self, now: Instant, ticket: Option<Ticket>) -> Option<Message> {
        if !self.waits().receivers.is_turn(ticket) {
            return None;
        }
        let mut found = self.core.recv_message(now);
        if found.is_none() {
            self.receive(now, READS);
            found = self.core.recv_message(now);
        }
        self.transmit(now);
        found.map(Message::from)
    }

    /// Whether another path may have to be looked for, now that something with this label waits.
    fn wants_path(&mut self, now: Instant, label: &Label) -> bool {
        let fresh = self.waits().looked.is_due(now, label);
        let carried = (self.links.iter()).any(|link| self.core.permits(link.path, label));
        let wanted = fresh || !carried;
        self.unsettled |= wanted;
        wanted
    }

    /// What a message that is settled came to.
    fn judge(&self, told: Told) -> Result<(), MessageError> {
        match told {
            Told::Delivered => Ok(()),
            Told::Expired => Err(MessageError::Expired),
            Told::Cancelled => Err(MessageError::Cancelled),
            Told::DependencyLost(id) => Err(MessageError::DependencyLost(id)),
            Told::Lost { maybe_delivered } => Err(MessageError::Lost {
                maybe_delivered,
                session: self.end(),
            }),
            Told::Pending | Told::Sent => Err(MessageError::Unknown),
        }
    }

    fn end(&self) -> SessionError {
        let reason = self.core.closed();
        reason.map_or(SessionError::Closed, |reason| self.closed_error(reason))
    }

    /// Why a message in the making takes no more: what became of it, if anything did.
    fn given_up(&self, id: MessageId, refused: Refused) -> MessageError {
        let told = self.core.message_fate(id);
        let ended = told.ok().and_then(|told| match told {
            Told::Pending | Told::Sent => None,
            told => self.judge(told).err(),
        });
        ended.unwrap_or_else(|| self.refused(refused))
    }

    fn refused(&self, refused: Refused) -> MessageError {
        match refused {
            Refused::UnknownDependency(id) => MessageError::UnknownDependency(id),
            Refused::DependencyLost(id) => MessageError::DependencyLost(id),
            Refused::TooManyNamed => MessageError::TooManyDependencies { limit: MAX_AFTER },
            Refused::TooLong(limit) => MessageError::TooLong { limit },
            Refused::Unknown => MessageError::Unknown,
            Refused::Sent => MessageError::AlreadySent,
            Refused::Closed(reason) => MessageError::Closed(self.closed_error(reason)),
        }
    }
}
