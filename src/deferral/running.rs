//! The future of a run: wait, work, watch over the match, start again.
//!
//! ```text
//!            no match                                 Err
//!   Waiting <───────── Doubting <──────────────────────────────── Working
//!      │               half a second: the error                 │   │   ▲ the same
//!      │ match                                       match lost │   │   │ matches again
//!      └──────────────────────────────> Working                 ▼   ▼   │
//!   Waiting <── Err, or the time to finish is over ──────────── Working, lost
//! ```

use super::error::MatchError;
use super::line::Role;
use super::matching::Patience;
use super::operation::Operation;
use super::registry::{Matched, Registry};
use super::run::Stop;
use super::table::Ended;
use super::wait::{Hold, Wait};
use crate::clock::Clock;
use crate::label::Label;
use crate::network::Network;
use pin_project_lite::pin_project;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
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

pin_project! {
    /// The future of a [`Run`](super::Run). It is `Send` if the function, its future and what that gives are.
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
    stop: Stop,
    /// When the last starts were, at most [`STARTS`].
    starts: VecDeque<Instant>,
}

enum Stage {
    Waiting { registry: Arc<Registry>, wait: Wait },
    Working(Job),
    Doubting(Job),
    Failed(MatchError),
    Done,
}

/// Work on a match, and the watch over that match.
struct Job {
    registry: Arc<Registry>,
    /// The one that matched.
    label: Label,
    network: Network,
    hold: Hold,
    /// The match is lost, and the work has time to finish.
    lost: bool,
}

impl Job {
    /// Watches for the other turn of the match, until this instant.
    fn turn(mut self, until: Option<Instant>) -> Self {
        self.lost = !self.lost;
        let role = match self.lost {
            true => Role::Regain(self.network.id()),
            false => Role::Hold(self.network.id()),
        };
        self.hold = self.registry.hold(self.label, role, until);
        self
    }
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
        let label = matched.label;
        let Some(network) = matched.networks.into_iter().next() else {
            return Stage::Failed(MatchError::HostScope);
        };
        if self.starts.len() == STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(Clock::now());
        let job = Job {
            hold: registry.hold(label, Role::Hold(network.id()), self.deadline),
            registry,
            label,
            network,
            lost: false,
        };
        self.tell(&job, "work starts");
        Stage::Working(job)
    }

    /// The match turned, or time is over: what becomes of the work.
    fn turned(&mut self, job: Job, ended: Ended) -> Stage {
        let now = Clock::now();
        match (ended, self.stop) {
            (Ended::Turned, _) if job.lost => {
                self.tell(&job, "the match is there again: work goes on");
                Stage::Working(job.turn(self.deadline))
            }
            (Ended::Turned, Stop::Finish(time)) => {
                self.tell(&job, "the match is lost: work may finish");
                let until = [self.deadline, now.checked_add(time)];
                Stage::Working(job.turn(until.into_iter().flatten().min()))
            }
            (Ended::Overdue, _) if self.deadline.is_some_and(|at| at <= now) => {
                self.tell(&job, "time is over: work stops");
                Stage::Failed(MatchError::Overran {
                    network: job.network,
                    within: self.within,
                })
            }
            (Ended::Turned, Stop::Drop) | (Ended::Overdue, _) => {
                self.tell(&job, "the match is lost: work stops");
                self.wait(job.registry)
            }
        }
    }

    fn tell(&self, job: &Job, what: &'static str) {
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), label = %job.label,
            name = job.registry.name(&job.label).as_deref(), network = %job.network.id(),
            interface = job.network.name(), "{what}"
        );
    }
}

