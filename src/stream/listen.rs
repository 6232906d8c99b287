//! `listen`: one stream a `connect()`; roaming is invisible here.
//!
//! One task a listener accepts links, greets each in a task of its own, and keeps the table of
//! sessions by id, so that further paths find theirs. Listening is not matched: the address is bound
//! at once, also with no network. Only `label` restricts: then there is one socket for each matching
//! network, on the same port, and they follow the snapshots.
//!
//! After `stop()`, or when the `Listener` is dropped or its manager shut down, no new session begins;
//! the sockets stay for the paths of the sessions that live, and close with the last of them. What is
//! bounded, and how, stands in `door`.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::McStream;
use super::config::rate;
use super::connect::beyond;
use super::context::Context;
use super::dial::Asks;
use super::door::Door;
use super::driver::Advertise;
use super::error::{AcceptError, ListenError};
use super::roam::changed;
use super::whereabouts::{is_far, near};
use crate::clock::Clock;
use crate::deferral::{Op, Operation, Registry};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::Label;
use crate::label::matching::{Blocked, Destination, admit};
use crate::network::{Network, NetworkId, Snapshot, State};
use crate::proto::session::MAX_ADDRESSES;
use crate::transport::check_attributes;
use crate::transport::{Acceptor, Bind, BoxFuture, Link, Transport};

/// How long accepting pauses after the system ran out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// Failures to accept that are no further apart are one, and told once.
const EPISODE: Duration = Duration::from_secs(1);
/// After a network that matches could not be listened on.
const RETRY: Duration = Duration::from_secs(1);

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
    advertise: bool,
    priority: i8,
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
            advertise: false,
            priority: 0,
            rate_limit: None,
            operation: Operation::named("listen"),
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

    /// Tells the peers of sessions the addresses at which this host can be dialled now, at most 8, and
    /// again when they change: when the one that was dialled goes, they try the others. For a listener on
    /// every address (`mc://0.0.0.0:7000`, with or without a [label](Self::label)); what stays on this
    /// host or on one link is never told. Default: nothing is told.
    pub fn advertise_addresses(mut self) -> Self {
        self.advertise = true;
        self
    }

    /// Tells peers nothing of the networks used.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Whose traffic of one urgency goes first over the same network among the sessions of this process:
    /// higher before lower; of each urgency that is held back a chunk goes every 5 s, as with
    /// [`Connect::priority`](crate::Connect::priority). Default: 0.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// At most this many bytes a second go out on each session, in any second: payload with its headers,
    /// and what is sent again. Default: no limit. At least 1,000: less is taken as that, and 0 is
    /// [refused](ListenError::NoRate). About 94 % of it are used, as with
    /// [`Connect::rate_limit`](crate::Connect::rate_limit).
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
    let rate_limit = rate(listen.rate_limit).ok_or(ListenError::NoRate)?;
    let transport = context.transports().get(endpoint.carrier())?;
    check_attributes(&*transport, &endpoint)?;
    if endpoint.is_secure() {
        return Err(ListenError::Unsupported(
            "TLS (mcs://, tls://) comes with part 4 of mancom",
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
            Sockets::following(Arc::clone(&context), transport, endpoint.clone(), label).await?
        }
    };
    let (contact, contacts) = watch::channel(sockets.contact());
    let cap = listen.grace.unwrap_or(context.settings().grace_cap);
    let failed = |source| ListenError::Io {
        endpoint: endpoint.to_string(),
        source,
    };
    let registry = Arc::clone(context.registry());
    let asks = Asks {
        endpoint: endpoint.clone(),
        others: Arc::default(),
        grace: cap,
        anonymous: listen.anonymous,
        priority: listen.priority,
        rate_limit,
    };
    let door = Door::new(context, asks).map_err(failed)?;
    if listen.advertise {
        let advertise = addresses_of(registry, &endpoint, contacts.clone(), listen.label);
        let _ = door.advertise.set(advertise);
    }
    let blocked = Arc::clone(&sockets.blocked);
    tokio::spawn(serve(sockets, Arc::clone(&door), contact));
    Ok(Listener {
        door,
        contacts,
        blocked,
    })
}

