//! How a third party adds a transport: this one goes by the forwarder of the network it is given.

use std::io;

use mancom::Endpoint;
use mancom::transport::{Acceptor, Bind, BoxFuture, Characteristics, Link, Tcp, Transport};

/// `fwd`: TCP to the forwarder of the network it is to go by.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) tcp: Tcp,
    pub(crate) wifi: Endpoint,
    pub(crate) cellular: Endpoint,
}

impl Transport for Forwarded {
    fn scheme(&self) -> &'static str {
        "fwd"
    }

    fn characteristics(&self) -> Characteristics {
        Characteristics::stream()
    }

    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        match on.map(|bind| bind.network.name()) {
            Some("wifi") => self.tcp.connect(&self.wifi, None),
            Some("cellular") => self.tcp.connect(&self.cellular, None),
            _ => Box::pin(async { Err(io::ErrorKind::NetworkUnreachable.into()) }),
        }
    }

    fn listen<'a>(
        &'a self,
        _: &'a Endpoint,
        _: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn is_self(&self, _: &Endpoint) -> bool {
        false
    }

    fn same_peer(&self, _: &Endpoint, _: &Link) -> bool {
        false
    }
}
