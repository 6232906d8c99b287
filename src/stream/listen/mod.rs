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

mod advertise;
mod serve;
mod sockets;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::McStream;
use super::asked::{Asked, Asks, Unfit, setters};
use super::context::Context;
use super::door::Door;
use super::error::{AcceptError, ListenError};
use super::secure::Secure;
use super::whereabouts::near;
use crate::deferral::{Op, Operation};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::Label;
use crate::label::matching::Blocked;
use advertise::addresses_of;
use serve::serve;
use sockets::Sockets;

/// Listens; a builder, see [`listen`](crate::listen). `.await` it, or call `.into_future()`.
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct Listen {
    context: Result<Arc<dyn Context>, ListenError>,
    endpoint: Result<Endpoint, EndpointError>,
    label: Option<Label>,
    advertise: bool,
    asked: Asked,
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
            advertise: false,
            asked: Asked::new("listen"),
        }
    }

    /// Listens only on networks that admit this label, and follows them. Default: whatever arrives.
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// The longest grace agreed to. Default: 24 hours.
    pub fn grace(mut self, cap: Duration) -> Self {
        self.asked.grace = Some(cap);
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

    /// Lets in only who proves some key in TLS, which [`Session::peer`](crate::Session::peer) tells. Default:
    /// with a [pin](Self::pin) or an [authority](Self::ca) who proves one of those, else everybody, and
    /// `mcs://` asks for a key that it can do without.
    #[cfg(feature = "tls")]
    pub fn require_client(mut self) -> Self {
        self.asked.tls.trust.required = true;
        self
    }

    setters!();
}

impl IntoFuture for Listen {
    type Output = Result<Listener, ListenError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Op::new(self.asked.operation.clone(), start(self))
    }
}

async fn start(listen: Listen) -> Result<Listener, ListenError> {
    let context = listen.context?;
    let endpoint = listen.endpoint?;
    let asked = listen.asked;
    let (transport, rate_limit) = asked.check(&*context, &endpoint)?;
    asked.check_clear(&endpoint, &near(endpoint.clone()).await, &*transport)?;
    let secure = Secure::to_listen(&context, &endpoint, asked.tls).await;
    let secure = secure.map_err(Unfit::Tls)?;
    let transport = secure.beneath(transport);
    // Whom it lets in is nothing for those who dial it.
    #[cfg(feature = "tls")]
    let endpoint = endpoint.without(&["pin"]);
    let sockets = match listen.label {
        None => Sockets::open(&*transport, &endpoint).await?,
        Some(label) => {
            Sockets::following(Arc::clone(&context), transport, endpoint.clone(), label).await?
        }
    };
    let (contact, contacts) = watch::channel(sockets.contact());
    let cap = asked.grace.unwrap_or(context.settings().grace_cap);
    let failed = |source| ListenError::Io {
        endpoint: endpoint.to_string(),
        source,
    };
    let registry = Arc::clone(context.registry());
    let asks = Asks {
        endpoint: endpoint.clone(),
        named: None,
        others: Arc::default(),
        grace: cap,
        anonymous: asked.anonymous,
        priority: asked.priority,
        rate_limit,
        secure,
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
