//! The futures that stand in the table: one waits for a match, one for the end of a match.

use super::error::MatchError;
use super::line::{Entry, Relax, Role, Timing, View};
use super::metrics::{self, End};
use super::operation::Operation;
use super::registry::{Key, Matched, Registry};
use super::table::{Ended, Fate, Joining, Table, Unmatched};
use crate::clock::Clock;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::Network;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
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
        let (want, registry) = (&fresh.want, self.registry.clone());
        if fresh.not_before.is_none() {
            let mut table = registry.table();
            let snapshot = registry.snapshot();
            let view = registry.view(&snapshot);
            let known = table.known(&view, &want.label, &want.destination);
            if let (Some((line, None)), false) = (&known, want.no_wait) {
                return self.join(fresh, waker, table, &view, *line);
            }
            // Operations that need not wait are judged side by side.
            drop(table);
            let looked = match known {
                Some((_, Some(networks))) => Ok(networks.to_vec()),
                _ => view.look(&want.label, &want.destination),
            };
            match looked {
                Ok(networks) => return Poll::Ready(Ok(self.matched(networks, want.label, &view))),
                Err(_) if want.no_wait => {
                    let what = Unmatched::asked(want.label, &want.destination);
                    let blocked = registry.explain(&view, &what);
                    return Poll::Ready(Err(MatchError::NoMatch(blocked)));
                }
                Err(_) => {}
            }
        }
        let mut table = registry.table();
        let snapshot = registry.snapshot();
        let view = registry.view(&snapshot);
        let line = table.line(&view, want.label, &want.destination);
        self.join(fresh, waker, table, &view, line)
    }

    /// Joins a line under the lock under which it was judged: whoever sweeps a later snapshot or
    /// policy finds us there.
    fn join(
        &mut self,
        fresh: &Fresh,
        waker: Waker,
        mut table: MutexGuard<'_, Table>,
        view: &View<'_>,
        line: Key,
    ) -> Poll<Result<Matched, MatchError>> {
        let mut waker = Some(waker);
        let before = table.next_alarm();
        let joining = Joining {
            operation: self.operation.clone(),
            role: Role::Wait,
            timing: fresh.timing(),
            since: fresh.since,
            priority: fresh.want.priority,
        };
        let key = table.join(line, joining);
        self.stage = Stage::Queued(key);
        let fate = table.poll(key, view, &mut waker);
        let over = fate.map(|fate| (fate, table.remove(key)));
        let after = table.next_alarm();
        drop(table);
        metrics::began(self.operation.kind());
        if let Poll::Ready((fate, entry)) = over {
            return Poll::Ready(self.finish(fate, entry, view));
        }
        self.operation.waits_in(&self.registry, key);
        if after != before {
            self.registry.rearm();
        }
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), label = %fresh.want.label,
            name = view.settings.name(&fresh.want.label).as_deref(),
            to = %fresh.want.destination, generation = view.snapshot.generation(),
            "waits for a network"
        );
        Poll::Pending
    }

    /// What was matched, said in a log.
    fn matched(&self, networks: Vec<Network>, label: Label, by: &View<'_>) -> Matched {
        let network = networks.first();
        let generation = by.snapshot.generation();
        tracing::debug!(
            target: "mancom::deferral",
            op = %self.operation.id(), kind = self.operation.kind(), %label,
            name = by.settings.name(&label).as_deref(),
            network = network.map(|network| tracing::field::display(network.id())),
            interface = network.map(Network::name), generation, "matched"
        );
        Matched {
            networks,
            label,
            generation,
        }
    }

    /// Tells how it ended, explained by the view that decided it.
    fn finish(&mut self, fate: Fate, entry: Entry, by: &View<'_>) -> Result<Matched, MatchError> {
        self.left(entry, fate.end());
        let error = match fate {
            Fate::Matched(networks, label) => {
                return Ok(self.matched(networks.to_vec(), label, by));
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

    /// After its entry left the table: the waker in it is a user's code, dropped without the lock.
    fn left(&mut self, entry: Entry, how: End) {
        self.stage = Stage::Done;
        self.operation.waits_no_more();
        if !entry.cancelled {
            metrics::ended(self.operation.kind(), how);
        }
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
                let over = fate.map(|fate| (fate, table.remove(key)));
                drop(table);
                over.map(|(fate, entry)| self.finish(fate, entry, &view))
            }
            Stage::Done => panic!("a wait is polled after it ended"),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Stage::Queued(key) = self.stage {
            let entry = self.registry.table().remove(key);
            self.left(entry, End::Dropped);
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
            let line = table.line(&view, label, &Destination::Unnamed);
            let joining = Joining {
                operation: operation.clone(),
                role,
                timing: deadline.map(|deadline| Box::new(Timing::until(deadline))),
                since: view.now(),
                priority: 0,
            };
            table.join(line, joining)
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
        let entry = self.registry.table().remove(self.key);
        drop(entry);
    }
}
