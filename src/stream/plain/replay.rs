//! From one connection to the next: what is kept of the bytes written, and what of it is owed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::super::error::SessionError;
use super::super::events::PathEvent;
use super::super::gauge::Gauge;
use super::Plain;
use super::state::State;
use crate::network::Network;
use crate::transport::ByteLink;

/// A new connection, set up.
pub(in crate::stream) struct Fresh {
    pub(in crate::stream) link: Box<dyn ByteLink>,
    pub(in crate::stream) network: Option<Network>,
    /// Bytes the hook wrote on it.
    pub(in crate::stream) preamble: u64,
}

impl Plain {
    /// Puts a new connection beneath the stream, which goes on from this offset of its own.
    pub(in crate::stream) fn resume(
        &self,
        fresh: Fresh,
        from: Option<u64>,
    ) -> Result<(), SessionError> {
        self.with(|state| {
            let preamble = fresh.preamble;
            state.resume(fresh, from)?;
            self.set_terms(state);
            state.went(preamble);
            Ok(())
        })
    }

    /// Writes what a replay owes the present connection, then tells it of our end; ready when
    /// writers may go on. For the tending task alone, so that nobody else waits for the same socket.
    pub(in crate::stream) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|state| match ready!(state.poll_settled(cx)) {
            Ok(()) => {
                state.wake.extend(state.writers.take());
                Poll::Ready(())
            }
            Err(error) => {
                self.lose(state, error);
                Poll::Pending
            }
        })
    }
}

impl State {
    /// Whether a replay goes before what the writer has to say.
    pub(super) fn owes(&self) -> bool {
        self.sent < self.written
    }

    pub(super) fn keep(&mut self, data: &[u8]) {
        self.written += data.len() as u64;
        self.sent = self.written;
        if self.keep > 0 {
            self.kept.extend(data);
            let excess = self.kept.len().saturating_sub(self.keep);
            self.kept.drain(..excess);
        }
    }

    pub(super) fn acknowledged(&self) -> Option<u64> {
        let of_link = self.link.as_ref()?.acknowledged()?;
        Some((self.base + of_link.saturating_sub(self.preamble)).min(self.written))
    }

    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.owes() {
            let owed = usize::try_from(self.written - self.sent).unwrap_or(usize::MAX);
            let room = ready!(self.poll_room(cx, owed));
            let Some(link) = &mut self.link else {
                return Poll::Pending;
            };
            let from = self.kept.len() - owed;
            let (front, back) = self.kept.as_slices();
            let next = if from < front.len() {
                &front[from..]
            } else {
                &back[from - front.len()..]
            };
            let next = &next[..next.len().min(room)];
            let wrote = Pin::new(&mut **link).poll_write(cx, next);
            let went = match &wrote {
                Poll::Ready(Ok(n)) => *n,
                _ => 0,
            };
            self.took(went, owed);
            match wrote {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n as u64;
                    self.resent += n as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(link) = &mut self.link else {
            return Poll::Pending;
        };
        if self.shutdown && !self.shut {
            ready!(Pin::new(&mut **link).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn resume(&mut self, fresh: Fresh, from: Option<u64>) -> Result<(), SessionError> {
        let from = from.unwrap_or(self.written);
        let oldest = self.written - self.kept.len() as u64;
        if from < oldest || from > self.written {
            let (written, kept) = (self.written, self.kept.len());
            let text = format!(
                "the hook asked to replay from byte {from}; of {written} written, the last {kept} are kept"
            );
            return Err(SessionError::Hook(
                io::Error::new(io::ErrorKind::InvalidInput, text).into(),
            ));
        }
        self.link = Some(fresh.link);
        self.gauge = Gauge::default();
        self.network = fresh.network;
        self.connections += 1;
        self.preamble = fresh.preamble;
        self.shut = false;
        (self.base, self.sent) = (from, from);
        let info = self.info();
        self.publish(PathEvent::Up(info));
        self.wake.extend(self.readers.take());
        Ok(())
    }
}
