//! A transport of the tests' own, for servers that know nothing of mancom: `line://NAME` over memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use mancom::testing::Networks;
use mancom::transport::{
    Acceptor, Bind, BoxFuture, ByteLink, Characteristics, Link, Memory, Transport,
};
use mancom::{Endpoint, Listener, Manager, McStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What the tests say of the lines, and learn of them.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// Networks over which connecting is refused, and those over which nobody answers.
    pub(crate) refusing: Mutex<BTreeSet<String>>,
    pub(crate) silent: Mutex<BTreeSet<String>>,
    /// Networks over which connecting panics.
    pub(crate) panicking: Mutex<BTreeSet<String>>,
    /// When each attempt began, and over which network.
    pub(crate) attempts: Mutex<Vec<(Instant, String)>>,
    /// Whether lines tell what was acknowledged, and how many bytes of each are not.
    pub(crate) tells: AtomicBool,
    pub(crate) unacknowledged: AtomicU64,
    open: AtomicU64,
}

impl Exchange {
    pub(crate) fn tried(&self) -> usize {
        self.attempts.lock().unwrap().len()
    }

    /// Dialled connections that were not closed.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn attempts_by_network(&self) -> BTreeMap<String, usize> {
        let mut by_network = BTreeMap::new();
        for (_, network) in self.attempts.lock().unwrap().iter() {
            *by_network.entry(network.clone()).or_insert(0) += 1;
        }
        by_network
    }
}

#[derive(Debug)]
struct Line {
    memory: Memory,
    exchange: Arc<Exchange>,
}

/// A manager over scripted networks that knows `line:`.
pub(crate) async fn world() -> (Manager, Networks, Arc<Exchange>) {
    let (scout, networks) = mancom::testing::scripted();
    let exchange = Arc::new(Exchange::default());
    let line = Line {
        memory: Memory::new(&scout),
        exchange: Arc::clone(&exchange),
    };
    let manager = Manager::builder()
        .scout(scout)
        .transport(line)
        .build()
        .await
        .unwrap();
    (manager, networks, exchange)
}

/// The transport alone, for a manager with settings of its own.
pub(crate) fn transport(scout: &mancom::Scout) -> impl Transport {
    Line {
        memory: Memory::new(scout),
        exchange: Arc::default(),
    }
}

/// The next connection at the server.
pub(crate) async fn accept(listener: &Listener) -> McStream {
    listener.accept().await.unwrap()
}

fn beneath(endpoint: &Endpoint) -> Endpoint {
    format!("mem://{}", endpoint.host().expect("a line has a host"))
        .parse()
        .unwrap()
}

impl Transport for Line {
    fn scheme(&self) -> &'static str {
        "line"
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::stream()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let network = on.map_or("", |bind| bind.network.name()).to_owned();
            self.exchange
                .attempts
                .lock()
                .unwrap()
                .push((Instant::now(), network.clone()));
            if self.exchange.refusing.lock().unwrap().contains(&network) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let panics = self.exchange.panicking.lock().unwrap().contains(&network);
            assert!(!panics, "a transport with a mistake");
            if self.exchange.silent.lock().unwrap().contains(&network) {
                std::future::pending::<()>().await;
            }
            let Link::Bytes(link) = self.memory.connect(&beneath(to), on).await? else {
                unreachable!("memory carries bytes")
            };
            self.exchange.open.fetch_add(1, Ordering::SeqCst);
            let exchange = Arc::clone(&self.exchange);
            Ok(Link::Bytes(Box::new(LineLink {
                link,
                exchange,
                written: 0,
            })))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move { self.memory.listen(&beneath(at), on).await })
    }

    fn is_self(&self, _: &Endpoint) -> bool {
        false
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}

struct LineLink {
    link: Box<dyn ByteLink>,
    exchange: Arc<Exchange>,
    written: u64,
}

impl Drop for LineLink {
    fn drop(&mut self) {
        self.exchange.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for LineLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_read(cx, buf)
    }
}

impl AsyncWrite for LineLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.link).poll_write(cx, data))?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_shutdown(cx)
    }
}

impl ByteLink for LineLink {
    fn peer(&self) -> Endpoint {
        self.link.peer()
    }

    fn acknowledged(&self) -> Option<u64> {
        let lacks = self.exchange.unacknowledged.load(Ordering::SeqCst);
        let tells = self.exchange.tells.load(Ordering::SeqCst);
        tells.then(|| self.written.saturating_sub(lacks))
    }
}
