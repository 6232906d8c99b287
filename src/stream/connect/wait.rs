//! What a `connect` waits for: networks that match, and the pause between two rounds.

use std::time::Duration;

use super::pinned;
use super::plan::Plan;
use crate::clock::Clock;
use crate::deferral::{MatchError, Matched, Want};
use crate::label::{Label, LabelError};
use crate::network::Network;
use crate::stream::error::ConnectError;
use crate::stream::whereabouts::destination;

impl Plan {
    /// The networks to try, and the label as the user said it that admits them.
    pub(super) async fn wait(&mut self) -> Result<Matched, ConnectError> {
        loop {
            let waited = Clock::now().saturating_duration_since(self.started);
            self.asks = self.asks.clone().now().await;
            let snapshot = self.context.registry().snapshot();
            let (endpoint, others) = self.asks.place();
            self.destination = destination(endpoint, others, &*self.context);
            let loosely = |(after, label): (Duration, Label)| {
                Ok::<_, LabelError>((after.saturating_sub(waited), self.pinned(label)?))
            };
            let want = Want {
                label: self.pinned(self.label).map_err(MatchError::from)?,
                destination: self.destination.clone(),
                deadline: self.deadline,
                relax: self
                    .relax
                    .map(loosely)
                    .transpose()
                    .map_err(MatchError::from)?,
                no_wait: self.no_wait,
                priority: self.asks.priority,
            };
            let waiting = self.context.registry().wait(want, &self.operation);
            let mut snapshots = self.context.registry().snapshots();
            let matched = tokio::select! {
                biased;
                matched = waiting => matched,
                // Which addresses are this host's own is known with the first whole scan.
                Ok(_) = snapshots.wait_for(|now| now.is_complete()), if !snapshot.is_complete() => continue,
            };
            return match matched {
                Ok(matched) => Ok(self.unpinned(matched)),
                Err(error) => Err(self.unmatched(error)),
            };
        }
    }

    pub(super) fn pinned(&self, label: Label) -> Result<Label, LabelError> {
        pinned(label, self.only.as_deref())
    }

    /// The interface is this host's business: the stream's label is the user's.
    fn unpinned(&self, matched: Matched) -> Matched {
        let is_first = self
            .pinned(self.label)
            .is_ok_and(|first| first == matched.label);
        let label = match self.relax {
            Some((_, looser)) if !is_first => looser,
            _ => self.label,
        };
        Matched { label, ..matched }
    }

    /// The wait ended without a match; what was tried before is part of the story.
    fn unmatched(&mut self, error: MatchError) -> ConnectError {
        let waited = Clock::now().saturating_duration_since(self.started);
        match error {
            MatchError::TimedOut(mut blocked) => {
                blocked.waited = Some(waited);
                match self.attempts.is_empty() {
                    true => MatchError::TimedOut(blocked).into(),
                    false => self.late(Some(blocked)),
                }
            }
            MatchError::NoMatch(blocked) if !self.attempts.is_empty() => self.failed(Some(blocked)),
            error => error.into(),
        }
    }

    /// Whether this network still is one to try.
    pub(super) fn admits(&self, way: Option<&Network>, label: Label) -> bool {
        let Some(network) = way else { return true };
        let label = self.pinned(label).unwrap_or(label);
        let matching = self
            .context
            .registry()
            .candidates(&label, &self.destination);
        matching.is_ok_and(|networks| networks.iter().any(|other| other.id() == network.id()))
    }

    /// Resolves when this network is none to try any more.
    pub(super) async fn leaves(&self, way: Option<&Network>, label: Label) {
        let mut snapshots = self.context.registry().snapshots();
        while self.admits(way, label) {
            if snapshots.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Between two rounds; a change of what matches or a nudge ends it early.
    pub(super) async fn pause(&mut self, pause: Duration) -> Result<(), ConnectError> {
        let registry = self.context.registry();
        let mut snapshots = registry.snapshots();
        let label = self.pinned(self.label).unwrap_or(self.label);
        let ids = || {
            let matching = registry
                .candidates(&label, &self.destination)
                .unwrap_or_default();
            matching.iter().map(Network::id).collect::<Vec<_>>()
        };
        let before = ids();
        let changed = async {
            while ids() == before {
                if snapshots.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let late = tokio::select! {
            biased;
            () = Clock::reached(self.deadline) => true,
            () = tokio::time::sleep(pause) => false,
            () = changed => false,
            () = self.operation.nudged() => false,
        };
        if late { Err(self.late(None)) } else { Ok(()) }
    }
}
