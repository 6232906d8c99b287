//! UDP that loses so many of a hundred datagrams, each way.

use mancom::Endpoint;
use mancom::proto::pair::Seeded;
use mancom::transport::{
    Acceptor, Bind, BoxFuture, Characteristics, DatagramLink, Link, Transport, Udp,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Each link draws by a seed of its own, in the order of their making.
#[derive(Debug)]
pub(crate) struct Lossy {
    udp: Udp,
    lost: u64,
    dialled: AtomicU64,
}

impl Lossy {
    pub(crate) fn new(lost: u64) -> Self {
        Self {
            udp: Udp::new(),
            lost,
            dialled: AtomicU64::new(0),
        }
    }

    fn dialled(&self, link: Link) -> Link {
        lossy(
            link,
            self.lost,
            self.dialled.fetch_add(1, Ordering::Relaxed),
        )
    }
}

impl Transport for Lossy {
    fn scheme(&self) -> &'static str {
        "lossy"
    }

    fn characteristics(&self) -> Characteristics {
        self.udp.characteristics()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move { Ok(self.dialled(self.udp.connect(to, on).await?)) })
    }

    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let link = self.udp.connect_resolved(to, addresses, on).await?;
            Ok(self.dialled(link))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            Ok(Box::new(LossyAcceptor {
                beneath: self.udp.listen(at, on).await?,
                lost: self.lost,
                accepted: 1_000,
            }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.udp.is_self(contact)
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}

struct LossyAcceptor {
    beneath: Box<dyn Acceptor>,
    lost: u64,
    accepted: u64,
}

impl Acceptor for LossyAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let link = ready!(self.beneath.poll_accept(cx))?;
        self.accepted += 1;
        Poll::Ready(Ok(lossy(link, self.lost, self.accepted)))
    }

    fn contact(&self) -> Endpoint {
        self.beneath.contact()
    }
}

fn lossy(link: Link, lost: u64, seed: u64) -> Link {
    match link {
        Link::Datagrams(link) => Link::Datagrams(Box::new(LossyLink {
            link,
            lost,
            chance: Seeded::new(seed),
        })),
        Link::Bytes(_) => unreachable!("it is UDP's"),
    }
}

struct LossyLink {
    link: Box<dyn DatagramLink>,
    lost: u64,
    chance: Seeded,
}

impl DatagramLink for LossyLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        if self.chance.below(100) < self.lost {
            return Poll::Ready(Ok(()));
        }
        self.link.poll_send(cx, datagram)
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.link.poll_recv(cx, buf)
    }

    fn peer(&self) -> Option<Endpoint> {
        self.link.peer()
    }

    fn local(&self) -> Option<IpAddr> {
        self.link.local()
    }

    fn max_datagram(&self) -> usize {
        self.link.max_datagram()
    }
}
