//! Where a unit goes.

use std::time::{Duration, Instant};

use super::arrival::{self, Pipe};
use super::gate::{self, Queue};
use super::{Candidate, Choice, PATHS, Placement, Reason, Surroundings, Trace, Unit};
use crate::label::Urgency;

/// A redundant unit longer than this goes once.
const SMALL: u64 = 16 << 10;
/// Arrivals no further apart are alike, in nanoseconds: on quick paths the far end puts together what came
/// by turns at more cost than that.
const ALIKE: u128 = 250_000;
/// A path that carries so many bytes a second, with a round trip so short, stays within the host: copying
/// is what takes time there, and a second path adds only the work of putting the bytes together.
const PLENTY: u64 = 250_000_000;
const NEAR: Duration = Duration::from_micros(50);
/// So it carries alone, while what it is given arrives within so many nanoseconds.
const PROMPT: u128 = 5_000_000;
/// A gate that is shut is looked at again after the time in which it opens, within these bounds.
const SOON: Duration = Duration::from_millis(1);
const SOON_TIGHT: Duration = Duration::from_millis(1);
const SOON_LOOSE: Duration = Duration::from_millis(10);

/// Decides where a unit goes. `paths` are those that carry payload and admit its label; more than
/// [`PATHS`] are not looked at.
#[must_use]
pub fn place(now: Instant, unit: &Unit, paths: &[Candidate], around: &Surroundings) -> Placement {
    let paths = &paths[..paths.len().min(PATHS)];
    let mut decision = Decision {
        now,
        unit,
        paths,
        around,
        said: [None; PATHS],
        pipes: [None; PATHS],
    };
    let choice = decision.make();
    let mut trace = Trace::default();
    for ((told, path), said) in trace.verdicts.iter_mut().zip(paths).zip(decision.said) {
        *told = said.map(|reason| (u8::try_from(path.slot).unwrap_or(u8::MAX), reason));
    }
    Placement { choice, trace }
}

/// One decision in the making. Paths are named by their place in `paths`.
struct Decision<'a> {
    now: Instant,
    unit: &'a Unit,
    paths: &'a [Candidate],
    around: &'a Surroundings,
    said: [Option<Reason>; PATHS],
    /// Of those that are in question.
    pipes: [Option<Pipe>; PATHS],
}

