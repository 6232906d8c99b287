//! The transport: `serial:/dev/ttyUSB0?baud=115200`.
//!
//! A line has two ends, each with a device of its own, so where one listens the other dials *its* device.
//! `far=/dev/ttyUSB1` says what the other end calls the line; then a listener's contact can be dialled there.

use super::line::{Line, Shared};
use mancom::Endpoint;
use mancom::transport::{Acceptor, Bind, BoxFuture, ByteLink, Characteristics, Link, Transport};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No transport waits longer than 5 s for an answer; a line answers sooner or not at all.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Sessions over serial lines, one at a time on each.
#[derive(Debug, Default)]
pub(crate) struct Serial {
    /// Devices that are in use.
    lines: Mutex<BTreeMap<PathBuf, Weak<Shared>>>,
}

impl Serial {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn line(&self, at: &Endpoint) -> io::Result<Line> {
        let path = at.path().ok_or(io::ErrorKind::InvalidInput)?;
        // Typed: what is no number is an error, not the default.
        let baud = at.typed().get("baud")?.unwrap_or(115_200);
        let mut lines = self.lines();
        let line = match lines.get(path).and_then(Line::upgrade) {
            Some(line) => line,
            None => Line::open(path, baud)?,
        };
        lines.insert(path.to_owned(), line.downgrade());
        Ok(line)
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Weak<Shared>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error's text names the endpoint.
fn told(at: &Endpoint) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{at}: {error}"))
}

impl Transport for Serial {
    fn scheme(&self) -> &'static str {
        "serial"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["baud", "far"])
    }

    fn characteristics(&self) -> Characteristics {
        let mut all = Characteristics::stream();
        all.one_at_a_time = true;
        all
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let line = self.line(to).map_err(told(to))?;
            // Never twice the same, also in the next process.
            let connection = RandomState::new().build_hasher().finish() as u32;
            line.ask(connection).map_err(told(to))?;
            // From here on dropping it frees the line.
            let link = SerialLink {
                line,
                connection,
                peer: to.clone(),
                is_dialled: true,
                is_shut: false,
            };
            let answer = std::future::poll_fn(|cx| link.line.poll_accepted(cx, connection));
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "nobody answers on the line");
            let answered = tokio::time::timeout(ATTEMPT, answer).await;
            answered
                .map_err(late)
                .and_then(|done| done)
                .map_err(told(to))?;
            Ok(Link::Bytes(Box::new(link)))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let line = self.line(at).map_err(told(at))?;
            line.listen(true).map_err(told(at))?;
            let at = at.clone();
            Ok(Box::new(SerialAcceptor { line, at }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        let here = contact.attribute("far").map(Path::new);
        let line = here.and_then(|here| Line::upgrade(self.lines().get(here)?));
        line.is_some_and(|line| line.is_listening())
    }

    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        let link = link.downcast_ref::<SerialLink>();
        link.is_some_and(|link| link.is_dialled && link.peer.path() == contact.path())
    }
}

struct SerialAcceptor {
    line: Line,
    at: Endpoint,
}

impl Acceptor for SerialAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let connection = ready!(self.line.poll_accept(cx))?;
        Poll::Ready(Ok(Link::Bytes(Box::new(SerialLink {
            line: self.line.again(),
            connection,
            peer: self.at.clone(),
            is_dialled: false,
            is_shut: false,
        }))))
    }

    fn contact(&self) -> Endpoint {
        let (Some(far), Some(near)) = (self.at.attribute("far"), self.at.path()) else {
            return self.at.clone();
        };
        let contact = Endpoint::at_path(self.at.scheme(), Path::new(far))
            .and_then(|at| at.with_attributes(self.at.typed()))
            .and_then(|at| at.with_attribute("far", &near.to_string_lossy()));
        contact.unwrap_or_else(|_| self.at.clone())
    }
}

impl Drop for SerialAcceptor {
    fn drop(&mut self) {
        // Only listening twice is refused.
        let _ = self.line.listen(false);
    }
}

/// One connection over the line.
struct SerialLink {
    line: Line,
    connection: u32,
    peer: Endpoint,
    is_dialled: bool,
    is_shut: bool,
}

impl AsyncRead for SerialLink {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let read = self.line.poll_read(cx, self.connection, buf);
        if read.is_ready() {
            turn.made_progress();
        }
        read
    }
}

impl AsyncWrite for SerialLink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let written = self.line.poll_write(cx, self.connection, bytes);
        if written.is_ready() {
            turn.made_progress();
        }
        written
    }

    /// The line's task sends by itself.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut {
            return Poll::Ready(Ok(()));
        }
        self.is_shut = true;
        Poll::Ready(self.line.end(self.connection, false))
    }
}

impl ByteLink for SerialLink {
    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }
}

impl Drop for SerialLink {
    fn drop(&mut self) {
        // Another connection may have the line by now; then there is nothing to end.
        let _ = self.line.end(self.connection, true);
    }
}
