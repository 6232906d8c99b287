//! Transports.
use crate::{endpoint::Endpoint, network::Network};
use bytes::Bytes;
use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The network a connection is bound to, and one of its addresses.
#[derive(Debug, Clone)]
pub struct Bind {
    pub network: Network,
    pub source: Option<IpAddr>,
}

/// What a transport can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Characteristics {
    pub reliable: bool,
    pub ordered: bool,
    pub messages: bool,
    pub max_datagram: Option<usize>,
    pub passes_descriptors: bool,
    pub peer_credentials: bool,
    pub owned_send: bool,
    pub pull_schedule: bool,
}

/// A way to carry bytes, object safe.
pub trait Transport: Debug + Send + Sync + 'static {
    fn scheme(&self) -> &'static str;
    fn characteristics(&self) -> Characteristics;
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>>;
    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>>;
    fn is_self(&self, contact: &Endpoint) -> bool;
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool;
}
/// Accepts links.
pub trait Acceptor: Send {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>>;
    fn contact(&self) -> Endpoint;
}
/// One connection.
pub enum Link {
    Bytes(Box<dyn ByteLink>),
    Datagrams(Box<dyn DatagramLink>),
}
/// An ordered, reliable byte connection.
pub trait ByteLink: AsyncRead + AsyncWrite + Any + Send + Unpin {
    fn send_owned(
        self: Pin<&mut Self>,
        _bytes: Bytes,
    ) -> Option<BoxFuture<'static, io::Result<()>>> {
        None
    }
    fn peer(&self) -> Endpoint;
    /// The local address, where there is one.
    fn local(&self) -> Option<IpAddr> {
        None
    }
}
/// A connection of datagrams.
pub trait DatagramLink: Any + Send {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>>;
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
}
