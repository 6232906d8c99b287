//! Accepting Unix connections.

use super::place::{Access, Kind};
use super::{Held, Live};
use crate::endpoint::Endpoint;
use crate::socket_file::SocketFile;
use crate::transport::{Acceptor, Link};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::UnixListener;

#[derive(Debug)]
pub(super) struct UnixAcceptor {
    /// Dropped before the listener: until that is closed nobody else's file can have its inode.
    #[expect(dead_code, reason = "it is kept for its drop")]
    pub(super) file: Option<SocketFile>,
    pub(super) listener: UnixListener,
    pub(super) at: Endpoint,
    pub(super) contact: Endpoint,
    pub(super) kind: Kind,
    pub(super) access: Access,
    pub(super) held: Held,
    pub(super) live: Arc<Live>,
}

impl Drop for UnixAcceptor {
    fn drop(&mut self) {
        self.live.lock().remove(&self.held);
    }
}

impl Acceptor for UnixAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        loop {
            let (stream, _) = ready!(self.listener.poll_accept(cx))?;
            match self.access.check(&stream) {
                Ok(()) => return Poll::Ready(Ok(self.kind.link(stream, &self.at, None))),
                Err(error) => {
                    tracing::debug!(target: "mancom::transport", at = %self.at, %error, "closed");
                }
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
