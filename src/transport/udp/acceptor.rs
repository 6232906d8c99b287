//! Accepting sources as links.

use super::hub::{Hub, Share};
use super::link::UdpLink;
use crate::endpoint::Endpoint;
use crate::transport::tcp::Listed;
use crate::transport::{Acceptor, Link};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

#[derive(Debug)]
pub(in crate::transport) struct UdpAcceptor {
    hub: Arc<Hub>,
    at: Endpoint,
    contact: Endpoint,
    max: usize,
    _listed: Listed,
}

impl UdpAcceptor {
    pub(in crate::transport) fn new(
        hub: Arc<Hub>,
        at: Endpoint,
        contact: Endpoint,
        max: usize,
        listed: Listed,
    ) -> Self {
        Self {
            hub,
            at,
            contact,
            max,
            _listed: listed,
        }
    }
}

impl Drop for UdpAcceptor {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Acceptor for UdpAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let key = ready!(self.hub.poll_accept(cx));
        let share = Share::new(Arc::clone(&self.hub), key);
        let local = key.own.unwrap_or(self.hub.local().ip());
        let link = UdpLink::accepted(share, (key.source, local), &self.at, self.max);
        Poll::Ready(Ok(Link::Datagrams(Box::new(link))))
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
