//! What limits of the process let go over a path: see [`account`](crate::account).
//!
//! The driver gives room before it offers a path, and takes back after it what is left. A frame pays when
//! it is planned, by its label, and is paid back if it is taken back unwritten. What cannot be held back
//! (control frames, what arrives, copies) is owed. A path whose room is used up waits; another of the same
//! class or a better one is used meanwhile, but none of a worse one.
//!
//! Where a budget is spent its policy forbids the label. The peer does not know, and its bytes cost as
//! much: while every open path is forbidden so, it gets no more credit for that label. A frame that is
//! half written is finished, for it was paid.

use std::time::Instant;

use super::choose::Judge;
use super::path::Path;
use super::stream::due;
use super::{PathId, Session};
use crate::label::Label;
use crate::label::matching::Traffic;

/// One limit on one path.
#[derive(Debug, Clone, Default)]
pub struct Toll {
    /// Whose bytes pay it.
    pub traffic: Traffic,
    /// Bytes that may still be planned.
    pub room: u64,
    /// There was none when the driver asked last, and when it is to ask again.
    pub dry: bool,
    /// See above; `None` if only another policy changes that.
    pub again: Option<Instant>,
    /// More would have been planned if there had been room.
    pub wanted: bool,
    /// Bytes sent that nobody asked for.
    pub over: u64,
    /// Bytes received, and control bytes sent, since this was last taken.
    pub owed: u64,
}

/// Those of one path; most have none.
#[derive(Debug, Default)]
pub(super) struct Tolls(Vec<Toll>);

/// Bytes of one path, by what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sent: payload by its label's urgency, as that is ordered, and last everything else.
    pub sent: [u64; 4],
    /// Received, the same.
    pub received: [u64; 4],
}

impl Tolls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of<'a>(&'a mut self, label: &'a Label) -> impl Iterator<Item = &'a mut Toll> {
        self.0
            .iter_mut()
            .filter(move |toll| toll.traffic.includes(label))
    }

    /// How many of so many bytes of this label may be planned; where that is 0, when to ask again.
    pub(super) fn room(&mut self, label: &Label, wanted: u64) -> (u64, Option<Instant>) {
        let mut room = (u64::MAX, None);
        for toll in self.of(label) {
            toll.wanted |= wanted > toll.room;
            if toll.room < room.0 {
                room = (toll.room, toll.again);
            }
        }
        room
    }

    /// Whether nothing of this label may go.
    pub(super) fn is_dry(&self, label: &Label) -> bool {
        let mut tolls = self.0.iter();
        tolls.any(|toll| toll.dry && toll.traffic.includes(label))
    }

    /// A frame of so many bytes is planned.
    pub(super) fn pay(&mut self, label: &Label, bytes: u64) {
        for toll in self.of(label) {
            toll.over += bytes.saturating_sub(toll.room);
            toll.room = toll.room.saturating_sub(bytes);
        }
    }

    /// It was taken back.
    pub(super) fn pay_back(&mut self, label: &Label, bytes: u64) {
        for toll in self.of(label) {
            toll.room = toll.room.saturating_add(bytes);
        }
    }

    /// Payload of this label arrived; `counted` among what [`all`](Self::all) was told.
    pub(super) fn received(&mut self, label: &Label, bytes: u64, counted: bool) {
        for toll in self.of(label) {
            if !(counted && toll.traffic.is_all()) {
                toll.owed += bytes;
            }
        }
    }

    /// Bytes without a label went or came.
    pub(super) fn all(&mut self, bytes: u64) {
        for toll in &mut self.0 {
            if toll.traffic.is_all() {
                toll.owed += bytes;
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Toll> {
        std::mem::take(&mut self.0)
    }
}

impl Session {
    /// What goes over a path pays these from now on. What was planned is decided again; returns what
    /// was there before, to be settled.
    pub fn set_tolls(&mut self, path: PathId, traffic: impl Iterator<Item = Traffic>) -> Vec<Toll> {
        let Some(slot) = self.slot(path) else {
            return Vec::new();
        };
        self.unplan(slot);
        let fresh = traffic.map(|traffic| Toll {
            traffic,
            ..Toll::default()
        });
        let before = match &mut self.paths[slot] {
            Some(path) => std::mem::replace(&mut path.outbox.tolls.0, fresh.collect()),
            None => Vec::new(),
        };
        self.all_ready();
        before
    }

    /// Whether the peer gets no more credit for payload of this label, for it could come only where a
    /// budget is spent.
    pub(super) fn withholds(&self, label: &Label) -> bool {
        let Some(lasting) = &self.lasting else {
            return false;
        };
        let (judge, otherwise) = (
            Judge::of(&self.policy, self.role),
            Judge::of(lasting, self.role),
        );
        let open = || self.paths.iter().flatten();
        let spent = |path: &Path| otherwise.lets(path, label);
        !open().any(|path| judge.lets(path, label)) && open().any(|path| spent(path))
    }

    /// What was withheld may be due again.
    pub(super) fn credit_again(&mut self) {
        let due = self.streams.values().filter(|s| s.receive.credit_due());
        let due: Vec<_> = due.map(|stream| stream.id).collect();
        for id in due {
            self.mark(id, due::CREDIT);
        }
    }

    /// The tolls of an open path, as they were set.
    pub fn tolls(&mut self, path: PathId) -> &mut [Toll] {
        let slot = self.slot(path);
        match slot.and_then(|slot| self.paths[slot].as_mut()) {
            Some(path) => &mut path.outbox.tolls.0,
            None => &mut [],
        }
    }

    /// Those of a path that is gone, to be settled; once.
    pub fn last_tolls(&mut self, path: PathId) -> Vec<Toll> {
        let ended = self.ended.iter_mut().find(|ended| ended.id == path);
        ended.map_or_else(Vec::new, |ended| std::mem::take(&mut ended.tolls))
    }

    /// What went over an open path, or one that is gone, as [`path_stats`](Self::path_stats) tells it.
    pub fn tally(&self, path: PathId) -> Option<Tally> {
        let open = self.slot(path).and_then(|slot| self.paths[slot].as_ref());
        let gone = || self.ended.iter().find(|ended| ended.id == path);
        open.map(|path| path.tally())
            .or_else(|| gone().map(|ended| ended.tally))
    }
}