/// Where a listener on every address can be dialled: the port is that of its contact.
fn addresses_of(
    registry: Arc<Registry>,
    endpoint: &Endpoint,
    contacts: watch::Receiver<Endpoint>,
    label: Option<Label>,
) -> Advertise {
    let everywhere = endpoint.ip().is_some_and(|ip| ip.is_unspecified());
    Arc::new(move |snapshot| {
        let Some(port) = contacts.borrow().port().filter(|_| everywhere) else {
            return Vec::new();
        };
        let policy = registry.policy();
        let admits = |network: &Network, label: &Label| {
            let to = Destination::Unnamed;
            let admission = admit(snapshot, network, label, &to, &policy);
            admission.reasons.is_empty()
        };
        let mut addresses = Vec::new();
        for network in snapshot.networks() {
            let listens = label.is_none_or(|label| admits(network, &label));
            if listens && network.state() == State::Up {
                let ips = network.addresses().iter().map(|address| address.ip);
                addresses.extend(ips.filter(|ip| is_far(*ip)));
            }
        }
        addresses.truncate(MAX_ADDRESSES);
        let at = |ip| SocketAddr::new(ip, port);
        addresses.into_iter().map(at).collect()
    })
}

/// A listening endpoint. Dropping it stops it as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Listener {
    door: Arc<Door>,
    contacts: watch::Receiver<Endpoint>,
    blocked: Arc<Mutex<Option<Blocked>>>,
}

impl Listener {
    /// The next stream: the first of a new session, or a plain connection.
    ///
    /// At most 1,024 streams wait to be taken; beyond it new sessions wait in their handshake.
    ///
    /// # Errors
    ///
    /// [`Stopped`](AcceptError::Stopped) once the listener was stopped, to everyone who waits and to
    /// whoever asks again; no stream comes after it. Any other error says that the system cannot
    /// accept just now, is told once for each time it cannot, and accepting goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, no stream is lost.
    pub fn accept(&self) -> Op<Result<McStream, AcceptError>> {
        let door = Arc::clone(&self.door);
        Op::new(Operation::new(), async move { door.next().await })
    }

    /// Where this listener can be dialled.
    pub fn contact(&self) -> Endpoint {
        self.contacts.borrow().clone()
    }

    /// Why no network matches the listener's label now, if none does.
    pub fn blocked(&self) -> Option<Blocked> {
        self.blocked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends accepting, at once and for good. Streams that `accept` did not hand out are reset, new
    /// sessions are refused. Sessions accepted before live on and may still roam: the sockets stay
    /// open for their paths, and close with the last of them.
    pub fn stop(&self) {
        self.door.stop();
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
    /// The port first bound, for whatever is bound later.
    port: Option<u16>,
    /// The network of the last link.
    last: Option<NetworkId>,
    follow: Option<Follow>,
    blocked: Arc<Mutex<Option<Blocked>>>,
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
            port: acceptor.contact().port(),
            open: BTreeMap::from([(None, acceptor)]),
            endpoint: endpoint.clone(),
            last: None,
            follow: None,
            blocked: Arc::default(),
        })
    }

    /// Fails only if networks match and none of them can be listened on.
    async fn following(
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
    async fn adjust(&mut self) -> Option<io::Error> {
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

    fn contact(&self) -> Endpoint {
        match (self.open.values().next(), self.port) {
            (Some(acceptor), _) => acceptor.contact(),
            (None, Some(port)) => self.endpoint.clone().with_port(port),
            (None, None) => self.endpoint.clone(),
        }
    }

    /// In turn, so that a flood on one network does not starve the others.
    fn poll_accept(
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
    fn poll_changed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
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

enum News {
    Accepted(Option<NetworkId>, io::Result<Link>),
    Changed,
    Closing,
    Done,
}

/// The listener's task: it ends once the listener was stopped and no session may want another path.
async fn serve(mut sockets: Sockets, door: Arc<Door>, contact: watch::Sender<Endpoint>) {
    let context = Arc::clone(&door.context);
    let mut closing = std::pin::pin!(context.tasks().closing());
    let mut exhausted: Option<Instant> = None;
    loop {
        let news = poll_fn(|cx| {
            if door.is_done(cx) {
                return Poll::Ready(News::Done);
            }
            if !door.is_stopped() && closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(News::Closing);
            }
            if sockets.poll_changed(cx).is_ready() {
                return Poll::Ready(News::Changed);
            }
            if door.plain && !door.has_room() {
                return Poll::Pending;
            }
            sockets
                .poll_accept(cx)
                .map(|(via, accepted)| News::Accepted(via, accepted))
        })
        .await;
        match news {
            News::Done => return door.end(),
            News::Closing => door.stop(),
            News::Changed => {
                sockets.adjust().await;
                contact.send_replace(sockets.contact());
            }
            News::Accepted(via, Ok(link)) => door.greet(link, via),
            News::Accepted(_, Err(error)) => {
                tracing::warn!(target: "mancom::transport", %error, "cannot accept");
                door.drop_oldest();
                let now = Clock::now();
                if exhausted
                    .replace(now)
                    .is_none_or(|last| now.duration_since(last) > EPISODE)
                {
                    door.report(AcceptError::Io(error.into()));
                }
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}
