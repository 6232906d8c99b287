//! UDP that loses a fifth of what it is given, each way.

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

/// Of a hundred datagrams.
const LOST: u64 = 20;

/// Each link draws by a seed of its own, in the order of their making.
#[derive(Debug, Default)]
pub(crate) struct Lossy(Udp, AtomicU64);

impl Transport for Lossy {
    fn scheme(&self) -> &'static str {
        "lossy"
    }

    fn characteristics(&self) -> Characteristics {
        self.0.characteristics()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let seed = self.1.fetch_add(1, Ordering::Relaxed);
            Ok(lossy(self.0.connect(to, on).await?, seed))
        })
    }

    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let seed = self.1.fetch_add(1, Ordering::Relaxed);
            Ok(lossy(
                self.0.connect_resolved(to, addresses, on).await?,
                seed,
            ))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let beneath = self.0.listen(at, on).await?;
            Ok(Box::new(LossyAcceptor(beneath, 1_000)) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.0.is_self(contact)
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}

struct LossyAcceptor(Box<dyn Acceptor>, u64);

impl Acceptor for LossyAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let link = ready!(self.0.poll_accept(cx))?;
        self.1 += 1;
        Poll::Ready(Ok(lossy(link, self.1)))
    }

    fn contact(&self) -> Endpoint {
        self.0.contact()
    }
}

fn lossy(link: Link, seed: u64) -> Link {
    match link {
        Link::Datagrams(link) => Link::Datagrams(Box::new(LossyLink {
            link,
            chance: Seeded::new(seed),
        })),
        Link::Bytes(_) => unreachable!("it is UDP's"),
    }
}

struct LossyLink {
    link: Box<dyn DatagramLink>,
    chance: Seeded,
}

impl DatagramLink for LossyLink {
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        if self.chance.below(100) < LOST {
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
