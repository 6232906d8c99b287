//! Which path a label travels on: the whole scheduler of this version.

use super::MAX_PATHS;
use super::path::Path;
use super::send::Verdict;
use crate::label::Label;
use crate::label::matching::{self, Policy};

/// The paths of a session, by slot.
pub(super) type Paths = [Option<Box<Path>>; MAX_PATHS];

/// What decides beside the paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) policy: &'a Policy,
    /// Whether the local end is the dialler, of whose network required kinds are asked.
    pub(super) dialler: bool,
}

impl Judge<'_> {
    /// Whether payload of this label may travel on a path: both ends' facts decide.
    pub(super) fn permits(&self, path: &mut Path, label: &Label) -> bool {
        let sides = &path.sides;
        path.numbers.permitted(label, || {
            let local = sides.local.as_ref();
            matching::permits(label, local, &sides.remote, self.dialler, self.policy)
        })
    }

    /// Where a label travels, as seen from one path: on the one attached last of those that carry
    /// payload and that admit it.
    pub(super) fn verdict(&self, paths: &mut Paths, slot: usize, label: &Label) -> Verdict {
        let mut best: Option<(u64, usize)> = None;
        for (index, path) in paths.iter_mut().enumerate() {
            let Some(path) = path else { continue };
            if path.carries()
                && best.is_none_or(|(serial, _)| path.serial > serial)
                && self.permits(path, label)
            {
                best = Some((path.serial, index));
            }
        }
        match best {
            Some((_, chosen)) if chosen == slot => Verdict::Here,
            Some(_) => Verdict::Elsewhere,
            None => Verdict::Nowhere,
        }
    }
}
