//! `run(label, f)`: work that goes on while a match holds.

use super::error::MatchError;
use super::matching::Patience;
use super::operation::Operation;
use super::registry::{Matched, Registry};
use super::table::Ended;
use super::wait::{Hold, Wait};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::Network;
use pin_project_lite::pin_project;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What the error of a run's work must be made from: the crate's whole error, so that a work's own
/// error type has one `From` to write.
pub(crate) type Failure = crate::Error;

/// How long a failure waits for its network's loss to show.
const DOUBT: Duration = Duration::from_millis(500);

/// At most this many starts ...
const STARTS: usize = 10;

/// ... in this time.
const SPAN: Duration = Duration::from_secs(10);

/// Work that runs while a network matches. Made by `mancom::run`.
///
/// The function is called with the best network as soon as one matches, and its future runs until
/// it ends or that network no longer admits the label: then the future is dropped, at whatever
/// `.await` it stands, and the function is called again for the next match. So the work must be
/// repeatable. A better network does not stop it.
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
    f: F,
    work: PhantomData<fn() -> Fut>,
}

impl<F, Fut> Run<F, Fut> {
    #[doc(hidden)]
    pub fn new(registry: Result<Arc<Registry>, MatchError>, label: Label, f: F) -> Self {
        Run {
            registry,
            operation: Operation::new(),
            patience: Patience::new(label),
            f,
            work: PhantomData,
        }
    }

    /// Gives up after this time, waiting, work and time asleep included, counted from when the
    /// builder becomes a future. Default: never.
    pub fn within(mut self, budget: Duration) -> Self {
        self.patience.within = Some(budget);
        self
    }

    /// This long after the beginning `looser` takes the label's place for every later match.
    /// Work already running keeps the label it was started for. Default: never.
    pub fn relax_after(mut self, patience: Duration, looser: Label) -> Self {
        self.patience.relax = Some((patience, looser));
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
        let want = self.patience.want();
        let now = Clock::now();
        let plan = Plan {
            operation: self.operation,
            label: self.patience.label,
            deadline: want.deadline,
            within: self.patience.within.unwrap_or(Duration::MAX),
            relax: want
                .relax
                .and_then(|(after, looser)| Some((now.checked_add(after)?, looser))),
            no_wait: want.no_wait,
            starts: VecDeque::new(),
        };
        let stage = match self.registry {
            Ok(registry) => {
                let wait = registry.wait(want, &plan.operation);
                Stage::Waiting { registry, wait }
            }
            Err(error) => Stage::Failed { error },
        };
        Running {
            f: self.f,
            plan,
            stage,
            work: None,
            failed: None,
        }
    }
}

pin_project! {
    /// The future of a [`Run`]. It is `Send` if the function, its future and what that gives are.
    #[must_use = "a run does nothing unless awaited"]
    pub struct Running<F, Fut>
    where
        Fut: Future,
    {
        f: F,
        plan: Plan,
        stage: Stage,
        #[pin]
        work: Option<Fut>,
        // An error in doubt.
        failed: Option<Fut::Output>,
    }
}

/// What stays the same from start to start.
struct Plan {
    operation: Operation,
    label: Label,
    deadline: Option<Instant>,
    within: Duration,
    relax: Option<(Instant, Label)>,
    no_wait: bool,
    /// When the last starts were, at most [`STARTS`].
    starts: VecDeque<Instant>,
}

enum Stage {
    Waiting {
        registry: Arc<Registry>,
        wait: Wait,
    },
    Working {
        registry: Arc<Registry>,
        hold: Hold,
        network: Network,
    },
    Doubting {
        registry: Arc<Registry>,
        hold: Hold,
    },
    Failed {
        error: MatchError,
    },
    Done,
}

