//! What a stream is made of: a number within a session, or a connection of its own.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::driver::{Driver, Outgoing};
use super::events::{Events, StreamStats};
use super::plain::Plain;
use super::report::ConnectReport;
use super::session::Session;
use crate::label::Label;
use crate::proto::session::StreamId;

/// What carries a stream.
#[derive(Debug)]
pub(super) enum Carrier {
    Session(Arc<Driver>, StreamId),
    Plain(Arc<Plain>),
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Self::Session(driver, id) = self {
            if std::thread::panicking() {
                driver.reset(*id);
            }
            driver.release(*id);
        }
    }
}

impl Carrier {
    pub(super) fn session(&self) -> Session {
        match self {
            Self::Session(driver, _) => Session::new(Arc::clone(driver)),
            Self::Plain(plain) => Session::plain(Arc::clone(plain)),
        }
    }

    pub(super) fn set_label(&self, label: Label) {
        match self {
            Self::Session(driver, id) => driver.set_label(*id, label),
            Self::Plain(plain) => plain.set_label(label),
        }
    }

    pub(super) async fn write_labelled(&self, label: Label, chunk: &[u8]) -> io::Result<()> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let n = match self {
                Self::Session(driver, id) => {
                    poll_fn(|cx| driver.poll_write(cx, *id, label, Outgoing::Whole(rest))).await?
                }
                Self::Plain(plain) => {
                    poll_fn(|cx| {
                        plain.check_label(&label)?;
                        plain.poll_write(cx, rest)
                    })
                    .await?
                }
            };
            rest = &rest[n..];
        }
        Ok(())
    }

    pub(super) async fn write_bytes(&self, label: Label, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            match self {
                Self::Session(driver, id) => {
                    poll_fn(|cx| driver.poll_write(cx, *id, label, Outgoing::Owned(&mut bytes)))
                        .await?;
                }
                Self::Plain(plain) => {
                    let n = poll_fn(|cx| plain.poll_write(cx, &bytes)).await?;
                    bytes = bytes.split_off(n);
                }
            }
        }
        Ok(())
    }

    pub(super) fn events(&self) -> Events {
        match self {
            Self::Session(driver, _) => driver.events(),
            Self::Plain(plain) => plain.events(),
        }
    }

    pub(super) fn stats(&self) -> StreamStats {
        match self {
            Self::Session(driver, id) => driver.stats(*id),
            Self::Plain(plain) => plain.stats(),
        }
    }

    pub(super) fn connect_report(&self) -> Option<Arc<ConnectReport>> {
        match self {
            Self::Session(driver, _) => driver.report(),
            Self::Plain(plain) => plain.report(),
        }
    }

    /// Ends our direction in the background.
    pub(super) fn end(&self) {
        match self {
            Self::Session(driver, id) => driver.end(*id),
            Self::Plain(plain) => plain.end(),
        }
    }

    pub(super) fn abort(&self) {
        match self {
            Self::Session(driver, id) => driver.reset(*id),
            Self::Plain(plain) => plain.abort(),
        }
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Session(driver, id) => {
                let coop = ready!(tokio::task::coop::poll_proceed(cx));
                let result = driver.poll_read(cx, *id, buf, None).map_ok(|_| ());
                if result.is_ready() {
                    coop.made_progress();
                }
                result
            }
            Self::Plain(plain) => plain.poll_read(cx, buf),
        }
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        label: Label,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Session(..) if data.is_empty() => Poll::Ready(Ok(0)),
            Self::Session(driver, id) => {
                let coop = ready!(tokio::task::coop::poll_proceed(cx));
                let result = driver.poll_write(cx, *id, label, Outgoing::Copied(data));
                if result.is_ready() {
                    coop.made_progress();
                }
                result
            }
            Self::Plain(plain) => plain.poll_write(cx, data),
        }
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Session(driver, _) => {
                driver.flush();
                Poll::Ready(Ok(()))
            }
            Self::Plain(plain) => plain.poll_flush(cx),
        }
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Session(driver, id) => driver.poll_shutdown(cx, *id),
            Self::Plain(plain) => plain.poll_shutdown(cx),
        }
    }
}
