//! Reads that tell the label of what they read.

use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;

use tokio::io::ReadBuf;

use super::carrier::Carrier;
use crate::label::Label;
use crate::transport::BoxFuture;

/// A read that tells the label of what it read; a builder, see
/// [`McStream::read_labelled`](super::McStream::read_labelled).
///
/// To spawn it or to join several, call `.into_future()`.
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct ReadLabelled<'a> {
    carrier: &'a Carrier,
    buf: &'a mut [u8],
    /// Of bytes that came without one.
    default: Label,
    label: Option<Label>,
}

impl<'a> ReadLabelled<'a> {
    pub(super) fn new(carrier: &'a Carrier, buf: &'a mut [u8], default: Label) -> Self {
        Self {
            carrier,
            buf,
            default,
            label: None,
        }
    }

    /// Fails when no open path could carry this label.
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }
}

impl<'a> IntoFuture for ReadLabelled<'a> {
    type Output = io::Result<(usize, Label)>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> BoxFuture<'a, Self::Output> {
        let Self {
            carrier,
            buf,
            default,
            label,
        } = self;
        Box::pin(async move {
            let mut buf = ReadBuf::new(buf);
            let of = match carrier {
                Carrier::Session(driver, id) => {
                    poll_fn(|cx| driver.poll_read(cx, *id, &mut buf, label)).await?
                }
                Carrier::Plain(plain) => {
                    poll_fn(|cx| plain.poll_read(cx, &mut buf)).await?;
                    None
                }
            };
            Ok((buf.filled().len(), of.unwrap_or(default)))
        })
    }
}
