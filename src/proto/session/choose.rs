//! Which path carries what: the paths of this moment, as the scheduler wants to see them.
//!
//! What a label may not use is left out, every other path that carries payload is a candidate, and
//! [`schedule::place`] decides among them. A session of one path, whose traffic nobody holds back, asks
//! nothing but whether the path admits the label.
//!
//! All paths carry at once, for a label those of its best class; each takes something when its link has
//! room. Ids 0 to 3 are networks, an id from 4 to 7 is the lane for interactive traffic beside the path of
//! the id less 4. Payload of a redundant interactive label goes twice. A rate, where one is set, is that
//! of all paths together.

use std::time::Instant;

use super::frame::DATA_HEADER;
use super::path::Path;
use super::send::{Asking, Verdict};
use super::{MAX_PATHS, Measure, Role, Surroundings, plan};
use crate::label::matching::{self, Policy};
use crate::label::{Label, Urgency};
use crate::network::Network;
use crate::proto::schedule::gate::{self, Queue};
use crate::proto::schedule::{self, Candidate, Choice};

/// The paths of a session, by slot.
pub(super) type Paths = [Option<Box<Path>>; MAX_PATHS];

/// Ids from here on are lanes for interactive traffic, each beside the path of the id so much less.
pub(super) const LANES: usize = MAX_PATHS / 2;

/// A number for the network of each path, by slot: the first slot on it, so that its paths share one
/// whatever their slots are. A listener knows of its own network alone, which all its paths may have in
/// common: there, as where no network is used, a path shares one with its lane.
pub(super) fn networks(paths: &Paths, dialler: bool) -> [u8; MAX_PATHS] {
    let of = |slot: usize| {
        let path = paths[slot].as_deref().filter(|_| dialler)?;
        path.sides.local.as_ref().map(Network::id)
    };
    std::array::from_fn(|slot| {
        let known = of(slot).and_then(|id| (0..slot).find(|first| of(*first) == Some(id)));
        let own = if of(slot).is_some() {
            slot
        } else {
            slot % LANES
        };
        known.unwrap_or(own) as u8
    })
}

/// What decides beside the paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) policy: &'a Policy,
    /// Whether the local end is the dialler, of whose network required kinds are asked.
    pub(super) dialler: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn of(policy: &'a Policy, role: Role) -> Self {
        let dialler = role == Role::Dialler;
        Self { policy, dialler }
    }

    /// Whether both ends' facts allow this label, asked anew.
    pub(super) fn lets(&self, path: &Path, label: &Label) -> bool {
        let (local, remote) = (path.sides.local.as_ref(), &path.sides.remote);
        matching::permits(label, local, remote, self.dialler, self.policy)
    }

    /// Where a path stands for payload of this label; `None` if either end's facts forbid it.
    pub(super) fn class(&self, path: &mut Path, label: &Label) -> Option<u16> {
        let sides = &path.sides;
        path.numbers.class(label, || {
            let (local, remote) = (sides.local.as_ref(), &sides.remote);
            matching::permits(label, local, remote, self.dialler, self.policy)
                .then(|| matching::path_class(label, local, remote, self.dialler, self.policy))
        })
    }

    /// Whether payload of this label may travel on a path: both ends' facts decide.
    pub(super) fn permits(&self, path: &mut Path, label: &Label) -> bool {
        self.class(path, label).is_some()
    }
}

/// One look at everything there is to send over one path.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) now: Instant,
    /// More than one path carries payload.
    pub(super) several: bool,
    pub(super) around: Surroundings,
    /// Interactive traffic goes or comes.
    pub(super) lively: bool,
    /// Others wait for the paths, or may soon: frames are short.
    pub(super) brisk: bool,
    /// What waited too long, while that is looked at.
    pub(super) starved: Option<Urgency>,
    /// Bytes of the urgency looked at that wait.
    pub(super) backlog: u64,
    /// Payload sent or planned that is not acknowledged, by slot; only of paths whose link tells nothing.
    pub(super) flown: [u64; MAX_PATHS],
    /// When to look again at what has to wait.
    pub(super) pace: Option<Instant>,
}

impl Round {
    /// Where a frame stands in its path's queue: starved background before everything.
    pub(super) fn rank(&self, urgency: Urgency) -> Urgency {
        match self.starved {
            Some(Urgency::Background) => Urgency::Interactive,
            _ => urgency,
        }
    }

    /// Whether what is of this urgency waits for a gate where there is one path.
    pub(super) fn is_gated(&self, turn: Urgency) -> bool {
        Queue::of(turn, self.lively) != Queue::Any
    }

