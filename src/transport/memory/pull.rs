//! Holding back a reader outside the windows of its transport's schedule.

use super::world::news;
use crate::proto::pull::PullSchedule;
use crate::transport::BoxFuture;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// The schedule in force of one transport object.
pub(super) type Pulls = watch::Sender<Option<Arc<PullSchedule>>>;
type Seen = watch::Receiver<Option<Arc<PullSchedule>>>;

/// One reader's view of it.
pub(super) struct Gate {
    seen: Seen,
    schedule: Option<Arc<PullSchedule>>,
    /// While it is closed: the next schedule, and the next opening.
    waiting: Option<(BoxFuture<'static, ()>, Pin<Box<Sleep>>)>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Gate");
        text.field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

impl Gate {
    pub(super) fn of(pulls: &Pulls) -> Self {
        let seen = pulls.subscribe();
        let schedule = seen.borrow().clone();
        Self {
            seen,
            schedule,
            waiting: None,
        }
    }

    /// Ready where there is no schedule, and inside a window; else woken by the next opening, or by
    /// another schedule.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // An error says that the transport is gone; its last schedule stays.
            if self.seen.has_changed().unwrap_or(false) {
                self.schedule = self.seen.borrow_and_update().clone();
                self.waiting = None;
            }
            let Some(schedule) = &self.schedule else {
                return Poll::Ready(());
            };
            let now = Instant::now().into_std();
            let opens = schedule.opens_at(now);
            if opens <= now {
                self.waiting = None;
                return Poll::Ready(());
            }
            let (changed, timer) = self.waiting.get_or_insert_with(|| {
                let mut seen = self.seen.clone();
                let changed = Box::pin(async move { news(&mut seen).await });
                (changed, Box::pin(sleep_until(Instant::from_std(opens))))
            });
            let is_due = timer.as_mut().poll(cx).is_ready();
            if !is_due && changed.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
        }
    }
}
