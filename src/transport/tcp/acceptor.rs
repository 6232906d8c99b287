//! Accepting TCP connections.

use super::{Listed, TcpLink};
use crate::endpoint::Endpoint;
use crate::transport::{Acceptor, Link};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::net::TcpListener;

#[derive(Debug)]
pub(super) struct TcpAcceptor {
    listener: TcpListener,
    at: Endpoint,
    contact: Endpoint,
    _listed: Listed,
}

impl TcpAcceptor {
    pub(super) fn new(
        listener: TcpListener,
        at: Endpoint,
        contact: Endpoint,
        listed: Listed,
    ) -> Self {
        Self {
            listener,
            at,
            contact,
            _listed: listed,
        }
    }
}

impl Acceptor for TcpAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        loop {
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, from)) => {
                    let link = TcpLink::accepted(stream, from, &self.at);
                    return Poll::Ready(Ok(Link::Bytes(Box::new(link))));
                }
                Err(e) if died_in_queue(&e) => {
                    tracing::debug!(target: "mancom::transport", error = %e, "gone before it was accepted");
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}

/// Linux reports what befell a waiting connection as the error of accept (accept(2)).
fn died_in_queue(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
    )
}
