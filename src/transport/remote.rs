//! Who is at the other end of a link over IP, and where else it is known to be found.

use crate::endpoint::Endpoint;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Remote {
    at: SocketAddr,
    /// The host as it was dialled; `None` for an accepted link.
    dialled: Option<String>,
    /// Where an accepted link's peer said that it listens.
    named: Option<SocketAddr>,
}

impl Remote {
    pub(super) fn accepted(from: SocketAddr) -> Self {
        Self {
            at: SocketAddr::new(from.ip().to_canonical(), from.port()),
            dialled: None,
            named: None,
        }
    }

    pub(super) fn dialled(at: SocketAddr, to: &Endpoint) -> Self {
        Self {
            dialled: Some(to.host().unwrap_or_default().to_owned()),
            ..Self::accepted(at)
        }
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    /// It as an endpoint, in the form of the one that was dialled or is listened at.
    pub(super) fn endpoint(&self, given: &Endpoint) -> Endpoint {
        given
            .clone()
            .with_ip(self.at.ip())
            .with_port(self.at.port())
    }

    /// Whether the link was dialled to where `contact` leads, or its peer said that it listens there.
    pub(super) fn leads_to(&self, contact: &Endpoint) -> bool {
        if self.named.is_some() && self.named == contact.socket_addr() {
            return true;
        }
        let Some(host) = &self.dialled else {
            return false;
        };
        contact.port() == Some(self.at.port())
            && (contact.ip() == Some(self.at.ip()) || contact.host() == Some(host))
    }

    /// The peer says that it listens there: taken note of if it is an address, and the one that the link
    /// comes from.
    pub(super) fn name(&mut self, contact: &Endpoint) -> bool {
        let at = contact.socket_addr().filter(|at| at.port() > 0);
        let known = at.filter(|at| at.ip().to_canonical() == self.at.ip());
        self.named = known.or(self.named);
        known.is_some()
    }
}
