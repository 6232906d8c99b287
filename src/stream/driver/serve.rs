//! The session's one task: timers, idle paths, and what no caller polls for.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::super::roam::{Roamer, changed};
use super::super::tracker::Guard;
use super::super::withheld::Withheld;
use super::sockets::READS;
use super::wakers::WATCH;
use super::{Driver, State};
use crate::clock::Clock;
use crate::proto::session::CloseReason;

/// Starts the session's one task. It ends with the session, and the session with it: one whose task
/// panics is aborted.
pub(in crate::stream) fn spawn(
    driver: Arc<Driver>,
    mut roamer: Option<Roamer>,
    alive: Guard,
    after: impl FnOnce() + Send + 'static,
) {
    tokio::spawn(async move {
        let _alive = alive;
        let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        let registry = driver.context.registry();
        // A roamer waits for snapshots itself, in this task.
        let mut withheld = Withheld::default();
        let mut snapshots = roamer.is_none().then(|| changed(registry.snapshots()));
        let mut revised = changed(registry.revised());
        // A timer stands still while the machine sleeps; what it is set for does not.
        let mut jumped = std::pin::pin!(Clock::jumped());
        let mut deferred = false;
        let serving = std::future::poll_fn(|cx| {
            driver.wakers.register_driver(cx.waker());
            // Bulk holds the lock most of the time, and takes it again sooner than a thread that sleeps for
            // it wakes: its thread serves, once it has nothing to do. Twice in a row nothing is put off.
            deferred = !deferred && driver.is_held();
            if deferred {
                return Poll::Pending;
            }
            while jumped.as_mut().poll(cx).is_ready() {
                jumped.set(Clock::jumped());
            }
            // Whatever may have to go or to stop with these is served below.
            while let Some(Poll::Ready(receiver)) =
                snapshots.as_mut().map(|next| next.as_mut().poll(cx))
            {
                snapshots = Some(changed(receiver));
            }
            while let Poll::Ready(receiver) = revised.as_mut().poll(cx) {
                revised = changed(receiver);
            }
            let served = driver.poll_serve(cx, sleep.as_mut());
            if served.is_pending() {
                match &mut roamer {
                    Some(roamer) => roamer.poll(cx, &driver),
                    None => withheld.poll(cx, &driver),
                }
            }
            served
        });
        // Nobody else would ever tell those who wait for something of this session that it is in vain.
        let served = AssertUnwindSafe(serving).catch_unwind().await;
        if served.is_err() {
            tracing::error!(target: "mancom::session", "the session's task panicked: it is aborted");
            driver.abort(CloseReason::Aborted);
        }
        driver.finish();
        after();
        if let Err(panic) = served {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Driver {
    /// Serves timers and what no caller polls for; ready once the session is over.
    pub(in crate::stream) fn poll_serve(
        &self,
        cx: &mut TaskContext<'_>,
        mut sleep: Pin<&mut tokio::time::Sleep>,
    ) -> Poll<()> {
        // Looks up the time asleep, for all that follows.
        let _ = Clock::now();
        loop {
            let summoned = self.wakers.take_summons();
            let (over, due, more) = self.with(|state, now| {
                let look = summoned | state.is_neglected(now);
                let more = look && state.receive(now, READS);
                if state.core.poll_timeout().is_some_and(|(at, _)| at <= now) {
                    state.core.handle_timeout(now);
                }
                state.end_absences(now);
                state.relax_messages(now);
                state.transmit(now);
                let due = [state.watch_at, state.due(), state.relax_at()];
                state.armed = due.into_iter().flatten().min();
                let wait = state.armed.map(|at| at.saturating_duration_since(now));
                (state.is_over(), wait, more)
            });
            if over {
                return Poll::Ready(());
            }
            if more {
                self.wakers.summon();
                return Poll::Pending;
            }
            let Some(wait) = due else {
                return Poll::Pending;
            };
            sleep.as_mut().reset(tokio::time::Instant::now() + wait);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl State {
    /// Whether the sockets had news and nobody looked at them for a while.
    pub(super) fn is_neglected(&mut self, now: Instant) -> bool {
        if !self.wakers.is_watching() {
            self.watch_at = None;
            return false;
        }
        let looks = self.wakers.looks();
        match self.watch_at {
            Some(at) if at > now => return false,
            Some(_) if looks == self.looks => {
                self.watch_at = None;
                return self.wakers.end_watch();
            }
            Some(_) if !self.wakers.is_ready() => {
                // The news may come between the two looks: the second one counts.
                self.watch_at = None;
                if !self.wakers.end_watch() {
                    return false;
                }
                self.wakers.looked_away();
            }
            _ => {}
        }
        self.watch_at = Some(now + WATCH);
        self.looks = looks;
        false
    }
}