    /// Bytes of one frame; in the background no more than the gate lets be on the way, and where little
    /// is let because nothing is known, a part of it, so that there is something on the way all along.
    pub(super) fn chunk(&self, path: &Path, turn: Urgency) -> u64 {
        let chunk = plan::chunk(&path.measure);
        if !self.lively || turn != Urgency::Background {
            return chunk;
        }
        let allowed = gate::allowance(&path.measure, Queue::Least);
        match path.measure.bandwidth {
            Some(_) => chunk.min(allowed),
            None => chunk.min(allowed / 4),
        }
    }
}

/// Decides for one path and one urgency.
#[derive(Debug)]
pub(super) struct Chooser<'a> {
    judge: Judge<'a>,
    paths: &'a mut Paths,
    round: &'a mut Round,
    slot: usize,
    turn: Urgency,
    /// The label that was refused last: runs of one label often follow each other.
    refused: Option<(Label, Verdict)>,
}

impl<'a> Chooser<'a> {
    pub(super) fn of(
        judge: Judge<'a>,
        paths: &'a mut Paths,
        round: &'a mut Round,
        (slot, turn): (usize, Urgency),
    ) -> Self {
        Self {
            judge,
            paths,
            round,
            slot,
            turn,
            refused: None,
        }
    }

    /// Whether this goes over the path looked at.
    pub(super) fn verdict(&mut self, asking: Asking<'_>) -> Verdict {
        let Asking::Bytes(label, length) = asking else {
            return self.end();
        };
        if let Some((refused, verdict)) = &self.refused
            && refused == label
        {
            return *verdict;
        }
        let outranked = self.round.around.outranked != [0; MAX_PATHS];
        let verdict = match self.round.several || self.round.is_gated(self.turn) || outranked {
            true => self.place(label, length),
            false => self.alone(label),
        };
        let verdict = self.within_tolls(label, length, verdict);
        if !matches!(verdict, Verdict::Here { .. }) {
            self.refused = Some((*label, verdict));
        }
        verdict
    }

    /// No more than the limits of the path let go.
    fn within_tolls(&mut self, label: &Label, length: u64, verdict: Verdict) -> Verdict {
        let Verdict::Here { chunk, copy } = verdict else {
            return verdict;
        };
        let tolls = match &mut self.paths[self.slot] {
            Some(path) if !path.outbox.tolls.is_empty() => &mut path.outbox.tolls,
            _ => return verdict,
        };
        let (room, again) = tolls.room(label, length);
        match room.saturating_sub(DATA_HEADER as u64) {
            0 => {
                let round = &mut self.round;
                round.pace = round.pace.into_iter().chain(again).min();
                Verdict::Elsewhere
            }
            room => Verdict::Here {
                chunk: chunk.min(room),
                copy,
            },
        }
    }

    /// The end of a stream goes by any path that is trusted.
    fn end(&mut self) -> Verdict {
        let trusted = |path: &Path| path.carries() && !path.trust.suspect;
        let here = self.paths[self.slot].as_deref().is_some_and(trusted);
        if here || !self.paths.iter().flatten().any(|path| trusted(path)) {
            self.here(None)
        } else {
            Verdict::Elsewhere
        }
    }

    /// The only path that carries.
    fn alone(&mut self, label: &Label) -> Verdict {
        let Some(path) = self.paths[self.slot].as_mut() else {
            return Verdict::Nowhere;
        };
        match self.judge.permits(path, label) {
            true => self.here(None),
            false => Verdict::Nowhere,
        }
    }

    fn here(&self, copy: Option<u8>) -> Verdict {
        let brisk = self.round.brisk || self.turn == Urgency::Background;
        let chunk = match &self.paths[self.slot] {
            Some(path) if brisk => self.round.chunk(path, self.turn),
            _ => u64::MAX,
        };
        Verdict::Here { chunk, copy }
    }

    /// Leaves out the paths whose limits let nothing go now, where another does that is no worse.
    fn without_dry(
        &self,
        label: &Label,
        candidates: &mut [Option<Candidate>; MAX_PATHS],
        count: usize,
    ) -> usize {
        let dry = |candidate: &Candidate| {
            let path = self.paths[candidate.slot].as_deref();
            candidate.slot != self.slot && path.is_some_and(|path| path.outbox.tolls.is_dry(label))
        };
        if !candidates[..count].iter().flatten().any(dry) {
            return count;
        }
        let all = *candidates;
        let open = all.iter().flatten().filter(|one| !one.suspect && !dry(one));
        let best = open.map(|one| one.class).min();
        let stays = |one: &&Candidate| !dry(one) || best.is_none_or(|best| best > one.class);
        let mut left = 0;
        for candidate in all.iter().flatten().filter(stays) {
            candidates[left] = Some(*candidate);
            left += 1;
        }
        left
    }