impl Plan {
    /// Waits for the next match, once the starts allow it.
    fn wait(&mut self, registry: Arc<Registry>) -> Stage {
        let now = Clock::now();
        if let Some((at, looser)) = self.relax
            && at <= now
        {
            (self.label, self.relax) = (looser, None);
        }
        let mut patience = Patience::new(self.label);
        patience.relax = self
            .relax
            .map(|(at, looser)| (at.saturating_duration_since(now), looser));
        patience.no_wait = self.no_wait;
        let mut want = patience.want();
        want.deadline = self.deadline;
        let not_before = match self.starts.front() {
            Some(first) if self.starts.len() == STARTS => Some(*first + SPAN),
            _ => None,
        };
        let not_before = not_before.filter(|at| *at > now);
        let wait = registry.wait_from(not_before, want, &self.operation);
        Stage::Waiting { registry, wait }
    }

    /// Notes a start on this match and watches over it.
    fn start(&mut self, registry: Arc<Registry>, matched: Matched) -> Stage {
        let Some(network) = matched.networks.into_iter().next() else {
            return Stage::Failed {
                error: MatchError::HostScope,
            };
        };
        if self.starts.len() == STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(Clock::now());
        let to = Destination::Unnamed;
        let hold = registry.hold(matched.label, &to, network.id(), self.deadline);
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), network = network.name(), "work starts"
        );
        Stage::Working {
            registry,
            hold,
            network,
        }
    }
}

impl<F, Fut: Future> Running<F, Fut> {
    /// The handle that names, explains and hurries it.
    pub fn operation(&self) -> Operation {
        self.plan.operation.clone()
    }
}

impl<F, Fut, T, E> Future for Running<F, Fut>
where
    F: FnMut(Network) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<Failure>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.project();
        loop {
            *this.stage = match std::mem::replace(this.stage, Stage::Done) {
                Stage::Waiting { registry, mut wait } => match Pin::new(&mut wait).poll(cx) {
                    Poll::Pending => {
                        *this.stage = Stage::Waiting { registry, wait };
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) => Stage::Failed { error },
                    Poll::Ready(Ok(matched)) => {
                        let stage = this.plan.start(registry, matched);
                        if let Stage::Working { network, .. } = &stage {
                            this.work.set(Some((this.f)(network.clone())));
                        }
                        stage
                    }
                },
                Stage::Working {
                    registry,
                    mut hold,
                    network,
                } => {
                    let work = this.work.as_mut().as_pin_mut();
                    let work = work.expect("work is there while its stage is");
                    // The work first: if it ends in this poll, that stands.
                    match work.poll(cx) {
                        Poll::Ready(Ok(done)) => {
                            this.work.set(None);
                            return Poll::Ready(Ok(done));
                        }
                        Poll::Ready(Err(failed)) => {
                            this.work.set(None);
                            *this.failed = Some(Err(failed));
                            registry.look_again();
                            hold.until(Clock::deadline(DOUBT));
                            Stage::Doubting { registry, hold }
                        }
                        Poll::Pending => match hold.poll_ended(cx) {
                            Poll::Pending => {
                                *this.stage = Stage::Working {
                                    registry,
                                    hold,
                                    network,
                                };
                                return Poll::Pending;
                            }
                            Poll::Ready(Ended::Lost) => {
                                this.work.set(None);
                                this.plan.wait(registry)
                            }
                            Poll::Ready(Ended::Overdue) => {
                                this.work.set(None);
                                let within = this.plan.within;
                                let error = MatchError::Overran { network, within };
                                Stage::Failed { error }
                            }
                        },
                    }
                }
                Stage::Doubting { registry, mut hold } => match hold.poll_ended(cx) {
                    Poll::Pending => {
                        *this.stage = Stage::Doubting { registry, hold };
                        return Poll::Pending;
                    }
                    Poll::Ready(Ended::Lost) => {
                        *this.failed = None;
                        this.plan.wait(registry)
                    }
                    Poll::Ready(Ended::Overdue) => {
                        let failed = this.failed.take();
                        return Poll::Ready(failed.expect("what is doubted is kept"));
                    }
                },
                Stage::Failed { error } => return Poll::Ready(Err(E::from(Failure::from(error)))),
                Stage::Done => panic!("a run is polled after it ended"),
            };
        }
    }
}

impl<F, Fut: Future> fmt::Debug for Running<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running")
            .field(&self.plan.operation.id())
            .finish()
    }
}
