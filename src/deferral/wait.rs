//! The futures that stand in the table: one waits for a match, one for the end of a match.

use super::error::MatchError;
use super::line::{Relax, Role, Timing, View};
use super::operation::Operation;
use super::registry::{Key, Matched, Registry};
use super::table::{End, Ended, Fate, Joining, Unmatched};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::Network;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What is waited for, and how long.
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Want {
    /// What of a network is needed.
    pub label: Label,
    /// Where it goes.
    pub destination: Destination,
    /// When to give up, by the clock that counts time asleep; `None` is never.
    pub deadline: Option<Instant>,
    /// After waiting this long, the other label takes over.
    pub relax: Option<(Duration, Label)>,
    /// Ends with [`MatchError::NoMatch`] in the first poll instead of waiting.
    pub no_wait: bool,
    /// Woken before those of a lower priority with the same label and destination.
    pub priority: i8,
}

impl Want {
    /// A match for this label without a destination, waited for without end.
    pub fn new(label: Label) -> Self {
        Want {
            label,
            destination: Destination::Unnamed,
            deadline: None,
            relax: None,
            no_wait: false,
            priority: 0,
        }
    }
}

/// Waits for a match.
///
/// Looks first, in its first poll, and waits only if nothing matches. While it waits it is woken
/// by a snapshot that makes its label matchable, at most once a generation, by its own times, by
/// [`nudge`](Operation::nudge), by `cancel`, and by nothing else.
///
/// # Cancel safety
/// Dropping it leaves no trace; its place in line is lost.
#[must_use = "nothing waits unless awaited"]
#[derive(Debug)]
#[doc(hidden)]
pub struct Wait {
    registry: Arc<Registry>,
    operation: Operation,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Boxed, for it is needed up to the first poll only and a million may wait.
    Fresh(Box<Fresh>),
    Queued(Key),
    Done,
}

#[derive(Debug)]
struct Fresh {
    want: Want,
    not_before: Option<Instant>,
    since: Instant,
}

impl Fresh {
    /// The times that concern this wait, if any do.
    fn timing(&self) -> Option<Box<Timing>> {
        let relax = self.want.relax.and_then(|(after, other)| {
            let at = Some(self.since.checked_add(after)?);
            Some(Box::new(Relax { at, other }))
        });
        let timed = self.want.deadline.is_some() || self.not_before.is_some() || relax.is_some();
        timed.then(|| {
            Box::new(Timing {
                deadline: self.want.deadline,
                not_before: self.not_before,
                relax,
                no_wait: self.want.no_wait,
                ..Timing::default()
            })
        })
    }
}

impl Wait {
    pub(super) fn new(
        registry: Arc<Registry>,
        want: Want,
        not_before: Option<Instant>,
        operation: Operation,
    ) -> Self {
        let since = Clock::now();
        Wait {
            registry,
            operation,
            stage: Stage::Fresh(Box::new(Fresh {
                want,
                not_before,
                since,
            })),
        }
    }

