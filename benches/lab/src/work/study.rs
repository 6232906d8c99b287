//! What a workload asks for: a sheet, and the cells that fill it.

use std::io;
use std::sync::Arc;

use crate::report::Sheet;
use crate::world::{LinkSpec, World};

/// What a cell asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// A hundred messages a second, or bulk over what a car meets, which is mostly cellular: one share.
    Light,
    /// The same, and one of the few [slots](super::slot) of carriers.
    Carrier,
    /// The lab's networks, filled: two shares.
    Filled,
    /// Whatever the machine can do: all of them.
    Whole,
}

impl Load {
    pub(super) fn shares(self, of: usize) -> usize {
        match self {
            Self::Light | Self::Carrier => 1,
            Self::Filled => of.min(2),
            Self::Whole => of,
        }
    }
}

pub(super) type Work = dyn FnOnce(&World) -> io::Result<Vec<f64>> + Send;
pub(super) type Judge = dyn FnOnce(&mut Sheet) + Send;

/// A sheet, and the cells that fill it.
pub(super) struct Study {
    pub(super) sheet: Sheet,
    pub(super) load: Load,
    pub(super) cells: Vec<Cell>,
    pub(super) judge: Box<Judge>,
}

/// One row's part of a sheet, measured in a world of these links.
pub(super) struct Cell {
    pub(super) row: String,
    pub(super) links: Arc<[LinkSpec]>,
    pub(super) work: Box<Work>,
}

impl Study {
    pub(super) fn new(
        sheet: Sheet,
        load: Load,
        judge: impl FnOnce(&mut Sheet) + Send + 'static,
    ) -> Self {
        Self {
            sheet,
            load,
            cells: Vec::new(),
            judge: Box::new(judge),
        }
    }

    /// Adds a cell, whose figures are a sample of each column of this row.
    pub(super) fn add(
        &mut self,
        row: &str,
        links: &Arc<[LinkSpec]>,
        work: impl FnOnce(&World) -> io::Result<Vec<f64>> + Send + 'static,
    ) {
        self.cells.push(Cell {
            row: row.to_owned(),
            links: Arc::clone(links),
            work: Box::new(work),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_load_takes_more_than_there_is() {
        for shares in 1..20 {
            let all = [Load::Light, Load::Carrier, Load::Filled, Load::Whole];
            let all = all.map(|load| load.shares(shares));
            assert!(all.iter().all(|&taken| taken >= 1 && taken <= shares));
            assert_eq!(all[3], shares);
        }
    }
}
