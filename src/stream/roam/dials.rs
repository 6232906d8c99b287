//! Attempts under way: several at once, one a network and its lane.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::dial::DialError;
use super::rests::Of;
use super::view::LANES;
use super::ways::Way;
use crate::label::matching::PathFacts;
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::PathId;
use crate::transport::{BoxFuture, ByteLink};

/// An attempt may be silent for so many round trips of its network, if it has told any, before another
/// network is tried instead: connecting, and two questions with their answers.
const PATIENCE: u32 = 5;

/// A path that was proved.
pub(super) struct Dialled {
    pub(super) path: PathId,
    pub(super) link: Box<dyn ByteLink>,
    pub(super) facts: PathFacts,
}

/// What an attempt is for.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) slot: u8,
    pub(super) way: Way,
    /// Given up once it is there.
    pub(super) instead_of: Option<PathId>,
    /// From when on it may be held against it that it is silent.
    pub(super) began: Instant,
}

impl Attempt {
    pub(super) fn id(&self) -> Option<NetworkId> {
        self.way.as_ref().map(Network::id)
    }

    pub(super) fn is_lane(&self) -> bool {
        self.slot >= LANES
    }

    pub(super) fn of(&self) -> Of {
        Of {
            id: self.id(),
            lane: self.is_lane(),
        }
    }

    /// How long it may be silent.
    pub(super) fn patience(&self, stall: Duration) -> Duration {
        let rtt = self.way.as_ref().and_then(Network::rtt);
        stall.max(rtt.unwrap_or_default().saturating_mul(PATIENCE))
    }

    /// When it was silent for too long; `None` if it may be for ever.
    pub(super) fn due(&self, stall: Duration) -> Option<Instant> {
        self.began.checked_add(self.patience(stall))
    }
}

type Dialling = BoxFuture<'static, Result<Dialled, DialError>>;

/// At most one a slot.
#[derive(Default)]
pub(super) struct Dials(Vec<(Attempt, Dialling)>);

impl Dials {
    pub(super) fn begin(&mut self, attempt: Attempt, dialling: Dialling) {
        self.0.push((attempt, dialling));
    }

    /// The first that ended.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(Attempt, Result<Dialled, DialError>)> {
        for at in 0..self.0.len() {
            if let Poll::Ready(result) = self.0[at].1.as_mut().poll(cx) {
                let (attempt, _) = self.0.remove(at);
                return Poll::Ready((attempt, result));
            }
        }
        Poll::Pending
    }

    /// Gives up those whose network went.
    pub(super) fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        self.0.retain(|(attempt, _)| {
            let way = attempt.way.as_ref();
            way.is_none_or(|network| snapshot.successor(network, None).is_some())
        });
    }

    /// Gives up those over networks that are not among these.
    pub(super) fn keep(&mut self, networks: &[&Network]) {
        let among = |id| networks.iter().any(|network| network.id() == id);
        self.0.retain(|(attempt, _)| attempt.id().is_none_or(among));
    }

    /// Gives up those that were to replace a silent path of a network on which a path is well again: it
    /// knows its way, and a new connection would have to learn it.
    pub(super) fn spare(&mut self, is_well: impl Fn(Option<NetworkId>) -> bool) {
        self.0.retain(|(attempt, _)| {
            attempt.is_lane() || attempt.instead_of.is_some() || !is_well(attempt.id())
        });
    }

    pub(super) fn stop(&mut self, slot: u8) {
        self.0.retain(|(attempt, _)| attempt.slot != slot);
    }

    pub(super) fn stop_all(&mut self) {
        self.0.clear();
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter().map(|(attempt, _)| attempt)
    }

    /// Those for a general path.
    pub(super) fn general(&self) -> impl Iterator<Item = &Attempt> {
        self.all().filter(|attempt| !attempt.is_lane())
    }

    pub(super) fn takes(&self, slot: u8) -> bool {
        self.all().any(|attempt| attempt.slot == slot)
    }
}
