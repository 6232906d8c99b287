//! `listen`: one stream a `connect()`; roaming is invisible here.
//!
//! One task a listener accepts links, greets each in a task of its own, and keeps the table of
//! sessions by id, so that further paths find theirs. Listening is not matched: the address is bound
//! at once, also with no network. Only `label` restricts: then there is one socket for each matching
//! network, on the same port, and they follow the snapshots.
//!
//! After `stop()`, or when the `Listener` is dropped, no new session begins; the sockets stay for the
//! paths of the sessions that live, and close with the last of them.

use std::collections::BTreeMap;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::McStream;
use super::connect::beyond;
use super::context::Context;
use super::error::{AcceptError, ListenError};
use super::greet::Door;
use super::roam::changed;
use super::whereabouts::near;
use crate::deferral::{Op, Operation};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::Label;
use crate::label::matching::{Blocked, Destination};
use crate::network::{Network, NetworkId, Snapshot};
use crate::transport::{Acceptor, Bind, BoxFuture, Link, Transport};

/// Streams that wait in `accept`; further sessions wait in their handshake.
const BACKLOG: usize = 1024;
/// After the system ran out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Listens; a builder, see [`listen`](crate::listen). `.await` it, or call `.into_future()`.
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct Listen {
    context: Result<Arc<dyn Context>, ListenError>,
    endpoint: Result<Endpoint, EndpointError>,
    label: Option<Label>,
    grace: Option<Duration>,
    plaintext: bool,
    anonymous: bool,
    rate_limit: Option<u64>,
    operation: Operation,
}

impl Listen {
    pub(crate) fn new(
        context: Result<Arc<dyn Context>, ListenError>,
        endpoint: Result<Endpoint, EndpointError>,
    ) -> Self {
        Self {
            context,
            endpoint,
            label: None,
            grace: None,
            plaintext: false,
            anonymous: false,
            rate_limit: None,
            operation: Operation::new(),
        }
    }

    /// Listens only on networks that admit this label, and follows them. Default: whatever arrives.
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// The longest grace agreed to. Default: 24 hours.
    pub fn grace(mut self, cap: Duration) -> Self {
        self.grace = Some(cap);
        self
    }

    /// Allows `mc://` in clear beyond this host; a wildcard address counts as beyond. An active
    /// attacker on the path can then read, change and take over sessions.
    pub fn plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Tells peers nothing of the networks used.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The order of this listener's sessions among others of one urgency. Takes effect with part 3's
    /// scheduler; until then sessions do not compete within the library.
    pub fn priority(self, _priority: i8) -> Self {
        self
    }

    /// At most this many payload bytes a second and session.
    pub fn rate_limit(mut self, bytes_a_second: u64) -> Self {
        self.rate_limit = Some(bytes_a_second);
        self
    }

    /// The operation's handle.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl IntoFuture for Listen {
    type Output = Result<Listener, ListenError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Op::new(self.operation.clone(), start(self))
    }
}

async fn start(listen: Listen) -> Result<Listener, ListenError> {
    let context = listen.context?;
    let endpoint = listen.endpoint?;
    let transport = context.transports().get(endpoint.carrier())?;
    if endpoint.is_secure() {
        return Err(ListenError::Unsupported(
            "TLS (mcs://, tls://) comes with part 4 of mancom",
        ));
    }
    if listen.rate_limit.is_some() {
        return Err(ListenError::Unsupported(
            "rate_limit comes with part 3 of mancom",
        ));
    }
    if beyond(&near(endpoint.clone()).await) && !listen.plaintext {
        return Err(ListenError::Plaintext {
            endpoint: endpoint.to_string(),
        });
    }
    let sockets = match listen.label {
        None => Sockets::open(&*transport, &endpoint).await?,
        Some(label) => {
            Sockets::following(Arc::clone(&context), transport, endpoint.clone(), label).await
        }
    };
    let (streams, queue) = mpsc::channel(BACKLOG);
    let (contact, contacts) = watch::channel(sockets.contact());
    let (stop, stopped) = watch::channel(false);
    let cap = listen.grace.unwrap_or(context.settings().grace_cap);
    let door = Door::new(context, endpoint, cap, listen.anonymous, streams);
    let shared = Arc::new(Shared {
        queue: tokio::sync::Mutex::new(queue),
        contacts,
        stop,
        blocked: Arc::clone(&sockets.blocked),
    });
    tokio::spawn(serve(sockets, door, stopped, contact));
    Ok(Listener { shared })
}

#[derive(Debug)]
struct Shared {
    queue: tokio::sync::Mutex<mpsc::Receiver<Result<McStream, AcceptError>>>,
    contacts: watch::Receiver<Endpoint>,
    stop: watch::Sender<bool>,
    blocked: Arc<Mutex<Option<Blocked>>>,
}

/// A listening endpoint. Dropping it stops it as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
}

