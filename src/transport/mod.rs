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

/// Stand-in: transports by scheme.
#[derive(Debug, Default, Clone)]
pub struct Registry(std::collections::BTreeMap<&'static str, std::sync::Arc<dyn Transport>>);
/// Stand-in: no such transport.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown scheme")]
pub struct UnknownScheme {}
#[allow(missing_docs, clippy::missing_errors_doc)]
impl Registry {
    pub fn built_in(_scout: &crate::scout::Scout) -> Self {
        let mut registry = Registry::default();
        registry.register(std::sync::Arc::new(StandIn("tcp")));
        registry.register(std::sync::Arc::new(StandIn("unix")));
        registry.register(std::sync::Arc::new(StandIn("mem")));
        registry
    }
    pub fn register(
        &mut self,
        transport: std::sync::Arc<dyn Transport>,
    ) -> Option<std::sync::Arc<dyn Transport>> {
        self.0.insert(transport.scheme(), transport)
    }
    pub fn get(&self, scheme: &str) -> Result<std::sync::Arc<dyn Transport>, UnknownScheme> {
        self.0.get(scheme).cloned().ok_or(UnknownScheme {})
    }
}

#[derive(Debug)]
struct StandIn(&'static str);
impl Transport for StandIn {
    fn scheme(&self) -> &'static str {
        self.0
    }
    fn characteristics(&self) -> Characteristics {
        unreachable!("a stand-in")
    }
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
        _: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
    fn listen<'a>(
        &'a self,
        _: &'a Endpoint,
        _: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async { Err(io::ErrorKind::AddrInUse.into()) })
    }
    fn is_self(&self, _: &Endpoint) -> bool {
        false
    }
    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}
