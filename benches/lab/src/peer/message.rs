//! mancom's messages: each record is a message of its class's urgency, and nothing is a stream.

use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::mancom::{Error, Label, Session};
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::mancom::label;
use super::{Class, Pipe};

/// Messages received and not yet read, of each class.
const WAITING: usize = 256;

/// A pipe for each of these classes. What is written between two flushes is one message.
pub(super) fn pipes(
    session: &Session,
    classes: &[Vec<Class>],
    keep: &mut Vec<Box<dyn Any + Send>>,
) -> Vec<Pipe> {
    let mut received = Vec::new();
    let mut pipes = Vec::new();
    for classes in classes {
        let label = label(classes[0]);
        let (give, take) = mpsc::channel(WAITING);
        received.push((label, give));
        pipes.push(Pipe {
            reader: Box::new(Reader {
                take,
                open: Bytes::new(),
            }),
            writer: Box::new(Writer {
                session: session.clone(),
                label,
                record: Vec::new(),
                sending: None,
            }),
        });
    }
    let task = tokio::spawn(receive(session.clone(), received));
    keep.push(Box::new(task));
    pipes
}

async fn receive(session: Session, to: Vec<(Label, mpsc::Sender<Bytes>)>) {
    while let Ok(message) = session.recv().await {
        let Some((_, give)) = to.iter().find(|(label, _)| *label == message.label) else {
            eprintln!("lab: a message with the label {}", message.label);
            continue;
        };
        if give.send(message.bytes).await.is_err() {
            break;
        }
    }
}

struct Reader {
    take: mpsc::Receiver<Bytes>,
    open: Bytes,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.open.is_empty() {
            match ready!(self.take.poll_recv(cx)) {
                Some(bytes) => self.open = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = self.open.len().min(buf.remaining());
        buf.put_slice(&self.open[..taken]);
        self.open.advance(taken);
        Poll::Ready(Ok(()))
    }
}

type Sending = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

struct Writer {
    session: Session,
    label: Label,
    record: Vec<u8>,
    sending: Option<Sending>,
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.record.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.record.is_empty() {
            let record = std::mem::take(&mut self.record);
            let send = self.session.send(self.label, record);
            self.sending = Some(Box::pin(async move {
                send.await.map_err(Error::from)?;
                Ok(())
            }));
        }
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            return Poll::Ready(sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