    /// Looks at once and joins the line if there is nothing to be had.
    fn start(&mut self, fresh: &Fresh, waker: Waker) -> Poll<Result<Matched, MatchError>> {
        let want = &fresh.want;
        if fresh.not_before.is_none()
            && let Some(looked) = self.look(want)
        {
            looked.iter().for_each(|matched| self.tell(matched));
            return Poll::Ready(looked);
        }
        let mut waker = Some(waker);
        let mut table = self.registry.table();
        // Read under the lock: whoever sweeps a later generation finds us in line.
        let snapshot = self.registry.snapshot();
        let view = self.registry.view(&snapshot);
        let before = table.next_alarm();
        let joining = Joining {
            label: want.label,
            to: &want.destination,
            operation: self.operation.clone(),
            role: Role::Wait,
            timing: fresh.timing(),
            since: fresh.since,
            priority: want.priority,
        };
        let key = table.join(&view, joining);
        self.stage = Stage::Queued(key);
        let fate = table.poll(key, &view, &mut waker);
        let after = table.next_alarm();
        drop(table);
        if let Poll::Ready(fate) = fate {
            return Poll::Ready(self.finish(key, fate, &view));
        }
        self.operation.waits_in(&self.registry, key);
        if after != before {
            self.registry.rearm();
        }
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), label = %want.label,
            name = view.settings.name(&want.label).as_deref(), to = %want.destination,
            generation = snapshot.generation(), "waits for a network"
        );
        Poll::Pending
    }

    /// Says what was matched, in a log.
    fn tell(&self, matched: &Matched) {
        let network = matched.networks.first();
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), label = %matched.label,
            name = self.registry.name(&matched.label).as_deref(),
            network = network.map(|network| tracing::field::display(network.id())),
            interface = network.map(Network::name),
            generation = matched.generation, "matched"
        );
    }

    /// What is to be had now, or `None` if it is to wait.
    ///
    /// The lock is taken for a look into the index at most: operations that need not wait are
    /// judged side by side.
    fn look(&self, want: &Want) -> Option<Result<Matched, MatchError>> {
        let matched = |networks, generation| {
            Some(Ok(Matched {
                networks,
                label: want.label,
                generation,
            }))
        };
        if !want.no_wait {
            let mut table = self.registry.table();
            let snapshot = self.registry.snapshot();
            let view = self.registry.view(&snapshot);
            let known = table.verdict(&view, &want.label, &want.destination);
            drop(table);
            match known {
                Some(Some(networks)) => return matched(networks.to_vec(), snapshot.generation()),
                Some(None) => return None,
                None => {}
            }
        }
        let snapshot = self.registry.snapshot();
        let view = self.registry.view(&snapshot);
        match view.look(&want.label, &want.destination) {
            Ok(networks) => matched(networks, snapshot.generation()),
            Err(_) if want.no_wait => {
                let what = Unmatched {
                    label: want.label,
                    to: want.destination.clone(),
                    strict: None,
                    since: None,
                };
                Some(Err(MatchError::NoMatch(
                    self.registry.explain(&view, &what),
                )))
            }
            Err(_) => None,
        }
    }

    /// Leaves the table and tells how it ended, explained by the view that decided it.
    fn finish(&mut self, key: Key, fate: Fate, by: &View<'_>) -> Result<Matched, MatchError> {
        self.leave(key, fate.end());
        let error = match fate {
            Fate::Matched(matched) => {
                self.tell(&matched);
                return Ok(matched);
            }
            Fate::Cancelled => MatchError::Cancelled,
            Fate::ScoutGone => MatchError::ScoutGone,
            Fate::TimedOut(what) => MatchError::TimedOut(self.registry.explain(by, &what)),
            Fate::NoMatch(what) => MatchError::NoMatch(self.registry.explain(by, &what)),
        };
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), %error, "got no network"
        );
        Err(error)
    }

    fn leave(&mut self, key: Key, how: End) {
        self.stage = Stage::Done;
        self.operation.waits_no_more();
        // Its waker is a user's code: dropped when the lock is free again.
        let entry = self.registry.table().remove(key, how);
        drop(entry);
    }
}

impl Future for Wait {
    type Output = Result<Matched, MatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Fresh(fresh) => self.start(&fresh, waker),
            Stage::Queued(key) => {
                self.stage = Stage::Queued(key);
                let mut waker = Some(waker);
                let registry = self.registry.clone();
                let mut table = registry.table();
                let snapshot = registry.snapshot();
                let view = registry.view(&snapshot);
                let fate = table.poll(key, &view, &mut waker);
                drop(table);
                match fate {
                    Poll::Ready(fate) => Poll::Ready(self.finish(key, fate, &view)),
                    Poll::Pending => Poll::Pending,
                }
            }
            Stage::Done => panic!("a wait is polled after it ended"),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Stage::Queued(key) = self.stage {
            self.leave(key, End::Dropped);
        }
    }
}

/// Watches over a match: resolves when the network no longer admits the label, or admits it again.
///
/// A poll that finds nothing told since the last one costs no lock, for it happens at every poll
/// of the work that runs on the match.
#[must_use = "nothing is watched unless polled"]
#[derive(Debug)]
pub(crate) struct Hold {
    registry: Arc<Registry>,
    /// Its own, never seen by a user: carries the signal.
    operation: Operation,
    key: Key,
    waker: Option<Waker>,
}

impl Hold {
    pub(super) fn new(
        registry: Arc<Registry>,
        label: Label,
        role: Role,
        deadline: Option<Instant>,
    ) -> Self {
        let operation = Operation::new();
        let key = {
            let mut table = registry.table();
            let snapshot = registry.snapshot();
            let view = registry.view(&snapshot);
            let joining = Joining {
                label,
                to: &Destination::Unnamed,
                operation: operation.clone(),
                role,
                timing: deadline.map(|deadline| Box::new(Timing::until(deadline))),
                since: view.now(),
                priority: 0,
            };
            table.join(&view, joining)
        };
        if deadline.is_some() {
            registry.rearm();
        }
        Hold {
            registry,
            operation,
            key,
            waker: None,
        }
    }

    /// Resolves with [`Ended::Overdue`] at this instant instead of the one set before.
    pub(super) fn until(&mut self, deadline: Option<Instant>) {
        self.registry.table().set_deadline(self.key, deadline);
        self.registry.rearm();
        // What stands now may be due already: the next poll looks.
        self.waker = None;
    }

    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let known = self.waker.as_ref();
        if known.is_some_and(|waker| waker.will_wake(cx.waker())) && !self.operation.is_signalled()
        {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        let mut waker = self.waker.clone();
        let mut table = self.registry.table();
        let snapshot = self.registry.snapshot();
        let ended = table.poll_hold(self.key, &self.registry.view(&snapshot), &mut waker);
        drop(table);
        ended
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let entry = self.registry.table().remove(self.key, End::Dropped);
        drop(entry);
    }
}
