//! One device: a task that reads and writes it, and what its one connection and its listener share.
//!
//! The task lives for as long as anything of this process uses the line, and then a second at most, to
//! send what was written.

use super::frame::{self, Kind, MAX_PAYLOAD, Reader};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes that wait to be read, or to be written to the device.
const MOST: usize = 32 << 10;
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    /// The connection, from when it is asked for.
    current: Option<u32>,
    is_accepted: bool,
    /// Accepted by this end's task, and not handed out yet.
    is_waiting: bool,
    is_listening: bool,
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    /// The peer sends no more; it does not even read.
    is_ended: bool,
    is_gone: bool,
    failed: Option<io::ErrorKind>,
    users: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Of who accepts, or dials.
    opener: Option<Waker>,
}

impl State {
    fn begin(&mut self, connection: u32) {
        self.current = Some(connection);
        self.input.clear();
        (self.is_accepted, self.is_waiting) = (false, false);
        (self.is_ended, self.is_gone) = (false, false);
    }

    fn put(&mut self, kind: Kind, connection: u32) {
        frame::put(&mut self.output, kind, connection, &[]);
    }

    fn receive(&mut self, kind: Kind, connection: u32, payload: &[u8]) {
        if kind == Kind::Open {
            // The other end begins again, whatever this one has.
            if self.is_listening {
                self.begin(connection);
                (self.is_accepted, self.is_waiting) = (true, true);
                self.put(Kind::Accept, connection);
            }
            return self.wake();
        }
        if self.current != Some(connection) {
            return;
        }
        match kind {
            Kind::Open => {}
            Kind::Accept => self.is_accepted = true,
            Kind::Data => self.input.extend(payload),
            Kind::End => self.is_ended = true,
            Kind::Gone => (self.is_ended, self.is_gone) = (true, true),
        }
        self.wake();
    }

    fn wake(&mut self) {
        let all = [&mut self.reader, &mut self.writer, &mut self.opener];
        all.into_iter()
            .filter_map(Option::take)
            .for_each(Waker::wake);
    }

    /// Whether this is still the line's connection.
    fn is(&self, connection: u32) -> io::Result<()> {
        match self.failed {
            Some(kind) => Err(kind.into()),
            None if self.current == Some(connection) => Ok(()),
            None => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, device: &Sender) -> io::Result<()> {
        let mut state = self.lock();
        match device.try_write(state.output.as_slices().0) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            written => drop(state.output.drain(..written?)),
        }
        if state.output.len() < MOST {
            state.writer.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }
}

/// A use of the line; the last one to go lets the task end.
#[derive(Debug)]
pub(crate) struct Line(Arc<Shared>);

impl Line {
    pub(crate) fn open(device: &Path, baud: u32) -> io::Result<Self> {
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(device)?;
        let mut settings = tcgetattr(&file)?;
        settings.make_raw();
        settings.set_speed(baud)?;
        tcsetattr(&file, OptionalActions::Now, &settings)?;
        let shared = Arc::new(Shared::default());
        let line = Self::of(&shared);
        // tokio's pipes take whatever can be waited for; what is a pipe is not looked at.
        let reads = Receiver::from_file_unchecked(file.try_clone()?)?;
        let writes = Sender::from_file_unchecked(file)?;
        tokio::spawn(drive(Arc::clone(&shared), reads, writes));
        Ok(line)
    }

    fn of(shared: &Arc<Shared>) -> Self {
        shared.lock().users += 1;
        Self(Arc::clone(shared))
    }

    pub(crate) fn again(&self) -> Self {
        Self::of(&self.0)
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    /// One more use, while its task still runs.
    pub(crate) fn upgrade(shared: &std::sync::Weak<Shared>) -> Option<Self> {
        let shared = shared.upgrade()?;
        let is_open = shared.lock().failed.is_none();
        is_open.then(|| Self::of(&shared))
    }

    pub(crate) fn listen(&self, listening: bool) -> io::Result<()> {
        let mut state = self.0.lock();
        if listening && state.is_listening {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.is_listening = listening;
        if let (true, Some(connection)) = (std::mem::take(&mut state.is_waiting), state.current) {
            state.current = None;
            state.put(Kind::Gone, connection);
            self.0.changed.notify_one();
        }
        Ok(())
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.0.lock().is_listening
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<u32>> {
        let mut state = self.0.lock();
        if let Some(kind) = state.failed {
            return Poll::Ready(Err(kind.into()));
        }
        match (std::mem::take(&mut state.is_waiting), state.current) {
            (true, Some(connection)) => Poll::Ready(Ok(connection)),
            _ => {
                state.opener = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Asks the other end for a connection.
    pub(crate) fn ask(&self, connection: u32) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.current.is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        state.begin(connection);
        state.put(Kind::Open, connection);
        self.0.changed.notify_one();
        Ok(())
    }

    pub(crate) fn poll_accepted(&self, cx: &mut Context<'_>, of: u32) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        state.is(of)?;
        match (state.is_accepted, state.is_gone) {
            (_, true) => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            (true, _) => Poll::Ready(Ok(())),
            _ => {
                state.opener = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        of: u32,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        state.is(of)?;
        let n = state.input.len().min(into.remaining());
        if n == 0 && !state.is_ended && into.remaining() > 0 {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for byte in state.input.drain(..n) {
            into.put_slice(&[byte]);
        }
        self.0.changed.notify_one();
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        of: u32,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        state.is(of)?;
        if state.is_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.output.len() >= MOST {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = bytes.len().min(MAX_PAYLOAD);
        frame::put(&mut state.output, Kind::Data, of, &bytes[..n]);
        self.0.changed.notify_one();
        Poll::Ready(Ok(n))
    }

    /// No more bytes come from here; or nothing at all, and the line is free for the next.
    pub(crate) fn end(&self, of: u32, gone: bool) -> io::Result<()> {
        let mut state = self.0.lock();
        state.is(of)?;
        state.put(if gone { Kind::Gone } else { Kind::End }, of);
        if gone {
            state.current = None;
            state.input.clear();
        }
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.lock().users -= 1;
        self.0.changed.notify_one();
    }
}

/// Reads and writes the device, as long as anybody uses it.
async fn drive(shared: Arc<Shared>, mut reads: Receiver, writes: Sender) {
    let mut frames = Reader::default();
    let mut buf = [0; 4096];
    let mut over = None;
    loop {
        let (has_room, has_output, users) = {
            let mut state = shared.lock();
            let has_output = !state.output.is_empty();
            let is_over = over.is_some_and(|at| at <= Instant::now());
            if state.users == 0 && (is_over || !has_output) {
                // Whoever comes now opens the device anew.
                state.failed = Some(io::ErrorKind::NotConnected);
                return;
            }
            (state.input.len() < MOST, has_output, state.users)
        };
        over = match users {
            0 => over.or(Some(Instant::now() + LINGER)),
            _ => None,
        };
        let done = tokio::select! {
            read = reads.read(&mut buf), if has_room => read.map(|n| {
                let mut state = shared.lock();
                for byte in &buf[..n] {
                    if let Some((kind, connection, payload)) = frames.take(*byte) {
                        state.receive(kind, connection, &payload);
                    }
                }
            }),
            ready = writes.writable(), if has_output => ready.and_then(|()| shared.write(&writes)),
            () = shared.changed.notified() => continue,
            () = tokio::time::sleep(LINGER), if users == 0 => continue,
        };
        // The device may be unplugged.
        if let Err(error) = done {
            let mut state = shared.lock();
            state.failed = Some(error.kind());
            return state.wake();
        }
    }
}
