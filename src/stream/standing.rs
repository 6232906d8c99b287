//! Where a session stands while nothing carries it: in line for a match, as any operation, or held back
//! in that line until its next attempt. Either way it is listed, and a nudge and a `cancel` reach it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures_util::task::AtomicWaker;

use crate::deferral::{MatchError, Operation, Registry, Wait, Want};
use crate::label::Label;
use crate::label::matching::Destination;

#[derive(Debug)]
pub(super) struct Standing {
    operation: Operation,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Something carries it, or is about to.
    Nowhere,
    InLine(Box<Spot>),
    /// There is no line any more: the scout is gone, or it was withdrawn.
    TurnedAway,
}

#[derive(Debug)]
struct Spot {
    label: Label,
    to: Destination,
    /// Held back until then: something matches, and was tried.
    until: Option<Instant>,
    /// It has a deadline: the grace runs.
    bounded: bool,
    wait: Wait,
    /// Its first poll was.
    taken: bool,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Tells a nudge from the many other reasons for which a session's task is polled.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// What reached a session where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Something matches, and it is held back no more.
    Match,
    /// It is to try again at once.
    Nudge,
    /// It was withdrawn.
    Cancelled,
}

impl Spot {
    fn serves(&self, want: &Want, until: Option<Instant>) -> bool {
        let what = self.label == want.label && self.to == want.destination;
        what && self.until == until && self.bounded == want.deadline.is_some()
    }
}

impl Standing {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            place: Place::Nowhere,
        }
    }

    /// Stands in line, held back until then; keeps its place if it has that one.
    pub(super) fn wait(&mut self, registry: &Arc<Registry>, want: Want, until: Option<Instant>) {
        match &self.place {
            Place::TurnedAway => return,
            Place::InLine(spot) if spot.serves(&want, until) => return,
            _ => {}
        }
        // Its place is left before another one is taken: an operation stands in one.
        self.place = Place::Nowhere;
        let (label, to) = (want.label, want.destination.clone());
        let bell = Arc::new(Bell::default());
        // The next poll takes the place.
        bell.rung.store(true, Ordering::Relaxed);
        self.place = Place::InLine(Box::new(Spot {
            label,
            to,
            until,
            bounded: want.deadline.is_some(),
            wait: registry.wait_from(until, want, &self.operation),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            taken: false,
        }));
    }

    /// Stands nowhere.
    pub(super) fn leave(&mut self) {
        self.place = Place::Nowhere;
    }

    /// What reached it; leaves a wake-up behind where nothing did.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        let Place::InLine(spot) = &mut self.place else {
            return Poll::Pending;
        };
        spot.bell.task.register(cx.waker());
        if !spot.bell.rung.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let taken = std::mem::replace(&mut spot.taken, true);
        let ended = Pin::new(&mut spot.wait).poll(&mut Context::from_waker(&spot.waker));
        let (news, place) = match ended {
            Poll::Pending if taken => return Poll::Ready(News::Nudge),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(_)) => (Poll::Ready(News::Match), Place::Nowhere),
            Poll::Ready(Err(MatchError::Cancelled)) => {
                (Poll::Ready(News::Cancelled), Place::TurnedAway)
            }
            Poll::Ready(Err(MatchError::ScoutGone)) => (Poll::Pending, Place::TurnedAway),
            // The grace is over, and with it the session.
            Poll::Ready(Err(_)) => (Poll::Pending, Place::Nowhere),
        };
        self.place = place;
        news
    }
}
