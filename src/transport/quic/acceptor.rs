//! Accepting connections as links.

use super::dial::bound;
use super::hello::Shown;
use super::hub::{Hub, Parts};
use super::link::{Held, QuicLink};
use crate::endpoint::Endpoint;
use crate::tls::Listening;
use crate::transport::tcp::Listed;
use crate::transport::{Acceptor, Link};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

pub(super) struct QuicAcceptor {
    hub: Arc<Hub>,
    queue: mpsc::Receiver<Parts>,
    at: Endpoint,
    contact: Endpoint,
    _listed: Listed,
}

impl QuicAcceptor {
    pub(super) fn new(
        hub: Arc<Hub>,
        queue: mpsc::Receiver<Parts>,
        at: Endpoint,
        contact: Endpoint,
        listed: Listed,
    ) -> Self {
        Self {
            hub,
            queue,
            at,
            contact,
            _listed: listed,
        }
    }

    fn link(&self, parts: Parts) -> io::Result<QuicLink> {
        let exporter = bound(&parts.0)?;
        let shown = parts.0.peer_identity();
        let shown = shown.and_then(|shown| shown.downcast::<Shown>().ok());
        let channel = match &shown {
            Some(shown) => Listening::channel(&shown.chain, shown.bare, exporter)?,
            None => Listening::channel(&[], false, exporter)?,
        };
        let held = Held::Accepted(Arc::clone(&self.hub), self.hub.count());
        Ok(QuicLink::accepted(parts, held, channel, &self.at))
    }
}

impl Drop for QuicAcceptor {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Acceptor for QuicAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        loop {
            // The queue ends only if the system took the socket away: then nobody comes any more.
            let Some(parts) = ready!(self.queue.poll_recv(cx)) else {
                return Poll::Pending;
            };
            match self.link(parts) {
                Ok(link) => return Poll::Ready(Ok(Link::Bytes(Box::new(link)))),
                Err(error) => tracing::debug!(target: "mancom::transport", %error, "quic"),
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
