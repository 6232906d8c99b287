//! `connect`: an endpoint, a label, and a stream that lasts.
//!
//! ```text
//!   where? ──► wait for a match ──► each network, best first ──► the first that answers: a stream
//!                ▲                      │ all failed
//!                └────── pause ─────────┘ thrice: an error that tells every attempt
//! ```
//!
//! Who refuses does so at once, so that error comes within two seconds. Who is silent costs each attempt its
//! whole time: 16 s in all, by any transport. With a deadline silence is borne until then, for it may be
//! that packets get lost: a round in which a network was silent is not counted.
//!
//! A round in which every network went before it answered is not counted: no network is no error.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use super::McStream;
use super::asked::{Asked, setters};
use super::context::Context;
use super::error::ConnectError;
use super::hooks::{DynHook, Hook};
use crate::clock::Clock;
use crate::deferral::Op;
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::{Label, LabelError};
use crate::network::Network;

mod attempt;
mod begin;
mod plan;
mod wait;

use plan::Plan;

/// Connects; a builder, see [`connect`](crate::connect). `.await` it, or call `.into_future()` to
/// spawn it or to join several.
#[must_use = "a builder does nothing until it is awaited"]
pub struct Connect {
    context: Result<Arc<dyn Context>, ConnectError>,
    endpoint: Result<Endpoint, EndpointError>,
    label: Label,
    within: Option<Duration>,
    relax: Option<(Duration, Label)>,
    no_wait: bool,
    hook: Option<Box<dyn DynHook>>,
    only: Option<Network>,
    shares: bool,
    asked: Asked,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("endpoint", &self.endpoint)
            .field("label", &self.label)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl Connect {
    pub(crate) fn new(
        context: Result<Arc<dyn Context>, ConnectError>,
        endpoint: Result<Endpoint, EndpointError>,
    ) -> Self {
        Self {
            context,
            endpoint,
            label: Label::ANY,
            within: None,
            relax: None,
            no_wait: false,
            hook: None,
            only: None,
            shares: false,
            asked: Asked::new("connect"),
        }
    }

    /// What the traffic needs. Default: [`Label::ANY`].
    pub fn label(mut self, label: Label) -> Self {
        self.label = label;
        self
    }

    /// One budget for waiting, resolving, connecting and the handshake, time asleep included.
    /// Default: what the configuration says of the label, else none. Without one, silence on every
    /// matching network is an error after [three attempts](crate::stream::Settings::connect_rounds) of 5 s;
    /// with one it is borne until then.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// How long the session may live without any path; the listener's cap may shorten it. A path whose
    /// network went and may be back at once, under the same address, is one for another second. Default:
    /// what the configuration says of the label, else that of the
    /// [settings](crate::stream::Settings::grace), 10 minutes.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.asked.grace = Some(grace);
        self
    }

    /// After this time of waiting, another, looser label takes over. Default: what the configuration
    /// says of the label, else never.
    pub fn relax_after(mut self, after: Duration, label: Label) -> Self {
        self.relax = Some((after, label));
        self
    }

    /// Fails with `NoMatch` at once instead of waiting for a network.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// What to do on each new connection to a server that does not know mancom; see
    /// [`hooks`](crate::hooks).
    pub fn reconnect(mut self, hook: impl Hook) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Opens the stream on a session that this manager already has with the same far end, whoever of the two
    /// dialled, instead of beginning another; the other end gets it from
    /// [`Session::accept`](crate::Session::accept). Where there is none that lives, or it has all the streams
    /// it may, a session begins as ever. Default: a session of its own. A session that has no path just now is
    /// shared too; where there is a [deadline](Self::within) this waits until then for one that carries it,
    /// and the far end may see a stream that is reset.
    ///
    /// The same is, of `mcs://`, whoever proved a key that is [pinned](Self::pin) here, to the identity that
    /// this asks with, if it was dialled at the same place, or dialled this process itself; of `mc://`
    /// whoever was dialled at the same place. What is promised of every byte has to be the same at both: that
    /// it is [anonymous](Self::anonymous) or not, its [limit](Self::rate_limit), and the network that it is
    /// [on](Self::on). What else the session was begun with stays: its grace, its
    /// [priority](Self::priority).
    pub fn reuse(mut self) -> Self {
        self.shares = true;
        self
    }

    /// Uses the network of this interface and no other, also for the paths to come: as a label with
    /// `if=NAME` does. If it is gone, this waits until it is back, for the
    /// [deadline](Self::within) at most. What stays on this host uses no network.
    ///
    /// Fails with [`MatchError::Label`](crate::MatchError::Label) if the label names another interface.
    pub fn on(mut self, network: &Network) -> Self {
        self.only = Some(network.clone());
        self
    }

    /// Believes whatever key a far end in TLS shows when it is met for the first time, writes it down in this
    /// file, and believes no other from then on. Who is in between that first time is believed: pin the key
    /// where it can be known. A line a far end, `HOST:PORT KEY`; the file is made when it is needed. Default:
    /// no. With a [pin](Self::pin) or an [authority](Self::ca) those count beside it.
    #[cfg(feature = "tls")]
    pub fn trust_first_use(mut self, file: impl Into<std::path::PathBuf>) -> Self {
        self.asked.tls.trust.first_use = Some(file.into());
        self
    }

    setters!();
}

impl IntoFuture for Connect {
    type Output = Result<McStream, ConnectError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let operation = self.asked.operation.clone();
        let started = Clock::now();
        Op::new(operation, async move {
            let mut connect = self;
            // Apart from the plan, which is shared between tasks' threads while it waits.
            let hook = connect.hook.take();
            Plan::of(connect, started).await?.run(hook).await
        })
    }
}

/// The label with what `.on()` asks.
pub(super) fn pinned(label: Label, only: Option<&str>) -> Result<Label, LabelError> {
    only.map_or(Ok(label), |name| label.try_interface(name))
}
