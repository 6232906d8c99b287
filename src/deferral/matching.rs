//! The builder of `matching(label)`.

use super::error::MatchError;
use super::operation::{Op, Operation};
use super::registry::Registry;
use super::wait::{Wait, Want};
use crate::clock::Clock;
use crate::label::Label;
use crate::network::Network;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A network for a label: pending until one matches. Made by `mancom::matching`.
///
/// A builder, not a future: `.await`, `select!` and `timeout` take it as it is,
/// `tokio::spawn` and `join_all` want `.into_future()`.
///
/// # Cancel safety
/// Dropped while it waits, its future leaves no trace and loses its place in line, nothing else.
///
/// # Errors
/// [`MatchError::TimedOut`] after [`within`](Matching::within), [`MatchError::NoMatch`] with
/// [`no_wait`](Matching::no_wait), [`MatchError::Cancelled`] after a `cancel`,
/// [`MatchError::ScoutGone`] if the scout ends while it waits, [`MatchError::HostScope`] for a
/// label that uses no network, [`MatchError::NoRuntime`] outside a tokio runtime.
#[derive(Debug)]
#[must_use = "a builder does nothing unless awaited"]
pub struct Matching {
    registry: Result<Arc<Registry>, MatchError>,
    operation: Operation,
    patience: Patience,
}

/// What `matching` and `run` are told of waiting.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) label: Label,
    pub(super) within: Option<Duration>,
    pub(super) relax: Option<(Duration, Label)>,
    pub(super) no_wait: bool,
}

impl Patience {
    pub(super) fn new(label: Label) -> Self {
        Patience {
            label,
            within: None,
            relax: None,
            no_wait: false,
        }
    }

    /// What that means for an operation that starts now.
    pub(super) fn want(&self) -> Want {
        Want {
            deadline: self.within.and_then(Clock::deadline),
            relax: self.relax,
            no_wait: self.no_wait,
            ..Want::new(self.label)
        }
    }
}

impl Matching {
    #[doc(hidden)]
    pub fn new(registry: Result<Arc<Registry>, MatchError>, label: Label) -> Self {
        Matching {
            registry,
            operation: Operation::named("matching"),
            patience: Patience::new(label),
        }
    }

    /// Gives up after this time, time asleep included, counted from when the builder becomes a
    /// future. Default: what the configuration says of the label, else never.
    pub fn within(mut self, budget: Duration) -> Self {
        self.patience.within = Some(budget);
        self
    }

    /// After waiting this long, `looser` takes the label's place. Default: what the configuration says
    /// of the label, else never.
    pub fn relax_after(mut self, patience: Duration, looser: Label) -> Self {
        self.patience.relax = Some((patience, looser));
        self
    }

    /// Ends with [`MatchError::NoMatch`] in the first poll instead of waiting.
    pub fn no_wait(mut self) -> Self {
        self.patience.no_wait = true;
        self
    }

    /// The handle that names, explains and hurries it.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl IntoFuture for Matching {
    type Output = Result<Network, MatchError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Op<Self::Output> {
        match self.registry {
            Ok(registry) => {
                let wait = registry.wait(self.patience.want(), &self.operation);
                Op::new(self.operation, Best(wait))
            }
            Err(error) => Op::new(self.operation, std::future::ready(Err(error))),
        }
    }
}

/// The best network of a match. Written out, for a million of them may wait.
struct Best(Wait);

impl Future for Best {
    type Output = Result<Network, MatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let matched = ready!(Pin::new(&mut self.0).poll(cx))?;
        let best = matched.networks.into_iter().next();
        Poll::Ready(best.ok_or(MatchError::HostScope))
    }
}
