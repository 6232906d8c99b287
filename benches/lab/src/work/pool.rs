//! Several worlds at once: the cells of all sheets in one queue, each measured by a worker in a world of its own.
//!
//! ```text
//!  studies ──► cells, in order ──► enough shares free? ──► worker, its world ──► figures ──► sheet, judged when whole
//! ```
//!
//! The machine has so many shares, and a cell takes one or more of them: see [`Load`]. Cells that would wait for a slot
//! of carriers let those of other sheets pass. Cells begin in the order of their sheet, one after the other and never two at the same moment, so that peers stay interleaved and faults do
//! not fall together. Worlds are kept for cells of the same links; while one is made, no cell begins.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::slot;
use super::study::{Cell, Judge, Load, Study};
use super::watch::Watch;
use crate::report::{Column, Lateness, Sheet};
use crate::world::{LinkSpec, Rate, World};

/// Between the beginnings of two cells: more than a fault takes, far less than any cell.
const APART: Duration = Duration::from_millis(200);

/// What a cell gave: nothing if it failed.
#[derive(Default)]
struct Sample {
    figures: Vec<f64>,
    lateness: Lateness,
}

/// A sheet that is not whole yet.
struct Open {
    sheet: Sheet,
    /// The rows of the cells and what was measured, in order.
    figures: Vec<(String, Option<Vec<f64>>)>,
    missing: usize,
    judge: Option<Box<Judge>>,
}

struct Hall {
    shares: usize,
    total: usize,
    began: Instant,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while a world is made: `ip netns` is not made for several at once.
    maker: Mutex<()>,
    watch: Watch,
}

struct State {
    queue: VecDeque<Turn>,
    free: usize,
    /// Cells that lose a carrier.
    carriers: usize,
    /// Workers that make a world.
    making: usize,
    latest: Option<Instant>,
    ended: usize,
}

/// A cell whose turn comes.
struct Turn {
    study: usize,
    place: usize,
    bar: &'static str,
    /// Of its sheet.
    columns: Arc<[Column]>,
    load: Load,
    cell: Cell,
}

/// Measures everything; each sheet is given to `done` as it is whole, with its number.
pub(super) fn run(
    shares: usize,
    studies: Vec<Study>,
    done: &mut (dyn FnMut(usize, Sheet) -> io::Result<()> + Send),
) -> io::Result<()> {
    let mut open = Vec::new();
    let mut queue = VecDeque::new();
    for (study, given) in studies.into_iter().enumerate() {
        let mut figures = Vec::new();
        let columns: Arc<[Column]> = given.sheet.columns.as_slice().into();
        for (place, cell) in given.cells.into_iter().enumerate() {
            figures.push((cell.row.clone(), None));
            queue.push_back(Turn {
                study,
                place,
                bar: given.sheet.bar,
                columns: Arc::clone(&columns),
                load: given.load,
                cell,
            });
        }
        open.push(Open {
            missing: figures.len(),
            sheet: given.sheet,
            figures,
            judge: Some(given.judge),
        });
    }
    let workers = shares.min(queue.len());
    let hall = Hall::new(shares, queue);
    let results = Mutex::new((open, done, Ok(())));
    let measured = |study: usize, place, sample| {
        let mut results = results.lock().expect("nobody panics with it");
        let (open, done, outcome) = &mut *results;
        if let Some(sheet) = open[study].take(place, sample)
            && let Err(error) = done(study, sheet)
        {
            *outcome = Err(error);
            hall.close();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| hall.watch.run());
        let workers: Vec<_> = (0..workers)
            .map(|_| scope.spawn(|| hall.work(&measured)))
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                hall.close();
                hall.watch.end();
                std::panic::resume_unwind(panic);
            }
        }
        hall.watch.end();
    });
    results.into_inner().expect("nobody panics with it").2
}

impl Open {
    /// Takes the figures of a cell; the sheet, if it was the last.
    fn take(&mut self, place: usize, sample: Sample) -> Option<Sheet> {
        self.sheet.lateness.add(sample.lateness);
        self.figures[place].1 = Some(sample.figures);
        self.missing -= 1;
        if self.missing > 0 {
            return None;
        }
        for (row, figures) in &self.figures {
            self.sheet.add(row, figures.as_deref().unwrap_or_default());
        }
        if let Some(judge) = self.judge.take() {
            judge(&mut self.sheet);
        }
        Some(self.sheet.clone())
    }
}

