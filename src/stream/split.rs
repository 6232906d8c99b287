//! The owned halves of a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::carrier::Carrier;
use super::{Events, ReadLabelled, Session, StreamStats};
use crate::label::Label;

/// The reading half of a stream. Dropping it alone changes nothing.
#[derive(Debug)]
pub struct ReadHalf {
    carrier: Arc<Carrier>,
    label: Label,
}

/// The writing half of a stream. Dropping it ends this direction in the background.
#[derive(Debug)]
pub struct WriteHalf {
    carrier: Arc<Carrier>,
    label: Label,
}

macro_rules! both {
    ($half:ty) => {
        impl $half {
            pub(super) fn new(carrier: Arc<Carrier>, label: Label) -> Self {
                Self { carrier, label }
            }

            /// The session beneath; an owned handle that keeps it open.
            pub fn session(&self) -> Session {
                self.carrier.session()
            }

            /// The stream's label.
            pub fn label(&self) -> Label {
                self.label
            }

            /// What happens to the paths from now on.
            pub fn events(&self) -> Events {
                self.carrier.events()
            }

            /// Bytes so far.
            pub fn stats(&self) -> StreamStats {
                self.carrier.stats()
            }
        }
    };
}
both!(ReadHalf);
both!(WriteHalf);

impl ReadHalf {
    /// As [`McStream::read_labelled`](super::McStream::read_labelled).
    pub fn read_labelled<'a>(&'a mut self, buf: &'a mut [u8]) -> ReadLabelled<'a> {
        ReadLabelled::new(&self.carrier, buf, self.label)
    }
}

impl WriteHalf {
    /// As [`McStream::set_label`](super::McStream::set_label).
    pub fn set_label(&mut self, label: Label) {
        self.label = label;
        self.carrier.set_label(label);
    }

    /// As [`McStream::write_labelled`](super::McStream::write_labelled).
    ///
    /// # Errors
    ///
    /// As that has.
    ///
    /// # Cancel safety
    ///
    /// As that is: for chunks of at most the send buffer's size.
    pub async fn write_labelled(&mut self, label: Label, chunk: &[u8]) -> io::Result<()> {
        self.carrier.write_labelled(label, chunk).await
    }

    /// As [`McStream::write_bytes`](super::McStream::write_bytes).
    ///
    /// # Errors
    ///
    /// As that has.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: what was taken before the drop is written.
    pub async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.carrier.write_bytes(self.label, bytes).await
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.carrier.end();
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.carrier.poll_read(cx, buf)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.carrier.poll_write(cx, self.label, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.carrier.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.carrier.poll_shutdown(cx)
    }
}
