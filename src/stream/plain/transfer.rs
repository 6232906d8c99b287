//! Bytes in and out, as far as there is a connection, and what an error on it means.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::super::error::SessionError;
use super::Plain;
use super::state::State;

impl Plain {
    pub(in crate::stream) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|state| {
            if state.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            if let Some(link) = &mut state.link {
                match Pin::new(&mut **link).poll_read(cx, buf) {
                    Poll::Ready(Ok(())) => {
                        let n = buf.filled().len() - before;
                        state.read += n as u64;
                        state.came(n);
                        state.ended = n == 0;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Err(error)) => self.lose(state, error),
                    Poll::Pending => {}
                }
            }
            if let Some(error) = &state.failed {
                state.link = None;
                return Poll::Ready(Err(error.clone().into()));
            }
            park(&mut state.readers, cx);
            Poll::Pending
        })
    }

    pub(in crate::stream) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut sampled = None;
        let written = self.with(|state| {
            self.follow(state);
            state.check_writable()?;
            if state.shutdown {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "written after shutdown",
                )));
            }
            if data.is_empty() {
                return Poll::Ready(Ok(0));
            }
            // A replay goes first, and has the rate for itself.
            let room = match state.owes() {
                true => Poll::Pending,
                false => state.poll_room(cx, data.len()),
            };
            let wrote = match room {
                Poll::Ready(room) => {
                    let wrote = state.poll_link(|link| link.poll_write(cx, &data[..room]));
                    let went = match &wrote {
                        Poll::Ready(Ok(n)) => *n,
                        _ => 0,
                    };
                    state.took(went, data.len());
                    wrote
                }
                Poll::Pending => Poll::Pending,
            };
            match wrote {
                Poll::Ready(Ok(n)) => {
                    state.keep(&data[..n]);
                    sampled = state.sample();
                    return Poll::Ready(Ok(n));
                }
                Poll::Ready(Err(error)) => self.break_off(state, error)?,
                Poll::Pending => {}
            }
            park(&mut state.writers, cx);
            Poll::Pending
        });
        if let (Some(registry), Some((network, sample))) = (&self.registry, sampled) {
            registry.scout().report(network, sample);
        }
        written
    }

    /// Ready while there is no connection: what was accepted goes out on the next.
    pub(in crate::stream) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| {
            state.check_writable()?;
            if state.link.is_none() || state.owes() {
                return Poll::Ready(Ok(()));
            }
            match state.poll_link(|link| link.poll_flush(cx)) {
                Poll::Ready(Err(error)) => Poll::Ready(self.break_off(state, error)),
                done => done,
            }
        })
    }

    pub(in crate::stream) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| {
            if state.shut {
                return Poll::Ready(Ok(()));
            }
            state.check_writable()?;
            state.shutdown = true;
            match state.poll_link(|link| link.poll_shutdown(cx)) {
                Poll::Ready(Ok(())) => {
                    state.shut = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => self.break_off(state, error)?,
                // Also where nobody waits for it.
                Poll::Pending => self.news.notify_one(),
            }
            park(&mut state.writers, cx);
            Poll::Pending
        })
    }

    /// Ends our direction without waiting for it.
    pub(in crate::stream) fn end(&self) {
        let _ = self.poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }

    /// The connection is of no more use: the end without a hook, work for the tending task with one.
    pub(super) fn lose(&self, state: &mut State, error: io::Error) {
        if self.hooked && !state.ended {
            state.drop_link(&error.to_string());
            self.news.notify_one();
        } else {
            state.drop_link(&error.to_string());
            state.fail(SessionError::Lost(error.into()));
        }
    }

    /// Writing failed. What the server said before is still to be read, unless another connection
    /// is to come.
    fn break_off(&self, state: &mut State, error: io::Error) -> io::Result<()> {
        if self.hooked && !state.ended {
            self.lose(state, error);
            return Ok(());
        }
        let error = SessionError::Lost(error.into());
        state.broken = Some(error.clone());
        Err(error.into())
    }
}

fn park(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(known) => known.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
