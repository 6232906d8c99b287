//! `run(label, f)`: work that goes on while a match holds.

use super::error::MatchError;
use super::matching::Patience;
use super::operation::Operation;
use super::registry::Registry;
use super::running::{Failure, Running};
use crate::label::Label;
use crate::network::Network;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of the work of a [`run`](Run) when its match is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Stop {
    /// Its future is dropped at once.
    #[default]
    Drop,
    /// It may go on for this long, time asleep counted, and a success within it stands. If the
    /// very same network matches again meanwhile, the work goes on as if nothing had happened;
    /// another network changes nothing. Then its future is dropped.
    ///
    /// The work is told nothing: what it does on a network that is gone fails by itself, and what
    /// it does beside the network goes on. An error within the time counts as stopped, as any
    /// after a loss.
    Finish(Duration),
}

/// Work that runs while a network matches. Made by `mancom::run`.
///
/// The function is called with the best network as soon as one matches, and its future runs until
/// it ends or that network no longer admits the label: then the future is dropped, at whatever
/// `.await` it stands, and the function is called again for the next match. So the work must be
/// repeatable. A better network does not stop it. [`stop`](Run::stop) gives it time to finish.
///
/// - If it ends in the poll in which the match ends, its result stands.
/// - If it fails, its error is held back for 500 ms: if the network is gone by then, it counts as
///   stopped and starts again on the next match.
/// - It starts at most 10 times in 10 s; the eleventh start waits.
///
/// A builder, not a future: `.await`, `select!` and `timeout` take it as it is, `tokio::spawn` and
/// `join_all` want `.into_future()`.
///
/// The error type is found from the function. Where a closure's body ends in `Ok(())` it must be
/// said: `|n| async move { upload(n).await?; Ok::<_, mancom::Error>(()) }`. The closure may change
/// what it captured, its future may not borrow it: `|n| { count += 1; upload(n) }` is accepted,
/// `|n| async { count += 1; .. }` is not.
///
/// # Cancel safety
/// Dropping the future drops the work as a lost match would.
///
/// # Errors
/// The work's own; and, made into its type, [`MatchError::TimedOut`] if
/// [`within`](Run::within) is over while it waits, [`MatchError::Overran`] if it is over while the
/// work goes on, and those of [`Matching`](super::Matching).
#[must_use = "a builder does nothing unless awaited"]
pub struct Run<F, Fut> {
    registry: Result<Arc<Registry>, MatchError>,
    operation: Operation,
    patience: Patience,
    stop: Stop,
    f: F,
    work: PhantomData<fn() -> Fut>,
}

impl<F, Fut> Run<F, Fut> {
    pub(crate) fn new(registry: Result<Arc<Registry>, MatchError>, label: Label, f: F) -> Self {
        Run {
            registry,
            operation: Operation::named("run"),
            patience: Patience::new(label),
            stop: Stop::default(),
            f,
            work: PhantomData,
        }
    }

    /// Gives up after this time, waiting, work and time asleep included, counted from when the
    /// builder becomes a future. Default: what the configuration says of the label, else never.
    pub fn within(mut self, budget: Duration) -> Self {
        self.patience.within = Some(budget);
        self
    }

    /// This long after the beginning `looser` takes the label's place for every later match.
    /// Work already running keeps the label it was started for. Default: what the configuration says of
    /// the label, else never.
    pub fn relax_after(mut self, patience: Duration, looser: Label) -> Self {
        self.patience.relax = Some((patience, looser));
        self
    }

    /// What becomes of work whose match is lost. Default: what the configuration says of the label, else
    /// [`Stop::Drop`].
    ///
    /// ```
    /// # async fn upload(_: mancom::Network) -> Result<(), mancom::Error> { Ok(()) }
    /// use mancom::{Label, Stop};
    /// use std::time::Duration;
    ///
    /// let run = mancom::run(Label::BACKGROUND, upload).stop(Stop::Finish(Duration::from_secs(5)));
    /// ```
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Ends with [`MatchError::NoMatch`] where it would wait for a match, at the beginning and
    /// after a loss.
    pub fn no_wait(mut self) -> Self {
        self.patience.no_wait = true;
        self
    }

    /// The handle that names, explains and hurries it.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl<F, Fut> fmt::Debug for Run<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("operation", &self.operation)
            .field("patience", &self.patience)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl<F, Fut, T, E> IntoFuture for Run<F, Fut>
where
    F: FnMut(Network) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<Failure>,
{
    type Output = Result<T, E>;
    type IntoFuture = Running<F, Fut>;

    fn into_future(self) -> Running<F, Fut> {
        Running::new(
            self.registry,
            self.operation,
            self.patience,
            self.stop,
            self.f,
        )
    }
}
