//! A message to be sent, from when it is taken until nobody asks for it any more.

use std::time::Instant;

use bytes::Bytes;

use super::Fate;
use super::parts::Parts;
use crate::label::Label;

/// What a message comes after, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one sent so before it; that one's predecessor, if it is given up.
    Chained,
    /// Those it needs: one given up, it is lost.
    Named,
    /// All before it, those that are given up excepted.
    Barrier,
}

/// What a message comes after.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Messages that are not delivered, by their ids.
    pub(super) after: Vec<u64>,
    /// Those that are, by their numbers on the wire: the peer's program may not have them yet.
    pub(super) seqs: Vec<u64>,
    /// All of a lower number.
    pub(super) below: u64,
}

/// How far the giving up of a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// The peer is asked. `settled`: its fate is known already.
    Withdrawing {
        cause: Fate,
        settled: bool,
    },
    /// It will never be delivered. The peer keeps its number open until it hears FORGET, which goes once
    /// no message that needs it can be delivered (`told`), and once what it came after is settled
    /// (`clear`), so that what comes after it does not overtake that.
    Tomb {
        clear: bool,
        told: bool,
    },
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) label: Label,
    /// The urgency whose buffer it fills: the one it was begun with.
    pub(super) lane: usize,
    /// Its own urgency or that of the most urgent message that comes after it.
    pub(super) rank: usize,
    pub(super) kind: Kind,
    pub(super) bytes: Bytes,
    /// What it takes of the credit.
    pub(super) charge: u64,
    /// Its place among those sent without `after`, and in which urgency.
    pub(super) link: Option<(usize, u64)>,
    /// Bytes that it counts against the buffer.
    pub(super) weight: usize,
    /// Its number on the wire, once it was planned.
    pub(super) seq: Option<u64>,
    /// It took its credit: parts of it may go.
    pub(super) begun: bool,
    /// A byte of it was written to a link.
    pub(super) written: bool,
    pub(super) expires: Option<Instant>,
    pub(super) place: Place,
    /// What comes after it, those included that are gone since.
    pub(super) followers: Vec<u64>,
    /// So many of them.
    pub(super) gone: usize,
    /// It is to be given up because of another.
    pub(super) doomed: bool,
    /// Messages it comes after that were not sent whole yet.
    pub(super) unsent: usize,
    pub(super) sent_whole: bool,
    pub(super) state: State,
    pub(super) parts: Parts,
}

impl Record {
    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether its fate is told.
    pub(super) fn settled(&self) -> bool {
        match self.state {
            State::Live => false,
            State::Withdrawing { settled, .. } => settled,
            State::Tomb { .. } => true,
        }
    }

    /// The urgency whose credit it takes.
    pub(super) fn own(&self) -> usize {
        self.label.urgency() as usize
    }
}
