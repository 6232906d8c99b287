//! Sending a message that is written piece by piece.

use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::super::session::Held;
use super::send::{Asked, setters};
use super::{MessageError, MessageId};
use crate::deferral::Op;
use crate::label::Label;

/// Begins a message that is written piece by piece; a builder, see
/// [`Session::message`](super::super::Session::message).
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct WriteMessage {
    asked: Asked,
}

impl WriteMessage {
    pub(in crate::stream) fn new(held: Arc<Held>, label: Label) -> Self {
        Self {
            asked: Asked::new(held, label, "message"),
        }
    }

    setters!();
}

impl IntoFuture for WriteMessage {
    type Output = Result<MessageWriter, MessageError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let asked = self.asked;
        let held = Arc::clone(&asked.held);
        Op::new(asked.operation.clone(), async move {
            let id = asked.submit(None).await?;
            Ok(MessageWriter {
                held,
                id,
                finished: false,
            })
        })
    }
}

/// A message in the making: `AsyncWrite`, and [`finish`](Self::finish) when all of it is written.
///
/// It is sent when it is finished, and has its place in the order of messages from then on: until then no
/// other can come after it. Dropped before, it is withdrawn.
///
/// What is written is kept here and takes up room for messages of its urgency: a write is pending while
/// there is none, and fails once the message is longer than the peer takes, or was given up. A
/// message that a write made too long is never sent: whatever is done with it fails, and dropping it
/// withdraws it.
/// `poll_flush` never waits; `poll_shutdown` finishes the message, without waiting until it is delivered.
#[derive(Debug)]
pub struct MessageWriter {
    held: Arc<Held>,
    id: MessageId,
    finished: bool,
}

impl MessageWriter {
    /// Its number, to [`cancel`](super::super::Session::cancel) it by. Others can come after it once it is
    /// finished.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The message is complete, and is sent. It does not wait until it is
    /// [delivered](super::super::Session::delivered).
    ///
    /// # Errors
    ///
    /// A write made it too long. The message was given up, be it only now with one that it comes [`after`](WriteMessage::after); or
    /// the session is over.
    ///
    /// # Cancel safety
    ///
    /// Never pending. Not polled at all, it drops the writer, which withdraws the message.
    pub async fn finish(mut self) -> Result<MessageId, MessageError> {
        self.complete()?;
        Ok(self.id)
    }

    fn complete(&mut self) -> Result<(), MessageError> {
        if !self.finished {
            let driver = self.held.driver().ok_or(MessageError::NotMancom)?;
            driver.finish_message(self.id)?;
            self.finished = true;
        }
        Ok(())
    }
}

impl AsyncWrite for MessageWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let driver = self.held.driver().ok_or(MessageError::NotMancom)?;
        let result = driver.poll_write_message(cx, self.id, data);
        if result.is_ready() {
            coop.made_progress();
        }
        result.map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(driver) = self.held.driver() {
            driver.flush();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.complete().map_err(io::Error::from))
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if let Some(driver) = self.held.driver() {
            driver.leave_message(self.id, self.finished);
        }
    }
}
