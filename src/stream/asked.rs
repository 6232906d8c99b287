//! What `connect` and `listen` are both asked, and whether it can be had.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::rate;
use super::context::Context;
use super::secure::{Secure, TlsError, Wish};
use super::whereabouts::{is_far, nearer};
use crate::deferral::Operation;
use crate::endpoint::{Endpoint, EndpointError};
use crate::transport::{ByteLink, Transport, UnknownAttribute, UnknownScheme, check_attributes};

/// What either builder was asked so far.
#[derive(Debug)]
pub(super) struct Asked {
    /// What a dialler asks for, or a listener agrees to.
    pub(super) grace: Option<Duration>,
    pub(super) plaintext: bool,
    pub(super) anonymous: bool,
    pub(super) priority: i8,
    pub(super) rate_limit: Option<u64>,
    /// What is asked of TLS.
    pub(super) tls: Wish,
    pub(super) operation: Operation,
}

/// What either end asks for its sessions.
#[derive(Debug, Clone)]
pub(super) struct Asks {
    pub(super) endpoint: Endpoint,
    /// The endpoint as given, where the hosts file of this host has another for it.
    pub(super) named: Option<Endpoint>,
    /// Where the same listener is besides, tried when the endpoint's own address fails.
    pub(super) others: Arc<[SocketAddr]>,
    pub(super) grace: Duration,
    pub(super) anonymous: bool,
    /// The session's among others of this process, within one urgency.
    pub(super) priority: i8,
    /// Payload bytes a second, at most.
    pub(super) rate_limit: Option<u64>,
    /// What is put upon its connections.
    pub(super) secure: Secure,
}

/// Why it cannot be had; the errors of both operations say it each as their own.
#[derive(Debug)]
pub(super) enum Unfit {
    Scheme(UnknownScheme),
    Attribute(UnknownAttribute),
    Endpoint(EndpointError),
    Plaintext {
        endpoint: String,
    },
    NoRate,
    #[cfg(not(feature = "tls"))]
    Unsupported(&'static str),
    Tls(TlsError),
}

impl Asked {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            grace: None,
            plaintext: false,
            anonymous: false,
            priority: 0,
            rate_limit: None,
            tls: Wish::default(),
            operation: Operation::named(kind),
        }
    }

    /// The transport to an endpoint, and the rate as it is held.
    pub(super) fn check(
        &self,
        context: &dyn Context,
        endpoint: &Endpoint,
    ) -> Result<(Arc<dyn Transport>, Option<u64>), Unfit> {
        let rate = rate(self.rate_limit).ok_or(Unfit::NoRate)?;
        let transport = context.transports().get(endpoint.carrier());
        let transport = transport.map_err(Unfit::Scheme)?;
        let (below, above) = match endpoint.is_secure() {
            #[cfg(feature = "tls")]
            true => {
                let of_tls: &[_] = &crate::tls::ATTRIBUTES;
                (endpoint.clone().without(of_tls), of_tls)
            }
            #[cfg(not(feature = "tls"))]
            true => {
                let text = "TLS (mcs://, tls://) needs the feature `tls` of mancom";
                return Err(Unfit::Unsupported(text));
            }
            false => (endpoint.clone(), &[][..]),
        };
        check_attributes(&*transport, endpoint, above).map_err(Unfit::Attribute)?;
        let misread = |error| Unfit::Endpoint(endpoint.misread(error));
        transport.check(below.typed()).map_err(misread)?;
        if transport.characteristics_at(&below).max_datagram.is_some() {
            return Err(Unfit::Endpoint(endpoint.of_datagrams()));
        }
        Ok((transport, rate))
    }

    /// A session goes in clear beyond this host only where that was asked for; `near` is the endpoint
    /// with a name of the hosts file resolved.
    pub(super) fn check_clear(
        &self,
        given: &Endpoint,
        near: &Endpoint,
        transport: &dyn Transport,
    ) -> Result<(), Unfit> {
        let beyond = near.is_session()
            && !near.is_secure()
            && !transport.characteristics_at(near).secure
            && !near.is_host_scope()
            && near.carrier() != "mem";
        if beyond && !self.plaintext {
            let endpoint = given.to_string();
            return Err(Unfit::Plaintext { endpoint });
        }
        Ok(())
    }
}

impl Asks {
    pub(super) fn place(&self) -> (&Endpoint, &[SocketAddr]) {
        (&self.endpoint, &self.others)
    }

    /// The same with the hosts file read again, which may have changed since: what it says now comes
    /// first. It never leads from this host to another, which was to be asked for in clear.
    pub(super) async fn now(mut self) -> Self {
        let Some(named) = self.named.clone() else {
            return self;
        };
        let (endpoint, others) = nearer(named).await;
        if endpoint != self.endpoint && endpoint.ip().is_some_and(is_far) {
            let before = self.endpoint.ip().zip(self.endpoint.port());
            let known = self.others.iter().copied();
            let mut all = others;
            all.extend(before.map(SocketAddr::from).into_iter().chain(known));
            all.retain(|at| endpoint.ip() != Some(at.ip()));
            let mut seen = BTreeSet::new();
            all.retain(|at| seen.insert(*at));
            (self.endpoint, self.others) = (endpoint, all.into());
        }
        self
    }