    fn place(&mut self, label: &Label, length: u64) -> Verdict {
        let networks = networks(self.paths, self.judge.dialler);
        let mut candidates = [None; MAX_PATHS];
        let mut count = 0;
        for (slot, path) in self.paths.iter_mut().enumerate() {
            let Some(path) = path.as_mut().filter(|path| path.carries()) else {
                continue;
            };
            if let Some(class) = self.judge.class(path, label) {
                let place = (slot, networks[slot]);
                candidates[count] = Some(candidate(path, place, class, self.turn, self.round));
                count += 1;
            }
        }
        let count = self.without_dry(label, &mut candidates, count);
        let Some(first) = candidates[0] else {
            return Verdict::Nowhere;
        };
        let candidates = candidates.map(|candidate| candidate.unwrap_or(first));
        let candidates = &candidates[..count];
        match self.choice(self.slot, label, length, candidates) {
            Choice::On(slot) if slot == self.slot => self.here(None),
            Choice::Twice(one, other) if one == self.slot => self.here(Some(other as u8)),
            Choice::Twice(one, other) if other == self.slot => self.here(Some(one as u8)),
            Choice::On(named) if self.comes_back(named, label, length, candidates) => {
                self.here(None)
            }
            Choice::Twice(named, _) if self.comes_back(named, label, length, candidates) => {
                self.here(Some(named as u8))
            }
            Choice::Later(at) => {
                let round = &mut *self.round;
                round.pace = round.pace.into_iter().chain(at).min();
                Verdict::Elsewhere
            }
            Choice::On(_) | Choice::Twice(..) => Verdict::Elsewhere,
            Choice::Nowhere => Verdict::Nowhere,
        }
    }

    /// Bytes that a path asks about: a frame of it.
    fn asks_about(&self, asker: usize, length: u64) -> u64 {
        let path = self.paths[asker].as_deref();
        path.map_or(length, |path| length.min(self.round.chunk(path, self.turn)))
    }

    fn choice(&self, asker: usize, label: &Label, length: u64, among: &[Candidate]) -> Choice {
        let unit = schedule::Unit {
            urgency: self.turn,
            length: self.asks_about(asker, length),
            backlog: self.round.backlog.max(length),
            redundant: label.is_redundant(),
            starved: self.round.starved == Some(self.turn),
            asker: Some(asker),
        };
        schedule::place(self.round.now, &unit, among, &self.round.around).choice
    }

    /// Whether the path that was named would name another in its turn, and so on until this one. Each
    /// asks about a frame of its own length, and which path is first depends on that: without this they
    /// would leave it to each other for good.
    fn comes_back(&self, first: usize, label: &Label, length: u64, among: &[Candidate]) -> bool {
        let (mut asker, mut named) = (self.slot, first);
        for _ in among {
            // Asked about as much, it answers the same.
            if self.asks_about(asker, length) == self.asks_about(named, length) {
                return false;
            }
            let next = match self.choice(named, label, length, among) {
                Choice::On(one) => (one, one),
                Choice::Twice(one, other) => (one, other),
                Choice::Later(_) | Choice::Nowhere => return false,
            };
            if next.0 == named || next.1 == named {
                return false;
            }
            if next.0 == self.slot || next.1 == self.slot {
                return true;
            }
            (asker, named) = (named, next.0);
        }
        false
    }
}

pub(super) fn candidate(
    path: &Path,
    (slot, network): (usize, u8),
    class: u16,
    turn: Urgency,
    round: &Round,
) -> Candidate {
    let planned = path.outbox.before(turn) as u64;
    let all = path.outbox.queued() as u64;
    let outstanding = match path.trust.measured {
        true => path.measure.outstanding.saturating_add(path.handed),
        // Either is known late: what was acknowledged has arrived, and so has what a PING followed.
        false => {
            let flown = round.flown[slot].saturating_sub(all);
            path.sounded().map_or(flown, |way| way.min(flown))
        }
    };
    Candidate {
        slot,
        network,
        lane: slot >= LANES,
        class,
        suspect: path.trust.suspect,
        planned,
        foreign: round.around.foreign[slot],
        measure: Measure {
            outstanding,
            ..path.measure
        },
    }
}
