//! One end of a connection in memory.

use super::lane::Step;
use super::owned::{OwnedSend, State};
use super::pair::{End, Pair, Wakers};
use super::pull::Gate;
use super::world::{Look, View, World};
use crate::endpoint::Endpoint;
use crate::transport::{BoxFuture, ByteLink};
use bytes::Bytes;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection of [`Memory`](super::Memory).
pub struct MemoryLink {
    pair: Arc<Mutex<Pair>>,
    end: End,
    peer: Endpoint,
    /// The transport object at the other end.
    pub(super) far: u64,
    gate: Gate,
    reading: Attention,
    writing: Attention,
}

impl fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("MemoryLink");
        text.field("end", &self.end)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl MemoryLink {
    pub(super) fn new(
        pair: Arc<Mutex<Pair>>,
        end: End,
        peer: Endpoint,
        (far, gate): (u64, Gate),
        view: Option<&View>,
    ) -> Self {
        Self {
            pair,
            end,
            peer,
            far,
            gate,
            reading: Attention::new(view),
            writing: Attention::new(view),
        }
    }

    /// Reads into `bufs`, in order, what has arrived.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let budget = ready!(poll_proceed(cx));
        loop {
            ready!(self.gate.poll_open(cx));
            let (now, look) = (Instant::now(), self.reading.look());
            let mut wakers = Wakers::default();
            let mut pair = lock(&self.pair);
            pair.observe(now, &look, &mut wakers);
            let step = match read_all(&mut pair, self.end, now, bufs, &mut wakers) {
                Step::Wait(at) => {
                    pair.wait_reading(self.end, cx.waker());
                    Err(at.map(|at| pair.when(now, at)))
                }
                Step::Done(read) => Ok(read),
            };
            drop(pair);
            wakers.wake();
            match step {
                Ok(read) => {
                    budget.made_progress();
                    return Poll::Ready(read);
                }
                Err(until) => ready!(self.reading.poll_wait(cx, until)),
            }
        }
    }

    /// Writes what `bufs` hold, in order, as far as there is room.
    fn write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let budget = ready!(poll_proceed(cx));
        loop {
            let (now, look) = (Instant::now(), self.writing.look());
            let mut wakers = Wakers::default();
            let mut pair = lock(&self.pair);
            pair.observe(now, &look, &mut wakers);
            let step = match write_all(&mut pair, self.end, now, bufs, &mut wakers) {
                Step::Wait(at) => {
                    pair.wait_writing(self.end, cx.waker());
                    Err(at.map(|at| pair.when(now, at)))
                }
                Step::Done(written) => Ok(written),
            };
            drop(pair);
            wakers.wake();
            match step {
                Ok(written) => {
                    budget.made_progress();
                    return Poll::Ready(written);
                }
                Err(until) => ready!(self.writing.poll_wait(cx, until)),
            }
        }
    }
}

pub(super) fn lock(pair: &Mutex<Pair>) -> MutexGuard<'_, Pair> {
    pair.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(
    pair: &mut Pair,
    end: End,
    now: Instant,
    bufs: &mut [IoSliceMut<'_>],
    wakers: &mut Wakers,
) -> Step<io::Result<usize>> {
    let mut total = 0;
    for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
        match pair.read(end, now, buf, wakers) {
            Step::Done(Ok(n)) if n == buf.len() => total += n,
            Step::Done(Ok(n)) => return Step::Done(Ok(total + n)),
            // The error, or the wait, is the next call's.
            _ if total > 0 => break,
            other => return other,
        }
    }
    Step::Done(Ok(total))
}

fn write_all(
    pair: &mut Pair,
    end: End,
    now: Instant,
    bufs: &[IoSlice<'_>],
    wakers: &mut Wakers,
) -> Step<io::Result<usize>> {
    let mut total = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        match pair.write(end, now, buf, wakers) {
            Step::Done(Ok(n)) if n == buf.len() => total += n,
            Step::Done(Ok(n)) => return Step::Done(Ok(total + n)),
            // The error, or the wait, is the next call's.
            _ if total > 0 => break,
            other => return other,
        }
    }
    Step::Done(Ok(total))
}

impl AsyncRead for MemoryLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut into = [IoSliceMut::new(buf.initialize_unfilled())];
        let read = ready!(self.read(cx, &mut into))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (now, look) = (Instant::now(), self.writing.look());
        let mut wakers = Wakers::default();
        let mut pair = lock(&self.pair);
        pair.observe(now, &look, &mut wakers);
        let done = pair.finish(self.end, now, &mut wakers);
        drop(pair);
        wakers.wake();
        Poll::Ready(done)
    }
}

impl ByteLink for MemoryLink {
    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.read(cx, bufs)
    }

    /// Handed over whole as soon as there is any room, so nothing is ever written into its middle; free
    /// when the other end has read it.
    fn send_owned(
        self: Pin<&mut Self>,
        bytes: Bytes,
    ) -> Option<BoxFuture<'static, io::Result<()>>> {
        Some(Box::pin(OwnedSend {
            pair: Arc::clone(&self.pair),
            end: self.end,
            attention: Attention::new(self.writing.view.as_ref()),
            state: State::Waits(bytes),
        }))
    }

    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }

    /// What the peer's program read: there is no kernel to hold it for a program that is gone.
    fn acknowledged(&self) -> Option<u64> {
        Some(lock(&self.pair).taken(self.end))
    }

    fn tear(&mut self) {
        lock(&self.pair).tear(self.end, Instant::now());
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        let mut wakers = Wakers::default();
        lock(&self.pair).leave(self.end, Instant::now(), &mut wakers);
        wakers.wake();
    }
}

/// What wakes one direction of one end besides the other end: a change of the network, a time. Each
/// direction has its own, for two tasks may wait.
pub(super) struct Attention {
    view: Option<View>,
    change: Option<BoxFuture<'static, World>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Attention {
    pub(super) fn new(view: Option<&View>) -> Self {
        Self {
            view: view.cloned(),
            change: None,
            timer: None,
        }
    }

    pub(super) fn look(&self) -> Look {
        self.view.as_ref().map_or_else(Look::unbound, View::look)
    }

    /// Ready when it is worth another look. The receivers inside `change` have seen no more than
    /// the look before, so a change between the two is not lost.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<()> {
        if let Some(view) = &self.view {
            let change = self.change.get_or_insert_with(|| watch(view.world.clone()));
            if let Poll::Ready(world) = change.as_mut().poll(cx) {
                self.change = Some(watch(world));
                return Poll::Ready(());
            }
        }
        let Some(until) = until else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

fn watch(mut world: World) -> BoxFuture<'static, World> {
    Box::pin(async move {
        world.changed().await;
        world
    })
}