    /// Whether a link leads to where only somebody else said the listener is.
    pub(super) fn is_hearsay(&self, link: &dyn ByteLink) -> bool {
        let ip = link.peer().ip();
        self.endpoint.ip() != ip && self.others.iter().any(|at| Some(at.ip()) == ip)
    }
}

/// The setters that both builders have.
macro_rules! setters {
    () => {
        /// Allows `mc://` in clear beyond this host, which is refused otherwise; a wildcard address to
        /// listen at counts as beyond. An active attacker on the path can then read, change and take over
        /// sessions.
        pub fn plaintext(mut self) -> Self {
            self.asked.plaintext = true;
            self
        }

        /// Tells the peer nothing of the networks used. Default: it is told of what kind they are, and
        /// whether they are metered, roaming or constrained, for what it sends is for its labels to decide.
        pub fn anonymous(mut self) -> Self {
            self.asked.anonymous = true;
            self
        }

        /// Who goes first, higher before lower, among the sessions of this process that have traffic of one
        /// urgency for the same network, and of a `connect` also among operations of one label that wait for
        /// a network. It never goes before urgency, and starves nobody: of each urgency that sessions of more
        /// priority hold back, a chunk (a millisecond of the network, 1,400 bytes to 256 KiB) goes every 5 s.
        /// What is held back so holds back nothing less urgent of other sessions itself. Default: 0.
        pub fn priority(mut self, priority: i8) -> Self {
            self.asked.priority = priority;
            self
        }

        /// At most this many bytes a second go out on each session, in any second: payload with its headers,
        /// and what is sent again. Default: no limit. At least 1,000: less is taken as that, and 0 is refused
        /// with `NoRate`. About 94 % of it are used, for what a link takes late counts in the second in which
        /// it goes.
        ///
        /// What waits for it waits in the buffers of the streams, which then take no more.
        pub fn rate_limit(mut self, bytes_a_second: u64) -> Self {
            self.asked.rate_limit = Some(bytes_a_second);
            self
        }

        /// Proves itself with this to the far end. A listener in TLS needs one; without one a dialler says
        /// nothing of who it is. Default: that of the [manager](crate::ManagerBuilder::identity) or of its
        /// configuration.
        #[cfg(feature = "tls")]
        pub fn identity(mut self, identity: &crate::tls::Identity) -> Self {
            self.asked.tls.identity = Some(identity.clone());
            self
        }

        /// Believes a far end in TLS that proves this key, bare or in a certificate, of which nothing else
        /// counts then; may be called again for more. With any pin or [authority](Self::ca) those are all that
        /// is believed, and a listener lets in nobody else. The endpoint's attribute `pin=KEY,KEY` is the same.
        #[cfg(feature = "tls")]
        pub fn pin(mut self, key: crate::tls::PublicKey) -> Self {
            self.asked.tls.trust.pins.push(key);
            self
        }

        /// Believes a far end in TLS whose certificate is of an authority in this file (PEM); may be called
        /// again for more. A dialler then wants a certificate for the host's name, or that of the endpoint's
        /// attribute `name=HOST`. The file is read once, when this is awaited.
        #[cfg(feature = "tls")]
        pub fn ca(mut self, file: impl Into<std::path::PathBuf>) -> Self {
            self.asked.tls.trust.authorities.push(file.into());
            self
        }

        /// The operation's handle.
        pub fn operation(&self) -> crate::deferral::Operation {
            self.asked.operation.clone()
        }
    };
}
pub(super) use setters;

/// The error of either operation says why it cannot be had.
macro_rules! from_unfit {
    ($error:ty) => {
        impl From<crate::stream::asked::Unfit> for $error {
            fn from(unfit: crate::stream::asked::Unfit) -> Self {
                use crate::stream::asked::Unfit;
                match unfit {
                    Unfit::Scheme(error) => error.into(),
                    Unfit::Attribute(error) => error.into(),
                    Unfit::Endpoint(error) => error.into(),
                    Unfit::Plaintext { endpoint } => Self::Plaintext { endpoint },
                    Unfit::NoRate => Self::NoRate,
                    #[cfg(not(feature = "tls"))]
                    Unfit::Unsupported(what) => Self::Unsupported(what),
                    #[cfg(feature = "tls")]
                    Unfit::Tls(error) => Self::Tls(error),
                    #[cfg(not(feature = "tls"))]
                    Unfit::Tls(never) => match never {},
                }
            }
        }
    };
}
pub(super) use from_unfit;
