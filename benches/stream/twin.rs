//! A transport of the bench's own: loopback TCP, over whichever network it is asked for.

use std::io;
use std::task::{Context, Poll};

use mancom::Endpoint;
use mancom::transport::{Acceptor, Bind, BoxFuture, Characteristics, Link, Tcp, Transport};

/// `mc+twin://NAME`: the host is a name of no meaning, for a loopback address would use no network.
#[derive(Debug, Default)]
pub(crate) struct Twin(Tcp);

fn loopback(port: u16) -> Endpoint {
    format!("tcp://127.0.0.1:{port}")
        .parse()
        .expect("an endpoint")
}

impl Transport for Twin {
    fn scheme(&self) -> &'static str {
        "twin"
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::stream()
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let port = to.port().ok_or(io::ErrorKind::InvalidInput)?;
            self.0.connect(&loopback(port), None).await
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let inner = self.0.listen(&loopback(0), None).await?;
            let port = inner.contact().port().ok_or(io::ErrorKind::InvalidInput)?;
            let contact = at.clone().with_port(port);
            Ok(Box::new(Listening { inner, contact }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, _contact: &Endpoint) -> bool {
        false
    }

    fn same_peer(&self, _contact: &Endpoint, _link: &Link) -> bool {
        false
    }
}

struct Listening {
    inner: Box<dyn Acceptor>,
    contact: Endpoint,
}

impl Acceptor for Listening {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        self.inner.poll_accept(cx)
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
