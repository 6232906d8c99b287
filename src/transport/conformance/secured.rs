//! A transport with TLS upon its links, as `mcs+SCHEME://` has it.

use super::Subject;
use crate::endpoint::Endpoint;
use crate::tls::{Defaults, Dialling, Identity, Listening, Wish, finish};
use crate::transport::{
    Acceptor, Bind, BoxFuture, ByteLink, Characteristics, Credentials, Link, Measured,
    PullSchedule, Transport,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Links in TLS that wait to be accepted.
const BACKLOG: usize = 64;

/// The same subject in TLS: every check applies to bytes that went through it, and what the transport
/// knows of its peers has to be seen through it. Each end proves a key that the other knows.
///
/// # Panics
/// Where the system gives no entropy for keys.
#[must_use]
pub fn in_tls(subject: &Subject) -> Subject {
    let keys = [(); 2].map(|()| Identity::generate().unwrap_or_else(|e| panic!("{e}")));
    let over = |transport: &Arc<dyn Transport>, [own, other]: [&Identity; 2]| {
        let mut wish = Wish {
            identity: Some(own.clone()),
            ..Wish::default()
        };
        wish.trust.pins.push(other.public_key());
        Arc::new(InTls {
            beneath: Arc::clone(transport),
            wish,
        })
    };
    Subject {
        dialler: over(&subject.dialler, [&keys[0], &keys[1]]),
        listener: over(&subject.listener, [&keys[1], &keys[0]]),
        here: subject.here.clone(),
        there: subject.there.clone(),
        nobody: subject.nobody.clone(),
        knows_dialler: subject.knows_dialler,
        unnamed: subject.unnamed,
    }
}

#[derive(Debug)]
struct InTls {
    beneath: Arc<dyn Transport>,
    wish: Wish,
}

/// Of a session: TLS 1.3 and bare keys.
fn session() -> Endpoint {
    Endpoint::try_from("mcs://conformance:1").unwrap_or_else(|e| panic!("{e}"))
}

impl Transport for InTls {
    fn scheme(&self) -> &'static str {
        self.beneath.scheme()
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        self.beneath.attributes()
    }

    /// A layer takes no buffer as it is, and passes nothing but bytes.
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            owned_send: false,
            passes_descriptors: false,
            ..self.beneath.characteristics()
        }
    }

    fn install_pull_schedule(&self, schedule: Option<&Arc<PullSchedule>>) {
        self.beneath.install_pull_schedule(schedule);
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let link = bytes(self.beneath.connect(to, on).await?)?;
            let dialling = Dialling::new(&session(), self.wish.clone(), &Defaults::default());
            let dialling = dialling.map_err(io::Error::other)?;
            Ok(secured(dialling.secure(link).await?))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let beneath = self.beneath.listen(at, on).await?;
            let listening = Listening::new(&session(), self.wish.clone(), &Defaults::default());
            let listening = listening.map_err(io::Error::other)?;
            let contact = beneath.contact();
            let (secured, queue) = mpsc::channel(BACKLOG);
            let beneath = Arc::new(Mutex::new(Some(beneath)));
            let serve = serve(Arc::clone(&beneath), listening, secured);
            Ok(Box::new(Secured {
                beneath,
                contact,
                queue,
                task: tokio::spawn(serve).abort_handle(),
            }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.beneath.is_self(contact)
    }

    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        self.beneath.same_peer(contact, link)
    }
}

/// Handshakes side by side: one that says nothing delays no other.
async fn serve(beneath: Beneath, listening: Listening, secured: mpsc::Sender<io::Result<Link>>) {
    enum News {
        Link(io::Result<Link>),
        Done(io::Result<Box<dyn ByteLink>>),
    }
    let mut greeted = FuturesUnordered::new();
    loop {
        let news = poll_fn(|cx| {
            if let Poll::Ready(Some(done)) = greeted.poll_next_unpin(cx) {
                return Poll::Ready(News::Done(done));
            }
            match &mut *beneath.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(beneath) => beneath.poll_accept(cx).map(News::Link),
                None => Poll::Pending,
            }
        });
        let shown = match news.await {
            News::Link(Ok(link)) => match bytes(link) {
                Ok(link) => {
                    greeted.push(listening.secure(link));
                    continue;
                }
                Err(e) => Err(e),
            },
            News::Link(Err(e)) => Err(e),
            News::Done(Ok(link)) => Ok(self::secured(link)),
            // A connection that died before it was one.
            News::Done(Err(_)) => continue,
        };
        if secured.send(shown).await.is_err() {
            return;
        }
    }
}

/// Taken out when nobody accepts any more, so that the place is free at once.
type Beneath = Arc<Mutex<Option<Box<dyn Acceptor>>>>;

/// The accepting end.
struct Secured {
    beneath: Beneath,
    contact: Endpoint,
    queue: mpsc::Receiver<io::Result<Link>>,
    task: AbortHandle,
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.task.abort();
        let mut beneath = self.beneath.lock().unwrap_or_else(PoisonError::into_inner);
        let left = beneath.take();
        drop(beneath);
        drop(left);
    }
}

impl Acceptor for Secured {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let next = ready!(self.queue.poll_recv(cx));
        Poll::Ready(next.unwrap_or_else(|| Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}

fn bytes(link: Link) -> io::Result<Box<dyn ByteLink>> {
    match link {
        Link::Bytes(link) => Ok(link),
        Link::Datagrams(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn secured(link: Box<dyn ByteLink>) -> Link {
    Link::Bytes(Box::new(Ended(Some(link))))
}

/// A link in TLS that ends as a session ends it.
struct Ended(Option<Box<dyn ByteLink>>);

impl Ended {
    fn link(&self) -> &dyn ByteLink {
        self.0.as_deref().expect("it is there until it is dropped")
    }

    fn pinned(&mut self) -> Pin<&mut Box<dyn ByteLink>> {
        Pin::new(self.0.as_mut().expect("it is there until it is dropped"))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            finish(link, drop);
        }
    }
}

impl AsyncRead for Ended {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pinned().poll_read(cx, buf)
    }
}

impl AsyncWrite for Ended {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.link().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(cx)
    }
}

impl ByteLink for Ended {
    fn peer(&self) -> Endpoint {
        self.link().peer()
    }

    fn local(&self) -> Option<IpAddr> {
        self.link().local()
    }

    fn beneath(&self) -> Option<&dyn ByteLink> {
        Some(self.link())
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        self.pinned().named(contact)
    }

    fn credentials(&self) -> Option<Credentials> {
        self.link().credentials()
    }

    fn acknowledged(&self) -> Option<u64> {
        self.link().acknowledged()
    }

    fn measure(&self) -> Option<Measured> {
        self.link().measure()
    }

    fn limit_unsent(&mut self, bytes: u32) {
        self.pinned().limit_unsent(bytes);
    }
}