impl<F, Fut: Future> Running<F, Fut> {
    pub(super) fn new(
        registry: Result<Arc<Registry>, MatchError>,
        operation: Operation,
        patience: Patience,
        stop: Stop,
        f: F,
    ) -> Self {
        let want = patience.want();
        let now = Clock::now();
        let plan = Plan {
            operation,
            label: patience.label,
            deadline: want.deadline,
            within: patience.within.unwrap_or(Duration::MAX),
            relax: want
                .relax
                .and_then(|(after, looser)| Some((now.checked_add(after)?, looser))),
            no_wait: want.no_wait,
            stop,
            starts: VecDeque::new(),
        };
        let stage = match registry {
            Ok(registry) => {
                let wait = registry.wait(want, &plan.operation);
                Stage::Waiting { registry, wait }
            }
            Err(error) => Stage::Failed(error),
        };
        Running {
            f,
            plan,
            stage,
            work: None,
            failed: None,
        }
    }

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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        loop {
            let this = self.as_mut().project();
            let (stage, result) = match std::mem::replace(this.stage, Stage::Done) {
                Stage::Waiting { registry, wait } => self.as_mut().wait(cx, registry, wait),
                Stage::Working(job) => self.as_mut().work(cx, job),
                Stage::Doubting(job) => self.as_mut().doubt(cx, job),
                Stage::Failed(error) => {
                    let failed = Err(E::from(Failure::from(error)));
                    (Stage::Done, Some(Poll::Ready(failed)))
                }
                Stage::Done => panic!("a run is polled after it ended"),
            };
            *self.as_mut().project().stage = stage;
            if let Some(result) = result {
                return result;
            }
        }
    }
}

/// Where a run stands next, and what to return of this poll, if it is over.
type Next<T, E> = (Stage, Option<Poll<Result<T, E>>>);

impl<F, Fut, T, E> Running<F, Fut>
where
    F: FnMut(Network) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<Failure>,
{
    fn wait(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        registry: Arc<Registry>,
        mut wait: Wait,
    ) -> Next<T, E> {
        let mut this = self.project();
        match Pin::new(&mut wait).poll(cx) {
            Poll::Pending => (Stage::Waiting { registry, wait }, Some(Poll::Pending)),
            Poll::Ready(Err(error)) => (Stage::Failed(error), None),
            Poll::Ready(Ok(matched)) => {
                let stage = this.plan.start(registry, matched);
                if let Stage::Working(job) = &stage {
                    this.work.set(Some((this.f)(job.network.clone())));
                }
                (stage, None)
            }
        }
    }

    fn work(self: Pin<&mut Self>, cx: &mut Context<'_>, mut job: Job) -> Next<T, E> {
        let mut this = self.project();
        let work = this.work.as_mut().as_pin_mut();
        let work = work.expect("work is there while its stage is");
        // The work first: if it ends in this poll, that stands.
        let next = match work.poll(cx) {
            Poll::Ready(Ok(done)) => (Stage::Done, Some(Poll::Ready(Ok(done)))),
            Poll::Ready(Err(_)) if job.lost => (this.plan.wait(job.registry), None),
            Poll::Ready(Err(failed)) => {
                *this.failed = Some(Err(failed));
                job.registry.look_again();
                let until = [this.plan.deadline, Clock::deadline(DOUBT)];
                job.hold.until(until.into_iter().flatten().min());
                (Stage::Doubting(job), None)
            }
            Poll::Pending => match job.hold.poll_ended(cx) {
                Poll::Pending => (Stage::Working(job), Some(Poll::Pending)),
                Poll::Ready(ended) => (this.plan.turned(job, ended), None),
            },
        };
        if !matches!(next.0, Stage::Working(_)) {
            this.work.set(None);
        }
        next
    }

    /// An error waits for its network's loss to show.
    fn doubt(self: Pin<&mut Self>, cx: &mut Context<'_>, mut job: Job) -> Next<T, E> {
        let this = self.project();
        match job.hold.poll_ended(cx) {
            Poll::Pending => (Stage::Doubting(job), Some(Poll::Pending)),
            Poll::Ready(Ended::Turned) => {
                *this.failed = None;
                (this.plan.wait(job.registry), None)
            }
            Poll::Ready(Ended::Overdue) => {
                let failed = this.failed.take().expect("what is doubted is kept");
                (Stage::Done, Some(Poll::Ready(failed)))
            }
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
