//! Where a session stands while nothing carries it: in line for a match, as any operation, or in a
//! back-off. Either way others find it under its operation, and a nudge reaches it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::deferral::{MatchError, Nudged, Operation, Registry, Wait, Want};
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
    /// In line, for this label and destination.
    InLine(Box<(Label, Destination, Wait)>),
    /// There is no line any more: the scout is gone, or it was withdrawn.
    TurnedAway,
    /// Before the next attempt.
    Resting(Nudged),
}

/// What reached a session where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Something matches.
    Match,
    /// It is to try again at once.
    Nudge,
    /// It was withdrawn.
    Cancelled,
}

impl Standing {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            place: Place::Nowhere,
        }
    }

    /// Stands in line; keeps its place if it has one there.
    pub(super) fn wait(&mut self, registry: &Arc<Registry>, want: Want) {
        match &self.place {
            Place::TurnedAway => return,
            Place::InLine(at) if at.0 == want.label && at.1 == want.destination => return,
            _ => {}
        }
        // Its place is left before another one is taken: an operation stands in one.
        self.place = Place::Nowhere;
        let (label, to) = (want.label, want.destination.clone());
        let wait = registry.wait(want, &self.operation);
        self.place = Place::InLine(Box::new((label, to, wait)));
    }

    /// Rests before the next attempt.
    pub(super) fn rest(&mut self) {
        if !matches!(self.place, Place::Resting(_)) {
            self.place = Place::Nowhere;
            self.place = Place::Resting(self.operation.nudged());
        }
    }

    /// Stands nowhere.
    pub(super) fn leave(&mut self) {
        self.place = Place::Nowhere;
    }

    /// What reached it; leaves a wake-up behind where nothing did.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        let (news, next) = match &mut self.place {
            Place::Nowhere | Place::TurnedAway => return Poll::Pending,
            Place::Resting(nudged) => match Pin::new(nudged).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => (Poll::Ready(News::Nudge), Place::Nowhere),
            },
            Place::InLine(at) => match Pin::new(&mut at.2).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => (Poll::Ready(News::Match), Place::Nowhere),
                Poll::Ready(Err(MatchError::Cancelled)) => {
                    (Poll::Ready(News::Cancelled), Place::TurnedAway)
                }
                Poll::Ready(Err(MatchError::ScoutGone)) => (Poll::Pending, Place::TurnedAway),
                // The grace is over, and with it the session.
                Poll::Ready(Err(_)) => (Poll::Pending, Place::Nowhere),
            },
        };
        self.place = next;
        news
    }
}
