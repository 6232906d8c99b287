//! One link: a connection and the stream in it.

use super::config::{UNSENT, opened};
use super::error::{DONE, GONE, TORN, of_end, of_nobody, of_read, of_write};
use super::hub::{Counted, Hub, Parts};
use super::socket::Fault;
use crate::endpoint::Endpoint;
use crate::tls::Channel;
use crate::transport::remote::Remote;
use crate::transport::{ByteLink, Measured};
use quinn::{Connection, RecvStream, SendStream, StoppedError, VarInt};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::coop::poll_proceed;

/// How long what a link took may take to go once nobody holds it, and how long it then says so.
const PARTING: Duration = Duration::from_secs(30);
pub(super) const GOODBYE: Duration = Duration::from_secs(3);
/// What a path holds is looked at no more often than this.
const LOOK: Duration = Duration::from_millis(5);

/// A QUIC connection as [`Quic`](super::Quic) makes it.
pub struct QuicLink {
    connection: Connection,
    /// Until it is dropped.
    stream: Option<(SendStream, RecvStream)>,
    held: Option<Held>,
    channel: Channel,
    peer: Endpoint,
    remote: Remote,
    local: Option<IpAddr>,
    /// When it was last looked at what the path holds, and how much may wait since.
    looked: Option<Instant>,
    unsent: u64,
    /// Waits until the far end has everything.
    ending: Option<Ending>,
    /// The connection was closed at once.
    torn: bool,
    runtime: Handle,
}

type Ending = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>;

/// What a connection lives in.
pub(super) enum Held {
    Dialled(quinn::Endpoint, Arc<Fault>),
    /// The last ends with the connection.
    Accepted(
        Arc<Hub>,
        #[expect(dead_code, reason = "it counts")] Counted,
        watch::Receiver<()>,
    ),
}

impl Held {
    fn endpoint(&self) -> &quinn::Endpoint {
        match self {
            Self::Dialled(endpoint, _) => endpoint,
            Self::Accepted(hub, ..) => hub.endpoint(),
        }
    }

    /// Until the connection is over, others in the same socket or not. Whoever waits holds nothing of it.
    async fn ended(&mut self) {
        match self {
            Self::Dialled(endpoint, _) => endpoint.wait_idle().await,
            // Nothing is ever sent in it.
            Self::Accepted(_, _, ended) => while ended.changed().await.is_ok() {},
        }
    }
}

impl QuicLink {
    pub(super) fn dialled(parts: Parts, held: Held, channel: Channel, to: &Endpoint) -> Self {
        let remote = Remote::dialled(parts.0.remote_address(), to);
        Self::new(parts, held, channel, (remote, to))
    }

    pub(super) fn accepted(parts: Parts, held: Held, channel: Channel, at: &Endpoint) -> Self {
        let remote = Remote::accepted(parts.0.remote_address());
        Self::new(parts, held, channel, (remote, at))
    }

