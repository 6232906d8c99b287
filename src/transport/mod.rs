//! Transports: ways to carry bytes, found by the scheme of an endpoint.
//!
//! # The problem
//!
//! A session rides on connections that come and go. What makes one is not its business: a kernel
//! socket bound to one network, a socket file, two buffers in this process, a radio modem of
//! somebody's own. This module is the one seam between the two.
//!
//! ```text
//!   mc://host:7000 ── carrier() ──> "tcp" ── Registry ──> dyn Transport
//!                                                           │ connect(to, on)   │ listen(at, on)
//!                                                           v                   v
//!                                                          Link  <─ accept ─ dyn Acceptor
//! ```
//!
//! # Rules
//!
//! * A transport is object safe and registered by scheme; an unknown scheme is an error that names
//!   the nearest known one, never a silent fallback.
//! * `on: Some(bind)` means: every byte of this connection goes over that network and leaves with
//!   that address, or the call fails. `None` means the operation stays on this host (or, for
//!   `listen`, takes whatever arrives).
//! * The endpoint given may have a scheme that only travels on this transport (`mc://` on `tcp`).
//!   A transport reads host, port, path, name and attributes, and never insists on the scheme;
//!   [`ByteLink::peer`] and [`Acceptor::contact`] keep the scheme and the query they were given.
//! * Futures own what they opened: dropped while pending, they leave no task, socket, file or name.
//! * No timer of a transport is longer than 5 s an attempt; policy above it decides the rest.
//!
//! # The loss of a network
//!
//! A link tells it by an error of one of the kinds `TimedOut`, `HostUnreachable`,
//! `NetworkUnreachable`, `NetworkDown`, `AddrNotAvailable`, or by `ConnectionReset`, or not at all:
//! a silent network gives neither bytes nor an error, and only acknowledgements above can tell.
//!
//! # Limits
//!
//! Listen queues hold 1,024 connections, a link of [`Memory`] 64 KiB each way
//! (more on a network with a known bandwidth and delay, see [`Shape`]), a name gives at most 64
//! addresses. A transport holds one entry for each live acceptor and nothing for a link. A listener of
//! datagrams ([`Udp`], [`Multicast`]) knows at most 4,096 sources and keeps 16 MiB for them.
//!
//! # Adding one
//!
//! Implement [`Transport`], [`Acceptor`] and [`ByteLink`], put it into the [`Registry`], and run it
//! through `testing::conformance` (feature `test-util`), as the built-in ones are; `examples/serial` does
//! all of it.

use crate::endpoint::{AttributeError, Attributes, Endpoint};
use crate::network::Network;
use bytes::Bytes;
use std::any::Any;
use std::fmt::{self, Debug};
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "airhook")]
mod airhook;
mod bind;
mod contact;
mod dns;
mod error;
mod memory;
mod multicast;
#[cfg(target_os = "linux")]
mod outq;
#[cfg(feature = "quic")]
mod quic;
#[cfg(any(feature = "airhook", feature = "quic"))]
mod race;
pub(crate) mod refusals;
mod registry;
mod remote;
mod resolve;
mod tcp;
#[cfg(target_os = "linux")]
mod tcp_info;
mod udp;
#[cfg(unix)]
mod unix;
mod vectored;

#[cfg(any(test, feature = "test-util"))]
#[doc(hidden)] // It is `testing::conformance`.
pub mod conformance;
#[cfg(test)]
mod tests;

pub use crate::proto::pull::{PullSchedule, PullScheduleError};
#[cfg(feature = "airhook")]
pub use airhook::{Airhook, AirhookLink};
pub use memory::{Exchange, Faults, Memory, MemoryLink, Shape};
pub use multicast::{GroupLink, Multicast};
#[cfg(feature = "quic")]
pub use quic::{Quic, QuicLink};
pub(crate) use registry::check_attributes;
pub use registry::{Registry, UnknownAttribute, UnknownScheme};
pub(crate) use resolve::in_hosts_file;
pub use resolve::resolve;
pub use tcp::{Tcp, TcpLink, connect_any};
pub use udp::{Udp, UdpLink};
#[cfg(target_os = "linux")]
pub use unix::{MAX_DESCRIPTORS, Received};
#[cfg(unix)]
pub use unix::{SeqpacketLink, Unix, UnixLink};

/// A boxed future, as the object-safe traits of this module return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The network a connection is bound to, and one of its addresses.
#[derive(Debug, Clone)]
pub struct Bind {
    /// The network, at one epoch: a link outlives neither it nor its address.
    pub network: Network,
    /// The address to leave with; `None` takes the network's first one of the destination's family.
    pub source: Option<IpAddr>,
}