/// The shares of a cell that is being measured; dropping it gives them back.
struct Taken<'a> {
    hall: &'a Hall,
    load: Load,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.hall.state().give(self.load, self.hall.shares);
        self.hall.changed.notify_all();
    }
}

impl State {
    /// The first cell that need not wait for a slot of carriers, if there are shares for it.
    fn take(&mut self, of: usize) -> Option<Turn> {
        let full = self.carriers == slot::AT_ONCE;
        let waits = |turn: &Turn| full && turn.load == Load::Carrier;
        let place = self.queue.iter().position(|turn| !waits(turn))?;
        let load = self.queue[place].load;
        self.free = self.free.checked_sub(load.shares(of))?;
        self.carriers += usize::from(load == Load::Carrier);
        self.queue.remove(place)
    }

    fn give(&mut self, load: Load, of: usize) {
        self.free += load.shares(of);
        self.carriers -= usize::from(load == Load::Carrier);
    }
}

impl Hall {
    fn new(shares: usize, queue: VecDeque<Turn>) -> Self {
        Self {
            shares,
            total: queue.len(),
            began: Instant::now(),
            state: Mutex::new(State {
                queue,
                free: shares,
                carriers: 0,
                making: 0,
                latest: None,
                ended: 0,
            }),
            changed: Condvar::new(),
            maker: Mutex::new(()),
            watch: Watch::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the state")
    }

    /// Nothing that waits is begun any more.
    fn close(&self) {
        self.state().queue.clear();
        self.changed.notify_all();
    }

    fn work(&self, measured: &dyn Fn(usize, usize, Sample)) {
        let mut kept: Option<World> = None;
        while let Some((turn, taken)) = self.next() {
            let begun = self.world(&mut kept, &turn.cell.links);
            let (row, links) = (turn.cell.row, turn.cell.links);
            let figures = begun.and_then(|world| {
                self.begin();
                world.usage();
                let before = self.watch.seen();
                let figures = (turn.cell.work)(world)?;
                let (usage, after) = (world.usage(), self.watch.seen());
                let lateness = Lateness {
                    deliveries: usage.rounds,
                    late: usage.late,
                    wakes: after.0 - before.0,
                    overslept: after.1 - before.1,
                };
                Ok((figures, lateness))
            });
            let (figures, lateness) = match figures {
                Ok((figures, lateness)) => (Ok(figures), lateness),
                Err(error) => (Err(error), Lateness::default()),
            };
            let recorded = |link: &LinkSpec| matches!(link.up, Rate::Trace(_));
            if figures.is_err() || links.iter().any(recorded) {
                // What failed may have left anything; a recorded rate begins with its world.
                kept = None;
            }
            drop(taken);
            let told = told(&turn.columns, &figures);
            eprintln!("{}", self.shown(turn.bar, &row, &told));
            let figures = figures.unwrap_or_default();
            measured(turn.study, turn.place, Sample { figures, lateness });
        }
    }

    fn shown(&self, bar: &str, row: &str, told: &str) -> String {
        let mut state = self.state();
        state.ended += 1;
        let minutes = self.began.elapsed().as_secs() / 60;
        let (ended, total) = (state.ended, self.total);
        format!("  [{ended}/{total}, {minutes} min] {bar} {row}: {told}")
    }

    /// The next cell, once there are shares for it.
    fn next(&self) -> Option<(Turn, Taken<'_>)> {
        let mut state = self.state();
        loop {
            if state.queue.is_empty() {
                return None;
            }
            if let Some(turn) = state.take(self.shares) {
                let load = turn.load;
                return Some((turn, Taken { hall: self, load }));
            }
            state = self.changed.wait(state).expect("nothing panics with it");
        }
    }

    /// A world of these links: the one that is kept, or a new one.
    fn world<'w>(
        &self,
        kept: &'w mut Option<World>,
        links: &[LinkSpec],
    ) -> io::Result<&'w mut World> {
        if kept.as_ref().is_none_or(|world| world.links() != links) {
            self.state().making += 1;
            drop(kept.take());
            let made = {
                let _one = self.maker.lock().expect("nothing panics with it");
                World::new(links)
            };
            self.state().making -= 1;
            self.changed.notify_all();
            *kept = Some(made?);
        }
        kept.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Waits until a cell may begin.
    fn begin(&self) {
        let mut state = self.state();
        while state.making > 0 {
            state = self.changed.wait(state).expect("nothing panics with it");
        }
        let now = Instant::now();
        let at = state.latest.map_or(now, |latest| now.max(latest + APART));
        state.latest = Some(at);
        drop(state);
        thread::sleep(at - now);
    }
}