    fn new(
        (connection, send, recv): Parts,
        held: Held,
        channel: Channel,
        (remote, given): (Remote, &Endpoint),
    ) -> Self {
        let bound = || held.endpoint().local_addr().ok().map(|at| at.ip());
        let local = connection.local_ip().or_else(bound);
        opened(&connection);
        Self {
            peer: remote.endpoint(given),
            local: local
                .map(|ip| ip.to_canonical())
                .filter(|ip| !ip.is_unspecified()),
            connection,
            stream: Some((send, recv)),
            held: Some(held),
            channel,
            remote,
            looked: None,
            unsent: UNSENT[0],
            ending: None,
            torn: false,
            runtime: Handle::current(),
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn leads_to(&self, contact: &Endpoint) -> bool {
        self.remote.leads_to(contact)
    }

    /// The address of the other end, as it was when the link was made.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote.at()
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn fault(&self) -> Option<&Fault> {
        match &self.held {
            Some(Held::Dialled(_, fault)) => Some(fault),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Bytes that came, all datagrams whole.
    #[cfg(test)]
    pub(super) fn received(&self) -> u64 {
        self.connection.stats().udp_rx.bytes
    }

    fn stream(&mut self) -> &mut (SendStream, RecvStream) {
        self.stream.as_mut().expect("it is there until the drop")
    }

    /// The error, or why this end closed the connection by itself.
    fn why(&self, error: io::Error) -> io::Error {
        match &self.held {
            Some(Held::Dialled(_, fault)) if fault.is_gone() => of_nobody(),
            _ => error,
        }
    }

    /// Lets so much wait as the path has use for: twice what it holds, so that it can learn to hold more.
    fn make_room(&mut self) {
        let now = Instant::now();
        if self.looked.is_some_and(|at| now < at + LOOK) {
            return;
        }
        self.looked = Some(now);
        let holds = self.connection.stats().path.cwnd;
        let [least, most] = UNSENT;
        let unsent = holds
            .saturating_mul(2)
            .saturating_add(least / 2)
            .clamp(least, most);
        if unsent.abs_diff(self.unsent) > self.unsent / 8 {
            self.unsent = unsent;
            self.connection.set_send_window(unsent);
        }
    }
}

impl fmt::Debug for QuicLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicLink")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl QuicLink {
    /// Drops it; whoever waits for `guard` to be dropped waits until what was written has arrived.
    pub(crate) fn part(mut self, guard: impl Send + 'static) {
        if let Some(parting) = self.parting() {
            self.runtime.spawn(async move {
                parting.await;
                drop(guard);
            });
        }
    }

    /// What is left to do once nobody holds it.
    fn parting(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let ((mut send, mut recv), mut held) = self.stream.take().zip(self.held.take())?;
        let (connection, torn) = (self.connection.clone(), self.torn);
        if std::thread::panicking() {
            connection.close(TORN, b"panicked");
            return None;
        }
        // Each fails only where it is so already.
        let read_all = recv.stop(GONE).is_err();
        let _ = send.finish();
        Some(async move {
            if !torn {
                let _ = tokio::time::timeout(PARTING, send.stopped()).await;
                // Who waits to hear that its own end arrived has heard it by this.
                connection.close(if read_all { DONE } else { GONE }, b"");
            }
            drop((connection, send, recv));
            let _ = tokio::time::timeout(GOODBYE, held.ended()).await;
        })
    }
}

impl Drop for QuicLink {
    fn drop(&mut self) {
        if let Some(parting) = self.parting() {
            self.runtime.spawn(parting);
        }
    }
}

impl AsyncRead for QuicLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = ready!(poll_proceed(cx));
        let read = self.stream().1.poll_read_buf(cx, buf);
        if read.is_ready() {
            turn.made_progress();
        }
        read.map_err(|error| self.why(of_read(&error)))
    }
}

impl AsyncWrite for QuicLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(poll_proceed(cx));
        self.make_room();
        let wrote = Pin::new(&mut self.stream().0).poll_write(cx, bytes);
        if wrote.is_ready() {
            turn.made_progress();
        }
        wrote.map_err(|error| self.why(of_write(&error)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut all = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.as_mut().poll_write(cx, buf) {
                Poll::Ready(Ok(n)) => {
                    all += n;
                    if n < buf.len() {
                        break;
                    }
                }
                // What failed will fail again.
                _ if all > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(all))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whatever was taken is on its way, as far as the path has room.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ready once the far end's system has all that was written: no kernel keeps it once this program is
    /// gone.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending.is_none() {
            let send = &mut self.stream().0;
            // It fails only where it was ended before.
            let _ = send.finish();
            self.ending = Some(Box::pin(send.stopped()));
        }
        let Some(ending) = &mut self.ending else {
            unreachable!("it was just made");
        };
        let ended = ready!(ending.as_mut().poll(cx));
        self.ending = None;
        Poll::Ready(of_end(ended).map_err(|error| self.why(error)))
    }
}

impl ByteLink for QuicLink {
    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }

    fn local(&self) -> Option<IpAddr> {
        self.local
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        self.remote.name(contact)
    }

    fn tear(&mut self) {
        self.torn = true;
        self.connection.close(TORN, b"aborted");
    }

    /// Round trips and loss. How much of the stream arrived QUIC does not tell, so nothing is said of
    /// bandwidth.
    fn measure(&self) -> Option<Measured> {
        let path = self.connection.stats().path;
        Some(Measured {
            rtt: Some(path.rtt),
            least_rtt: Some(path.min_rtt),
            app_limited: true,
            segments: path.sent_packets as u32,
            resent: path.lost_packets as u32,
            ..Measured::default()
        })
    }
}