impl Decision<'_> {
    fn make(&mut self) -> Choice {
        let Some(standing) = self.paths.iter().map(|p| (p.suspect, p.class)).min() else {
            return Choice::Nowhere;
        };
        for (index, path) in self.paths.iter().enumerate() {
            self.said[index] = self.refusal(path, standing);
            if self.said[index].is_none() {
                self.pipes[index] = Some(Pipe::of(path, self.paths));
            }
        }
        if self.pipes.iter().all(Option::is_none) {
            // Only what is outranked is left.
            return Choice::Later(self.now.checked_add(SOON_TIGHT));
        }
        match self.unit.urgency {
            Urgency::Interactive => self.make_interactive(standing.0),
            Urgency::Default | Urgency::Background => self.make_bulk(),
        }
    }

    /// Why a path is out of question whatever the others hold, if it is.
    fn refusal(&self, path: &Candidate, (suspect, class): (bool, u16)) -> Option<Reason> {
        if path.suspect != suspect {
            return Some(Reason::Suspect);
        }
        if path.class != class {
            return Some(Reason::WorseClass);
        }
        if self.is_wrong_lane(path, |other| {
            (other.suspect, other.class) == (suspect, class)
        }) {
            return Some(Reason::Lane);
        }
        if !self.unit.starved && self.around.outranks(path.slot, self.unit.urgency) {
            return Some(Reason::Outranked);
        }
        None
    }

    /// Whether a path is the lane and this is bulk, or the other way round, while a path of the right
    /// kind stands as well as this one.
    fn is_wrong_lane(&self, path: &Candidate, stands: impl Fn(&Candidate) -> bool) -> bool {
        let mut others = self.paths.iter().filter(|other| other.lane != path.lane);
        match (self.unit.urgency, path.lane) {
            (Urgency::Interactive, true) => false,
            (Urgency::Interactive, false) => {
                others.any(|other| other.network == path.network && stands(other))
            }
            (_, false) => false,
            // The network's general path may be the one that is suspect: then other networks carry.
            (_, true) => {
                let has_general = |other: &Candidate| other.network == path.network;
                let general = others.clone().any(has_general);
                general && others.any(stands)
            }
        }
    }

    fn asker(&self) -> Option<usize> {
        let slot = self.unit.asker?;
        let asks = |(path, pipe): (&Candidate, &Option<Pipe>)| path.slot == slot && pipe.is_some();
        self.paths.iter().zip(&self.pipes).position(asks)
    }

    /// Bytes that would go over a path at once.
    fn length(&self, pipe: &Pipe) -> u64 {
        match self.unit.urgency {
            Urgency::Interactive => self.unit.length,
            Urgency::Default | Urgency::Background => {
                self.unit.length.min(gate::chunk(&pipe.measure))
            }
        }
    }

    fn completes(&self, pipe: &Pipe) -> u128 {
        pipe.completes(self.length(pipe))
    }

    /// When the unit arrives over each path in question, with the path's slot and place.
    fn arrivals(&self) -> impl Iterator<Item = (u128, usize, usize)> {
        let pipes = self.pipes.iter().zip(self.paths).enumerate();
        pipes
            .filter_map(|(index, (pipe, path))| Some((self.completes(&(*pipe)?), path.slot, index)))
    }

    fn choose(&mut self, chosen: usize) -> Choice {
        self.say_later();
        self.said[chosen] = Some(Reason::Chosen);
        Choice::On(self.paths[chosen].slot)
    }

    /// What is still in question and was not chosen would be later.
    fn say_later(&mut self) {
        for index in 0..self.paths.len() {
            if let Some(pipe) = &self.pipes[index] {
                let arrives = arrival::duration(self.completes(pipe));
                self.said[index].get_or_insert(Reason::Later(arrives));
            }
        }
    }

    fn make_interactive(&mut self, suspect: bool) -> Choice {
        let Some((_, slot, first)) = self.arrivals().min() else {
            return Choice::Nowhere;
        };
        let choice = self.choose(first);
        if !self.unit.redundant || self.unit.length > SMALL {
            return choice;
        }
        let network = self.paths[first].network;
        let others = self.paths.iter().enumerate().filter(|(_, path)| {
            path.network != network
                && path.suspect == suspect
                && !self.is_wrong_lane(path, |other| other.suspect == suspect)
                && !self.around.outranks(path.slot, self.unit.urgency)
        });
        let arrives = |path| Pipe::of(path, self.paths).completes(self.unit.length);
        let second = others
            .map(|(index, path)| (path.class, arrives(path), path.slot, index))
            .min();
        let Some((_, _, other, index)) = second else {
            return choice;
        };
        self.said[index] = Some(Reason::Copied);
        Choice::Twice(slot, other)
    }

    fn make_bulk(&mut self) -> Choice {
        let asker = self.asker();
        if self.unit.starved {
            let first = self.arrivals().min().map(|(_, _, index)| index);
            return match asker.or(first) {
                Some(chosen) => self.choose(chosen),
                None => Choice::Nowhere,
            };
        }
        let again = self.shut_gates();
        let helps = |index: usize| self.said[index].is_none() && self.helps(index);
        if let Some(asker) = asker.filter(|asker| helps(*asker)) {
            return self.choose(asker);
        }
        let mut quickest: Option<(u128, usize, usize)> = None;
        for arrival in self.arrivals() {
            if quickest.is_none_or(|best| arrival < best) && helps(arrival.2) {
                quickest = Some(arrival);
            }
        }
        if let Some((_, _, index)) = quickest {
            return self.choose(index);
        }
        self.say_later();
        Choice::Later(again)
    }

    /// A path that needs no other beside it, the same one each time.
    fn suffices(&self) -> Option<usize> {
        let open = |index: &usize| {
            let pipe = self.pipes[*index].filter(|_| self.said[*index].is_none());
            pipe.is_some_and(|pipe| {
                arrival::rate(&pipe.measure).is_some_and(|rate| rate >= PLENTY)
                    && arrival::least(&pipe.measure).is_some_and(|least| least <= NEAR)
                    && self.completes(&pipe) <= PROMPT
            })
        };
        let open = (0..self.paths.len()).filter(open);
        open.min_by_key(|index| self.paths[*index].slot)
    }

    /// Whether a chunk over this path does not arrive after the others are done with everything.
    fn helps(&self, index: usize) -> bool {
        let Some(pipe) = self.pipes[index] else {
            return false;
        };
        if let Some(alone) = self.suffices() {
            return alone == index;
        }
        let arrives = self.completes(&pipe);
        let others = || {
            let others = self.pipes.iter().enumerate();
            others.filter_map(move |(other, pipe)| (*pipe).filter(|_| other != index))
        };
        // They do not share a chunk: the quickest takes it whole.
        let Some(quickest) = others().map(|pipe| self.completes(&pipe)).min() else {
            return true;
        };
        if arrives <= quickest.saturating_add(ALIKE) {
            return true;
        }
        if self.unit.backlog <= self.length(&pipe) {
            return false;
        }
        let all = arrival::shared(others(), self.unit.backlog);
        all.is_none_or(|done| arrives <= done)
    }

    /// Says of each path in question whether its gate is shut; when to look at the first again.
    fn shut_gates(&mut self) -> Option<Instant> {
        let background = self.unit.urgency == Urgency::Background;
        let queue = Queue::of(self.unit.urgency, self.around.is_active(self.now));
        let several = self.is_several();
        let mut again: Option<Duration> = None;
        for (index, path) in self.paths.iter().enumerate() {
            let Some(pipe) = self.pipes[index] else {
                continue;
            };
            let mut allowed = gate::allowance(&pipe.measure, queue);
            if several {
                allowed = allowed.min(gate::striped(&pipe.measure));
            }
            let mut outstanding = path.measure.outstanding.saturating_add(path.planned);
            if background {
                outstanding = outstanding.saturating_add(path.foreign);
            }
            let length = self.length(&pipe);
            if !gate::is_shut(&pipe.measure, outstanding, length, allowed) {
                continue;
            }
            self.said[index] = Some(Reason::Gate {
                outstanding,
                allowed,
            });
            let excess = outstanding.saturating_add(length).saturating_sub(allowed);
            let latest = match queue {
                Queue::Least => SOON_TIGHT,
                Queue::Short | Queue::Any => SOON_LOOSE,
            };
            let opens = pipe
                .drains(excess)
                .map_or(latest, |t| t.clamp(SOON, latest));
            again = Some(again.map_or(opens, |first| first.min(opens)));
        }
        self.now.checked_add(again?)
    }

    /// Whether more than one network is in question.
    fn is_several(&self) -> bool {
        let mut networks = self.paths.iter().zip(&self.pipes);
        let mut first = None;
        networks.any(|(path, pipe)| {
            pipe.is_some() && *first.get_or_insert(path.network) != path.network
        })
    }
}