/// What a cell gave, each figure with the name of its column.
fn told(columns: &[Column], figures: &io::Result<Vec<f64>>) -> String {
    let figures = match figures {
        Ok(figures) => columns.iter().zip(figures),
        Err(error) => return format!("FAILED: {error}"),
    };
    let figures: Vec<String> = figures.map(|(column, &f)| column.told(f)).collect();
    figures.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stat;

    fn sheet() -> Sheet {
        Sheet::new("B0", "", "", &[Column::new("n", "", Stat::Sum)])
    }

    #[test]
    fn a_sheet_is_judged_when_its_last_cell_is_in_and_keeps_the_order_of_its_cells() {
        let mut open = Open {
            sheet: sheet(),
            figures: ["a", "b", "a"].map(|row| (row.to_owned(), None)).to_vec(),
            missing: 3,
            judge: Some(Box::new(|sheet| sheet.title = "judged".to_owned())),
        };
        let sample = |figures| Sample {
            figures,
            ..Sample::default()
        };
        assert!(open.take(2, sample(vec![3.0])).is_none());
        assert!(open.take(1, sample(Vec::new())).is_none());
        let sheet = open.take(0, sample(vec![1.0])).expect("the last");
        assert_eq!(sheet.title, "judged");
        let rows: Vec<_> = sheet.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(rows, ["a", "b"]);
        assert_eq!(sheet.rows[0].samples, [[1.0, 3.0]]);
        assert_eq!(sheet.figure("b", "n"), None);
    }

    #[test]
    fn what_a_cell_gave_is_told_by_column() {
        let columns = [
            Column::new("p50", "ms", Stat::Median),
            Column::new("over wlan0", "%", Stat::Median),
        ];
        assert_eq!(
            told(&columns, &Ok(vec![12.0, f64::NAN])),
            "p50 12.0 ms, over wlan0 -"
        );
        let failed = Err(io::Error::other("no report"));
        assert_eq!(told(&columns, &failed), "FAILED: no report");
    }

    fn turn(load: Load) -> Turn {
        Turn {
            study: 0,
            place: 0,
            bar: "B0",
            columns: Arc::new([]),
            load,
            cell: Cell {
                row: String::new(),
                links: Arc::new([]),
                work: Box::new(|_| Ok(Vec::new())),
            },
        }
    }

    #[test]
    fn cells_that_would_wait_for_a_slot_let_others_pass() {
        let mut queue: VecDeque<_> = (0..=slot::AT_ONCE).map(|_| turn(Load::Carrier)).collect();
        queue.push_back(turn(Load::Light));
        let hall = Hall::new(20, queue);
        let mut taken = Vec::new();
        let mut next = || {
            let (turn, shares) = hall.next().expect("there is one");
            taken.push(shares);
            turn.load
        };
        assert!((0..slot::AT_ONCE).all(|_| next() == Load::Carrier));
        assert_eq!(next(), Load::Light);
        // The last one's turn comes as one of its kind ends.
        taken.remove(0);
        let (last, _shares) = hall.next().expect("there is one");
        assert_eq!(last.load, Load::Carrier);
        assert_eq!(hall.state().carriers, slot::AT_ONCE);
    }

    #[test]
    fn a_cell_that_takes_everything_waits_for_the_others() {
        let hall = Hall::new(2, [turn(Load::Light), turn(Load::Whole)].into());
        let (_, first) = hall.next().expect("there is one");
        thread::scope(|scope| {
            let second = scope.spawn(|| hall.next().map(|(turn, taken)| (turn.load, taken.load)));
            assert_eq!(hall.state().free, 1);
            drop(first);
            assert_eq!(
                second.join().expect("it waits"),
                Some((Load::Whole, Load::Whole))
            );
        });
        assert_eq!(hall.state().free, 2);
        assert!(hall.next().is_none());
    }
}