impl Listener {
    /// The next stream: the first of a new session, or a plain connection.
    ///
    /// Cancel safe: dropped while pending, no stream is lost. Fails with
    /// [`Stopped`](AcceptError::Stopped) after `stop()`; any other error says that the system cannot
    /// accept just now, and accepting goes on.
    pub fn accept(&self) -> Op<Result<McStream, AcceptError>> {
        let shared = Arc::clone(&self.shared);
        let mut stopped = shared.stop.subscribe();
        Op::new(Operation::new(), async move {
            let next = async {
                let mut queue = shared.queue.lock().await;
                queue.recv().await.unwrap_or(Err(AcceptError::Stopped))
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => Err(AcceptError::Stopped),
                stream = next => stream,
            }
        })
    }

    /// Where this listener can be dialled.
    pub fn contact(&self) -> Endpoint {
        self.shared.contacts.borrow().clone()
    }

    /// Why no network matches the listener's label now, if none does.
    pub fn blocked(&self) -> Option<Blocked> {
        self.shared
            .blocked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends accepting. Sessions accepted before live on and may still roam.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a listener listens with.
struct Sockets {
    open: BTreeMap<Option<NetworkId>, Box<dyn Acceptor>>,
    endpoint: Endpoint,
    follow: Option<Follow>,
    blocked: Arc<Mutex<Option<Blocked>>>,
}

/// A labelled listener follows what matches.
struct Follow {
    context: Arc<dyn Context>,
    transport: Arc<dyn Transport>,
    label: Label,
    snapshots: BoxFuture<'static, watch::Receiver<Arc<Snapshot>>>,
}

impl Sockets {
    async fn open(transport: &dyn Transport, endpoint: &Endpoint) -> Result<Self, ListenError> {
        let acceptor =
            transport
                .listen(endpoint, None)
                .await
                .map_err(|source| ListenError::Io {
                    endpoint: endpoint.to_string(),
                    source,
                })?;
        Ok(Self {
            open: BTreeMap::from([(None, acceptor)]),
            endpoint: endpoint.clone(),
            follow: None,
            blocked: Arc::default(),
        })
    }

    async fn following(
        context: Arc<dyn Context>,
        transport: Arc<dyn Transport>,
        endpoint: Endpoint,
        label: Label,
    ) -> Self {
        let snapshots = changed(context.registry().snapshots());
        let follow = Follow {
            context,
            transport,
            label,
            snapshots,
        };
        let mut sockets = Self {
            open: BTreeMap::new(),
            endpoint,
            follow: Some(follow),
            blocked: Arc::default(),
        };
        sockets.adjust().await;
        sockets
    }

    /// One socket for each network that matches, on the port first bound.
    async fn adjust(&mut self) {
        let Some(follow) = &self.follow else { return };
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
        for network in networks {
            if self.open.contains_key(&Some(network.id())) {
                continue;
            }
            let bind = Bind {
                network: network.clone(),
                source: None,
            };
            let endpoint = match self.open.values().next() {
                Some(first) => match first.contact().port() {
                    Some(port) => self.endpoint.clone().with_port(port),
                    None => self.endpoint.clone(),
                },
                None => self.endpoint.clone(),
            };
            match transport.listen(&endpoint, Some(&bind)).await {
                Ok(acceptor) => {
                    self.open.insert(Some(network.id()), acceptor);
                }
                Err(error) => {
                    tracing::warn!(target: "mancom::transport", network = network.name(), %error, "cannot listen");
                }
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.open
            .values()
            .next()
            .map_or_else(|| self.endpoint.clone(), |acceptor| acceptor.contact())
    }

    fn poll_accept(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<Link>> {
        for acceptor in self.open.values_mut() {
            if let Poll::Ready(accepted) = acceptor.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    /// Resolves when a snapshot may have changed what matches.
    fn poll_changed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(follow) = &mut self.follow else {
            return Poll::Pending;
        };
        match Pin::new(&mut follow.snapshots).poll(cx) {
            Poll::Ready(receiver) => {
                follow.snapshots = changed(receiver);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

enum News {
    Accepted(io::Result<Link>),
    Changed,
    Stopped,
}

/// The listener's task.
async fn serve(
    mut sockets: Sockets,
    door: Arc<Door>,
    mut stopped: watch::Receiver<bool>,
    contact: watch::Sender<Endpoint>,
) {
    let mut reported = false;
    let mut stopping = false;
    loop {
        let news = {
            let stop = stopped.wait_for(|stopped| *stopped);
            let mut stop = std::pin::pin!(stop);
            poll_fn(|cx| {
                if !stopping && stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(News::Stopped);
                }
                if door.is_idle(cx, stopping) {
                    return Poll::Ready(News::Stopped);
                }
                if sockets.poll_changed(cx).is_ready() {
                    return Poll::Ready(News::Changed);
                }
                sockets.poll_accept(cx).map(News::Accepted)
            })
            .await
        };
        match news {
            News::Stopped if stopping => return,
            News::Stopped => {
                stopping = true;
                door.stop();
            }
            News::Changed => {
                sockets.adjust().await;
                contact.send_replace(sockets.contact());
            }
            News::Accepted(Ok(link)) => {
                reported = false;
                door.greet(link);
            }
            News::Accepted(Err(error)) => {
                tracing::warn!(target: "mancom::transport", %error, "cannot accept");
                door.drop_oldest();
                if !std::mem::replace(&mut reported, true) {
                    door.report(AcceptError::Io(error.into()));
                }
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}