/// What a transport can do. Nothing here is a wish: what is `true` works.
///
/// Start from [`stream`](Self::stream) or [`datagrams`](Self::datagrams) and set the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Characteristics {
    /// What is written arrives, unless the link fails.
    pub reliable: bool,
    /// It arrives in the order written.
    pub ordered: bool,
    /// The boundaries of writes are kept.
    pub messages: bool,
    /// The largest datagram in bytes; `None` for byte streams.
    pub max_datagram: Option<usize>,
    /// File descriptors can be passed.
    pub passes_descriptors: bool,
    /// The peer's user and process are known.
    pub peer_credentials: bool,
    /// [`ByteLink::send_owned`] is implemented.
    pub owned_send: bool,
    /// What is sent reaches everybody of a group, whoever that is.
    pub multicast: bool,
    /// A pull schedule is honoured.
    pub pull_schedule: bool,
    /// A place takes one link, and the next when that is gone: a line between two ends.
    pub one_at_a_time: bool,
    /// Its links are encrypted and prove who is at their ends: a session on them is none in clear. That it
    /// gets its keys from the builders above is a matter of mancom's own alone.
    pub secure: bool,
}

impl Characteristics {
    /// A reliable, ordered byte stream and nothing more.
    #[must_use]
    pub const fn stream() -> Self {
        Self {
            reliable: true,
            ordered: true,
            messages: false,
            max_datagram: None,
            passes_descriptors: false,
            peer_credentials: false,
            owned_send: false,
            multicast: false,
            pull_schedule: false,
            one_at_a_time: false,
            secure: false,
        }
    }

    /// Datagrams of at most `max` bytes that may be lost, doubled or reordered.
    #[must_use]
    pub const fn datagrams(max: usize) -> Self {
        Self {
            reliable: false,
            ordered: false,
            messages: true,
            max_datagram: Some(max),
            ..Self::stream()
        }
    }
}

