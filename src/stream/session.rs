//! Sessions as users hold them.

use std::future::{Future, IntoFuture, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use super::McStream;
use super::driver::Driver;
use super::error::SessionError;
use super::events::PathInfo;
use super::plain::Plain;
use super::report::ConnectReport;
use crate::clock::Clock;
use crate::deferral::{Op, Operation, Want};
use crate::label::Label;

#[derive(Debug)]
enum Held {
    Session(Arc<Driver>),
    Plain(Arc<Plain>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Session(driver) = self {
            driver.leave();
        }
    }
}

/// Two mancom endpoints joined over any number of paths.
///
/// A clone is one more handle; the session ends when the last handle and the last stream went.
#[derive(Debug, Clone)]
pub struct Session(Arc<Held>);

impl Session {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        driver.enter();
        Self(Arc::new(Held::Session(driver)))
    }

    pub(super) fn plain(plain: Arc<Plain>) -> Self {
        Self(Arc::new(Held::Plain(plain)))
    }

    /// Opens one more stream beside the first; it arrives at the peer's [`accept`](Self::accept).
    ///
    /// A builder: `.await` it, or `.into_future()` to spawn it.
    pub fn open(&self, label: Label) -> OpenStream {
        OpenStream {
            held: Arc::clone(&self.0),
            label,
            want: Want::new(label),
            within: None,
            operation: Operation::named("open"),
        }
    }

    /// The next stream the peer opened. Fails with an error that `is_closed()` at a clean end.
    ///
    /// Cancel safe: dropped while pending, no stream is lost.
    pub fn accept(&self) -> Op<Result<McStream, SessionError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::new(), async move {
            match &*held {
                Held::Session(driver) => {
                    let (id, label) = poll_fn(|cx| driver.poll_accept(cx)).await?;
                    Ok(McStream::session_stream(Arc::clone(driver), id, label))
                }
                Held::Plain(_) => Err(SessionError::NotMancom),
            }
        })
    }

    /// The handle on the session's own waiting.
    ///
    /// While a dialler's session has no path and no network fits, it is pending under this number with
    /// its grace as the deadline; [`nudge`](Operation::nudge) ends a back-off between two attempts, and
    /// [`cancel`](crate::cancel) while it is pending ends the session. At a listener, and without a
    /// [hook](crate::hooks) on a plain stream, it names what never waits.
    pub fn operation(&self) -> Operation {
        match &*self.0 {
            Held::Session(driver) => driver.operation(),
            Held::Plain(plain) => plain.operation(),
        }
    }

    /// The paths open now.
    pub fn paths(&self) -> Vec<PathInfo> {
        match &*self.0 {
            Held::Session(driver) => driver.paths(),
            Held::Plain(plain) => plain.paths(),
        }
    }

    /// What its `connect` tried until the first path stood, and how long each part took; `None` at
    /// the listener.
    pub fn connect_report(&self) -> Option<Arc<ConnectReport>> {
        match &*self.0 {
            Held::Session(driver) => driver.report(),
            Held::Plain(plain) => plain.report(),
        }
    }

    /// Closes the session once every stream is finished, and waits for that.
    ///
    /// A stream is finished when both its ends were shut down and acknowledged, so one that is still held
    /// here or at the peer keeps this waiting: drop it or shut it down first, or bound the wait with
    /// `tokio::time::timeout`.
    ///
    /// # Cancel safety
    ///
    /// The close goes on when this is dropped.
    pub fn close(&self) -> Op<Result<(), SessionError>> {
        let held = Arc::clone(&self.0);
        if let Held::Session(driver) = &*held {
            driver.close();
        }
        Op::new(Operation::new(), async move {
            match &*held {
                Held::Session(driver) => match poll_fn(|cx| driver.poll_closed(cx)).await {
                    SessionError::Closed => Ok(()),
                    error => Err(error),
                },
                Held::Plain(_) => Err(SessionError::NotMancom),
            }
        })
    }
}

/// Opens a stream of a session; a builder, see [`Session::open`].
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct OpenStream {
    held: Arc<Held>,
    label: Label,
    want: Want,
    within: Option<Duration>,
    operation: Operation,
}

impl OpenStream {
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
}

impl IntoFuture for OpenStream {
    type Output = Result<McStream, SessionError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            held,
            label,
            mut want,
            within,
            operation,
        } = self;
        let waiting = operation.clone();
        Op::new(
            operation,
            open(
                held,
                label,
                {
                    want.label = label;
                    want
                },
                within,
                waiting,
            ),
        )
    }
}

#[allow(
    clippy::manual_async_fn,
    reason = "promised to be Send here, not found out at each use"
)]
fn open(
    held: Arc<Held>,
    label: Label,
    mut want: Want,
    within: Option<Duration>,
    operation: Operation,
) -> impl Future<Output = Result<McStream, SessionError>> + Send + 'static {
    async move {
        let Held::Session(driver) = &*held else {
            return Err(SessionError::NotMancom);
        };
        let mut label = label;
        if let Some(destination) = driver.destination() {
            let defaults = driver.context.defaults(&label);
            want.destination = destination;
            want.deadline = within.or(defaults.within).and_then(Clock::deadline);
            want.relax = want.relax.or(defaults.relax);
            label = driver
                .context
                .registry()
                .wait(want, &operation)
                .await?
                .label;
        }
        let id = driver.open(label)?;
        Ok(McStream::session_stream(Arc::clone(driver), id, label))
    }
}
