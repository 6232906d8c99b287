//! One more stream of a session.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use super::super::McStream;
use super::super::error::SessionError;
use super::Held;
use crate::clock::Clock;
use crate::deferral::{Op, Operation, Want};
use crate::label::Label;

/// Opens a stream of a session; a builder, see [`Session::open`](super::Session::open).
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct OpenStream {
    held: Arc<Held>,
    want: Want,
    within: Option<Duration>,
    operation: Operation,
}

impl OpenStream {
    pub(super) fn new(held: Arc<Held>, label: Label) -> Self {
        Self {
            held,
            want: Want::new(label),
            within: None,
            operation: Operation::named("open"),
        }
    }

    /// Fails with `TimedOut` when no network matched by then. Default: what the configuration says of
    /// the label, else waits without end.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// After this time another, looser label takes over. Default: what the configuration says of the
    /// label, else never.
    pub fn relax_after(mut self, after: Duration, label: Label) -> Self {
        self.want.relax = Some((after, label));
        self
    }

    /// Fails with `NoMatch` at once instead of waiting.
    pub fn no_wait(mut self) -> Self {
        self.want.no_wait = true;
        self
    }

    /// The operation's handle.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "promised to be Send here, not found out at each use"
    )]
    fn run(self) -> impl Future<Output = Result<McStream, SessionError>> + Send + 'static {
        async move {
            let driver = self.held.driver().ok_or(SessionError::NotMancom)?;
            let mut label = self.want.label;
            // A listener opens where it was found: it waits for no network.
            if let Some(destination) = driver.destination() {
                let defaults = driver.context.defaults(&label);
                let within = self.within.or(defaults.within);
                let want = Want {
                    destination,
                    deadline: within.and_then(Clock::deadline),
                    relax: self.want.relax.or(defaults.relax),
                    ..self.want
                };
                let waiting = driver.context.registry().wait(want, &self.operation);
                label = waiting.await?.label;
            }
            let id = driver.open(label)?;
            Ok(McStream::session_stream(Arc::clone(driver), id, label))
        }
    }
}

impl IntoFuture for OpenStream {
    type Output = Result<McStream, SessionError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Op::new(self.operation.clone(), self.run())
    }
}
