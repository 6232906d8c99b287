//! What a link and its driver share: the stream, and who waits for it.

use crate::proto::airstream::{Airstream, Fault, WriteError};
use crate::transport::Measured;
use crate::transport::error::fail;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::ReadBuf;

/// A stream, and who waits for it.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

pub(super) struct State {
    pub(super) stream: Airstream,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) driver: Option<Waker>,
    /// What became of the datagrams' link.
    pub(super) broken: Option<(io::ErrorKind, String)>,
    /// Dropped with the driver, by who waits for what was written to arrive.
    pub(super) guard: Option<Box<dyn Send>>,
    /// The driver is gone.
    pub(super) left: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("stream", &self.stream)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Shared {
    pub(super) fn new(stream: Airstream) -> Self {
        Self(Mutex::new(State {
            stream,
            reader: None,
            writer: None,
            driver: None,
            broken: None,
            guard: None,
            left: false,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let now = now();
        match state.stream.read(now, buf.initialize_unfilled()) {
            Ok(Some(n)) => {
                buf.advance(n);
                let driver = state.due(now);
                drop(state);
                wake([driver]);
                Poll::Ready(Ok(()))
            }
            Ok(None) => match state.failure() {
                Some(error) => Poll::Ready(Err(error)),
                None => {
                    keep(&mut state.reader, cx);
                    Poll::Pending
                }
            },
            Err(fault) => Poll::Ready(Err(told(fault))),
        }
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let now = now();
        if let Some(error) = state.failure() {
            return Poll::Ready(Err(error));
        }
        let mut taken = 0;
        for bytes in bufs {
            match state.stream.write(now, bytes) {
                Ok(n) => {
                    taken += n;
                    if n < bytes.len() {
                        break;
                    }
                }
                Err(_) if taken > 0 => break,
                Err(WriteError::Fault(fault)) => return Poll::Ready(Err(told(fault))),
                Err(ended) => {
                    let error = io::Error::new(io::ErrorKind::BrokenPipe, ended);
                    return Poll::Ready(Err(error));
                }
            }
        }
        if taken == 0 && bufs.iter().any(|bytes| !bytes.is_empty()) {
            keep(&mut state.writer, cx);
            return Poll::Pending;
        }
        let driver = state.due(now);
        drop(state);
        wake([driver]);
        Poll::Ready(Ok(taken))
    }

    /// Asks something of the stream that its driver carries out.
    fn ask(&self, what: fn(&mut Airstream, Instant)) {
        let mut state = self.lock();
        what(&mut state.stream, now());
        let driver = state.driver.take();
        drop(state);
        wake([driver]);
    }

    pub(super) fn shutdown(&self) {
        self.ask(Airstream::shutdown);
    }

    pub(super) fn close(&self) {
        self.ask(Airstream::close);
    }

    pub(super) fn tear(&self) {
        self.ask(Airstream::tear);
    }

    /// The guard is dropped once there is nothing left to be done for the link.
    pub(super) fn keep(&self, guard: Box<dyn Send>) {
        let mut state = self.lock();
        if state.left {
            // Nothing is done any more: it goes at once, without the lock.
            drop(state);
            return drop(guard);
        }
        state.guard = Some(guard);
    }

    pub(super) fn confirmed(&self) -> u64 {
        self.lock().stream.confirmed()
    }

    pub(super) fn measure(&self) -> Measured {
        let figures = self.lock().stream.figures(now());
        Measured {
            rtt: figures.rtt,
            deviation: figures.deviation,
            least_rtt: figures.least_rtt,
            app_limited: figures.app_limited,
            acknowledged: figures.acknowledged,
            busy: figures.busy,
            held_back: figures.held_back,
            segments: figures.segments,
            resent: figures.resent,
            outstanding: Some(figures.outstanding),
            unsent: Some(figures.unsent),
            // What arrived after a gap is counted when it did.
            delivery_rate: None,
        }
    }

    pub(super) fn limit_unsent(&self, bytes: usize) {
        self.lock().stream.limit_unsent(bytes);
    }
}

impl State {
    /// The driver, if there is something for it to do.
    fn due(&mut self, now: Instant) -> Option<Waker> {
        let due = self.stream.poll_timeout().is_some_and(|at| at <= now);
        if due { self.driver.take() } else { None }
    }

    /// Those for whom something changed.
    pub(super) fn ready(&mut self) -> [Option<Waker>; 2] {
        let broken = self.broken.is_some();
        let reads = broken || self.stream.is_readable();
        let writes = broken || self.stream.is_writable();
        [
            self.reader.take_if(|_| reads),
            self.writer.take_if(|_| writes),
        ]
    }

    pub(super) fn failure(&self) -> Option<io::Error> {
        let (kind, text) = self.broken.as_ref()?;
        Some(fail(*kind, text))
    }
}

pub(super) fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(kept) if kept.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

/// No waker runs under the lock.
pub(super) fn wake<const N: usize>(wakers: [Option<Waker>; N]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

pub(super) fn told(fault: Fault) -> io::Error {
    let kind = match fault {
        Fault::Silent => io::ErrorKind::TimedOut,
        Fault::Nonsense => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, fault)
}
