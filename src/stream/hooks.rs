//! Reconnection hooks: what to do on a new connection before a stream's bytes go on.
//!
//! To a plain server (`tcp://`) a hook makes the stream outlive its connection: `teardown` runs once
//! when a connection is lost, `setup` on each new one until one succeeds, and its answer says where
//! the stream's bytes go on. Both have the stream's [grace](crate::Connect::grace), from the loss on;
//! dropping the stream ends them and closes its connection.
//!
//! To a mancom endpoint resumption needs no hook; there it observes one path, first that of the `connect`:
//! `teardown` when it is lost or given up, `setup` when another carries on in its place, be it one that
//! was open beside it. The connection it is given is closed, and its answer is not asked.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::carrier::Carrier;
use super::events::{Events, PathEvent};
use super::tend::panic_text;
use crate::transport::BoxFuture;

/// A fresh connection, handed to [`Hook::setup`] before any of the stream's bytes.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Connection for T {}

/// How far the stream had come when its connection was lost. Offsets count from the stream's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Carried {
    /// Bytes the stream's writer handed over.
    pub written: u64,
    /// Bytes of those that the peer's kernel acknowledged: received by its machine, not necessarily
    /// read by its program. `None` where the system does not tell.
    pub acknowledged: Option<u64>,
    /// Bytes the stream's reader was given.
    pub read: u64,
}

/// How a stream goes on over a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// With the bytes written from now on; what was written before counts as delivered.
    Continue,
    /// From this offset. The library keeps the last
    /// [`send_buffer`](crate::stream::Settings::send_buffer) bytes; an offset before them, or beyond
    /// what was written, fails the stream. Where the system does not tell what was
    /// [acknowledged](Carried::acknowledged), only bytes that may arrive twice should be replayed.
    ReplayFrom(u64),
    /// Not at all: the stream fails.
    Fail,
}

/// Reconnection by hand. Implement it with `async fn`; the library boxes it.
///
/// At most one instance of either method runs at a time. `setup` is dropped when a better network
/// appears and runs again there. A panic is an error of that stream alone.
///
/// ```
/// use mancom::hooks::{Carried, Connection, Hook, Resume};
/// use tokio::io::AsyncWriteExt;
///
/// struct Login;
/// impl Hook for Login {
///     async fn setup(&mut self, fresh: &mut dyn Connection, carried: Carried) -> std::io::Result<Resume> {
///         fresh.write_all(b"LOGIN me\n").await?;
///         Ok(Resume::ReplayFrom(carried.acknowledged.unwrap_or(0)))
///     }
/// }
/// ```
pub trait Hook: Send + 'static {
    /// The connection was lost; runs once before the next is made.
    fn teardown(&mut self, carried: Carried) -> impl Future<Output = ()> + Send {
        let _ = carried;
        async {}
    }

    /// A new connection is there; none of the stream's bytes are on it yet.
    ///
    /// # Errors
    ///
    /// An error drops this connection; another is made after a back-off that grows from 100 ms to
    /// 30 s. So does a setup that takes over 30 s.
    fn setup(
        &mut self,
        fresh: &mut dyn Connection,
        carried: Carried,
    ) -> impl Future<Output = io::Result<Resume>> + Send;
}

/// [`Hook`] behind a pointer.
pub(super) trait DynHook: Send {
    fn teardown(&mut self, carried: Carried) -> BoxFuture<'_, ()>;
    fn setup<'a>(
        &'a mut self,
        fresh: &'a mut dyn Connection,
        carried: Carried,
    ) -> BoxFuture<'a, io::Result<Resume>>;
}

impl<T: Hook> DynHook for T {
    fn teardown(&mut self, carried: Carried) -> BoxFuture<'_, ()> {
        Box::pin(Hook::teardown(self, carried))
    }

    fn setup<'a>(
        &'a mut self,
        fresh: &'a mut dyn Connection,
        carried: Carried,
    ) -> BoxFuture<'a, io::Result<Resume>> {
        Box::pin(Hook::setup(self, fresh, carried))
    }
}

/// A hook on a mancom session sees each change of path, and has nothing to do. It ends with the
/// stream; if it panics, the stream is reset.
pub(super) async fn observe(events: Events, carrier: Weak<Carrier>, hook: Box<dyn DynHook>) {
    let seen = AssertUnwindSafe(watch(events, &carrier, hook))
        .catch_unwind()
        .await;
    if let Err(panic) = seen {
        tracing::error!(target: "mancom::session", "{}", panic_text(&*panic));
        if let Some(carrier) = carrier.upgrade() {
            carrier.abort();
        }
    }
}

async fn watch(mut events: Events, carrier: &Weak<Carrier>, mut hook: Box<dyn DynHook>) {
    let mut open: Vec<(u8, u32)> = Vec::new();
    let mut present = None;
    let mut is_first = true;
    while let Some(event) = events.next().await {
        let Some(carried) = carrier.upgrade().map(|carrier| carrier.carried()) else {
            return;
        };
        match event {
            // A lane stands and falls with its path.
            PathEvent::Up(path) if !path.lane => open.push(path.path),
            PathEvent::Down { path, .. } => open.retain(|open| *open != path.path),
            _ => continue,
        }
        if present.is_some_and(|present| !open.contains(&present)) {
            present = None;
            hook.teardown(carried).await;
        }
        if present.is_none()
            && let Some(next) = open.first()
        {
            present = Some(*next);
            if !std::mem::take(&mut is_first) {
                let answer = hook.setup(&mut Observed, carried).await;
                tracing::trace!(target: "mancom::session", ?answer, "a hook saw the new path");
            }
        }
    }
}

impl Carrier {
    fn carried(&self) -> Carried {
        let stats = self.stats();
        let acknowledged = Some(stats.acknowledged);
        Carried {
            written: stats.written,
            acknowledged,
            read: stats.read,
        }
    }
}

/// What a hook of a mancom session is given: there is nothing to set up.
#[derive(Debug)]
pub(super) struct Observed;

impl AsyncRead for Observed {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