/// A way to carry bytes. Object safe; third parties implement it and put it into a [`Registry`].
pub trait Transport: Any + Debug + Send + Sync + 'static {
    /// The scheme this transport is registered under and found by
    /// (as the carrier of an endpoint): lower case, without the colon.
    fn scheme(&self) -> &'static str;

    /// The attributes of an endpoint that it understands; any other is refused before it is asked.
    /// `None`, the default, leaves that to the transport.
    fn attributes(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether the values of these attributes are of their kinds, asked before anything is tried. The default
    /// leaves that to [`connect`](Self::connect) and [`listen`](Self::listen).
    ///
    /// # Errors
    /// The first that is not.
    fn check(&self, _attributes: &Attributes) -> Result<(), AttributeError> {
        Ok(())
    }

    /// What its links can do. Constant for one transport.
    fn characteristics(&self) -> Characteristics;

    /// What the links of this endpoint can do, where its attributes decide something of it: a Unix
    /// socket carries bytes or messages. The default is [`characteristics`](Self::characteristics).
    fn characteristics_at(&self, _at: &Endpoint) -> Characteristics {
        self.characteristics()
    }

    /// From now on its links, also those there are, fetch what has arrived only in the windows of this
    /// schedule; `None` is at any time. The default does nothing:
    /// [`Characteristics::pull_schedule`] says who honours one.
    fn install_pull_schedule(&self, _schedule: Option<&Arc<PullSchedule>>) {}

    /// Connects to `to`, bound to the network and the address of `on`, or unbound on this host.
    ///
    /// An implementation gives up after 5 s an attempt at the latest, with `TimedOut`; nobody
    /// listening is `ConnectionRefused` (or `NotFound` where the place itself is missing).
    ///
    /// # Errors
    /// An `io::Error` whose text names the endpoint, with the system's error as its source.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it opened and leaves no task behind.
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>>;

    /// As [`connect`](Self::connect), to the first that answers of these addresses, which the host of
    /// `to` was found to have and which may be used on the network of `on`.
    ///
    /// The default connects to each in turn, in the place of the host.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); `InvalidInput` without addresses.
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let mut last = io::ErrorKind::InvalidInput.into();
            for address in addresses {
                match self.connect(&to.clone().with_ip(address.ip()), on).await {
                    Ok(link) => return Ok(link),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    /// Listens at `at`: on every network, or only on that of `on`.
    ///
    /// Connections are accepted by the system from the moment this resolves, up to the limit of its
    /// queue, whether or not anybody polls the acceptor.
    ///
    /// # Errors
    /// `AddrInUse`, `PermissionDenied`, `NotFound` and the like; the text names the endpoint and
    /// says what can be done. An address in use is never taken over.
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>>;

    /// Whether `contact` leads to a live acceptor of this very transport object.
    ///
    /// True of its own acceptors' [`Acceptor::contact`], false of another process's. Does not
    /// block; a host name that is not literally one of ours is not resolved and is false.
    fn is_self(&self, contact: &Endpoint) -> bool;

    /// Whether `link` is a connection with the process that listens at `contact`.
    ///
    /// Used to reuse a connection, so a wrong `true` sends bytes to a stranger and a wrong `false`
    /// costs a connection: when in doubt it is false. A transport that cannot tell the dialler of
    /// an accepted link (TCP and Unix sockets do not) says false of those, until the peer named itself
    /// to the layer above and that called [`Link::named`].
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool;
}

/// Accepts the links of one listening place; dropping it stops listening.
pub trait Acceptor: Send {
    /// The next link, in the order of arrival.
    ///
    /// An error concerns that one accept, not the listening: the acceptor stays usable, a
    /// connection that died in the queue is skipped rather than reported, and running out of
    /// descriptors (EMFILE, ENFILE) is handed up as it is, for the listener above to pause.
    ///
    /// # Errors
    /// As the system reports them.
    ///
    /// # Cancel safety
    /// A link is either returned or still in the queue.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>>;

    /// An endpoint that another process, and where there is a network another host, can dial.
    ///
    /// It has the scheme and the query of the endpoint listened at, the port really used, and in
    /// place of a wildcard the `advertise=` attribute or an address of this host.
    fn contact(&self) -> Endpoint;
}

/// Who is at the other end of a link on this host, as its system vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's number.
    pub user: u32,
    /// Its group's.
    pub group: u32,
    /// The process, where it is told; it may be another one's when it is used.
    pub process: Option<u32>,
}

/// One connection.
pub enum Link {
    /// An ordered, reliable byte stream.
    Bytes(Box<dyn ByteLink>),
    /// Datagrams.
    Datagrams(Box<dyn DatagramLink>),
}

impl Link {
    /// The link as the concrete type a transport made it, if it is of that type, or a layer upon one
    /// ([`ByteLink::beneath`]).
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        let mut link: &dyn ByteLink = match self {
            Link::Bytes(link) => &**link,
            Link::Datagrams(link) => {
                let any: &dyn Any = &**link;
                return any.downcast_ref();
            }
        };
        loop {
            let any: &dyn Any = link;
            match any.downcast_ref() {
                Some(found) => return Some(found),
                None => link = link.beneath()?,
            }
        }
    }

    /// The peer said that it listens at `contact`: [`ByteLink::named`], [`DatagramLink::named`].
    pub fn named(&mut self, contact: &Endpoint) -> bool {
        match self {
            Link::Bytes(link) => link.named(contact),
            Link::Datagrams(link) => link.named(contact),
        }
    }

    /// Whose process is at the other end: [`ByteLink::credentials`], [`DatagramLink::credentials`].
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        match self {
            Link::Bytes(link) => link.credentials(),
            Link::Datagrams(link) => link.credentials(),
        }
    }
}

impl Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Bytes(link) => write!(f, "Link::Bytes({})", link.peer()),
            Link::Datagrams(_) => f.write_str("Link::Datagrams"),
        }
    }
}

