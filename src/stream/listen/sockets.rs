//! What a listener listens with: one socket, or with a label one for each network that matches.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Sleep;

use super::super::context::Context;
use super::super::error::ListenError;
use super::super::roam::changed;
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::{Blocked, Destination};
use crate::network::{Network, NetworkId, Snapshot};
use crate::transport::{Acceptor, Bind, BoxFuture, Link, Transport};

/// After a network that matches could not be listened on.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Sockets {
    open: BTreeMap<Option<NetworkId>, Box<dyn Acceptor>>,
    endpoint: Endpoint,
    /// The port first bound, for whatever is bound later.
    port: Option<u16>,
    /// The network of the last link.
    last: Option<NetworkId>,
    follow: Option<Follow>,
    pub(super) blocked: Arc<Mutex<Option<Blocked>>>,
}

/// A labelled listener follows what matches.
struct Follow {
    context: Arc<dyn Context>,
    transport: Arc<dyn Transport>,
    label: Label,
    snapshots: BoxFuture<'static, watch::Receiver<Arc<Snapshot>>>,
    /// Set while some network that matches could not be listened on.
    retry: Option<Pin<Box<Sleep>>>,
}

impl Sockets {
    pub(super) async fn open(
        transport: &dyn Transport,
        endpoint: &Endpoint,
    ) -> Result<Self, ListenError> {
        let acceptor =
            transport
                .listen(endpoint, None)
                .await
                .map_err(|source| ListenError::Io {
                    endpoint: endpoint.to_string(),
                    source,
                })?;
        Ok(Self {
            port: acceptor.contact().port(),
            open: BTreeMap::from([(None, acceptor)]),
            endpoint: endpoint.clone(),
            last: None,
            follow: None,
            blocked: Arc::default(),
        })
    }

    /// Fails only if networks match and none of them can be listened on.
    pub(super) async fn following(
        context: Arc<dyn Context>,
        transport: Arc<dyn Transport>,
        endpoint: Endpoint,
        label: Label,
    ) -> Result<Self, ListenError> {
        let snapshots = changed(context.registry().snapshots());
        let follow = Follow {
            context,
            transport,
            label,
            snapshots,
            retry: None,
        };
        let (open, blocked) = (BTreeMap::new(), Arc::default());
        let mut sockets = Self {
            open,
            endpoint,
            port: None,
            last: None,
            follow: Some(follow),
            blocked,
        };
        match sockets.adjust().await {
            Some(source) if sockets.open.is_empty() => Err(ListenError::Io {
                endpoint: sockets.endpoint.to_string(),
                source,
            }),
            _ => Ok(sockets),
        }
    }

    /// One socket for each network that matches, on the port first bound; the last failure, if any.
    pub(super) async fn adjust(&mut self) -> Option<io::Error> {
        let follow = self.follow.as_mut()?;
        let transport = Arc::clone(&follow.transport);
        let matching = follow
            .context
            .registry()
            .candidates(&follow.label, &Destination::Unnamed);
        let (networks, blocked): (Vec<Network>, _) = match matching {
            Ok(networks) => (networks, None),
            Err(blocked) => (Vec::new(), Some(*blocked)),
        };
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = blocked;
        self.open
            .retain(|id, _| networks.iter().any(|network| Some(network.id()) == *id));
        let mut failed = None;
        for network in networks {
            if self.open.contains_key(&Some(network.id())) {
                continue;
            }
            let bind = Bind {
                network: network.clone(),
                source: None,
            };
            let endpoint = match self.port {
                Some(port) => self.endpoint.clone().with_port(port),
                None => self.endpoint.clone(),
            };
            match transport.listen(&endpoint, Some(&bind)).await {
                Ok(acceptor) => {
                    self.port = self.port.or(acceptor.contact().port());
                    self.open.insert(Some(network.id()), acceptor);
                }
                Err(error) => {
                    tracing::warn!(target: "mancom::transport", network = network.name(), %error, "cannot listen");
                    failed = Some(error);
                }
            }
        }
        follow.retry = failed.as_ref().map(|_| Box::pin(tokio::time::sleep(RETRY)));
        failed
    }

    pub(super) fn contact(&self) -> Endpoint {
        match (self.open.values().next(), self.port) {
            (Some(acceptor), _) => acceptor.contact(),
            (None, Some(port)) => self.endpoint.clone().with_port(port),
            (None, None) => self.endpoint.clone(),
        }
    }

    /// In turn, so that a flood on one network does not starve the others.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<(Option<NetworkId>, io::Result<Link>)> {
        let last = self.last;
        let after = (Bound::Excluded(last), Bound::Unbounded);
        let upto = (Bound::Unbounded, Bound::Included(last));
        for range in [after, upto] {
            for (network, acceptor) in self.open.range_mut(range) {
                if let Poll::Ready(accepted) = acceptor.poll_accept(cx) {
                    self.last = *network;
                    return Poll::Ready((*network, accepted));
                }
            }
        }
        Poll::Pending
    }

    /// Resolves when a snapshot may have changed what matches, or what failed may work now.
    pub(super) fn poll_changed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(follow) = &mut self.follow else {
            return Poll::Pending;
        };
        if let Poll::Ready(receiver) = follow.snapshots.as_mut().poll(cx) {
            follow.snapshots = changed(receiver);
            return Poll::Ready(());
        }
        match &mut follow.retry {
            Some(retry) => retry.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
