//! One socket for many links: a task reads it and splits what comes by its source.

use super::own::{Receiver, send_to};
use super::table::{Key, Table, Taken};
use super::{MAX_DATAGRAM, check_size};
use crate::transport::error::fail;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Datagrams read before the other tasks of the runtime have their turn.
const TURN: usize = 64;
/// After as many failures in a row.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that listens, or did: its task ends with the last that holds it.
#[derive(Debug)]
pub(in crate::transport) struct Hub {
    shared: Arc<Shared>,
    local: SocketAddr,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    table: Mutex<Table>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hub {
    /// Listens with a bound socket; its one acceptor is to be made now.
    pub(in crate::transport) fn open(socket: UdpSocket) -> io::Result<Arc<Self>> {
        let local = socket.local_addr()?;
        let receiver = Receiver::new(&socket)?;
        let shared = Arc::new(Shared {
            socket,
            table: Mutex::new(Table::opened()),
        });
        let task = tokio::spawn(split(Arc::clone(&shared), receiver)).abort_handle();
        Ok(Arc::new(Self {
            shared,
            local,
            task,
        }))
    }

    pub(in crate::transport) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Takes the place of an acceptor that went; false while it is there.
    pub(super) fn adopt(&self) -> bool {
        let mut table = self.shared.lock();
        !std::mem::replace(&mut table.open, true)
    }

    pub(super) fn close(&self) {
        self.shared.lock().close();
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Key> {
        match self.shared.lock().accept(cx.waker()) {
            Some(key) => Poll::Ready(key),
            None => Poll::Pending,
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        self.shared.lock().sizes()
    }
}

async fn split(shared: Arc<Shared>, mut receiver: Receiver) {
    let mut buf = vec![0; MAX_DATAGRAM + 1];
    let mut failures = 0;
    loop {
        if shared.socket.readable().await.is_err() {
            return;
        }
        for _ in 0..TURN {
            match receiver.try_recv(&shared.socket, &mut buf) {
                Ok((n, from, own)) => {
                    failures = 0;
                    let wakers = shared.lock().hear((from, own), &buf[..n]);
                    wakers.into_iter().flatten().for_each(Waker::wake);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // What an earlier datagram met on its way; it concerns one source, and nobody knows which.
                Err(e) => {
                    failures += 1;
                    tracing::trace!(target: "mancom::transport", error = %e, "udp");
                }
            }
        }
        if failures >= TURN {
            tokio::time::sleep(PAUSE).await;
            failures = 0;
        }
        tokio::task::yield_now().await;
    }
}

/// One source's part of a hub.
pub(super) struct Share {
    hub: Arc<Hub>,
    key: Key,
    /// Waits until the socket takes more; each link has a waiter of its own there.
    writable: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
}

impl Share {
    pub(super) fn new(hub: Arc<Hub>, key: Key) -> Self {
        Self {
            hub,
            key,
            writable: None,
        }
    }

    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        max: usize,
    ) -> Poll<io::Result<()>> {
        check_size(datagram, max)?;
        loop {
            if let Some(waiting) = &mut self.writable {
                let ended = ready!(waiting.as_mut().poll(cx));
                self.writable = None;
                ended?;
            }
            let shared = &self.hub.shared;
            let way = (self.key.source, self.key.own);
            match send_to(&shared.socket, datagram, way) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let shared = Arc::clone(shared);
                    let waiting = async move { shared.socket.writable().await };
                    self.writable = Some(Box::pin(waiting));
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let taken = self.hub.shared.lock().take(self.key, cx.waker());
        match taken {
            Taken::Datagram(datagram) => {
                let n = datagram.len().min(buf.remaining());
                buf.put_slice(&datagram[..n]);
                Poll::Ready(Ok(()))
            }
            Taken::Nothing => Poll::Pending,
            Taken::Gone => Poll::Ready(Err(fail(
                io::ErrorKind::ConnectionAborted,
                "silent for longest of too many sources: another took its place",
            ))),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hub.shared.lock().forget(self.key);
    }
}
