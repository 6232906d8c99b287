//! What a driver tells of paths and of the process, and what it asks of them and of streams.

use std::time::Instant;

use super::choose::{Judge, LANES};
use super::decoder::Place;
use super::ready::TURNS;
use super::{Measure, PathId, Session, StreamId, Surroundings};
use crate::label::{Label, Urgency};
use crate::proto::schedule::ACTIVE;

/// How an open path fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathState {
    /// It may carry payload: both ends said what they have on it, and nobody gives it up.
    pub carries: bool,
    /// It owes acknowledgements and shows no progress.
    pub suspect: bool,
    /// Since when it owes an answer in silence, once that is longer than [`Config::stall`].
    ///
    /// [`Config::stall`]: super::Config::stall
    pub silent: Option<Instant>,
    /// It is a network's lane for interactive traffic: ids 4 to 7 are, beside the paths 0 to 3.
    pub lane: bool,
    /// What is known of it: told by the driver where its link measures, else sampled.
    pub measure: Measure,
}

/// How far a stream has come, bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    /// Accepted from its writer.
    pub written: u64,
    /// Of those, in the peer's library without a gap.
    pub acknowledged: u64,
    /// Given to its reader.
    pub read: u64,
}

impl Session {
    /// What the system measured of a path now.
    pub fn measured(&mut self, now: Instant, path: PathId, measure: Measure) {
        let Some(slot) = self.slot(path) else {
            return;
        };
        let moved = (self.paths[slot].as_mut()).is_some_and(|path| path.measured(measure));
        if moved {
            self.progressed_on(now, slot);
        } else {
            self.check_measured(now, slot);
        }
    }

    /// What the process does around this session.
    pub fn surroundings(&mut self, now: Instant, around: Surroundings) {
        let _ = now;
        self.around = around;
    }

    /// When interactive payload last went or came.
    pub fn interactive_at(&self) -> Option<Instant> {
        self.interactive
    }

    /// Background bytes outstanding on a path, those that its link has not taken yet included.
    pub fn background_on(&self, path: PathId) -> u64 {
        let Some(slot) = self.slot(path) else {
            return 0;
        };
        let streams = self.streams.values();
        let flying = streams
            .map(|stream| stream.send.background_on(slot))
            .sum::<u64>()
            + self.messages.background_on(slot);
        match &self.paths[slot] {
            // What the peer's kernel has and its library has not said so is not outstanding any more.
            Some(path) if path.trust.measured => {
                let queued = path.outbox.queued() as u64;
                let link = path.measure.outstanding.saturating_add(path.handed);
                u64::min(flying, link.saturating_add(queued))
            }
            Some(path) => {
                let queued = path.outbox.queued() as u64;
                let way = path.sounded().map(|way| way.saturating_add(queued));
                way.map_or(flying, |way| way.min(flying))
            }
            None => flying,
        }
    }

    /// Whether [`background_on`](Self::background_on) may be more than 0 for some path.
    pub fn has_background(&self) -> bool {
        // Most sessions never have any, and are asked with every byte.
        let streams = || self.streams.values().any(|s| s.send.has_background());
        self.had_background && (streams() || self.messages.has_background())
    }

    /// The urgencies of which something waits to be sent: 1 interactive, 2 default, 4 background.
    pub fn waiting_urgencies(&self) -> u8 {
        let planned = |turn: &Urgency| {
            let paths = self.paths.iter().flatten();
            paths.map(|path| path.outbox.of(*turn)).any(|left| left > 0)
        };
        let waits = |turn: &Urgency| self.waits(*turn) || planned(turn);
        TURNS
            .iter()
            .filter(|turn| waits(turn))
            .map(|turn| 1 << *turn as u8)
            .sum()
    }

    /// Whether what goes on a path depends on measurements now: there are several, or there is a gate.
    pub fn wants_measures(&self) -> bool {
        self.held_since[Urgency::Background as usize].is_some()
            || self.waits(Urgency::Background)
            || self.several_open()
            || self.is_mixed(self.interactive.max(self.around.interactive))
    }

    /// Whether interactive traffic and other goes over this session, so that lanes are worth opening.
    pub fn wants_lanes(&self) -> bool {
        self.is_mixed(self.interactive)
    }

    /// Whether interactive traffic was active, and other too, when something went last.
    fn is_mixed(&self, interactive: Option<Instant>) -> bool {
        let recent = |at: Option<Instant>| {
            let (at, latest) = (at?, self.planned.max(self.interactive)?);
            Some(latest.saturating_duration_since(at) < ACTIVE)
        };
        recent(interactive) == Some(true) && recent(self.bulk) == Some(true)
    }

    /// How an open path fares.
    pub fn path_state(&self, path: PathId) -> Option<PathState> {
        let slot = self.slot(path)?;
        let state = self.paths[slot].as_ref()?;
        Some(PathState {
            carries: state.carries(),
            suspect: state.trust.suspect,
            silent: state.owes_since.filter(|_| state.stalled),
            lane: usize::from(path.id) >= LANES,
            measure: state.measure,
        })
    }

    /// How far a stream has come; `None` for one that is not known (any more).
    pub fn offsets(&self, stream: StreamId) -> Option<Offsets> {
        let stream = self.streams.get(&stream)?;
        Some(Offsets {
            written: stream.send.written(),
            acknowledged: stream.send.acknowledged(),
            read: stream.receive.consumed(),
        })
    }

    /// Bytes kept for streams and messages, both directions.
    pub fn buffered(&self) -> usize {
        let kept = |stream: &super::stream::Stream| stream.send.rope.len() + stream.receive.held();
        let streams: usize = self.streams.values().map(|stream| kept(stream)).sum();
        streams + self.messages.buffered()
    }

    /// Whether both ends' facts let payload of this label travel on an open path.
    pub fn permits(&self, path: PathId, label: &Label) -> bool {
        let Some(slot) = self.slot(path) else {
            return false;
        };
        let judge = Judge::of(&self.policy, self.role);
        let path = self.paths[slot].as_deref();
        path.is_some_and(|path| judge.lets(path, label))
    }

    /// The same if no budget were spent.
    pub fn permits_but_for_budgets(&self, path: PathId, label: &Label) -> bool {
        let Some(slot) = self.slot(path) else {
            return false;
        };
        let policy = self.lasting.as_ref().unwrap_or(&self.policy);
        let judge = Judge::of(policy, self.role);
        let path = self.paths[slot].as_deref();
        path.is_some_and(|path| judge.lets(path, label))
    }

    /// The label of the payload that comes next on a path, if it stands inside a data frame.
    pub fn direct_label(&self, path: PathId) -> Option<Label> {
        let path = self.paths[self.slot(path)?].as_ref()?;
        match path.decoder.place {
            Place::Payload(header) => path.definitions.get(header.label).ok(),
            _ => None,
        }
    }
}
