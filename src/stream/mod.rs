//! Streams that keep every byte through the loss of any or all networks.
//!
//! ```text
//!  connect ─► Op ─► McStream ──┐                     ┌── McStream ◄─ accept ◄─ listen
//!                              ├─ Driver ═ paths ═ Driver
//!  Session::open ─► McStream ──┘  (a lock around      └── McStream ◄─ Session::accept
//!                                  proto::session)
//! ```
//!
//! What happens when a network goes: its path ends (`events` says so), what it had not acknowledged
//! goes out again on the next one, and until there is a next one reads and writes are pending. Only
//! when the session's grace has run out do they fail, with one error, the same ever after.
//!
//! One file answers each question: what a poll does, [`driver`](self); which networks a session is on
//! and when it moves, `roam`; how a path is proved, `dial` and `greet`; what a listener keeps, and how
//! much of it, `door`; why its sessions wait, `withheld`; which sessions are shared, `reuse`; servers that know nothing of mancom, `plain` and
//! [`hooks`]; what a message is and may meet, `message`.

mod asked;
mod carrier;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod context;
mod crowd;
mod dial;
mod door;
pub(crate) mod driver;
pub(crate) mod error;
pub(crate) mod events;
mod gauge;
mod greet;
pub mod hooks;
mod labelled;
pub(crate) mod listen;
pub(crate) mod message;
mod pace;
mod plain;
pub(crate) mod report;
mod reuse;
mod roam;
mod secure;
pub(crate) mod session;
mod split;
mod standing;
mod tend;
pub(crate) mod tracker;
mod whereabouts;
mod withheld;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use config::Settings;
pub use connect::Connect;
pub use context::{Context, LabelDefaults};
pub use error::{AcceptError, Attempt, Attempts, Cause, ConnectError, ListenError, SessionError};
pub use events::{Events, NetworkBytes, PathEvent, PathInfo, StreamStats};
pub use labelled::ReadLabelled;
pub use listen::{Listen, Listener};
pub use message::{
    Fate, Message, MessageError, MessageId, MessageWriter, SendMessage, WriteMessage,
};
pub use report::{ConnectReport, Phases, Try};
pub use reuse::Sessions;
pub use session::{OpenStream, Session};
pub use split::{ReadHalf, WriteHalf};
pub use tracker::{Guard, Tracker};

pub use crate::proto::schedule::estimate::{Energy, Estimate};

use carrier::Carrier;
use driver::Driver;
use plain::Plain;

use crate::label::Label;
use crate::proto::session::StreamId;

/// An ordered byte stream that outlives its networks.
///
/// `AsyncRead` and `AsyncWrite`; `poll_flush` is ready when the session accepted the bytes (it never
/// waits for a round trip), `poll_shutdown` when the peer's library acknowledged the end and all
/// before it, or at grace. Dropping it is a shutdown in the background plus "no more reads": nothing
/// written is lost while the runtime lives. [`abort`](Self::abort), or a panic, resets it.
///
/// While no network carries it, reads and writes are pending: neither an error nor an end.
#[derive(Debug)]
pub struct McStream {
    carrier: Arc<Carrier>,
    label: Label,
}

impl McStream {
    fn of(carrier: Carrier, label: Label) -> Self {
        Self {
            carrier: Arc::new(carrier),
            label,
        }
    }

    pub(super) fn session_stream(driver: Arc<Driver>, id: StreamId, label: Label) -> Self {
        Self::of(Carrier::Session(driver, id), label)
    }

    fn plain_stream(plain: Arc<Plain>, label: Label) -> Self {
        Self::of(Carrier::Plain(plain), label)
    }

    /// The session beneath; an owned handle that keeps it open.
    pub fn session(&self) -> Session {
        self.carrier.session()
    }

    /// The label of what is written from now on.
    pub fn label(&self) -> Label {
        self.label
    }

    /// Labels what is written from now on; what is queued keeps its label.
    pub fn set_label(&mut self, label: Label) {
        self.label = label;
        self.carrier.set_label(label);
    }

    /// Writes the whole chunk under a label of its own.
    ///
    /// # Errors
    ///
    /// As `write` does: once the session is over, or after a shutdown. A plain stream has one
    /// connection: there a label that its network does not permit is `NetworkUnreachable`.
    ///
    /// # Cancel safety
    ///
    /// A chunk of at most the send buffer's size (4 MiB by default) is taken at once: dropped while
    /// pending, nothing of it was written. A larger one goes piecewise and is not cancel safe.
    pub async fn write_labelled(&mut self, label: Label, chunk: &[u8]) -> io::Result<()> {
        self.carrier.write_labelled(label, chunk).await
    }

    /// Writes owned bytes without copying them into the replay buffer.
    ///
    /// # Errors
    ///
    /// As `write` does.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: what was taken before the drop is written.
    pub async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.carrier.write_bytes(self.label, bytes).await
    }

    /// Reads with the label the bytes were sent under; never across a label boundary. Zero bytes
    /// mean the end.
    ///
    /// Cancel safe: dropped while pending, nothing was read.
    pub fn read_labelled<'a>(&'a mut self, buf: &'a mut [u8]) -> ReadLabelled<'a> {
        ReadLabelled::new(&self.carrier, buf, self.label)
    }

    /// What happens to the paths from now on.
    pub fn events(&self) -> Events {
        self.carrier.events()
    }

    /// What its `connect` tried until the first path stood, and how long each part took; `None` for
    /// a stream that was accepted. Streams of one session tell the same.
    pub fn connect_report(&self) -> Option<Arc<ConnectReport>> {
        self.carrier.connect_report()
    }

    /// Bytes so far.
    pub fn stats(&self) -> StreamStats {
        self.carrier.stats()
    }

    /// Resets the stream: unsent bytes are thrown away and the peer's reads fail.
    ///
    /// A plain stream has its connection reset, and what the peer had not read by then may be lost with
    /// it. Over a Unix socket without TLS, which cannot be reset, the peer reads an end as any other.
    pub fn abort(self) {
        self.carrier.abort();
    }

    /// Splits into halves that keep the labelled calls.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        let read = ReadHalf::new(Arc::clone(&self.carrier), self.label);
        (read, WriteHalf::new(self.carrier, self.label))
    }
}

impl AsyncRead for McStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.carrier.poll_read(cx, buf)
    }
}

impl AsyncWrite for McStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.carrier.poll_write(cx, self.label, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.carrier.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.carrier.poll_shutdown(cx)
    }
}
