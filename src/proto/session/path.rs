//! One path: what is known of it and what was said on it.
//!
//! An attach is accepted above the highest epoch seen under its id; the older path ends, and bytes that
//! still arrive on it are dropped unread. First on a path each side tells its whole state: OPEN of what
//! the peer may not know, ACK and CREDIT for each stream, RESET and STOP where they are not answered,
//! then RESUME. Nothing is sent on it before the peer's RESUME, for what was lost may have arrived; only
//! the first path of a session starts at once. When a path is lost, what flew on it is lost, and all
//! that may have been told on it alone is told again by another. Where everything hangs on one path and
//! the peer states there less than it had acknowledged, it has forgotten what it promised:
//! `PeerRolledBack` ends the session. RETIRE says that no more payload comes on this path; when both
//! have said so and everything on it is acknowledged it closes, so that a handover loses and repeats
//! nothing.

use std::time::Instant;

use super::decoder::Decoder;
use super::labels::{Definitions, Numbers};
use super::outbox::Outbox;
use super::sounding::Soundings;
use super::toll::{Tally, Toll};
use super::trust::Trust;
use super::{Measure, PathId, PathSides, PathStats};
use crate::label::Label;

/// Control frames kept for a path that does not take them; more ends the path.
pub(super) const MAX_ANSWERS: usize = 64 << 10;

/// How a path is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is not.
    No,
    /// Our CLOSE is out; the peer's answer ends it.
    Asked,
    /// The answer to the peer's CLOSE is the last thing on it.
    Answered,
}

#[derive(Debug)]
pub(super) struct Path {
    pub(super) id: PathId,
    /// Higher for paths attached later.
    pub(super) serial: u64,
    pub(super) sides: PathSides,
    pub(super) stats: PathStats,
    pub(super) numbers: Numbers,
    pub(super) definitions: Definitions,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    /// The peer said on it what it has; until then what was lost may have arrived.
    pub(super) resumed: bool,
    /// It did so once.
    pub(super) resume_heard: bool,
    /// We are to say what we have.
    pub(super) resume_due: bool,
    /// It was the only path from its attach on, at the dialler from when it was dialled, so that what
    /// the peer states on it can be held against what it acknowledged earlier.
    pub(super) alone: bool,
    /// We send no more payload on it, and said so.
    pub(super) retiring: bool,
    /// Nor does the peer.
    pub(super) peer_retired: bool,
    pub(super) closing: Closing,
    /// What is known of how it carries.
    pub(super) measure: Measure,
    /// Bytes its link took since that was measured.
    pub(super) handed: u64,
    /// How much it carries, where its link does not tell.
    pub(super) soundings: Soundings,
    /// Whether it is trusted to deliver, and why not.
    pub(super) trust: Trust,
    /// When something came on it last.
    pub(super) heard_at: Option<Instant>,
    /// Since when it owes an answer in silence.
    pub(super) owes_since: Option<Instant>,
    /// That was told.
    pub(super) stalled: bool,
    /// When payload came on it last, until the peer was asked for a word since.
    pub(super) fed: Option<Instant>,
    /// Bytes that flew on it when it was retired, or when that was last looked at.
    pub(super) owed: u64,
    /// Payload that came on it, by the urgency of its label.
    pub(super) received: [u64; 3],
}

/// What is known of a path that is gone.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: PathId,
    pub(super) stats: PathStats,
    pub(super) tally: Tally,
    pub(super) tolls: Vec<Toll>,
}

impl Path {
    pub(super) fn new(id: PathId, serial: u64, sides: PathSides) -> Self {
        Self {
            id,
            serial,
            sides,
            stats: PathStats::default(),
            numbers: Numbers::default(),
            definitions: Definitions::default(),
            decoder: Decoder::default(),
            outbox: Outbox::default(),
            resumed: false,
            resume_heard: false,
            resume_due: true,
            alone: false,
            retiring: false,
            peer_retired: false,
            closing: Closing::No,
            measure: Measure::default(),
            handed: 0,
            soundings: Soundings::default(),
            trust: Trust::default(),
            heard_at: None,
            owes_since: None,
            stalled: false,
            fed: None,
            owed: 0,
            received: [0; 3],
        }
    }

    /// Payload of this label came, `counted` among the control bytes of what was read.
    pub(super) fn payload_came(&mut self, label: &Label, bytes: usize, counted: bool) {
        self.received[label.urgency() as usize] += bytes as u64;
        if !self.outbox.tolls.is_empty() {
            self.outbox.tolls.received(label, bytes as u64, counted);
        }
    }

    /// Its bytes, by what they were.
    pub(super) fn tally(&self) -> Tally {
        let stats = &self.stats;
        let with = |payload: [u64; 3], all: u64| {
            let [interactive, default, background] = payload;
            let rest = all.saturating_sub(payload.iter().sum());
            [interactive, default, background, rest]
        };
        let sent = stats.payload_sent + stats.payload_resent + stats.control_sent;
        let received = stats.payload_received + stats.control_received;
        Tally {
            sent: with(self.outbox.sent, sent),
            received: with(self.received, received),
        }
    }

    /// Something arrived: whatever it owes, it is not silent.
    pub(super) fn heard(&mut self, now: Instant) {
        self.stalled = false;
        self.heard_at = Some(now);
        if let Some(since) = &mut self.owes_since {
            *since = now;
        }
    }

    /// Payload may be planned on it.
    pub(super) fn carries(&self) -> bool {
        self.resumed && !self.retiring && !self.peer_retired && self.closing == Closing::No
    }
}
