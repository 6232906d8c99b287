//! Accepting connections as links.

use super::dial::bound;
use super::hello::Shown;
use super::hub::{Arrived, Hub};
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
    queue: mpsc::Receiver<Arrived>,
    at: Endpoint,
    contact: Endpoint,
    _listed: Listed,
}

impl QuicAcceptor {
    pub(super) fn new(
        hub: Arc<Hub>,
        queue: mpsc::Receiver<Arrived>,
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

    fn link(&self, arrived: Arrived) -> io::Result<QuicLink> {
        let connection = arrived.connection();
        let exporter = bound(connection)?;
        let shown = connection.peer_identity();
        let shown = shown.and_then(|shown| shown.downcast::<Shown>().ok());
        let shown = shown.expect("a connection whose handshake is over has its keys");
        let channel = Listening::channel(&shown.chain, shown.bare, exporter)?;
        let held = Held::Accepted(Arc::clone(&self.hub), self.hub.count(), shown.ended);
        Ok(QuicLink::accepted(arrived.take(), held, channel, &self.at))
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
            let Some(arrived) = ready!(self.queue.poll_recv(cx)) else {
                return Poll::Pending;
            };
            match self.link(arrived) {
                Ok(link) => return Poll::Ready(Ok(Link::Bytes(Box::new(link)))),
                Err(error) => tracing::debug!(target: "mancom::transport", %error, "quic"),
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
