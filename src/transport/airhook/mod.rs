//! Airhook: byte streams where there are only datagrams that may be lost.
//!
//! ```text
//!   ByteLink ── Airstream (order, credit, liveness) ── Airhook (each message once) ── DatagramLink
//!                    `------- one task a link: datagrams in and out, and timers -------'
//! ```
//!
//! What is decided, is decided in [`proto::airstream`](crate::proto::airstream) and
//! [`proto::airhook`](crate::proto::airhook); here is the task that carries it out.
//!
//! # Limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | one attempt to dial | 5 s | `TimedOut`; a `connect` tries again |
//! | peers that were heard of and opened nothing yet | 256 a listener, 5 s each | the oldest is dropped |
//! | links that wait to be accepted | 1,024 | one more is closed |
//! | a link whose program dropped it | 60 s, 1 s after the last word; a shutdown waits for it | it is reset |
//! | memory of a link | about 1 MiB at most: 256 KiB received, 64 KiB written, 64 KiB under way | the peer, or `write`, waits |

use super::error::{explain, fail};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport, Udp, race, resolve};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

mod acceptor;
mod driver;
mod link;
mod shared;
#[cfg(test)]
mod tests;

use acceptor::AirhookAcceptor;
use driver::Driver;
pub use link::AirhookLink;

/// How long opening a link may take, at either end.
const OPENING: Duration = Duration::from_secs(5);

/// Airhook over UDP: `airhook://host:port`, sessions `mc+airhook://host:port`; or over any other
/// transport of datagrams.
///
/// Its links are ordered and reliable byte streams over a network that loses most of what it is given,
/// and whose far ends speak Airhook 2 with mancom's byte stream in it. One socket serves all peers of a
/// listener. A link is silent when it has nothing to say; with something unanswered for 30 s it fails with
/// `TimedOut`. It has no more than 64 KB under way, so on a good network TCP is faster.
///
/// Nothing of it is secret or proved: who sees its datagrams can read and change them.
///
/// Attributes: those of the transport beneath; of UDP `advertise` and `max`, which is 525 bytes at least.
#[derive(Debug)]
pub struct Airhook {
    scheme: &'static str,
    beneath: Arc<dyn Transport>,
}

impl Default for Airhook {
    fn default() -> Self {
        Self::new()
    }
}

impl Airhook {
    /// Over UDP, listening nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::over("airhook", Arc::new(Udp::new()))
    }

    /// Over another transport, whose links are datagrams of 525 bytes at least, under this scheme.
    #[must_use]
    pub fn over(scheme: &'static str, beneath: Arc<dyn Transport>) -> Self {
        Self { scheme, beneath }
    }

    async fn dial(&self, to: &Endpoint, beneath: io::Result<Link>) -> io::Result<Link> {
        let dialled = Some(to.clone());
        let (link, mut driver) = Driver::dial(beneath?, to, dialled)?;
        let opened = poll_fn(|cx| driver.poll_open(cx));
        match tokio::time::timeout(OPENING, opened).await {
            Ok(opened) => opened.map_err(|e| explain(e, to))?,
            Err(_) => {
                let text = format_args!("{to}: no answer within {OPENING:?}");
                return Err(fail(io::ErrorKind::TimedOut, text));
            }
        }
        tokio::spawn(driver);
        Ok(Link::Bytes(Box::new(link)))
    }
}

impl Transport for Airhook {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        self.beneath.attributes()
    }

    fn check(&self, attributes: &Attributes) -> Result<(), AttributeError> {
        self.beneath.check(attributes)
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
            match (to.ip(), to.host(), to.port().filter(|port| *port > 0)) {
                // A name may have several addresses, and which of them answers is to be seen.
                (None, Some(host), Some(port)) => {
                    let addresses = resolve(host, port, on).await.map_err(|e| explain(e, to))?;
                    self.connect_resolved(to, &addresses, on).await
                }
                _ => self.dial(to, self.beneath.connect(to, on).await).await,
            }
        })
    }

    /// Each address gets a quarter of a second before the next is tried beside it.
    fn connect_resolved<'a>(
        &'a self,
        to: &'a Endpoint,
        addresses: &'a [SocketAddr],
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            race::first(addresses, |address| async move {
                let one = std::slice::from_ref(&address);
                let beneath = self.beneath.connect_resolved(to, one, on).await;
                self.dial(to, beneath).await
            })
            .await
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let beneath = self.beneath.listen(at, on).await?;
            Ok(Box::new(AirhookAcceptor::new(beneath, at)) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.beneath.is_self(contact)
    }

    /// Known of links that were dialled: there, or at the same address and port; and of those whose peer
    /// named itself, at the address that they come from.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        link.downcast_ref::<AirhookLink>()
            .is_some_and(|link| link.leads_to(contact))
    }
}
