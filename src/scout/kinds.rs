//! Sets of kinds, as the sources put them together.

use crate::network::{Kind, Kinds};

pub(super) fn of(kind: Kind) -> Kinds {
    Kinds(1 << kind as u8)
}

pub(super) fn union(a: Kinds, b: Kinds) -> Kinds {
    Kinds(a.0 | b.0)
}

pub(super) fn without(kinds: Kinds, kind: Kind) -> Kinds {
    Kinds(kinds.0 & !of(kind).0)
}

pub(super) fn has(kinds: Kinds, kind: Kind) -> bool {
    kinds.0 & of(kind).0 != 0
}
