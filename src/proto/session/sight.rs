//! What a driver tells of paths and of the process, and what it asks of them.

use std::time::Instant;

use super::{Measure, PathId, Session, Surroundings};

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
}

impl Session {
    /// What the system measured of a path now.
    pub fn measured(&mut self, now: Instant, path: PathId, measure: Measure) {
        let _ = (now, path, measure);
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
        let _ = path;
        0
    }

    /// The urgencies of which something waits to be sent: 1 interactive, 2 default, 4 background.
    pub fn waiting_urgencies(&self) -> u8 {
        0
    }

    /// Whether what goes on a path depends on measurements now: there are several, or the gate is.
    pub fn wants_measures(&self) -> bool {
        false
    }

    /// Whether interactive traffic and other goes over this session, so that lanes are worth opening.
    pub fn wants_lanes(&self) -> bool {
        false
    }

    /// How an open path fares.
    pub fn path_state(&self, path: PathId) -> Option<PathState> {
        let slot = self.slot(path)?;
        let state = self.paths[slot].as_ref()?;
        Some(PathState {
            carries: state.carries(),
            suspect: false,
            silent: state.owes_since.filter(|_| state.stalled),
            lane: usize::from(path.id) >= super::MAX_PATHS / 2,
        })
    }
}