/// An ordered, reliable byte connection. Dropping it closes it; what was written is still sent.
///
/// Reading and writing may happen from different tasks: each direction keeps its own waker.
pub trait ByteLink: AsyncRead + AsyncWrite + Any + Send + Unpin {
    /// Reads into several buffers with one call; the number of bytes read, 0 only at the end of the
    /// stream or when no buffer has room.
    ///
    /// The default reads into the first buffer that is not empty.
    ///
    /// # Errors
    /// As [`AsyncRead::poll_read`].
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = bufs.iter_mut().find(|buf| !buf.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let mut buf = ReadBuf::new(first);
        ready!(self.poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Sends a buffer without copying it; resolves when the buffer is free again.
    /// `None` (the default) where the transport has no such way: write it instead.
    ///
    /// It is for who uses links without a session above them. A session keeps what it sent until the peer
    /// has acknowledged it, and writes it from there, uncopied, with `poll_write_vectored`.
    fn send_owned(
        self: Pin<&mut Self>,
        _bytes: Bytes,
    ) -> Option<BoxFuture<'static, io::Result<()>>> {
        None
    }

    /// The other end, with the scheme and the query of the endpoint dialled or listened at.
    fn peer(&self) -> Endpoint;

    /// The local address, where there is one.
    fn local(&self) -> Option<IpAddr> {
        None
    }

    /// The link that this one is a layer upon, as TLS is upon TCP; `None`, the default, where it stands by
    /// itself.
    fn beneath(&self) -> Option<&dyn ByteLink> {
        None
    }

    /// The peer said, to whoever uses this link, that it listens at `contact`; from then on
    /// [`Transport::same_peer`] goes by it. True if it was taken note of: not where what the system says
    /// of the link contradicts it (another host's address, another user's socket file), and never by the
    /// default. It is the peer's word, so whoever must be sure of the peer asks for its identity: sessions
    /// are shared by what was proved ([`Connect::reuse`](crate::Connect::reuse)), never by this, which is
    /// for who uses links without them.
    fn named(&mut self, _contact: &Endpoint) -> bool {
        false
    }

    /// Whose process is at the other end. `None` where the system does not tell.
    fn credentials(&self) -> Option<Credentials> {
        None
    }

    /// How many bytes of those written to this link, since it was made, the peer's system
    /// acknowledged. It says nothing of the peer's program. `None` where it is not known.
    fn acknowledged(&self) -> Option<u64> {
        None
    }

    /// What the system measured of this connection so far; it costs a system call. `None` where it
    /// measures nothing.
    fn measure(&self) -> Option<Measured> {
        None
    }

    /// Takes no more while this many of the bytes written to it were not sent yet, so that what is
    /// urgent finds a short queue; 0 is as many as the system has room for. A link that cannot tell the
    /// two apart takes what it takes.
    fn limit_unsent(&mut self, _bytes: u32) {}

    /// Has the far end read an error in place of an orderly end: called just before the link is dropped.
    /// What is not there yet may be lost. By default, and where the system knows no such thing as between
    /// Unix sockets, the drop is an end like any other.
    fn tear(&mut self) {}
}

/// What the system measured of one connection; `None` for what it did not (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Measured {
    /// The smoothed round-trip time, the waiting behind what was sent before included.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub deviation: Option<Duration>,
    /// The least round-trip time of the last minutes.
    pub least_rtt: Option<Duration>,
    /// Whether what was acknowledged last was all there was to send: then nothing is said of bandwidth.
    pub app_limited: bool,
    /// Bytes acknowledged since the link was made.
    pub acknowledged: u64,
    /// For how long something was on its way, in all.
    pub busy: Duration,
    /// For how long of that time a buffer of either end held it back, not the network.
    pub held_back: Duration,
    /// Segments with payload sent since the link was made, also again; 0 if not known. May wrap.
    pub segments: u32,
    /// Segments sent again since the link was made. May wrap.
    pub resent: u32,
    /// Bytes written to the link and not acknowledged by the peer's system, those not sent included.
    pub outstanding: Option<u64>,
    /// Those of them that were not sent yet.
    pub unsent: Option<u64>,
    /// Bytes a second that were delivered while the last were on their way, as the system saw it: what
    /// arrived out of order counts when it arrived.
    pub delivery_rate: Option<u64>,
}

/// A connection of datagrams.
pub trait DatagramLink: Any + Send {
    /// Sends one datagram, whole.
    ///
    /// # Errors
    /// `InvalidInput` for one that is larger than [`Characteristics::max_datagram`]; else as the
    /// system reports them.
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>>;

    /// Receives one datagram into `buf`; what does not fit is lost.
    ///
    /// # Errors
    /// As the system reports them.
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// The other end, with the scheme and the query of the endpoint dialled or listened at. `None`, the
    /// default, where there is no one such.
    fn peer(&self) -> Option<Endpoint> {
        None
    }

    /// The local address, where there is one.
    fn local(&self) -> Option<IpAddr> {
        None
    }

    /// The largest datagram that this link sends, in bytes; the default is what every IPv4 host takes
    /// (RFC 791).
    fn max_datagram(&self) -> usize {
        548
    }

    /// As [`ByteLink::named`].
    fn named(&mut self, _contact: &Endpoint) -> bool {
        false
    }

    /// As [`ByteLink::credentials`].
    fn credentials(&self) -> Option<Credentials> {
        None
    }
}
