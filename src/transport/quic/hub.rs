//! One socket that listens: its handshakes, and the queue of those who came through.

use super::config::{self, HANDSHAKE};
use super::crowd::{Crowd, MOST};
use super::dial::{OPENING, is_foreign};
use super::error::{TORN, of_handshake};
use super::socket::Socket;
use crate::endpoint::Endpoint as At;
use crate::tls::Listening;
use crate::transport::Bind;
use crate::transport::refusals::Refusals;
use quinn::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream,
    ServerConfig,
};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// Links that wait to be accepted.
const QUEUE: usize = 1024;
/// With more handshakes than this, who comes must show first that it hears what is sent to it.
const UNPROVED: usize = 64;
/// Connections beside those of links: handshakes, and what was given up and still says so.
const BESIDE: usize = 4 * MOST;

/// A connection and its one stream.
pub(super) type Parts = (Connection, SendStream, RecvStream);

/// The same while they are nobody's link: dropped, they say so, where quinn would end the stream as if all
/// had been said, and close the connection as if all had been read.
pub(super) struct Arrived(Option<Parts>);

impl Arrived {
    fn new(connection: Connection, send: SendStream, recv: RecvStream) -> Self {
        Self(Some((connection, send, recv)))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0.as_ref().expect("it is taken once, and whole").0
    }

    /// Reads what the stream begins with.
    async fn open(&mut self) -> io::Result<()> {
        let (_, _, recv) = self.0.as_mut().expect("it is taken once");
        let mut opening = OPENING;
        let opened = recv.read_exact(&mut opening).await;
        opened.map_err(io::Error::other)
    }

    pub(super) fn take(mut self) -> Parts {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some((connection, ..)) = &self.0 {
            connection.close(TORN, b"nobody accepts it");
        }
    }
}

/// What a listener lets in, and where it goes.
#[derive(Clone)]
pub(super) struct Door {
    config: ServerConfig,
    queue: mpsc::Sender<Arrived>,
    keys: Arc<Listening>,
    /// Where it listens, as given.
    at: At,
    refusals: Arc<Refusals>,
}

impl Door {
    pub(super) fn new(
        keys: &Arc<Listening>,
        at: &At,
    ) -> io::Result<(Self, mpsc::Receiver<Arrived>)> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let config = config::listening(keys)?;
        let door = Self {
            config,
            queue,
            keys: Arc::clone(keys),
            at: at.clone(),
            refusals: Arc::default(),
        };
        Ok((door, waiting))
    }

    /// Why a handshake failed. Whom this end refuses is told of, and who refuses it.
    fn refused(&self, error: &ConnectionError, from: SocketAddr) -> io::Error {
        let error = of_handshake(error, |text| self.keys.refusal(text));
        if error.kind() == io::ErrorKind::InvalidData {
            let whom = self.at.clone().without_attributes();
            let whom = whom
                .with_ip(from.ip().to_canonical())
                .with_port(from.port());
            self.refusals.tell(&self.at, &whom, &error);
        }
        error
    }
}

/// A socket that listens, or did: it closes with the last that holds it.
pub(super) struct Hub {
    endpoint: Endpoint,
    local: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    /// `None` without an acceptor: nobody is let in.
    door: Mutex<Option<Door>>,
    /// Links that were accepted and live.
    links: AtomicUsize,
}

impl Shared {
    fn door(&self) -> MutexGuard<'_, Option<Door>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hub {
    pub(super) fn open(at: SocketAddr, on: Option<&Bind>, door: &Door) -> io::Result<Arc<Self>> {
        let socket = Arc::new(Socket::at(at, on)?);
        let (own, let_in) = (EndpointConfig::default(), Some(door.config.clone()));
        let endpoint =
            Endpoint::new_with_abstract_socket(own, let_in, socket, Arc::new(quinn::TokioRuntime))?;
        let shared = Arc::new(Shared {
            door: Mutex::new(Some(door.clone())),
            links: AtomicUsize::new(0),
        });
        let task = tokio::spawn(serve(endpoint.clone(), Arc::clone(&shared))).abort_handle();
        Ok(Arc::new(Self {
            local: endpoint.local_addr()?,
            endpoint,
            shared,
            task,
        }))
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes the place of an acceptor that went; false while it is there.
    pub(super) fn adopt(&self, door: &Door) -> bool {
        let mut open = self.shared.door();
        if open.is_some() {
            return false;
        }
        self.endpoint.set_server_config(Some(door.config.clone()));
        *open = Some(door.clone());
        true
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        *self.shared.door() = None;
    }

    /// One more link; it is counted until this is dropped.
    pub(super) fn count(&self) -> Counted {
        self.shared.links.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.shared))
    }

    /// Links that nobody accepted yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let door = self.shared.door();
        door.as_ref()
            .map_or(0, |door| QUEUE - door.queue.capacity())
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }
}

/// A link, as long as it lives.
pub(super) struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.links.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(endpoint: Endpoint, shared: Arc<Shared>) {
    let mut crowd = Crowd::default();
    let mut shaking = JoinSet::new();
    let mut number = 0;
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(over) = shaking.join_next() => {
                if let Ok(over) = over {
                    crowd.leave(over);
                }
                continue;
            }
        };
        // The socket is gone: so is the queue's end.
        let Some(incoming) = incoming else {
            *shared.door() = None;
            return;
        };
        let Some(door) = shared.door().clone() else {
            incoming.refuse();
            continue;
        };
        let beside = shared.links.load(Ordering::Relaxed) + QUEUE + BESIDE;
        if endpoint.open_connections() >= beside {
            incoming.refuse();
        } else if crowd.len() >= UNPROVED && incoming.may_retry() {
            // It fails only where it may not.
            let _ = incoming.retry();
        } else {
            let source = incoming.remote_address().ip();
            number += 1;
            let task = shaking.spawn(shake(incoming, door, number));
            crowd.enter(number, source, task);
        }
    }
}

/// The handshake of one dialler; its number when it is over.
async fn shake(incoming: Incoming, door: Door, number: u64) -> u64 {
    let from = incoming.remote_address();
    let opening = async {
        let failed = |error| door.refused(&error, from);
        let connection = incoming.accept().map_err(failed)?.await.map_err(failed)?;
        let (send, recv) = connection.accept_bi().await.map_err(failed)?;
        let mut arrived = Arrived::new(connection, send, recv);
        if !is_foreign(&door.at) {
            arrived.open().await?;
        }
        Ok::<_, io::Error>(arrived)
    };
    match tokio::time::timeout(HANDSHAKE, opening).await {
        Ok(Ok(arrived)) => {
            if door.queue.try_send(arrived).is_err() {
                tracing::debug!(target: "mancom::transport", %from, "no room, or nobody accepts");
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(target: "mancom::transport", %from, %error, "no link");
        }
        Err(_) => tracing::debug!(target: "mancom::transport", %from, "handshake too slow"),
    }
    number
}
