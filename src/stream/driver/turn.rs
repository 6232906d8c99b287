//! Places in the lines of a session: who waits to send, to receive, to accept, or for the end.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use super::super::error::SessionError;
use super::Driver;
use super::line::{Line, Ticket};
use super::state::State;
use crate::label::{Label, Urgency};
use crate::proto::session::StreamId;

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// Room for messages of an urgency.
    Room(Urgency),
    Message,
    Stream,
    /// The session's end.
    End,
}

/// A place in one of a session's lines, left when this is dropped.
pub(in crate::stream) struct Turn {
    pub(super) driver: Arc<Driver>,
    awaited: Awaited,
    pub(super) ticket: Option<Ticket>,
}

impl Turn {
    fn new(driver: &Arc<Driver>, awaited: Awaited) -> Self {
        Self {
            driver: Arc::clone(driver),
            awaited,
            ticket: None,
        }
    }

    pub(in crate::stream) fn to_send(driver: &Arc<Driver>, urgency: Urgency) -> Self {
        Self::new(driver, Awaited::Room(urgency))
    }

    pub(in crate::stream) fn to_receive(driver: &Arc<Driver>) -> Self {
        Self::new(driver, Awaited::Message)
    }

    pub(in crate::stream) fn to_accept(driver: &Arc<Driver>) -> Self {
        Self::new(driver, Awaited::Stream)
    }

    pub(in crate::stream) fn to_close(driver: &Arc<Driver>) -> Self {
        Self::new(driver, Awaited::End)
    }

    /// The next stream the peer opened; pending while there is none, or others came first.
    pub(in crate::stream) fn poll_accept(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(StreamId, Label), SessionError>> {
        let ticket = &mut self.ticket;
        self.driver.with(|state, _| {
            let turn = state.accepting.is_turn(*ticket);
            let accepted = match turn.then(|| state.core.accept()).flatten() {
                Some(accepted) => {
                    state.handles += 1;
                    Ok(accepted)
                }
                None => match state.core.closed() {
                    Some(reason) => Err(state.closed_error(reason)),
                    None => {
                        state.accepting.stand(ticket, cx.waker());
                        return Poll::Pending;
                    }
                },
            };
            let next = state.accepting.leave(ticket);
            state.wake.extend(next);
            Poll::Ready(accepted)
        })
    }

    /// How the session ended; pending until it has.
    pub(in crate::stream) fn poll_closed(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<SessionError> {
        let ticket = &mut self.ticket;
        self.driver.with(|state, _| match state.core.closed() {
            Some(reason) => Poll::Ready(state.closed_error(reason)),
            None => {
                state.closing.stand(ticket, cx.waker());
                Poll::Pending
            }
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let (ticket, awaited) = (&mut self.ticket, self.awaited);
        self.driver.with(|state, _| {
            let next = state.line(awaited).leave(ticket);
            state.wake.extend(next);
        });
    }
}

impl State {
    fn line(&mut self, awaited: Awaited) -> &mut Line {
        match awaited {
            Awaited::Room(urgency) => self.waits().senders(urgency),
            Awaited::Message => &mut self.waits().receivers,
            Awaited::Stream => &mut self.accepting,
            Awaited::End => &mut self.closing,
        }
    }
}
