//! `connect`: an endpoint, a label, and a stream that lasts.
//!
//! ```text
//!   where? ──► wait for a match ──► each network, best first ──► the first that answers: a stream
//!                ▲                      │ all failed
//!                └────── pause ─────────┘ thrice: an error that tells every attempt
//! ```
//!
//! A round in which every network went before it answered is not counted: no network is no error.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use super::McStream;
use super::context::Context;
use super::error::ConnectError;
use super::hooks::{DynHook, Hook};
use crate::clock::Clock;
use crate::deferral::{Op, Operation};
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
    grace: Option<Duration>,
    relax: Option<(Duration, Label)>,
    no_wait: bool,
    plaintext: bool,
    anonymous: bool,
    hook: Option<Box<dyn DynHook>>,
    priority: i8,
    rate_limit: Option<u64>,
    only: Option<Network>,
    operation: Operation,
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
            grace: None,
            relax: None,
            no_wait: false,
            plaintext: false,
            anonymous: false,
            hook: None,
            priority: 0,
            rate_limit: None,
            only: None,
            operation: Operation::named("connect"),
        }
    }

    /// What the traffic needs. Default: [`Label::ANY`].
    pub fn label(mut self, label: Label) -> Self {
        self.label = label;
        self
    }

    /// One budget for waiting, resolving, connecting and the handshake, time asleep included.
    /// Default: what the configuration says of the label, else none.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// How long the session may live without any path; the listener's cap may shorten it. Default:
    /// what the configuration says of the label, else that of the
    /// [settings](crate::stream::Settings::grace), 10 minutes.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
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

    /// Allows `mc://` in clear beyond this host. An active attacker on the path can then read, change
    /// and take over the session.
    pub fn plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Tells the peer nothing of the networks used.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// What to do on each new connection to a server that does not know mancom; see
    /// [`hooks`](crate::hooks).
    pub fn reconnect(mut self, hook: impl Hook) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Who goes first, higher before lower: among operations of one label that wait for a network, and
    /// among the sessions of this process that have traffic of one urgency for the same network. It
    /// never goes before urgency, and starves nobody: of each urgency that sessions of more priority hold
    /// back, a chunk (a millisecond of the network, 1,400 bytes to 256 KiB) goes every 5 s. Default: 0.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// At most this many bytes a second go out, in any second: payload with its headers, and what is
    /// sent again. Default: no limit. At least 1,000: less is taken as that, and 0 is
    /// [refused](ConnectError::NoRate). About 94 % of it are used, for what a link takes late counts in
    /// the second in which it goes.
    ///
    /// What waits for it waits in the buffers of the streams, which then take no more.
    pub fn rate_limit(mut self, bytes_a_second: u64) -> Self {
        self.rate_limit = Some(bytes_a_second);
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

    /// The operation's handle.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl IntoFuture for Connect {
    type Output = Result<McStream, ConnectError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let operation = self.operation.clone();
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

/// A session in clear that would leave this host.
pub(super) fn beyond(endpoint: &Endpoint) -> bool {
    endpoint.is_session() && !endpoint.is_host_scope() && endpoint.carrier() != "mem"
}
