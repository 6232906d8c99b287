//! The task of a link: datagrams in and out, and timers.

use super::AirhookLink;
use super::shared::{Shared, keep, now, told, wake};
use crate::endpoint::Endpoint;
use crate::proto::airhook::MIN_BUFFER;
use crate::proto::airstream::{Airstream, PACKET};
use crate::transport::error::fail;
use crate::transport::{DatagramLink, Link};
use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::ReadBuf;
use tokio::time::Sleep;

/// Datagrams received before something is sent, and before other tasks have their turn.
const TURN: usize = 64;
/// The largest datagram that is read whole: others send larger ones than we do.
const LARGEST: usize = 2_048;
/// A port that nobody listens at any more is believed once nothing was heard for so long.
const REFUSED: Duration = Duration::from_secs(1);
/// So many failures in a row, with nothing received between them, are the link's end.
const FAILURES: u32 = 64;
/// While the socket takes nothing.
const BUSY: Duration = Duration::from_millis(20);

/// Carries out what a stream decides, until it is over.
pub(super) struct Driver {
    shared: Arc<Shared>,
    link: Box<dyn DatagramLink>,
    timer: Pin<Box<Sleep>>,
    received: Box<[u8; LARGEST]>,
    packet: Box<[u8; PACKET]>,
    /// The largest packet that the link takes.
    most: usize,
    /// The length of a packet that the link did not take yet.
    unsent: Option<usize>,
    /// When the last datagram came.
    heard: Option<Instant>,
    failures: u32,
}

impl Driver {
    pub(super) fn dial(
        beneath: Link,
        to: &Endpoint,
        dialled: Option<Endpoint>,
    ) -> io::Result<(AirhookLink, Self)> {
        let [session, tag] = chance()?;
        let stream = Airstream::dial(now(), session, tag.get());
        Self::new(beneath, to, dialled, stream)
    }

    pub(super) fn listen(beneath: Link, at: &Endpoint) -> io::Result<(AirhookLink, Self)> {
        let [session, _] = chance()?;
        let stream = Airstream::listen(now(), session);
        Self::new(beneath, at, None, stream)
    }

    fn new(
        beneath: Link,
        given: &Endpoint,
        dialled: Option<Endpoint>,
        stream: Airstream,
    ) -> io::Result<(AirhookLink, Self)> {
        let link = match beneath {
            Link::Datagrams(link) if link.max_datagram() >= MIN_BUFFER => link,
            Link::Datagrams(link) => {
                let most = link.max_datagram();
                let text = format_args!(
                    "{given}: Airhook takes datagrams of {MIN_BUFFER} bytes, these have at most {most}"
                );
                return Err(fail(io::ErrorKind::Unsupported, text));
            }
            Link::Bytes(_) => {
                let text = format_args!("{given}: Airhook goes over datagrams, these are bytes");
                return Err(fail(io::ErrorKind::Unsupported, text));
            }
        };
        let shared = Arc::new(Shared::new(stream));
        let peer = link.peer().unwrap_or_else(|| given.clone());
        let handle = AirhookLink::new(Arc::clone(&shared), peer, dialled, link.local());
        let driver = Self {
            shared,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            received: Box::new([0; LARGEST]),
            packet: Box::new([0; PACKET]),
            most: link.max_datagram().min(PACKET),
            link,
            unsent: None,
            heard: None,
            failures: 0,
        };
        Ok((handle, driver))
    }

    /// Works until both ends know of each other.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let over = Pin::new(&mut *self).poll(cx).is_ready();
        let state = self.shared.lock();
        if let Some(error) = state.failure() {
            return Poll::Ready(Err(error));
        }
        match state.stream.fault() {
            Some(fault) => Poll::Ready(Err(told(fault))),
            None if state.stream.is_open() => Poll::Ready(Ok(())),
            None if over => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            None => Poll::Pending,
        }
    }

    /// Takes in what there is; whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..TURN {
            let mut buf = ReadBuf::new(&mut self.received[..]);
            match self.link.poll_recv(cx, &mut buf) {
                Poll::Ready(Ok(())) => {
                    let now = now();
                    self.failures = 0;
                    self.heard = Some(now);
                    self.shared.lock().stream.receive(now, buf.filled());
                }
                Poll::Ready(Err(e)) => {
                    self.failed(&e);
                    if self.shared.lock().broken.is_some() {
                        return false;
                    }
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Sends what there is to be sent; whether the link takes more.
    fn transmit(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let length = match self.unsent {
                Some(length) => length,
                None => {
                    let room = &mut self.packet[..self.most];
                    match self.shared.lock().stream.transmit(now(), room) {
                        Some(length) => length,
                        None => return true,
                    }
                }
            };
            self.unsent = Some(length);
            match self.link.poll_send(cx, &self.packet[..length]) {
                Poll::Ready(sent) => {
                    self.unsent = None;
                    // What was not sent is as lost as what got lost later.
                    if let Err(e) = sent {
                        self.failed(&e);
                        return self.shared.lock().broken.is_none();
                    }
                }
                Poll::Pending => return false,
            }
        }
    }

    /// Datagrams' links fail and go on; what is the end is decided here.
    fn failed(&mut self, error: &io::Error) {
        self.failures += 1;
        let silent = self.heard.is_none_or(|heard| now() >= heard + REFUSED);
        let mut state = self.shared.lock();
        let ends = match error.kind() {
            _ if !state.stream.is_open() => true,
            io::ErrorKind::ConnectionRefused => silent,
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => true,
            _ => self.failures >= FAILURES && silent,
        };
        if ends && state.broken.is_none() {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused if state.stream.is_open() => {
                    io::ErrorKind::ConnectionReset
                }
                kind => kind,
            };
            state.broken = Some((kind, error.to_string()));
        }
    }
}

impl Drop for Driver {
    /// Without its driver a link neither sends nor hears: with the runtime, say, both are gone.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if !state.stream.is_over() && state.broken.is_none() {
            let text = "its task has ended".to_owned();
            state.broken = Some((io::ErrorKind::ConnectionAborted, text));
        }
        let wakers = [state.reader.take(), state.writer.take()];
        state.left = true;
        let guard = state.guard.take();
        drop(state);
        wake(wakers);
        drop(guard);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            keep(&mut this.shared.lock().driver, cx);
            let more = this.receive(cx);
            let free = this.transmit(cx);
            let mut state = this.shared.lock();
            let now = now();
            let over = state.broken.is_some() || state.stream.is_over();
            let timeout = state.stream.poll_timeout().filter(|_| !over);
            let wakers = if over {
                [state.reader.take(), state.writer.take()]
            } else {
                state.ready()
            };
            drop(state);
            wake(wakers);
            if over {
                return Poll::Ready(());
            }
            if more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(at) = timeout else {
                return Poll::Pending;
            };
            // A packet that the socket does not take is not asked for again at once.
            let at = if free { at } else { at.max(now + BUSY) };
            let deadline = tokio::time::Instant::from_std(at);
            if this.timer.deadline() != deadline {
                this.timer.as_mut().reset(deadline);
            }
            ready!(this.timer.as_mut().poll(cx));
            this.shared
                .lock()
                .stream
                .handle_timeout(super::shared::now());
        }
    }
}

/// Two numbers of the operating system's entropy.
fn chance() -> io::Result<[NonZeroU32; 2]> {
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let [a, b, c, d, e, f, g, h] = bytes;
        let numbers = [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes);
        if let [Some(one), Some(two)] = numbers.map(NonZeroU32::new) {
            return Ok([one, two]);
        }
    }
}
