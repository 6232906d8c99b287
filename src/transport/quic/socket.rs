//! Sockets and tasks of quinn's, so that what happens to a dialler's is seen, and nothing is left of it.

use super::doubt::Doubt;
use crate::transport::{Bind, udp};
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What is asked for, in bytes.
const BUFFER: usize = 4 << 20;

/// A UDP socket that tells what went wrong, which quinn takes for a lost datagram.
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    fault: Arc<Fault>,
}

/// What went wrong: the first thing ends a handshake, and of a link that nobody listens there any more.
#[derive(Debug, Default)]
pub(super) struct Fault {
    first: Told,
    doubt: Doubt,
    gone: Told,
}

/// Something that is told once, by its number.
#[derive(Debug, Default)]
struct Told {
    number: OnceLock<i32>,
    told: Notify,
}

impl Told {
    fn tell(&self, number: i32) {
        if self.number.set(number).is_ok() {
            self.told.notify_one();
        }
    }

    /// Resolves once it was told, for one who waits.
    async fn wait(&self) -> io::Error {
        loop {
            if let Some(number) = self.number.get() {
                return io::Error::from_raw_os_error(*number);
            }
            self.told.notified().await;
        }
    }
}

impl Fault {
    /// Takes note of what says that nobody hears us there, or that there is no way.
    pub(super) fn note(&self, error: &io::Error) {
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable,
            PermissionDenied,
        };
        let telling = matches!(
            error.kind(),
            AddrNotAvailable
                | ConnectionRefused
                | HostUnreachable
                | NetworkDown
                | NetworkUnreachable
                | PermissionDenied
        );
        let (true, Some(number)) = (telling, error.raw_os_error()) else {
            return;
        };
        self.first.tell(number);
        if error.kind() == ConnectionRefused && self.doubt.refused(Instant::now()) {
            self.gone.tell(number);
        }
    }

    /// Resolves once something went wrong.
    pub(super) async fn told(&self) -> io::Error {
        self.first.wait().await
    }

    /// Resolves once nobody listens there any more.
    pub(super) async fn gone(&self) -> io::Error {
        self.gone.wait().await
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.number.get().is_some()
    }
}

impl Socket {
    /// Sends to this address alone, over this network.
    pub(super) fn to(at: SocketAddr, on: Option<&Bind>, fault: &Arc<Fault>) -> io::Result<Self> {
        let socket = udp::dialling(at, on)?;
        // So that a port where nobody listens is told of. Elsewhere a connected socket takes no datagram
        // with an address, which is what quinn gives it.
        #[cfg(target_os = "linux")]
        socket.connect(&at.into())?;
        #[cfg(not(target_os = "linux"))]
        if socket
            .local_addr()?
            .as_socket()
            .is_none_or(|own| own.port() == 0)
        {
            use std::net::{Ipv4Addr, Ipv6Addr};
            let any: SocketAddr = match at {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            socket.bind(&any.into())?;
        }
        Self::new(socket, Arc::clone(fault))
    }

    /// Listens at this address, on this network.
    pub(super) fn at(at: SocketAddr, on: Option<&Bind>) -> io::Result<Self> {
        Self::new(udp::listening(at, on)?, Arc::default())
    }

    fn new(socket: socket2::Socket, fault: Arc<Fault>) -> io::Result<Self> {
        // As much as the system grants: twice its default where nobody raised its limits. What is under way
        // to a neighbour that is gone stays in the buffer for seconds (on Linux up to the default), and those
        // who share a listener's socket would wait for it.
        for set in [
            socket2::Socket::set_send_buffer_size,
            socket2::Socket::set_recv_buffer_size,
        ] {
            if let Err(error) = set(&socket, BUFFER) {
                tracing::debug!(target: "mancom::transport", %error, "the buffer of a UDP socket");
            }
        }
        let state = UdpSocketState::new((&socket).into())?;
        let io = UdpSocket::from_std(socket.into())?;
        Ok(Self { io, state, fault })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            socket: self,
            waiting: None,
        })
    }

    /// What goes wrong is a lost datagram, unless there is no room for it.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let send = || self.state.try_send((&self.io).into(), transmit);
        match self.io.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                tracing::trace!(target: "mancom::transport", %error, "quic");
                self.fault.note(&error);
                Ok(())
            }
            Ok(()) => {
                self.fault.doubt.sent();
                Ok(())
            }
            full => full,
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.io).into(), bufs, meta);
            match self.io.try_io(Interest::READABLE, receive) {
                Ok(received) => {
                    self.fault.doubt.heard();
                    return Poll::Ready(Ok(received));
                }
                // The next turn asks again whether there is something.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.fault.note(&error),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// One waiter for room.
struct Poller {
    socket: Arc<Socket>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Arc::clone(&self.socket);
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(async move { socket.io.writable().await }));
        let writable = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(writable)
    }
}

/// tokio, and the tasks that quinn started in it: two of a dialler.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Vec<AbortHandle>>);

impl Runtime for Tasks {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let task = tokio::spawn(task).abort_handle();
        let tasks = self.0.lock();
        tasks.unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// Ends the tasks when it is dropped, unless they were to go on: a dialler that was given up leaves none.
pub(super) struct Pending(Option<Arc<Tasks>>);

impl Pending {
    pub(super) fn new(tasks: &Arc<Tasks>) -> Self {
        Self(Some(Arc::clone(tasks)))
    }

    pub(super) fn go_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(tasks) = self.0.take() else { return };
        let tasks = tasks.0.lock();
        for task in tasks.unwrap_or_else(PoisonError::into_inner).iter() {
            task.abort();
        }
    }
}
